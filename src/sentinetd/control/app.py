"""The control API at work: a request is checked by the table of operations, and answered from desk, history and stream.

This module loads starlette and msgspec; it is imported when somebody first connects.
"""

from __future__ import annotations

import asyncio
import hmac
import pwd
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sentinetd.control import openapi
from sentinetd.control.counts import Counts
from sentinetd.control.desk import Desk, NoAnswer
from sentinetd.control.history import History, Minute
from sentinetd.control.metrics import exposition
from sentinetd.control.peers import Peer, Right, right_of
from sentinetd.control.reading import Refused, read_address, read_as, read_body, read_network, read_parameters
from sentinetd.control.requests import (
    EVENTS,
    JSON,
    METRICS,
    OPEN,
    OPERATIONS,
    BanFilter,
    BanOrder,
    Decision,
    Done,
    EventFilter,
    Exemptions,
    ExemptOrder,
    Fired,
    Health,
    LiftFilter,
    NoBody,
    NotDone,
    OfAddress,
    OfNetwork,
    Operation,
    Problem,
    PurgeOrder,
    Ranked,
    Reading,
    Series,
    SeriesFilter,
    Servers,
    Services,
    Status,
    Today,
    Top,
    TopFilter,
)
from sentinetd.control.stream import Stream, Subscriber
from sentinetd.control.testfire import fire
from sentinetd.control.troubles import Troubles
from sentinetd.model.ban import Origin
from sentinetd.model.events import Event, Level, Notice
from sentinetd.model.kept import BanQuery
from sentinetd.model.noun import dataclass, replace
from sentinetd.model.order import (
    FOR_EVER,
    EndExemption,
    Exempt,
    ImposeBans,
    LiftAllBans,
    LiftBans,
    Order,
    Reload,
    WantedBan,
)
from sentinetd.model.settings import ControlSettings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
NAME_MOST = 64
"""Characters of a user's name in an event."""
REFUSALS_SHOWN = 5
"""Networks of an order that an error names."""
PAST_MOST = 50
"""Former bans that an explanation shows."""
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what that one may do. *uid*: None on loopback."""

    name: str
    right: Right
    uid: int | None = None

    async def name_for_the_record(self) -> str:
        """The name that events bear, with the user's own where the host knows one."""
        if self.uid is None:
            return self.name
        user = await asyncio.get_running_loop().run_in_executor(None, _user_name, self.uid)
        return f"{self.name} ({user})" if user else self.name


@dataclass(slots=True)
class Office:
    """What requests are answered from. *settings* are those in force."""

    desk: Desk
    history: History
    counts: Counts
    troubles: Troubles
    stream: Stream
    wall: Callable[[], float]
    note: Callable[[Event], None]
    settings: ControlSettings


