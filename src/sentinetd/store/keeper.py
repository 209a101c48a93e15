"""The store as a keeper of bans that does not give up: what it cannot commit now it holds and tries again.

While the store fails, bans are held in memory only; that is told once, and again when all of them are kept.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, BanRun
from sentinetd.model.events import Event, FollowerFailed, FollowerMended, Level, Notice
from sentinetd.model.exemption import Exemption
from sentinetd.model.trip_run import TripTable
from sentinetd.store.sqlite import BrokenStore, Change, NewerStore, Store

NAME = "store"
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
"""Seconds between two tries; each pause is twice the one before."""
MOST_HELD = 200_000
"""Changes held while the store fails; those beyond are not kept, and counted."""
PURGE_EVERY = 3600.0
RUNS_AT_ONCE = 16
"""Runs of bans read from the file in one go."""

T = TypeVar("T")


class Run(Protocol):
    """Runs a blocking call where it blocks nobody, one at a time, and waits for it."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


class Keeper:
    """Keeps the bans of *store*. A `BanFollower`. *wall* gives Unix time, *now* seconds of a clock that nobody sets.

    With *leave_broken* a damaged file stays where it is and nothing is kept; else it is moved aside and one begun anew.
    """

    def __init__(
        self,
        store: Store,
        run: Run,
        wall: Callable[[], float],
        now: Callable[[], float],
        *,
        leave_broken: bool = False,
    ) -> None:
        self._store = store
        self._run = run
        self._wall = wall
        self._now = now
        self._leave_broken = leave_broken
        self._ready = False  # the file is open
        self._hopeless = False  # no further try would help
        self._held: list[Change] = []
        self._held_count = 0  # with each of the bans that trips began
        self._unkept = 0
        self._pause = FIRST_PAUSE
        self._failing = False
        self._told: list[Event] = []
        self._purge_at = -math.inf
        self.trouble = ""
        """What was wrong with the store when it was last opened; empty: nothing."""
        self.retry_at = math.inf
        """When, by *now*, `keep` (or `restore`, if not `ready`) should be called again, if not before."""

    async def restore(self, *, give: bool = True) -> AsyncIterator[Sequence[BanRun] | Sequence[Exemption]]:
        """Open the store and give the exemptions, then the bans in force, some thousand at a time, if somebody wants
        them; none if it fails, see `trouble`."""
        try:
            await self._open()
            now = self._wall()
            await self._run(lambda: self._store.settle(now))
            if give and (exemptions := await self._run(lambda: self._store.exemptions(now))):
                yield exemptions
            runs = self._store.runs(now)
            while give and (chunk := await self._run(lambda: list(islice(runs, RUNS_AT_ONCE)))):
                yield chunk
        except EdgeError as error:
            self._failed(error)
        else:
            self._ready = True
            self._worked()

    @property
    def ready(self) -> bool:
        """Whether the store is open. If not, it is `restore` that should be called at `retry_at`."""
        return self._ready

    async def keep(self, changes: Sequence[Change]) -> None:
        """Commit *changes* in order, after those still held. Never raises for a failing store: it holds them."""
        if self._hopeless:
            return
        for change in changes:
            size = 1
            if isinstance(change, TripTable):
                size = len(change)
                if self._failing:
                    change = TripTable(change.run, change.rows)  # held without what else is made of it meanwhile
            if self._held_count + size <= MOST_HELD:
                self._held.append(change)
                self._held_count += size
            else:
                self._unkept += size
        if self._ready and (not self._failing or self._now() >= self.retry_at):
            await self._commit()

    def remember_offences(self, seconds: float) -> None:
        """Former offences of a source count until it was free for *seconds*."""
        self._store.forget_after = seconds

    def keep_history(self, seconds: float) -> None:
        """Earlier bans are forgotten when they are older than *seconds*."""
        self._store.keep_history = seconds

    async def purge(self) -> None:
        """Forget what is to be forgotten by now; while the store fails, that waits until it works again."""
        if not self._ready or self._failing:
            return
        wall = self._wall()
        try:
            await self._run(lambda: self._store.purge(wall))
        except EdgeError as error:
            self._failed(error)

    async def repeats(self, networks: Sequence[Network]) -> dict[Network, int]:
        """Those of *networks* whose present ban is not their first, and which it is; none while the store fails."""
        if not self._ready or self._held:
            return {}
        try:
            return await self._run(lambda: self._store.repeats(networks))
        except EdgeError as error:
            self._failed(error)
            return {}

    async def apply(self, imposed: Collection[Ban], lifted: Collection[Network]) -> None:
        """*imposed* are in force (a later end replaces an earlier one), *lifted* no longer. EdgeError if not now."""
        await self._run(lambda: self._store.write([*imposed, *lifted]))

    async def replace(self, bans: Collection[Ban]) -> None:
        """From now on exactly *bans* are in force. EdgeError if it cannot be committed."""
        await self._run(lambda: self._store.rewrite(bans))

    async def forget(self, before: float, network: Network | None) -> int:
        """Forget what had ended before Unix time *before*; with *network*, only of what lies in it. How many rows were
        there. EdgeError if it cannot be done now."""
        if not self._ready:
            raise EdgeError(f"the {NAME} does not work at present: {self.trouble}")
        return await self._run(lambda: self._store.forget(before, network))

    async def close(self) -> None:
        """Commit what is held, if it can be, and let the next one have the file."""
        if self._ready and self._held:
            await self._commit()
        self._ready = False
        await self._run(self._store.close)

    def told(self) -> list[Event]:
        """What is to be told since the last call."""
        told, self._told = self._told, []
        return told

    async def _open(self) -> None:
        """Open the store; a damaged one is replaced by an empty one."""
        try:
            await self._run(self._store.open)
        except BrokenStore as error:
            if self._leave_broken:
                raise
            now = self._wall()
            aside = await self._run(lambda: self._store.move_aside(now))
            await self._run(self._store.open)
            self.trouble = f"damaged and moved to {aside}, a new one is begun: {error}"
            self._told.append(Notice(now, Level.CRITICAL, f"{NAME}: {self.trouble}"))

    async def _commit(self) -> None:
        now = self._now()
        try:
            if self._held:
                await self._run(lambda: self._store.write(self._held))
                self._held = []
                self._held_count = 0
            if now >= self._purge_at:
                self._purge_at = now + PURGE_EVERY
                wall = self._wall()
                await self._run(lambda: self._store.purge(wall))
        except EdgeError as error:
            self._ready = not isinstance(error, BrokenStore)  # opening it again finds the damage and deals with it
            self._failed(error)
        else:
            self._worked()

    def _failed(self, error: EdgeError) -> None:
        hopeless = isinstance(error, NewerStore) or (isinstance(error, BrokenStore) and self._leave_broken)
        pause = math.inf if hopeless else self._pause
        if not self._failing:
            self._told.append(FollowerFailed(self._wall(), NAME, str(error), pause))
        self._failing = True
        self._hopeless = hopeless
        self.trouble = str(error)
        self.retry_at = self._now() + pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _worked(self) -> None:
        self.retry_at = math.inf
        self._pause = FIRST_PAUSE
        if self._failing:
            self._failing = False
            self.trouble = ""
            now = self._wall()
            if self._unkept:
                self._told.append(Notice(now, Level.CRITICAL, f"{NAME}: {self._unkept} bans are not kept: too many"))
                self._unkept = 0
            self._told.append(FollowerMended(now, NAME))
