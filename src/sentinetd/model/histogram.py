"""A histogram that counts, for whoever measures; `state.Spread` is what it says."""

from __future__ import annotations

from bisect import bisect_left

from sentinetd.model.state import Spread


class Histogram:
    """How often values fell into which range; *bounds* are the upper ends, ascending."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count *value*, seen so many *times*; one on a bound belongs below it."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._total += value * times

    def spread(self) -> Spread:
        """What was observed up to now."""
        return Spread(self._bounds, tuple(self._counts), self._total)
