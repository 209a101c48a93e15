"""The guard's end of the seam to the porter: what it is told, and the connections it is to carry. See also `asking`.

A descriptor that waits to be sent is a copy of its own: the connection may be given up, and its number used again.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from errno import EAGAIN
from itertools import islice
from typing import Any

from sentinetd.daemon.asking import Asking
from sentinetd.daemon.channel import PACKET, Channel, ChannelClosed
from sentinetd.daemon.companion import Companion
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import (
    FROM_PORTER,
    AddressesAre,
    Admit,
    Attend,
    Carried,
    Carry,
    Choose,
    Chosen,
    Complaint,
    HangUp,
    Join,
    Leave,
    Met,
    Multiplexed,
    Play,
    Played,
    Relay,
    Say,
    Shun,
)
from sentinetd.errors import MessageError
from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.events import Event, Level, Notice, ProcessFailed, ProcessMended
from sentinetd.model.manner import CARRIED
from sentinetd.model.routine import Ending
from sentinetd.model.service import Capture, Flag, Service
from sentinetd.policy import inputs as policy
from sentinetd.policy.inputs import Arrived, Begun, CarriersGone, Finished, Input, LaunchFailed, Recovered

CONNECT_WITHIN = 30.0
"""Seconds in which the target of a redirect has to answer."""
CHOOSE_WITHIN = 30.0
"""Seconds in which a client of the multiplexer names its service."""
SAY_WITHIN = 10.0
"""Seconds in which a client has to read a banner."""
IDLE_RELAY = 86_400.0
"""Seconds of silence after which a redirected connection is let go."""
IDLE_CLIENT = 120.0
"""The same, for a client whose datagrams are carried: what address translators give to those that were answered."""
IDLE_ROUTINE = 3_600.0
"""The same, for an internal service."""

Unsent = tuple[Any, tuple[int, ...]]
"""A message, and descriptors that are ours to close."""

LADEN = 64
"""Messages that wait to be sent from which the porter is behind. It is, too, when it has not read some hundred of what
was sent: that is looked at after so many."""
TOGETHER = 4
"""Messages in one packet. More would cost less, but the kernel counts what the porter has not read in bytes, of which
most are the packets' own: it would be found to be behind so much later."""
PLAYS_WAITING = 256
"""The same, from which no more parts of sensors are given to it: so many does it play at once."""


