"""What of the traffic to ports that nobody listens on is brought to the listeners of a sensor."""

from __future__ import annotations

from dataclasses import dataclass

from sentinetd.model.address import Network
from sentinetd.model.values import Spot, Spread


@dataclass(frozen=True, slots=True)
class Aim:
    """The TCP connections to *network* (None: to every address of the host) that ask for one of *ports* (empty: for
    any), but for those *out* and at *spots*. They come to *listeners*: rows of IP version and port.

    *shared*: a program that listens on all addresses goes first; else only one that listens on just this address does.
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
