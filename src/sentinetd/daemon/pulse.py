"""A sign of life at regular intervals, as long as somebody wants it."""

from __future__ import annotations

from collections.abc import Callable

from sentinetd.daemon.loop import Loop, Moment

EVERY = 60.0
"""Seconds between two signs of life."""


class Pulse:
    """Calls *beat* each *every* seconds while it is wanted."""

    def __init__(self, loop: Loop, beat: Callable[[], None], every: float = EVERY) -> None:
        self._loop = loop
        self._beat = beat
        self._every = every
        self._next: Moment | None = None

    def want(self, wanted: bool) -> None:
        """From now on signs of life are *wanted*, the first one at once, or not any more."""
        if wanted and self._next is None:
            self._tick()
        elif not wanted and self._next is not None:
            self._next.cancel()
            self._next = None

    def _tick(self) -> None:
        self._next = self._loop.after(self._every, self._tick)
        self._beat()
