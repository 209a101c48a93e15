"""Server processes: ordered, named, ended; tried again when none could be made; told to end, and seen to it."""

from __future__ import annotations

import errno
import signal
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from sentinetd.model.connection import Connection
from sentinetd.model.events import (
    ForkFailed,
    ServerEnded,
    ServerFailed,
    ServerSignalled,
    ServerStarted,
    TrafficCounted,
    UserFound,
)
from sentinetd.model.histogram import Histogram
from sentinetd.model.manner import Manner
from sentinetd.model.service import Flag, SocketType
from sentinetd.model.verdict import Question, Reason
from sentinetd.policy.agenda import Agenda, Due
from sentinetd.policy.bans import Bans
from sentinetd.policy.behind import Behind, Visitors
from sentinetd.policy.effects import Effect, HangUp, Refuse, Release, Report, Serve, Signal
from sentinetd.policy.inputs import (
    Begun,
    Ended,
    Finished,
    Launched,
    LaunchersGone,
    LaunchFailed,
    Moment,
    Recovered,
    SetupFailed,
)
from sentinetd.policy.services import Candidate, Running, Server, Services, started

FORK_ATTEMPTS = 5
"""Failures to make a process after which a connection is given up (xinetd's number)."""
FORK_PAUSE = 5.0
"""Seconds between the attempts (xinetd's number)."""
KILL_AFTER = 5.0
"""Seconds that a server has between TERM and KILL."""
EARLY_MOST = 10_000
"""Children reaped before the spawner named them that are remembered."""
JUDGE_EVERY = 10.0
"""Seconds between two judgements of an intercepted service's datagram clients."""
START_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
DURATION_BOUNDS = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0)
"""Seconds: the ranges of the histograms."""
LATE_MOST = 1_000
"""Servers remembered after their end, since what kept them from starting may be told later than that."""


