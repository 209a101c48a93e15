"""The decision machine: every input goes through `Engine.handle`, which answers with effects and does nothing itself.

Its state is what outlives one decision, each part in a file of its own: running services (`services`), connections that
wait for an answer (`waiting`), refused ones of whom more is wanted (`suspects`), orders and servers (`servers`), bans
(`bans`), and what is due when (`agenda`). What happens to a connection when it comes is in `reception`, what a touched
sensor does in `trips`; here is what a reload, the clock and the end change.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sentinetd.model.address import Address, union
from sentinetd.model.connection import Connection
from sentinetd.model.events import ResourceExhausted
from sentinetd.model.service import Service
from sentinetd.model.settings import Settings
from sentinetd.model.state import Count, Explanation, Tally
from sentinetd.model.verdict import Reason
from sentinetd.policy.agenda import Agenda, Due
from sentinetd.policy.announcing import Announcing
from sentinetd.policy.bans import Bans
from sentinetd.policy.effects import Effect, Exempted, Refuse, Report
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
    Recovered,
    Reloaded,
    SetupFailed,
    Tick,
    Wanted,
)
from sentinetd.policy.orders import Orders
from sentinetd.policy.plays import Plays
from sentinetd.policy.reception import Reception
from sentinetd.policy.review import Review
from sentinetd.policy.servers import Servers
from sentinetd.policy.services import Running, Server, Services
from sentinetd.policy.suspects import LOG_PROCS, Suspects
from sentinetd.policy.tally import Recent, Score
from sentinetd.policy.trips import Trips
from sentinetd.policy.waiting import Waiting

TELL_AGAIN_AFTER = 60.0
"""Seconds for which further refusals of a banned source by one service are not told."""
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
        self._servers = Servers(self.bans, self._services, self._agenda)
        self._told = Recent(TELL_AGAIN_AFTER, TOLD_AT_MOST)
        servers = self._servers
        trips = Trips(self.bans, servers, self._plays)
        self._reception = reception = Reception(
            self.bans, self._services, servers, self._waiting, self._suspects, self._announcing, trips, self._told,
            limit,
        )  # fmt: skip
        self._review = Review(self.bans, self._services, servers)
        self._handlers: dict[type[Any], Callable[[Any, Moment], Iterable[Effect]]] = {
            Arrived: reception.arrived,
            Wanted: reception.wanted,
            Answered: reception.answered,
            Launched: servers.launched,
            Begun: servers.begun,
            Finished: servers.finished,
            Chosen: reception.chosen,
            Played: self._plays.ended,
            CarriersGone: self._carriers_gone,
            LaunchFailed: self._launch_failed,
            LaunchersGone: servers.launchers_gone,
            Recovered: servers.recovered,
            SetupFailed: servers.setup_failed,
            Ended: servers.ended,
            Exhausted: self._exhausted,
            Learned: lambda given, now: trips.imposing(self.bans.learned(given.bans, now), now),
            Recalled: lambda given, now: trips.imposing(self.bans.recalled(given, now), now),
            RecalledExemptions: lambda given, now: self.bans.recalled_exemptions(given.exemptions, now),
            Escalated: lambda given, now: self.bans.escalated(given.bans, now),
            Found: lambda given, now: self.bans.found(given),
            LoggedIn: lambda given, now: self.bans.logged_in(given, now),
            Ordered: lambda given, now: trips.imposing(self._orders.obey(given, now), now),
            Reloaded: self._reloaded,
            Moved: lambda given, now: self.bans.moved(given.surroundings),
            Heeded: self._heed,
            Leaving: self._leaving,
            Tick: self._tick,
        }

    def handle(self, given: Input, now: Moment) -> list[Effect]:
        """What follows from *given*, to be done in this order."""
        effects = self._handlers[type(given)](given, now)
        return effects if type(effects) is list else list(effects)

    def deadline(self) -> float | None:
        """When the engine wants a `Tick`, on its clock; None if nothing is due."""
        due, ban = self._agenda.next(), self.bans.deadline()
        return ban if due is None or (ban is not None and ban < due) else due

    # What others may see of the state: for the dump, the consistency check and the tools.

    @property
    def services(self) -> dict[int, Service]:
        """Running services by number; those that only wait for their last server to end are not among them."""
        return {number: one.service for number, one in self._services.table.items() if not one.stopped}

    def find(self, number: int) -> Running | None:
        """The running service *number*: one look-up, for what is done at every connection."""
        running = self._services.table.get(number)
        return None if running is None or running.stopped else running

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

    @property
    def lends(self) -> bool:
        """Whether a server has a listener of ours, which waits for its end."""
        return self._services.lent > 0

    def crowded(self, connection: Connection) -> bool:
        """Whether so many servers run that *connection* might be refused for it."""
        running = self._services.table.get(connection.service)
        if running is None:
            return False
        limit = self._limit
        return running.counts.total >= running.fewest or (limit is not None and self._services.processes >= limit)

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

    # The world around.

    def _carriers_gone(self, given: CarriersGone, now: Moment) -> Iterator[Effect]:
        """The porter ended."""
        self._plays.clear()
        yield from self._servers.carriers_gone(now)

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
        self._services.heeded = given.kinds
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
                yield from self._review.servers(running, now)
        for number in sorted(given.stop):
            running = self._services.table.get(number)
            if running is not None:
                yield from self._stop(running, now)
        peers = union(one.peers for one in self._services.table.values() if one.peers is not None and not one.stopped)
        if self.bans.exemptions.trust(peers):
            yield Exempted()

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
        yield from self.bans.expire(now, self._services.heeded)
        for due, number in self._agenda.pop(now.now):
            if due is Due.REOPEN:
                yield from self._services.reopen(number)
            elif due is Due.ANSWER:
                asked = self._waiting.overdue(number, now.now)
                if asked is not None:
                    asked.candidate.answers = {**asked.candidate.answers, asked.question: None}
                    yield from self._reception.judge_again(asked.candidate, now)
            elif due is Due.HEADER:
                yield from self._reception.announced(number, None, now)
            elif due is Due.JUDGE:
                yield from self._review.visitors(number, now)
            elif due is Due.IDENTITY:
                yield from self._suspects.answered(number, None, now)
            elif due is Due.RETRY:
                candidate = self._servers.retry(number)
                if candidate is not None:
                    candidate.answers = candidate.known  # it may have another name by now
                    yield from self._reception.judge_again(candidate, now)
            else:
                yield from self._servers.kill(number, now)
