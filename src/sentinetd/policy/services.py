"""The services that run: whom each serves, whether its listener is open and watched, when it is gone for good."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping

from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.events import ConnectionAdmitted, ConnectionRefused, Event, ServerStarted, ServicePaused
from sentinetd.model.manner import Manner, manner_of, multiplexed
from sentinetd.model.noun import dataclass
from sentinetd.model.service import OnFailure, Service, SocketType
from sentinetd.model.verdict import Question, Reason
from sentinetd.policy.agenda import Agenda, Due
from sentinetd.policy.behind import Behind
from sentinetd.policy.checks import AT_THE_DOOR, FURTHER, Check, ordinary
from sentinetd.policy.effects import Effect, Forget, Pause, Rearm, Report, Resume, Suspend
from sentinetd.policy.inputs import Moment
from sentinetd.policy.tally import Bucket, Counts, Paces, Score


class Running:
    """A running service."""

    __slots__ = (
        "behind", "bucket", "checks", "counts", "fewest", "identifies", "logged", "manner", "number", "paces", "peers",
        "refusals_logged", "reopens", "score", "sensor", "servers", "service", "serving", "stopped",
    )  # fmt: skip

    def __init__(self, number: int, service: Service, now: float) -> None:
        self.number = number
        self.service = service
        self.manner = manner_of(service)
        self.sensor = service.sensor
        self.checks: tuple[tuple[Check, ...], tuple[Check, ...]] | None = None  # as `ordinary_checks`, once needed
        self.peers = service.proxy_protocol or None  # asked for at every connection
        self.logged = _logged(service)  # whether the service's log has a line for a server; as often
        self.fewest = _fewest(service)  # as many servers may run before one is refused for their number
        self.refusals_logged = _refusals_logged(service)
        self.identifies = identifies_refused(service)
        self.counts = Counts()
        self.score = Score()
        self.bucket = Bucket(service.cps, now)
        self.paces = Paces(service.cps_source) if service.cps_source is not None else None
        self.servers: dict[int, Server] = {}  # by connection
        self.reopens: float | None = None  # when a paused listener opens again
        self.serving: Connection | None = None  # a waiting service's listener is lent for this one
        self.behind = Behind(service.cps, now) if self.manner is Manner.INTERCEPTED else None
        self.stopped = False  # not configured any more; stays until its last server has ended

    def adjust(self, service: Service, now: float) -> None:
        """The configuration changed; listener, counts and servers stay."""
        if service.cps_source != self.service.cps_source:
            self.paces = Paces(service.cps_source) if service.cps_source is not None else None
        self.service = service
        self.manner = manner_of(service)
        self.sensor = service.sensor
        self.checks = None
        self.peers = service.proxy_protocol or None
        self.logged = _logged(service)
        self.refusals_logged = _refusals_logged(service)
        self.identifies = identifies_refused(service)
        self.fewest = _fewest(service)
        self.bucket.limit(service.cps, now)
        if self.behind is not None:
            self.behind.bucket.limit(service.cps, now)

    def ordinary_checks(self) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
        """Of `AT_THE_DOOR` and of `FURTHER`, those that are to be asked in the ordinary (see `checks.ordinary`)."""
        self.checks = ordinary(AT_THE_DOOR, self.service), ordinary(FURTHER, self.service)
        return self.checks

    def occupies(self, connection: Connection) -> int:
        """Processes that *connection* takes: none if it is only carried to a server that others share."""
        return 1 if self.behind is None or connection.source is None else 0


@dataclass(slots=True)
class Candidate:
    """A connection that was admitted, or would be but for what is not known yet; until it has a server.

    *since*: when it came, on the engine's clock. *known*: answers that no question can change. *carried*: the porter is
    to have it, no process; *failures* to make one; *unwanted*: the configuration changed while its process was being
    made, and does not admit it any more.
    """

    running: Running
    connection: Connection
    answers: Mapping[Question, str | None]
    since: float
    known: Mapping[Question, str | None]
    carried: bool = False
    failures: int = 0
    unwanted: bool = False


@dataclass(slots=True)
class Server:
    """A running server. *carried*: no process of its own but a connection that the porter, process *pid*, has."""

    running: Running
    connection: Connection
    pid: int
    started: float
    carried: bool = False
    told_to_end: bool = False


class Services:
    """All running services by number, and the *processes* that serve them all together."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self.table: dict[int, Running] = {}
        self.processes = 0
        self.lent = 0  # listeners that a server has
        self.gone = Score()  # what services that are gone had counted
        self.heeded: frozenset[type[Event]] = frozenset()
        """What somebody listens for of the kinds of event that come for every connection."""

    def begin(self, number: int, service: Service, now: float) -> None:
        """The service *number* runs from now on."""
        self.table[number] = Running(number, service, now)

    def multiplexed(self, name: str) -> Running | None:
        """The running service that the multiplexer knows by *name*, in lower case."""
        for running in self.table.values():
            if not running.stopped and running.service.name.lower() == name and multiplexed(running.service):
                return running
        return None

    def count(self, running: Running, connection: Connection) -> None:
        """*connection* counts as served from its verdict on."""
        running.counts.add(connection.source)
        self.processes += 1 if running.behind is None else running.occupies(connection)

    def uncount(self, running: Running, connection: Connection) -> None:
        """*connection* is judged again, or is done with."""
        running.counts.remove(connection.source)
        self.processes -= 1 if running.behind is None else running.occupies(connection)

    def lend(self, running: Running, connection: Connection) -> list[Effect]:
        """A waiting service's listener is not watched from the verdict on *connection* until that one is done with; an
        intercepted one's private socket, while it has a server."""
        if not running.service.wait or running.serving is not None:
            return []
        if running.behind is not None:
            if connection.source is not None or running.behind.connection is connection:
                return []
            running.behind.connection = connection
            self.lent += 1
            return [Suspend(running.number)]
        running.serving = connection
        self.lent += 1
        return [Suspend(running.number)]

    def take_back(self, running: Running, connection: Connection) -> list[Effect]:
        """*connection* is done with: a listener that was lent for it is watched again, unless its service stops."""
        if running.behind is not None:
            if running.behind.connection is not connection:
                return []
            running.behind.connection = None
        elif running.serving is not connection:
            return []
        running.serving = None
        self.lent -= 1
        return [] if running.stopped else [Rearm(connection)]

    def tells(self, running: Running, kind: type[Event]) -> bool:
        """Whether anybody wants to hear of events of *kind* about the servers of *running*: they are not made else."""
        return running.logged or kind in self.heeded

    def tells_refusals(self, running: Running, reason: Reason) -> bool:
        """The same of connections that *running* refuses for *reason*; the daemon's log has a line for some."""
        return running.refusals_logged or ConnectionRefused in self.heeded or reason is Reason.LOAD

    def refusal(self, running: Running, connection: Connection, reason: Reason, now: Moment) -> tuple[Report, ...]:
        """The report that *connection* is not served, if anybody wants it."""
        if not self.tells_refusals(running, reason):
            return ()
        service = running.service
        event = ConnectionRefused(
            now.wall, running.number, service.id, connection.source, connection.port, reason,
            connection.number, service.protocol.name, connection.local_port or service.port,
        )  # fmt: skip
        return (Report(event),)

    def done(self, running: Running, connection: Connection) -> Iterable[Effect]:
        """*connection*, which counted, is done with; a stopped service goes with the last one."""
        self.uncount(running, connection)
        if running.serving is None and running.behind is None and not running.stopped:
            return ()  # as nearly always
        return (*self.take_back(running, connection), *self.bury(running))

    def bury(self, running: Running) -> list[Effect]:
        """Forget a stopped service that serves nobody any more."""
        if not running.stopped or running.counts.total or self.table.pop(running.number, None) is None:
            return []
        self.gone.add(running.score)
        return [Forget(running.number)]

    def pause(self, running: Running, why: str, seconds: int, now: Moment) -> Iterator[Effect]:
        """Close the listener for *seconds*."""
        running.reopens = self._agenda.add(now.now + seconds, Due.REOPEN, running.number)
        yield Pause(running.number)
        yield Report(ServicePaused(now.wall, running.service.name, why, seconds))

    def reopen(self, number: int) -> Iterator[Effect]:
        """The pause of the service *number* is over: open its listener again, if it has not stopped."""
        running = self.table.get(number)
        if running is not None and running.reopens is not None:
            running.reopens = None
            yield Resume(number)


