"""What the table cannot show by itself, as sentences: who listens everywhere, what is left out, what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sentinetd.cli.plan.ground import Ground, Listener, Port
from sentinetd.cli.plan.table import State, Table, link_local, listens, loopback
from sentinetd.model.address import Address
from sentinetd.model.service import Service

NAMED = 6
"""Things that one sentence names; of more, how many more there are."""


def remarks(ground: Ground, services: Sequence[Service], table: Table, root: bool) -> Iterator[str]:
    """Sentences for below *table*. *root*: whoever asked could see all processes."""
    yield from everywhere(ground)
    yield from _clashes(table)
    yield from _shut(services, table)
    yield from _rest(services)
    yield from _inside(ground, table)
    yield from _unshown(ground, table)
    yield from _unseen(ground, root)


def everywhere(ground: Ground) -> Iterator[str]:
    """The article's note on Apache: who listens on all addresses leaves no room for a sensor at those ports."""
    foreign = [one for one in ground.listeners if one.everywhere and not one.ours and not ground.asks(one)]
    four = _by_program(one for one in foreign if one.reaches(_FOUR))
    six = _by_program(one for one in foreign if one.reaches(_SIX))
    for name in sorted({*four, *six}):
        in_four, in_six = four.get(name, set()), six.get(name, set())
        for told, ports in (
            ("address", in_four & in_six), ("IPv4 address", in_four - in_six), ("IPv6 address", in_six - in_four)
        ):  # fmt: skip
            if ports:
                yield f"{name} listens on every {told}, at {_ports(ports)}: no sensor fits beside it there."


_FOUR, _SIX = Address.parse("192.0.2.1"), Address.parse("2001:db8::1")
"""Some address of either version."""


def _ports(ports: Iterable[Port]) -> str:
    return _listed(map(str, sorted(ports)))


def _by_program(listeners: Iterable[Listener]) -> dict[str, set[Port]]:
    """The ports of each program. Several processes of one name (a server and its workers) are one."""
    found: dict[str, set[Port]] = {}
    for one in listeners:
        names = list(dict.fromkeys(holder.program for holder in one.holders)) or ["A program that cannot be seen"]
        for name in names:
            found.setdefault(name, set()).add(one.port)
    return dict(sorted(found.items()))


def _clashes(table: Table) -> Iterator[str]:
    for (address, port), cell in table.cells.items():
        if cell.clash:
            wanted, has = " and ".join(cell.services), " and ".join(cell.programs)
            yield f"{wanted} cannot have {address} port {port}: {has} listens there."


def _shut(services: Sequence[Service], table: Table) -> Iterator[str]:
    """Entries at whose place nothing listens."""
    meant = {one: cell for cell in table.cells.values() for one in cell.services if cell.state is not State.USED}
    opened = {one for cell in table.cells.values() for one in cell.services if cell.open}
    caught = {one.id for one in services if one.caught}
    shut = [one for one in meant if one not in opened and one not in caught]
    if shut and not opened:
        yield f"Nothing listens for {_listed(shut)}: sentinetd does not run with this configuration."
    elif shut:
        yield f"Nothing listens for {_listed(shut)}: paused, or not loaded yet (sentinetctl reload)."


def _rest(services: Sequence[Service]) -> Iterator[str]:
    for one in services:
        if listens(one) and one.caught and one.ports is not None:
            where = _listed(map(str, one.addresses.networks)) or "every address"
            ports = "every port" if one.ports.unused else "its ports"
            yield f"{one.id} takes {ports} of {where} where nothing listens, by the kernel's redirection."


def _inside(ground: Ground, table: Table) -> Iterator[str]:
    """Who listens on loopback only is in nobody's way."""
    if any(loopback(address) for address in table.rows):
        return
    inner = [one for one in ground.listeners if loopback(one.socket.address) and not ground.asks(one)]
    found = _by_program(inner)
    if found:
        said = (f"{name} ({_ports(ports)})" for name, ports in found.items())
        yield f"Only on loopback, not shown: {_listed(said)}."


def _unshown(ground: Ground, table: Table) -> Iterator[str]:
    left = [address for address in ground.addresses if address not in table.rows and not loopback(address)]
    near = [address for address in left if link_local(address)]
    if near:
        yield f"Not shown: {_count(len(near), 'link-local address', 'es')}; --all shows them."
    asking = len({one.socket.port for one in ground.listeners if ground.asks(one)})
    if asking:
        yield f"Not shown: {_count(asking, 'datagram port')} that the kernel chose, of programs that ask."


def _unseen(ground: Ground, root: bool) -> Iterator[str]:
    if ground.unseen:
        why = "of the kernel itself, or of another process namespace" if root else "run this as root to have them named"
        yield f"The programs of {_count(ground.unseen, 'socket')} cannot be seen: {why}."


def _listed(words: Iterable[str]) -> str:
    every = list(words)
    if len(every) > NAMED:
        return f"{', '.join(every[: NAMED - 1])} and {len(every) - NAMED + 1} more"
    return ", ".join(every)


def _count(number: int, noun: str, more: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else more}"

