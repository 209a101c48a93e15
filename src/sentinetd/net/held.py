"""The descriptors that the guard holds between accept and launch, each under its connection's number.

Every descriptor has one owner. From `put` on it is `Held`; `take` hands it to whoever asks, who closes it; `close`
ends it. A number that is not held is a mistake of ours and raises KeyError.
"""

from __future__ import annotations

import os


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
