"""What the courier asks of the guard, for the control API and the metrics, answered from the engine's state.

A question changes nothing. Answers are cut into messages of a few rows, each of a bounded length, whatever is in them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from sentinetd import __version__
from sentinetd.daemon.messages import (
    ExplainAnswer,
    Query,
    ServersAnswer,
    ServicesAnswer,
    StatusAnswer,
    TallyAnswer,
    Unanswerable,
)
from sentinetd.model.address import Address
from sentinetd.model.manner import Manner
from sentinetd.model.noun import fields, replace
from sentinetd.model.state import (
    Condition,
    Count,
    DaemonState,
    Helper,
    Role,
    ServerState,
    ServiceState,
    ServiceTally,
    Topic,
)
from sentinetd.policy.explanation import standing
from sentinetd.policy.services import Running, Server

if TYPE_CHECKING:
    from sentinetd.daemon.guard import Guard

ROWS = 16
"""Rows in one message."""
LONGEST = 200
"""Characters of a text in an answer; no name that anybody reads is longer."""
ROLES = {
    Manner.NOBODY: Role.SENSOR,
    Manner.PLAYED: Role.SENSOR,
    Manner.SERVER: Role.SERVER,
    Manner.ONCE: Role.INTERNAL,
    Manner.CARRIED: Role.INTERNAL,
    Manner.INTERCEPTED: Role.INTERCEPTED,
    Manner.CHOSEN: Role.INTERNAL,
}

BEHIND_MOST = 20_000
"""Records that wait for the courier, from which on its questions are not answered."""

R = TypeVar("R")


class Inquiries:
    """Answers for *guard*, which runs *configuration*."""

    def __init__(self, guard: Guard, configuration: str) -> None:
        self._guard = guard
        self._configuration = configuration
        self._started = time.time()
        self._answers: dict[Topic, Callable[[Query], Iterator[Any]]] = {
            Topic.STATUS: lambda query: iter([StatusAnswer(query.request, _cut(self._status()))]),
            Topic.SERVICES: self._services,
            Topic.SERVERS: self._servers,
            Topic.EXPLAIN: self._explain,
            Topic.TALLY: self._tally,
        }

    def answer(self, query: Query) -> Iterator[Any]:
        """The messages that answer *query*, in order. A courier that does not read what it asked for gets no more."""
        if self._guard.link.behind >= BEHIND_MOST:
            return iter([Unanswerable(query.request, "the courier is too far behind")])
        self._guard.launcher.hear()
        return self._answers[query.topic](query)

    def _status(self) -> DaemonState:
        guard = self._guard
        running = guard.engine.running()
        conditions = [self._condition(one) for one in running]
        helpers = (
            Helper("courier", guard.courier.pid),
            Helper("porter", guard.carrier.companion.pid),
            Helper("herald", guard.offers.companion.pid),
        )
        return DaemonState(
            version=__version__,
            pid=os.getpid(),
            started=self._started,
            configuration=self._configuration,
            spawner=guard.launcher.name,
            helpers=tuple(one for one in helpers if one.pid),
            enforcers=guard.enforcement.standing(),
            services=len(running),
            sensors=sum(one.service.sensor for one in running),
            unbound=conditions.count(Condition.UNBOUND),
            paused=conditions.count(Condition.PAUSED),
            servers=len(guard.engine.servers()),
            bans=len(guard.engine.bans.ledger),
            unwritten=guard.link.behind,
        )

    def _services(self, query: Query) -> Iterator[ServicesAnswer]:
        for rows, more in _parts([self._service(one) for one in self._guard.engine.running()]):
            yield ServicesAnswer(query.request, rows, more)

    def _service(self, running: Running) -> ServiceState:
        service, score = running.service, running.score
        place = service.places.get("")
        return ServiceState(
            number=running.number,
            id=service.id,
            name=service.name,
            role=_role(running),
            condition=self._condition(running),
            socket_type=service.socket_type.value,
            protocol=service.protocol.name,
            address=" ".join(map(str, service.addresses.networks or filter(None, [service.address]))),
            port=service.port,
            ports=str(service.ports or ""),
            user=service.user,
            servers=running.counts.total,
            instances=service.instances,
            per_source=service.per_source,
            cps_rate=service.cps.rate,
            cps_wait=service.cps.wait,
            max_load=service.max_load,
            deny_time=service.deny_time if service.sensor and not service.forever else None,
            served=score.served,
            refused=sum(score.refused.values()),
            trips=score.trips,
            file="" if place is None else place.file,
            line=0 if place is None else place.line,
        )

    def _condition(self, running: Running) -> Condition:
        if running.reopens is not None:
            return Condition.PAUSED
        if running.serving is not None:
            return Condition.WAITING
        return Condition.UNBOUND if self._guard.doors.unbound(running.number) else Condition.OPEN

    def _servers(self, query: Query) -> Iterator[ServersAnswer]:
        for rows, more in _parts([self._server(one) for one in self._guard.engine.servers()]):
            yield ServersAnswer(query.request, rows, more)

    def _server(self, server: Server) -> ServerState:
        source = server.connection.source
        return ServerState(
            service=server.running.service.id,
            pid=server.pid,
            source="" if source is None else source.text,
            port=server.connection.port,
            started=time.time() - (self._guard.loop.now() - server.started),
            carried=server.carried,
        )

    def _explain(self, query: Query) -> Iterator[ExplainAnswer | Unanswerable]:
        try:
            source = Address.parse(query.subject)
        except ValueError:
            yield Unanswerable(query.request, "no address")
            return
        guard, now = self._guard, self._guard.clock.moment()
        stands = standing(source, guard.engine.bans, now)
        for rows, more in _parts(list(guard.engine.explain(source, now))):
            yield ExplainAnswer(query.request, stands, rows, more)

    def _tally(self, query: Query) -> Iterator[TallyAnswer]:
        engine = self._guard.engine
        tally = engine.tally()
        tally = replace(tally, queues=(*tally.queues, Count("unwritten", self._guard.link.behind)))
        for rows, more in _parts([_service_tally(one) for one in engine.running()]):
            yield TallyAnswer(query.request, tally, rows, more)


def _service_tally(running: Running) -> ServiceTally:
    score = running.score
    refused = tuple(Count(reason.value, count) for reason, count in score.refused.items())
    return ServiceTally(running.service.id, _role(running), running.counts.total, score.served, score.trips, refused)


def _role(running: Running) -> Role:
    return Role.REDIRECT if running.service.redirect is not None else ROLES[running.manner]


def _parts(rows: list[R]) -> Iterator[tuple[tuple[R, ...], bool]]:
    """*rows*, a few at a time, each with whether more follow; at least one part."""
    for at in range(0, max(len(rows), 1), ROWS):
        yield tuple(_cut(row) for row in rows[at : at + ROWS]), at + ROWS < len(rows)


def _cut(row: R) -> R:
    """*row* with no text longer than `LONGEST`."""
    long: dict[str, Any] = {}
    for field in fields(row):  # type: ignore[arg-type]
        value = getattr(row, field.name)
        if isinstance(value, str) and len(value) > LONGEST:
            long[field.name] = value[:LONGEST] + "..."
    return replace(row, **long) if long else row  # type: ignore[type-var]
