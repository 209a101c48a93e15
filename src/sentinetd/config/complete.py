"""What an entry leaves to be concluded: socket type from protocol, port from name, address from bind, who a server is.

The steps stand in the order of xinetd's own; each tells its mistakes and goes on, so that all are told at once.
"""

from __future__ import annotations

from sentinetd.config.draft import Draft
from sentinetd.config.host import Host
from sentinetd.config.lookup import unknown_service
from sentinetd.model.address import Address
from sentinetd.model.address_words import inet_aton
from sentinetd.model.diagnostic import Level
from sentinetd.model.port_words import without
from sentinetd.model.readers import is_number
from sentinetd.model.values import Credentials, Family, Flag, LeftOut, Ports, SocketType, Type

TYPICAL = {"tcp": SocketType.STREAM, "udp": SocketType.DGRAM}
"""Socket types that follow from a protocol's name, and the other way round."""

ASKED_BACK = LeftOut(((113, 113),))
"""Whom this host asks for something, may ask there who it is (RFC 1413): no touch of a stranger."""

_RLIMITS = ("rlimit_files", "rlimit_as", "rlimit_cpu", "rlimit_data", "rlimit_rss", "rlimit_stack")
_TCPMUX = frozenset({Type.TCPMUX, Type.TCPMUXPLUS})

Environments = dict[tuple[tuple[str, ...] | None, tuple[str, ...]], tuple[str, ...]]
"""Finished environments by (passenv, env): ten thousand services share one."""


def complete(draft: Draft, host: Host, environments: Environments) -> None:
    """Fill in what the lines of *draft* and the defaults leave open."""
    values = draft.values
    _sensor(draft)
    _transport(draft, host)
    _waiting(draft)
    _port(draft, host)
    _ports(draft)
    _rpc(draft, host)
    _address(draft, host)
    _credentials(draft, host)
    if has(draft, Flag.LABELED):
        draft.unlabeled = host.unlabeled()
    if "rlimits" in values:
        values["rlimits"] = tuple(sorted(values["rlimits"], key=lambda row: _RLIMITS.index(row[0])))
    key = (values.get("passenv"), values.get("env", ()))
    if key not in environments:
        environments[key] = _environment(host, *key)
    values["environment"] = environments[key]


def has(draft: Draft, one: Flag | Type) -> bool:
    """Whether the draft has the flag or is of the type."""
    return one in draft.values.get("flags" if isinstance(one, Flag) else "type", ())


def multiplexed(draft: Draft) -> bool:
    """Whether the service is reached through tcpmux, and so has no port."""
    return not _TCPMUX.isdisjoint(draft.values.get("type", ()))


def _sensor(draft: Draft) -> None:
    """SENSOR makes a service INTERNAL (xinetd.conf(5), flags); what it would have run is told and left aside."""
    if not has(draft, Flag.SENSOR):
        return
    values = draft.values
    values["type"] = values.get("type", frozenset()) | {Type.INTERNAL}
    for name in ("server", "redirect"):
        if values.pop(name, None):
            draft.warn(f"a sensor runs nothing, so {name} is ignored", "delete the line, or the flag SENSOR", name)


def _transport(draft: Draft, host: Host) -> None:
    values = draft.values
    kind, protocol = values.get("socket_type"), values.get("protocol")
    if kind is None and protocol is not None and protocol.name in TYPICAL:
        values["socket_type"] = TYPICAL[protocol.name]
    elif protocol is None and kind is not None:
        for name, typical in TYPICAL.items():
            if typical is kind:
                values["protocol"] = host.protocol(name)
    elif kind is not None and protocol is not None and TYPICAL.get(protocol.name, kind) is not kind:
        draft.wrong(
            f"socket_type {kind.value} does not go with protocol {protocol.name}",
            f"write socket_type = {TYPICAL[protocol.name].value}, or another protocol",
            "protocol",
        )


