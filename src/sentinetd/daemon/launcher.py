"""The guard's use of the spawner: taught, ordered from, listened to, and replaced when it dies."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from errno import EAGAIN

from sentinetd.daemon.loop import Loop
from sentinetd.daemon.recipes import recipe_of
from sentinetd.errors import EdgeError
from sentinetd.model.events import Event, ProcessFailed, ProcessMended
from sentinetd.model.service import Service
from sentinetd.policy.inputs import Input, Launched, LaunchersGone, LaunchFailed, SetupFailed
from sentinetd.spawn import protocol
from sentinetd.spawn.spawner import Backend, Spawner, SpawnerBusy, SpawnerGone

PAUSE = 1.0
"""Seconds before a spawner is replaced that could not be started, or died as soon as it was."""

STEPS = {
    protocol.Step.DUP: "dup2",
    protocol.Step.LIMIT: "setrlimit",
    protocol.Step.NICE: "nice",
    protocol.Step.SETGID: "setgid",
    protocol.Step.SETGROUPS: "setgroups",
    protocol.Step.SETUID: "setuid",
    protocol.Step.SETSID: "setsid",
    protocol.Step.EXEC: "execve",
}
"""The steps of a server's set-up by the names that logs print."""


class Launcher:
    """*files*: open files that a server gets by default; *backend*: what starts servers, None for the best there is;
    *services* gives those that run, to teach a new spawner. *handle* takes what the engine is to know, *report* what is
    to be told."""

    def __init__(
        self,
        loop: Loop,
        files: int,
        backend: Backend | None,
        services: Callable[[], Mapping[int, Service]],
        handle: Callable[[Input], None],
        report: Callable[[Event], None],
    ) -> None:
        self._loop = loop
        self._files = files
        self._backend = backend
        self._services = services
        self._handle = handle
        self._report = report
        self._spawner: Spawner | None = None
        self._pids: set[int] = set()  # of spawners that are not reaped yet
        self._socket = -1
        self._since = -math.inf
        self._writing = False

    @property
    def name(self) -> str:
        """What starts servers."""
        return "no spawner" if self._spawner is None else str(self._spawner.backend)

    def start(self) -> None:
        """Start what starts servers. EdgeError if that cannot be had."""
        self._spawner = Spawner(self._backend)
        self._pids.add(self._spawner.pid)
        self._since = self._loop.now()
        self._socket = self._spawner.fileno()
        self._writing = False
        self._loop.read(self._socket, self._said)

    def teach(self, number: int, service: Service) -> None:
        """Let the spawner know how to start the servers of *service*, if it has any."""
        if self._spawner is None or service.sensor or not service.server:
            return
        try:
            self._spawner.teach(number, recipe_of(service, self._files))
        except SpawnerGone as gone:
            self._gone(gone)

    def forget(self, number: int) -> None:
        """No server of service *number* is ordered any more."""
        if self._spawner is not None:
            try:
                self._spawner.forget(number)
            except SpawnerGone as gone:
                self._gone(gone)

    def launch(self, order: int, number: int, descriptor: int, remote_host: str) -> None:
        """Order a server of service *number* on *descriptor*, which stays the caller's. The engine hears what comes of
        it under *order*, the connection's number."""
        if self._spawner is None:
            self._handle(LaunchFailed(order, EAGAIN))  # tried again in a while
            return
        try:
            self._spawner.launch(order, number, descriptor, remote_host)
        except SpawnerBusy:
            self._handle(LaunchFailed(order, EAGAIN))
        except SpawnerGone as gone:
            self._handle(LaunchFailed(order, EAGAIN))
            self._gone(gone)

    def settle(self) -> None:
        """Watch for room where an order waits for it."""
        spawner = self._spawner
        if spawner is not None and self._writing != spawner.wants_write:
            self._writing = spawner.wants_write
            self._loop.write(self._socket, self._flush if self._writing else None)

    def reaped(self, pid: int, how: str) -> bool:
        """A child has ended; whether it was a spawner."""
        if pid not in self._pids:
            return False
        self._pids.discard(pid)
        if self._spawner is not None and self._spawner.pid == pid:
            self._gone(self._spawner.ended(how))
        return True

    def _flush(self) -> None:
        if self._spawner is not None:
            try:
                self._spawner.flush()
            except SpawnerGone as gone:
                self._gone(gone)

    def _said(self) -> None:
        if self._spawner is None:
            return
        try:
            replies = self._spawner.receive()
        except SpawnerGone as gone:
            self._gone(gone)
            return
        for reply in replies:
            self._reply(reply)

    def _reply(self, reply: protocol.Reply) -> None:
        if isinstance(reply, protocol.Launched):
            self._handle(Launched(reply.order, reply.pid))
        elif isinstance(reply, protocol.LaunchFailed):
            self._handle(LaunchFailed(reply.order, reply.errno))
        else:
            self._handle(SetupFailed(reply.order, STEPS[reply.step], "", reply.errno, reply.fatal))

    def _gone(self, gone: SpawnerGone) -> None:
        """The spawner has ended: start another at once, or after a pause if it lived no longer than one."""
        spawner, self._spawner = self._spawner, None
        if spawner is not None:
            self._loop.forget(self._socket)
            spawner.close()
        for reply in gone.replies:
            self._reply(reply)
        self._handle(LaunchersGone(gone.unanswered))
        self._report(ProcessFailed(time.time(), "spawner", str(gone).removeprefix("spawner: "), 0.0))
        if self._loop.now() - self._since < PAUSE:
            self._loop.after(PAUSE, self._replace)
        else:
            self._replace()

    def _replace(self) -> None:
        try:
            self.start()
        except EdgeError as error:
            self._report(ProcessFailed(time.time(), "spawner", str(error), PAUSE))
            self._loop.after(PAUSE, self._replace)
            return
        for number, service in self._services().items():
            self.teach(number, service)
        self._report(ProcessMended(time.time(), "spawner"))
