"""Sensors for what is free in the table, each with its reason. A function of values.

Three thoughts of the article: a service that is used at some addresses is a lure at the others; a service that nobody
here uses is a lure everywhere; and where a program listens on all addresses there is no room for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum

from sentinetd.cli.plan.ground import Ground, Port
from sentinetd.cli.plan.table import Cell, State, Table, listens, loopback, takes
from sentinetd.cli.plan.targets import Source, Target
from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass
from sentinetd.model.service import Service
from sentinetd.net.sock_diag import TCP

USUAL = 12
"""Ports that are proposed where nobody says how many."""
MOST_APART = 64
"""Addresses that get a sensor each without being named."""
CATCH_ALL = "catch-all"
NAMED = 4
"""Addresses that a sentence names."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. *named*: these ports and no others, whatever is known of them; *apart*: a sensor for each
    address, since only some addresses are meant; *most*: ports of the list at once; *rest*: a sensor for all others."""

    named: tuple[Port, ...] = ()
    apart: bool = False
    most: int = USUAL
    rest: bool = False


class Kind(Enum):
    """Which of the article's thoughts a proposal follows."""

    ELSEWHERE = "It is used at some addresses: whoever tries it at the others tries every address he can find."
    UNUSED = "Nobody uses it here: whoever wants it is up to no good."
    REST = "Nobody listens there: whoever comes tries doors that were never there."


@dataclass(frozen=True, slots=True)
class Proposal:
    """A sensor at *port* of each of *addresses*; none: at every address of the host, by one socket.

    *facts*: what about this host speaks for it, and what is known of the port, as sentences; *beware* is one, too, and
    empty where there is nothing to beware of. *rank* in nmap's order, 0 for none. Kind REST has no port.
    """

    kind: Kind
    port: Port
    name: str
    addresses: tuple[Address, ...]
    facts: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    rank: int = 0
    beware: str = ""

    @property
    def rest(self) -> bool:
        return self.kind is Kind.REST

    @property
    def why(self) -> str:
        """All of it."""
        return " ".join((self.kind.value, *self.facts))

    @property
    def cited(self) -> str:
        """Who says so, in short."""
        return ", ".join(f"nmap #{self.rank}" if one.key == "nmap" else one.key for one in self.sources)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A port of which nothing is proposed, and why."""

    port: Port
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What comes out; *left* ports of the list were good, too, but more than were asked for."""

    proposals: tuple[Proposal, ...]
    refusals: tuple[Refusal, ...]
    left: int = 0


def candidates(used: Sequence[Port], wish: Wish, known: Mapping[Port, Target]) -> tuple[Port, ...]:
    """The ports that are to be looked at, those in use among them."""
    return tuple(sorted({*used, *(wish.named or known)}))


def propose(
    table: Table,
    ground: Ground,
    services: Sequence[Service],
    wish: Wish,
    known: Mapping[Port, Target],
    name: Callable[[Port], str],
) -> Plan:
    """What to do with the free cells of *table*, which has a column for each of `candidates`.

    Ports that are used somewhere come first, then the list in its order. *name* gives what services(5) calls a port.
    """
    proposals: list[Proposal] = []
    refusals: list[Refusal] = []
    left = 0
    for port in _ordered(table, wish, known):
        target = known.get(port)
        called = name(port) or (target.name if target else f"port-{port.number}")
        used = [cell for cell in table.column(port) if cell.state is not State.FREE]
        refusal = _refused(port, table, ground) or ("" if wish.named else _one_family(table.column(port), table.rows))
        if refusal:
            if wish.named or target or port in table.columns:
                refusals.append(Refusal(port, called, refusal))
        elif not wish.named and not used and len(proposals) >= wish.most:
            left += 1
        else:
            one = _proposal(port, called, table, ground, services, wish, target)
            many = len(one.addresses) if not (wish.named or wish.apart) else 0
            if many > MOST_APART:
                why = f"{many} addresses need a sensor each; name some with --addresses, or take --catch-all for all"
                refusals.append(Refusal(port, called, why))
            else:
                proposals.append(one)
    if wish.rest:
        proposals.append(_rest())
    return Plan(tuple(proposals), tuple(refusals), left)


