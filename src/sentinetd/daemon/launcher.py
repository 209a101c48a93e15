"""The guard's use of the spawner: taught, ordered from, listened to, and replaced when it dies."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from errno import EAGAIN

from sentinetd.daemon.loop import Loop
from sentinetd.daemon.recipes import recipe_of
from sentinetd.errors import EdgeError, MessageError
from sentinetd.model.events import Event, Level, Notice, ProcessFailed, ProcessMended
from sentinetd.model.service import Service
from sentinetd.policy.inputs import Input, Launched, LaunchersGone, LaunchFailed, Recovered, SetupFailed
from sentinetd.spawn import protocol
from sentinetd.spawn.recipe import Recipe
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
    protocol.Step.LABEL: "setexeccon",
}
"""The steps of a server's set-up by the names that logs print."""

PARTS = {
    protocol.Part.OWN: "the daemon's own context",
    protocol.Part.PEER: "the client's context",
    protocol.Part.PROGRAM: "the program's context",
    protocol.Part.COMPUTE: "what policy makes of them",
    protocol.Part.EXEC: "to have it at exec",
}
"""Parts of the step LABEL as objects of it."""


FIRST_ASIDE = 1 << 63
"""Orders from here on are of programs that serve no connection; the engine knows nothing of them."""
ASIDE = 0
"""The recipe's number of such a program; services have higher ones."""


class Aside:
    """A program of the daemon's own, started by the spawner like a server. *pid* 0: not started yet, or ended."""

    __slots__ = ("fault", "order", "pid")

    def __init__(self, order: int) -> None:
        self.order = order
        self.fault = ""
        self.pid = 0

    def kill(self) -> None:
        """End it, if it runs."""
        if self.pid:
            with suppress(PermissionError):  # a guard without CAP_KILL: its input ends, and so will it
                os.kill(self.pid, signal.SIGKILL)  # ours until it is reaped, which makes this 0


