"""The descriptors that the guard holds between accept and launch, each under its connection's number.

Every descriptor has one owner. From `put` on it is `Held`; `take` hands it to whoever asks, who closes it; `close`
ends it. A number that is not held is a mistake of ours and raises KeyError. Beside them the one descriptor kept in
reserve for the time when there are no others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress


class Held:
    """Connection number to open descriptor."""

    __slots__ = ("_descriptors",)

    def __init__(self) -> None:
        self._descriptors: dict[int, int] = {}

    def put(self, number: int, descriptor: int) -> None:
        """Hold *descriptor* for connection *number*, which must not be held already."""
        if number in self._descriptors:
            raise KeyError(number)
        self._descriptors[number] = descriptor

    def take(self, number: int) -> int:
        """Hand the descriptor of connection *number* over and forget it: the caller closes it."""
        return self._descriptors.pop(number)

    def peek(self, number: int) -> int:
        """The descriptor of connection *number*, which stays held: to send it to another process, or to write."""
        return self._descriptors[number]

    def close(self, number: int) -> None:
        """Hang up connection *number* and forget it."""
        os.close(self._descriptors.pop(number))

    def close_all(self) -> None:
        """Hang up every connection that is held."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    @property
    def count(self) -> int:
        """How many connections are held."""
        return len(self._descriptors)

    def __contains__(self, number: int) -> bool:
        return number in self._descriptors


class Spare:
    """One descriptor in reserve, so that a process which has run out can still accept and hang up.

    A listener whose queue cannot be emptied stays readable and its clients wait until they time out. With the spare
    given up for a moment there is room to tell them no.
    """

    __slots__ = ("_descriptor",)

    def __init__(self) -> None:
        self._descriptor: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def shed(self, refuse: Callable[[], bool], limit: int) -> int:
        """Call *refuse* (`Listener.refuse_one`) up to *limit* times in the spare's room; how many were refused.

        What *refuse* raises passes through.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        refused = 0
        try:
            while refused < limit and refuse():
                refused += 1
        finally:
            with suppress(OSError):  # the whole system is out of them (ENFILE): the next call tries again
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        return refused

    def close(self) -> None:
        """Give the reserve up for good."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
