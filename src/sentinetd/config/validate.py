"""What a completed entry must and must not have: one function per rule, all of them in `RULES`.

A rule tells through the draft; it may take away what xinetd takes away as well, and says so.
"""

from __future__ import annotations

from collections.abc import Callable

from sentinetd.config.complete import has, multiplexed
from sentinetd.config.draft import Draft
from sentinetd.model.address import NOBODY, AddressSet
from sentinetd.model.diagnostic import Scope
from sentinetd.model.readers import nearest
from sentinetd.model.values import Decoy, Flag, LeftOut, OnFailure, OnSuccess, Ports, SocketType, Type

_BOTH = frozenset({SocketType.STREAM, SocketType.DGRAM})
_STREAM = frozenset({SocketType.STREAM})

BUILT_IN = {
    "echo": _BOTH,
    "discard": _BOTH,
    "chargen": _BOTH,
    "daytime": _BOTH,
    "time": _BOTH,
    "tcpmux": _STREAM,
    "services": _STREAM,
    "servers": _STREAM,
}
"""Internal services by name, in lower case, with the socket types they exist for."""

SENSOR_ONLY = ("deny_time", "deny_dgram", "deny_prefix", "exempt", "capture", "decoy", "tarpit")

PLAYED = ("decoy", "capture", "tarpit")
CLIENT_FIRST = frozenset({Decoy.HTTP, Decoy.REDIS, Decoy.RDP})
"""Decoys that say nothing before the client does."""

IDENT_PORT = 113
INTERCEPTABLE = ("tcp", "udp", "mptcp")
"""Protocols behind which a server can be given a private socket of TCP or UDP, and see no difference."""
RPC_VERSIONS_MOST = 1000
RULES_MOST = 4096
"""Rules of one entry that the kernel looks through for each connection that nobody else takes."""
LISTENERS_MOST = 1024
"""Ports of one entry that are listened on one by one."""


def _required(draft: Draft) -> None:
    values = draft.values
    internal, redirected = has(draft, Type.INTERNAL), bool(values.get("redirect"))
    needed = ["socket_type"]
    if not has(draft, Flag.SENSOR):
        needed.append("wait")
    if not internal:
        needed.append("user")
    if has(draft, Type.RPC):
        needed += ["protocol", "rpc_version"]
        if has(draft, Type.UNLISTED):
            needed.append("rpc_number")
    elif multiplexed(draft) or (has(draft, Type.UNLISTED) and not internal):
        needed.append("protocol")
    for name in needed:
        if name not in values and not draft_tells(draft, name):
            draft.wrong(f"Service {draft.name} missing attribute {name} - DISABLING", f"write {name} = ...")
    if not internal and not redirected and "server" not in values and not draft_tells(draft, "server"):
        draft.wrong(
            f"Must specify a server in {draft.name} (missing attribute server)",
            "write server = /path, or type = INTERNAL",
        )


def draft_tells(draft: Draft, attribute: str) -> bool:
    """Whether a mistake of *attribute* that refuses the entry is told already, so that it need not be called missing as
    well. A line that was passed over refuses nothing, and leaves the attribute missing."""
    return any(one.attribute == attribute and one.scope is not Scope.LINE for one in draft.told)


def _arguments(draft: Draft) -> None:
    if not has(draft, Flag.NAMEINARGS):
        return
    if has(draft, Type.INTERNAL):
        draft.wrong(f"Service {draft.name} is INTERNAL and has NAMEINARGS flag set", "delete the flag", "flags")
    elif draft.values.get("redirect"):
        draft.wrong(f"Redirected service {draft.name} should not have NAMEINARGS flag set", "delete the flag", "flags")
    elif "server_args" not in draft.values and not draft_tells(draft, "server_args"):
        text = f"Must specify server args if using NAMEINARGS flag: service {draft.name} has none"
        draft.wrong(text, "write server_args = NAME ARGUMENTS, or delete the flag", "flags")


