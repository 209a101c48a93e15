"""The article's table: addresses by ports, and in each cell who takes a connection there. Functions of values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

from sentinetd.cli.plan.ground import Ground, Listener, Port
from sentinetd.config.in_force import servable
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.noun import dataclass
from sentinetd.model.service import Family, Service, Type
from sentinetd.model.values import LeftOut
from sentinetd.net.sock_diag import TCP, UDP

LOOPBACK = (Network(4, 127 << 24, 8), Network(6, 1, 128))
LINK_LOCAL = Network.parse("fe80::/10")
TRANSPORTS = {6: TCP, 17: UDP, 262: TCP}
"""By protocol number: 262 is MPTCP, which is TCP on the wire."""
FEW = 16
"""Ports of one entry that have columns of their own; of more than these, only those that matter for another reason."""


class State(Enum):
    """What a cell of the table is."""

    FREE = "free"
    USED = "used"
    """By a program that is not started by sentinetd."""
    SENSOR = "sensor"
    SERVICE = "service"
    """Served by sentinetd."""


@dataclass(frozen=True, slots=True)
class Cell:
    """*services*: ids of the entries that are meant to be there. *listeners*: the sockets that are.

    Where an entry is meant to be there and another program is, the cell is USED, and *services* tells whose place it
    took.
    """

    state: State
    services: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of the programs, once each; empty where none can be seen."""
        return tuple(dict.fromkeys(holder.program for one in self.listeners for holder in one.holders))

    @property
    def clash(self) -> bool:
        """Whether a program took the place of an entry."""
        return self.state is State.USED and bool(self.services)

    @property
    def open(self) -> bool:
        """Whether anything listens there now."""
        return bool(self.listeners)


FREE = Cell(State.FREE)


@dataclass(frozen=True, slots=True)
class Table:
    """*cells* has one for each row and column."""

    rows: tuple[Address, ...]
    columns: tuple[Port, ...]
    cells: Mapping[tuple[Address, Port], Cell]

    def row(self, address: Address) -> tuple[Cell, ...]:
        """The cells of *address*, in the order of the columns."""
        return tuple(self.cells[address, port] for port in self.columns)

    def column(self, port: Port) -> tuple[Cell, ...]:
        """The cells of *port*, in the order of the rows."""
        return tuple(self.cells[address, port] for address in self.rows)


def listens(service: Service) -> bool:
    """Whether *service* has a socket of its own that this table can show."""
    return (
        servable(service)
        and service.protocol.number in TRANSPORTS
        and not service.type & {Type.TCPMUX, Type.TCPMUXPLUS}
    )


def reaches(service: Service, address: Address) -> bool:
    """Whether the socket of *service* takes what comes to *address*."""
    bound = service.address
    if bound is not None and bound.value:
        return bound == address
    if service.family is Family.IPV4:
        return address.version == 4
    return address.version == 6 or not service.v6only


def takes(service: Service, port: Port) -> bool:
    """Whether *service* has a listener at *port*."""
    if TRANSPORTS.get(service.protocol.number) != port.protocol or service.caught:
        return False
    if service.ports is not None:
        return any(low <= port.number <= high for low, high in service.ports.ranges)
    return service.port == port.number != 0


def catches(service: Service, port: Port, address: Address | None) -> bool:
    """Whether the kernel brings what comes to *port* of *address* (None: of any) to *service*, if nobody listens."""
    if service.ports is None or not service.caught or TRANSPORTS.get(service.protocol.number) != port.protocol:
        return False
    out = service.ports_except or LeftOut()
    if any(low <= port.number <= high for low, high in out.ranges):
        return False
    if not service.ports.unused and not any(low <= port.number <= high for low, high in service.ports.ranges):
        return False
    if address is None:
        return True
    if any(spot.network.holds(address) and spot.low <= port.number <= spot.high for spot in out.spots):
        return False
    return address in service.addresses if service.addresses else reaches(service, address)


