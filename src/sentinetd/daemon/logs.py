"""Which log files are open: opened by the guard, which may, and written by the courier, which may wait for a disk.

Services that name the same log share it. A log is opened again at a reload, so that rotation is a rename and a HUP.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sentinetd.daemon.link import Link
from sentinetd.daemon.log_file import open_log
from sentinetd.daemon.messages import DAEMON_LOG, FileSink, ServiceLog, SyslogSink
from sentinetd.errors import EdgeError
from sentinetd.model.service import FileLog, OnFailure, OnSuccess, Service, SyslogLog

Target = FileLog | SyslogLog
Option = TypeVar("Option", OnSuccess, OnFailure)


class Logs:
    """The service logs in use, by the number of their sink."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sinks: dict[Target, int] = {}
        self._users: dict[int, Target | None] = {}  # service number -> its log
        self._told: set[int] = set()  # services of which the courier knows
        self._next = DAEMON_LOG + 1
        self._ordered: dict[frozenset[Any], tuple[Any, ...]] = {}  # options as they are told

    def follow(self, number: int, service: Service) -> None:
        """The service *number* logs as it is configured now. EdgeError if its log cannot be opened."""
        target = service.log_type
        sink = None if target is None else self._sink(target, service.id)
        self._users[number] = target
        if target is None and number not in self._told:
            return  # who is unknown to the courier logs nowhere
        self._told.add(number)
        self._link.service(
            ServiceLog(
                number,
                sink,
                self._in_order(OnSuccess, service.log_on_success),
                self._in_order(OnFailure, service.log_on_failure),
            )
        )

    def _in_order(self, kind: type[Option], options: frozenset[Option]) -> tuple[Option, ...]:
        found = self._ordered.get(options)
        if found is None:
            found = self._ordered[options] = tuple(option for option in kind if option in options)
        return found

    def leave(self, number: int) -> None:
        """The service *number* is gone and logs no more."""
        self._users.pop(number, None)
        if number in self._told:
            self._told.discard(number)
            self._link.forget(number)

    def _sink(self, target: Target, label: str) -> int:
        sink = self._sinks.get(target)
        if sink is None:
            sink = self._next
            self._open(sink, target, label)
            self._next += 1
            self._sinks[target] = sink
        return sink

    def _open(self, sink: int, target: Target, label: str) -> None:
        if isinstance(target, SyslogLog):
            self._link.open_sink(SyslogSink(sink, target.facility, target.level))
            return
        name = "common" if target.common else label
        try:
            descriptor = open_log(target.path)
        except EdgeError as error:
            raise EdgeError(f"creation of {name} log failed: {error}") from error
        self._link.open_sink(FileSink(sink, name, target.soft, target.hard), descriptor)

    def refresh(self, services: dict[int, Service]) -> list[tuple[int, EdgeError]]:
        """Open every log file again and let go of those that no service uses. What could not be opened, by number of
        a service that wants it; its old file is written on."""
        wanted = {service.log_type: service.id for service in services.values() if service.log_type is not None}
        for target in [one for one in self._sinks if one not in wanted and one not in self._users.values()]:
            self._link.close_sink(self._sinks.pop(target))
        troubles: list[tuple[int, EdgeError]] = []
        for target, sink in self._sinks.items():
            try:
                self._open(sink, target, wanted.get(target, "common"))
            except EdgeError as error:
                users = [number for number, used in self._users.items() if used == target]
                troubles.append((min(users, default=0), error))
        return troubles
