"""What happened, each thing told once. How an event looks is a format (`report.formats`), where it goes a sink.

Every event is flat and frozen: `at` is Unix time in seconds, `kind` a stable name that logs, alerts and filters use,
`level` how grave it is (the levels of xinetd's own messages). To add one, write its class here and put it in `EVENTS`,
and its text in `report.formats.text`. A kind's fields may become more, with defaults; a change of meaning is another
`VERSION`.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.noun import dataclass
from sentinetd.model.verdict import Reason

VERSION = 1
"""Of the whole set of kinds and of what their fields mean, for whoever reads them elsewhere."""


class Level(Enum):
    """Gravity of a message, by the names that the daemon's log prints."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    NOTICE = "NOTICE"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True)
class Event:
    """Anything that happened, at Unix time *at*."""

    kind: ClassVar[str]
    level: ClassVar[Level] = Level.INFO

    at: float


# The life of the daemon.


@dataclass(frozen=True, slots=True)
class DaemonStarted(Event):
    """The start is complete but for the count of services. *spawner* names the launching back end."""

    kind: ClassVar[str] = "daemon.started"
    level: ClassVar[Level] = Level.NOTICE
    version: str
    spawner: str


@dataclass(frozen=True, slots=True)
class DaemonWorking(Event):
    """Listeners are open; *services* of them."""

    kind: ClassVar[str] = "daemon.working"
    level: ClassVar[Level] = Level.NOTICE
    services: int


@dataclass(frozen=True, slots=True)
class DaemonStopping(Event):
    """The daemon ends; *why* is the signal's name or the reason."""

    kind: ClassVar[str] = "daemon.stopping"
    level: ClassVar[Level] = Level.WARNING
    why: str


@dataclass(frozen=True, slots=True)
class ProcessFailed(Event):
    """One of our own processes ended when it should not have; a new one starts in *retry_in* seconds."""

    kind: ClassVar[str] = "process.failed"
    level: ClassVar[Level] = Level.ERROR
    process: str
    what: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class ProcessMended(Event):
    """A process that had failed works again."""

    kind: ClassVar[str] = "process.mended"
    level: ClassVar[Level] = Level.NOTICE
    process: str


@dataclass(frozen=True, slots=True)
class FollowerFailed(Event):
    """A keeper of bans outside memory failed; it is tried again in *retry_in* seconds."""

    kind: ClassVar[str] = "follower.failed"
    level: ClassVar[Level] = Level.CRITICAL
    follower: str
    what: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class FollowerMended(Event):
    """A keeper of bans that had failed works again and holds all that was to be kept."""

    kind: ClassVar[str] = "follower.mended"
    level: ClassVar[Level] = Level.NOTICE
    follower: str


@dataclass(frozen=True, slots=True)
class SinkFailed(Event):
    """The sink of alerts *sink* cannot be reached; what is for it waits. Tried again in *retry_in* seconds."""

    kind: ClassVar[str] = "sink.failed"
    level: ClassVar[Level] = Level.ERROR
    sink: str
    what: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class SinkMended(Event):
    """A sink of alerts that had failed works again; *waiting* events are on their way to it."""

    kind: ClassVar[str] = "sink.mended"
    level: ClassVar[Level] = Level.NOTICE
    sink: str
    waiting: int


@dataclass(frozen=True, slots=True)
class SinkDropped(Event):
    """*count* events more will never reach the sink of alerts *sink*, because *why*."""

    kind: ClassVar[str] = "sink.dropped"
    level: ClassVar[Level] = Level.ERROR
    sink: str
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class EventsRepeated(Event):
    """An event of kind *repeated* came *count* times more within *seconds*, of the same *service* and *source*. Only
    sinks that merge repeats are told so."""

    kind: ClassVar[str] = "events.repeated"
    repeated: str
    grade: Level
    count: int
    seconds: float
    service: str
    source: Address | None


@dataclass(frozen=True, slots=True)
class EventsLost(Event):
    """*count* events could not be kept until they were written; bans are never among them."""

    kind: ClassVar[str] = "events.lost"
    level: ClassVar[Level] = Level.ERROR
    count: int


@dataclass(frozen=True, slots=True)
class Heartbeat(Event):
    """The daemon lives, *uptime* seconds since its start: services that listen, servers that run, bans in force."""

    kind: ClassVar[str] = "daemon.heartbeat"
    level: ClassVar[Level] = Level.DEBUG
    uptime: float
    services: int
    servers: int
    bans: int


