"""Keeps feeds current: written anew on a timer, and soon after a change. A listener of the courier's audience.

Bans are not held here: each time they are read from the store, over a connection of its own, so that a feed of a
million bans costs no memory and no commit waits for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from sentinetd.errors import EdgeError
from sentinetd.feeds.directory import Directory
from sentinetd.feeds.writing import Kept, Sightings, bans_of, reports_of
from sentinetd.model.address import Network
from sentinetd.model.events import (
    BanEvicted,
    BanImposed,
    BanLifted,
    BansCleared,
    BansEnded,
    Event,
    ExemptionAdded,
    ExemptionEnded,
    FollowerFailed,
    FollowerMended,
    SensorTripped,
)
from sentinetd.model.feed import Feed
from sentinetd.model.observer import Observer
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.model.trip_run import TripTable

CHANGES = (BanImposed, BanLifted, BanEvicted, BansCleared, BansEnded, ExemptionAdded, ExemptionEnded)
"""What makes a list of bans another one."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two tries to write a feed; each pause is twice the one before."""
IDLE = 9
"""A feed is left alone for so many times as long as it took to write."""

T = TypeVar("T")


class Run(Protocol):
    """Runs a blocking call where it blocks nobody, one at a time, and waits for it."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


class Publisher:
    """All feeds. *kept* has the bans, *run* runs what waits for a disk, *wall* gives Unix time, *note* takes events
    that are to be told: a feed that fails, or is right again."""

    def __init__(
        self, kept: Kept, observer: Observer, run: Run, wall: Callable[[], float], note: Callable[[Event], None]
    ) -> None:
        self._kept = kept
        self._observer = observer
        self._run = run
        self._wall = wall
        self._note = note
        self._running: list[_Running] = []
        self._prepared: list[_Running] = []
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def routine(self) -> frozenset[str]:
        """Trips and bans are told anyway."""
        return frozenset()

    def tell(self, *events: Event) -> None:
        """A list may have to be written anew, a trip to be reported."""
        for one in self._running:
            for event in events:
                if isinstance(event, SensorTripped):
                    one.seen(event)
                elif isinstance(event, CHANGES):
                    one.changed()

    def tell_trips(self, trips: TripTable) -> None:
        """See `ports.Listener`."""
        if self._running:
            self.tell(*trips.events())

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """Have the directories at hand, and see whether files can be made there."""
        self._drop_prepared()
        mistakes = []
        for number, feed in enumerate(settings.feeds):
            if feed.directory not in files:
                mistakes.append(Mistake("feed", number, "path", "its directory is not there", "reload once more"))
                continue
            directory = Directory(os.dup(files[feed.directory]))
            self._prepared.append(_Running(feed, settings.unfed, directory, self._written, self._failed))
            try:
                await self._run(partial(directory.try_out, feed.name))
            except EdgeError as error:
                way_out = f"give the directory to user {os.geteuid()}, whom the courier runs as"
                mistakes.append(Mistake("feed", number, "path", str(error), way_out))
        return mistakes

    def enact(self) -> None:
        """From now on the feeds are those that were prepared last. Trips that were to be reported still are."""
        old = {one.feed.name: one for one in self._running}
        for one in self._prepared:
            before = old.get(one.feed.name)
            if before is not None and before.feed.format is one.feed.format:
                one.sightings = before.sightings
        self._retire()
        self._running, self._prepared = self._prepared, []
        for one in self._running:
            one.begin()

    def replace_file(self, number: int, descriptor: int) -> None:
        """A directory is not replaced while settings hold."""

    async def close(self) -> None:
        """Let go of everything; what is being written is written to its end."""
        self._drop_prepared()
        self._retire()
        await asyncio.gather(*self._ending)

    def _retire(self) -> None:
        for one in self._running:
            task = asyncio.get_running_loop().create_task(one.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._running = []

    def _drop_prepared(self) -> None:
        for one in self._prepared:
            one.directory.close()
        self._prepared = []

    async def _written(self, one: _Running) -> None:
        """Write the feed once. EdgeError if it cannot be."""
        feed, directory, at = one.feed, one.directory, self._wall()
        if not feed.format.reports:
            unfed, kept, observer = one.unfed, self._kept, self._observer
            await self._run(lambda: directory.replace(feed.name, bans_of(feed, unfed, kept, observer, at)))
            return
        taken = one.sightings.take()
        try:
            await self._run(lambda: directory.replace(feed.name, reports_of(feed, taken)))
        except EdgeError:
            one.sightings.give_back(taken)
            raise

    def _failed(self, one: _Running, error: EdgeError | None, pause: float) -> None:
        """The feed cannot be written, or None: it can again."""
        name = f"feed {one.feed.name}"
        if error is None:
            self._note(FollowerMended(self._wall(), name))
        else:
            self._note(FollowerFailed(self._wall(), name, str(error), pause))


class _Running:
    """A feed that is kept current in *directory*, which is its own, without bans in *unfed*. *write* writes it, *told*
    is told when that fails and when it is right again."""

    def __init__(
        self,
        feed: Feed,
        unfed: tuple[Network, ...],
        directory: Directory,
        write: Callable[[_Running], Awaitable[None]],
        told: Callable[[_Running, EdgeError | None, float], None],
    ) -> None:
        self.feed = feed
        self.unfed = unfed
        self.directory = directory
        self.sightings = Sightings()
        self._write = write
        self._told = told
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Keep it current from now on."""
        self._task = asyncio.get_running_loop().create_task(self._keep())
        self._task.add_done_callback(_not_in_silence)

    def changed(self) -> None:
        """The bans are others."""
        if not self.feed.format.reports:
            self._changed.set()

    def seen(self, trip: SensorTripped) -> None:
        """There was a trip."""
        if self.feed.format.reports:
            self.sightings.add(trip)

    async def end(self) -> None:
        """Stop, when what is being written is written; the directory is closed then."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._writing is not None:  # a thread has the directory
            with suppress(EdgeError):
                await self._writing
        self.directory.close()

    async def _keep(self) -> None:
        if self.feed.format.reports:
            await asyncio.sleep(self.feed.every)
        failing, pause, loop = False, FIRST_PAUSE, asyncio.get_running_loop()
        while True:
            self._changed.clear()
            began = loop.time()
            try:
                self._writing = asyncio.ensure_future(self._write(self))
                await asyncio.shield(self._writing)
            except EdgeError as error:
                if not failing:
                    self._told(self, error, pause)
                failing = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if failing:
                self._told(self, None, 0.0)
            failing, pause = False, FIRST_PAUSE
            await self._due(rest(self.feed, loop.time() - began))

    async def _due(self, pause: float) -> None:
        """Wait until it is to be written again: after a change, but not within *pause* seconds, or when it is too
        old."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self.feed.every, pause)):
                await asyncio.sleep(pause)
                await self._changed.wait()


def rest(feed: Feed, took: float) -> float:
    """Seconds for which *feed*, which it *took* so many to write, is left as it is, whatever changes: writing very long
    lists is not all that the courier does."""
    return max(min(feed.delay, feed.every), IDLE * took)


def _not_in_silence(task: asyncio.Task[None]) -> None:
    """A mistake of ours in *task* is told on standard error (asyncio's exception handler)."""
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
