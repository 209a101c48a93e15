"""Bans as the store keeps them, with what it knows beyond the guard, and the questions that can be put to it."""

from __future__ import annotations

from enum import Enum

from sentinetd.model.address import Address, Network
from sentinetd.model.noun import dataclass


class Order(Enum):
    """What a list of bans is sorted by."""

    LAST = "last"
    SINCE = "since"
    UNTIL = "until"
    TRIPS = "trips"
    NETWORK = "network"
    SENSOR = "sensor"


@dataclass(frozen=True, slots=True, kw_only=True)
class BanQuery:
    """Which bans: those that cover *address*, lie within *network*, were imposed by *sensor* or *origin*, in force at
    Unix time *at* if *active*, else ended ones too. Sorted by *order*, *limit* of them after the first *offset*."""

    at: float
    address: Address | None = None
    network: Network | None = None
    sensor: str | None = None
    origin: str | None = None
    active: bool = True
    order: Order = Order.LAST
    descending: bool = True
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class KeptBan:
    """A ban: its *network*, the *sensor* that was touched (empty where none was), its origin, first and last trip, its
    end (None: until lifted), how many *trips*, how many bans they began (*offences*), *who* ordered it, and a note.
    Times are Unix time."""

    network: str
    sensor: str
    origin: str
    since: float
    last: float
    until: float | None
    trips: int
    offences: int
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class KeptExemption:
    """A network that is never refused as banned, by order: until Unix time *until* (None: until ended)."""

    network: str
    since: float
    until: float | None
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class PastBan:
    """A ban that another one followed, or that was lifted: *what* became of it at Unix time *at*, *by* whom."""

    network: str
    at: float
    what: str
    by: str
    sensor: str
    origin: str
    since: float
    until: float | None
    trips: int
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class BanPage:
    """Some of the *total* bans that a question fits."""

    total: int
    bans: tuple[KeptBan, ...]
