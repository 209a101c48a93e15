"""inetd.conf(5) of every dialect as entries of xinetd.conf(5).

Understood are the files of 4.3BSD, FreeBSD, NetBSD's positional form, OpenBSD, Debian, GNU inetutils and busybox: an
address before the name, one that holds for the lines below it, tcp4 and tcp6, limits behind the wait flag, user.group
and user:group, login classes, tcpmux and rpc names, continued lines, tcpd.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sentinetd.cli.convert.source import FEWEST, SOCKET_TYPES, Source
from sentinetd.config.host import Host
from sentinetd.config.syntax import Entry, Line, Row, rows
from sentinetd.config.validate import BUILT_IN
from sentinetd.model.address import Address
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.noun import dataclass, field, replace
from sentinetd.model.readers import is_number
from sentinetd.model.values import Place, SocketType

FORM = "write: name socket-type protocol wait|nowait user server argv0 arguments"
TCPD = "tcpd"
PAUSE = 600
"""Seconds for which inetd closes a service that begins too often (inetd(8), "looping")."""
CLOSED_FOR = str(PAUSE)

_FAMILIES = {"4": ("IPv4",), "6": ("IPv6",), "46": (), "64": ()}
_BASES = ("tcp", "udp")


@dataclass(slots=True)
class _Draft:
    """One line on its way to an entry: what the attributes are, and what was told of it."""

    name: str
    place: Place
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    told: list[Diagnostic] = field(default_factory=list)

    def wrong(self, text: str, way_out: str) -> None:
        """The line cannot be converted."""
        self._tell(Scope.ENTRY, Level.ERROR, text, way_out)

    def lost(self, text: str, way_out: str, level: Level = Level.WARNING) -> None:
        """A part of the line has no effect any more."""
        self._tell(Scope.LINE, level, text, way_out)

    def _tell(self, scope: Scope, level: Level, text: str, way_out: str) -> None:
        self.told.append(Diagnostic(scope, self.place, f"{self.name}: {text}", way_out, service=self.name, level=level))

    @property
    def usable(self) -> bool:
        return not any(one.level is Level.ERROR for one in self.told)


@dataclass(frozen=True, slots=True)
class Converted:
    """*entries* that can be written, in order; *told*: what is lost, and which lines are left out."""

    entries: tuple[Entry, ...]
    told: tuple[Diagnostic, ...]


def convert(source: Source, host: Host, daemon_dir: str) -> Converted:
    """The entries that the lines of *source* mean; programs that tcpd would find are in *daemon_dir*."""
    drafts: list[_Draft] = []
    told: list[Diagnostic] = []
    addresses: tuple[str, ...] = ("",)
    for row in _joined(source):
        place, words = row.place, row.words
        if row.wrong:
            told.append(Diagnostic(Scope.LINE, place, row.wrong, "mend the line; it is left out"))
        elif len(words) == 1 and words[0].endswith(":"):
            addresses = _addresses(words[0][:-1])
        elif len(words) > 1 and words[1].lower() in ("on", "off") and any("=" in word for word in words):
            draft = _Draft(words[0], place)
            draft.wrong("NetBSD's form of lines with name = value is not understood", FORM)
            told += draft.told
        else:
            for address in _own_addresses(words) or addresses:
                draft = _line(words, place, address, host, daemon_dir)
                told += draft.told
                if draft.usable:
                    drafts.append(draft)
    if any("NOLIBWRAP" in draft.values.get("flags", ()) for draft in drafts):
        text = "services without tcpd do not ask hosts.allow and hosts.deny, as under inetd"
        way_out = "delete the flag NOLIBWRAP where inetd was run with -w"
        told.append(Diagnostic(Scope.LINE, Place(source.file, 0), text, way_out, level=Level.NOTICE))
    _name(drafts)
    entries = tuple(Entry(draft.place, draft.name, tuple(_lines(draft))) for draft in drafts)
    return Converted(entries, tuple(dict.fromkeys(told)))


def _joined(source: Source) -> Iterator[Row]:
    """The rows of the file; one that begins with a blank goes on with the one before it, unless it is whole itself."""
    raw = source.data.split(b"\n")
    waiting: Row | None = None
    for row in rows(source.data, source.file):
        whole = len(row.words) >= FEWEST and row.words[1].lower() in SOCKET_TYPES
        if waiting and not row.wrong and raw[row.place.line - 1][:1] in (b" ", b"\t") and not whole:
            waiting = replace(waiting, words=waiting.words + row.words)
            continue
        if waiting:
            yield waiting
        waiting = None if row.wrong else row
        if row.wrong:
            yield row
    if waiting:
        yield waiting


def _addresses(text: str) -> tuple[str, ...]:
    """``a,b`` before the colon; empty stands for every address."""
    return tuple("" if one in ("*", "") else one.strip("[]") for one in text.split(","))


def _in_file_system(words: tuple[str, ...]) -> bool:
    """Whether the line is about a socket with a path, which may have colons."""
    return words[0].startswith("/") or words[2:3] == ("unix",)


def _own_addresses(words: tuple[str, ...]) -> tuple[str, ...]:
    """What stands before the name of the service; nothing where nothing does."""
    if _in_file_system(words) or ":" not in words[0]:
        return ()
    return _addresses(words[0].rpartition(":")[0])


def _line(words: tuple[str, ...], place: Place, address: str, host: Host, daemon_dir: str) -> _Draft:
    name = words[0] if _in_file_system(words) else words[0].rpartition(":")[2]
    draft = _Draft(name, place)
    if len(words) < FEWEST:
        missing = ("name", "socket type", "protocol", "wait flag", "user", "server")[len(words)]
        draft.wrong(f"the {missing} is missing", FORM)
    elif _in_file_system(words):
        draft.wrong("a socket in the file system is beyond xinetd", "use a systemd socket: ListenStream=PATH")
    else:
        _, kind, protocol, wait, user, server, *argv = words
        _identity(draft, kind.lower(), protocol, host)
        _place(draft, address)
        _waiting(draft, wait)
        if server == "internal":
            _internal(draft, kind.lower())
        else:
            _owner(draft, user, host)
            _program(draft, server, argv, daemon_dir)
    return draft


def _identity(draft: _Draft, kind: str, protocol: str, host: Host) -> None:
    """Name, type, socket type, protocol, family, port."""
    values = draft.values
    base, *options = protocol.split(",")
    if options:
        draft.lost(f"{','.join(options)} has no effect: xinetd sets no buffer sizes", "set net.core.rmem_default")
    rpc = base.startswith("rpc/")
    base = base.removeprefix("rpc/").partition("/")[0]
    family: tuple[str, ...] = ("IPv4",)
    if base[:3] in _BASES:
        suffix = base[3:]
        if suffix and suffix not in _FAMILIES:
            draft.wrong(f"there is no protocol {base}", "write tcp, udp, tcp4, tcp6, tcp46 or the like")
        family = _FAMILIES.get(suffix, family)
        base = base[:3]
    elif host.protocol(base) is None:
        draft.wrong(f"protocol {base} is not in /etc/protocols", "write tcp or udp")
    if kind not in {one.value for one in SocketType}:
        draft.wrong(f"xinetd has no socket type {kind}", "write stream or dgram")
    values["socket_type"], values["protocol"] = (kind,), (base,)
    if family:
        values["flags"] = family
    name = draft.name
    if rpc:
        name, _, versions = name.partition("/")
        values["type"], values["rpc_version"] = ("RPC",), (versions or "1",)
        if is_number(name):
            values["type"], values["rpc_number"] = ("RPC", "UNLISTED"), (name,)
        elif host.rpc_number(name) is None:
            draft.lost(f"{name} is not in this machine's /etc/rpc", "add it to /etc/rpc where this is to run")
    elif name.startswith("tcpmux/"):
        name = name.removeprefix("tcpmux/")
        values["type"] = ("TCPMUXPLUS" if name.startswith("+") else "TCPMUX", "UNLISTED")
        name = name.removeprefix("+")
    elif is_number(name):
        if int(name) > 65535:
            draft.wrong("there is no such port", "write a port of 1 to 65535")
        values["type"], values["port"] = ("UNLISTED",), (name,)
    elif host.port(name, base) is None and draft.usable:
        draft.lost(
            f"{name}/{base} is not in this machine's /etc/services",
            "add it there, or write type = UNLISTED and port = N",
        )
    draft.name = name
    if not name:
        draft.wrong("the name of the service is missing", FORM)


def _place(draft: _Draft, address: str) -> None:
    """Where it listens. inetd's tcp is IPv4 alone, its tcp6 IPv6 alone, unlike xinetd's own defaults."""
    values = draft.values
    flags = values.get("flags", ())
    if address:
        values["bind"] = (address,)
        try:
            version = Address.parse(address).version
        except ValueError:
            return  # a host name: the flag says which of its addresses
        values["flags"] = (f"IPv{version}",)
    elif flags == ("IPv6",):
        values["v6only"] = ("yes",)


def _waiting(draft: _Draft, word: str) -> None:
    """``wait`` or ``nowait``, then ``.N`` or ``:N`` (starts a minute), or FreeBSD's ``/servers/rate/of-a-source``."""
    values = draft.values
    flag = word[:6] if word.startswith("nowait") else word[:4]
    rest = word[len(flag) :]
    if flag not in ("wait", "nowait") or (rest and rest[0] not in ".:/"):
        draft.wrong(f"{word} is neither wait nor nowait", "write wait or nowait")
        return
    values["wait"] = ("yes" if flag == "wait" else "no",)
    if values["socket_type"] == ("dgram",) and flag == "nowait":
        values["wait"] = ("yes",)
        draft.lost("a datagram service waits: nowait became wait = yes", "write wait in inetd.conf, too")
    limits = [] if not rest else rest[1:].split("/") if rest[0] == "/" else [rest[1:]]
    if not all(is_number(one) and one.isdigit() for one in limits) or len(limits) > 3:
        draft.wrong(f"the limits in {word} are not numbers", "write nowait, nowait.N or nowait/N/N/N")
    elif limits and rest[0] != "/":
        if int(limits[0]):
            values["cps"] = (limits[0], CLOSED_FOR)
            draft.lost(
                f"{limits[0]} starts a minute became as many a second, which never refuses whom inetd serves",
                "write a smaller rate into cps",
                Level.NOTICE,
            )
    else:
        servers, rate, of_source = (int(one) for one in (*limits, *"000"[len(limits) :]))
        if servers:
            values["instances"] = (str(servers),)
        if of_source:
            values["per_source"] = (str(of_source),)
        if rate:
            values["# cps_source"] = (str(rate), "60")
            draft.lost(
                f"xinetd cannot limit a source to {rate} connections a minute",
                f"under sentinetd write: cps_source = {rate} 60",
            )


