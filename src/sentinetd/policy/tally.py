"""What is counted between decisions: connections a second, servers at once, what was told lately."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Hashable

from sentinetd.model.address import Address
from sentinetd.model.service import Cps, SourceRate
from sentinetd.model.verdict import Reason

ALMOST_ONE = 1.0 - 1e-6
"""What counts as a whole place in a bucket: sums of fractions seldom give exactly one."""


class Bucket:
    """A bucket of *rate* connections that fills with *rate* a second (the attribute cps).

    It gives what xinetd's counting gives where it matters: rate connections in one instant pass, the next one does not,
    and a steady stream of up to *rate* a second always passes.
    """

    __slots__ = ("_level", "_rate", "_seen")

    def __init__(self, cps: Cps, now: float) -> None:
        self._rate = cps.rate
        self._level = float(cps.rate)
        self._seen = now

    def has_room(self, now: float) -> bool:
        """Whether one more connection passes at *now*. A rate of 0 counts nothing."""
        if self._rate == 0:
            return True
        self._level = min(self._rate, self._level + (now - self._seen) * self._rate)
        self._seen = now
        return self._level >= ALMOST_ONE

    def take(self) -> None:
        """One connection passed."""
        if self._rate:
            self._level -= 1.0

    def limit(self, cps: Cps, now: float) -> None:
        """Count by *cps* from *now* on; what was used stays used."""
        self.has_room(now)
        self._level = min(max(0.0, self._level + cps.rate - self._rate), cps.rate)
        self._rate = cps.rate
        self._seen = now


class Paces:
    """A bucket of *rate* connections for each source, that fills in *span* seconds (the attribute cps_source).

    At most `SOURCES` sources are remembered, those that came last: who is forgotten had a full bucket long ago, or is
    one of so many that no rate of one of them tells anything.
    """

    SOURCES = 50_000

    __slots__ = ("_levels", "_rate")

    def __init__(self, rate: SourceRate) -> None:
        self._rate = rate
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # source -> (level, when)

    def would_take(self, source: Hashable, now: float) -> bool:
        """What `takes` would say, without counting."""
        most = float(self._rate.rate)
        level, seen = self._levels.get(source, (most, now))
        return min(most, level + (now - seen) * most / self._rate.span) >= ALMOST_ONE

    def takes(self, source: Hashable, now: float) -> bool:
        """Whether one more connection of *source* passes at *now*; if so, it is counted."""
        most = float(self._rate.rate)
        level, seen = self._levels.pop(source, (most, now))
        level = min(most, level + (now - seen) * most / self._rate.span)
        passes = level >= ALMOST_ONE
        if len(self._levels) >= self.SOURCES:
            self._levels.popitem(last=False)
        self._levels[source] = (level - 1.0 if passes else level, now)
        return passes


class Counts:
    """Servers of one service: all, and by source. One that waits for an answer counts like one that runs."""

    __slots__ = ("_of_source", "total")

    def __init__(self) -> None:
        self.total = 0
        self._of_source: dict[str, int] = {}  # by the text of its address: to hash that takes no call of a method

    def of(self, source: Address | None) -> int:
        """How many serve *source*; 0 where the source is not known."""
        return 0 if source is None else self._of_source.get(source.text, 0)

    def add(self, source: Address | None) -> None:
        """One more."""
        self.total += 1
        if source is not None:
            self._of_source[source.text] = self._of_source.get(source.text, 0) + 1

    def remove(self, source: Address | None) -> None:
        """One less."""
        self.total -= 1
        if source is not None:
            left = self._of_source[source.text] - 1
            if left:
                self._of_source[source.text] = left
            else:
                del self._of_source[source.text]


class Recent:
    """Remembers keys for *span* to twice *span* seconds, at most *most* of them; what does not fit counts as known."""

    __slots__ = ("_most", "_new", "_old", "_span", "_turned")

    def __init__(self, span: float, most: int) -> None:
        self._span = span
        self._most = most
        self._new: dict[Hashable, float] = {}
        self._old: dict[Hashable, float] = {}
        self._turned = 0.0

    def first(self, key: Hashable, now: float) -> bool:
        """Whether *key* was not seen in the *span* seconds before *now*; if so, it is from now on."""
        if now - self._turned >= self._span:
            self._old = self._new if now - self._turned < 2 * self._span else {}
            self._new = {}
            self._turned = now
        seen = self._new.get(key)
        if seen is None:
            seen = self._old.get(key)
        if seen is not None and now - seen < self._span:
            return False
        if len(self._new) >= self._most:
            return False
        self._new[key] = now
        return True


_TRIPS = (Reason.SENSOR, Reason.EXEMPT)
"""Reasons that are told as trips, not as refusals."""


class Score:
    """What became of a service's connections since it began: the numbers that metrics and listings show.

    *reasons*: how many were not served, by why not. One is added for each of them, where it happens.
    """

    __slots__ = ("reasons", "served")

    def __init__(self) -> None:
        self.served = 0
        self.reasons: defaultdict[Reason, int] = defaultdict(int)

    @property
    def trips(self) -> int:
        """Touches of the sensor."""
        return sum(self.reasons.get(reason, 0) for reason in _TRIPS)

    @property
    def refused(self) -> dict[Reason, int]:
        """The others that were not served."""
        return {reason: count for reason, count in self.reasons.items() if reason not in _TRIPS}

    def add(self, other: Score) -> None:
        """Count in what *other* has counted."""
        self.served += other.served
        for reason, count in other.reasons.items():
            self.reasons[reason] += count