class Api:
    """The operations; `app` is what a server runs. *limited*: to those that are `OPEN` to everybody on this host."""

    def __init__(self, office: Office, *, limited: bool = False) -> None:
        self._office = office
        self._limited = limited
        self._handlers: dict[str, Callable[[Caller, Any, Any], Awaitable[Any]]] = {
            "status": self._status,
            "services": self._services,
            "servers": self._servers,
            "bans": self._bans,
            "ban": self._ban,
            "lift": self._lift,
            "exemptions": self._exemptions,
            "exempt": self._exempt,
            "unexempt": self._unexempt,
            "reload": self._reload,
            "test-fire": self._test_fire,
            "purge": self._purge,
            "explain": self._explain,
            "series": self._series,
            "top": self._top,
            "events": self._events,
            "metrics": self._metrics,
            "health": self._health,
            "readiness": self._readiness,
        }

    def app(self) -> Starlette:
        """The application of the ASGI kind."""
        operations = [one for one in OPERATIONS if not self._limited or one.name in OPEN]
        routes = [
            Route(path, _Endpoint(self, {one.method: one for one in operations if one.path == path}))
            for path in dict.fromkeys(one.path for one in operations)
        ]
        if not self._limited:
            routes.append(Route(openapi.PATH, self._described))
        return Starlette(routes=routes, exception_handlers={HTTPException: _no_such, ClientDisconnect: _gone})

    async def answer(self, operation: Operation, request: Request) -> Response:
        """Carry out *operation*."""
        try:
            caller = self._caller(request)
            if caller.right is Right.NONE or (operation.right is Right.CHANGE and caller.right is Right.READ):
                raise Refused(403, f"{caller.name} may not; {_who_may(operation.right)}")
            query = read_as(operation.query, dict(read_parameters(request)))
            body = None if operation.body is None else await read_body(request, operation.body)
            answer = await self._handlers[operation.name](caller, query, body)
        except Refused as refused:
            return _json(Problem(refused.text), refused.status, refused.headers)
        except NoAnswer as silence:
            return _json(Problem(str(silence)), 503)
        return answer if isinstance(answer, Response) else _json(answer)

    async def _described(self, request: Request) -> Response:
        return _json(openapi.description())

    def _caller(self, request: Request) -> Caller:
        settings = self._office.settings
        peer = request.state._state.get("peer")
        if isinstance(peer, Peer):
            return Caller(str(peer), right_of(peer, settings), peer.uid)
        host = request.headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in LOOPBACK_NAMES:
            raise Refused(403, "the Host header names no loopback address; connect to 127.0.0.1 or localhost")
        if self._limited:
            return Caller("anybody on this host", Right.READ)
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            raise Refused(403, "a page of another origin may not")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given, wanted = token.strip().encode(), settings.token.encode()
        if scheme.lower() != "bearer" or not wanted or not hmac.compare_digest(given, wanted):
            text = "the token of [control] is needed: Authorization: Bearer TOKEN"
            raise Refused(401, text, {"WWW-Authenticate": "Bearer"})
        return Caller("token", Right.CHANGE)

    # The operations.

    async def _status(self, caller: Caller, query: Any, body: None) -> Status:
        office, now = self._office, self._office.wall()
        state, counted = await asyncio.gather(office.desk.status(), office.desk.tally())
        office.history.refused(counted.tally.refused, now)
        local = time.localtime(now)
        midnight = now - (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec)
        minutes = office.history.minutes(midnight, now)
        today = Today(max(midnight, office.history.since), *_sums(minutes))
        return Status(state, today, office.troubles.at(now), list(office.desk.sinks()), len(office.stream))

    async def _services(self, caller: Caller, query: Any, body: None) -> Services:
        return Services(list(await self._office.desk.services()))

    async def _servers(self, caller: Caller, query: Any, body: None) -> Servers:
        return Servers(list(await self._office.desk.servers()))

    async def _bans(self, caller: Caller, query: BanFilter, body: None) -> Any:
        return await self._office.desk.bans(
            BanQuery(
                at=self._office.wall(),
                address=None if query.address is None else read_address(query.address),
                network=None if query.network is None else read_network(query.network),
                sensor=query.sensor,
                origin=query.origin,
                active=not query.ended,
                order=query.sort,
                descending=not query.ascending,
                limit=query.limit,
                offset=query.offset,
            )
        )

    async def _explain(self, caller: Caller, query: OfAddress, body: None) -> Decision:
        address = read_address(query.address)
        explained = await self._office.desk.explain(address.text)
        bans = await self._office.desk.bans(BanQuery(at=self._office.wall(), address=address))
        past = await self._office.desk.past(BanQuery(at=self._office.wall(), address=address, limit=PAST_MOST))
        return Decision(explained.standing, bans, list(past), list(explained.services))

    # What changes something.

    async def _order(self, caller: Caller, order: Order) -> Done:
        outcome = await self._office.desk.order(order, await caller.name_for_the_record())
        refused = [NotDone(str(one.network), one.why) for one in outcome.refused]
        if not outcome.ok:
            told = "; ".join(f"{one.network}: {one.why}" for one in refused[:REFUSALS_SHOWN])
            raise Refused(409, told or outcome.text)
        return Done(outcome.text, outcome.done, refused)

    async def _ban(self, caller: Caller, query: Any, body: BanOrder) -> Done:
        span = FOR_EVER if body.seconds is None else body.seconds
        wanted = dict.fromkeys(read_network(text) for text in body.networks)
        return await self._order(
            caller, ImposeBans(tuple(WantedBan(one, span, body.note) for one in wanted), Origin.OPERATOR)
        )

    async def _lift(self, caller: Caller, query: LiftFilter, body: None) -> Done:
        if query.all == (query.network is not None):
            raise Refused(400, "name a network, or all=true, and not both")
        if query.network is None:
            return await self._order(caller, LiftAllBans())
        return await self._order(caller, LiftBans((read_network(query.network),)))

    async def _exemptions(self, caller: Caller, query: Any, body: None) -> Exemptions:
        return Exemptions(list(await self._office.desk.exemptions(self._office.wall())))

    async def _exempt(self, caller: Caller, query: Any, body: ExemptOrder) -> Done:
        span = FOR_EVER if body.seconds is None else body.seconds
        return await self._order(caller, Exempt(read_network(body.network), span, body.note))

    async def _unexempt(self, caller: Caller, query: OfNetwork, body: None) -> Done:
        return await self._order(caller, EndExemption(read_network(query.network)))

    async def _reload(self, caller: Caller, query: Any, body: Reading) -> Done:
        return await self._order(caller, Reload(None if body.source is None else read_address(body.source)))

    async def _test_fire(self, caller: Caller, query: Any, body: NoBody) -> Fired:
        office = self._office
        return await fire(office.desk, office.note, office.troubles, office.wall, await caller.name_for_the_record())

    async def _purge(self, caller: Caller, query: Any, body: PurgeOrder) -> Done:
        office, now = self._office, self._office.wall()
        network = None if body.network is None else read_network(body.network)
        count = await office.desk.forget(now - body.older_than, network)
        office.history.forget()
        office.stream.forget()
        of = "everybody" if network is None else str(network)
        who = await caller.name_for_the_record()
        office.note(Notice(now, Level.NOTICE, f"{who} had {count} former bans of {of} forgotten"))
        return Done(f"{count} former bans forgotten", count, [])

    async def _series(self, caller: Caller, query: SeriesFilter, body: None) -> Series:
        now = self._office.wall()
        minutes = self._office.history.minutes(now - query.span, now)
        width = max(1, query.step // 60)
        groups = [minutes[at : at + width] for at in range(0, len(minutes), width)]
        trips, bans, refused = (list(row) for row in zip(*map(_sums, groups), strict=True))
        return Series(minutes[0].start, width * 60, trips, bans, refused)

    async def _top(self, caller: Caller, query: TopFilter, body: None) -> Top:
        begin = self._office.wall() - query.span
        rows = self._office.history.top(query.of, query.limit, begin)
        return Top(query.of, max(begin, self._office.history.since), [Ranked(*row) for row in rows])

    async def _events(self, caller: Caller, query: EventFilter, body: None) -> Response:
        kinds = tuple(word for word in query.kinds.split(",") if word)
        subscriber = self._office.stream.subscribe(kinds, query.routine, query.recent)
        if subscriber is None:
            raise Refused(503, "there are too many subscribers; end another one first")
        return _Frames(self._office.stream, subscriber)

    async def _metrics(self, caller: Caller, query: Any, body: None) -> Response:
        office = self._office
        state, counted = await asyncio.gather(office.desk.status(), office.desk.tally())
        heard = replace(
            office.counts.heard(),
            subscribers=len(office.stream),
            troubles=len(office.troubles.at(office.wall())),
            sinks=tuple(office.desk.sinks()),
        )
        return Response(exposition(state, counted, heard), media_type=METRICS, headers=HEADERS)

    async def _health(self, caller: Caller, query: Any, body: None) -> Any:
        try:
            await self._office.desk.status()
        except NoAnswer as silence:
            return _json(Health(False, str(silence)), 503)
        return Health(True)

    async def _readiness(self, caller: Caller, query: Any, body: None) -> Any:
        try:
            state = await self._office.desk.status()
        except NoAnswer as silence:
            return _json(Health(False, str(silence)), 503)
        troubles = [one.what for one in self._office.troubles.at(self._office.wall())]
        if state.unbound:
            troubles.insert(0, f"{state.unbound} services have no listener")
        return Health(True) if not troubles else _json(Health(False, "; ".join(troubles)), 503)


class _Endpoint:
    """One path: its operations by method. (A function would have starlette judge the methods, in words not ours.)"""

    def __init__(self, api: Api, operations: dict[str, Operation]) -> None:
        self._api = api
        self._operations = operations

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        operation = self._operations.get(request.method)
        if operation is None:
            allowed = ", ".join(sorted(self._operations))
            response = _json(Problem(f"{request.method} is not among {allowed}"), 405, {"Allow": allowed})
        else:
            response = await self._api.answer(operation, request)
        await response(scope, receive, send)


class _Frames(StreamingResponse):
    """A subscription as a response; it ends with the connection."""

    def __init__(self, stream: Stream, subscriber: Subscriber) -> None:
        super().__init__(subscriber.frames(), media_type=EVENTS, headers=HEADERS)
        self._stream = stream
        self._subscriber = subscriber

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.leave(self._subscriber)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, {**HEADERS, **(headers or {})}, JSON)


async def _no_such(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _json(Problem(f"there is no {request.url.path}; {openapi.PATH} tells what there is"), status)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


def _sums(minutes: list[Minute]) -> tuple[int, int, int]:
    """Trips, bans and refusals of *minutes*."""
    return (
        sum(one.trips for one in minutes),
        sum(one.bans for one in minutes),
        sum(one.refused for one in minutes),
    )


def _user_name(uid: int) -> str:
    """What passwd(5) calls *uid*, as far as it can be told in a log; may wait for whoever keeps users."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
    return name[:NAME_MOST] if name.isprintable() else ""


def _who_may(right: Right) -> str:
    if right is Right.CHANGE:
        return "root may, and members of the group that [control] admins names"
    return "root may, and members of the group sentinetd"
