"""Which events a sink of alerts is told of. Pure; what a kind of event answers is worked out once."""

from __future__ import annotations

from fnmatch import fnmatchcase

from sentinetd.model.alert import Alert
from sentinetd.model.events import EVENTS, ON_REQUEST, ROUTINE, Event, Level
from sentinetd.report.formats.text import level

GRAVITY = {grade: place for place, grade in enumerate(Level)}
BY_WISH = frozenset({*ROUTINE, *ON_REQUEST})
"""Kinds of event that only those hear who ask for them by name or pattern."""


class Selection:
    """What *alert* asks for. Knows no more services than there are patterns for."""

    def __init__(self, alert: Alert) -> None:
        self._kinds = frozenset(kind for kind in EVENTS if _asked_for(kind, alert.kinds))
        self._least = GRAVITY[alert.level]
        self._services = alert.services

    @property
    def by_wish(self) -> frozenset[str]:
        """The kinds that are told only because somebody asked."""
        return frozenset(kind.kind for kind in self._kinds & BY_WISH)

    def wants(self, event: Event) -> bool:
        """Whether *event* is asked for."""
        if type(event) not in self._kinds or GRAVITY[level(event)] < self._least:
            return False
        return not self._services or any(fnmatchcase(service_of(event), pattern) for pattern in self._services)


def service_of(event: Event) -> str:
    """The service or sensor that *event* is about; empty: none."""
    about: str = getattr(event, "service", "") or getattr(event, "sensor", "") or getattr(event, "name", "")
    return about


def _asked_for(kind: type[Event], patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return kind not in BY_WISH
    return any(fnmatchcase(kind.kind, pattern) for pattern in patterns)
