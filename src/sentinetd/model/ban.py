"""A source refused until a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from sentinetd.model.address import Network


class Origin(Enum):
    """Who ordered a ban."""

    SENSOR = "sensor"
    OPERATOR = "operator"
    FLEET = "fleet"
    FEED = "feed"


@dataclass(frozen=True, slots=True)
class Ban:
    """*since* and *until* are seconds on the clock of whoever holds the ban: CLOCK_BOOTTIME in the guard, Unix time in
    the store and in events. *until* is `math.inf` for a ban that stands until it is lifted. *sensor* is the id of the
    service whose trip imposed it, empty for other origins."""

    network: Network
    since: float
    until: float
    sensor: str = ""
    origin: Origin = Origin.SENSOR

    @property
    def span(self) -> float:
        """Seconds from beginning to end; `math.inf` for ever."""
        return self.until - self.since

    def active(self, now: float) -> bool:
        """Whether the ban is in force at *now*."""
        return now < self.until

    @property
    def forever(self) -> bool:
        """Whether only a lift ends it."""
        return math.isinf(self.until)
