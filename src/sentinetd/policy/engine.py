"""The decision machine: every input goes through `Engine.handle`, which answers with effects and does nothing itself.

Its state is what outlives one decision: running services, their servers, connections that wait for an answer or for a
process, and the bans.
"""

from __future__ import annotations

import heapq
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.events import (
    ConnectionRefused,
    ForkFailed,
    ServerEnded,
    ServerFailed,
    ServerSignalled,
    ServerStarted,
    ServicePaused,
)
from sentinetd.model.service import Flag, Service, SocketType
from sentinetd.model.settings import Settings
from sentinetd.model.verdict import Question, Reason, Unknown
from sentinetd.policy.bans import Bans
from sentinetd.policy.checks import AGAIN, Facts, decide
from sentinetd.policy.effects import (
    Ask,
    Effect,
    Forget,
    Pause,
    Rearm,
    Refuse,
    Release,
    Report,
    Resume,
    Serve,
    Signal,
    Suspend,
)
from sentinetd.policy.inputs import (
    Answered,
    Arrived,
    Ended,
    Exhausted,
    Input,
    Launched,
    LaunchersGone,
    LaunchFailed,
    Learned,
    Leaving,
    Moment,
    Moved,
    Reloaded,
    SetupFailed,
    Tick,
)
from sentinetd.policy.tally import Bucket, Counts, Recent

ANSWER_WITHIN = 10.0
"""Seconds that the porter has for an answer."""
WAITING_MOST = 1024
"""Connections that may wait for answers at once."""
WAITING_MOST_OF_SOURCE = 16
"""The same, of one source."""
FORK_ATTEMPTS = 5
"""Failures to make a process after which a connection is given up (xinetd's number)."""
FORK_PAUSE = 5.0
"""Seconds between the attempts (xinetd's number)."""
KILL_AFTER = 5.0
"""Seconds that a server has between TERM and KILL."""
TELL_AGAIN_AFTER = 60.0
"""Seconds for which further refusals of a banned source by one service are not told."""
TOLD_AT_MOST = 100_000
EARLY_MOST = 10_000
"""Children reaped before the spawner named them that are remembered."""


class _Running:
    """A running service."""

    __slots__ = ("bucket", "counts", "reopens", "service", "serving", "stopped")

    def __init__(self, service: Service, now: float) -> None:
        self.service = service
        self.counts = Counts()
        self.bucket = Bucket(service.cps, now)
        self.reopens: float | None = None  # when a paused listener opens again
        self.serving: Connection | None = None  # a waiting service's server has the listener
        self.stopped = False  # not configured any more; stays until its last server has ended


@dataclass(slots=True)
class _Waiting:
    """A connection that waits for an answer of the porter."""

    connection: Connection
    answers: dict[Question, str | None]
    deadline: float


@dataclass(slots=True)
class _Launch:
    """A connection whose server is ordered and not yet named, or will be ordered again at *again*."""

    connection: Connection
    failures: int = 0
    again: float | None = None


@dataclass(slots=True)
class Server:
    """A running server process."""

    connection: Connection
    pid: int
    started: float
    kill_at: float | None = None