def _ordered(table: Table, wish: Wish, known: Mapping[Port, Target]) -> Iterator[Port]:
    if wish.named:
        yield from wish.named
        return
    shared = [
        port
        for port in table.columns
        if port.protocol == TCP and any(cell.state in (State.USED, State.SERVICE) for cell in table.column(port))
    ]
    yield from shared
    yield from (port for port in known if port.protocol == TCP and port not in shared)


def _refused(port: Port, table: Table, ground: Ground) -> str:
    """Why no sensor is proposed at *port*; empty if one is."""
    cells = table.column(port)
    if port.number in ground.ephemeral:
        low, high = ground.ephemeral.low, ground.ephemeral.high
        return f"the kernel hands out {low} to {high} to programs that ask for any port"
    if all(cell.state is State.SENSOR for cell in cells):
        return "it has a sensor already"
    if all(cell.state is not State.FREE for cell in cells):
        everywhere = {name for cell in cells for one in cell.listeners if one.everywhere for name in _names(cell)}
        whose = " and ".join(sorted({name for cell in cells for name in _names(cell)})) or "a program"
        return f"{whose} listens on {'all addresses' if everywhere else 'each address'}"
    return ""


def _one_family(cells: Sequence[Cell], addresses: Sequence[Address]) -> str:
    """Why a port is left alone that a program has at every address of one IP version and at none of the other: clients
    that look its name up may try the other first, in good faith (RFC 8305)."""
    for version, other in ((4, 6), (6, 4)):
        taken = [cell for cell, at in zip(cells, addresses, strict=True) if at.version == version]
        free = [cell for cell, at in zip(cells, addresses, strict=True) if at.version == other]
        wide = taken and all(one.everywhere for cell in taken for one in cell.listeners)
        if wide and all(cell.state is State.USED for cell in taken) and all(cell.state is State.FREE for cell in free):
            whose = " and ".join(sorted({name for cell in taken for name in _names(cell)})) or "a program"
            return f"{whose} listens on all IPv{version} addresses, and its clients may try IPv{other} first"
    return ""


def _names(cell: Cell) -> tuple[str, ...]:
    return cell.programs if cell.state is State.USED else cell.services or cell.programs


def _proposal(
    port: Port,
    called: str,
    table: Table,
    ground: Ground,
    services: Sequence[Service],
    wish: Wish,
    target: Target | None,
) -> Proposal:
    cells = {address: table.cells[address, port] for address in table.rows}
    free = tuple(address for address, cell in cells.items() if cell.state is State.FREE)
    taken = {at: cell for at, cell in cells.items() if cell.state in (State.USED, State.SERVICE)}
    apart = wish.apart or len(free) < len(cells) or not _room_everywhere(port, table, ground, services)
    facts = []
    if taken:
        whose = " and ".join(sorted({name for cell in taken.values() for name in _names(cell)})) or "A program"
        facts.append(f"{whose} has it at {_listed(taken)}.")
    elif len(free) < len(cells):
        facts.append(f"It has sensors at {_listed(at for at in cells if at not in free)} already.")
    elif apart and not wish.apart:
        facts.append("A program has it at an address that is not shown, so each other one gets a sensor of its own.")
    if target is not None:
        facts.append(f"{target.why[0].upper()}{target.why[1:]}.")
    beware = f"It may be touched in good faith by {target.beware}." if target and target.beware else ""
    if port.protocol != TCP:
        beware = f"{beware} A datagram's sender can be forged: the sensor tells and does not ban.".strip()
    kind = Kind.ELSEWHERE if taken else Kind.UNUSED
    known = (target.sources, target.rank) if target is not None else ((), 0)
    return Proposal(kind, port, called, free if apart else (), tuple(facts), *known, beware)


def _listed(addresses: Iterable[Address]) -> str:
    """Some of *addresses*, and how many more."""
    every = [str(address) for address in addresses]
    return ", ".join(every[:NAMED]) + (f" and {len(every) - NAMED} more" if len(every) > NAMED else "")


def _room_everywhere(port: Port, table: Table, ground: Ground, services: Sequence[Service]) -> bool:
    """Whether one socket can take *port* of every address: nobody has it or will have it, not on loopback either."""
    if any(one.port == port for one in ground.listeners) or any(listens(one) and takes(one, port) for one in services):
        return False
    return any(not loopback(one) for one in table.rows)


def _rest() -> Proposal:
    beware = "Programs that start later get their ports all the same."
    return Proposal(Kind.REST, Port(TCP, 0), CATCH_ALL, (), beware=beware)