def _owner(draft: _Draft, word: str, host: Host) -> None:
    """``user``, ``user.group``, ``user:group``, each with ``/class`` behind it; a user may have a dot in its name."""
    values = draft.values
    name, _, login_class = word.partition("/")
    if login_class:
        draft.lost(f"the login class {login_class} has no effect", "write its limits as rlimit_... and nice")
    if host.user(name) is None:
        person, _, group = name.partition(":" if ":" in name else ".")
    else:
        person, group = name, ""
    if not person:
        draft.wrong(f"{word} names no user", "write a user, or user:group")
    elif not is_number(person) and host.user(person) is None:
        draft.lost(f"this machine has no user {person}", "create it where this is to run")
    values["user"] = (person,)
    if group:
        values["group"] = (group,)
        if not is_number(group) and host.group(group) is None:
            draft.lost(f"this machine has no group {group}", "create it where this is to run")
    values["groups"] = ("yes",)  # as inetd does (initgroups(3))


def _internal(draft: _Draft, kind: str) -> None:
    values = draft.values
    name = draft.name.lower()
    if "RPC" in values.get("type", ()) or kind not in {one.value for one in BUILT_IN.get(name, ())}:
        draft.wrong(f"xinetd has no internal service {name} of type {kind}", "name a server in inetd.conf")
    values["type"] = ("INTERNAL", *values.get("type", ()))
    values["id"] = (f"{draft.name}-{kind}",)