class Launcher:
    """*files*: open files that a server gets by default; *backend*: what starts servers, None for the best there is;
    *services* gives those that run, to teach a new spawner. *handle* takes what the engine is to know, all that was
    learnt at one moment; *report* what is to be told; *give_back* the descriptor of an order that failed."""

    def __init__(
        self,
        loop: Loop,
        files: int,
        backend: Backend | None,
        services: Callable[[], Mapping[int, Service]],
        handle: Callable[[Sequence[Input]], None],
        report: Callable[[Event], None],
        give_back: Callable[[int, int], None],
    ) -> None:
        self._loop = loop
        self._files = files
        self._backend = backend
        self._services = services
        self._handle = handle
        self._report = report
        self._give_back = give_back
        self._untaught: dict[int, Service] = {}  # what the spawner is to know when it is first needed
        self._taught: set[int] = set()
        self._spawner: Spawner | None = None
        self._pids: set[int] = set()  # of spawners that are not reaped yet
        self._socket = -1
        self._since = -math.inf
        self._why_none = ""  # why there is no spawner, as it was told; it is told once
        self._watched = False  # whether it is read as soon as something comes
        self._writing = False
        self._soon: set[int] = set()  # orders of which the answer is wanted as soon as it comes
        self._asides: dict[int, Aside] = {}  # by order, until the spawner has said what became of it
        self._running: dict[int, Aside] = {}  # by pid
        self._next_aside = FIRST_ASIDE

    @property
    def name(self) -> str:
        """What starts servers."""
        return "no spawner" if self._spawner is None else str(self._spawner.backend)

    @property
    def pid(self) -> int:
        """The process number of what starts servers; 0 if there is none."""
        return 0 if self._spawner is None else self._spawner.pid

    def start(self) -> None:
        """Start what starts servers. EdgeError if that cannot be had."""
        self._spawner = Spawner(self._backend)
        self._pids.add(self._spawner.pid)
        self._since = self._loop.now()
        self._socket = self._spawner.fileno()
        self._writing = self._watched = False
        self.watch(True)

    def teach(self, number: int, service: Service) -> None:
        """Servers of *service* are started as it says from now on. The spawner hears so with the first of them: of
        thousands of services most are never asked for."""
        if not service.sensor and service.server:
            self._untaught[number] = service

    def forget(self, number: int) -> None:
        """No server of service *number* is ordered any more."""
        self._untaught.pop(number, None)
        if number in self._taught and self._spawner is not None:
            self._taught.discard(number)
            try:
                self._spawner.forget(number)
            except SpawnerGone as gone:
                self._gone(gone)
            else:
                self._watch_room(self._spawner)

    def launch(self, order: int, number: int, descriptor: int, remote_host: str, *, soon: bool = False) -> bool:
        """Order a server of service *number* on *descriptor*, which stays the caller's. The engine hears what comes of
        it under *order*, the connection's number; *soon*: at once, for it is needed to tell what else happens. Whether
        the order was taken."""
        spawner = self._spawner
        if spawner is None:
            self._handle((LaunchFailed(order, 0),))
            return False
        try:
            if number in self._untaught:
                self._teach_now(spawner, number, self._untaught.pop(number))
            spawner.launch(order, number, descriptor, remote_host)
        except SpawnerBusy:
            self._handle((LaunchFailed(order, EAGAIN),))
            return False
        except SpawnerGone as gone:
            self._handle((LaunchFailed(order, 0),))
            self._gone(gone)
            return False
        if spawner.wants_write:
            self._watch_room(spawner)
        if soon:
            self._soon.add(order)
            self.watch(True)
        return True

    def start_aside(self, recipe: Recipe, descriptor: int) -> Aside:
        """Order a program by *recipe* on *descriptor*, which stays the caller's. EdgeError if no order is taken."""
        if self._spawner is None:
            raise EdgeError("there is no spawner at the moment")
        order = self._next_aside
        self._next_aside += 1
        try:
            self._spawner.teach(ASIDE, recipe)
            self._spawner.launch(order, ASIDE, descriptor, "")
        except SpawnerGone as gone:
            self._gone(gone)
            raise
        self._watch_room(self._spawner)
        aside = self._asides[order] = Aside(order)
        self.watch(True)
        return aside

    def close(self) -> None:
        """Let the spawner go; servers live on."""
        if self._spawner is not None:
            self._loop.forget(self._socket)
            self._spawner.close()
            self._spawner = None

    @property
    def gone(self) -> bool:
        """Whether no process that starts servers is left."""
        return not self._pids

    def watch(self, wanted: bool) -> None:
        """Hear what the spawner says as soon as it comes; or only when `hear` is called, unless somebody is waiting."""
        wanted = wanted or bool(self._soon or self._asides)
        if wanted != self._watched and self._spawner is not None:
            self._watched = wanted
            self._loop.read(self._socket, self.hear if wanted else None)

    def hear(self, *, awaited: bool = False) -> None:
        """Learn what the spawner has said; *awaited*: the answers to orders are enough."""
        if self._spawner is None:
            return
        try:
            replies = self._spawner.receive(awaited=awaited)
        except SpawnerGone as gone:
            self._gone(gone)
            return
        self._heard(replies)

    def owns(self, pid: int) -> bool:
        """Whether the child *pid* is a spawner, or a program that serves no connection; true of the latter once the
        spawner has been heard."""
        return pid in self._running or pid in self._pids

    def reaped(self, pid: int, how: str) -> None:
        """A child that we own has ended."""
        aside = self._running.pop(pid, None)
        if aside is not None:
            aside.pid = 0
            aside.fault = aside.fault or how
            return
        self._pids.discard(pid)
        if self._spawner is not None and self._spawner.pid == pid:
            self._gone(self._spawner.ended(how))

    def _teach_now(self, spawner: Spawner, number: int, service: Service) -> None:
        try:
            spawner.teach(number, recipe_of(service, self._files))
            self._taught.add(number)
        except MessageError as error:  # the spawner will say that it knows no such recipe
            self._report(Notice(time.time(), Level.ERROR, f"service {service.id} cannot be started: {error}"))

    def _watch_room(self, spawner: Spawner) -> None:
        """Send what waits for room in the socket when there is some."""
        if self._writing != spawner.wants_write:
            self._writing = not self._writing
            self._loop.write(self._socket, self._flush if self._writing else None)

    def _flush(self) -> None:
        spawner = self._spawner
        if spawner is not None:
            try:
                spawner.flush()
            except SpawnerGone as gone:
                self._gone(gone)
            else:
                self._watch_room(spawner)

    def _heard(self, replies: Iterable[protocol.Reply]) -> None:
        """Have the engine know what the spawner has said of connections."""
        inputs: list[Input] = []
        for reply in replies:
            if reply.order >= FIRST_ASIDE:
                self._reply_aside(reply)
            elif isinstance(reply, protocol.Launched):
                self._soon.discard(reply.order)
                inputs.append(Launched(reply.order, reply.pid, reply.at))
            elif isinstance(reply, protocol.LaunchFailed):
                self._soon.discard(reply.order)
                if reply.descriptor >= 0:
                    self._give_back(reply.order, reply.descriptor)
                inputs.append(LaunchFailed(reply.order, reply.errno))
            else:
                what = PARTS[protocol.Part(reply.detail)] if reply.step is protocol.Step.LABEL else ""
                inputs.append(SetupFailed(reply.order, STEPS[reply.step], what, reply.errno, reply.fatal))
        if inputs:
            self._handle(inputs)

    def _reply_aside(self, reply: protocol.Reply) -> None:
        if isinstance(reply, protocol.SetupFailed):
            for aside in (*self._asides.values(), *self._running.values()):
                if aside.order == reply.order:
                    aside.fault = f"{STEPS[reply.step]} failed: {os.strerror(reply.errno)}"
            return
        aside = self._asides.pop(reply.order, Aside(reply.order))
        if isinstance(reply, protocol.Launched):
            aside.pid = reply.pid
            self._running[reply.pid] = aside
        else:
            if reply.descriptor >= 0:
                os.close(reply.descriptor)
            aside.fault = f"no process could be made: {os.strerror(reply.errno)}"

    def _gone(self, gone: SpawnerGone) -> None:
        """The spawner has ended: start another at once, or after a pause if it lived no longer than one."""
        spawner, self._spawner = self._spawner, None
        if spawner is not None:
            self._loop.forget(self._socket)
            spawner.close()
        self._heard(gone.replies)
        self._asides.clear()
        self._soon.clear()
        self._handle((LaunchersGone(tuple(order for order in gone.unanswered if order < FIRST_ASIDE)),))
        self._report(ProcessFailed(time.time(), "spawner", str(gone).removeprefix("spawner: "), 0.0))
        if self._loop.now() - self._since < PAUSE:
            self._loop.after(PAUSE, self._replace)
        else:
            self._replace()

    def _replace(self) -> None:
        try:
            self.start()
        except EdgeError as error:
            if str(error) != self._why_none:
                self._why_none = str(error)
                self._report(ProcessFailed(time.time(), "spawner", self._why_none, PAUSE))
            self._loop.after(PAUSE, self._replace)
            return
        self._why_none = ""
        self._untaught.clear()
        self._taught.clear()
        for number, service in self._services().items():
            self.teach(number, service)
        self._report(ProcessMended(time.time(), "spawner"))
        self._handle((Recovered(),))
