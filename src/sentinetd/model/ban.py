"""A source refused until a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum

from sentinetd.model.address import BITS, Network
from sentinetd.model.noun import dataclass


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
    service whose trip imposed it, empty for other origins; *who* ordered it and the *note* to it, empty for a sensor's.
    """

    network: Network
    since: float
    until: float
    sensor: str = ""
    origin: Origin = Origin.SENSOR
    who: str = ""
    note: str = ""

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


@dataclass(frozen=True, slots=True)
class BanRun:
    """Bans of networks of one IP version, prefix length and scope, as columns: how a million of them cross.

    *prefixes*: for each network as many bytes of it as its length takes, in hexadecimal, one after the other. *ends*
    are Unix time. *kept*: an operator ordered them.
    """

    version: int
    length: int
    scope: str
    kept: bool
    prefixes: str
    ends: tuple[float, ...]

    def rows(self) -> Iterator[tuple[int, float]]:
        """Each network's prefix as a number of `length` bits, with its end. ValueError if this is not of the form."""
        if self.version not in BITS or not 0 <= self.length <= BITS[self.version] or (self.scope and self.version == 4):
            raise ValueError(f"no networks have version {self.version} and length {self.length}")
        size = bytes_of(self.length)
        packed = bytes.fromhex(self.prefixes)
        if len(packed) != size * len(self.ends):
            raise ValueError(f"{len(packed)} bytes are not {len(self.ends)} prefixes of {size}")
        shift = 8 * size - self.length
        starts = range(0, len(packed), size) if size else (0 for _ in self.ends)
        return zip((int.from_bytes(packed[at : at + size], "big") >> shift for at in starts), self.ends, strict=True)


def bytes_of(length: int) -> int:
    """How many bytes a prefix of *length* bits takes."""
    return (length + 7) // 8


ESCALATION = "escalation"
"""Who lengthens the bans of those who came back."""


@dataclass(frozen=True, slots=True)
class LongerBan:
    """The ban of *network* that a touch of *sensor* began is to last until Unix time *until*, since it is not the
    first: *offence* says which."""

    network: Network
    until: float
    sensor: str
    offence: int


@dataclass(frozen=True, slots=True)
class Extended:
    """For whoever keeps bans: that of *network* lasts until Unix time *until*, because of *note*; no trip did it."""

    network: Network
    until: float
    note: str


@dataclass(frozen=True, slots=True)
class Lifted:
    """For whoever keeps bans: *who* ended the ban of *network* at Unix time *at*."""

    network: Network
    at: float
    who: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """For whoever keeps bans: *who* ended all of them at Unix time *at*."""

    at: float
    who: str
