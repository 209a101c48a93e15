"""The guard's listeners, by service number: opened, watched, paused, and what came in at them until it is handed on.

Every descriptor here has one owner: a listener its `Doors`, an accepted connection the `Held` in it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING

from sentinetd.daemon.loop import Loop, Moment
from sentinetd.errors import EdgeError
from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.events import DatagramUnread, Event, Level, ListenerFailed, ListenerMended, Notice
from sentinetd.model.manner import multiplexed
from sentinetd.model.service import Service, SocketType
from sentinetd.net.held import Held
from sentinetd.net.listener import AcceptFailed, BindFailed, Datagram, Exhausted, Listener, open_listener
from sentinetd.net.source import local_of

if TYPE_CHECKING:
    from sentinetd.net.filter import SourceFilter

AT_ONCE = 64
"""Connections accepted at one listener before the others get their turn."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between attempts to open a listener; the last for ever."""


class _Door:
    """One service's listener; None while it is paused or cannot be opened."""

    __slots__ = ("attempts", "burst", "listener", "opened", "peeked", "retry", "service", "watched")

    def __init__(self, service: Service, opened: Callable[[], None]) -> None:
        self.service = service
        self.opened = opened  # called when the listener opens at a later attempt
        self.listener: Listener | None = None
        self.retry: Moment | None = None
        self.attempts = 0
        self.peeked: Datagram | None = None  # the datagram that the present server was started for
        self.watched = False
        self.burst = 1  # connections to accept at the next wake-up


