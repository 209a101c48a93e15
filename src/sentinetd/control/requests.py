"""What can be asked for and ordered by HTTP: one row for each operation, with the form of all that goes in and out.

The server checks by this table and the published description is made of it (`openapi`), so the two cannot differ.
Times are Unix time, spans seconds; None, in the place of an end, is for ever.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from sentinetd.control.desk import SinkState
from sentinetd.control.history import Ranking
from sentinetd.control.peers import Right
from sentinetd.control.troubles import Trouble
from sentinetd.model.kept import BanPage, KeptExemption, PastBan
from sentinetd.model.kept import Order as SortKey
from sentinetd.model.noun import dataclass
from sentinetd.model.state import DaemonState, Explanation, ServerState, ServiceState, Standing

VERSION = "v1"
PAGE_MOST = 1_000
DAY = 86_400
SPAN_MOST = 100 * 365 * DAY
JSON = "application/json"
EVENTS = "text/event-stream"
METRICS = "text/plain; version=0.0.4; charset=utf-8"

Word = Annotated[str, Meta(min_length=1, max_length=200)]
AddressText = Annotated[str, Meta(min_length=2, max_length=80, description="An IPv4 or IPv6 address.")]
NetworkText = Annotated[str, Meta(min_length=2, max_length=80, description="An address, or ADDRESS/BITS.")]
Note = Annotated[str, Meta(max_length=500)]
Span = Annotated[float, Meta(ge=1, le=SPAN_MOST)]


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class BanFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """Which bans, and how many of them."""

    address: Annotated[AddressText | None, Meta(description="Only bans that cover this address.")] = None
    network: Annotated[NetworkText | None, Meta(description="Only bans of this network and of what lies in it.")] = None
    sensor: Annotated[Word | None, Meta(description="Only bans imposed by this sensor.")] = None
    origin: Annotated[Word | None, Meta(description="Only bans of this origin: sensor, operator, fleet, feed.")] = None
    ended: Annotated[bool, Meta(description="Also bans that have ended, as long as they are remembered.")] = False
    sort: SortKey = SortKey.LAST
    ascending: bool = False
    limit: Annotated[int, Meta(ge=1, le=PAGE_MOST)] = 100
    offset: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


class OfAddress(Struct, frozen=True, forbid_unknown_fields=True):
    """An address."""

    address: AddressText


class SeriesFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of the last day, in which steps."""

    span: Annotated[int, Meta(ge=60, le=DAY, description="Seconds up to now.")] = 3_600
    step: Annotated[int, Meta(ge=60, le=DAY, description="Seconds that are summed up, in whole minutes.")] = 60


class TopFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """What is ranked, and how many of it."""

    of: Ranking = Ranking.SOURCES
    limit: Annotated[int, Meta(ge=1, le=256)] = 10
    span: Annotated[int, Meta(ge=60, le=DAY, description="Seconds up to now, in whole hours.")] = DAY


class EventFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """Which events."""

    kinds: Annotated[
        str, Meta(max_length=1_000, description="Beginnings of the kinds wanted, separated by commas; empty: all.")
    ] = ""
    routine: Annotated[bool, Meta(description="Also what happens for each connection.")] = False
    recent: Annotated[int, Meta(ge=0, le=500, description="So many of the last events are told first.")] = 0


class BanOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Ban *networks* for *seconds*, None: until they are lifted."""

    networks: Annotated[list[NetworkText], Meta(min_length=1, max_length=10_000)]
    seconds: Span | None
    note: Note = ""


class LiftFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """What is not to be banned any more: exactly this *network*, or, if *all*, everybody."""

    network: NetworkText | None = None
    all: bool = False


class ExemptOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Never refuse *network* as banned, for *seconds*, None: until the exemption is ended."""

    network: NetworkText
    seconds: Span | None
    note: Note = ""