def _program(draft: _Draft, server: str, argv: list[str], daemon_dir: str) -> None:
    """Server and arguments. tcpd goes: xinetd asks hosts.allow itself, by the name that tcpd would use."""
    values = draft.values
    flags = list(values.get("flags", ()))
    if server.rpartition("/")[2] == TCPD:
        if not argv:
            draft.wrong("tcpd is not told which server to run", "write the server's name after tcpd")
            return
        server = argv[0] if argv[0].startswith("/") else f"{daemon_dir.rstrip('/')}/{argv[0]}"
        argv = [server.rpartition("/")[2], *argv[1:]]
    else:
        flags.append("NOLIBWRAP")
    if not server.startswith("/"):
        draft.wrong(f"{server} is no absolute path", "write where the program is")
    quoted = next((word for word in argv if word[0] in "'\""), "")
    if quoted:
        draft.wrong(f"xinetd knows no quotes, and an argument is {quoted}", "put the command into a script")
    values["server"] = (server,)
    if argv and argv[0] != server.rpartition("/")[2]:
        flags.append("NAMEINARGS")
        values["server_args"] = tuple(argv)
    elif argv[1:]:
        values["server_args"] = tuple(argv[1:])
    if flags:
        values["flags"] = tuple(flags)


def _name(drafts: list[_Draft]) -> None:
    """Give those an id of their own that share a name: after protocol and family, then the address, then a number."""
    taken: set[str] = set()
    names = Counter(draft.name.lower() for draft in drafts)
    for draft in drafts:
        values = draft.values
        one = values.get("id", (draft.name,))[0]
        if names[draft.name.lower()] > 1 and "id" not in values:
            family = "6" if "IPv6" in values.get("flags", ()) else ""
            one = f"{draft.name}-{values['protocol'][0]}{family}"
        if one.lower() in taken and "bind" in values:
            one = f"{one}-{values['bind'][0]}"
        unique, number = one, 1
        while unique.lower() in taken:
            number += 1
            unique = f"{one}-{number}"
        taken.add(unique.lower())
        if unique != draft.name:
            values["id"] = (unique,)


ORDER = (
    "id", "type", "flags", "socket_type", "protocol", "port", "rpc_version", "rpc_number", "bind", "v6only", "wait",
    "user", "group", "groups", "server", "server_args", "instances", "per_source", "cps", "# cps_source",
)  # fmt: skip
"""How the attributes stand in an entry; flags before server_args, without which xinetd's NAMEINARGS breaks."""


def _lines(draft: _Draft) -> Iterator[Line]:
    for name in ORDER:
        if name in draft.values:
            yield Line(draft.place, name, "=", draft.values[name])
