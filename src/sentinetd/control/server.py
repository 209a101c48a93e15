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

from sentinetd.control.counts import Counts
from sentinetd.control.desk import Desk, NoAnswer
from sentinetd.control.history import MINUTE, History
from sentinetd.control.stream import Stream
from sentinetd.control.troubles import Troubles
from sentinetd.model.events import Event, Level, Notice
from sentinetd.model.settings import ControlSettings, CourierSettings, Mistake
from sentinetd.model.trip_run import TripTable

if TYPE_CHECKING:
    from sentinetd.control.site import Site


Key = tuple[int, int]
"""Device and inode of a socket: the same for every descriptor of it."""


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
        self._counts = Counts(wall)
        self._prepared: tuple[ControlSettings, list[tuple[socket.socket, bool]]] | None = None
        self._watched: dict[Key, tuple[socket.socket, bool]] = {}  # nobody has connected yet; whether it is limited
        self._served: dict[Key, bool] = {}
        self._sites: dict[bool, Site] = {}  # the limited one, for metrics alone, and the other
        self._tasks: set[asyncio.Task[None]] = set()

    # What every listener does.

    @property
    def routine(self) -> frozenset[str]:
        """What subscribers want of what happens for each connection."""
        return self._stream.routine

    def tell(self, *events: Event) -> None:
        """Count *events*, and pass them on."""
        self._counts.tell(*events)
        self._troubles.tell(*events)
        self._history.tell(*events)
        self._stream.tell(*events)

    def tell_trips(self, trips: TripTable) -> None:
        """Count *trips*, and pass them on."""
        self._counts.tell_trips(trips)
        self._history.tell_trips(trips)
        self._stream.tell_trips(trips)

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """Keep the sockets that *settings* number."""
        self._drop_prepared()
        wanted = settings.control
        uses = ((wanted.socket, False), (wanted.loopback, False), (wanted.metrics, True))
        numbers = [(number, limited) for number, limited in uses if number is not None]
        if any(number not in files for number, _ in numbers):
            return [Mistake("control", 0, "", "a socket did not arrive", "reload again")]
        sockets = [(socket.socket(fileno=os.dup(files[number])), limited) for number, limited in numbers]
        self._prepared = wanted, sockets
        return []

    def enact(self) -> None:
        """Serve the sockets that were prepared, and no others. One that is served already goes on."""
        if self._prepared is None:
            return
        (self._settings, sockets), self._prepared = self._prepared, None
        wanted = {_identity(sock): (sock, limited) for sock, limited in sockets}
        for key in [key for key in self._watched if key not in wanted]:
            self._unwatch(key)[0].close()
        for key in [key for key in self._served if key not in wanted]:
            self._begin(self._stop(key, self._served.pop(key)))
        for key, (sock, limited) in wanted.items():
            if key in self._watched or key in self._served:
                sock.close()
            else:
                self._watch(key, sock, limited)
        for site in self._sites.values():
            site.office.settings = self._settings
        if wanted and not self._tasks:
            self._begin(self._poll())

    def replace_file(self, number: int, descriptor: int) -> None:
        """Files that are renamed are none of ours."""

    async def close(self) -> None:
        """End everything."""
        self._drop_prepared()
        for key in list(self._watched):
            self._unwatch(key)[0].close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stream.close()
        await asyncio.gather(*(site.close() for site in self._sites.values()))

    # From the first connection on.

    def _watch(self, key: Key, sock: socket.socket, limited: bool) -> None:
        sock.setblocking(False)
        self._watched[key] = sock, limited
        asyncio.get_running_loop().add_reader(sock.fileno(), self._knocked, key)

    def _unwatch(self, key: Key) -> tuple[socket.socket, bool]:
        sock, limited = self._watched.pop(key)
        asyncio.get_running_loop().remove_reader(sock.fileno())
        return sock, limited

    def _knocked(self, key: Key) -> None:
        """Somebody connects for the first time."""
        sock, limited = self._unwatch(key)
        self._served[key] = limited
        self._begin(self._serve(key, sock, limited))

    async def _serve(self, key: Key, sock: socket.socket, limited: bool) -> None:
        try:
            make = await asyncio.get_running_loop().run_in_executor(None, load)
        except ImportError as error:
            sock.close()
            self._note(Notice(self._wall(), Level.ERROR, f"the control API cannot be served: {error}"))
            return
        if limited not in self._sites:
            self._sites[limited] = make(self._office(), self._faulty, limited=limited)
        await self._sites[limited].serve(key, sock)

    async def _stop(self, key: Key, limited: bool) -> None:
        if limited in self._sites:
            await self._sites[limited].stop(key)

    def _office(self) -> Any:
        from sentinetd.control.app import Office

        return Office(
            self._desk, self._history, self._counts, self._troubles, self._stream, self._wall, self._note,
            self._settings,
        )  # fmt: skip

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
            for sock, _ in self._prepared[1]:
                sock.close()
            self._prepared = None


def _identity(sock: socket.socket) -> Key:
    found = os.fstat(sock.fileno())
    return found.st_dev, found.st_ino


def load() -> type[Site]:
    from sentinetd.control.site import Site

    return Site
