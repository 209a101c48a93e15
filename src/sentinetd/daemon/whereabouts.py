"""Which addresses are the host's own, and which networks are next to it: now, and whenever that changes."""

from __future__ import annotations

from collections.abc import Callable

from sentinetd.daemon.loop import Loop, Moment
from sentinetd.errors import EdgeError
from sentinetd.model.address import AddressSet
from sentinetd.model.events import Level
from sentinetd.net.host_addresses import Watcher, exempt_own, on_link
from sentinetd.policy.inputs import Surroundings

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before what could not be read is tried again; the last for ever."""


class Whereabouts:
    """Tells *moved*. *notice* has a sentence written."""

    def __init__(self, loop: Loop, moved: Callable[[Surroundings], None], notice: Callable[[Level, str], None]) -> None:
        self._loop = loop
        self._moved = moved
        self._notice = notice
        self._watcher: Watcher | None = None
        self._failures = 0  # in a row
        self._again: Moment | None = None

    def watch(self) -> None:
        """Learn which addresses are the host's own, now and whenever they change. What cannot be had is told once, and
        tried again and again: no descriptor or no memory is a matter of moments."""
        self._again = None
        unwatched, unread = self._watched(), self._read()
        if unwatched or unread:
            if self._failures == 0:
                what = "are not known and may get banned" if unread else "are looked at now and then only"
                self._notice(Level.ERROR, f"the host's own addresses {what}: {unread or unwatched}; tried again")
            pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
            self._failures += 1
            self._again = self._loop.after(pause, self.watch)
        elif self._failures:
            self._failures = 0
            self._notice(Level.NOTICE, "the host's own addresses are known again, and watched")

    def _watched(self) -> str:
        """Have changes told; why that cannot be, or ""."""
        if self._watcher is None:
            try:
                self._watcher = Watcher()
            except EdgeError as error:
                return str(error)
            self._loop.read(self._watcher.fileno(), self._changed)
        return ""

    def _changed(self) -> None:
        try:
            changed = self._watcher is not None and self._watcher.drain()
        except EdgeError:
            self.close()
            changed = True
        if changed and self._again is None:
            self.watch()

    def close(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._loop.forget(self._watcher.fileno())
            self._watcher.close()
            self._watcher = None

    def _read(self) -> str:
        """Tell what there is now; why that cannot be, or ""."""
        try:
            around = Surroundings(exempt_own(), AddressSet(tuple(on_link())))
        except EdgeError as error:
            return str(error)
        self._moved(around)
        return ""
