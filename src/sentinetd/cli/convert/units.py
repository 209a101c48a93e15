"""A service as systemd units: systemd.socket(5), systemd.service(5), systemd.exec(5).

A service whose rules of admission systemd cannot keep is left out, with the line that stands in the way; what else is
lost is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from sentinetd.cli.convert.admission import admission
from sentinetd.model.diagnostic import Diagnostic, Level, Scope, printable
from sentinetd.model.noun import dataclass, field
from sentinetd.model.service import Family, Flag, OnSuccess, Service, SocketType, Type
from sentinetd.model.values import Place

PREFIX = "inetd-"
"""Begins every unit's name, lest one takes the place of a unit that a package brings (ssh.socket, rsync.service)."""
UNLIMITED = (1 << 32) - 1
"""For MaxConnections, which knows no word for it and would be 64."""
PROXY = "/usr/lib/systemd/systemd-socket-proxyd"
TCPD = "/usr/sbin/tcpd"

LIMITS = {
    "rlimit_files": "LimitNOFILE",
    "rlimit_as": "LimitAS",
    "rlimit_cpu": "LimitCPU",
    "rlimit_data": "LimitDATA",
    "rlimit_rss": "LimitRSS",
    "rlimit_stack": "LimitSTACK",
}
UNLOGGED = (OnSuccess.USERID, OnSuccess.DURATION, OnSuccess.TRAFFIC)
"""What systemd never logs; the rest is in the journal in some form."""
PROTOCOLS = {
    (SocketType.STREAM, "tcp"): "",
    (SocketType.DGRAM, "udp"): "",
    (SocketType.STREAM, "sctp"): "sctp",
    (SocketType.STREAM, "mptcp"): "mptcp",
    (SocketType.DGRAM, "udplite"): "udplite",
}
"""SocketProtocol= for each kind of socket that systemd can open to the network; "" where it need not be written."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file."""

    name: str
    text: str


@dataclass(slots=True)
class _Draft:
    """One service on its way to units. *file*: the configuration; *tables*: hosts.allow or hosts.deny has rules."""

    service: Service
    file: str
    tables: bool
    told: list[Diagnostic] = field(default_factory=list)
    told_of_all: list[Diagnostic] = field(default_factory=list)

    def impossible(self, attribute: str, text: str, way_out: str, word: str = "") -> None:
        """The service cannot be converted."""
        self._tell(Scope.ENTRY, Level.ERROR, attribute, f"{self.service.id} is left out: {text}", way_out, word)

    def lost(self, attribute: str, text: str, way_out: str = "", word: str = "") -> None:
        """*attribute* has no effect any more."""
        self._tell(Scope.LINE, Level.WARNING, attribute, text, way_out, word)

    def changed(self, attribute: str, text: str, way_out: str = "") -> None:
        """*attribute* has another effect."""
        self._tell(Scope.LINE, Level.NOTICE, attribute, text, way_out)

    def always(self, attribute: str, text: str) -> None:
        """*attribute* has another effect on every service alike; said in the same words each time."""
        place = self.service.places.get(attribute, Place(self.file, 0))
        self.told_of_all.append(Diagnostic(Scope.LINE, place, text, "", attribute, level=Level.NOTICE))

    def _tell(self, scope: Scope, level: Level, attribute: str, text: str, way_out: str, word: str = "") -> None:
        places = self.service.places
        place = places.get(f"{attribute} {word}") or places.get(attribute) or places.get("") or Place("", 0)
        self.told.append(Diagnostic(scope, place, text, way_out, attribute, self.service.id, level))

    def written(self, attribute: str) -> bool:
        """Whether the operator wrote it, here or in the defaults."""
        return attribute in self.service.places

    @property
    def accepts(self) -> bool:
        """Whether systemd accepts for the server (Accept=yes)."""
        return not self.service.wait and self.service.redirect is None

    @property
    def wrapped(self) -> bool:
        """Whether hosts.allow and hosts.deny are judged for it."""
        return self.tables and self.accepts and Flag.NOLIBWRAP not in self.service.flags

    @property
    def usable(self) -> bool:
        return not any(one.level is Level.ERROR for one in self.told)


