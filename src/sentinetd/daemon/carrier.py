"""The guard's end of the seam to the porter: what it is asked, and the connections it is to carry.

A descriptor that waits to be sent is a copy of its own: the connection may be given up, and its number used again.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from errno import EAGAIN
from typing import Any

from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.companion import Companion
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import (
    FROM_PORTER,
    Answer,
    Asked,
    Carried,
    Carry,
    Complaint,
    HangUp,
    Relay,
)
from sentinetd.model.connection import Connection
from sentinetd.model.events import Event, Level, Notice, ProcessFailed, ProcessMended
from sentinetd.model.manner import CARRIED
from sentinetd.model.routine import Ending
from sentinetd.model.service import Flag, Service
from sentinetd.model.verdict import Question
from sentinetd.policy.effects import Ask
from sentinetd.policy.inputs import Answered, Begun, CarriersGone, Finished, Input, LaunchFailed

CONNECT_WITHIN = 30.0
"""Seconds in which the target of a redirect has to answer."""
IDLE_RELAY = 86_400.0
"""Seconds of silence after which a redirected connection is let go."""
IDLE_ROUTINE = 3_600.0
"""The same, for an internal service."""


class Carrier:
    """*handle* takes what the engine is to know; *report* what is to be told."""

    def __init__(
        self,
        loop: Loop,
        arguments: Sequence[str],
        handle: Callable[[Input], None],
        report: Callable[[Event], None],
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._report = report
        self._channel: Channel | None = None
        self._unsent: deque[tuple[Any, tuple[int, ...]]] = deque()  # message, descriptors that are ours to close
        self._asked: dict[int, Question] = {}
        self._failed = False
        self.companion = Companion(
            loop,
            "sentinetd.daemon.porter",
            arguments,
            FROM_PORTER,
            begun=self._begun,
            said=self._said,
            died=self._died,
            garbled=lambda why: self._notice(Level.ERROR, f"a message of the porter was dropped: {why}"),
        )

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return self._channel is not None and bool(self._unsent)

    def need(self) -> None:
        """Have a porter, now that the configuration has something for it to do. EdgeError if it cannot be started."""
        if not self.companion.pid:
            self.companion.start(self._loop.now())

    def ask(self, effect: Ask) -> None:
        """Put a question of the engine."""
        self._asked[effect.number] = effect.question
        self._queue(Asked(effect.number, effect.question, effect.source.text, effect.seconds))

    def carry(self, connection: Connection, service: Service, descriptor: int, position: int) -> None:
        """Have the porter do what *service* does for *connection*. The caller keeps its own *descriptor*."""
        number = connection.number
        redirect = service.redirect
        if redirect is None:
            order: Any = Carry(number, CARRIED[service.name.lower()], position, IDLE_ROUTINE)
        else:
            keepalive = Flag.KEEPALIVE in service.flags
            order = Relay(number, redirect.host, redirect.port, keepalive, CONNECT_WITHIN, IDLE_RELAY)
        try:
            self._queue(order, os.dup(descriptor))
        except OSError as error:
            self._handle(LaunchFailed(number, error.errno or EAGAIN))

    def hang_up(self, number: int) -> None:
        """Have the porter let go of connection *number*."""
        self._queue(HangUp(number))

    def _queue(self, message: Any, *descriptors: int) -> None:
        if self._channel is None:
            self._undone(message, descriptors)
        else:
            self._unsent.append((message, descriptors))

    def pump(self) -> None:
        """Send what the channel takes."""
        while self._channel is not None and self._unsent:
            message, descriptors = self._unsent[0]
            try:
                if not self._channel.send(0, [message], descriptors):
                    return
            except ChannelClosed:
                return  # its death is told when it is reaped
            self._unsent.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
            if isinstance(message, Carry | Relay):
                self._handle(Begun(message.number, self.companion.pid))

    def _undone(self, message: Any, descriptors: tuple[int, ...]) -> None:
        """There is no porter for *message*: a missing fact denies, a connection is tried again like a failed fork."""
        for descriptor in descriptors:
            os.close(descriptor)
        if isinstance(message, Carry | Relay):
            self._handle(LaunchFailed(message.number, EAGAIN))
        elif isinstance(message, Asked):
            self._unanswered(message.number)

    def _unanswered(self, number: int) -> None:
        question = self._asked.pop(number, None)
        if question is not None:
            self._handle(Answered(number, question, None))

    def reaped(self, how: str) -> None:
        """The porter's process has ended."""
        self._channel = None
        self.companion.reaped(how)
        unsent, self._unsent = self._unsent, deque()
        for message, descriptors in unsent:
            self._undone(message, descriptors)
        for number in list(self._asked):
            self._unanswered(number)
        self._handle(CarriersGone())

    # What the companion tells.

    def _begun(self, channel: Channel) -> None:
        self._channel = channel
        if self._failed:
            self._failed = False
            self._report(ProcessMended(time.time(), "porter"))

    def _died(self, why: str, pause: float) -> None:
        self._failed = True
        self._report(ProcessFailed(time.time(), "porter", why, pause))

    def _said(self, message: Any) -> None:
        match message:
            case Answer():
                if self._asked.get(message.number) is message.question:
                    del self._asked[message.number]
                    self._handle(Answered(message.number, message.question, message.value))
            case Carried():
                self._carried(message)
            case Complaint():
                self._notice(Level.WARNING, f"porter: {message.what}")

    def _carried(self, message: Carried) -> None:
        if message.ending is Ending.UNREACHABLE:
            self._notice(Level.ERROR, f"can't connect to remote host: {message.error}")
        elif message.ending is Ending.FULL:
            self._report(
                Notice(time.time(), Level.ERROR, "the porter carries as many connections as it can; one was let go")
            )
        self._handle(Finished(message.number, message.bytes_in, message.bytes_out))

    def _notice(self, level: Level, text: str) -> None:
        self._report(Notice(time.time(), level, text))