@dataclass(frozen=True, slots=True)
class ResourceExhausted(Event):
    """The machine has no more of *what*; new work is shed until it has."""

    kind: ClassVar[str] = "resource.exhausted"
    level: ClassVar[Level] = Level.CRITICAL
    what: str


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A fact about the daemon's surroundings that fits no other kind, as a sentence; *grade* is its level."""

    kind: ClassVar[str] = "daemon.notice"
    grade: Level
    text: str


# Configuration.


@dataclass(frozen=True, slots=True)
class FileRead(Event):
    """An included configuration file was read."""

    kind: ClassVar[str] = "configuration.read"
    level: ClassVar[Level] = Level.DEBUG
    file: str


@dataclass(frozen=True, slots=True)
class Diagnosed(Event):
    """A mistake in the configuration, with its place and a way out in *text*; *grade* is its level."""

    kind: ClassVar[str] = "configuration.mistake"
    grade: Level
    text: str


@dataclass(frozen=True, slots=True)
class ReloadStarted(Event):
    """The configuration is read again."""

    kind: ClassVar[str] = "reload.started"
    level: ClassVar[Level] = Level.NOTICE


@dataclass(frozen=True, slots=True)
class ReloadRefused(Event):
    """The new configuration cannot be used; nothing changed."""

    kind: ClassVar[str] = "reload.refused"
    level: ClassVar[Level] = Level.ERROR
    why: str


@dataclass(frozen=True, slots=True)
class ReloadDone(Event):
    """The new configuration is in force: services begun, kept and dropped."""

    kind: ClassVar[str] = "reload.done"
    level: ClassVar[Level] = Level.NOTICE
    new: int
    old: int
    dropped: int


# Services.


@dataclass(frozen=True, slots=True)
class ServiceAdjusted(Event):
    """A running service took over its changed configuration; listener, counts and servers stay."""

    kind: ClassVar[str] = "service.adjusted"
    level: ClassVar[Level] = Level.NOTICE
    service: str


@dataclass(frozen=True, slots=True)
class ServiceDropped(Event):
    """A running service is no longer configured and its listener is closed."""

    kind: ClassVar[str] = "service.dropped"
    level: ClassVar[Level] = Level.NOTICE
    service: str


@dataclass(frozen=True, slots=True)
class ListenerFailed(Event):
    """A service could not be bound; tried again in *retry_in* seconds. *why* names who holds the port, if known."""

    kind: ClassVar[str] = "listener.failed"
    level: ClassVar[Level] = Level.ERROR
    service: str
    why: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class ListenerMended(Event):
    """A service that could not be bound before listens now."""

    kind: ClassVar[str] = "listener.mended"
    level: ClassVar[Level] = Level.NOTICE
    service: str


@dataclass(frozen=True, slots=True)
class ServicePaused(Event):
    """A service's listener is closed for *seconds*; *why* in xinetd's words. *name* is the service's name."""

    kind: ClassVar[str] = "service.paused"
    level: ClassVar[Level] = Level.ERROR
    name: str
    why: str
    seconds: int


@dataclass(frozen=True, slots=True)
class ServiceResumed(Event):
    """A paused service listens again."""

    kind: ClassVar[str] = "service.resumed"
    level: ClassVar[Level] = Level.ERROR  # xinetd's own level for it
    name: str


# Connections and servers. *number* is the running service's number, by which the service log finds its options;
# *port* the client's; *connection* the connection's own number, never used again while the daemon lives, by which what
# happens to one client belongs together (0: it is not known); *protocol* the transport (tcp, udp ...) and *local_port*
# the port that the client came to.


@dataclass(frozen=True, slots=True)
class ConnectionAdmitted(Event):
    """Nothing forbids the connection or datagram: it is about to be served."""

    kind: ClassVar[str] = "connection.admitted"
    number: int
    service: str
    source: Address | None
    port: int
    connection: int = 0
    protocol: str = ""
    local_port: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionRefused(Event):
    """A connection or datagram was not served."""

    kind: ClassVar[str] = "connection.refused"
    number: int
    service: str
    source: Address | None
    port: int
    reason: Reason
    connection: int = 0
    protocol: str = ""
    local_port: int = 0