@dataclass(frozen=True, slots=True)
class Converted:
    """*units* in pairs, none if the service is left out; *told*: what is lost."""

    units: tuple[Unit, ...]
    told: tuple[Diagnostic, ...]


def convert(service: Service, file: str, tables: bool, taken: set[str]) -> Converted:
    """The units of *service* of the configuration *file*, under a name that *taken* does not have yet. *tables*:
    hosts.allow or hosts.deny has rules."""
    draft = _Draft(service, file, tables)
    _kinds(draft)
    _rules(draft)
    if not draft.usable:
        return Converted((), tuple(draft.told))
    for tell in TELL:
        tell(draft)
    name = _unit_name(service.id, taken)
    place = service.places.get("", Place("", 0))
    head = [f"# {printable(str(place))}: made by sentinetctl convert"]
    head += [f"# {printable(one.attribute)}: {printable(one.text)}" for one in draft.told]
    described = [f"Description={variable(f'{service.id}, from {place}')}"]
    socket = [*head, "[Unit]", *described, "", "[Socket]", *_socket(draft), "", "[Install]", "WantedBy=sockets.target"]
    unit = ["[Unit]", *described, *(["CollectMode=inactive-or-failed"] if draft.accepts else [])]
    server = [head[0], *unit, "", "[Service]", *_server(draft)]
    kinds = ((f"{name}.socket", socket), (f"{name}{'@' if draft.accepts else ''}.service", server))
    units = tuple(Unit(title, "\n".join([*lines, ""])) for title, lines in kinds)
    return Converted(units, (*draft.told, *draft.told_of_all))


def _unit_name(one: str, taken: set[str]) -> str:
    """*one* with what a unit's name may not have (systemd.unit(5)) made dashes, and a number where it is taken."""
    plain = PREFIX + "".join(char if (char.isascii() and char.isalnum()) or char in "_.-" else "-" for char in one)
    name, number = plain[:200], 1
    while name.lower() in taken:
        number += 1
        name = f"{plain[:200]}-{number}"
    taken.add(name.lower())
    return name


# What cannot be.


def _kinds(draft: _Draft) -> None:
    service = draft.service
    stay = "leave it to sentinetd or xinetd"
    if service.sensor:
        draft.impossible("flags", "systemd has no sensors, and bans nobody", stay, "SENSOR")
    elif service.type & {Type.TCPMUX, Type.TCPMUXPLUS}:
        draft.impossible("type", "systemd has no tcpmux", stay)
    elif Type.INTERNAL in service.type:
        draft.impossible("type", "systemd has no internal services", "name a server, or " + stay, "INTERNAL")
    elif Type.RPC in service.type:
        draft.impossible("type", "systemd registers nothing with rpcbind", "let the server run by itself", "RPC")
    elif service.ports is not None:
        draft.impossible("ports", "systemd wants each port in a unit", "write an entry for each port")
    elif (service.socket_type, service.protocol.name) not in PROTOCOLS:
        kind = f"{service.socket_type.value}/{service.protocol.name}"
        draft.impossible("socket_type", f"systemd opens no sockets of kind {kind}", stay)
    elif not service.port:
        draft.impossible("port", "port 0 is a random port, which systemd does not open", "write a port")
    elif service.redirect is not None and service.socket_type is not SocketType.STREAM:
        draft.impossible("redirect", "datagrams are not redirected", "name a server")
    elif service.instances == 0 or service.per_source == 0:
        draft.impossible("instances" if service.instances == 0 else "per_source", "it serves nobody", "delete the line")
    elif not service.server and service.redirect is None:
        draft.impossible("server", "it has no server", "write server = PATH")


