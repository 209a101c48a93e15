"""What the guard can say of itself when it is asked: plain values, for the control API, its tools and the metrics.

Times of day are Unix time, spans are seconds. None in the place of a limit: there is none.
"""

from __future__ import annotations

from enum import Enum

from sentinetd.model.noun import dataclass


class Topic(Enum):
    """What can be asked of the guard."""

    STATUS = "status"
    SERVICES = "services"
    SERVERS = "servers"
    EXPLAIN = "explain"
    """Of an address: who would admit it."""
    TALLY = "tally"
    """What was counted."""


class Role(Enum):
    """What a service is for those who connect."""

    SENSOR = "sensor"
    SERVER = "server"
    INTERNAL = "internal"
    REDIRECT = "redirect"
    INTERCEPTED = "intercepted"


class Condition(Enum):
    """How a service is just now. WAITING: its one server has the socket. PAUSED: closed for a while (cps).
    UNBOUND: its address cannot be had, which is tried again."""

    OPEN = "open"
    WAITING = "waiting"
    PAUSED = "paused"
    UNBOUND = "unbound"


@dataclass(frozen=True, slots=True)
class Helper:
    """One of the daemon's own processes; *pid* 0: it does not run at present."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class EnforcerState:
    """Who refuses banned sources beside us: the kernel, or a program; *ok*: it holds every ban."""

    name: str
    ok: bool


@dataclass(frozen=True, slots=True)
class DaemonState:
    """The daemon as a whole. *unwritten*: records that no log has yet."""

    version: str
    pid: int
    started: float
    configuration: str
    spawner: str
    helpers: tuple[Helper, ...]
    enforcers: tuple[EnforcerState, ...]
    services: int
    sensors: int
    unbound: int
    paused: int
    servers: int
    bans: int
    unwritten: int


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A running service. *address* is empty for all addresses; *port* 0: reached through tcpmux or rpcbind alone, or at
    the many *ports* of its entry, which are cut off where they are very many.

    *deny_time*: seconds for which a sensor bans, 0: never, None: for ever or no sensor. *served*, *refused* and *trips*
    count since the service began. *file* and *line*: where its entry stands.
    """

    number: int
    id: str
    name: str
    role: Role
    condition: Condition
    socket_type: str
    protocol: str
    address: str
    port: int
    ports: str
    user: str
    servers: int
    instances: int | None
    per_source: int | None
    cps_rate: int
    cps_wait: int
    max_load: float | None
    deny_time: float | None
    served: int
    refused: int
    trips: int
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class ServerState:
    """A running server; *source* is empty where the server accepts by itself. *carried*: no process of its own, the
    porter (*pid*) has the connection."""

    service: str
    pid: int
    source: str
    port: int
    started: float
    carried: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a source at every service. *exempt*: it is never banned. *network*: the ban that covers it, empty
    for none; *until*: when that ends, None for never."""

    address: str
    exempt: bool
    network: str
    until: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a source at one service: *admitted*, or not and for what *reason*.

    *attribute* and *word* are what decided in the configuration, *file* and *line* where that stands, as far as it
    stands anywhere. *asks*: what would have to be found out first (name, tables, user; proxy: whom it
    announces, which is judged in its place), empty for nothing; then *admitted* holds if that turns out well.
    """

    service: str
    port: int
    admitted: bool
    reason: str
    attribute: str
    word: str
    file: str
    line: int
    asks: str


@dataclass(frozen=True, slots=True)
class Count:
    """So many of what *label* says."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram: *counts* of values up to each of *bounds* and, last, beyond them; and the *total* of all values."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class ServiceTally:
    """What one service has counted since it began."""

    service: str
    role: Role
    servers: int
    served: int
    trips: int
    refused: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """What the guard has counted since it began. *start*: seconds from a connection to its server. *duration*: seconds
    that servers ran. *queues*: what waits where. *trips* and *refused* also count services that are gone."""

    trips: int
    refused: int
    served: int
    start: Spread
    duration: Spread
    queues: tuple[Count, ...]