def _intercept(draft: Draft) -> None:
    if not has(draft, Flag.INTERCEPT):
        return
    if has(draft, Type.INTERNAL):
        text = f"Internal services cannot be intercepted: {draft.name}"
    elif not draft.values.get("wait"):
        text = f"Multi-threaded services cannot be intercepted: {draft.name}"
    elif multiplexed(draft):
        text = f"Multiplexed services cannot be intercepted: {draft.name}"
    else:
        _interceptable(draft)
        return
    draft.values["flags"] -= {Flag.INTERCEPT}
    draft.warn(text, "delete the flag INTERCEPT; it is ignored", "flags")


def _interceptable(draft: Draft) -> None:
    kind, protocol = draft.values.get("socket_type"), draft.values.get("protocol")
    if kind in (SocketType.RAW, SocketType.SEQPACKET):
        text = f"special service {draft.name},{kind.value} not supported: it cannot be intercepted"
        draft.wrong(text, "delete the flag INTERCEPT, or write stream or dgram", "flags")
    elif protocol is not None and protocol.name not in INTERCEPTABLE:
        text = f"special service {draft.name},{protocol.name} not supported: it cannot be intercepted"
        draft.wrong(text, f"delete the flag INTERCEPT, or write protocol = {' or '.join(INTERCEPTABLE)}", "flags")


def _internal(draft: Draft) -> None:
    kind = draft.values.get("socket_type")
    if not has(draft, Type.INTERNAL) or kind is None or multiplexed(draft):
        return
    name = "sensor" if has(draft, Flag.SENSOR) else draft.name.lower()
    if kind not in (_BOTH if name == "sensor" and has(draft, Flag.SENSOR) else BUILT_IN.get(name, frozenset())):
        way_out = f"{nearest(name, BUILT_IN)}write a server, or one of {' '.join(BUILT_IN)}"
        draft.wrong(
            f"No such internal service: {name}/{kind.value} - DISABLING",
            "write stream or dgram" if has(draft, Flag.SENSOR) else way_out,
            "type",
        )


def _rpc(draft: Draft) -> None:
    """rpcbind knows transports, and is told of each version by itself."""
    if not has(draft, Type.RPC):
        return
    protocol, versions = draft.values.get("protocol"), draft.values.get("rpc_version")
    if protocol is not None and protocol.name not in ("tcp", "udp"):
        text = f"Service {draft.name}: rpcbind knows no protocol {protocol.name}"
        draft.wrong(text, "write protocol = tcp or protocol = udp", "protocol")
    if versions is not None and versions[1] - versions[0] >= RPC_VERSIONS_MOST:
        text = f"rpc_version {versions[0]}-{versions[1]} is more than {RPC_VERSIONS_MOST} versions"
        draft.wrong(text, "write the versions that the server has", "rpc_version")


def _labeled(draft: Draft) -> None:
    """Where a server cannot have the SELinux range of its client, to run them all in the same context, and say nothing,
    would break the separation that was asked for."""
    if not has(draft, Flag.LABELED):
        return
    values = draft.values
    cases = (
        (has(draft, Type.INTERNAL), "Internal services cannot support labeled networking"),
        (
            values.get("socket_type") is not SocketType.STREAM,
            "Non-stream socket types cannot support labeled networking",
        ),
        (bool(values.get("wait")), "Tcp wait services cannot support labeled networking"),
        (bool(values.get("redirect")), "Redirected services cannot support labeled networking"),
        (bool(values.get("proxy_protocol", NOBODY).networks), "Services behind a proxy see no label of their clients"),
        (bool(draft.unlabeled), f"Labeled networking is not supported, since {draft.unlabeled}"),
    )
    for applies, text in cases:
        if applies:
            draft.wrong(f"{text}: {draft.name}", "delete the flag LABELED", "flags")
            return


