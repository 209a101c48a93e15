"""What the engine wants is handed to the room that can do it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from errno import EBADF, EPERM
from typing import Any

from sentinetd.daemon.carrier import Carrier
from sentinetd.daemon.doors import Doors
from sentinetd.daemon.enforcement import Enforcement
from sentinetd.daemon.launcher import Launcher
from sentinetd.daemon.link import Link
from sentinetd.daemon.logs import Logs
from sentinetd.daemon.messages import Obeyed as ObeyedMessage
from sentinetd.daemon.reaping import Reaper
from sentinetd.daemon.recipes import NO_ADDRESS
from sentinetd.daemon.replies import LONGEST_BANNER, Replies, open_banner, say
from sentinetd.errors import EdgeError
from sentinetd.model.connection import Connection
from sentinetd.model.events import Event, Level, Notice, ServiceResumed
from sentinetd.model.manner import Manner
from sentinetd.model.service import Service, SocketType
from sentinetd.model.verdict import Question
from sentinetd.policy.effects import (
    Ask,
    Exempted,
    Expire,
    Forget,
    Grant,
    HangUp,
    Impose,
    Lift,
    Obeyed,
    Pause,
    Play,
    Rearm,
    Refuse,
    Release,
    Reply,
    Report,
    Restate,
    Resume,
    Say,
    Serve,
    Signal,
    Suspend,
)
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import Answered, Input, LaunchFailed
from sentinetd.serve.tcpmux import GO

LONGEST_GREETING = 4096
"""Bytes of a banner that greets in place of a decoy."""


class Performer:
    """Does what effects say, each by the `table`. *then* takes what the engine is to know when it is done with its
    present input; *tell* has an event written, whether anybody asked for its kind or not."""

    def __init__(
        self,
        engine: Engine,
        doors: Doors,
        carrier: Carrier,
        launcher: Launcher,
        reaper: Reaper,
        replies: Replies,
        enforcement: Enforcement,
        link: Link,
        logs: Logs,
        then: Callable[[Input], None],
        tell: Callable[[Event], None],
    ) -> None:
        self._engine = engine
        self._doors = doors
        self._carrier = carrier
        self._launcher = launcher
        self._reaper = reaper
        self._replies = replies
        self._enforcement = enforcement
        self._link = link
        self._logs = logs
        self._then = then
        self._tell = tell
        self.table: dict[type[Any], Callable[[Any], None]] = {
            Serve: self._serve,
            Reply: self._replies.reply,
            Grant: lambda effect: say(self._doors.descriptor(effect.connection), GO),
            HangUp: lambda effect: self._carrier.hang_up(effect.number),
            Say: self._say,
            Play: lambda effect: self._play(effect.connection),
            Ask: self._ask,
            Refuse: self._refuse,
            Release: lambda effect: self._doors.release(effect.connection),
            Pause: lambda effect: self._doors.pause(effect.number),
            Resume: lambda effect: self._resume(effect.number),
            Suspend: lambda effect: self._doors.suspend(effect.number),
            Rearm: lambda effect: self._doors.rearm(effect.connection),
            Impose: lambda effect: self._enforcement.impose(effect.network, effect.until),
            Lift: lambda effect: self._enforcement.lift(effect.network),
            Expire: lambda effect: self._enforcement.expire(effect.network),
            Restate: lambda effect: self._enforcement.restate(),
            Exempted: lambda effect: self._enforcement.exempt(),
            Obeyed: lambda effect: self._link.say(
                ObeyedMessage(effect.request, effect.ok, effect.text, effect.done, effect.refused)
            ),
            Signal: lambda effect: self._signal(effect.pid, effect.signal),
            Forget: lambda effect: self._forget(effect.number),
            Report: lambda effect: self._link.tell(effect.event),
        }

    def _service(self, number: int) -> Service:
        """The running service *number*; KeyError if it does not run any more."""
        running = self._engine.find(number)
        if running is None:
            raise KeyError(number)
        return running.service

    def _complain(self, text: str) -> None:
        self._tell(Notice(time.time(), Level.ERROR, text))

    def _refuse(self, effect: Refuse) -> None:
        if not self._carrier.shun(effect.connection.number):
            self._doors.refuse(effect.connection)

    def _resume(self, number: int) -> None:
        name = self._service(number).name
        self._doors.resume(number, lambda: self._tell(ServiceResumed(time.time(), name)))

    def _serve(self, effect: Serve) -> None:
        connection, manner = effect.connection, effect.manner
        if manner is Manner.SERVER:
            self._launch(connection)
            return
        service = self._service(connection.service)
        if manner is Manner.INTERCEPTED:
            self._join(connection, service)
            return
        try:
            descriptor = self._doors.descriptor(connection)
        except KeyError:
            self._then(LaunchFailed(connection.number, EBADF))
            return
        if manner is Manner.CHOSEN:
            self._carrier.choose(connection, descriptor)
        else:
            self._carrier.carry(connection, service, descriptor, self._replies.position)

    def _join(self, connection: Connection, service: Service) -> None:
        """Have an admitted client carried to its intercepted server."""
        try:
            way, port = self._doors.way(connection.service)
        except (KeyError, OSError) as error:
            self._then(LaunchFailed(connection.number, getattr(error, "errno", EBADF)))
            return
        if service.socket_type is SocketType.STREAM:
            self._carrier.join(connection, self._doors.descriptor(connection), way, port)
        else:
            self._carrier.admit(connection, way)

    def _ask(self, effect: Ask) -> None:
        try:
            service = self._service(effect.connection.service)
            self._carrier.need()
            if effect.question is Question.PROXY:
                self._carrier.asking.read_header(effect, service, self._doors.descriptor(effect.connection))
            else:
                self._carrier.asking.ask(effect, service, self._doors.local(effect.connection))
        except (KeyError, OSError, EdgeError):  # the connection was closed meanwhile, or no porter can be had
            self._then(Answered(effect.connection.number, effect.question, None))

    def _play(self, connection: Connection) -> None:
        """Have the porter go on with whoever touched a sensor."""
        service = self._service(connection.service)
        greeting = None
        if service.banner:
            try:
                with open_banner(service.banner) as file:
                    greeting = file.read(LONGEST_GREETING) or b""
            except OSError as error:
                self._no_banner(service.id, service.banner, error.strerror or str(error))
        self._carrier.play(connection, service, self._doors.descriptor(connection), greeting)

    def _no_banner(self, name: str, path: str, why: str) -> None:
        self._complain(f"service = {name}, open of banner {path} failed: {why}")

    def _say(self, effect: Say) -> None:
        """Send a banner; a last one by the porter, which waits until the client has read it: to close a connection with
        bytes unread would destroy it on its way (tcp(7))."""
        connection = effect.connection
        try:
            descriptor = self._doors.descriptor(connection)
            with open_banner(effect.path) as file:
                if not (effect.last and self._carrier.say_last(connection.number, descriptor, file.fileno())):
                    say(descriptor, file.read(LONGEST_BANNER) or b"")
        except (KeyError, OSError) as error:
            why = getattr(error, "strerror", None) or "the connection is gone"
            self._no_banner(self._doors.name(connection.service), effect.path, why)

    def _launch(self, connection: Connection) -> None:
        try:
            descriptor = self._doors.descriptor(connection)
        except KeyError:
            self._then(LaunchFailed(connection.number, EBADF))  # the listener was closed meanwhile
            return
        source = connection.source
        host = NO_ADDRESS if source is None else source.text
        shared = source is None  # its clients are told of with its process id, and may be gone before long
        if self._launcher.launch(connection.number, connection.service, descriptor, host, soon=shared):
            self._doors.lend(connection)
            self._reaper.ordered()

    def _signal(self, pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return  # ended, and about to be reaped
        except PermissionError:  # a guard without CAP_KILL, and a server of another user (kill(2))
            self._complain(f"process {pid} may not be sent signals: {os.strerror(EPERM)}; it ends of its own accord")

    def _forget(self, number: int) -> None:
        self._logs.leave(number)
        self._launcher.forget(number)