@dataclass(frozen=True, slots=True)
class ServerStarted(Event):
    """A server process serves the connection; *pid* 0: served by the daemon itself."""

    kind: ClassVar[str] = "server.started"
    number: int
    service: str
    source: Address | None
    port: int
    pid: int
    connection: int = 0
    protocol: str = ""
    local_port: int = 0


@dataclass(frozen=True, slots=True)
class ServerEnded(Event):
    """A server process ended after *duration* seconds: exit *status*, or the *signal* that killed it (then status is
    -1). *bytes_in* came from the client and *bytes_out* went to it; None: a program served it, which tells nobody."""

    kind: ClassVar[str] = "server.ended"
    number: int
    service: str
    source: Address | None
    pid: int
    status: int
    signal: int
    duration: float
    connection: int = 0
    bytes_in: int | None = None
    bytes_out: int | None = None


@dataclass(frozen=True, slots=True)
class UserFound(Event):
    """The client's host says that *user* owns the connection (RFC 1413): a claim, in that host's own words."""

    kind: ClassVar[str] = "user.found"
    number: int
    service: str
    source: Address
    user: str


@dataclass(frozen=True, slots=True)
class UserUnknown(Event):
    """A service that serves only whom an ident server names was asked for by somebody whom none names; *why*."""

    kind: ClassVar[str] = "user.unknown"
    number: int
    service: str
    source: Address
    why: str


@dataclass(frozen=True, slots=True)
class TrafficCounted(Event):
    """So many bytes went through a redirected connection: *bytes_in* from the client, *bytes_out* to it."""

    kind: ClassVar[str] = "connection.traffic"
    number: int
    service: str
    source: Address | None
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class ServerFailed(Event):
    """A server process could not be made ready: *step* (execve, setuid ...) failed with *errno*; *what* is its object.

    *fatal*: the process ended for it; else it went on without (a limit, nice).
    """

    kind: ClassVar[str] = "server.failed"
    level: ClassVar[Level] = Level.ERROR
    service: str
    step: str
    what: str
    errno: int
    fatal: bool


@dataclass(frozen=True, slots=True)
class ForkFailed(Event):
    """No process could be made for a connection; *attempts* so far. It is tried again unless *final*."""

    kind: ClassVar[str] = "server.fork-failed"
    level: ClassVar[Level] = Level.ERROR
    service: str
    errno: int
    attempts: int
    final: bool


@dataclass(frozen=True, slots=True)
class ServerSignalled(Event):
    """A running server is told to end, by the signal of that number."""

    kind: ClassVar[str] = "server.signalled"
    level: ClassVar[Level] = Level.WARNING
    service: str
    pid: int
    signal: int


@dataclass(frozen=True, slots=True)
class DatagramUnread(Event):
    """A server ended and left the datagram it was started for unread; it was taken off so that it starts no other."""

    kind: ClassVar[str] = "datagram.unread"
    level: ClassVar[Level] = Level.WARNING
    service: str
    source: Address | None
    port: int


# Sensors and bans.


@dataclass(frozen=True, slots=True)
class SensorTripped(Event):
    """A sensor was touched. *ban_span*: seconds of the ban that follows, infinity: until lifted, 0: only told.

    *why_not* says why there is no ban, where there is none ("deny_time = NEVER", "exempt" ...). *local* is the address
    that was touched, None where it is not known; *of_many*: the sensor has more ports than *local_port*, so that its id
    alone does not say which it was.
    """

    kind: ClassVar[str] = "sensor.tripped"
    level: ClassVar[Level] = Level.CRITICAL
    number: int
    service: str
    source: Address
    port: int
    ban_span: float
    why_not: str
    connection: int = 0
    protocol: str = ""
    local: Address | None = None
    local_port: int = 0
    of_many: bool = False


@dataclass(frozen=True, slots=True)
class SensorCaptured(Event):
    r"""What the client of a sensor said, told when it was hung up on; *connection* is that of the trip.

    *data* is printable ASCII: other bytes stand as ``\x1b``, ``\r``, ``\n``, ``\t``, a backslash as two of them.
    *truncated*: it said more than was to be kept. *duration*: seconds from the touch to the end.
    """

    kind: ClassVar[str] = "sensor.captured"
    level: ClassVar[Level] = Level.NOTICE
    number: int
    service: str
    source: Address
    port: int
    data: str
    truncated: bool
    duration: float
    connection: int = 0
    protocol: str = ""
    local: Address | None = None
    local_port: int = 0


