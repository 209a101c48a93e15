"""Entries to services: defaults folded in, what is disabled left out, names looked up, every rule applied.

Defaults reach every service wherever they stand. A mistake in an entry leaves out that service alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sentinetd.config import table
from sentinetd.config.complete import Environments, complete
from sentinetd.config.draft import Draft, first_line, known_places, read_lines
from sentinetd.config.files import Gathered
from sentinetd.config.host import Host
from sentinetd.config.kin import Kin
from sentinetd.config.pieces import Piece
from sentinetd.config.recall import Known, Recall
from sentinetd.config.syntax import Entry, Line
from sentinetd.config.validate import validate
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.noun import dataclass
from sentinetd.model.readers import nearest
from sentinetd.model.service import Service
from sentinetd.model.values import Family, Flag, Place, SocketType, Type

ORDERED_IN_XINETD = ("only_from", "no_access", "banner", "banner_success", "banner_fail")
"""Attributes of the defaults that xinetd gives only to services that it reads after them."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """*faulty*: ids, in lower case, of entries left out for a mistake."""

    services: tuple[Service, ...]
    diagnostics: tuple[Diagnostic, ...]
    faulty: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An entry that may count, by its *id*. *known*: what it comes to, if that is known; else *entry* is there, or has
    to be made of *piece*, which is `plain`. *out*: it is not to be examined."""

    id: str
    out: bool
    piece: Piece | None
    entry: Entry | None
    known: Known | None = None


def resolve(gathered: Gathered, host: Host, recall: Recall | None = None) -> Resolved:
    """The services that the entries of *gathered* describe. *recall* knows what the last reading came to."""
    recall = recall or Recall()
    told = list(gathered.diagnostics)
    defaults = _defaults(gathered, host, told)
    recall.begin(defaults, host)
    candidates = [_candidate(written, recall) for written in gathered.entries]
    environments: Environments = {}
    services: list[Service] = []
    faulty: set[str] = set()
    rivals, kin = _Rivals(), Kin(host)
    for one in _wanted(candidates, defaults, told):
        service = one.known.service if one.known else None
        if service is None and one.piece and not one.entry and (service := kin.like(one.piece)):
            recall.keep(one.piece, one.id, service)
        if service is None or rivals.of(service):
            draft = _draft(one, defaults, host, environments)
            service = _judged(draft, rivals, services)
            told.extend(draft.told)
            if not draft.usable:
                faulty.add(one.id.lower())
            elif one.piece and service and not draft.told and Flag.LABELED not in service.flags:
                recall.keep(one.piece, one.id, service)
                if not one.entry:
                    kin.learn(one.piece, draft.values, service)
        if service is not None:
            services.append(service)
            rivals.add(service)
    return Resolved(tuple(services), tuple(told), frozenset(faulty))


def _candidate(written: Piece | Entry, recall: Recall) -> _Candidate:
    piece = written if isinstance(written, Piece) else None
    known = recall.known(piece) if piece else None
    if known:
        return _Candidate(known.id, known.service is None, piece, None, known)
    if piece and piece.plain:
        return _Candidate(piece.name, False, piece, None)
    entry = written.entry() if isinstance(written, Piece) else written
    line = first_line(entry.lines, "id")
    disable = first_line(entry.lines, "disable")
    name = line.words[0] if line else entry.name
    out = disable is not None and disable.words[0].lower() == "yes"
    if out and piece:
        recall.keep(piece, name, None)
    return _Candidate(name, out, piece, entry)


def _draft(one: _Candidate, defaults: Draft, host: Host, environments: Environments) -> Draft:
    """What the lines of *one* and the defaults say, completed and checked."""
    entry = one.entry or (one.piece.entry() if one.piece else None)
    assert entry is not None
    draft = Draft(entry.name, one.id, entry.place, told=list(entry.diagnostics), whole=entry.whole)
    read_lines(draft, entry.lines, defaults, host)
    draft.inherit(defaults)
    if entry.whole:
        complete(draft, host, environments)
        validate(draft)
    return draft


def _judged(draft: Draft, rivals: _Rivals, services: list[Service]) -> Service | None:
    """The service that *draft* comes to beside *rivals*; None if none, which is told. One of the *services* may have to
    go for it."""
    service = _service(draft) if draft.usable else None
    rival = rivals.of(service) if service else None
    if service and rival:
        if not _hides(service, rival):
            _told_apart(draft, service, rival)
            return None
        _told_hidden(draft, service, rival)
        rivals.remove(rival)
        services[:] = [one for one in services if one is not rival]
    return service


def _defaults(gathered: Gathered, host: Host, told: list[Diagnostic]) -> Draft:
    """One draft of all defaults entries, in the order they were read."""
    where = gathered.defaults[0][0].place if gathered.defaults else Place("", 0)
    draft = Draft("", "", where)
    lines: list[Line] = []
    for entry, before in gathered.defaults:
        lines.extend(entry.lines)
        told.extend(entry.diagnostics)
        late = sorted({line.name for line in entry.lines if line.name in ORDERED_IN_XINETD})
        if before and late:
            text = (
                f"{' '.join(late)} of this defaults entry also reach the {before} services above it, unlike in xinetd"
            )
            draft.warn(text, "move the defaults entry to the top", place=entry.place)
    read_lines(draft, lines, None, host)
    told.extend(draft.told)
    return draft


