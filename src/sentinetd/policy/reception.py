"""What happens to a connection when it comes, and when it is judged again: it is asked about, refused or served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from sentinetd.model.address import Address
from sentinetd.model.connection import Announced, Connection
from sentinetd.model.events import ConnectionAdmitted, ServerStarted
from sentinetd.model.manner import Manner
from sentinetd.model.noun import replace
from sentinetd.model.service import SocketType, Type
from sentinetd.model.verdict import Question, Reason, Unknown, Verdict
from sentinetd.policy.announcing import Announcing
from sentinetd.policy.bans import Bans
from sentinetd.policy.checks import AT_SENSOR, AT_THE_DOOR, FURTHER, NO_ANSWERS, OF_SOURCE, Facts, decide
from sentinetd.policy.crowds import Crowds
from sentinetd.policy.effects import Ask, Effect, Grant, Refuse, Reply, Say
from sentinetd.policy.inputs import Answered, Arrived, Chosen, Moment, Wanted
from sentinetd.policy.servers import Servers
from sentinetd.policy.services import Candidate, Running, Services, admitted, started, whose
from sentinetd.policy.suspects import Suspects
from sentinetd.policy.tally import Recent
from sentinetd.policy.trips import Trips, speaks
from sentinetd.policy.waiting import ANSWER_WITHIN, Waiting

PEER: Mapping[Question, str | None] = MappingProxyType({Question.USER: None})
"""What is known of a connection that a peer began for somebody else."""


class Reception:
    """Judges by the chain of checks. The parts of the engine's state are the engine's; *limit*: as there."""

    def __init__(
        self,
        bans: Bans,
        services: Services,
        servers: Servers,
        waiting: Waiting,
        suspects: Suspects,
        announcing: Announcing,
        trips: Trips,
        told: Recent,
        limit: int | None,
    ) -> None:
        self._bans = bans
        self._services = services
        self._servers = servers
        self._waiting = waiting
        self._suspects = suspects
        self._announcing = announcing
        self._trips = trips
        self._told = told
        self._limit = limit
        self._crowds = Crowds()

    def arrived(self, given: Arrived, now: Moment) -> Iterable[Effect]:
        """A connection came."""
        connection = given.connection
        running = self._services.table.get(connection.service)
        if running is None or running.stopped:
            return (Refuse(connection),)
        service = running.service
        if service.wait and not service.sensor and (running.serving is not None or running.reopens is not None):
            # Its listener is not ours at present: what comes there is its server's, and nothing was accepted; unless it
            # is intercepted.
            return () if running.behind is None else (Refuse(connection),)
        if running.peers is not None and connection.source is not None and connection.source in running.peers:
            return self._await_header(running, connection, connection.source, now)
        if running.sensor:
            return self._touched(running, connection, now)
        return self._meet(running, connection, now) if service.banner else self._judge(running, connection, now)

    def _touched(self, running: Running, connection: Connection, now: Moment) -> list[Effect]:
        """A sensor was touched: the first check of the chain decides, and no other is asked."""
        source = connection.source
        exempt = source is not None and self._bans.exempt(source, running.service)
        return self._refuse(running, connection, AT_SENSOR[exempt].reason, now)

    def _await_header(self, running: Running, connection: Connection, peer: Address, now: Moment) -> Iterable[Effect]:
        """*peer* is to say for whom the connection is, before anything is judged."""
        if self._announcing.full:
            return self._refuse(running, connection, Reason.WAITING_LIMIT, now, PEER)
        return (self._announcing.ask(running, connection, peer, now.now),)

    def announced(self, number: int, announced: Announced | None, now: Moment) -> Iterable[Effect]:
        """The connection *number* is judged as if it came from whom its header announces; None: it has none. There is
        no asking that host whose the connection is: it knows of one to the peer."""
        awaited = self._announcing.take(number)
        if awaited is None:
            return ()  # too late: the connection is gone
        running, connection = awaited.running, awaited.connection
        if announced is None:
            return (*self._services.refusal(running, connection, Reason.PROXY_HEADER, now), Refuse(connection))
        if running.service.wait and running.reopens is not None:
            return (Refuse(connection),)
        if announced.source is None:
            return self._meet(running, connection, now)
        return self._meet(running, replace(connection, source=announced.source, port=announced.port), now, PEER)

    def _meet(
        self, running: Running, connection: Connection, now: Moment, known: Mapping[Question, str | None] = NO_ANSWERS
    ) -> Iterable[Effect]:
        """Judge a connection of a known source; *known* is what there is no asking about."""
        service = running.service
        effects = self._judge(running, connection, now, known=known)
        if (
            service.banner
            and not service.sensor
            and speaks(service, connection)
            and not self._bans.refuses(connection, service, now)
        ):
            return (Say(connection, service.banner), *effects)
        return effects

    def wanted(self, given: Wanted, now: Moment) -> Iterable[Effect]:
        """The server of an intercepted service is started, if nothing forbids it now and it was not started too often:
        one that ends without serving anybody would be started for the same client again and again."""
        running = self._services.table.get(given.connection.service)
        if running is None or running.stopped or running.behind is None or running.reopens is not None:
            return ()
        behind = running.behind
        if behind.connection is not None:
            return ()
        if not behind.bucket.has_room(now.now):
            return self._services.pause(running, "its server ending too often", running.service.cps.wait, now)
        behind.bucket.take()
        before = Candidate(running, given.connection, NO_ANSWERS, now.now, NO_ANSWERS)
        return self._judge(running, given.connection, now, before)

    def chosen(self, given: Chosen, now: Moment) -> Iterator[Effect]:
        """A client of the multiplexer named its service: it is judged as if it had come there (RFC 1078 knows no port
        of its own for it, but all its limits hold)."""
        candidate = self._servers.choosing(given.number)
        if candidate is None:
            return
        known = candidate.known
        came = candidate.connection
        yield from self._services.done(candidate.running, came)
        target = self._services.multiplexed(given.name)
        if target is None:
            yield Refuse(came)
            return
        connection = Connection(came.number, target.number, came.source, came.port)
        if target.reopens is not None:
            yield from self._refuse(target, connection, Reason.CPS, now, known)
        else:
            yield from self._judge(target, connection, now, known=known)

    def _judge(
        self,
        running: Running,
        connection: Connection,
        now: Moment,
        before: Candidate | None = None,
        known: Mapping[Question, str | None] = NO_ANSWERS,
    ) -> Iterable[Effect]:
        """Run the chain on *connection*. *before*: what it was when it was judged before; cps has counted it then.
        *known*: what there is no asking about, for one that was not judged before."""
        answers = known if before is None else before.answers
        verdict = self._objection(running, connection, now, before is None, answers)
        if isinstance(verdict, Verdict):
            if before is None and verdict.reason not in _FREE:
                running.bucket.take()
            return self._refuse(running, connection, verdict.reason, now, answers)
        if before is None:
            running.bucket.take()
        if verdict is not None:
            return self._ask(before or Candidate(running, connection, known, now.now, known), verdict, now)
        first: list[Effect] = []
        if before is None or not before.failures:
            running.score.served += 1
            if ConnectionAdmitted in self._services.heeded and not (running.behind and connection.source is None):
                first.append(admitted(running, connection, now))
        if running.service.banner_success and speaks(running.service, connection):
            first.append(Say(connection, running.service.banner_success))
        if running.manner is Manner.ONCE:
            effects = self._reply(running, connection, now)
        else:
            effects = self._serve(before or Candidate(running, connection, known, now.now, known), now)
        return [*first, *effects] if first else effects

    def _objection(
        self, running: Running, connection: Connection, now: Moment, first: bool, answers: Mapping[Question, str | None]
    ) -> Verdict | Unknown | None:
        """What stands against *connection*, by the checks that may say so; *first*: it was not judged before."""
        service, source, sensor = running.service, connection.source, running.sensor
        at_the_door, further = running.checks or running.ordinary_checks()
        banned = not sensor and source is not None and self._bans.holds(source, now.now)
        # That a source is exempt matters at a sensor, and where it would be refused as banned.
        exempt = source is not None and (sensor or banned) and self._bans.exempt(source, service)
        if banned:
            at_the_door = AT_THE_DOOR
        if at_the_door:
            verdict = decide(at_the_door, service, connection, OF_SOURCE[exempt, banned])
            if verdict is not None:
                return verdict
        room = not first or running.bucket.has_room(now.now)
        if not room or self._limit is not None or now.tables:
            further = FURTHER
        if not further:
            return None
        facts = Facts(
            now.minute,
            now.load,
            exempt,
            banned,
            room,
            running.counts.total,
            running.counts.of(source),
            self._services.processes,
            self._limit if running.behind is None or running.behind.connection is None else None,
            answers,
            not first or running.paces is None or banned or running.paces.takes(whose(source), now.now),
            now.tables,
        )
        return decide(further, service, connection, facts)

    def _serve(self, candidate: Candidate, now: Moment) -> list[Effect]:
        running, connection = candidate.running, candidate.connection
        candidate.carried = running.manner is not Manner.SERVER and not (running.behind and connection.source is None)
        self._services.count(running, connection)
        if running.service.wait:
            return [*self._services.lend(running, connection), *self._servers.order(candidate)]
        order = self._servers.order(candidate)
        return [Grant(connection), *order] if Type.TCPMUXPLUS in running.service.type else order

    def _reply(self, running: Running, connection: Connection, now: Moment) -> list[Effect]:
        """An internal service that takes no time: there is no server to count, and xinetd's log says process 0."""
        effects: list[Effect] = [Reply(connection, running.service)]
        if self._services.tells(running, ServerStarted):
            effects.insert(0, started(running, connection, 0, now))
        return effects if running.serving is None else [*effects, *self._services.take_back(running, connection)]

    def _refuse(
        self,
        running: Running,
        connection: Connection,
        reason: Reason,
        now: Moment,
        answers: Mapping[Question, str | None] = NO_ANSWERS,
    ) -> list[Effect]:
        service, source = running.service, connection.source
        running.score.reasons[reason] += 1
        identified = running.identifies and (
            source is None or not self._bans.holds(source, now.now)  # by an earlier trip
        )
        effects: list[Effect] = []
        if reason is Reason.SENSOR or reason is Reason.EXEMPT:
            exempt = reason is Reason.EXEMPT
            effects = self._trips.touched(running, connection, now, exempt=exempt)
            if exempt and source is not None and service.socket_type is SocketType.STREAM:
                effects += self._crowds.touched(source, now)
        elif self._to_be_told(running, connection, reason, now):
            effects += self._services.refusal(running, connection, reason, now)
        if (
            service.banner_fail
            and speaks(service, connection)
            and reason is not Reason.BANNED
            and running.manner is not Manner.PLAYED
        ):
            effects.append(Say(connection, service.banner_fail, last=True))
        if identified:
            effects += self._suspects.refuse(running, connection, answers, now)
        else:
            effects.append(Refuse(connection))
        if running.serving is not None or running.behind is not None:
            effects += self._services.take_back(running, connection)
        if reason is Reason.CPS and running.reopens is None:
            effects += self._services.pause(running, "excessive incoming connections", service.cps.wait, now)
        return effects

    def _to_be_told(self, running: Running, connection: Connection, reason: Reason, now: Moment) -> bool:
        """A banned source is told of once a minute and service, and so is one whose datagrams are not admitted; any
        other refusal each time. Who owns an IPv6 /64 has more addresses than any log has lines, and is one source."""
        if not self._services.tells_refusals(running, reason):
            return False
        if reason is not Reason.BANNED and (
            running.service.socket_type is SocketType.STREAM or reason not in _OF_SOURCE
        ):
            return True
        return self._told.first((connection.service, whose(connection.source), reason), now.now)

    def _ask(self, candidate: Candidate, unknown: Unknown, now: Moment) -> Iterator[Effect]:
        """Have the porter answer; the candidate counts meanwhile as if it were served."""
        running, connection, source = candidate.running, candidate.connection, unknown.source
        if not self._waiting.has_room(source):
            yield from self._refuse(running, connection, Reason.WAITING_LIMIT, now)
            return
        self._waiting.put(candidate, unknown.question, source, now.now)
        self._services.count(running, connection)
        yield from self._services.lend(running, connection)
        yield Ask(connection, unknown.question, source, ANSWER_WITHIN)

    def answered(self, given: Answered, now: Moment) -> Iterable[Effect]:
        """What was asked about a connection is answered, or will not be."""
        if given.question is Question.PROXY or isinstance(given.value, Announced):
            return self.announced(given.number, given.value if isinstance(given.value, Announced) else None, now)
        if given.question is Question.REFUSED_USER:
            return self._suspects.answered(given.number, given.value, now)
        candidate = self._waiting.answered(given.number, given.question)
        if candidate is None:
            return ()  # too late: the connection is gone
        candidate.answers = {**candidate.answers, given.question: given.value}
        return self.judge_again(candidate, now)

    def judge_again(self, candidate: Candidate, now: Moment) -> Iterable[Effect]:
        """What was admitted or asked about before is judged as if it came now. It does not count for itself."""
        self._services.uncount(candidate.running, candidate.connection)
        return self._judge(candidate.running, candidate.connection, now, candidate)


_OF_SOURCE = frozenset({Reason.ADDRESS, Reason.NAME, Reason.NAME_UNKNOWN})
"""Reasons that lie in the source and will be the same for its next datagram."""

_FREE = frozenset({Reason.SENSOR, Reason.EXEMPT, Reason.BANNED, Reason.ADDRESS, Reason.CPS, Reason.CPS_SOURCE})
"""Reasons that are looked at before cps or are cps: what they refuse uses no place in the bucket."""