def _rules(draft: _Draft) -> None:
    """Rules of admission: a unit without one of them would serve whom the configuration refuses."""
    service = draft.service
    without = "delete the line to convert the service without it"
    if service.access_times:
        draft.impossible("access_times", "systemd does not close a socket by the clock", without)
    for name in service.no_access.names:
        draft.impossible("no_access", f"systemd refuses no host names, as {name}", "write addresses", name)
    if Flag.IDONLY in service.flags and OnSuccess.USERID in service.log_on_success:
        draft.impossible("flags", "systemd asks no ident server", "delete IDONLY to convert it without", "IDONLY")
    if service.proxy_protocol:
        draft.impossible("proxy_protocol", "systemd reads no PROXY header", without)
    for net in (*service.only_from.networks, *service.no_access.networks):
        if net.scope:
            draft.impossible("only_from", f"systemd does not know {net}, which has an interface", "write it without")
    if draft.wrapped and service.libwrap and service.libwrap != service.argv[0].rpartition("/")[2]:
        text = "tcpd knows a server by its own name alone, and hosts.allow or hosts.deny has rules"
        draft.impossible("libwrap", text, f"write the rules for {service.argv[0]}, and delete the line")


# What is lost or changed.


def _names(draft: _Draft) -> None:
    for name in draft.service.only_from.names:
        draft.lost("only_from", f"systemd admits no host names: {name} is refused", "write addresses", name)


def _wrappers(draft: _Draft) -> None:
    if draft.wrapped and draft.service.redirect is None:
        draft.changed("libwrap", f"hosts.allow and hosts.deny are judged by {TCPD}", "install the package tcpd")
    elif draft.tables and not draft.accepts and Flag.NOLIBWRAP not in draft.service.flags:
        draft.lost("libwrap", "hosts.allow and hosts.deny are not judged", "use only_from and no_access")


def _limits(draft: _Draft) -> None:
    service = draft.service
    if service.max_load is not None:
        draft.lost("max_load", "systemd refuses nobody for the load")
    if service.cps_source is not None:
        draft.lost("cps_source", "systemd does not limit how fast one source comes", "use MaxConnectionsPerSource=")
    if draft.written("cps") and service.redirect is None and service.cps.rate:
        draft.changed(
            "cps",
            f"beyond {service.cps.rate} in a second systemd closes the socket until somebody restarts it, not for "
            f"{service.cps.wait} seconds",
            "write a greater TriggerLimitBurst= where that may happen",
        )
    if service.redirect is not None and (service.per_source is not None or draft.written("cps")):
        attribute = "per_source" if service.per_source is not None else "cps"
        draft.lost(attribute, "systemd-socket-proxyd knows no limit but that of all connections")
    if not -20 <= service.nice <= 19:
        draft.changed("nice", f"{service.nice} is beyond the kernel's range and became the end of it")


def _telling(draft: _Draft) -> None:
    service = draft.service
    if service.log_type is not None:
        draft.always("log_type", "systemd logs to the journal; see journalctl(1)")
        for one in UNLOGGED:
            if one in service.log_on_success:
                draft.lost("log_on_success", f"{one.value} is not logged", word=one.value)
        if service.log_on_failure:
            draft.lost("log_on_failure", "refused connections are not logged")
    for name in ("banner", "banner_success", "banner_fail"):
        if getattr(service, name):
            draft.lost(name, "systemd sends no banners", "let the server say it")
    if draft.written("mdns") and service.mdns:
        draft.lost("mdns", "systemd does not advertise the service", "write a file for avahi or systemd-resolved")


def _world(draft: _Draft) -> None:
    """What the server finds when it begins."""
    service = draft.service
    if service.passenv is None:
        draft.always("passenv", "servers get systemd's environment, with REMOTE_ADDR in place of REMOTE_HOST")
    if not service.groups and service.user not in ("", "root", "0"):
        draft.always("groups", "servers have all groups of their user, as with groups = yes")
    if service.redirect is not None:
        draft.changed("redirect", f"connections are carried on by {PROXY}")


TELL: tuple[Callable[[_Draft], None], ...] = (_names, _wrappers, _limits, _telling, _world)
"""Everything that systemd does otherwise, in the order in which it is told."""


# The units.


