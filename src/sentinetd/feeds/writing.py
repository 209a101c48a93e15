"""What stands in a feed: bans as they are kept at the moment, or the trips since the last time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from sentinetd.lists.collapse import within
from sentinetd.lists.head import Head
from sentinetd.lists.reports import Sighting, abuseipdb, dshield
from sentinetd.lists.table import WRITERS
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.events import SensorTripped
from sentinetd.model.feed import Feed, FeedFormat
from sentinetd.model.observer import Observer

MOST_SIGHTINGS = 100_000
"""Sources and ports that a report tells of; further trips are left out of it."""


class Kept(Protocol):
    """Where bans are kept. Blocking; EdgeError if they cannot be read."""

    def newest(self, at: float, most: int, origins: Collection[Origin], versions: Collection[int]) -> Iterator[Ban]:
        """Of the bans in force at Unix time *at* that one of *origins* ordered, for the IP *versions*, the *most* that
        were touched last, in the order of their networks."""

    def exempted(self, at: float) -> tuple[Network, ...]:
        """The networks that an operator exempted, as of Unix time *at*."""


def bans_of(feed: Feed, unfed: Collection[Network], kept: Kept, observer: Observer, at: float) -> Iterator[str]:
    """The lines of a list of bans but for those within *unfed* and what is exempt by order, as of Unix time *at*.
    EdgeError if they cannot be read, maybe only after some."""
    exempt = (*unfed, *kept.exempted(at))
    found = kept.newest(at, feed.most, feed.origins, feed.versions)
    told = (ban for ban in found if not any(within(ban.network, one) for one in exempt))
    return WRITERS[feed.format.value](told, Head(observer, at, at + feed.every))


def reports_of(feed: Feed, seen: Sightings) -> Iterator[str]:
    """The lines of a report of trips."""
    found = [one for one in seen.all() if one.source.version in feed.versions]
    return abuseipdb(found) if feed.format is FeedFormat.ABUSEIPDB else dshield(found, feed.user)


class Sightings:
    """Trips since `clear`, those of one source at one port as one."""

    def __init__(self, most: int = MOST_SIGHTINGS) -> None:
        self._most = most
        self._seen: dict[tuple[object, ...], tuple[SensorTripped, int]] = {}

    def add(self, trip: SensorTripped) -> None:
        """One more. Trips of those who are exempt are nobody's business."""
        key = (trip.source, trip.local, trip.local_port, trip.protocol)
        before = self._seen.get(key)
        if before is not None:
            self._seen[key] = (trip, before[1] + 1)
        elif trip.why_not != "exempt" and len(self._seen) < self._most:
            self._seen[key] = (trip, 1)

    def all(self) -> list[Sighting]:
        """What was seen, in the order of the first trips."""
        return [Sighting.of(trip, count) for trip, count in self._seen.values()]

    def take(self) -> Sightings:
        """What was seen up to now, and begin anew."""
        taken = Sightings(self._most)
        taken._seen, self._seen = self._seen, {}
        return taken

    def give_back(self, taken: Sightings) -> None:
        """*taken* could not be told."""
        for key, (trip, count) in taken._seen.items():
            later = self._seen.get(key)
            if later is not None:
                self._seen[key] = (later[0], later[1] + count)
            elif len(self._seen) < self._most:
                self._seen[key] = (trip, count)
