"""An intercepted service (xinetd.conf(5), INTERCEPT): its clients in front, the one server for all of them behind.

In front every connection, and for datagrams every client, is judged and counted like any other. The server behind is
known by a connection without a source, like that of any waiting service; it is started when somebody admitted waits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.connection import Connection
from sentinetd.model.service import Cps
from sentinetd.policy.tally import Bucket

WHOSE = {4: 32, 6: 64}
"""Bits of an address that say whose it is, by IP version: an IPv6 host may have a whole /64."""


class Behind:
    """The server of one intercepted service. *bucket* counts how often it is started, which must not be too often."""

    __slots__ = ("_unnamed", "bucket", "connection", "pid", "watched")

    def __init__(self, cps: Cps, now: float) -> None:
        self.bucket = Bucket(cps, now)
        self.connection: Connection | None = None  # what the server was ordered for, until it has ended
        self.pid = 0  # of the server, while it runs
        self.watched = False  # its datagram clients are to be judged again before long
        self._unnamed: dict[int, Connection] = {}  # carried to a server that has no process id yet, by number

    def begun(self, connection: Connection, pid: int) -> list[tuple[Connection, int]]:
        """What is to be told as started now that *connection* is carried, or its server is process *pid*: each client
        once, with its server's process id; the server by itself if no client is known for it."""
        if connection.source is None:
            self.pid = pid
            clients, self._unnamed = list(self._unnamed.values()), {}
            return [(client, pid) for client in clients or [connection]]
        if self.pid:
            return [(connection, self.pid)]
        self._unnamed[connection.number] = connection
        return []

    def over(self, connection: Connection) -> bool:
        """*connection* is over; whether that is the end of the server, which is to be told."""
        if connection.source is None:
            self.pid = 0
            return True
        self._unnamed.pop(connection.number, None)
        return False


class Visitors:
    """Datagram clients that are carried, by whose address they have: a ban holds for their very next datagram."""

    def __init__(self) -> None:
        self._of: dict[Hashable, dict[int, Address]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def __bool__(self) -> bool:
        return bool(self._of)

    def add(self, number: int, source: Address) -> None:
        """Connection *number* stands for a client at *source*."""
        self._of.setdefault(_key(source.version, source.value), {})[number] = source

    def remove(self, number: int, source: Address) -> None:
        """It does no more."""
        whose = _key(source.version, source.value)
        clients = self._of.get(whose)
        if clients is not None and clients.pop(number, None) is not None and not clients:
            del self._of[whose]

    def within(self, network: Network) -> Iterator[int]:
        """Connections of all clients in *network*."""
        if network.length >= WHOSE[network.version]:
            known = self._of.get(_key(network.version, network.value))
            candidates = list((known or {}).items())
        else:
            candidates = [pair for clients in self._of.values() for pair in clients.items()]
        return (number for number, source in candidates if network.holds(source))


def _key(version: int, value: int) -> Hashable:
    return version, value >> BITS[version] - WHOSE[version]
