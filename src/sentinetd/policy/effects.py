"""What the engine wants done. The daemon hands each effect to the room that can do it, in the order given."""

from __future__ import annotations

from sentinetd.model.address import Address, Network
from sentinetd.model.connection import Connection
from sentinetd.model.events import Event
from sentinetd.model.manner import Manner
from sentinetd.model.noun import dataclass
from sentinetd.model.order import Refusal
from sentinetd.model.service import Service
from sentinetd.model.trip_run import Tripped
from sentinetd.model.verdict import Question


@dataclass(frozen=True, slots=True)
class Serve:
    """Have the connection served: by a process of its service that is started, or by the porter, in that *manner*."""

    connection: Connection
    manner: Manner = Manner.SERVER


@dataclass(frozen=True, slots=True)
class Reply:
    """Say what *service*, an internal one, has to say to the connection, and hang up; answer the datagram, and take
    it."""

    connection: Connection
    service: Service


@dataclass(frozen=True, slots=True)
class Say:
    """Send the file *path*, a banner, to the connection; with *last* it is refused next, else it goes on."""

    connection: Connection
    path: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """Tell the client that the multiplexed service which it chose begins (RFC 1078, TCPMUXPLUS)."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Play:
    """Have the porter play the sensor's part for the connection, which is refused next: the porter has a copy."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class HangUp:
    """Have the porter let go of the connection *number*."""

    number: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the porter answer *question* about *source* within *seconds*, for *connection*."""

    connection: Connection
    question: Question
    source: Address
    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """Hang up: close the stream; take exactly the refused datagram; accept and close one of a waiting listener."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Release:
    """The server has the connection: the guard's own descriptor of it is to be closed."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Pause:
    """Close the listener of the service *number* until `Resume`."""

    number: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Open the listener of the service *number* again."""

    number: int


@dataclass(frozen=True, slots=True)
class Suspend:
    """Stop watching the listener of the waiting service *number*: its server has it. Of an intercepted one: the private
    socket."""

    number: int


@dataclass(frozen=True, slots=True)
class Rearm:
    """Watch what `Suspend` stopped to be watched; *connection* is what the server was started for."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Impose:
    """*network* is refused until *until* on the engine's clock: for keepers in the kernel."""

    network: Network
    until: float


@dataclass(frozen=True, slots=True)
class Lift:
    """*network* is refused no longer, before its time."""

    network: Network


@dataclass(frozen=True, slots=True)
class Expire:
    """The ban of *network* has come to its end: for keepers in the kernel that do not end it by themselves."""

    network: Network


@dataclass(frozen=True, slots=True)
class Restate:
    """What is banned changed as a whole: keepers in the kernel are to be told all of `Bans.in_force` again."""


@dataclass(frozen=True, slots=True)
class Exempted:
    """Who is exempt changed: keepers in the kernel are to know."""


@dataclass(frozen=True, slots=True)
class Obeyed:
    """The answer to the order *request*: whether it was carried out, at least in part, and a sentence on what was done.

    *done*: how many of its networks were; *refused*: of the others, up to `REFUSALS_TOLD`.
    """

    request: int
    ok: bool
    text: str
    done: int = 0
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """Send *signal* to the child *pid*."""

    pid: int
    signal: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The service *number* is gone and so are its servers."""

    number: int


@dataclass(frozen=True, slots=True)
class Report:
    """Tell this."""

    event: Event | Tripped


Effect = (
    Serve
    | Reply
    | Say
    | Grant
    | Play
    | HangUp
    | Ask
    | Refuse
    | Release
    | Pause
    | Resume
    | Suspend
    | Rearm
    | Impose
    | Lift
    | Expire
    | Restate
    | Exempted
    | Obeyed
    | Signal
    | Forget
    | Report
)