class Carrier:
    """*handle* takes what the engine is to know; *report* what is to be told; *meet* makes a connection of a datagram
    client that came to a service, at a port of a source; *named* takes what a host name stands for."""

    def __init__(
        self,
        loop: Loop,
        arguments: Sequence[str],
        handle: Callable[[Input], None],
        report: Callable[[Event], None],
        meet: Callable[[int, Address, int], Connection],
        named: Callable[[AddressesAre], None],
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._report = report
        self._meet = meet
        self._channel: Channel | None = None
        self._unsent: deque[Unsent] = deque()
        self._sent = 0  # messages since the porter was last seen to keep up
        self._relayed: dict[int, Service] = {}
        self._multiplexed = Multiplexed(())
        self._fronts: dict[int, tuple[int, Attend]] = {}  # by service: public descriptor, which is not ours
        self._met: dict[int, Met] = {}  # by connection: datagram clients without a verdict
        self._failed = False
        self.behind = False
        """The porter was found to be behind, and has not caught up."""
        self.asking = Asking(self._queue, self.need, handle, report, named, loop.now)
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
    def wants_room(self) -> bool:
        """Whether `pump` is to be called when there is room in the channel."""
        return self._channel is not None and (self.behind or bool(self._unsent))

    def laden(self) -> bool:
        """Whether the porter is behind, so that nobody should be accepted for it: what is on its way to it must not
        grow without bound, while a client in the kernel's queue costs nothing. If so, `pump` says when not any more.
        """
        self.behind = self._is_behind()
        return self.behind

    def _is_behind(self) -> bool:
        if self._channel is None or len(self._unsent) + self._sent < LADEN:
            return False
        if len(self._unsent) < LADEN and self._channel.keeps_up():
            self._sent = 0
            return False
        return True

    def need(self) -> None:
        """Have a porter, now that there is something for it to do. EdgeError if it cannot be started. One that died is
        started again in its own time."""
        if not self.companion.pid and not self._failed:
            self.companion.start(self._loop.now())

    def carry(self, connection: Connection, service: Service, descriptor: int, position: int) -> None:
        """Have the porter do what *service* does for *connection*. The caller keeps its own *descriptor*."""
        number = connection.number
        redirect = service.redirect
        if redirect is None:
            order: Any = Carry(number, CARRIED[service.name.lower()], position, IDLE_ROUTINE)
        else:
            keepalive = Flag.KEEPALIVE in service.flags
            self._relayed[number] = service
            order = Relay(number, redirect.host, redirect.port, keepalive, CONNECT_WITHIN, IDLE_RELAY)
        try:
            self._queue(order, os.dup(descriptor))
        except OSError as error:
            self._handle(LaunchFailed(number, error.errno or EAGAIN))

    def join(self, connection: Connection, descriptor: int, way: int, port: int) -> None:
        """Have the porter carry *connection* on to the private *port*, by the socket *way*, which the caller gives
        away. The caller keeps its own *descriptor*."""
        try:
            copy = os.dup(descriptor)
        except OSError as error:
            os.close(way)
            self._handle(LaunchFailed(connection.number, error.errno or EAGAIN))
            return
        self._queue(Join(connection.number, port, CONNECT_WITHIN, IDLE_RELAY), copy, way)

    def attend(self, service: int, descriptor: int, port: int, user: int) -> None:
        """From now on, and until `leave`, datagrams that come to *descriptor* are carried to the private *port*, those
        of admitted clients; *user* is whom the server runs as. OSError if no descriptor can be had. The caller keeps
        its own."""
        order = Attend(service, port, user)
        self._fronts[service] = descriptor, order
        if self._channel is not None:
            self._queue(order, os.dup(descriptor))

    def leave(self, service: int) -> None:
        """The datagram service is gone."""
        if self._fronts.pop(service, None) is not None:
            self._queue(Leave(service))

    def admit(self, connection: Connection, way: int) -> None:
        """Have the porter carry the datagrams of *connection*, by the socket *way*, which the caller gives away."""
        met = self._met.pop(connection.number, None)
        if met is None:  # by a porter that is gone
            os.close(way)
            self._handle(LaunchFailed(connection.number, 0))
        else:
            self._queue(Admit(connection.number, met.service, met.token, IDLE_CLIENT), way)

    def shun(self, number: int) -> bool:
        """Have the porter drop the datagrams of connection *number*; False if it is none of those."""
        met = self._met.pop(number, None)
        if met is not None:
            self._queue(Shun(met.service, met.token))
        return met is not None

    def choose(self, connection: Connection, descriptor: int) -> None:
        """Have the porter read which multiplexed service *connection* wants. The caller keeps its own *descriptor*."""
        try:
            self._queue(Choose(connection.number, CHOOSE_WITHIN), os.dup(descriptor))
        except OSError as error:
            self._handle(LaunchFailed(connection.number, error.errno or EAGAIN))

    def say_last(self, number: int, descriptor: int, file: int) -> bool:
        """Have the porter send *file* to the connection and hang up when the client has read it; False if there is no
        porter. The caller keeps both descriptors."""
        if self._channel is None:
            return False
        self._queue(Say(number, SAY_WITHIN, True), os.dup(descriptor), os.dup(file))
        return True

    def play(self, connection: Connection, service: Service, descriptor: int, greeting: bytes | None) -> None:
        """Have the porter play the part of *service*, a sensor, for *connection*; *greeting* comes first. The caller
        keeps its own *descriptor*. Not while it is far behind: whoever touched a sensor is banned without it."""
        if len(self._unsent) >= PLAYS_WAITING:
            self._handle(policy.Played(connection.number, None))
            return
        number, source, kept = connection.number, connection.source, service.capture or Capture(0, 0.0)
        said = None if greeting is None else greeting.decode("latin-1")
        order = Play(
            number, source.text if source else "", service.decoy, said, kept.size, kept.seconds, service.tarpit
        )
        try:
            self._queue(order, os.dup(descriptor))
        except OSError:
            self._handle(policy.Played(number, None))

    def multiplex(self, names: Iterable[str]) -> None:
        """From now on these are the multiplexed services, in lower case."""
        self._multiplexed = Multiplexed(tuple(sorted(names)))
        if self._channel is not None:
            self._queue(self._multiplexed)

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
        self._send()
        if self.behind:
            self.behind = self._is_behind()

    def _send(self) -> None:
        while self._channel is not None and self._unsent:
            batch = self._batch()
            try:
                if not self._send_together(self._channel, batch):
                    return
            except ChannelClosed:
                return  # its death is told when it is reaped
            self._sent += len(batch)
            for message, descriptors in batch:
                self._unsent.popleft()
                for descriptor in descriptors:
                    os.close(descriptor)
                if isinstance(message, Carry | Relay | Join | Admit):
                    self._handle(Begun(message.number, self.companion.pid))

    def _batch(self) -> list[Unsent]:
        """What is to go out next in one packet."""
        return list(islice(self._unsent, TOGETHER))

    @staticmethod
    def _send_together(channel: Channel, batch: list[Unsent]) -> bool:
        """Send *batch*, or as much of its beginning as a packet takes: the rest is taken off it. False: not now."""
        while True:
            try:
                return channel.send(0, [one[0] for one in batch], [each for one in batch for each in one[1]])
            except MessageError:
                if len(batch) == 1:
                    raise
                del batch[len(batch) // 2 :]

    def _undone(self, message: Any, descriptors: tuple[int, ...]) -> None:
        """There is no porter for *message*: a missing fact denies, a connection is tried again like a failed fork."""
        for descriptor in descriptors:
            os.close(descriptor)
        if isinstance(message, Carry | Relay | Join | Choose):
            self._handle(LaunchFailed(message.number, 0))
        elif isinstance(message, Play):
            self._handle(policy.Played(message.number, None))
        else:
            self.asking.unsaid(message)

    def reaped(self, how: str) -> None:
        """The porter's process has ended."""
        self._channel = None
        self.behind = False
        self.companion.reaped(how)
        self._met.clear()
        unsent, self._unsent = self._unsent, deque()
        for message, descriptors in unsent:
            self._undone(message, descriptors)
        self.asking.gone()
        self._relayed.clear()
        self._handle(CarriersGone())

    # What the companion tells.

    def _begun(self, channel: Channel) -> None:
        self._channel = channel
        channel.hold(PACKET)
        self.asking.begun()
        self._unsent.appendleft((self._multiplexed, ()))
        for service, (descriptor, order) in self._fronts.items():
            try:
                self._queue(order, os.dup(descriptor))
            except OSError as error:
                self._notice(Level.ERROR, f"datagrams of service {service} are not carried: {error.strerror}")
        if self._failed:
            self._failed = False
            self._report(ProcessMended(time.time(), "porter"))
            self._handle(Recovered())

    def _died(self, why: str, pause: float) -> None:
        self._failed = True
        self._report(ProcessFailed(time.time(), "porter", why, pause))

    def _said(self, message: Any) -> None:
        match message:
            case Carried():
                self._carried(message)
            case Chosen():
                self._handle(policy.Chosen(message.number, message.name))
            case Played():
                self._handle(policy.Played(message.number, message.said, message.more, message.seconds))
            case Met() if message.service not in self._fronts:
                return  # it has none to carry datagrams for: it was left meanwhile, or never so
            case Met():
                connection = self._meet(message.service, message.source, message.port)
                self._met[connection.number] = message
                self._handle(Arrived(connection))
            case Complaint():
                self._notice(Level.WARNING, f"porter: {message.what}")
            case _:
                self.asking.heard(message)

    def _carried(self, message: Carried) -> None:
        service = self._relayed.pop(message.number, None)
        if message.ending is Ending.UNREACHABLE and service is not None and service.redirect is not None:
            where = f"{service.redirect.host} port {service.redirect.port}"
            self._notice(Level.ERROR, f"can't connect to remote host {where}: {message.error}. service = {service.id}")
        elif message.ending is Ending.FULL:
            self._report(
                Notice(time.time(), Level.ERROR, "the porter carries as many connections as it can; one was let go")
            )
        self._handle(Finished(message.number, message.bytes_in, message.bytes_out))

    def _notice(self, level: Level, text: str) -> None:
        self._report(Notice(time.time(), level, text))
