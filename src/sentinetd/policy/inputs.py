"""What the engine is told. Everything that can change a decision comes in as one of these, and no other way."""

from __future__ import annotations

from collections.abc import Mapping

from sentinetd.model.address import NOBODY, Address, AddressSet
from sentinetd.model.ban import Ban, LongerBan
from sentinetd.model.connection import Announced, Connection
from sentinetd.model.events import Event
from sentinetd.model.exemption import Exemption
from sentinetd.model.noun import dataclass, field
from sentinetd.model.order import Order
from sentinetd.model.service import Service
from sentinetd.model.settings import Settings
from sentinetd.model.verdict import Question


@dataclass(frozen=True, slots=True)
class Moment:
    """When an input is handled. *now*: seconds of CLOCK_BOOTTIME; *wall*: Unix time; *minute* of the local day;
    *load*: the machine's load average over a minute, infinity where it cannot be read (a missing fact denies);
    *tables*: hosts.allow or hosts.deny has rules."""

    now: float
    wall: float
    minute: int = 0
    load: float = 0.0
    tables: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the host knows of itself. *own*: sources that are never banned (loopback, the host's addresses, gateways,
    resolvers); *on_link*: networks that are reached without a router, where one IPv6 address is one host."""

    own: AddressSet = NOBODY
    on_link: AddressSet = NOBODY


@dataclass(frozen=True, slots=True)
class Arrived:
    """A connection was accepted, a datagram waits, or a waiting stream service's listener is readable."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody who was admitted waits at the private socket of an intercepted service; *connection*, which has no
    source, is to stand for the server that is started for it."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Answered:
    """The porter's answer for the connection *number*; *value* None: it could not be found out in time. An `Announced`
    answers `Question.PROXY` and nothing else."""

    number: int
    question: Question
    value: str | Announced | None


@dataclass(frozen=True, slots=True)
class Launched:
    """The server ordered for the connection *number* is process *pid*, since *at*, on the engine's clock: that may be
    told late, even after its end. None: since now."""

    number: int
    pid: int
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """The porter, process *pid*, has the connection *number*."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The porter is done with the connection *number*: so many bytes from and to the client."""

    number: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """The client of connection *number*, which came to the multiplexer, wants the service *name*, in lower case."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Played:
    """The porter has hung up on the client of a sensor, connection *number*, after *seconds*: *said* is what was to be
    kept of its words, in escapes; *more*: it said more. None: nothing was played."""

    number: int
    said: str | None
    more: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CarriersGone:
    """The porter ended, and with it every connection that it had."""


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """No process could be made for the connection *number*. *errno* 0: who makes or carries them is not there, and
    `Recovered` follows when another is."""

    number: int
    errno: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """There is a spawner, or a porter, again."""


@dataclass(frozen=True, slots=True)
class LaunchersGone:
    """The spawner ended, and never said what became of *orders*, by the numbers of their connections."""

    orders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SetupFailed:
    """The process made for connection *number* could not do *step* on *what*; *fatal*: it ended for it."""

    number: int
    step: str
    what: str
    errno: int
    fatal: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A child process was reaped: exit *status*, or -1 and the *signal* that killed it."""

    pid: int
    status: int
    signal: int


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The service *number* cannot accept: no descriptors."""

    number: int


@dataclass(frozen=True, slots=True)
class Learned:
    """Bans that others keep or order; their times are on the engine's clock."""

    bans: tuple[Ban, ...]


@dataclass(frozen=True, slots=True)
class Escalated:
    """Bans of those who came back, as they are to last."""

    bans: tuple[LongerBan, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The host *name*, which is exempt, stands for *addresses* now."""

    name: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An operator who starts the daemon, or has it read its files again, is logged in from *source*."""

    source: Address


@dataclass(frozen=True, slots=True)
class Recalled:
    """Bans of before the start, of networks of one IP version, length and scope: each one's prefix as a number, and its
    end in Unix time. *kept*: an operator ordered them."""

    version: int
    length: int
    scope: str
    kept: bool
    rows: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class RecalledExemptions:
    """Exemptions by order, of before the start, in Unix time."""

    exemptions: tuple[Exemption, ...]


@dataclass(frozen=True, slots=True)
class Ordered:
    """*who* gave this *order* through the courier; it is answered by `Obeyed` with the same *request*."""

    request: int
    order: Order
    who: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration changed: services by number to *start*, to *adjust* in place, to *stop*."""

    settings: Settings
    start: Mapping[int, Service] = field(default_factory=dict)
    adjust: Mapping[int, Service] = field(default_factory=dict)
    stop: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Moved:
    """The host's own addresses, gateways or resolvers changed."""

    surroundings: Surroundings


@dataclass(frozen=True, slots=True)
class Heeded:
    """Somebody wants the events of *kinds*, which come for every connection (`model.events.ON_REQUEST`,
    `ROUTINE`): those of servers are not made unless they are wanted."""

    kinds: frozenset[type[Event]]


@dataclass(frozen=True, slots=True)
class Leaving:
    """The daemon ends; *servers*: the running servers are to end too."""

    servers: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; see `Engine.deadline`."""


Input = (
    Arrived
    | Wanted
    | Answered
    | Launched
    | Begun
    | Finished
    | Chosen
    | Played
    | CarriersGone
    | LaunchFailed
    | Recovered
    | LaunchersGone
    | SetupFailed
    | Ended
    | Exhausted
    | Learned
    | Escalated
    | Found
    | LoggedIn
    | Recalled
    | RecalledExemptions
    | Ordered
    | Reloaded
    | Moved
    | Heeded
    | Leaving
    | Tick
)