def _wanted(candidates: Iterable[_Candidate], defaults: Draft, told: list[Diagnostic]) -> list[_Candidate]:
    """Entries that count. What is disabled is not examined, so its mistakes are not told."""
    enabled: tuple[str, ...] | None = defaults.values.get("enabled")
    disabled: tuple[str, ...] = defaults.values.get("disabled", ())
    only = None if enabled is None else {one.lower() for one in enabled}
    never = {one.lower() for one in disabled}
    wanted: list[_Candidate] = []
    ids: set[str] = set()
    for one in candidates:
        key = one.id.lower()
        ids.add(key)
        if not one.out and (only is None or key in only) and key not in never:
            wanted.append(one)
    for attribute, words in (("enabled", enabled or ()), ("disabled", disabled)):
        for word in words:
            if word.lower() not in ids:
                text = f"no entry has the id {word}"
                place = defaults.where(attribute)
                told.append(
                    Diagnostic(
                        Scope.LINE,
                        place,
                        text,
                        f"{nearest(word, ids)}ids are meant, not names",
                        attribute,
                        level=Level.WARNING,
                    )
                )
    return wanted


def _service(draft: Draft) -> Service:
    values = {name: value for name, value in draft.values.items() if name not in _STEERING}
    values["id"] = draft.id
    return Service(name=draft.name, places=known_places(draft), **values)


_STEERING = frozenset(row.field for row in table.STEERING)


class _Rivals:
    """Services by port and protocol: which earlier one a later one cannot live beside."""

    def __init__(self) -> None:
        self._known: defaultdict[tuple[int, int], list[Service]] = defaultdict(list)
        self._caught: list[Service] = []

    def add(self, service: Service) -> None:
        if service.caught:
            self._caught.append(service)
            return
        for port in _ports(service):
            self._known[port, service.protocol.number].append(service)

    def remove(self, service: Service) -> None:
        """Take one away that was added; not of those that are brought what others leave."""
        for port in _ports(service):
            key = port, service.protocol.number
            self._known[key] = [one for one in self._known[key] if one is not service]

    def of(self, service: Service) -> Service | None:
        if service.caught:
            return next((one for one in self._caught if _watch_the_same(one, service)), None)
        for port in _ports(service):
            for one in self._known.get((port, service.protocol.number), ()):
                if _collide(one, service):
                    return one
        return None


def _ports(service: Service) -> Iterable[int]:
    return (service.port,) if service.ports is None else service.ports.numbers()


def _watch_the_same(one: Service, other: Service) -> bool:
    """Whether two sensors are brought the same connections, of which each goes to one. Of two networks the narrower
    one's comes first, so those may lie within each other."""
    if one.address != other.address or one.ports is None or other.ports is None:
        return False
    networks = set(one.addresses.networks)
    if (networks or other.addresses) and networks.isdisjoint(other.addresses.networks):
        return False
    if one.ports.unused or other.ports.unused:
        return True
    return any(a <= d and c <= b for a, b in one.ports.ranges for c, d in other.ports.ranges)


def _collide(earlier: Service, later: Service) -> bool:
    """Whether both would want the same socket.

    As in xinetd, an earlier service with an address refuses a later one on all addresses. Beyond it, two on all
    addresses are told here, not at bind; so is, for streams, an address behind a wildcard, where bind fails as well.
    """
    if Type.RPC in earlier.type and Type.RPC in later.type:
        return earlier.rpc_number == later.rpc_number and _overlap(earlier.rpc_version, later.rpc_version)
    if not (earlier.port or earlier.ports) or not (later.port or later.ports):
        return False
    families = {earlier.family, later.family}
    if len(families) == 2 and Family.DUAL not in families:
        return False
    if earlier.address == later.address or (earlier.address and not later.address):
        return True
    return not earlier.address and later.socket_type is SocketType.STREAM


def _overlap(one: tuple[int, int] | None, other: tuple[int, int] | None) -> bool:
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]


_WAY_OUT = "give them different ports or bind addresses, or delete one"


def _told_apart(draft: Draft, service: Service, rival: Service) -> None:
    where = rival.places.get("", "")
    if service.id.lower() == rival.id.lower():
        text = (
            f"service: {service.name} id: {service.id} not unique or is a duplicate of the one at {where} - DISABLING"
        )
    else:
        text = (
            f"service: {service.name} id: {service.id} is unique but its identical to "
            f"service: {rival.name} id: {rival.id} at {where} - DISABLING"
        )
    if _both_bound(service, rival):
        draft.warn(f"{text}; it is left out", _WAY_OUT)
    else:
        draft.wrong(text, _WAY_OUT)


def _both_bound(one: Service, other: Service) -> bool:
    """Whether xinetd binds both: sockets of datagrams to all addresses. Debian's own files have such pairs."""
    datagrams = one.socket_type is other.socket_type is SocketType.DGRAM
    return datagrams and not (one.address or other.address) and Type.RPC not in one.type


def _hides(later: Service, earlier: Service) -> bool:
    """Whether *later* gets whatever comes to both: of two such sockets the kernel brings everything to the last."""
    return _both_bound(later, earlier) and later.family is earlier.family and later.ports == earlier.ports


def _told_hidden(draft: Draft, service: Service, rival: Service) -> None:
    text = (
        f"service: {rival.name} id: {rival.id} at {rival.places.get('', '')} has the port of "
        f"service: {service.name} id: {service.id}, which gets whatever comes; it is left out"
    )
    draft.warn(text, _WAY_OUT)


def in_order(told: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file, in the order the files come up, and by line; what several services inherit is told once."""
    files: dict[str, int] = {}
    for one in told:
        files.setdefault(one.place.file, len(files))
    once: dict[tuple[Scope, Place, str, str], Diagnostic] = {}
    for one in told:
        once.setdefault((one.scope, one.place, one.attribute, one.text), one)
    return tuple(sorted(once.values(), key=lambda one: (files[one.place.file], one.place.line)))
