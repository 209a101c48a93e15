"""The guard's end of the seam to the courier: what it was told and has not written yet is kept, and told again.

Records are numbered and go in order, in packets. The courier answers with the number up to which everything is
written; what is not answered when it dies goes to its successor. So nothing is lost, and a line may be written twice.

What waits for an answer is kept as the bytes of its packets, about 110 for a line, not as objects, and in pages of its
own: how far the courier gets behind changes from moment to moment, and the guard is not to grow by it for good.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sentinetd.daemon.channel import PACKET, Channel, decode, encode
from sentinetd.daemon.messages import (
    FileSink,
    Greeting,
    Handed,
    InForce,
    Instructed,
    ServiceGone,
    ServiceLog,
    SinkGone,
    SyslogSink,
)
from sentinetd.daemon.spool import Spool
from sentinetd.errors import MessageError
from sentinetd.model.events import (
    EVENTS,
    BanEvicted,
    BanImposed,
    BanLifted,
    BansCleared,
    Event,
    EventsLost,
    ExemptionAdded,
    ExemptionEnded,
    Level,
    Notice,
)
from sentinetd.model.events import ROUTINE as ROUTINE_EVENTS
from sentinetd.model.noun import dataclass
from sentinetd.model.trip_run import Tripped, TripRun, each_event

KEPT_MOST = 50_000
"""Records that wait for the courier's answer; beyond it, events that change no ban are dropped and counted."""
RECORDS_AT_ONCE = 256
"""Records in one packet, and most that are not packed yet."""
SOON, LATER = 0.01, 0.02
"""Seconds after records were sent in which the next ones wait for others; the longer ones if all are routine."""
ROUTINE = frozenset(ROUTINE_EVENTS)
"""What happens so often, and matters so little by itself, that it may wait longer for more of its kind."""
NO_SINK = -1
"""Number of no sink: to close it is a message without effect."""
BANS = (Tripped, BanImposed, BanLifted, BanEvicted, BansCleared, ExemptionAdded, ExemptionEnded)
"""What changes the store, and is never dropped."""

LASTING = frozenset((*EVENTS, Tripped, ServiceGone))
"""What a successor of the courier has to hear of as it was told; of the rest it hears how it is by then."""
WITH_FILE = frozenset((FileSink, Handed))
"""What goes in a packet of its own, with an open file."""


@dataclass(frozen=True, slots=True)
class _Packet:
    """*count* records, the last of them number *last* (0: what only a new courier is told).

    *content*: as they cross; or the one that is told with its file, if that is open when it is sent. *again*: a
    successor of the courier has to hear of them.
    """

    last: int
    count: int
    content: memoryview | FileSink | Handed
    again: bool


