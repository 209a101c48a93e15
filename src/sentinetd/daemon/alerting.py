"""The courier's alerts, loaded when the configuration has one: most have none, and pay nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sentinetd.control.desk import SinkState
from sentinetd.model.events import Event
from sentinetd.model.observer import Observer
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.model.trip_run import TripTable

if TYPE_CHECKING:
    from sentinetd.report.alerts import Alerts


class Alerting:
    """`ports.Instructable`; see `report.alerts.Alerts`, which it stands for, with the same arguments."""

    def __init__(
        self,
        state: str,
        note: Callable[[Event], None],
        full: Callable[[int], Awaitable[None]],
        observer: Callable[[], Observer],
        broken: Callable[[BaseException], None],
    ) -> None:
        self._arguments = (state, note, full, observer, broken)
        self.alerts: Alerts | None = None

    def states(self) -> Sequence[SinkState]:
        """How the sinks do."""
        standings = () if self.alerts is None else self.alerts.standings()
        return [
            SinkState(one.name, one.type, one.waiting, one.tally.delivered, one.tally.dropped, one.failing)
            for one in standings
        ]

    @property
    def routine(self) -> frozenset[str]:
        """See `ports.Listener`."""
        return frozenset() if self.alerts is None else self.alerts.routine

    def tell(self, *events: Event) -> None:
        """See `ports.Listener`."""
        if self.alerts is not None:
            self.alerts.tell(*events)

    def tell_trips(self, trips: TripTable) -> None:
        """See `ports.Listener`."""
        if self.alerts is not None:
            self.alerts.tell(*trips.events())

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """See `ports.Instructable`."""
        if self.alerts is None:
            if not settings.alerts:
                return ()
            from sentinetd.report.alerts import Alerts

            self.alerts = Alerts(*self._arguments)
        return await self.alerts.prepare(settings, files)

    def enact(self) -> None:
        """See `ports.Instructable`."""
        if self.alerts is not None:
            self.alerts.enact()

    def replace_file(self, number: int, descriptor: int) -> None:
        """See `ports.Instructable`."""
        if self.alerts is not None:
            self.alerts.replace_file(number, descriptor)

    async def close(self) -> None:
        """See `ports.Listener`."""
        if self.alerts is not None:
            await self.alerts.close()
