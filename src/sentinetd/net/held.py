"""The descriptors that the guard holds between accept and launch, each under its connection's number.

Every descriptor has one owner. From `put` on it is `Held`; `take` hands it to whoever asks, who closes it; `close`
ends it. One that was sent to another process is lent: only its number stays, until it is closed or comes back. A number
that is not held is a mistake of ours and raises KeyError; `find`, `lend` and `release` are for whoever cannot know.
"""

from __future__ import annotations

import os

LENT = -1
"""In place of a descriptor that another process has."""


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
        """Hand the descriptor of connection *number* over and forget it: the caller closes it. LENT if it is lent."""
        return self._descriptors.pop(number)

    def peek(self, number: int) -> int:
        """The descriptor of connection *number*, which stays held: to send it to another process, or to write. KeyError
        also if it is lent."""
        descriptor = self._descriptors[number]
        if descriptor == LENT:
            raise KeyError(number)
        return descriptor

    def find(self, number: int) -> int | None:
        """As `peek`; None if nothing is held for connection *number*."""
        descriptor = self._descriptors.get(number)
        if descriptor == LENT:
            raise KeyError(number)
        return descriptor

    def lend(self, number: int) -> None:
        """Let go of the descriptor of connection *number*, if one is held: another process has a copy."""
        descriptor = self._descriptors.get(number)
        if descriptor is not None:
            self._descriptors[number] = LENT
            os.close(descriptor)

    def give_back(self, number: int, descriptor: int) -> None:
        """Hold *descriptor* for connection *number* again, which it was lent for; close it if nobody waits for it."""
        if self._descriptors.get(number) == LENT:
            self._descriptors[number] = descriptor
        else:
            os.close(descriptor)

    def close(self, number: int) -> None:
        """Hang up connection *number*, as far as it is ours, and forget it."""
        descriptor = self._descriptors.pop(number)
        if descriptor != LENT:
            os.close(descriptor)

    def release(self, number: int) -> None:
        """As `close`, if anything is held for connection *number*."""
        descriptor = self._descriptors.pop(number, LENT)
        if descriptor != LENT:
            os.close(descriptor)

    def close_all(self) -> None:
        """Hang up every connection that is held."""
        while self._descriptors:
            self.close(next(iter(self._descriptors)))

    @property
    def count(self) -> int:
        """How many connections are held or lent."""
        return len(self._descriptors)

    def __contains__(self, number: int) -> bool:
        return number in self._descriptors
