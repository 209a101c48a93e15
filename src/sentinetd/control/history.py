"""What happened when, and to whom most: numbers of the last day, by the minute, and lists of the busiest.

All of it is bounded: a day has so many minutes, and of each hour the busiest are kept by the space-saving algorithm
(Metwally, Agrawal, El Abbadi, 2005), which never forgets one that is really frequent, and counts it too high at worst.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from enum import Enum

from sentinetd.model.address import Address, Network
from sentinetd.model.events import BanImposed, Event, SensorTripped
from sentinetd.model.noun import dataclass, field
from sentinetd.model.trip_run import TripTable

MINUTE = 60
MINUTES = 1_440
HOUR = 3_600
HOURS = 24
KEPT = 256
"""Names kept of each kind and hour."""
NETWORK_BITS = {4: 24, 6: 48}
"""What counts as one network in a list of the busiest."""


class Ranking(Enum):
    """What can be ranked by trips."""

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is Python code

    SENSORS = "sensors"
    SOURCES = "sources"
    NETWORKS = "networks"


@dataclass(slots=True)
class Minute:
    """What was counted in the minute that began at Unix time *start*."""

    start: int
    trips: int = 0
    bans: int = 0
    refused: int = 0


class Frequent:
    """The most frequent names, and about how often each came."""

    __slots__ = ("_counts", "_least", "_rare")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._least = 0
        self._rare: list[str] = []  # who had it when it was last looked for, the oldest at the end

    def add(self, name: str, times: int = 1) -> None:
        """Count *times* more of *name*."""
        counts = self._counts
        if name in counts:
            counts[name] += times
        elif len(counts) < KEPT:
            counts[name] = times
        else:
            counts[name] = counts.pop(self._rarest()) + times

    def add_each(self, names: Iterable[str]) -> None:
        """Count one more of each of *names*: as `add`, without a call for each."""
        counts = self._counts
        for name in names:
            if name in counts:
                counts[name] += 1
            elif len(counts) < KEPT:
                counts[name] = 1
            else:
                counts[name] = counts.pop(self._rarest()) + 1

    def _rarest(self) -> str:
        """The oldest of the names with the least count. Looked for once for all of them: a flood from everywhere has a
        new name each time, and no count ever falls."""
        rare, counts = self._rare, self._counts
        while rare:
            name = rare.pop()
            if counts.get(name) == self._least:
                return name
        self._least = min(counts.values())
        self._rare = [name for name, count in counts.items() if count == self._least][::-1]
        return self._rare.pop()

    def counts(self) -> dict[str, int]:
        return self._counts


@dataclass(slots=True)
class Hour:
    """The rankings of the hour that began at Unix time *start*."""

    start: int
    rankings: dict[Ranking, Frequent] = field(default_factory=lambda: {one: Frequent() for one in Ranking})


class History:
    """Counts from Unix time *since* on."""

    def __init__(self, since: float) -> None:
        self.since = since
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._hours: deque[Hour] = deque(maxlen=HOURS)
        self._refused: int | None = None

    def tell(self, *events: Event) -> None:
        """Count those of *events* that are of these kinds."""
        for event in events:
            kind = type(event)
            if kind is BanImposed:
                self._minute(event.at).bans += 1
            elif isinstance(event, SensorTripped) and event.number:  # a test's sensor has none
                self._minute(event.at).trips += 1
                rankings = self._hour(event.at).rankings
                rankings[Ranking.SENSORS].add(event.service)
                rankings[Ranking.SOURCES].add(event.source.text)
                rankings[Ranking.NETWORKS].add(_network(event.source.version, event.source.text))

    def tell_trips(self, trips: TripTable) -> None:
        """Count *trips*, and the bans that they began."""
        sources = trips.sources()
        for second, together in trips.seconds():
            touched = sources[together]
            minute = self._minute(second)
            minute.bans += len(touched)
            if trips.run.number:
                minute.trips += len(touched)
                rankings = self._hour(second).rankings
                rankings[Ranking.SENSORS].add(trips.run.service, len(touched))
                rankings[Ranking.SOURCES].add_each(touched)
                rankings[Ranking.NETWORKS].add_each(_network(trips.run.version, source) for source in touched)

    def refused(self, total: int, now: float) -> None:
        """Up to *now* the guard had refused *total*; less than before means that it is another guard."""
        before, self._refused = self._refused, total
        if before is not None:
            self._minute(now).refused += total - before if total >= before else total

    def minutes(self, begin: float, end: float) -> list[Minute]:
        """The minutes from *begin* to *end*, those without any event included; none from before we counted."""
        known = {one.start: one for one in self._minutes}
        first = max(int(max(begin, self.since)) // MINUTE, int(end) // MINUTE - MINUTES + 1)
        starts = range(first * MINUTE, int(end) + 1, MINUTE)
        return [known.get(start) or Minute(start) for start in starts]

    def top(self, ranking: Ranking, most: int, begin: float) -> list[tuple[str, int]]:
        """The *most* frequent since *begin* (to the hour), the busiest first."""
        counter: Counter[str] = Counter()
        for hour in self._hours:
            if hour.start + HOUR > begin:
                counter.update(hour.rankings[ranking].counts())
        return sorted(counter.items(), key=lambda row: (-row[1], row[0]))[:most]

    def forget(self) -> None:
        """Forget who it was: the lists of the busiest. The numbers stay."""
        self._hours.clear()

    def _minute(self, at: float) -> Minute:
        """The minute of *at*. What comes late, or after the clock was set back, counts in the latest one."""
        if not self._minutes or at >= self._minutes[-1].start + MINUTE:
            self._minutes.append(Minute(int(at) // MINUTE * MINUTE))
        return self._minutes[-1]

    def _hour(self, at: float) -> Hour:
        if not self._hours or at >= self._hours[-1].start + HOUR:
            self._hours.append(Hour(int(at) // HOUR * HOUR))
        return self._hours[-1]


def _network(version: int, source: str) -> str:
    """The network around *source* that is counted. Of IPv4 it can be read off the text, which costs less."""
    if version == 4:
        return f"{source[: source.rindex('.')]}.0/{NETWORK_BITS[4]}"
    return str(Network.of(Address.parse(source), NETWORK_BITS[version]))
