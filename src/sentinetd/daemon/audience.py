"""Who hears in the courier of what happens, beside the logs: one tuple of listeners, told event by event.

The guard proposes settings, every listener that they concern gets ready beside what it does, and only when all of them
can and the guard has put its own part in force do they change over.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from sentinetd.model.events import Event
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.model.trip_run import TripTable
from sentinetd.ports import Instructable, Listener

MOST_NEWS = 1000
"""What listeners may have to tell at once; of more, the oldest goes. Each of them tells a trouble once."""
FILES_MOST = 256
"""Descriptors that wait for settings that name them."""


class Audience:
    """Holds the listeners; `close` closes them. *wake* is called when there is news to fetch with `news`, or when what
    the listeners want to hear may have changed."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._listeners: tuple[Listener, ...] = ()
        self._instructed: tuple[Instructable, ...] = ()
        self._news: list[Event] = []
        self._failure: BaseException | None = None
        self._handed: dict[int, dict[int, int]] = {}  # request -> file number -> descriptor
        self._prepared = self._in_force = 0  # requests: the one prepared last, the one whose settings hold; 0: none

    def seat(self, listeners: Sequence[Listener], instructed: Sequence[Instructable]) -> None:
        """These are the listeners: those that need no settings, and those that do what the settings say."""
        self._listeners = (*listeners, *instructed)
        self._instructed = tuple(instructed)

    def tell(self, *events: Event) -> None:
        """Tell everyone of *events*."""
        for listener in self._listeners:
            listener.tell(*events)

    def tell_trips(self, trips: TripTable) -> None:
        """Tell everyone of *trips*."""
        for listener in self._listeners:
            listener.tell_trips(trips)

    def note(self, event: Event) -> None:
        """A listener has something to tell: for the logs, and for everybody who hears."""
        self._news.append(event)
        del self._news[:-MOST_NEWS]
        self._wake()

    def fail(self, error: BaseException) -> None:
        """A listener broke by a mistake of ours: the courier ends, as for any other, and another one begins."""
        self._failure = self._failure or error
        self._wake()

    def check(self) -> None:
        """Raise what a listener broke by, if one did."""
        if self._failure is not None:
            raise self._failure

    def stir(self) -> None:
        """What a listener wants to hear has changed."""
        self._wake()

    @property
    def request(self) -> int:
        """The request whose settings are in force; 0: none are."""
        return self._in_force

    @property
    def restless(self) -> bool:
        """Whether there is news to fetch, or a failure to raise."""
        return bool(self._news) or self._failure is not None

    def news(self) -> list[Event]:
        """What listeners had to tell since the last time."""
        told, self._news = self._news, []
        return told

    def wishes(self) -> frozenset[str]:
        """The routine kinds of event that somebody wants to hear of."""
        return frozenset().union(*(listener.routine for listener in self._listeners))

    def take_file(self, request: int, number: int, descriptor: int) -> None:
        """File *number* of *request* is *descriptor*, ours from here on."""
        if request == self._in_force and request:
            for one in self._instructed:
                one.replace_file(number, descriptor)
            os.close(descriptor)
            return
        waiting = self._handed.setdefault(request, {})
        if number in waiting or sum(map(len, self._handed.values())) >= FILES_MOST:
            os.close(descriptor)
        else:
            waiting[number] = descriptor

    async def prepare(self, request: int, settings: CourierSettings) -> tuple[Mistake, ...]:
        """Have everyone get ready for the *settings* of *request*; all that is wrong with them."""
        self._prepared = request
        files = self._handed.get(request, {})
        mistakes: list[Mistake] = []
        try:
            for one in self._instructed:
                mistakes += await one.prepare(settings, files)
        finally:
            self._drop_files()
        return tuple(mistakes)

    def enact(self, request: int) -> None:
        """The settings of *request* are in force, if they are those that were prepared last."""
        if request != self._prepared or request == self._in_force:
            return
        self._in_force = request
        for one in self._instructed:
            one.enact()

    def _drop_files(self) -> None:
        """Those of this request have been copied, those of earlier ones nobody will hear of again."""
        for files in self._handed.values():
            for descriptor in files.values():
                os.close(descriptor)
        self._handed.clear()

    async def close(self) -> None:
        """Close every listener, all at the same time."""
        self._drop_files()
        await asyncio.gather(*(listener.close() for listener in self._listeners))