def admitted(running: Running, connection: Connection, now: Moment) -> Report:
    """The report that nothing forbids *connection*."""
    service = running.service
    return Report(
        ConnectionAdmitted(
            now.wall, running.number, service.id, connection.source, connection.port,
            connection.number, service.protocol.name, connection.local_port or service.port,
        )
    )  # fmt: skip


def started(running: Running, connection: Connection, pid: int, now: Moment) -> Report:
    """The report that the process *pid* serves *connection*; 0: the guard itself."""
    service = running.service
    return Report(
        ServerStarted(
            now.wall, running.number, service.id, connection.source, connection.port, pid,
            connection.number, service.protocol.name, connection.local_port or service.port,
        )
    )  # fmt: skip


def _fewest(service: Service) -> float:
    return min((most for most in (service.instances, service.per_source) if most is not None), default=math.inf)


def _logged(service: Service) -> bool:
    return service.log_type is not None and bool(service.log_on_success)


def _refusals_logged(service: Service) -> bool:
    return service.log_type is not None and bool(service.log_on_failure)


def identifies_refused(service: Service) -> bool:
    """Whether the users of those whom *service* refuses are looked up (xinetd.conf(5), log_on_failure)."""
    stream = service.socket_type is SocketType.STREAM and not service.wait
    return stream and OnFailure.USERID in service.log_on_failure


def whose(source: Address | None) -> Hashable:
    """What counts as one source: an IPv4 address, or all of an IPv6 /64, whose addresses are its owner's to choose."""
    return source.value >> 64 if source is not None and source.version == 6 else source