def _tcpmux(draft: Draft) -> None:
    protocol = draft.values.get("protocol")
    if multiplexed(draft) and protocol and protocol.name != "tcp":
        text = f"Service: {draft.name} (tcpmux) should have tcp in protocol."
        draft.wrong(text, f"write protocol = tcp instead of {protocol.name}", "protocol")


def _redirected(draft: Draft) -> None:
    values = draft.values
    if values.get("redirect"):
        if values.get("socket_type", SocketType.STREAM) is not SocketType.STREAM:
            text = f"Only tcp sockets are supported for redirected service {draft.name}"
            draft.wrong(text, "write socket_type = stream", "socket_type")
        elif values.get("wait"):
            draft.wrong(f"Redirected service {draft.name} must not wait", "write wait = no", "wait")
    elif OnSuccess.TRAFFIC in values.get("log_on_success", ()):
        draft.wrong(
            f"Service {draft.name} should not have TRAFFIC flag set since its not redirected",
            "write log_on_success -= TRAFFIC",
            "log_on_success",
            draft.where("log_on_success TRAFFIC"),
        )


def _waiting_stream(draft: Draft) -> None:
    """A waiting stream service accepts by itself: lists of addresses become a filter in the kernel, names cannot."""
    values = draft.values
    if values.get("socket_type") is not SocketType.STREAM or not values.get("wait"):
        return
    if has(draft, Flag.INTERCEPT):
        return
    if "per_source" in values and values["per_source"] is not None:
        draft.warn("per_source is ignored where wait = yes", "delete the line, or write wait = no", "per_source")
    for name in ("only_from", "no_access"):
        given = values.get(name)
        if isinstance(given, AddressSet) and given.names:
            word = given.names[0]
            draft.wrong(
                f"{word} is a name, and a waiting stream service can only be guarded by addresses",
                "write addresses, or wait = no, or flags = INTERCEPT",
                name,
                draft.where(f"{name} {word}"),
            )


def _ident(draft: Draft) -> None:
    """Asking an ident server who asks us would go round in circles."""
    values = draft.values
    protocol = values.get("protocol")
    ports: Ports = values.get("ports") or Ports(((values.get("port", 0),) * 2,))
    if not any(low <= IDENT_PORT <= high for low, high in ports.ranges) or not protocol or protocol.name != "tcp":
        return
    for name, option in (("log_on_success", OnSuccess.USERID), ("log_on_failure", OnFailure.USERID)):
        if option in values.get(name, ()):
            values[name] -= {option}
            draft.warn(f"{draft.name} service: clearing USERID option from {name}", f"write {name} -= USERID", name)


def _many_ports(draft: Draft) -> None:
    """Which services can have many ports: those of which each connection is accepted by us and stands for itself."""
    ports: Ports | None = draft.values.get("ports")
    if ports is None:
        for name in ("ports_except", "addresses"):
            if draft.values.get(name):
                draft.wrong(f"{name} without ports", "write ports = unused, or a list of ports", name)
        return
    sensor = has(draft, Flag.SENSOR)
    if has(draft, Type.RPC) or multiplexed(draft):
        draft.wrong(f"Service {draft.name} has a port of its own kind", "delete the line", "ports")
    elif draft.values.get("wait") and not sensor:
        text = f"Service {draft.name} waits, and so has one socket for its server"
        draft.wrong(text, "write wait = no, or an entry for each port", "ports")
    elif ports.unused or draft.values.get("addresses"):
        _caught(draft, ports, sensor)
    elif ports.count > LISTENERS_MOST:
        text = f"{ports.count} ports are more than {LISTENERS_MOST}, and each needs a listener"
        draft.wrong(text, "write ports = unused with flags = SENSOR, or fewer ports", "ports")
    elif draft.values.get("ports_except"):
        text = "a port of one address can only be left out of ports = unused, or where addresses are given"
        draft.wrong(text, "write the port alone, or bind", "ports_except")


