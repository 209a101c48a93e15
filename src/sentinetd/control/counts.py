"""What the courier counts of the events that it hears, for the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sentinetd.control.metrics import Heard
from sentinetd.model.events import BanImposed, Event, SensorTripped
from sentinetd.model.histogram import Histogram
from sentinetd.model.trip_run import TripTable

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0)
"""Seconds: the ranges of delays."""


class Counts:
    """Events by kind, and how late they were heard. *wall* gives Unix time."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._kinds: Counter[str] = Counter()
        self._delays = Histogram(BOUNDS)

    def tell(self, *events: Event) -> None:
        """Count *events*."""
        now = self._wall()
        self._kinds.update([event.kind for event in events])
        for event in events:
            self._delays.observe(max(0.0, now - event.at))

    def tell_trips(self, trips: TripTable) -> None:
        """Count what *trips* stand for."""
        now = self._wall()
        for kind in (BanImposed, SensorTripped):
            self._kinds[kind.kind] += len(trips)
        for at, count in Counter(trips.times()).items():
            self._delays.observe(max(0.0, now - at), 2 * count)

    def heard(self) -> Heard:
        """What was counted up to now."""
        return Heard(dict(self._kinds), self._delays.spread(), 0, 0)
