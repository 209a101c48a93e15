"""What the engine has to look at later, and when."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum


class Due(IntEnum):
    """What is to be looked at; the number beside it says which one."""

    REOPEN = 1
    """A paused service, by its number."""
    ANSWER = 2
    """A question that must have been answered by now, by its connection's number."""
    RETRY = 3
    """A connection for which no process could be made, by its number."""
    KILL = 4
    """A server that was told to end, by its connection's number."""
    IDENTITY = 5
    """A refused client that must have been identified by now, by its connection's number."""
    JUDGE = 6
    """The datagram clients of an intercepted service, by its number."""
    HEADER = 7
    """A connection that must have announced its client by now, by its number."""


class Agenda:
    """Entries in the order of their times, seconds on the engine's clock.

    Nothing is taken off before its time: whoever looks finds that nothing is to be done any more. No entry is made for
    longer ahead than a service's pause, so few are idle ones.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, int]] = []  # heap of (time, due, number)

    def add(self, at: float, due: Due, number: int) -> float:
        """Have *due* looked at for *number* at *at*, which is given back."""
        heapq.heappush(self._entries, (at, due, number))
        return at

    def next(self) -> float | None:
        """Time of the first entry; None if there is none."""
        return self._entries[0][0] if self._entries else None

    def pop(self, now: float) -> Iterator[tuple[Due, int]]:
        """Take off what is due at *now*, the earliest first; also what is added for that time meanwhile."""
        while self._entries and self._entries[0][0] <= now:
            _, due, number = heapq.heappop(self._entries)
            yield Due(due), number