def rows(ground: Ground, services: Iterable[Service], everything: bool = False) -> tuple[Address, ...]:
    """The addresses that strangers can reach, and those that entries name. With *everything* loopback and link-local
    ones too, which are also all there is on a host without others."""
    ours = [one for one in services if listens(one)]
    named = {one.address for one in ours if one.address is not None and one.address.value}
    watched = (net for one in ours for net in one.addresses.networks)
    named |= {Address.parse(str(net)) for net in watched if net.length == BITS[net.version]}
    found = sorted({*ground.addresses, *named}, key=_order)
    shown = tuple(one for one in found if everything or one in named or not _inward(one))
    return shown or tuple(found)


def _inward(address: Address) -> bool:
    """Whether only the host itself, or only its neighbours by a name with an interface in it, use *address*."""
    return any(one.holds(address) for one in LOOPBACK) or link_local(address)


def loopback(address: Address) -> bool:
    """Whether *address* is on loopback."""
    return any(one.holds(address) for one in LOOPBACK)


def link_local(address: Address) -> bool:
    """Whether *address* counts on one link only (RFC 4291 section 2.5.6)."""
    return LINK_LOCAL.holds(Address(address.version, address.value, address.text))


def _order(address: Address) -> tuple[bool, int, bool, int, str]:
    return loopback(address), address.version, link_local(address), address.value, address.scope


def columns(ground: Ground, services: Iterable[Service], shown: Sequence[Address]) -> tuple[Port, ...]:
    """The ports at which something listens on one of the addresses *shown*, or is meant to."""
    found = {
        one.port
        for one in ground.listeners
        if not ground.asks(one) and any(one.reaches(address) for address in shown)
    }
    for service in services:
        if listens(service) and any(_here(service, address) for address in shown):
            found.update(_few(service))
    return tuple(sorted(found))


def _here(service: Service, address: Address) -> bool:
    return address in service.addresses if service.addresses else reaches(service, address)


def _few(service: Service) -> Iterator[Port]:
    protocol = TRANSPORTS[service.protocol.number]
    ranges = service.ports.ranges if service.ports is not None else ((service.port, service.port),)
    if sum(high - low + 1 for low, high in ranges) <= FEW:
        for low, high in ranges:
            yield from (Port(protocol, number) for number in range(low, high + 1) if number)


def draw_up(ground: Ground, services: Sequence[Service], shown: Sequence[Address], ports: Sequence[Port]) -> Table:
    """The table of the addresses *shown* by *ports*."""
    ours = [one for one in services if listens(one)]
    cells: dict[tuple[Address, Port], Cell] = {}
    for port in ports:
        listeners = [one for one in ground.listeners if one.port == port]
        meant = [one for one in ours if takes(one, port)]
        for address in shown:
            cells[address, port] = _cell(
                [one for one in meant if reaches(one, address)],
                [one for one in ours if catches(one, port, address)],
                _nearest(listeners, address),
            )
    return Table(tuple(shown), tuple(ports), cells)


def _nearest(listeners: Iterable[Listener], address: Address) -> tuple[Listener, ...]:
    """Who of *listeners* gets what comes to *address*: those bound to it, else those bound to none."""
    reached = [one for one in listeners if one.reaches(address)]
    bound = tuple(one for one in reached if not one.everywhere)
    return bound or tuple(reached)


def _cell(meant: Sequence[Service], catching: Sequence[Service], listeners: tuple[Listener, ...]) -> Cell:
    ids = tuple(one.id for one in meant)
    foreign = any(one.holders for one in listeners) and not any(one.ours for one in listeners)
    if meant and not foreign:
        return Cell(State.SENSOR if any(one.sensor for one in meant) else State.SERVICE, ids, listeners)
    if any(one.ours for one in listeners):
        return Cell(State.SERVICE, ids, listeners)  # of another configuration, or an RPC service's, at a port of chance
    if listeners:
        return Cell(State.USED, ids, listeners)
    if catching:
        return Cell(State.SENSOR, tuple(one.id for one in catching))
    return FREE