class Servers:
    """From an order to the end of the process. Every candidate and every server here counts in `Services`. *bans* say
    who was banned while his server was being made."""

    def __init__(self, bans: Bans, services: Services, agenda: Agenda) -> None:
        self._bans = bans
        self._services = services
        self._agenda = agenda
        self.orders: dict[int, Candidate] = {}  # by connection: ordered, not yet named
        self.retries: dict[int, Candidate] = {}  # by connection: to be ordered again
        self.running: dict[int, Server] = {}  # by connection
        self.visitors = Visitors()  # those among the running
        self.sessions = Visitors()  # those that end when their source gets banned
        self.spared = False  # the daemon leaves, the servers stay
        self.starts = Histogram(START_BOUNDS)
        self.durations = Histogram(DURATION_BOUNDS)
        self._numbers: dict[int, int] = {}  # process id -> connection
        self._early: dict[int, Ended] = {}  # by process id: reaped before the spawner's answer named it
        self._late: OrderedDict[int, Server] = OrderedDict()  # by connection: the last that ended

    def order(self, candidate: Candidate) -> list[Effect]:
        """Have a server started for an admitted connection, which counts already."""
        connection = candidate.connection
        self.orders[connection.number] = candidate
        return [Serve(connection, candidate.running.manner) if candidate.carried else Serve(connection)]

    def launched(self, given: Launched, now: Moment) -> Iterable[Effect]:
        """An order was carried out."""
        candidate = self.orders.pop(given.number, None)
        if candidate is None:
            return ()  # given up while the spawner was at work: the process is a stranger and ends as one
        effects: list[Effect] = []
        if given.pid in self._numbers:  # of a server whose end was never told
            effects += self.ended(Ended(given.pid, -1, 0), now)
        self._numbers[given.pid] = given.number
        effects += self._begin(candidate, given.pid, now, now.now if given.at is None else given.at)
        ended = self._early.pop(given.pid, None) if self._early else None
        self._drop_strangers()
        if ended is not None:
            effects += self.ended(ended, now)
        elif self._overtaken(candidate, now):
            effects += self.terminate(self.running[given.number], now)
        return effects

    def begun(self, given: Begun, now: Moment) -> Iterator[Effect]:
        """The porter has a connection that was ordered to be carried."""
        candidate = self.orders.pop(given.number, None)
        if candidate is None:
            return
        yield from self._begin(candidate, given.pid, now, now.now, carried=True)
        if self._overtaken(candidate, now):
            yield from self.terminate(self.running[given.number], now)

    def _overtaken(self, candidate: Candidate, now: Moment) -> bool:
        """Whether *candidate*, whose server has just begun, is to lose it again for what happened meanwhile."""
        running, connection = candidate.running, candidate.connection
        return (
            (running.stopped and not self.spared)
            or candidate.unwanted
            or (
                (running.service.end_sessions or (running.behind is not None and _visits(candidate)))
                and self._bans.refuses(connection, running.service, now)
            )
        )

    def finished(self, given: Finished, now: Moment) -> Iterator[Effect]:
        """The porter is done with a connection."""
        server = self.running.get(given.number)
        candidate = self.choosing(given.number)
        if candidate is not None:  # it chose nothing that there is, and was told so
            yield Refuse(candidate.connection)
            yield from self._services.done(candidate.running, candidate.connection)
        if server is None or not server.carried:
            return
        running = server.running
        if running.service.redirect is not None:
            source = server.connection.source
            yield Report(
                TrafficCounted(now.wall, running.number, running.service.id, source, given.bytes_in, given.bytes_out)
            )
        yield from self._end(self.running.pop(given.number), 0, 0, now, given.bytes_in, given.bytes_out)

    def choosing(self, number: int) -> Candidate | None:
        """The candidate that was to choose a multiplexed service by connection *number*; it is not kept any more."""
        candidate = self.orders.get(number)
        if candidate is None or candidate.running.manner is not Manner.CHOSEN:
            return None
        return self.orders.pop(number)

    def carriers_gone(self, now: Moment) -> Iterator[Effect]:
        """The porter ended: so have all connections that it had, and nobody has those it was to have."""
        for candidate in [one for one in self.orders.values() if one.running.manner is Manner.CHOSEN or _visits(one)]:
            del self.orders[candidate.connection.number]
            yield from self.give_up(candidate, Reason.FORK, now)
        for candidate in [one for one in self.retries.values() if _visits(one)]:
            del self.retries[candidate.connection.number]
            yield from self.give_up(candidate, Reason.FORK, now)
        for server in [one for one in self.running.values() if one.carried]:
            yield from self._end(self.running.pop(server.connection.number), 1, 0, now)

    def _begin(
        self, candidate: Candidate, pid: int, now: Moment, since: float, *, carried: bool = False
    ) -> list[Effect]:
        running, connection = candidate.running, candidate.connection
        self.starts.observe(since - candidate.since)
        server = Server(running, connection, pid, since, carried)
        self.running[connection.number] = running.servers[connection.number] = server
        if running.service.end_sessions and connection.source is not None:
            self.sessions.add(connection.number, connection.source)
        effects: list[Effect] = [Release(connection)]
        begun = ((connection, pid),) if running.behind is None else self._begun_behind(running.behind, server, now)
        if self._services.tells(running, ServerStarted):
            effects += [started(running, one, process, now) for one, process in begun]
        user = candidate.answers.get(Question.USER) if candidate.answers else None
        if user is not None and connection.source is not None:
            effects.append(Report(UserFound(now.wall, running.number, running.service.id, connection.source, user)))
        return effects

    def _begun_behind(self, behind: Behind, server: Server, now: Moment) -> list[tuple[Connection, int]]:
        """A client of an intercepted service, or its server, has begun; what is to be told as started, by whom."""
        connection = server.connection
        if connection.source is not None and _visits(server):
            self.visitors.add(connection.number, connection.source)
            self.watch(server.running.number, behind, now)
        return behind.begun(connection, server.pid)

    def watch(self, number: int, behind: Behind, now: Moment) -> None:
        """Have the datagram clients of the service *number* judged again before long."""
        if not behind.watched:
            behind.watched = True
            self._agenda.add(now.now + JUDGE_EVERY, Due.JUDGE, number)

    def launch_failed(self, given: LaunchFailed, now: Moment) -> Iterator[Effect]:
        """No process could be made: try again in a while, or give up. That we lack a process of our own is told by
        whoever lost it, and is no reason to give up at once."""
        candidate = self.orders.pop(given.number, None)
        if candidate is None:
            return
        self._drop_strangers()
        running = candidate.running
        candidate.failures += 1
        lost = given.errno == errno.EBADF and not running.service.wait  # nobody has the client's connection any more
        once = given.errno != 0 and Flag.NORETRY in running.service.flags
        final = lost or once or candidate.failures >= FORK_ATTEMPTS or running.stopped
        if given.errno or final:
            number = given.errno or errno.EAGAIN
            yield Report(ForkFailed(now.wall, running.service.id, number, candidate.failures, final))
        if final:
            yield from self.give_up(candidate, Reason.FORK, now)
        else:
            self.retries[given.number] = candidate
            self._agenda.add(now.now + FORK_PAUSE, Due.RETRY, given.number)

    def retry(self, number: int) -> Candidate | None:
        """The candidate to be judged again, since its next attempt is due; it is not kept here any more. None: it was
        given up meanwhile."""
        return self.retries.pop(number, None)

    def recovered(self, given: Recovered, now: Moment) -> Iterable[Effect]:
        """Those who wait for another attempt may have it."""
        for number in self.retries:
            self._agenda.add(now.now, Due.RETRY, number)
        return ()

    def give_up(self, candidate: Candidate, reason: Reason, now: Moment) -> Iterator[Effect]:
        """Refuse one that had been admitted and will have no server."""
        candidate.running.score.reasons[reason] += 1
        yield from self._services.refusal(candidate.running, candidate.connection, reason, now)
        yield Refuse(candidate.connection)
        yield from self._services.done(candidate.running, candidate.connection)

    def launchers_gone(self, given: LaunchersGone, now: Moment) -> Iterator[Effect]:
        """The spawner ended. What it did not answer it may have done, so nothing is ordered a second time."""
        for number in given.orders:
            candidate = self.orders.pop(number, None)
            if candidate is not None:
                yield from self.give_up(candidate, Reason.FORK, now)
        self._early.clear()

    def setup_failed(self, given: SetupFailed, now: Moment) -> Iterator[Effect]:
        """A process could not be made ready; it says so itself, maybe before it is named or after it was reaped."""
        number = given.number
        known = self.orders.get(number) or self.running.get(number) or self._late.get(number)
        if known is None:
            return
        service = known.running.service
        what = given.what or (service.server if given.step == "execve" else "")
        yield Report(ServerFailed(now.wall, service.id, given.step, what, given.errno, given.fatal))
        if given.fatal:
            yield from self._services.refusal(known.running, known.connection, Reason.EXEC, now)

    def ended(self, given: Ended, now: Moment) -> Iterable[Effect]:
        """A child was reaped."""
        number = self._numbers.pop(given.pid, None)
        if number is not None:
            return self._end(self.running.pop(number), given.status, given.signal, now)
        if self.orders and len(self._early) < EARLY_MOST:
            self._early[given.pid] = given
        return ()

    def _end(
        self,
        server: Server,
        status: int,
        number: int,
        now: Moment,
        bytes_in: int | None = None,
        bytes_out: int | None = None,
    ) -> Iterable[Effect]:
        """*server* is over, by exit *status* or by the signal *number*, after so many bytes if they were counted."""
        running, connection = server.running, server.connection
        del running.servers[connection.number]
        self._late[connection.number] = server
        if len(self._late) > LATE_MOST:
            self._late.popitem(last=False)
        source, duration = connection.source, now.now - server.started
        self.durations.observe(duration)
        if running.behind is not None and source is not None:
            self.visitors.remove(connection.number, source)
        if self.sessions and source is not None:
            self.sessions.remove(connection.number, source)
        over = running.behind is None or running.behind.over(connection)
        done = self._services.done(running, connection)
        if not over or not self._services.tells(running, ServerEnded):
            return done
        end = ServerEnded(
            now.wall, running.number, running.service.id, source, server.pid, status, number, duration,
            connection.number, bytes_in, bytes_out,
        )  # fmt: skip
        return (Report(end), *done)

    def adjusted(self, running: Running) -> None:
        """The configuration of *running* changed: whether its servers end when their source gets banned may have."""
        for server in running.servers.values():
            number, source = server.connection.number, server.connection.source
            if source is not None:
                self.sessions.remove(number, source)
                if running.service.end_sessions:
                    self.sessions.add(number, source)

    def stop(self, running: Running, now: Moment) -> Iterator[Effect]:
        """The service is dropped: its servers are to end, and nobody waits for a process any more. What is ordered is
        told to end as soon as it has a name."""
        for server in list(running.servers.values()):
            yield from self.terminate(server, now)
        for candidate in [one for one in self.retries.values() if one.running is running]:
            del self.retries[candidate.connection.number]
            yield from self.give_up(candidate, Reason.SHUTDOWN, now)

    def terminate(self, server: Server, now: Moment) -> Iterator[Effect]:
        """Tell a server to end; it is told once, and killed if it takes too long."""
        if not self.spared and not server.told_to_end:
            server.told_to_end = True
            if server.carried:
                yield HangUp(server.connection.number)
                return
            self._agenda.add(now.now + KILL_AFTER, Due.KILL, server.connection.number)
            yield from self._signal(server, signal.SIGTERM, now)

    def kill(self, number: int, now: Moment) -> Iterator[Effect]:
        """The server of the connection *number* was told to end, and its time is over: kill it if it has not ended."""
        server = self.running.get(number)
        if server is not None:
            yield from self._signal(server, signal.SIGKILL, now)

    def _signal(self, server: Server, number: int, now: Moment) -> Iterator[Effect]:
        yield Report(ServerSignalled(now.wall, server.running.service.id, server.pid, number))
        yield Signal(server.pid, number)

    def _drop_strangers(self) -> None:
        """Without an order nobody will name those that were reaped early."""
        if not self.orders:
            self._early.clear()


def _visits(one: Candidate | Server) -> bool:
    """Whether this is a client whose datagrams the porter carries to an intercepted service's server."""
    return one.running.behind is not None and one.carried and one.running.service.socket_type is SocketType.DGRAM
