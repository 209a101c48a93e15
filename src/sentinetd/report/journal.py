"""Which event goes into which log: the daemon's own, and that of the service it concerns. `flush` writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

from sentinetd.model.events import (
    ConnectionRefused,
    Event,
    Level,
    SensorTripped,
    ServerEnded,
    ServerStarted,
    TrafficCounted,
    UserFound,
    UserUnknown,
)
from sentinetd.model.noun import dataclass
from sentinetd.model.service import OnFailure, OnSuccess
from sentinetd.model.trip_run import TripTable
from sentinetd.ports import Sink
from sentinetd.report.escape import escape
from sentinetd.report.formats import text, xinetd
from sentinetd.report.sinks.file import LogFile
from sentinetd.report.sinks.syslog import SOCKET, SystemLog

STDERR = 2


OF_SERVICES = (
    SensorTripped, ConnectionRefused, ServerStarted, ServerEnded, TrafficCounted, UserFound, UserUnknown
)  # fmt: skip
"""Kinds of event that go into the log of their service."""
OfService = (
    SensorTripped | ConnectionRefused | ServerStarted | ServerEnded | TrafficCounted | UserFound | UserUnknown
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Where a service logs, None: nowhere, and what of (log_on_success, log_on_failure)."""

    sink: int | None
    success: frozenset[OnSuccess]
    failure: frozenset[OnFailure]


class Journal:
    """All logs by the numbers of their sinks; *main* is the number of the daemon's own. *wall* gives Unix time.

    Every message bears *ident* and *pid*. *socket* is where the system's log listens. Until the daemon's log is
    opened, and of what keeps it from being written, standard error is told.
    """

    def __init__(self, main: int, wall: Callable[[], float], ident: str, pid: int, socket: str = SOCKET) -> None:
        self._main = main
        self._socket = socket
        self._wall = wall
        self._ident = ident
        self._pid = pid
        self._services: dict[int, ServiceOptions] = {}
        self._last_resort = LogFile(os.dup(STDERR), "standard error", self._dress)
        self._sinks: dict[int, Sink] = {main: self._last_resort}
        self._touched: set[int] = set()  # sinks that have something to write

    def introduce(self, ident: str, pid: int) -> None:
        """From now on messages bear *ident* and *pid*; a system log that is open keeps its own."""
        self._ident = ident
        self._pid = pid

    def open_file(self, sink: int, descriptor: int, label: str, soft: int, hard: int) -> None:
        """Sink *sink* is from now on the file *descriptor*, which becomes ours; see `LogFile`."""
        dress = self._dress if sink == self._main else _dress_service
        self._open(sink, LogFile(descriptor, label, dress, soft, hard))

    def open_syslog(self, sink: int, facility: str, level: str) -> None:
        """Sink *sink* is from now on the system's log; see `SystemLog`. EdgeError for names that syslog(3) lacks."""
        self._open(sink, SystemLog(self._ident, self._pid, facility, level, self._socket))

    def close_sink(self, sink: int) -> None:
        """Nothing goes to sink *sink* any more; what was told it is written first."""
        log = self._sinks.pop(sink, None)
        self._touched.discard(sink)
        if log is not None:
            troubles = [*log.flush(), *(log.close() if log is not self._last_resort else ())]
            if sink == self._main:
                self._sinks[sink] = self._last_resort
            self._complain(troubles)

    def follow(
        self, number: int, sink: int | None, success: Collection[OnSuccess], failure: Collection[OnFailure]
    ) -> None:
        """The service *number* logs to *sink* from now on, None: nowhere, what its options ask for."""
        self._services[number] = ServiceOptions(sink, frozenset(success), frozenset(failure))

    def forget(self, number: int) -> None:
        """No more events of service *number* come."""
        self._services.pop(number, None)

    def tell(self, *events: Event) -> None:
        """Put *events* into the logs they belong to."""
        for event in events:
            told = text.messages(event)
            if told:
                grade = text.level(event)
                for line in told:
                    dressed = text.critical(event, self._pid, line) if grade is Level.CRITICAL else line
                    self._put(self._main, event.at, grade, dressed)
            if isinstance(event, OF_SERVICES):
                self._tell_service(event)

    def tell_trips(self, trips: TripTable) -> None:
        """The same for the events of *trips*."""
        self._put_trips(self._main, trips, Level.CRITICAL, text.trip_messages(trips, self._pid))
        options = self._services.get(trips.run.number)
        if options is not None and options.sink is not None:
            lines = xinetd.trip_lines(trips, options.failure)
            if lines:
                self._put_trips(options.sink, trips, Level.INFO, lines)

    def _put_trips(self, sink: int, trips: TripTable, level: Level, lines: Sequence[str]) -> None:
        log = self._sinks.get(sink)
        if log is not None:
            for second, together in trips.seconds():
                log.put_all(second, level, lines[together])
            self._touched.add(sink)

    def _tell_service(self, event: OfService) -> None:
        options = self._services.get(event.number)
        if options is not None and options.sink is not None:
            told = xinetd.service_line(event, options.success, options.failure)
            if told is not None:
                self._put(options.sink, event.at, Level.INFO, told)

    def flush(self) -> None:
        """Write all that was told, the daemon's log last: it tells the troubles of the others."""
        for sink in self._touched - {self._main}:
            self._complain(self._sinks[sink].flush())
        main = self._sinks[self._main]
        for _ in range(2):  # the second time for what the first had to say of the log itself
            troubles = main.flush()
            if not troubles:
                break
            for line in troubles:
                self._last_resort.put(self._wall(), Level.ERROR, escape(line))
            self._last_resort.flush()
            self._complain(troubles)
        self._touched = {number for number, log in self._sinks.items() if log.waiting}

    def waiting(self) -> Sequence[Sink]:
        """After a flush: logs of which the system has not taken all. They want another flush when it can."""
        return [log for log in map(self._sinks.get, self._touched) if log is not None and log.waiting]

    def close(self) -> None:
        """Write what there is and close everything."""
        self.flush()
        for sink in sorted(self._sinks, reverse=True):
            self.close_sink(sink)
        self._last_resort.flush()
        self._last_resort.close()

    def _open(self, sink: int, log: Sink) -> None:
        if sink in self._sinks:
            self.close_sink(sink)
        self._sinks[sink] = log
        self._touched.add(sink)  # a file may have to say at once that it is too large

    def _put(self, sink: int, at: float, level: Level, line: str) -> None:
        log = self._sinks.get(sink)
        if log is not None:
            log.put(at, level, line)
            self._touched.add(sink)

    def _complain(self, troubles: Sequence[str]) -> None:
        for line in troubles:
            self._put(self._main, self._wall(), Level.ERROR, escape(line))

    def _dress(self, at: float, level: Level, line: str) -> str:
        return text.file_line(at, self._ident, self._pid, level, line)


def _dress_service(at: float, level: Level, line: str) -> str:
    return xinetd.file_line(at, line)