class Engine:
    """Decides. *limit*: the most server processes at once (option -limit), None for no limit."""

    def __init__(self, settings: Settings, limit: int | None = None) -> None:
        self._settings = settings
        self._limit = limit
        self.bans = Bans(settings)
        self._running: dict[int, _Running] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._waiting_of: dict[Address, int] = {}
        self._launches: dict[int, _Launch] = {}
        self._servers: dict[int, Server] = {}  # by pid
        self._early: dict[int, Ended] = {}  # by pid: reaped before the spawner's answer named it
        self._refusals = Recent(TELL_AGAIN_AFTER, TOLD_AT_MOST)
        self._processes = 0
        self._due: list[float] = []  # heap of the times at which something is due
        self._handlers: dict[type[Any], Callable[[Any, Moment], Iterator[Effect]]] = {
            Arrived: self._arrived,
            Answered: self._answered,
            Launched: self._launched,
            LaunchFailed: self._launch_failed,
            LaunchersGone: self._launchers_gone,
            SetupFailed: self._setup_failed,
            Ended: self._ended,
            Exhausted: self._exhausted,
            Learned: lambda given, now: self.bans.learned(given.bans, now),
            Reloaded: self._reloaded,
            Moved: self._moved,
            Leaving: self._leaving,
            Tick: self._tick,
        }

    def handle(self, given: Input, now: Moment) -> list[Effect]:
        """What follows from *given*, to be done in this order."""
        return list(self._handlers[type(given)](given, now))

    def deadline(self) -> float | None:
        """When the engine wants a `Tick`, on its clock; None if nothing is due."""
        due = self._due[0] if self._due else None
        ledger = self.bans.ledger.deadline()
        if due is None or ledger is None:
            return due if ledger is None else ledger
        return min(due, ledger)

    def _wake(self, due: float) -> float:
        """Have a `Tick` come at *due*. What is due is found by looking; one that is not needed any more does no harm."""
        heapq.heappush(self._due, due)
        return due

    # What others may see of the state: for the dump, the consistency check and the tools.

    @property
    def services(self) -> dict[int, Service]:
        """Running services by number; those that only wait for their last server to end are not among them."""
        return {number: running.service for number, running in self._running.items() if not running.stopped}

    def servers(self) -> list[Server]:
        """All running servers."""
        return list(self._servers.values())

    def retries(self) -> list[Connection]:
        """Connections for which no process could be made yet."""
        return [launch.connection for launch in self._launches.values() if launch.again is not None]

    def count(self, number: int) -> int:
        """Servers of the service *number*, those included that wait for an answer or a process."""
        return self._running[number].counts.total

    def state(self, number: int) -> str:
        """Active, Suspended (a waiting service whose server runs) or Disabled (its listener is closed for a while)."""
        running = self._running[number]
        if running.reopens is not None:
            return "Disabled"
        return "Suspended" if running.serving is not None else "Active"

    # Connections.

    def _arrived(self, given: Arrived, now: Moment) -> Iterator[Effect]:
        connection = given.connection
        running = self._running.get(connection.service)
        if running is None or running.stopped or running.serving is not None:
            yield Refuse(connection)
            return
        yield from self._judge(running, connection, {}, now)

    def _judge(
        self,
        running: _Running,
        connection: Connection,
        answers: dict[Question, str | None],
        now: Moment,
        paid: bool = False,
    ) -> Iterator[Effect]:
        """Run the chain on *connection*. *paid*: cps has counted it already."""
        service, source = running.service, connection.source
        facts = Facts(
            minute=now.minute,
            load=now.load,
            exempt=source is not None and self.bans.exempt(source, service),
            banned=source is not None and self.bans.holds(source, now.now),
            room=paid or running.bucket.has_room(now.now),
            servers=running.counts.total,
            servers_of_source=running.counts.of(source),
            processes=self._processes,
            limit=self._limit,
            answers=answers,
        )
        verdict = decide(service, connection, facts)
        if not isinstance(verdict, Unknown) and not verdict.allow:
            yield from self._refuse(running, connection, verdict.reason, now)
            if verdict.reason in _AFTER_CPS and not paid:
                running.bucket.take()
            return
        if not paid:
            running.bucket.take()
        if isinstance(verdict, Unknown):
            yield from self._ask(running, connection, verdict.question, answers, now)
        else:
            yield from self._serve(running, connection, now)

    def _refuse(self, running: _Running, connection: Connection, reason: Reason, now: Moment) -> Iterator[Effect]:
        service = running.service
        if reason in (Reason.SENSOR, Reason.EXEMPT):
            yield from self.bans.tripped(service, connection, now)
        elif self._to_be_told(connection, reason, service, now):
            yield self._refused(running, connection, reason, now)
        yield Refuse(connection)
        if reason is Reason.CPS:
            yield from self._pause(running, connection.service, "excessive incoming connections", now)

    def _to_be_told(self, connection: Connection, reason: Reason, service: Service, now: Moment) -> bool:
        """A banned source is told of once a minute and service, and so is a refused sender of datagrams; any other
        refusal each time."""
        if reason is not Reason.BANNED and service.socket_type is SocketType.STREAM:
            return True
        return self._refusals.first((connection.service, connection.source, reason), now.now)

    @staticmethod
    def _refused(running: _Running, connection: Connection, reason: Reason, now: Moment) -> Report:
        return Report(
            ConnectionRefused(
                now.wall, connection.service, running.service.id, connection.source, connection.port, reason
            )
        )

    def _pause(self, running: _Running, number: int, why: str, now: Moment) -> Iterator[Effect]:
        seconds = running.service.cps.wait
        running.reopens = self._wake(now.now + seconds)
        yield Pause(number)
        yield Report(ServicePaused(now.wall, running.service.name, why, seconds))

    def _ask(
        self,
        running: _Running,
        connection: Connection,
        question: Question,
        answers: dict[Question, str | None],
        now: Moment,
    ) -> Iterator[Effect]:
        source = connection.source
        if source is None:
            raise AssertionError("a question is about a source")
        mine = self._waiting_of.get(source, 0)
        if len(self._waiting) >= WAITING_MOST or mine >= WAITING_MOST_OF_SOURCE:
            yield from self._refuse(running, connection, Reason.WAITING_LIMIT, now)
            return
        self._waiting_of[source] = mine + 1
        self._waiting[connection.number] = _Waiting(connection, answers, self._wake(now.now + ANSWER_WITHIN))
        self._count(running, connection)
        if running.service.wait:
            running.serving = connection
            yield Suspend(connection.service)
        yield Ask(connection.number, question, source, ANSWER_WITHIN)

    def _answered(self, given: Answered, now: Moment) -> Iterator[Effect]:
        waiting = self._waiting.pop(given.number, None)
        if waiting is None:
            return  # too late: the connection is gone
        connection = waiting.connection
        running = self._running[connection.service]
        self._stop_waiting(running, connection)
        if running.stopped:
            yield from self._let_go(running, connection, Reason.SHUTDOWN, now)
            return
        answers = {**waiting.answers, given.question: given.value}
        was_serving, running.serving = running.serving, None
        effects = list(self._judge(running, connection, answers, now, paid=True))
        yield from effects
        if was_serving is not None and running.serving is None:
            yield Rearm(connection)

    def _stop_waiting(self, running: _Running, connection: Connection) -> None:
        """The connection no longer waits for an answer, and counts for nothing until it is judged again."""
        source = connection.source
        if source is None:
            raise AssertionError("only a connection with a source waits for an answer")
        left = self._waiting_of[source] - 1
        if left:
            self._waiting_of[source] = left
        else:
            del self._waiting_of[source]
        self._uncount(running, connection)

    # Servers.

    def _count(self, running: _Running, connection: Connection) -> None:
        running.counts.add(connection.source)
        self._processes += 1

    def _uncount(self, running: _Running, connection: Connection) -> None:
        running.counts.remove(connection.source)
        self._processes -= 1

    def _serve(self, running: _Running, connection: Connection, now: Moment, failures: int = 0) -> Iterator[Effect]:
        self._count(running, connection)
        self._launches[connection.number] = _Launch(connection, failures)
        if running.service.wait and running.serving is None:
            running.serving = connection
            yield Suspend(connection.service)
        yield Serve(connection)

    def _launched(self, given: Launched, now: Moment) -> Iterator[Effect]:
        launch = self._launches.pop(given.number, None)
        if launch is None:
            return  # given up while the spawner was at work: the process is a stranger and ends as one
        connection = launch.connection
        running = self._running[connection.service]
        server = self._servers[given.pid] = Server(connection, given.pid, now.now)
        yield Release(connection)
        yield Report(
            ServerStarted(
                now.wall, connection.service, running.service.id, connection.source, connection.port, given.pid
            )
        )
        ended = self._early.pop(given.pid, None)
        if not self._launches:
            self._early.clear()  # nobody will name those that are left
        if ended is not None:
            yield from self._ended(ended, now)
        elif running.stopped:
            yield from self._terminate(running, server, now)

    def _launch_failed(self, given: LaunchFailed, now: Moment) -> Iterator[Effect]:
        launch = self._launches.get(given.number)
        if launch is None:
            return
        running = self._running[launch.connection.service]
        launch.failures += 1
        final = Flag.NORETRY in running.service.flags or launch.failures >= FORK_ATTEMPTS or running.stopped
        yield Report(ForkFailed(now.wall, running.service.id, given.errno, launch.failures, final))
        if final:
            yield from self._give_up(launch, now)
        else:
            launch.again = self._wake(now.now + FORK_PAUSE)

    def _give_up(self, launch: _Launch, now: Moment) -> Iterator[Effect]:
        """No process for this connection: refuse it."""
        connection = launch.connection
        del self._launches[connection.number]
        running = self._running[connection.service]
        self._uncount(running, connection)
        yield from self._let_go(running, connection, Reason.FORK, now)

    def _let_go(self, running: _Running, connection: Connection, reason: Reason, now: Moment) -> Iterator[Effect]:
        """Refuse a connection that had been admitted before."""
        yield self._refused(running, connection, reason, now)
        yield Refuse(connection)
        if running.serving is connection:
            running.serving = None
            if not running.stopped:
                yield Rearm(connection)
        yield from self._bury(running, connection.service)

    def _launchers_gone(self, given: LaunchersGone, now: Moment) -> Iterator[Effect]:
        for launch in [one for one in self._launches.values() if one.again is None]:
            yield from self._give_up(launch, now)
        self._early.clear()

    def _setup_failed(self, given: SetupFailed, now: Moment) -> Iterator[Effect]:
        launch = self._launches.get(given.number)
        connection = launch.connection if launch else None
        if connection is None:
            connection = next(
                (one.connection for one in self._servers.values() if one.connection.number == given.number), None
            )
        if connection is None:
            return
        running = self._running[connection.service]
        yield Report(ServerFailed(now.wall, running.service.id, given.step, given.what, given.errno, given.fatal))
        if given.fatal:
            yield self._refused(running, connection, Reason.EXEC, now)

    def _ended(self, given: Ended, now: Moment) -> Iterator[Effect]:
        server = self._servers.pop(given.pid, None)
        if server is None:
            if self._launches and len(self._early) < EARLY_MOST:
                self._early[given.pid] = given
            return
        connection = server.connection
        running = self._running[connection.service]
        self._uncount(running, connection)
        yield Report(
            ServerEnded(
                now.wall,
                connection.service,
                running.service.id,
                connection.source,
                given.pid,
                given.status,
                given.signal,
                now.now - server.started,
            )
        )
        if running.serving is connection:
            running.serving = None
            if not running.stopped:
                yield Rearm(connection)
        yield from self._bury(running, connection.service)

    def _bury(self, running: _Running, number: int) -> Iterator[Effect]:
        """A stopped service goes with its last server."""
        if running.stopped and running.counts.total == 0:
            del self._running[number]
            yield Forget(number)

    def _terminate(self, running: _Running, server: Server, now: Moment) -> Iterator[Effect]:
        """Tell a server to end, and see to it that it does."""
        if server.kill_at is None:
            server.kill_at = self._wake(now.now + KILL_AFTER)
            yield from self._signal(running, server, signal.SIGTERM, now)

    def _signal(self, running: _Running, server: Server, number: int, now: Moment) -> Iterator[Effect]:
        yield Report(ServerSignalled(now.wall, running.service.id, server.pid, number))
        yield Signal(server.pid, number)

    # The world around.

    def _exhausted(self, given: Exhausted, now: Moment) -> Iterator[Effect]:
        running = self._running.get(given.number)
        if running is not None and not running.stopped and running.reopens is None:
            yield from self._pause(running, given.number, "no available descriptors", now)

    def _moved(self, given: Moved, now: Moment) -> Iterator[Effect]:
        self.bans.move(given.surroundings, self._settings)
        yield from ()

    def _reloaded(self, given: Reloaded, now: Moment) -> Iterator[Effect]:
        self._settings = given.settings
        self.bans.configure(given.settings)
        for number, service in given.start.items():
            self._running[number] = _Running(service, now.now)
        for number, service in given.adjust.items():
            running = self._running[number]
            running.service = service
            running.bucket.limit(service.cps)
            yield from self._judge_again(running, number, now)
        for number in given.stop:
            yield from self._stop(number, now)

    def _judge_again(self, running: _Running, number: int, now: Moment) -> Iterator[Effect]:
        """The servers of a service whose configuration changed are judged by it (xinetd(8), SIGHUP)."""
        facts = Facts(minute=now.minute)
        staying = []
        for server in sorted(self._servers_of(number), key=lambda one: one.started):
            connection = server.connection
            if any(check(running.service, connection, facts) is not None for check in AGAIN):
                yield from self._terminate(running, server, now)
            elif server.kill_at is None:
                staying.append(server)
        most = running.service.instances
        if most is not None:
            for server in staying[most:]:  # the oldest stay
                yield from self._terminate(running, server, now)

    def _servers_of(self, number: int) -> list[Server]:
        return [server for server in self._servers.values() if server.connection.service == number]

    def _stop(self, number: int, now: Moment) -> Iterator[Effect]:
        """The service *number* is dropped: nothing new, and its servers are to end."""
        running = self._running[number]
        running.stopped = True
        running.reopens = None
        for server in self._servers_of(number):
            yield from self._terminate(running, server, now)
        for launch in [one for one in self._launches.values() if one.connection.service == number]:
            if launch.again is not None:
                yield from self._give_up(launch, now)
        for waiting in [one for one in self._waiting.values() if one.connection.service == number]:
            del self._waiting[waiting.connection.number]
            self._stop_waiting(running, waiting.connection)
            yield from self._let_go(running, waiting.connection, Reason.SHUTDOWN, now)
        if number in self._running:
            yield from self._bury(running, number)

    def _leaving(self, given: Leaving, now: Moment) -> Iterator[Effect]:
        for server in list(self._servers.values()):
            if given.servers:
                yield from self._terminate(self._running[server.connection.service], server, now)

    def _tick(self, given: Tick, now: Moment) -> Iterator[Effect]:
        yield from self.bans.expire(now)
        if not (self._due and self._due[0] <= now.now):
            return
        while self._due and self._due[0] <= now.now:
            heapq.heappop(self._due)
        for number, running in self._running.items():
            if running.reopens is not None and running.reopens <= now.now:
                running.reopens = None
                yield Resume(number)
        for waiting in [one for one in self._waiting.values() if one.deadline <= now.now]:
            yield from self._answered(Answered(waiting.connection.number, Question.NAME, None), now)
        for launch in [one for one in self._launches.values() if one.again is not None and one.again <= now.now]:
            yield from self._try_again(launch, now)
        for server in [one for one in self._servers.values() if one.kill_at is not None and one.kill_at <= now.now]:
            server.kill_at = self._wake(now.now + KILL_AFTER)
            yield from self._signal(self._running[server.connection.service], server, signal.SIGKILL, now)

    def _try_again(self, launch: _Launch, now: Moment) -> Iterator[Effect]:
        """A process could not be made for this connection some seconds ago: judge it as if it came now, and order."""
        connection = launch.connection
        running = self._running[connection.service]
        launch.again = None
        self._uncount(running, connection)
        del self._launches[connection.number]
        yield from self._judge(running, connection, {}, now, paid=True)
        ordered = self._launches.get(connection.number)
        if ordered is not None:
            ordered.failures = launch.failures


_AFTER_CPS = frozenset(
    {
        Reason.LOAD,
        Reason.TIME,
        Reason.INSTANCES,
        Reason.PER_SOURCE,
        Reason.PROCESS_LIMIT,
        Reason.NAME,
        Reason.NAME_UNKNOWN,
    }
)
"""Reasons that are looked at after cps: what they refuse has used a place in the bucket."""