class Link:
    """What the courier is to know. *wall* gives Unix time, for the event of a loss."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._channel: Channel | None = None
        self._sequence = 1  # of the next record
        self._fresh: list[Any] = []  # told last, not packed yet
        self._lasting = False  # whether those are told again to a successor; all are, or none
        self._kept: deque[_Packet] = deque()  # told before, not answered
        self._unsent: deque[_Packet] = deque()  # what this courier has not been sent
        self._behind = 0
        self._spool = Spool()
        self._lost = 0
        self._urgent = False
        self._sinks: dict[int, FileSink | SyslogSink] = {}
        self._files: dict[int, int] = {}  # sink -> descriptor, ours to close
        self._services: dict[int, ServiceLog] = {}
        self._in_force: Instructed | None = None
        self._proposed: Instructed | None = None
        self._handed: dict[Handed, int] = {}  # files of those two; the descriptors are ours to close
        self._leaving: deque[tuple[int, int]] = deque()  # (sequence, service): forget it when that is answered

    @property
    def behind(self) -> int:
        """Records that are not answered yet."""
        return self._behind

    @property
    def wants_write(self) -> bool:
        """Whether records wait to be sent."""
        return self._channel is not None and bool(self._unsent or self._fresh)

    @property
    def patience(self) -> float:
        """Seconds after something was sent for which what waits may wait for more: a process woken for each line costs
        more than the line."""
        if self._unsent:
            return 0.0
        return SOON if self._urgent else LATER

    def tell(self, event: Event | Tripped) -> None:
        """Have *event* written. Only queues; see `pump`."""
        if type(event) is Tripped and self._lasting and 0 < len(self._fresh) < RECORDS_AT_ONCE and not self._lost:
            self._fresh.append(event)  # one of a flood, of which each would go through all that follows
            self._sequence += 1
            self._behind += 1
            self._urgent = True
            return
        if self._behind >= KEPT_MOST and not isinstance(event, BANS):
            self._lost += 1
            return
        if self._lost and self._behind < KEPT_MOST // 2:
            lost, self._lost = self._lost, 0
            self._append(EventsLost(self._wall(), lost))
        self._append(event)

    def open_sink(self, message: FileSink | SyslogSink, descriptor: int | None = None) -> None:
        """From now on sink `message.sink` is this; the link owns *descriptor*, a file's."""
        self._close_file(message.sink)
        self._sinks[message.sink] = message
        if descriptor is not None:
            self._files[message.sink] = descriptor
        self._append(message)

    def close_sink(self, sink: int) -> None:
        """Nothing more goes to *sink*."""
        self._close_file(sink)
        del self._sinks[sink]
        self._append(SinkGone(sink))

    def _close_file(self, sink: int) -> None:
        descriptor = self._files.pop(sink, None)
        if descriptor is not None:
            os.close(descriptor)

    def descriptor(self, sink: int) -> int | None:
        """The open file of *sink*, which stays the link's; None if it is not a file."""
        return self._files.get(sink)

    def propose(self, message: Instructed, descriptors: Sequence[int]) -> None:
        """Ask the courier whether it can do as *message* says; *descriptors*, the files that it numbers, become ours.
        What was proposed before and is not in force is withdrawn."""
        self.withdraw()
        self._proposed = message
        for number, descriptor in enumerate(descriptors):
            self._hand(Handed(message.request, number), descriptor)
        self._append(message)

    def withdraw(self) -> None:
        """What was proposed last is not to be put in force any more."""
        if self._proposed is not None:
            self._close_files_of(self._proposed.request)
            self._proposed = None

    def enact(self) -> None:
        """What was proposed last is in force from here on."""
        if self._proposed is None:
            raise ValueError("nothing was proposed")
        before, self._in_force, self._proposed = self._in_force, self._proposed, None
        self._append(InForce(self._in_force.request))
        if before is not None:
            self._close_files_of(before.request)

    def replace_file(self, number: int, descriptor: int) -> None:
        """File *number* of the settings in force is *descriptor* now, which becomes ours."""
        if self._in_force is None:
            raise ValueError("no settings are in force")
        self._hand(Handed(self._in_force.request, number), descriptor)

    def _hand(self, message: Handed, descriptor: int) -> None:
        before = self._handed.get(message)
        if before is not None:
            os.close(before)
        self._handed[message] = descriptor
        self._append(message)

    def _close_files_of(self, request: int) -> None:
        for message in [message for message in self._handed if message.request == request]:
            os.close(self._handed.pop(message))

    def service(self, message: ServiceLog) -> None:
        """From now on the service logs as *message* says."""
        self._services[message.number] = message
        self._append(message)

    def forget(self, number: int) -> None:
        """No event of the service *number* follows."""
        self._leaving.append((self._sequence, number))
        self._append(ServiceGone(number))

    def say(self, message: Any) -> None:
        """Queue a message that is of no further interest once sent, such as a farewell."""
        self._append(message)

    def _append(self, record: Any) -> None:
        kind = type(record)
        lasts, alone = kind in LASTING, kind in WITH_FILE
        if self._fresh and (lasts is not self._lasting or alone or len(self._fresh) == RECORDS_AT_ONCE):
            self._pack()  # packets are of one sort: they are told again as a whole, or not
        self._lasting = lasts
        self._fresh.append(record)
        self._sequence += 1
        self._behind += 1
        if alone:
            self._pack()
        if kind not in ROUTINE:
            self._urgent = True

    def _pack(self) -> None:
        """What was told last becomes packets."""
        fresh, self._fresh = self._fresh, []
        packets = tuple(self._packets(fresh, self._sequence - 1, self._lasting))
        self._kept += packets
        if self._channel is not None:
            self._unsent += packets

    def _packets(self, records: list[Any], last: int, again: bool) -> Iterator[_Packet]:
        """The packets of *records*, of which the last has that number: one, or more if their texts are long."""
        if type(records[0]) in WITH_FILE:
            yield _Packet(last, 1, records[0], again)
            return
        content = encode(last, records)
        if len(content) <= PACKET or len(records) == 1:
            yield _Packet(last, len(records), self._spool.keep(content), again)
            return
        half = len(records) // 2
        yield from self._packets(records[:half], max(0, last - len(records) + half), again)
        yield from self._packets(records[half:], last, again)

    def attach(self, channel: Channel, greeting: Greeting) -> None:
        """A new courier: tell it what there is, then all events that no courier has answered."""
        if self._fresh:
            self._pack()
        self._channel = channel
        self._kept = deque(packet for packet in self._kept if packet.again)
        self._behind = sum(packet.count for packet in self._kept)
        directives = (greeting, *self._sinks.values(), *self._services.values(), *self._instructions())
        self._unsent = deque(packet for batch in _batches(directives) for packet in self._packets(batch, 0, False))
        self._unsent += self._kept
        self._urgent = True

    def _instructions(self) -> list[Any]:
        """What a new courier has to hear of the settings."""
        told: list[Any] = []
        for message in (self._in_force, self._proposed):
            if message is not None:
                told += (file for file in self._handed if file.request == message.request)
                told.append(message)
                if message is self._in_force:
                    told.append(InForce(message.request))
        return told

    def detach(self) -> None:
        """The courier is gone; keep everything until there is another."""
        self._channel = None
        self._unsent.clear()

    def pump(self) -> None:
        """Send what the channel takes. ChannelClosed if the courier is gone."""
        while self._channel is not None and (self._unsent or self._fresh):
            if not self._unsent:
                self._pack()
            if not self._send(self._channel, self._unsent[0]):
                return
            self._unsent.popleft()
        self._urgent = False

    def _send(self, channel: Channel, packet: _Packet) -> bool:
        """Whether *channel* took *packet*."""
        record = packet.content
        if isinstance(record, memoryview):
            return channel.send_packet(record)
        held = self._handed.get(record) if isinstance(record, Handed) else self._files.get(record.sink)
        if held is not None:
            return channel.send(packet.last, [record], [held])
        # Closed again before it could be sent: say nothing of it.
        return channel.send(packet.last, [SinkGone(record.sink if isinstance(record, FileSink) else NO_SINK)])

    def answered(self, sequence: int) -> None:
        """The courier has written everything up to *sequence*, the last of a packet."""
        while self._kept and self._kept[0].last <= sequence:
            self._behind -= self._kept.popleft().count
        while self._leaving and self._leaving[0][0] <= sequence:
            self._services.pop(self._leaving.popleft()[1], None)

    def remaining(self) -> list[Event]:
        """Events that no courier has answered: to be written without one."""
        packed = [packet.content for packet in self._kept if isinstance(packet.content, memoryview) and packet.again]
        records = [record for content in packed for record in self._unpacked(bytes(content))]
        return list(each_event((*records, *self._fresh)))

    def _unpacked(self, content: bytes) -> list[Any]:
        """The records of a packet, or, where the courier could not have read it either, word of that."""
        try:
            return decode(content, {kind.__name__: kind for kind in (TripRun, *LASTING)})[1]
        except MessageError as error:
            return [Notice(self._wall(), Level.ERROR, f"what was told last cannot be written: {error}")]

    def close(self) -> None:
        """Let go of the files."""
        for sink in list(self._files):
            self._close_file(sink)
        while self._handed:
            os.close(self._handed.popitem()[1])


def _batches(records: Iterable[Any]) -> Iterator[list[Any]]:
    """The same, as many at once as may be packed at once."""
    batch: list[Any] = []
    for record in records:
        if batch and (type(record) in WITH_FILE or type(batch[0]) in WITH_FILE or len(batch) == RECORDS_AT_ONCE):
            yield batch
            batch = []
        batch.append(record)
    yield batch