def _waiting(draft: Draft) -> None:
    values = draft.values
    kind, wait = values.get("socket_type"), values.get("wait")
    if kind is SocketType.DGRAM and wait is False:
        values["wait"] = True
        draft.warn(
            f"Service {draft.name} has socket_type dgram, but does not wait: it runs as wait = yes",
            "write wait = yes",
            "wait",
        )
    elif has(draft, Flag.SENSOR):
        values["wait"] = kind is SocketType.DGRAM
        if wait and kind is SocketType.STREAM:
            draft.warn("a stream sensor never waits: wait = yes is ignored", "write wait = no", "wait")
    elif wait and kind is SocketType.STREAM and Type.INTERNAL in values.get("type", ()):
        values["wait"] = False
        draft.warn("an internal stream service never waits: wait = yes is ignored", "write wait = no", "wait")


def _port(draft: Draft, host: Host) -> None:
    values = draft.values
    if values.get("ports"):
        if "port" in values:
            draft.wrong("port and ports in one entry", "keep one of them", "ports")
        return
    if has(draft, Type.RPC) or multiplexed(draft):
        return
    protocol = values.get("protocol")
    unlisted = has(draft, Type.UNLISTED)
    if "port" in values:
        if values["port"] == 0:
            draft.warn("port 0 is a random port that nobody learns", "write a port of 1 to 65535", "port")
    elif unlisted:
        draft.wrong(f"Unlisted service: {draft.name} must have a port entry", "write port = N")
    elif protocol is None:
        if "socket_type" in values:  # else that is what is missing
            text = f"Port not specified for service: {draft.name} and no protocol given"
            draft.wrong(text, "write protocol and port")
        return
    if unlisted:
        return
    if protocol is None:
        if "socket_type" in values:
            text = f"A protocol or a socket_type must be specified for service: {draft.name}."
            draft.wrong(text, "write protocol = NAME, a name from /etc/protocols")
        return
    listed = host.port(draft.name, protocol.name)
    if listed is None:
        text = f"service/protocol combination not in /etc/services: {draft.name}/{protocol.name}"
        if "port" not in values:
            text = f"Port not specified and can't find service: {draft.name} with getservbyname ({protocol.name})"
        draft.wrong(text, unknown_service(draft.name, host))
    elif values.setdefault("port", listed) != listed:
        draft.wrong(
            f"Service {draft.name} expects port {listed}, not {values['port']}",
            "write type = UNLISTED as well, or delete the line",
            "port",
        )


def _ports(draft: Draft) -> None:
    """A sensor at addresses of its own has a port like any other, or many. What is left out of a list is taken out of
    it here; what is left out of what nobody can list stays a list of its own."""
    values = draft.values
    if values.get("addresses"):
        if values.pop("bind", None):
            draft.warn("bind has no effect beside addresses", "delete one of the lines", "bind")
        if not values.get("ports") and values.get("port"):
            values["ports"] = Ports(((values["port"], values["port"]),))
    ports: Ports | None = values.get("ports")
    if ports is None:
        return
    if ports.unused:
        values.setdefault("ports_except", ASKED_BACK)
        return
    out: LeftOut | None = values.get("ports_except")
    if out is None:
        return
    values["ports"] = Ports(without(ports.ranges, out.ranges))
    if not values["ports"].ranges:
        draft.wrong("ports_except leaves nothing of ports", "delete one of the lines", "ports_except")
    values["ports_except"] = LeftOut((), out.spots) if out.spots else None


def _rpc(draft: Draft, host: Host) -> None:
    if not has(draft, Type.RPC):
        return
    draft.values["port"] = 0
    protocol = draft.values.get("protocol")
    if protocol is not None and protocol.name == "tcp":
        draft.values["flags"] = draft.values.get("flags", frozenset()) | {Flag.NOLIBWRAP}  # as xinetd
    if has(draft, Type.UNLISTED):
        return
    number = host.rpc_number(draft.name)
    if number is None:
        draft.wrong(
            f"unknown RPC service: {draft.name}", "add it to /etc/rpc, or write type = RPC UNLISTED and rpc_number = N"
        )
    else:
        draft.values["rpc_number"] = number


