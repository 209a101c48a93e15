"""Trips, each with the ban that it began, as columns: how a flood of them crosses between our processes.

The two events of a trip say most things twice, and of the next trip the same again. As columns they take a fifth of the
time to write and to read. What is made of a run is exactly what was put into it; what does not fit crosses as it is.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from sentinetd.errors import MessageError
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import BanImposed, Event, SensorTripped
from sentinetd.model.noun import dataclass
from sentinetd.model.wire import LARGEST

ROW = struct.Struct(">ddQHBB16s")
"""When, seconds of the ban, the connection's number, the client's port; length of the network that is banned; the
source's IP version and number."""
ROWS_MOST = 256
"""Trips of one run."""

_Head = tuple[int, str, str, Address | None, int, bool, str]  # what the trips of a run have in common


@dataclass(frozen=True, slots=True)
class TripRun:
    """Trips of one sensor: what they have in common, named as in `SensorTripped`; *scope* is that of the sources. Of
    what differs, *rows* has one `ROW` for each."""

    number: int
    service: str
    protocol: str
    local: Address | None
    local_port: int
    of_many: bool
    scope: str
    rows: bytes

    def events(self) -> list[Event]:
        """For each trip the ban and the trip. MessageError if this is no run."""
        if len(self.rows) % ROW.size or len(self.rows) > ROWS_MOST * ROW.size:
            raise MessageError(f"{len(self.rows)} bytes are no rows of {ROW.size}")
        found: list[Event] = []
        for at, span, connection, port, length, version, packed in ROW.iter_unpack(self.rows):
            value = int.from_bytes(packed, "big")
            bits = BITS.get(version)
            if bits is None or length > bits or value >> bits or not _sayable(at, span):
                raise MessageError(f"no trip is {(at, span, length, version, value)}")
            source = Address.of(version, value, self.scope)
            found.append(BanImposed(at, Network.of(source, length), at + span, self.service, Origin.SENSOR))
            trip = SensorTripped(
                at, self.number, self.service, source, port, span, "",
                connection, self.protocol, self.local, self.local_port, self.of_many,
            )  # fmt: skip
            found.append(trip)
        return found


def gathered(records: Sequence[Any]) -> Sequence[Any]:
    """*records* in their order, bans by sensors and the trips that began them in runs."""
    if len(records) < 2 or BanImposed not in map(type, records):
        return records
    found: list[Any] = []
    head: _Head | None = None
    rows: list[bytes] = []
    pair: BanImposed | None = None  # a ban whose trip may be next
    for record in records:
        if pair is not None:
            ban, pair = pair, None
            if type(record) is SensorTripped and (row := _row(ban, record)) is not None:
                common = (
                    record.number, record.service, record.protocol, record.local, record.local_port, record.of_many,
                    record.source.scope,
                )  # fmt: skip
                if common != head or len(rows) == ROWS_MOST:
                    _close(found, head, rows)
                    head = common
                rows.append(row)
                continue
            _close(found, head, rows)
            found.append(ban)
        if type(record) is BanImposed:
            pair = record
        else:
            _close(found, head, rows)
            found.append(record)
    _close(found, head, rows)
    if pair is not None:
        found.append(pair)
    return found


def _close(found: list[Any], head: _Head | None, rows: list[bytes]) -> None:
    """Put the run of *rows* behind what was *found*, if there are any."""
    if rows and head is not None:
        found.append(TripRun(*head, b"".join(rows)))
        rows.clear()


def _sayable(at: float, span: float) -> bool:
    """Whether these are a time and a span, by the bounds of `wire`; NaN is neither."""
    return -LARGEST < at < LARGEST and (0.0 <= span < LARGEST or span == math.inf)


def _row(ban: BanImposed, trip: SensorTripped) -> bytes | None:
    """The row of *trip* and the *ban* that it began; None if `TripRun` could not say both."""
    source, network = trip.source, ban.network
    if (
        ban.at != trip.at
        or ban.until != trip.at + trip.ban_span
        or ban.sensor != trip.service
        or ban.origin is not Origin.SENSOR
        or ban.who
        or ban.note
        or trip.why_not
        or network.scope != source.scope
        or not network.holds(source)
        or not _sayable(trip.at, trip.ban_span)
    ):
        return None
    try:
        return ROW.pack(
            trip.at, trip.ban_span, trip.connection, trip.port, network.length, source.version,
            source.value.to_bytes(16, "big"),
        )  # fmt: skip
    except (struct.error, OverflowError):
        return None