def _socket(draft: _Draft) -> Iterator[str]:
    service = draft.service
    stream = service.socket_type is SocketType.STREAM
    yield f"{'ListenStream' if stream else 'ListenDatagram'}={_address(service)}"
    wildcard = service.address is None or (service.address.version == 6 and not service.address.value)
    if wildcard and service.family is not Family.IPV4:
        yield f"BindIPv6Only={'ipv6-only' if service.family is Family.IPV6 else 'both'}"
    protocol = PROTOCOLS[service.socket_type, service.protocol.name]
    if protocol:
        yield f"SocketProtocol={protocol}"
    yield f"Accept={'yes' if draft.accepts else 'no'}"
    if draft.accepts:
        yield f"MaxConnections={UNLIMITED if service.instances is None else service.instances}"
        if service.per_source:
            yield f"MaxConnectionsPerSource={service.per_source}"
    if service.redirect is None and draft.written("cps"):
        yield f"TriggerLimitIntervalSec={'1s' if service.cps.rate else '0'}"
        if service.cps.rate:
            yield f"TriggerLimitBurst={service.cps.rate}"
    admitted = admission(service.only_from, service.no_access)
    if admitted.allow:
        yield f"IPAddressAllow={' '.join(map(str, admitted.allow))}"
    if admitted.deny or not admitted.everybody_else:
        yield f"IPAddressDeny={' '.join(map(str, admitted.deny)) if admitted.everybody_else else 'any'}"
    if Flag.KEEPALIVE in service.flags:
        yield "KeepAlive=yes"
    if Flag.NODELAY in service.flags:
        yield "NoDelay=yes"


def _address(service: Service) -> str:
    """Where the socket listens; a number alone is every IPv6 address."""
    address = service.address
    if address is None:
        return {Family.IPV4: f"0.0.0.0:{service.port}", Family.IPV6: f"[::]:{service.port}"}.get(
            service.family, str(service.port)
        )
    if address.version == 4:
        return f"{address}:{service.port}"
    scope = f"%%{address.scope}" if address.scope else ""
    return f"[{address.text.partition('%')[0]}]:{service.port}{scope}"


def _server(draft: _Draft) -> Iterator[str]:
    service = draft.service
    if service.redirect is not None:
        most = "" if service.instances is None else f" --connections-max={service.instances}"
        host = f"[{service.redirect.host}]" if ":" in service.redirect.host else service.redirect.host
        yield f"ExecStart={PROXY}{most} {argument(f'{host}:{service.redirect.port}')}"
    else:
        yield f"ExecStart={'-' if draft.accepts else ''}{_command(draft)}"
        yield from ("StandardInput=socket", "StandardOutput=socket", "StandardError=socket")
    if service.user not in ("", "root", "0") or service.group:
        yield f"User={variable(service.user or 'root')}"
    if service.group:
        yield f"Group={variable(service.group)}"
    if service.umask is not None:
        yield f"UMask={service.umask:04o}"
    if service.nice:
        yield f"Nice={min(max(service.nice, -20), 19)}"
    for name, limit in service.rlimits:
        yield f"{LIMITS[name]}={'infinity' if math.isinf(limit) else int(limit)}"
    if service.passenv:
        yield f"PassEnvironment={' '.join(map(variable, service.passenv))}"
    for one in service.env:
        yield f"Environment={variable(one)}"


def _command(draft: _Draft) -> str:
    """ExecStart; with ``@`` where argv[0] is not the program's own name (systemd.service(5))."""
    service = draft.service
    path, argv = service.server, service.argv
    if draft.wrapped:
        return " ".join([f"@{TCPD}", *map(argument, (path, *argv[1:]))])
    if argv[0] == path.rpartition("/")[2]:
        return " ".join(map(argument, (path, *argv[1:])))
    return " ".join([f"@{argument(path)}", *map(argument, argv)])


def argument(word: str) -> str:
    """*word* as one word of a command line (systemd.service(5), command lines)."""
    return r"\;" if word == ";" else variable(word).replace("$", "$$")


def variable(word: str) -> str:
    """*word* as systemd.syntax(7) has it in a list: quotes and backslashes escaped, ``%`` doubled. Bytes that are no
    text are written as numbers."""
    out = []
    for char in word:
        number = ord(char)
        if char in "\\\"'":
            out.append("\\" + char)
        elif char == "%":
            out.append("%%")
        elif 0xDC80 <= number <= 0xDCFF:
            out.append(f"\\x{number - 0xDC00:02x}")
        elif number < 0x20 or number == 0x7F:
            out.append(f"\\x{number:02x}")
        else:
            out.append(char)
    return "".join(out)
