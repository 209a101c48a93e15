"""Repeats of an event: the first is told, the others are counted, and after a while the count is told. No clock."""

from __future__ import annotations

from collections import OrderedDict

from sentinetd.model.address import Address, Network
from sentinetd.model.events import Event, EventsRepeated
from sentinetd.model.noun import dataclass
from sentinetd.report.formats.text import level
from sentinetd.report.selection import service_of

MOST = 10_000
"""Different events that are watched for repeats at once; beyond, events are told one by one."""

_Key = tuple[type[Event], str, object]


@dataclass(slots=True)
class _Seen:
    first: Event
    until: float
    count: int = 0


class Repeats:
    """Merges what is alike (kind, service, source) within *span* seconds of the first. Times are of one clock."""

    def __init__(self, span: float) -> None:
        self._span = span
        self._seen: OrderedDict[_Key, _Seen] = OrderedDict()  # in the order of their ends

    @property
    def due(self) -> float | None:
        """When the next count may be told."""
        return next((seen.until for seen in self._seen.values()), None)

    def take(self, event: Event, now: float) -> bool:
        """Whether *event* is the first of its like, to be told; else it is counted."""
        key = (type(event), service_of(event), source_of(event))
        seen = self._seen.get(key)
        if seen is not None and seen.until > now:
            seen.count += 1
            return False
        if seen is None and len(self._seen) < MOST:
            self._seen[key] = _Seen(event, now + self._span)
        return True

    def ended(self, now: float, wall: float) -> list[EventsRepeated]:
        """The counts of what began *span* ago, as events of Unix time *wall*; nothing for what did not repeat."""
        told = []
        while self._seen and next(iter(self._seen.values())).until <= now:
            seen = self._seen.popitem(last=False)[1]
            if seen.count:
                told.append(_count(seen, wall, self._span))
        return told

    def rest(self, wall: float) -> list[EventsRepeated]:
        """All counts, before their time: the end."""
        told = [_count(seen, wall, self._span) for seen in self._seen.values() if seen.count]
        self._seen.clear()
        return told


def _count(seen: _Seen, wall: float, span: float) -> EventsRepeated:
    first = seen.first
    source = source_of(first)
    address = source if isinstance(source, Address) else None
    return EventsRepeated(wall, first.kind, level(first), seen.count, span, service_of(first), address)


def source_of(event: Event) -> Address | Network | None:
    """Whom *event* is about; None: nobody."""
    whom: Address | Network | None = getattr(event, "source", None) or getattr(event, "network", None)
    return whom
