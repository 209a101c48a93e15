"""Trips, each with the ban that it began, as columns: how a flood of them crosses between our processes.

The two events of a trip say most things twice, and of the next trip the same again. The guard tells one `Tripped`; what
comes together is a `TripRun` on its way; whoever reads that has a `TripTable`, and most of what is made of trips is
made of it row by row. Its `events` are for whoever wants to hear of each.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sentinetd.errors import MessageError
from sentinetd.model.address import BITS, OCTETS, Address, Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.events import BanImposed, Event, SensorTripped
from sentinetd.model.noun import dataclass
from sentinetd.model.wire import LARGEST

ROWS = {4: struct.Struct(">ddQH4s"), 6: struct.Struct(">ddQH16s")}
"""A row by the IP version of the sources: when, seconds of the ban, the connection's number, the client's port, the
source."""
ROWS_MOST = 256
"""Trips of one run."""

Row = tuple[float, float, int, int, bytes]


@dataclass(frozen=True, slots=True)
class Tripped:
    """A touch of a sensor, and the ban of *network* that it began, of *span* seconds from *at*; the other fields are as
    in `SensorTripped`. It stands for two events, the ban and the trip."""

    at: float
    number: int
    service: str
    source: Address
    port: int
    span: float
    network: Network
    connection: int
    protocol: str
    local: Address | None
    local_port: int
    of_many: bool

    def events(self) -> tuple[BanImposed, SensorTripped]:
        """What it stands for."""
        return (
            BanImposed(self.at, self.network, self.at + self.span, self.service, Origin.SENSOR),
            SensorTripped(
                self.at, self.number, self.service, self.source, self.port, self.span, "", self.connection,
                self.protocol, self.local, self.local_port, self.of_many,
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TripRun:
    """Trips of one sensor: what they have in common, named as in `Tripped`; *version*, *length* and *scope* are those
    of the networks that are banned. Of what differs, *rows* has one of `ROWS` for each."""

    number: int
    service: str
    protocol: str
    local: Address | None
    local_port: int
    of_many: bool
    version: int
    length: int
    scope: str
    rows: bytes

    def table(self) -> TripTable:
        """What it says. MessageError if this is no run."""
        form = ROWS.get(self.version)
        if form is None or not 0 <= self.length <= BITS[self.version] or (self.scope and self.version == 4):
            raise MessageError(f"no bans are of IP version {self.version}, /{self.length}, {self.scope!r:.80}")
        if not self.rows or len(self.rows) % form.size or len(self.rows) > ROWS_MOST * form.size:
            raise MessageError(f"{len(self.rows)} bytes are no rows of {form.size}")
        rows: list[Row] = list(form.iter_unpack(self.rows))
        for at, span, _, _, _ in rows:  # NaN is neither
            if not (-LARGEST < at < LARGEST and (0.0 < span < LARGEST or span == math.inf)):
                raise MessageError(f"no ban of {span} seconds begins at {at}")
        return TripTable(self, rows)


class TripTable:
    """The trips of a *run*, of which there is at least one, in their order."""

    __slots__ = ("_events", "_sources", "rows", "run")

    def __init__(self, run: TripRun, rows: Sequence[Row]) -> None:
        self.run = run
        self.rows = rows
        self._sources: list[str] | None = None
        self._events: list[Event] | None = None

    def __len__(self) -> int:
        """How many trips."""
        return len(self.rows)

    def sources(self) -> Sequence[str]:
        """The text of each source."""
        if self._sources is None:
            version, scope = self.run.version, self.run.scope
            if version == 4:
                of = OCTETS
                self._sources = [f"{of[a]}.{of[b]}.{of[c]}.{of[d]}" for _, _, _, _, (a, b, c, d) in self.rows]
            else:
                self._sources = [Address.of(version, _number(row[4], "big"), scope).text for row in self.rows]
        return self._sources

    def times(self) -> Sequence[float]:
        """When each was. Those that came together were judged as of one moment."""
        return [row[0] for row in self.rows]

    def seconds(self) -> Iterator[tuple[int, slice]]:
        """The seconds in which there were trips, whole ones of Unix time, and which: most runs are of one."""
        times = self.times()
        first = math.floor(min(times))
        if first == math.floor(max(times)):
            yield first, slice(0, len(times))
            return
        begin = 0
        for second, together in groupby(times, math.floor):
            end = begin + sum(1 for _ in together)
            yield second, slice(begin, end)
            begin = end

    def bans(self) -> Iterator[Ban]:
        """The ban that each began, in Unix time."""
        run = self.run
        fill = BITS[run.version] - run.length
        for at, span, _, _, packed in self.rows:
            network = Network(run.version, _number(packed, "big") >> fill << fill, run.length, run.scope)
            yield Ban(network, at, at + span, run.service)

    def events(self) -> Sequence[Event]:
        """For each trip the ban and the trip."""
        if self._events is None:
            run = self.run
            found: list[Event] = []
            for ban, text, (at, span, connection, port, packed) in zip(
                self.bans(), self.sources(), self.rows, strict=True
            ):
                source = Address(run.version, _number(packed, "big"), text, run.scope)
                found.append(BanImposed(at, ban.network, ban.until, run.service, Origin.SENSOR))
                trip = SensorTripped(
                    at, run.number, run.service, source, port, span, "",
                    connection, run.protocol, run.local, run.local_port, run.of_many,
                )  # fmt: skip
                found.append(trip)
            self._events = found
        return self._events


def gathered(records: Sequence[Any]) -> Sequence[Any]:
    """*records* in their order, trips with their bans in runs."""
    if Tripped not in map(type, records):
        return records
    found: list[Any] = []
    for kind, alike in groupby(records, type):
        if kind is Tripped:
            found += _runs(alike)
        else:
            found += alike
    return found


def each_event(records: Iterable[Any]) -> Iterator[Event]:
    """The events among *records*; those that stand for several, one by one."""
    for record in records:
        if isinstance(record, Tripped | TripTable):
            yield from record.events()
        elif isinstance(record, Event):
            yield record


def _runs(trips: Iterable[Tripped]) -> Iterator[TripRun]:
    """*trips* in as few runs as it takes."""
    for head, alike in groupby(trips, _head):
        form = ROWS[head[6]]
        size, pack = BITS[head[6]] // 8, form.pack
        rows = [
            pack(one.at, one.span, one.connection, one.port, one.source.value.to_bytes(size, "big")) for one in alike
        ]
        for first in range(0, len(rows), ROWS_MOST):
            yield TripRun(*head, b"".join(rows[first : first + ROWS_MOST]))


_head: Callable[[Tripped], tuple[int, str, str, Address | None, int, bool, int, int, str]] = attrgetter(
    "number", "service", "protocol", "local", "local_port", "of_many", "network.version", "network.length",
    "network.scope",
)  # fmt: skip
"""What the trips of a run have in common."""
_number = int.from_bytes