class Doors:
    """*arrived*, *exhausted* and *report* are told what happens; *wall* gives Unix time for events."""

    def __init__(
        self,
        loop: Loop,
        arrived: Callable[[Connection], None],
        exhausted: Callable[[int], None],
        report: Callable[[Event], None],
        wall: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._arrived = arrived
        self._exhausted = exhausted
        self._report = report
        self._wall = wall
        self._doors: dict[int, _Door] = {}
        self._held = Held()
        self._numbers = count(1)
        self.filter: SourceFilter | None = None

    @property
    def open_count(self) -> int:
        """Listeners that are open."""
        return sum(1 for door in self._doors.values() if door.listener is not None)

    def watched(self, number: int) -> bool:
        """Whether what comes to service *number* is noticed."""
        return self._doors[number].watched

    def name(self, number: int) -> str:
        """The id of service *number*."""
        return self._doors[number].service.id

    def listener(self, number: int) -> Listener | None:
        """The open listener of service *number*."""
        door = self._doors.get(number)
        return None if door is None else door.listener

    def admit(self, number: int, service: Service) -> None:
        """A service without a socket of its own, which the multiplexer leads to."""
        self._doors[number] = _Door(service, lambda: None)

    def open(self, number: int, service: Service) -> None:
        """Open and watch the listener of a new service. EdgeError if it cannot be had; nothing is kept then."""
        door = _Door(service, lambda: None)
        self._bind(number, door)
        self._doors[number] = door

    def keep_trying(self, number: int, service: Service, why: EdgeError) -> None:
        """The listener of *service* could not be opened, for *why*: say so, and try again and again."""
        door = self._doors[number] = _Door(service, lambda: self._mended(service))
        self._later(number, door, why)

    def adjust(self, number: int, service: Service) -> None:
        """The configuration of a service changed, its socket did not."""
        self._doors[number].service = service
        listener = self._doors[number].listener
        if listener is not None:
            self._attach(listener.socket, service)

    def close(self, number: int) -> None:
        """The service is gone."""
        door = self._doors.pop(number)
        self._shut(door)

    def pause(self, number: int) -> None:
        """Close the listener for a while; clients are refused by the kernel."""
        self._shut(self._doors[number])

    def resume(self, number: int, opened: Callable[[], None]) -> None:
        """Open a paused listener again; *opened* is called when that is done, which may take several attempts."""
        door = self._doors[number]
        door.opened = opened
        if multiplexed(door.service):
            opened()
        else:
            self._try(number, door)

    def suspend(self, number: int) -> None:
        """Do not watch the listener: a server has it."""
        self._watch(number, self._doors[number], False)

    def rearm(self, connection: Connection) -> None:
        """Watch the listener of a waiting service again, after the server that *connection* was for has ended."""
        door = self._doors.get(connection.service)
        if door is None or door.listener is None:
            return
        if door.service.socket_type is not SocketType.STREAM and door.peeked is not None:
            if door.listener.peek() == door.peeked:
                door.listener.consume()
                self._report(DatagramUnread(self._wall(), door.service.id, connection.source, connection.port))
            door.peeked = None
        self._watch(connection.service, door, True)

    def descriptor(self, connection: Connection) -> int:
        """What the server of *connection* gets as its 0, 1 and 2; it stays ours. KeyError if that is gone."""
        if connection.number in self._held:
            return self._held.peek(connection.number)
        listener = self._doors[connection.service].listener
        if listener is None:
            raise KeyError(connection.service)
        return listener.fileno()

    def local(self, connection: Connection) -> tuple[Address, int]:
        """The address and port at which *connection* came."""
        if connection.number in self._held:
            return local_of(self._held.peek(connection.number))
        listener = self._doors[connection.service].listener
        if listener is None:
            raise KeyError(connection.service)
        return listener.address, listener.port

    def release(self, connection: Connection) -> None:
        """The server has its own copy of the descriptor."""
        if connection.number in self._held:
            self._held.close(connection.number)

    def refuse(self, connection: Connection) -> None:
        """Hang up on *connection*: exactly that stream, that datagram, or one client of a waiting listener."""
        if connection.number in self._held:
            self._held.close(connection.number)
            return
        door = self._doors.get(connection.service)
        if door is None or door.listener is None or (door.service.sensor and not _stream(door.service)):
            return
        if not _stream(door.service):
            door.listener.consume()
            door.peeked = None
        else:
            try:
                door.listener.refuse_one()
            except EdgeError:
                self._exhausted(connection.service)

    def close_all(self) -> None:
        """Close every listener and hang up on whoever still waits."""
        for number in list(self._doors):
            self.close(number)
        self._held.close_all()

    def services(self) -> Iterator[tuple[int, Listener | None]]:
        """Every service's listener."""
        for number, door in self._doors.items():
            yield number, door.listener

    def _bind(self, number: int, door: _Door) -> None:
        service = door.service
        listener = open_listener(service, prepare=lambda bound: self._attach(bound, service))
        if listener.notice:
            self._report(Notice(self._wall(), Level.NOTICE, listener.notice))
        door.listener = listener
        door.attempts = 0
        self._watch(number, door, True)

    def _attach(self, bound: socket.socket, service: Service) -> None:
        """Banned and not admitted sources are refused by the kernel where the server accepts by itself."""
        if self.filter is not None and service.wait and _stream(service) and not service.sensor:
            self.filter.attach(bound, service.only_from, service.no_access, service.exempt)

    def _shut(self, door: _Door) -> None:
        if door.retry is not None:
            door.retry.cancel()
            door.retry = None
        if door.listener is not None:
            self._unwatch(door)
            door.listener.close()
            door.listener = None

    def _watch(self, number: int, door: _Door, watched: bool) -> None:
        if door.listener is None or door.watched == watched:
            return
        if not watched:
            self._unwatch(door)
            return
        if not _stream(door.service):
            ready = self._drain if door.service.sensor else self._peek
        else:
            ready = self._knock if door.service.wait and not door.service.sensor else self._accept
        self._loop.read(door.listener.fileno(), lambda: ready(number, door))
        door.watched = True

    def _unwatch(self, door: _Door) -> None:
        if door.listener is not None and door.watched:
            self._loop.read(door.listener.fileno(), None)
        door.watched = False

    def _later(self, number: int, door: _Door, why: EdgeError) -> None:
        pause = PAUSES[min(door.attempts, len(PAUSES) - 1)]
        door.attempts += 1
        if door.attempts == 1:
            said = f"bind failed ({why})" if isinstance(why, BindFailed) else str(why)
            self._report(ListenerFailed(self._wall(), door.service.id, said, pause))
        door.retry = self._loop.after(pause, lambda: self._try(number, door))

    def _try(self, number: int, door: _Door) -> None:
        door.retry = None
        try:
            self._bind(number, door)
        except EdgeError as error:
            self._later(number, door, error)
        else:
            door.opened()

    def _mended(self, service: Service) -> None:
        self._report(ListenerMended(self._wall(), service.id))

    # What the loop calls when a listener is readable.

    def _accept(self, number: int, door: _Door) -> None:
        listener = door.listener
        if listener is None:
            return
        taken = 0
        burst, door.burst = door.burst, 1
        try:
            for descriptor, source, port in listener.accept(burst):
                taken += 1
                connection = Connection(next(self._numbers), number, source, port)
                self._held.put(connection.number, descriptor)
                self._arrived(connection)
                if door.listener is not listener:
                    return  # it was closed for what just came
        except (Exhausted, AcceptFailed):
            self._exhausted(number)
        # The call that finds nothing costs as much as one that finds something: it is saved where one came at a time.
        door.burst = min(2 * burst, AT_ONCE) if taken == burst else max(1, taken)

    def _peek(self, number: int, door: _Door) -> None:
        datagram = None if door.listener is None else door.listener.peek()
        if datagram is not None:
            door.peeked = datagram
            self._arrived(Connection(next(self._numbers), number, datagram.source, datagram.port))

    def _drain(self, number: int, door: _Door) -> None:
        if door.listener is not None:
            for datagram in door.listener.drain(AT_ONCE):
                self._arrived(Connection(next(self._numbers), number, datagram.source, datagram.port))

    def _knock(self, number: int, door: _Door) -> None:
        self._arrived(Connection(next(self._numbers), number, None))


def _stream(service: Service) -> bool:
    return service.socket_type is SocketType.STREAM
