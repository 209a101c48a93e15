"""What of the traffic to ports that nobody listens on is brought to the listeners of a sensor."""

from __future__ import annotations

from sentinetd.model.address import Address, Network
from sentinetd.model.noun import dataclass
from sentinetd.model.service import Service
from sentinetd.model.values import Spot, Spread


@dataclass(frozen=True, slots=True)
class Aim:
    """The TCP connections to *network* (None: to every address of the host) that ask for one of *ports* (empty: for
    any), but for those *out* and at *spots*. They come to *listeners*: rows of IP version and port.

    *shared*: a program that listens on all addresses goes first, and what is known to be in use is let be; else only a
    program that listens on just this address goes first.
    """

    network: Network | None
    ports: tuple[Spread, ...]
    out: tuple[Spread, ...]
    spots: tuple[Spot, ...]
    listeners: tuple[tuple[int, int], ...]
    shared: bool

    @property
    def narrowness(self) -> int:
        """The higher, the earlier it is looked at: bits of the network, -1 for all addresses."""
        return -1 if self.network is None else self.network.length


@dataclass(frozen=True, slots=True)
class InUse:
    """A port at which some program listens: of the address with the number *address*, or of all of IP *version*
    (None)."""

    version: int
    address: int | None
    port: int


def watches(service: Service, address: Address, port: int) -> bool:
    """Whether *service*, a sensor to which the kernel brings what it watches, is for *port* at *address*."""
    ports, out = service.ports, service.ports_except
    if ports is None or not (ports.unused or any(low <= port <= high for low, high in ports.ranges)):
        return False
    if service.addresses and address not in service.addresses:
        return False
    if service.address is not None and service.address.value and service.address != address:
        return False
    if out is None:
        return True
    return not any(low <= port <= high for low, high in out.ranges) and not any(
        spot.low <= port <= spot.high and spot.network.holds(address) for spot in out.spots
    )