def _address(draft: Draft, host: Host) -> None:
    """Family and address of the socket: an address says its own family, else flags do, else it is both."""
    values = draft.values
    v4, v6 = has(draft, Flag.IPV4), has(draft, Flag.IPV6)
    both = v4 and v6
    if both:
        text = f"Service {draft.name} will use IPv6 or fallback to IPv4"
        draft.warn(text, "keep one of the flags IPv4 and IPv6", "flags", level=Level.NOTICE)
        v4 = False
    address = _bound(draft, host, v4, v6 and not both) if values.get("bind") else None
    values["address"] = address
    only6 = values.get("v6only", False)
    if v4 or (address and address.version == 4):
        values["family"] = Family.IPV4
        if only6 and "v6only" in draft.places:
            draft.warn("v6only has no effect on an IPv4 socket", "delete the line", "v6only")
    elif only6 or (address and address.value):
        values["family"] = Family.IPV6
    else:
        values["family"] = Family.DUAL


def _bound(draft: Draft, host: Host, v4: bool, v6: bool) -> Address | None:
    word: str = draft.values["bind"]
    literal = _literal(word)
    version = 4 if v4 else 6 if v6 else 0
    if literal:
        if version and literal.version != version:
            draft.wrong(
                f"{word} is an IPv{literal.version} address, and the flag is IPv{version}",
                "delete the flag, or write an address of its family",
                "bind",
            )
        return literal
    found = host.addresses(word)
    if not found:
        draft.wrong(
            f"bad address: {word}",
            "write an address of this host, or a name that resolves; interface names do not",
            "bind",
        )
        return None
    fitting = (
        [one for one in found if one.version == version] if version else sorted(found, key=lambda one: -one.version)
    )
    if not fitting:
        draft.wrong(
            f"no addresses returned for: {word} of IPv{version}; it has {' '.join(map(str, found))}",
            "delete the flag, or write an address",
            "bind",
        )
        return None
    if len(found) > 1:
        draft.warn(
            f"{word} has {len(found)} addresses; {fitting[0]} is used", "write the address that is meant", "bind"
        )
    return fitting[0]


def _literal(word: str) -> Address | None:
    number = inet_aton(word)
    try:
        return Address.parse(word) if number is None else Address.parse(".".join(map(str, number.to_bytes(4, "big"))))
    except ValueError:
        return None


def _credentials(draft: Draft, host: Host) -> None:
    """User, group and groups as numbers. Who is not root changes neither group nor groups (xinetd's rule)."""
    values = draft.values
    name, group = values.get("user", ""), values.get("group", "")
    if not name and not group:
        return
    row = host.user(name) if name and not is_number(name) else None
    uid = row.uid if row else int(name) if is_number(name) else None
    if host.uid != 0:
        values["credentials"] = Credentials(uid=uid)
        if uid is not None and uid != host.uid and not has(draft, Type.INTERNAL) and not values.get("redirect"):
            draft.wrong(
                f"only root can run servers as user {name}, and this is user {host.uid}",
                f"start sentinetd as root, or write user = {host.uid}",
                "user",
            )
        return
    gid = int(group) if is_number(group) else host.group(group) if group else row.gid if row else uid
    groups: tuple[int, ...] = ()
    if values.get("groups") and uid is not None:
        member = row or host.user_of(uid)
        if member is None:
            draft.wrong(
                f"getpwuid( {uid} ) failed: user {name} has no name, and so no groups", "write groups = no", "user"
            )
        else:
            groups = host.groups(member.name, member.gid)
    values["credentials"] = Credentials(uid, gid, groups)


def _environment(host: Host, passenv: tuple[str, ...] | None, env: tuple[str, ...]) -> tuple[str, ...]:
    """The named variables of the start-up environment, all if none are named; `env` replaces and adds, in order.
    Without REMOTE_HOST: a server that had two would believe the first."""
    known = host.environment
    base = known if passenv is None else {name: known[name] for name in passenv if name in known}
    pairs = dict(base)
    pairs.update((name, value) for name, _, value in (word.partition("=") for word in env))
    pairs.pop("REMOTE_HOST", None)  # that of the client is added to each server's
    return tuple(f"{name}={value}" for name, value in pairs.items())