def _caught(draft: Draft, ports: Ports, sensor: bool) -> None:
    name = "ports" if ports.unused else "addresses"
    protocol = draft.values.get("protocol")
    if not sensor:
        text = f"only a sensor can have {'every unused port' if ports.unused else 'addresses that nobody uses'}"
        draft.wrong(text, "write flags = SENSOR, or a list of ports, and bind", name)
    elif draft.values.get("socket_type") is not SocketType.STREAM or (protocol and protocol.name != "tcp"):
        text = f"Service {draft.name} is not stream and tcp, and only those can be told from answers to this host"
        draft.wrong(text, "write socket_type = stream, or a list of ports, and bind", name)
    out: LeftOut = draft.values.get("ports_except") or LeftOut()
    addresses: AddressSet = draft.values.get("addresses") or AddressSet()
    rules = max(1, len(addresses.networks)) * (max(1, len(ports.ranges)) + len(out.ranges) + len(out.spots))
    if rules > RULES_MOST:
        text = f"addresses and ranges of ports make {rules} rules, which is more than {RULES_MOST}"
        draft.wrong(text, "write wider networks and ranges, or several entries", name)


def _sensor_only(draft: Draft) -> None:
    if has(draft, Flag.SENSOR):
        return
    for name in SENSOR_ONLY:
        if draft.values.get(name):
            draft.warn(f"{name} has an effect on sensors only", "write flags = SENSOR, or delete the line", name)


def _played(draft: Draft) -> None:
    """What a sensor does after a trip needs a client that can be talked with."""
    if not has(draft, Flag.SENSOR):
        return
    played = [name for name in PLAYED if draft.values.get(name)]
    kind = draft.values.get("socket_type")
    if kind is not None and kind is not SocketType.STREAM:
        for name in played:
            text = f"{name} needs a connection, and {draft.name} is a {kind.value} sensor"
            draft.wrong(text, "write socket_type = stream, or delete the line", name)
    decoy = draft.values.get("decoy")
    if decoy in CLIENT_FIRST and draft.values.get("banner"):
        text = f"the banner comes before the client says anything, and no {decoy.value} server does that"
        draft.warn(text, "delete the line", "banner")


def _announced(draft: Draft) -> None:
    """A PROXY header is read from a connection that we have accepted, and believed of those alone who are trusted."""
    peers = draft.values.get("proxy_protocol")
    if not isinstance(peers, AddressSet) or not (peers.networks or peers.names):
        return
    values, name = draft.values, "proxy_protocol"
    kind = values.get("socket_type")
    if kind is not None and kind is not SocketType.STREAM:
        text = f"{name} needs connections, and {draft.name} is a {kind.value} service"
        draft.wrong(text, "write socket_type = stream, or delete the line", name)
    elif values.get("wait") and not has(draft, Flag.INTERCEPT):
        text = f"the server of {draft.name} accepts by itself, and so gets what {name} should take off"
        draft.wrong(text, "write wait = no, or flags = INTERCEPT, or delete the line", name)
    elif multiplexed(draft):
        text = f"{draft.name} is reached through tcpmux, where the header has been read before"
        draft.warn(text, f"write {name} in the tcpmux service; the line is ignored", name)
    if any(network.length == 0 for network in peers.networks):
        text = f"{name} of everybody lets anybody pass for any source, and exempts all from bans"
        draft.wrong(text, "write the addresses of your load balancers", name)


RULES: tuple[Callable[[Draft], None], ...] = (
    _required,
    _arguments,
    _intercept,
    _internal,
    _rpc,
    _labeled,
    _tcpmux,
    _redirected,
    _waiting_stream,
    _many_ports,
    _ident,
    _sensor_only,
    _played,
    _announced,
)


def validate(draft: Draft) -> None:
    """Apply every rule to *draft*."""
    for rule in RULES:
        rule(draft)
