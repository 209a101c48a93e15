"""The control API's sockets: watched by the loop alone until somebody connects, served by uvicorn from then on.

Half of an idle courier's memory would be the web server's, and most hosts are asked seldom. A listener of the
courier's: what it hears it counts and passes on to subscribers.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sentinetd.control.desk import Desk, NoAnswer
from sentinetd.control.history import MINUTE, History
from sentinetd.control.stream import Stream
from sentinetd.control.troubles import Troubles
from sentinetd.model.events import Event, Level, Notice
from sentinetd.model.settings import ControlSettings, CourierSettings, Mistake

if TYPE_CHECKING:
    from sentinetd.control.site import Site


class Control:
    """Answers from *desk* and from what it heard. *line* makes an event's JSON, *wall* gives Unix time.

    *stir* is called when what subscribers want may have changed, *note* with what is to be told.
    """

    def __init__(
        self,
        desk: Desk,
        line: Callable[[Event], str],
        wall: Callable[[], float],
        stir: Callable[[], None],
        note: Callable[[Event], None],
    ) -> None:
        self._desk = desk
        self._wall = wall
        self._note = note
        self._history = History(wall())
        self._troubles = Troubles()
        self._stream = Stream(line, stir)
        self._settings = ControlSettings()
        self._prepared: tuple[ControlSettings, dict[int, socket.socket]] | None = None
        self._watched: dict[tuple[int, int], socket.socket] = {}  # by device and inode: nobody has connected yet
        self._served: set[tuple[int, int]] = set()
        self._site: Site | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # What every listener does.

    @property
    def routine(self) -> frozenset[str]:
        """What subscribers want of what happens for each connection."""
        return self._stream.routine

    def tell(self, event: Event) -> None:
        """Count *event*, and pass it on."""
        self._troubles.tell(event)
        self._history.tell(event)
        self._stream.tell(event)

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """Keep the sockets that *settings* number."""
        self._drop_prepared()
        wanted = settings.control
        numbers = [number for number in (wanted.socket, wanted.loopback) if number is not None]
        if any(number not in files for number in numbers):
            return [Mistake("control", 0, "", "a socket did not arrive", "reload again")]
        self._prepared = wanted, {number: socket.socket(fileno=os.dup(files[number])) for number in numbers}
        return []

    def enact(self) -> None:
        """Serve the sockets that were prepared, and no others. One that is served already goes on."""
        if self._prepared is None:
            return
        (self._settings, sockets), self._prepared = self._prepared, None
        wanted = {_identity(sock): sock for sock in sockets.values()}
        for key in [key for key in self._watched if key not in wanted]:
            self._unwatch(key).close()
        for key in self._served - wanted.keys():
            self._served.discard(key)
            self._begin(self._stop(key))
        for key, sock in wanted.items():
            if key in self._watched or key in self._served:
                sock.close()
            else:
                self._watch(key, sock)
        if self._site is not None:
            self._site.office.settings = self._settings
        if wanted and not self._tasks:
            self._begin(self._poll())

    def replace_file(self, number: int, descriptor: int) -> None:
        """Files that are renamed are none of ours."""

    async def close(self) -> None:
        """End everything."""
        self._drop_prepared()
        for key in list(self._watched):
            self._unwatch(key).close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._site is not None:
            await self._site.close()

    # From the first connection on.

    def _watch(self, key: tuple[int, int], sock: socket.socket) -> None:
        sock.setblocking(False)
        self._watched[key] = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._knocked, key)

    def _unwatch(self, key: tuple[int, int]) -> socket.socket:
        sock = self._watched.pop(key)
        asyncio.get_running_loop().remove_reader(sock.fileno())
        return sock

    def _knocked(self, key: tuple[int, int]) -> None:
        """Somebody connects for the first time."""
        self._served.add(key)
        self._begin(self._serve(key, self._unwatch(key)))

    async def _serve(self, key: tuple[int, int], sock: socket.socket) -> None:
        if self._site is None:
            try:
                made = await asyncio.get_running_loop().run_in_executor(None, load)
            except ImportError as error:
                sock.close()
                self._note(Notice(self._wall(), Level.ERROR, f"the control API cannot be served: {error}"))
                return
            if self._site is None:  # two sockets were knocked at
                self._site = made(self._office(), self._faulty)
        await self._site.serve(key, sock)

    async def _stop(self, key: tuple[int, int]) -> None:
        if self._site is not None:
            await self._site.stop(key)

    def _office(self) -> Any:
        from sentinetd.control.app import Office

        return Office(self._desk, self._history, self._troubles, self._stream, self._wall, self._note, self._settings)

    def _faulty(self, text: str) -> None:
        self._note(Notice(self._wall(), Level.ERROR, text))

    async def _poll(self) -> None:
        """Ask once a minute how many were refused: no event of each of them comes here."""
        while True:
            try:
                counted = await self._desk.tally()
            except NoAnswer:
                pass  # the next minute counts what this one missed
            else:
                self._history.refused(counted.tally.refused, self._wall())
            await asyncio.sleep(MINUTE)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def _drop_prepared(self) -> None:
        if self._prepared is not None:
            for sock in self._prepared[1].values():
                sock.close()
            self._prepared = None


def _identity(sock: socket.socket) -> tuple[int, int]:
    """The same for every descriptor of the same socket."""
    found = os.fstat(sock.fileno())
    return found.st_dev, found.st_ino


def load() -> type[Site]:
    from sentinetd.control.site import Site

    return Site
