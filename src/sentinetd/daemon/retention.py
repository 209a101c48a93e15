"""How long the store remembers who was banned: as `[store] keep_history` says, also while nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sentinetd.model.events import Event
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.model.trip_run import TripTable
from sentinetd.store.keeper import PURGE_EVERY, Keeper


class Retention:
    """`ports.Instructable` for *keeper*. From the first settings on it has the store look once an hour."""

    routine: frozenset[str] = frozenset()

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._ready = 0.0
        self._task: asyncio.Task[None] | None = None

    def tell(self, *events: Event) -> None:
        """Nothing that happens changes it."""

    def tell_trips(self, trips: TripTable) -> None:
        """Nor do trips."""

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """See `ports.Instructable`."""
        self._ready = settings.keep_history
        return ()

    def enact(self) -> None:
        """See `ports.Instructable`."""
        self._keeper.keep_history(self._ready)
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._look(), name="retention")

    async def _look(self) -> None:
        while True:
            await self._keeper.purge()
            await asyncio.sleep(PURGE_EVERY)

    def replace_file(self, number: int, descriptor: int) -> None:
        """It has none."""

    async def close(self) -> None:
        """See `ports.Listener`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
