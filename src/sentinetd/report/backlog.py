"""Events that wait for a sink: in memory, or on disk where a restart is not to lose them. Bounded, and honest about it.

Those of the delivery under way are taken out and either done with or put back. What does not fit is counted.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from sentinetd.errors import EdgeError, MessageError
from sentinetd.model.events import EVENTS, Event
from sentinetd.model.wire import pack, unpack

KINDS: dict[str, type[Event]] = {kind.kind: kind for kind in EVENTS}
HEADER = 24
"""Bytes at the beginning of a spool: the place of the first event that is not delivered in digits, and a line's end."""
READ_AT_ONCE = 1 << 20
"""Bytes read of a spool at once; an event is far shorter."""


class Backlog(Protocol):
    """Events in order."""

    def __len__(self) -> int:
        """Events that wait, those taken out included."""

    def put(self, event: Event) -> None:
        """Have *event* wait. What goes for it, or if it does not fit, is counted by `dropped`."""

    def take(self, most: int) -> Sequence[Event]:
        """The first ones, at most *most*, to be delivered; the same again until they are `done`."""

    def done(self) -> None:
        """What was taken is delivered, or never will be."""

    def dropped(self) -> int:
        """Events that were lost since the last time this was asked."""

    def close(self) -> int:
        """Let go; how many events are lost by that."""


class Memory:
    """At most *most* events; the oldest that is not being delivered goes first. Begins with *events*."""

    def __init__(self, most: int, events: Sequence[Event] = ()) -> None:
        self._most = most
        self._waiting = deque(events)
        self._taken: list[Event] = []
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    def put(self, event: Event) -> None:
        if len(self) >= self._most:
            self._dropped += 1
            if not self._waiting:
                return
            self._waiting.popleft()
        self._waiting.append(event)

    def take(self, most: int) -> Sequence[Event]:
        if not self._taken:
            self._taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        return self._taken

    def done(self) -> None:
        self._taken = []

    def dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def close(self) -> int:
        lost = len(self)
        self._waiting.clear()
        self._taken = []
        return lost


class Spool:
    """Events in the file *path*, at most *most* bytes of them; those that do not fit are lost. EdgeError if the file
    cannot be opened, or another process has it.

    An event is in the file when `put` returns, and survives the end of the process; that of the machine only as far as
    its kernel had written it. What was being delivered at the end is delivered again.
    """

    def __init__(self, path: str, most: int) -> None:
        self._path = path
        self._most = most
        self._dropped = 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EdgeError(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin()
        except OSError as error:
            os.close(self._file)
            raise EdgeError(f"{path}: {error.strerror}") from error

    def _begin(self) -> None:
        """Find what waits; a line that was torn by the end of the machine is cut off."""
        data = os.pread(self._file, HEADER, 0)
        digits = data.rstrip()
        self._first = int(digits) if digits.isdigit() else HEADER
        self._end = os.fstat(self._file).st_size
        if not HEADER <= self._first <= self._end:
            self._first = self._end = HEADER
        self._count = 0
        place = whole = self._first
        while chunk := os.pread(self._file, READ_AT_ONCE, place):
            self._count += chunk.count(b"\n")
            whole = place + chunk.rfind(b"\n") + 1 if b"\n" in chunk else whole
            place += len(chunk)
        self._end = whole
        os.ftruncate(self._file, self._end)
        self._taken: list[Event] = []
        self._taken_count = 0
        self._taken_end = self._first
        self._mark()

    def __len__(self) -> int:
        return self._count

    def put(self, event: Event) -> None:
        line = json.dumps((event.kind, pack(event)), separators=(",", ":")).encode() + b"\n"
        try:
            if self._end - self._first + len(line) > self._most:
                self._dropped += 1
                return
            done = 0
            while done < len(line):
                done += os.pwrite(self._file, line[done:], self._end + done)
        except OSError:
            self._dropped += 1  # what of it was written is written over by the next
            return
        self._end += len(line)
        self._count += 1

    def take(self, most: int) -> Sequence[Event]:
        while not self._taken and self._count:
            self._read(most)
            if not self._taken:
                self.done()  # nothing of it could be read
        return self._taken

    def _read(self, most: int) -> None:
        room = min(READ_AT_ONCE, self._end - self._first)
        lines = os.pread(self._file, room, self._first).split(b"\n")[:-1][:most]
        self._taken_end = self._first + sum(map(len, lines)) + len(lines)
        self._taken_count = len(lines)
        for line in lines:
            event = _event(line)
            if event is None:
                self._dropped += 1
            else:
                self._taken.append(event)
        if not lines:  # a line without end: nobody's, and nothing behind it can be found
            self._dropped += self._count
            self._taken_count, self._taken_end = self._count, self._end

    def done(self) -> None:
        self._first = self._taken_end
        self._count -= self._taken_count
        self._taken, self._taken_count = [], 0
        if not self._count:
            self._first = self._end = self._taken_end = HEADER
            os.ftruncate(self._file, HEADER)
        elif self._first > self._most and self._first - HEADER > self._end - self._first:
            self._compact()
        self._mark()

    def _compact(self) -> None:
        """Move what waits to the beginning. If that is cut short, what was delivered comes again; nothing is lost:
        what waits is longer away from its new place than it is long."""
        rest = self._end - self._first
        moved = 0
        while moved < rest:
            chunk = os.pread(self._file, min(READ_AT_ONCE, rest - moved), self._first + moved)
            moved += os.pwrite(self._file, chunk, HEADER + moved)
        self._first, self._end = HEADER, HEADER + rest
        self._taken_end = self._first
        self._mark()
        os.ftruncate(self._file, self._end)

    def _mark(self) -> None:
        """Note what is delivered. A disk that does not take it makes that come again after a restart, no more."""
        with suppress(OSError):
            os.pwrite(self._file, b"%-23d\n" % self._first, 0)

    def dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def close(self) -> int:
        os.close(self._file)
        return 0


def _event(line: bytes) -> Event | None:
    """The event that *line* holds; None if it is none that this version knows."""
    try:
        kind, packed = json.loads(line)
        return unpack(KINDS[kind], packed)
    except (ValueError, KeyError, TypeError, MessageError):
        return None
