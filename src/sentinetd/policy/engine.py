"""The decision machine: every input goes through `Engine.handle`, which answers with effects and does nothing itself.

Its state is what outlives one decision, each part in a file of its own: running services (`services`), connections that
wait for an answer (`waiting`), refused ones of whom more is wanted (`suspects`), orders and servers (`servers`), bans
(`bans`), and what is due when (`agenda`). Here is what happens to a connection when it comes or is judged again, and
what a reload, the clock and the end change.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sentinetd.model.address import Address, Network, union
from sentinetd.model.connection import Announced, Connection
from sentinetd.model.events import ConnectionAdmitted, Event, ResourceExhausted
from sentinetd.model.manner import Manner
from sentinetd.model.service import Flag, Service, SocketType, Type
from sentinetd.model.settings import Settings
from sentinetd.model.state import Count, Explanation, Tally
from sentinetd.model.verdict import Question, Reason, Unknown
from sentinetd.policy.agenda import Agenda, Due
from sentinetd.policy.announcing import Announcing
from sentinetd.policy.bans import Bans
from sentinetd.policy.behind import Visitors
from sentinetd.policy.checks import AGAIN, NO_ANSWERS, Facts, decide
from sentinetd.policy.crowds import Crowds
from sentinetd.policy.effects import Ask, Effect, Exempted, Grant, Impose, Play, Refuse, Reply, Report, Say
from sentinetd.policy.explanation import explained
from sentinetd.policy.inputs import (
    Answered,
    Arrived,
    Begun,
    CarriersGone,
    Chosen,
    Ended,
    Escalated,
    Exhausted,
    Finished,
    Found,
    Heeded,
    Input,
    Launched,
    LaunchersGone,
    LaunchFailed,
    Learned,
    Leaving,
    LoggedIn,
    Moment,
    Moved,
    Ordered,
    Played,
    Recalled,
    RecalledExemptions,
    Reloaded,
    SetupFailed,
    Tick,
    Wanted,
)
from sentinetd.policy.orders import Orders
from sentinetd.policy.plays import Plays
from sentinetd.policy.servers import Servers
from sentinetd.policy.services import Candidate, Running, Server, Services, admitted, refused, started, whose
from sentinetd.policy.suspects import LOG_PROCS, Suspects, identifies_refused
from sentinetd.policy.tally import Recent, Score
from sentinetd.policy.waiting import ANSWER_WITHIN, Waiting

TELL_AGAIN_AFTER = 60.0
"""Seconds for which further refusals of a banned source by one service are not told."""
PEER: Mapping[Question, str | None] = MappingProxyType({Question.USER: None})
"""What is known of a connection that a peer began for somebody else."""
TOLD_AT_MOST = 100_000
"""Refusals remembered as told."""
SHORTAGES = {
    errno.EAGAIN: "processes",
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.ENOMEM: "memory",
}
"""What the machine lacks when no process can be made (fork(2))."""
EXHAUSTED_AT_LEAST = 1
"""Seconds for which a service without descriptors is closed, whatever its cps says: at once it would find none."""


class Engine:
    """Decides. *limit*: the most server processes at once (option -limit), None for no limit; *log_procs*: the most
    refused clients whose users are looked up at once (option -logprocs); *dice* gives numbers of 0 to 1, by chance."""

    def __init__(
        self,
        settings: Settings,
        limit: int | None = None,
        log_procs: int = LOG_PROCS,
        dice: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._limit = limit
        self.bans = Bans(settings, dice)
        self._orders = Orders(self.bans)
        self._agenda = Agenda()
        self._services = Services(self._agenda)
        self._waiting = Waiting(self._agenda)
        self._suspects = Suspects(self._agenda, log_procs)
        self._announcing = Announcing(self._agenda)
        self._plays = Plays()
        self._crowds = Crowds()
        self._servers = Servers(self._services, self._agenda)
        self._told = Recent(TELL_AGAIN_AFTER, TOLD_AT_MOST)
        self._heeded: frozenset[type[Event]] = frozenset()  # of the kinds that are made on request
        servers = self._servers
        self._handlers: dict[type[Any], Callable[[Any, Moment], Iterable[Effect]]] = {
            Arrived: self._arrived,
            Wanted: self._wanted,
            Answered: self._answered,
            Launched: servers.launched,
            Begun: servers.begun,
            Finished: servers.finished,
            Chosen: self._chosen,
            Played: self._plays.ended,
            CarriersGone: self._carriers_gone,
            LaunchFailed: self._launch_failed,
            LaunchersGone: servers.launchers_gone,
            SetupFailed: servers.setup_failed,
            Ended: servers.ended,
            Exhausted: self._exhausted,
            Learned: lambda given, now: self._imposing(self.bans.learned(given.bans, now), now),
            Recalled: lambda given, now: self._imposing(self.bans.recalled(given, now), now),
            RecalledExemptions: lambda given, now: self.bans.recalled_exemptions(given.exemptions, now),
            Escalated: lambda given, now: self.bans.escalated(given.bans, now),
            Found: lambda given, now: self.bans.found(given),
            LoggedIn: lambda given, now: self.bans.logged_in(given, now),
            Ordered: lambda given, now: self._imposing(self._orders.obey(given, now), now),
            Reloaded: self._reloaded,
            Moved: lambda given, now: self.bans.moved(given.surroundings),
            Heeded: self._heed,
            Leaving: self._leaving,
            Tick: self._tick,
        }

    def handle(self, given: Input, now: Moment) -> list[Effect]:
        """What follows from *given*, to be done in this order."""
        return list(self._handlers[type(given)](given, now))

    def deadline(self) -> float | None:
        """When the engine wants a `Tick`, on its clock; None if nothing is due."""
        return min((due for due in (self._agenda.next(), self.bans.deadline()) if due is not None), default=None)

    # What others may see of the state: for the dump, the consistency check and the tools.

    @property
    def services(self) -> dict[int, Service]:
        """Running services by number; those that only wait for their last server to end are not among them."""
        return {number: one.service for number, one in self._services.table.items() if not one.stopped}

    def running(self) -> list[Running]:
        """What `services` names, with what outlives one decision."""
        return [one for one in self._services.table.values() if not one.stopped]

    def tally(self) -> Tally:
        """What was counted since the engine began."""
        score = Score()
        for one in (self._services.gone, *(running.score for running in self._services.table.values())):
            score.add(one)
        queues = (
            Count("waiting for an answer", len(self._waiting)),
            Count("ordered", len(self._servers.orders)),
            Count("retries", len(self._servers.retries)),
        )
        starts, durations = self._servers.starts.spread(), self._servers.durations.spread()
        return Tally(score.trips, sum(score.refused.values()), score.served, starts, durations, queues)

    def explain(self, source: Address, now: Moment) -> Iterator[Explanation]:
        """Who would admit *source* now, of all that run; nothing is counted and nobody is asked."""
        for one in self.running():
            yield explained(one, source, self.bans, self._services.processes, self._limit, now)

    def servers(self) -> list[Server]:
        """All running servers."""
        return list(self._servers.running.values())

    def ordered(self) -> int:
        """How many servers are ordered and have no process yet that we know of."""
        return len(self._servers.orders)

    def retries(self) -> list[Connection]:
        """Connections for which no process could be made yet."""
        return [candidate.connection for candidate in self._servers.retries.values()]

    def count(self, number: int) -> int:
        """Servers of the service *number*, those included that wait for an answer or a process."""
        return self._services.table[number].counts.total

    def state(self, number: int) -> str:
        """Active, Suspended (a waiting service whose server runs) or Disabled (its listener is closed for a while)."""
        running = self._services.table[number]
        if running.reopens is not None:
            return "Disabled"
        return "Suspended" if running.serving is not None else "Active"

    # A connection comes, is judged, and is asked about, refused or served.

    def _arrived(self, given: Arrived, now: Moment) -> Iterable[Effect]:
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
        return self._meet(running, connection, now)

    def _await_header(self, running: Running, connection: Connection, peer: Address, now: Moment) -> Iterable[Effect]:
        """*peer* is to say for whom the connection is, before anything is judged."""
        if self._announcing.full:
            return self._refuse(running, connection, Reason.WAITING_LIMIT, now, PEER)
        return (self._announcing.ask(running, connection, peer, now.now),)

    def _announced(self, number: int, announced: Announced | None, now: Moment) -> Iterable[Effect]:
        """The connection *number* is judged as if it came from whom its header announces; None: it has none. There is
        no asking that host whose the connection is: it knows of one to the peer."""
        awaited = self._announcing.take(number)
        if awaited is None:
            return ()  # too late: the connection is gone
        running, connection = awaited.running, awaited.connection
        if announced is None:
            return (refused(running, connection, Reason.PROXY_HEADER, now), Refuse(connection))
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
            and not self._banned(connection, service, now)
        ):
            return (Say(connection, service.banner), *effects)
        return effects

    def _wanted(self, given: Wanted, now: Moment) -> Iterable[Effect]:
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

    def _chosen(self, given: Chosen, now: Moment) -> Iterator[Effect]:
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

    def _banned(self, connection: Connection, service: Service, now: Moment) -> bool:
        source = connection.source
        return source is not None and self.bans.holds(source, now.now) and not self.bans.exempt(source, service)

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
        service, source = running.service, connection.source
        banned = source is not None and self.bans.holds(source, now.now)
        verdict = decide(
            service,
            connection,
            Facts(
                now.minute,
                now.load,
                # That a source is exempt matters where it would be banned or refused as banned, and nowhere else.
                source is not None and (banned or service.sensor) and self.bans.exempt(source, service),
                banned,
                before is not None or running.bucket.has_room(now.now),
                running.counts.total,
                running.counts.of(source),
                self._services.processes,
                self._limit if running.behind is None or running.behind.connection is None else None,
                known if before is None else before.answers,
                before is not None or running.paces is None or banned or running.paces.takes(whose(source), now.now),
                now.tables,
            ),
        )
        if not isinstance(verdict, Unknown) and not verdict.allow:
            if before is None and verdict.reason not in _FREE:
                running.bucket.take()
            answers = known if before is None else before.answers
            return self._refuse(running, connection, verdict.reason, now, answers)
        if before is None:
            running.bucket.take()
            before = Candidate(running, connection, known, now.now, known)
        if isinstance(verdict, Unknown):
            return self._ask(before, verdict, now)
        first: list[Effect] = []
        if ConnectionAdmitted in self._heeded and not before.failures and not (running.behind and source is None):
            first.append(admitted(running, connection, now))
        if service.banner_success and speaks(service, connection):
            first.append(Say(connection, service.banner_success))
        return (*first, *self._serve(before, now)) if first else self._serve(before, now)

    def _serve(self, candidate: Candidate, now: Moment) -> Iterable[Effect]:
        running, connection = candidate.running, candidate.connection
        if not candidate.failures:
            running.score.served += 1
        if running.manner is Manner.ONCE:
            return self._reply(running, connection, now)
        candidate.carried = running.manner is not Manner.SERVER and not (running.behind and connection.source is None)
        granted = [Grant(connection)] if Type.TCPMUXPLUS in running.service.type else []
        self._services.count(running, connection)
        if running.service.wait:
            return (*self._services.lend(running, connection), *self._servers.order(candidate))
        return (*granted, *self._servers.order(candidate))

    def _reply(self, running: Running, connection: Connection, now: Moment) -> Iterator[Effect]:
        """An internal service that takes no time: there is no server to count, and xinetd's log says process 0."""
        yield started(running, connection, 0, now)
        yield Reply(connection)
        yield from self._services.take_back(running, connection)

    def _refuse(
        self,
        running: Running,
        connection: Connection,
        reason: Reason,
        now: Moment,
        answers: Mapping[Question, str | None] = NO_ANSWERS,
    ) -> Iterator[Effect]:
        service, source = running.service, connection.source
        running.score.reasons[reason] += 1
        identified = identifies_refused(service) and (
            source is None or not self.bans.holds(source, now.now)  # by an earlier trip
        )
        if reason in (Reason.SENSOR, Reason.EXEMPT):
            yield from self._trip(running, connection, now)
            if reason is Reason.EXEMPT and source is not None and service.socket_type is SocketType.STREAM:
                yield from self._crowds.touched(source, now)
        elif self._to_be_told(service, connection, reason, now):
            yield refused(running, connection, reason, now)
        if (
            service.banner_fail
            and speaks(service, connection)
            and reason is not Reason.BANNED
            and running.manner is not Manner.PLAYED
        ):
            yield Say(connection, service.banner_fail, last=True)
        if identified:
            yield from self._suspects.refuse(running, connection, answers, now)
        else:
            yield Refuse(connection)
        yield from self._services.take_back(running, connection)
        if reason is Reason.CPS and running.reopens is None:
            yield from self._services.pause(running, "excessive incoming connections", running.service.cps.wait, now)

    def _trip(self, running: Running, connection: Connection, now: Moment) -> Iterator[Effect]:
        """A sensor was touched: ban first, then tell, then hand over to the porter where there is more to be done, or
        say the banner. Who was banned before gets neither."""
        service = running.service
        plays = running.manner is Manner.PLAYED
        greeted = (plays or bool(service.banner)) and not self._banned(connection, service, now)
        plays = plays and greeted and self._plays.begin(running, connection, whose(connection.source), now)
        yield from self._imposing(self.bans.tripped(service, connection, now, each=plays), now)
        if plays:
            yield Play(connection)
        elif running.manner is Manner.PLAYED:
            yield from self._plays.too_many(now)
        elif greeted and speaks(service, connection):
            yield Say(connection, service.banner)

    def _carriers_gone(self, given: CarriersGone, now: Moment) -> Iterator[Effect]:
        """The porter ended."""
        self._plays.clear()
        yield from self._servers.carriers_gone(now)

    def _imposing(self, effects: Iterable[Effect], now: Moment) -> Iterator[Effect]:
        """Do *effects*; whoever is banned by them sends no further datagram to an intercepted service's server, and
        loses the servers that are to end then (end_sessions)."""
        for effect in effects:
            yield effect
            if isinstance(effect, Impose):
                for ending in (self._servers.visitors, self._servers.sessions):
                    if ending:
                        yield from self._end_those_of(effect.network, ending, now)

    def _end_those_of(self, network: Network, ending: Visitors, now: Moment) -> Iterator[Effect]:
        """Of the connections *ending* when their source is banned, end those of *network*."""
        for number in list(ending.within(network)):
            server = self._servers.running[number]
            if self._banned(server.connection, server.running.service, now):
                yield from self._servers.terminate(server, now)

    def _to_be_told(self, service: Service, connection: Connection, reason: Reason, now: Moment) -> bool:
        """A banned source is told of once a minute and service, and so is one whose datagrams are not admitted; any
        other refusal each time. Who owns an IPv6 /64 has more addresses than any log has lines, and is one source."""
        if reason is not Reason.BANNED and (service.socket_type is SocketType.STREAM or reason not in _OF_SOURCE):
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

    def _answered(self, given: Answered, now: Moment) -> Iterable[Effect]:
        if given.question is Question.PROXY or isinstance(given.value, Announced):
            return self._announced(given.number, given.value if isinstance(given.value, Announced) else None, now)
        if given.question is Question.REFUSED_USER:
            return self._suspects.answered(given.number, given.value, now)
        candidate = self._waiting.answered(given.number, given.question)
        if candidate is None:
            return ()  # too late: the connection is gone
        candidate.answers = {**candidate.answers, given.question: given.value}
        return self._judge_again(candidate, now)

    def _judge_again(self, candidate: Candidate, now: Moment) -> Iterable[Effect]:
        """What was admitted or asked about before is judged as if it came now. It does not count for itself."""
        self._services.uncount(candidate.running, candidate.connection)
        return self._judge(candidate.running, candidate.connection, now, candidate)

    # The world around.

    def _exhausted(self, given: Exhausted, now: Moment) -> Iterator[Effect]:
        running = self._services.table.get(given.number)
        if running is None or running.stopped or running.reopens is not None or running.serving is not None:
            return
        yield from self._short_of("file descriptors", now)
        seconds = max(running.service.cps.wait, EXHAUSTED_AT_LEAST)
        yield from self._services.pause(running, "no available descriptors", seconds, now)

    def _short_of(self, what: str, now: Moment) -> Iterator[Effect]:
        """Tell that the machine has no more of *what*, once a minute."""
        if self._told.first((what,), now.now):
            yield Report(ResourceExhausted(now.wall, what))

    def _launch_failed(self, given: LaunchFailed, now: Moment) -> Iterator[Effect]:
        if given.errno in SHORTAGES and given.number in self._servers.orders:
            yield from self._short_of(SHORTAGES[given.errno], now)
        yield from self._servers.launch_failed(given, now)

    def _heed(self, given: Heeded, now: Moment) -> Iterable[Effect]:
        self._heeded = given.kinds
        return ()

    def _reloaded(self, given: Reloaded, now: Moment) -> Iterator[Effect]:
        yield from self.bans.configure(given.settings, now)
        for number, service in given.start.items():
            self._services.begin(number, service, now.now)
        for number, service in given.adjust.items():
            running = self._services.table.get(number)
            if running is not None and not running.stopped:
                running.adjust(service, now.now)
                self._servers.adjusted(running)
                yield from self._judge_servers(running, now)
        for number in sorted(given.stop):
            running = self._services.table.get(number)
            if running is not None:
                yield from self._stop(running, now)
        peers = union(one.peers for one in self._services.table.values() if one.peers is not None and not one.stopped)
        if self.bans.exemptions.trust(peers):
            yield Exempted()

    def _judge_servers(self, running: Running, now: Moment) -> Iterator[Effect]:
        """The servers of a service whose configuration changed are judged by it (xinetd(8), SIGHUP)."""
        facts = Facts(now.minute)

        def admitted(connection: Connection) -> bool:
            return all(check(running.service, connection, facts) is None for check in AGAIN)

        staying = []
        for server in sorted(running.servers.values(), key=lambda one: (one.started, one.connection.number)):
            if not admitted(server.connection):
                yield from self._servers.terminate(server, now)
            elif not server.told_to_end:
                staying.append(server)
        most = running.service.instances
        if most is not None and running.behind is None:
            for server in staying[most:]:  # the oldest stay
                yield from self._servers.terminate(server, now)
        for candidate in self._servers.orders.values():
            if candidate.running is running:
                candidate.unwanted = not admitted(candidate.connection)

    def _judge_visitors(self, number: int, now: Moment) -> Iterator[Effect]:
        """Each datagram is to be admitted, not only a client's first: access times begin and end."""
        running = self._services.table.get(number)
        if running is None or running.behind is None:
            return
        running.behind.watched = False
        facts = Facts(now.minute)
        for server in [one for one in running.servers.values() if one.carried]:
            connection = server.connection
            if any(check(running.service, connection, facts) for check in AGAIN) or self._banned(
                connection, running.service, now
            ):
                yield from self._servers.terminate(server, now)
            else:
                self._servers.watch(number, running.behind, now)

    def _stop(self, running: Running, now: Moment) -> Iterator[Effect]:
        """The service is dropped: nothing new, and its servers are to end."""
        running.stopped = True
        running.reopens = None
        yield from self._servers.stop(running, now)
        for candidate in self._waiting.leave(running):
            yield from self._servers.give_up(candidate, Reason.SHUTDOWN, now)
        yield from self._suspects.leave(running, now)
        yield from self._plays.leave(running)
        for connection in self._announcing.leave(running):
            yield Refuse(connection)
        yield from self._services.bury(running)

    def _leaving(self, given: Leaving, now: Moment) -> Iterator[Effect]:
        self._servers.spared = not given.servers
        for running in list(self._services.table.values()):
            yield from self._stop(running, now)

    def _tick(self, given: Tick, now: Moment) -> Iterator[Effect]:
        yield from self.bans.expire(now, self._heeded)
        for due, number in self._agenda.pop(now.now):
            if due is Due.REOPEN:
                yield from self._services.reopen(number)
            elif due is Due.ANSWER:
                asked = self._waiting.overdue(number, now.now)
                if asked is not None:
                    asked.candidate.answers = {**asked.candidate.answers, asked.question: None}
                    yield from self._judge_again(asked.candidate, now)
            elif due is Due.HEADER:
                yield from self._announced(number, None, now)
            elif due is Due.JUDGE:
                yield from self._judge_visitors(number, now)
            elif due is Due.IDENTITY:
                yield from self._suspects.answered(number, None, now)
            elif due is Due.RETRY:
                candidate = self._servers.retry(number)
                if candidate is not None:
                    candidate.answers = candidate.known  # it may have another name by now
                    yield from self._judge_again(candidate, now)
            else:
                yield from self._servers.kill(number, now)


def speaks(service: Service, connection: Connection) -> bool:
    """Whether a banner can be said: to a stream that was accepted for its server."""
    if service.wait and (Flag.INTERCEPT not in service.flags or connection.source is None):
        return False
    return service.socket_type is SocketType.STREAM


_OF_SOURCE = frozenset({Reason.ADDRESS, Reason.NAME, Reason.NAME_UNKNOWN})
"""Reasons that lie in the source and will be the same for its next datagram."""

_FREE = frozenset({Reason.SENSOR, Reason.EXEMPT, Reason.BANNED, Reason.ADDRESS, Reason.CPS, Reason.CPS_SOURCE})
"""Reasons that are looked at before cps or are cps: what they refuse uses no place in the bucket."""