class OfNetwork(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly this network."""

    network: NetworkText


class PurgeOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Forget the bans that ended more than *older_than* seconds ago, with *network* only of what lies in it; and who
    was seen lately. What is banned stays banned, what is in log files stays there."""

    older_than: Annotated[float, Meta(ge=0, le=SPAN_MOST)] = 0
    network: NetworkText | None = None


class NoBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing more needs to be said."""


class Reading(Struct, frozen=True, forbid_unknown_fields=True):
    """*source*: the address that whoever orders it is logged in from; it is never banned from then on."""

    source: AddressText | None = None


class NotDone(Struct, frozen=True):
    """A network that an order named and that it did not reach."""

    network: str
    why: str


class Done(Struct, frozen=True):
    """An order was carried out, at least in part: for *done* networks, not for those *refused*."""

    text: str
    done: int
    refused: list[NotDone]


class Step(Struct, frozen=True):
    """One thing that was tried, whether it worked, what was seen, and after how many *seconds*."""

    name: str
    ok: bool
    text: str
    seconds: float


class Fired(Struct, frozen=True):
    """What became of a harmless trip, step by step."""

    ok: bool
    steps: list[Step]


class Exemptions(Struct, frozen=True):
    """The exemptions by order."""

    exemptions: list[KeptExemption]


class Services(Struct, frozen=True):
    """The running services."""

    services: list[ServiceState]


class Servers(Struct, frozen=True):
    """The running servers."""

    servers: list[ServerState]


class Today(Struct, frozen=True):
    """What happened since midnight or since we began to count, whichever is later."""

    since: float
    trips: int
    bans: int
    refused: int


class Status(Struct, frozen=True):
    """The daemon, its day, and what is wrong."""

    daemon: DaemonState
    today: Today
    troubles: list[Trouble]
    sinks: list[SinkState]
    subscribers: int


class Decision(Struct, frozen=True):
    """What would become of a source: everywhere, by a ban if there is one, and at each service."""

    standing: Standing
    ban: BanPage
    past: list[PastBan]
    services: list[Explanation]


class Series(Struct, frozen=True):
    """Numbers for each *step* seconds from *start* on; the last step is not over yet."""

    start: float
    step: int
    trips: list[int]
    bans: list[int]
    refused: list[int]


class Ranked(Struct, frozen=True):
    """A name and how many trips it had; at worst, more than it really had."""

    name: str
    trips: int


class Top(Struct, frozen=True):
    """The busiest since Unix time *since*."""

    of: Ranking
    since: float
    ranked: list[Ranked]


class Problem(Struct, frozen=True):
    """Why a request was not carried out, and what to do."""

    error: str


class Health(Struct, frozen=True):
    """Whether all is well."""

    ok: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: what is asked by *method* and *path*, by whom it may be, in which form, and what comes back.

    *query* and *body* are Structs, *body* None for none; *answer* is a Struct or dataclass, or None for *media* that
    is not JSON. *failures*: statuses beyond 400, 401 and 403, which any may have, and what they mean.
    """

    name: str
    method: str
    path: str
    right: Right
    doc: str
    query: type[Struct] = Nothing
    body: type[Struct] | None = None
    answer: Any = None
    media: str = JSON
    failures: tuple[tuple[int, str], ...] = ()


SILENT = ((503, "The guard or the store does not answer."),)
ORDERED = (
    (409, "The guard does not do it, and why."),
    (413, "The body is too long."),
    (503, "The guard or the store does not answer."),
)
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "status", "GET", "/v1/status", Right.READ, "What runs, since when, and what is wrong.", answer=Status,
        failures=SILENT,
    ),
    Operation(
        "services", "GET", "/v1/services", Right.READ, "The running services with their limits and counts.",
        answer=Services, failures=SILENT,
    ),
    Operation("servers", "GET", "/v1/servers", Right.READ, "The running servers.", answer=Servers, failures=SILENT),
    Operation(
        "bans", "GET", "/v1/bans", Right.READ, "Bans, filtered, sorted, by the page.", query=BanFilter, answer=BanPage,
        failures=SILENT,
    ),
    Operation(
        "ban", "POST", "/v1/bans", Right.CHANGE, "Ban networks.", body=BanOrder, answer=Done, failures=ORDERED,
    ),
    Operation(
        "lift", "DELETE", "/v1/bans", Right.CHANGE, "End a ban, or all.", query=LiftFilter, answer=Done,
        failures=ORDERED,
    ),
    Operation(
        "exemptions", "GET", "/v1/exemptions", Right.READ, "The networks that are exempt by order.", answer=Exemptions,
        failures=SILENT,
    ),
    Operation(
        "exempt", "POST", "/v1/exemptions", Right.CHANGE, "Never refuse a network as banned.", body=ExemptOrder,
        answer=Done, failures=ORDERED,
    ),
    Operation(
        "unexempt", "DELETE", "/v1/exemptions", Right.CHANGE, "End an exemption that was ordered.", query=OfNetwork,
        answer=Done, failures=ORDERED,
    ),
    Operation(
        "reload", "POST", "/v1/reload", Right.CHANGE, "Read the same configuration again, as SIGHUP does.",
        body=Reading, answer=Done, failures=ORDERED,
    ),
    Operation(
        "test-fire", "POST", "/v1/test-fire", Right.CHANGE,
        "A harmless trip, by an address of RFC 5737, through everything that follows one.", body=NoBody, answer=Fired,
        failures=ORDERED,
    ),
    Operation(
        "purge", "POST", "/v1/purge", Right.CHANGE, "Forget who was banned.", body=PurgeOrder, answer=Done,
        failures=ORDERED,
    ),
    Operation(
        "explain", "GET", "/v1/explain", Right.READ,
        "Would an address be admitted to each service, and by which line of which file not? Asks no DNS, counts "
        "nothing.",
        query=OfAddress, answer=Decision, failures=SILENT,
    ),
    Operation(
        "series", "GET", "/v1/series", Right.READ, "Trips, new bans and refusals over time.", query=SeriesFilter,
        answer=Series,
    ),
    Operation("top", "GET", "/v1/top", Right.READ, "Who had the most trips.", query=TopFilter, answer=Top),
    Operation(
        "events", "GET", "/v1/events", Right.READ,
        "Events as they happen, as server-sent events: the kind is the event's type, its JSON the data.",
        query=EventFilter, media=EVENTS, failures=((503, "There are too many subscribers."),),
    ),
    Operation(
        "metrics", "GET", "/metrics", Right.READ, "What was counted, for Prometheus.", media=METRICS, failures=SILENT,
    ),
    Operation(
        "health", "GET", "/healthz", Right.READ, "Whether the daemon lives.", answer=Health,
        failures=((503, "It does not."),),
    ),
    Operation(
        "readiness", "GET", "/readyz", Right.READ, "Whether the daemon serves: every listener is open, bans are kept.",
        answer=Health, failures=((503, "It does not, or not everything."),),
    ),
)  # fmt: skip
"""Every operation but the description itself."""
OPEN = frozenset({"metrics", "health", "readiness"})
"""What the listener of [metrics] answers, to everybody on this host."""
