"""Which addresses are the host's own, and which networks are next to it: now, and whenever that changes."""

from __future__ import annotations

from collections.abc import Callable

from sentinetd.daemon.loop import Loop
from sentinetd.errors import EdgeError
from sentinetd.model.address import AddressSet
from sentinetd.model.events import Level
from sentinetd.net.host_addresses import Watcher, exempt_own, on_link
from sentinetd.policy.inputs import Surroundings


class Whereabouts:
    """Tells *moved*. *notice* has a sentence written."""

    def __init__(self, loop: Loop, moved: Callable[[Surroundings], None], notice: Callable[[Level, str], None]) -> None:
        self._loop = loop
        self._moved = moved
        self._notice = notice
        self._watcher: Watcher | None = None

    def watch(self) -> None:
        """Learn which addresses are the host's own, now and whenever they change."""
        try:
            self._watcher = Watcher()
            self._loop.read(self._watcher.fileno(), self._changed)
        except EdgeError as error:
            self._notice(Level.WARNING, f"changes of the host's own addresses will not be noticed: {error}")
        self._read()

    def _changed(self) -> None:
        if self._watcher is not None and self._watcher.drain():
            self._read()

    def _read(self) -> None:
        try:
            around = Surroundings(exempt_own(), AddressSet(tuple(on_link())))
        except EdgeError as error:
            self._notice(Level.ERROR, f"the host's own addresses cannot be read and may get banned: {error}")
            return
        self._moved(around)