@dataclass(frozen=True, slots=True)
class BanImposed(Event):
    """A network is refused until Unix time *until*, infinity: until lifted. *sensor* is the id of the sensor that was
    touched, empty for other origins; *who* ordered it and the *note* to it, both empty for a sensor's."""

    kind: ClassVar[str] = "ban.imposed"
    level: ClassVar[Level] = Level.NOTICE
    network: Network
    until: float
    sensor: str
    origin: Origin
    who: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class BanLengthened(BanImposed):
    """A network that is banned already is refused until a later time."""

    kind: ClassVar[str] = "ban.lengthened"


@dataclass(frozen=True, slots=True)
class BansDeclined(Event):
    """*who* ordered *count* bans that are not imposed: *network* the first of them, and *why*."""

    kind: ClassVar[str] = "bans.declined"
    level: ClassVar[Level] = Level.WARNING
    network: Network
    count: int
    origin: Origin
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class BanLifted(Event):
    """*who* ended a ban before its time."""

    kind: ClassVar[str] = "ban.lifted"
    level: ClassVar[Level] = Level.NOTICE
    network: Network
    who: str = ""


@dataclass(frozen=True, slots=True)
class BansCleared(Event):
    """*who* ended all bans there were, *count* of them."""

    kind: ClassVar[str] = "bans.cleared"
    level: ClassVar[Level] = Level.WARNING
    count: int
    who: str


@dataclass(frozen=True, slots=True)
class BanEvicted(Event):
    """The ledger was full and this ban, the one that ends soonest, went."""

    kind: ClassVar[str] = "ban.evicted"
    level: ClassVar[Level] = Level.ERROR
    network: Network


@dataclass(frozen=True, slots=True)
class BanEnded(Event):
    """A ban came to its end."""

    kind: ClassVar[str] = "ban.ended"
    network: Network


@dataclass(frozen=True, slots=True)
class BansEnded(Event):
    """*ended* bans came to their end; *left* are still in force."""

    kind: ClassVar[str] = "bans.ended"
    ended: int
    left: int


@dataclass(frozen=True, slots=True)
class BansRestored(Event):
    """*count* bans from before the start are in force again."""

    kind: ClassVar[str] = "bans.restored"
    level: ClassVar[Level] = Level.NOTICE
    count: int


@dataclass(frozen=True, slots=True)
class ExemptionAdded(Event):
    """*who* ordered that *network* is never refused as banned until Unix time *until* (`math.inf`: until ended)."""

    kind: ClassVar[str] = "exemption.added"
    level: ClassVar[Level] = Level.NOTICE
    network: Network
    until: float
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class ExemptionEnded(Event):
    """An exemption that was ordered is over; *who* ended it, empty: its time had come."""

    kind: ClassVar[str] = "exemption.ended"
    level: ClassVar[Level] = Level.NOTICE
    network: Network
    who: str


EVENTS: tuple[type[Event], ...] = (
    DaemonStarted, DaemonWorking, DaemonStopping, ProcessFailed, ProcessMended, FollowerFailed, FollowerMended,
    SinkFailed, SinkMended, SinkDropped, EventsRepeated, EventsLost, Heartbeat, ResourceExhausted, Notice, FileRead,
    Diagnosed, ReloadStarted, ReloadRefused, ReloadDone,
    ServiceAdjusted, ServiceDropped, ListenerFailed, ListenerMended, ServicePaused, ServiceResumed,
    ConnectionAdmitted, ConnectionRefused, ServerStarted, ServerEnded, UserFound, UserUnknown, TrafficCounted,
    ServerFailed, ForkFailed, ServerSignalled, DatagramUnread,
    SensorTripped, SensorCaptured, BanImposed, BanLengthened, BanLifted, BanEvicted, BanEnded, BansEnded, BansRestored,
    BansDeclined, BansCleared, ExemptionAdded, ExemptionEnded,
)  # fmt: skip
"""Every kind of event, written out."""

ON_REQUEST: frozenset[type[Event]] = frozenset({ConnectionAdmitted, BanEnded, Heartbeat})
"""Kinds that are not even made unless somebody wants them: each comes for every connection, every ban or every minute,
and no log of xinetd's has it."""

ROUTINE: tuple[type[Event], ...] = (ConnectionRefused, ServerStarted, ServerEnded)
"""What happens for each connection: told only where a service's log or a listener wants it."""
