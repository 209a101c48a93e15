"""What crosses between the guard and its courier, porter and herald: plain values with bounds, checked on arrival.

The guard sends the courier *directives* (which logs there are, what each service logs) and events; the courier answers
with the bans it keeps and with the sequence number up to which everything is written. A message never carries a path
to open, a user or a command: files are opened by the guard and cross as descriptors.
"""

from __future__ import annotations

from sentinetd.model.address import Address
from sentinetd.model.ban import BanRun, LongerBan
from sentinetd.model.connection import Announced
from sentinetd.model.events import EVENTS
from sentinetd.model.exemption import Exemption
from sentinetd.model.noun import dataclass
from sentinetd.model.offer import Advertisement, Registration
from sentinetd.model.order import EndExemption, Exempt, ImposeBans, LiftAllBans, LiftBans, Refusal, Reload
from sentinetd.model.routine import Ending, Routine
from sentinetd.model.service import OnFailure, OnSuccess
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.model.state import (
    DaemonState,
    Explanation,
    ServerState,
    ServiceState,
    ServiceTally,
    Standing,
    Tally,
    Topic,
)
from sentinetd.model.trip_run import TripRun
from sentinetd.model.values import Decoy
from sentinetd.model.verdict import Question

DAEMON_LOG = 0
"""Number of the sink that takes the daemon's own messages."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """First to the courier: *ident* and *pid* that the logs bear (the guard's)."""

    ident: str
    pid: int


@dataclass(frozen=True, slots=True)
class FileSink:
    """Sink *sink* is the file whose descriptor comes with this message. *label* names it in messages: a service's id
    or `common`. *soft* and *hard* are limits in bytes, 0: none."""

    sink: int
    label: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class SyslogSink:
    """Sink *sink* is the system's log, with the facility and the level of syslog(3) by name. An empty level: each
    message's own."""

    sink: int
    facility: str
    level: str


@dataclass(frozen=True, slots=True)
class SinkGone:
    """Nothing goes to sink *sink* any more: close it."""

    sink: int


@dataclass(frozen=True, slots=True)
class ServiceLog:
    """Events of the running service *number* go to *sink* as the options say; None: it keeps no service log."""

    number: int
    sink: int | None
    success: tuple[OnSuccess, ...]
    failure: tuple[OnFailure, ...]


@dataclass(frozen=True, slots=True)
class ServiceGone:
    """The service *number* no longer runs and no server of it does."""

    number: int


@dataclass(frozen=True, slots=True)
class Handed:
    """The descriptor that comes with this is file *number* of the settings of *request*. Before those are in force it
    belongs to them; afterwards it takes the place of the one there was."""

    request: int
    number: int


@dataclass(frozen=True, slots=True)
class Instructed:
    """Can the courier do as *settings* say? It gets everything ready and answers `Agreed` or `Disagreed`."""

    request: int
    settings: CourierSettings


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings of *request* are in force from here on."""

    request: int


@dataclass(frozen=True, slots=True)
class Farewell:
    """The guard ends: write what has come, answer `Written`, end."""


@dataclass(frozen=True, slots=True)
class Query:
    """From the courier: what of *topic*? *subject* is an address for `Topic.EXPLAIN`, else empty. Answered by messages
    that bear the same *request*, of which the last has not *more* or no such field."""

    request: int
    topic: Topic
    subject: str


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """The daemon as a whole."""

    request: int
    state: DaemonState


@dataclass(frozen=True, slots=True)
class ServicesAnswer:
    """Running services."""

    request: int
    rows: tuple[ServiceState, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class ServersAnswer:
    """Running servers."""

    request: int
    rows: tuple[ServerState, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class ExplainAnswer:
    """What would become of a source: everywhere, and at each service."""

    request: int
    standing: Standing
    rows: tuple[Explanation, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class TallyAnswer:
    """What was counted: in all, and by each service."""

    request: int
    tally: Tally
    rows: tuple[ServiceTally, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """There is no answer, and *why*."""

    request: int
    why: str


@dataclass(frozen=True, slots=True)
class Restored:
    """Bans from the store; several messages may follow each other."""

    run: BanRun


@dataclass(frozen=True, slots=True)
class LongerBans:
    """Bans of those who came back are to last longer."""

    bans: tuple[LongerBan, ...]


@dataclass(frozen=True, slots=True)
class RestoredExemptions:
    """Exemptions by order, from the store, in Unix time; they come before the bans."""

    exemptions: tuple[Exemption, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The courier has sent all it had; *trouble* says what is wrong with the store, empty when nothing is."""

    trouble: str


@dataclass(frozen=True, slots=True)
class OrderBans:
    """*who* orders this, by the courier; answered by `Obeyed` with the same *request*. So for the next."""

    request: int
    who: str
    order: ImposeBans


@dataclass(frozen=True, slots=True)
class OrderLift:
    request: int
    who: str
    order: LiftBans


@dataclass(frozen=True, slots=True)
class OrderLiftAll:
    request: int
    who: str
    order: LiftAllBans


@dataclass(frozen=True, slots=True)
class OrderExempt:
    request: int
    who: str
    order: Exempt


@dataclass(frozen=True, slots=True)
class OrderEndExemption:
    request: int
    who: str
    order: EndExemption


@dataclass(frozen=True, slots=True)
class OrderReload:
    request: int
    who: str
    order: Reload


@dataclass(frozen=True, slots=True)
class Obeyed:
    """To the courier: whether the order *request* was carried out, at least in part, and what was done in a sentence.

    *done*: how many of its networks were; *refused*: of the others, up to `REFUSALS_TOLD`. It comes after the events
    that tell what was done, and is lost with the courier that asked.
    """

    request: int
    ok: bool
    text: str
    done: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """Every record up to *sequence* is written, bans among them committed."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """From the courier: the settings of *request* can be put in force."""

    request: int


@dataclass(frozen=True, slots=True)
class Disagreed:
    """From the courier: the settings of *request* cannot be used as they are."""

    request: int
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Full:
    """From the courier: file *number* of the settings of *request* has the size at which a new one is begun."""

    request: int
    number: int


@dataclass(frozen=True, slots=True)
class Curious:
    """From the courier: of the kinds in `events.ROUTINE` and `events.ON_REQUEST`, somebody wants to hear of *kinds*
    now, of whatever service."""

    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """To the porter: *question* about *source* for connection *number*, to be answered within *seconds*."""

    number: int
    question: Question
    source: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AskedAddresses:
    """To the porter: which addresses has the host *name*? Found out within *seconds*."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AddressesAre:
    """From the porter: the host *name* has *addresses*; None: it could not be found out in time."""

    name: str
    addresses: tuple[Address, ...] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """From the porter; *value* None: it could not be found out in time."""

    number: int
    question: Question
    value: str | None


@dataclass(frozen=True, slots=True)
class Complaint:
    """From the porter: *what* it met that should not be. The guard tells it as a message of its own."""

    what: str


# With each of the next orders comes one descriptor, the connection; with `Say` and `Join` a second one. The porter owns
# its copies and closes them; whether the guard keeps its own is the guard's affair.


@dataclass(frozen=True, slots=True)
class Carry:
    """To the porter: do the internal service *routine* for connection *number*, until *idle* seconds of silence (0: for
    ever). *position* is where chargen's pattern begins, 0 for the others."""

    number: int
    routine: Routine
    position: int
    idle: float


@dataclass(frozen=True, slots=True)
class Relay:
    """To the porter: carry connection *number* on to *port* of *host* (an address or a name), reached within *seconds*,
    until *idle* seconds of silence (0: for ever)."""

    number: int
    host: str
    port: int
    keepalive: bool
    seconds: float
    idle: float


@dataclass(frozen=True, slots=True)
class Join:
    """To the porter: carry connection *number* on to the private *port* of an intercepted service's server, reached by
    the socket that comes after the connection's within *seconds*, until *idle* seconds of silence (0: for ever)."""

    number: int
    port: int
    seconds: float
    idle: float


@dataclass(frozen=True, slots=True)
class Attend:
    """To the porter: the descriptor is the socket of the intercepted datagram *service*, whose server is at the private
    *port* and runs as *user*. Nothing is carried there before the guard has admitted the client."""

    service: int
    port: int
    user: int


@dataclass(frozen=True, slots=True)
class Admit:
    """To the porter: the client that it called *token* in `Met` is connection *number* from now on, carried by the
    descriptor until *idle* seconds of silence."""

    number: int
    service: int
    token: int
    idle: float


@dataclass(frozen=True, slots=True)
class Choose:
    """To the porter: which multiplexed service does connection *number* want (RFC 1078)? Said within *seconds*."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Say:
    """To the porter: send the file to connection *number* within *seconds*. *last*: then hang up, letting the client
    read; the guard closes its own copy of the connection before."""

    number: int
    seconds: float
    last: bool


@dataclass(frozen=True, slots=True)
class AskedHeader:
    """To the porter: whom does the PROXY header of connection *number* announce? It is read within *seconds*."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Play:
    """To the porter: go on with connection *number*, whose *source* touched a sensor: talk as *decoy*, if not None,
    *greeting* in place of its own if not None (bytes as the characters of Latin-1); keep *size* bytes of what is said
    within *seconds*; draw it out to *tarpit* seconds, if not 0."""

    number: int
    source: str
    decoy: Decoy | None
    greeting: str | None
    size: int
    seconds: float
    tarpit: float


# With the following comes none.


@dataclass(frozen=True, slots=True)
class Multiplexed:
    """To the porter: from now on these are the multiplexed services, in lower case."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """To the porter: let go of connection *number*; `Carried` follows unless it was told already."""

    number: int


@dataclass(frozen=True, slots=True)
class Shun:
    """To the porter: the client that it called *token* in `Met` is refused."""

    service: int
    token: int


@dataclass(frozen=True, slots=True)
class Leave:
    """To the porter: let go of all that belongs to the intercepted datagram *service*."""

    service: int


@dataclass(frozen=True, slots=True)
class Met:
    """From the porter: a datagram of a client came, at *port* of *source*, that is not carried for the intercepted
    *service*; *token* names it in the guard's verdict, `Admit` or `Shun`."""

    service: int
    token: int
    source: Address
    port: int


@dataclass(frozen=True, slots=True)
class AskedUser:
    """To the porter: who owns the connection at its other end (RFC 1413)? Found out within *seconds*."""

    number: int
    source: str
    source_port: int
    local: str
    local_port: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AskedTables:
    """To the porter: do hosts.allow and hosts.deny admit *source* to *daemon* (hosts_access(5))? The rest is for
    patterns that name the server's address or the client's user; judged within *seconds*."""

    number: int
    daemon: str
    source: str
    source_port: int
    local: str
    local_port: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TableFile:
    """To the porter, with a descriptor: hosts.allow, or hosts.deny if *deny*, which its user may not open."""

    deny: bool


@dataclass(frozen=True, slots=True)
class Carried:
    """From the porter: connection *number* is over, with so many bytes from and to the client. *error*: how it broke,
    or ""."""

    number: int
    bytes_in: int
    bytes_out: int
    ending: Ending
    error: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """From the porter: connection *number* wants the multiplexed service *name*, in lower case."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Played:
    """From the porter: connection *number* of a sensor is over, after *seconds*. *said*: what was to be kept of the
    client's words, in escapes; *more*: it said more. None: nothing was played."""

    number: int
    said: str | None
    more: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class User:
    """From the porter: *name* owns connection *number*; None: the other host did not say, and *why*, in xinetd's
    words."""

    number: int
    name: str | None
    why: str


@dataclass(frozen=True, slots=True)
class HeaderSays:
    """From the porter: whom the header of connection *number* announces; None: it has no such header, and *why*."""

    number: int
    announced: Announced | None
    why: str


@dataclass(frozen=True, slots=True)
class TablesSay:
    """From the porter: whether the tables admit connection *number*. *where*: the rule that decided (file and line), or
    why there is none. *spawns*: the rule has a shell command, which was not run; no command crosses to the guard."""

    number: int
    admit: bool
    where: str
    spawns: bool


@dataclass(frozen=True, slots=True)
class Mandate:
    """To the herald: whoever has locked the file that comes with this (flock(2)) is the one that may register."""


@dataclass(frozen=True, slots=True)
class Offer:
    """To the herald: *registration* is at *address* (RFC 5665) from now on."""

    registration: Registration
    address: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """To the herald: take back *registration*, also if an earlier herald made it."""

    registration: Registration


@dataclass(frozen=True, slots=True)
class Removed:
    """From the herald: rpcbind does not have *registration* of us any more."""

    registration: Registration


@dataclass(frozen=True, slots=True)
class Taken:
    """From the herald: rpcbind did not take *registration*, since it has another's; or it does now."""

    registration: Registration
    taken: bool


@dataclass(frozen=True, slots=True)
class Reached:
    """From the herald: why rpcbind cannot be reached, or "": it can again."""

    why: str


@dataclass(frozen=True, slots=True)
class Advertise:
    """To the herald: the running service *number* is to be found by mDNS so."""

    number: int
    advertisement: Advertisement


@dataclass(frozen=True, slots=True)
class Hide:
    """To the herald: the service *number* is not to be found any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Move:
    """To the herald: addresses of the host changed."""


ORDERS = (OrderBans, OrderLift, OrderLiftAll, OrderExempt, OrderEndExemption, OrderReload)
ANSWERS = (StatusAnswer, ServicesAnswer, ServersAnswer, ExplainAnswer, TallyAnswer, Unanswerable)
"""What a `Query` is answered with."""
TO_COURIER = (
    Greeting, FileSink, SyslogSink, SinkGone, ServiceLog, ServiceGone, Handed, Instructed, InForce, Obeyed, Farewell,
    TripRun, *ANSWERS, *EVENTS,
)  # fmt: skip
FROM_COURIER = (
    Restored, RestoredExemptions, LongerBans, Ready, Written, Agreed, Disagreed, Full, Curious, Query, *ORDERS
)  # fmt: skip
TO_PORTER = (
    Asked, AskedAddresses, AskedUser, AskedTables, AskedHeader, Carry, Relay, Join, Attend, Admit, Choose, Say, Play,
    Multiplexed, TableFile, HangUp, Shun, Leave,
)  # fmt: skip
FROM_PORTER = (Answer, AddressesAre, User, TablesSay, HeaderSays, Carried, Chosen, Played, Met, Complaint)
TO_HERALD = (Mandate, Offer, Withdraw, Advertise, Hide, Move)
FROM_HERALD = (Removed, Taken, Reached, Complaint)
