"""The guard's listeners, by service number: opened, watched, paused, and what came in at them until it is handed on.

Every descriptor here has one owner: a listener its `Doors`, an accepted connection the `Held` in it.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

from sentinetd.daemon.door import Door, spread
from sentinetd.daemon.entrance import AT_ONCE, Entrance
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.sieve import Sieve, knocked_at
from sentinetd.errors import EdgeError
from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.events import DatagramUnread, Event, Level, ListenerFailed, ListenerMended, Notice
from sentinetd.model.manner import Manner, manner_of, multiplexed
from sentinetd.model.service import Service, SocketType
from sentinetd.net.links import replaced
from sentinetd.net.listener import BindFailed, Listener, open_listener, take_any
from sentinetd.net.passage import Passage
from sentinetd.net.source import local_of


class Doors:
    """*arrived*, *exhausted* and *report* are told what happens; *wall* gives Unix time for events. What is given to
    *arrived* came before the call; it is to be worked off within it, one after the other.

    Of intercepted services, *wanted* is told that somebody waits at the private socket; *front* has datagrams carried
    from the public socket to a private port, and with the number alone, has that ended.

    While *laden* says that the porter is behind, nobody is accepted whom it would have to carry: until `go_on`.
    """

    def __init__(
        self,
        loop: Loop,
        arrived: Callable[[Iterable[Connection]], None],
        wanted: Callable[[Connection], None],
        front: Callable[[int, Listener | None, int, Service], None],
        exhausted: Callable[[int], None],
        report: Callable[[Event], None],
        wall: Callable[[], float],
        laden: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._arrived = arrived
        self._wanted = wanted
        self._front = front
        self._exhausted = exhausted
        self._report = report
        self._wall = wall
        self._laden = laden
        self._doors: dict[int, Door] = {}
        self._further: dict[int, tuple[Door, ...]] = {}  # of a service with many ports: all but its first
        self._entrance = Entrance(arrived, exhausted)
        self._held = self._entrance.held
        self.waiting: list[tuple[int, Door]] = []
        """Doors at which somebody waits until the porter has caught up."""
        self._passage: Passage | None = None
        self._numbers = self._entrance.numbers
        self.sieve = Sieve(self.listeners, report)
        self.changes = 0  # counts whatever changes what is offered: a listener opens or closes, a configuration changes

    @property
    def open_count(self) -> int:
        """Services of which a listener is open."""
        return sum(1 for number in self._doors if self.listener(number) is not None)

    def watched(self, number: int) -> bool:
        """Whether what comes to service *number* is noticed."""
        return all(door.watched or door.waits for door in self._all(number) if door.listener is not None)

    def unbound(self, number: int) -> bool:
        """Whether the address of service *number* could not be had, which is tried again."""
        door = self._doors.get(number)
        return door is not None and door.attempts > 0

    def name(self, number: int) -> str:
        """The id of service *number*."""
        return self._doors[number].service.id

    def listener(self, number: int) -> Listener | None:
        """The open listener of service *number*; of several, the first."""
        return next((door.listener for door in self._all(number) if door.listener is not None), None)

    def _all(self, number: int) -> tuple[Door, ...]:
        """Every door of service *number*, in the order of its ports."""
        door = self._doors.get(number)
        return () if door is None else (door, *self._further.get(number, ()))

    def _keep(self, number: int, doors: Sequence[Door]) -> None:
        self._doors[number] = doors[0]
        if doors[1:]:
            self._further[number] = tuple(doors[1:])

    def admit(self, number: int, service: Service) -> None:
        """A service without a socket of its own, which the multiplexer leads to."""
        self._doors[number] = Door(service, lambda: None)

    def open(self, number: int, service: Service) -> None:
        """Open and watch the listeners of a new service. EdgeError if one cannot be had; nothing is kept then."""
        doors = [Door(one, lambda: None) for one in spread(service)]
        try:
            for door in doors:
                self._bind(number, door)
        except EdgeError:
            for door in doors:
                self._shut(door)
            raise
        self._keep(number, doors)

    def keep_trying(self, number: int, service: Service, why: EdgeError) -> None:
        """The listener of *service* could not be opened, for *why*: say so, and try again and again. Of several, open
        those that can be had."""
        doors = [Door(one, lambda: self._mended(service)) for one in spread(service)]
        self._keep(number, doors)
        if len(doors) == 1:
            self._later(number, doors[0], why)
            return
        for door in doors:
            try:
                self._bind(number, door)
            except EdgeError as error:
                self._later(number, door, error)

    def adjust(self, number: int, service: Service) -> None:
        """The configuration of a service changed, its sockets did not."""
        self.changes += 1
        for door, one in zip(self._all(number), spread(service), strict=True):
            self._adjust(number, door, one)

    def _adjust(self, number: int, door: Door, service: Service) -> None:
        old = door.service
        door.serve(service)
        if door.listener is None:
            return
        self._attach(door.listener.socket, service)
        if door.private is not None and not _stream(service) and old.credentials.uid != service.credentials.uid:
            self._front(number, door.listener, door.private.port, service)

    def close(self, number: int) -> None:
        """The service is gone."""
        for further in self._further.pop(number, ()):
            self._shut(further)
        door = self._doors.pop(number)
        self._shut(door)
        if door.private is not None:
            self._loop.read(door.private.fileno(), None)
            door.private.close()
            if not _stream(door.service):
                self._front(number, None, 0, door.service)

    def moved(self) -> None:
        """Interfaces of the host changed. What is bound to an address of one that has gone hears nothing any more, also
        when another comes under the same name: it is bound again then."""
        for number in list(self._doors):
            for door in self._all(number):
                if door.listener is not None and door.watched and replaced(door.service.address, door.listener.socket):
                    door.opened = functools.partial(self._mended, door.service)
                    self._shut(door)
                    self._try(number, door)

    def pause(self, number: int) -> None:
        """Close the listener for a while; clients are refused by the kernel. One whose datagrams are carried stays open
        for those who were admitted."""
        for door in self._all(number):
            door.paused = True
            if _stream(door.service) or door.private is None:
                self._shut(door)
            self._watch_private(number, door)

    def resume(self, number: int, opened: Callable[[], None]) -> None:
        """Open a paused listener again; *opened* is called when that is done, which may take several attempts. Of
        several, the first says it for all."""
        for door in self._all(number):
            door.opened = opened if door is self._doors[number] else lambda: None
            door.paused = False
            self._watch_private(number, door)
            if multiplexed(door.service) or door.listener is not None:
                door.opened()
            else:
                self._try(number, door)

    def suspend(self, number: int) -> None:
        """Do not watch the listener: a server has it."""
        door = self._doors[number]
        if door.private is None:
            self._watch(number, door, False)
        else:
            door.lent = True
            self._watch_private(number, door)

    def rearm(self, connection: Connection) -> None:
        """Watch the listener of a waiting service again, after the server that *connection* was for has ended."""
        door = self._doors.get(connection.service)
        shared = None if door is None else door.private or door.listener
        if door is None or shared is None:
            return
        if door.service.socket_type is not SocketType.STREAM and door.peeked is not None:
            if shared.peek() == door.peeked:
                shared.consume()
                self._report(DatagramUnread(self._wall(), door.service.id, connection.source, connection.port))
            door.peeked = None
        if door.private is None:
            self._watch(connection.service, door, True)
        else:
            door.lent = False
            self._watch_private(connection.service, door)

    def descriptor(self, connection: Connection) -> int:
        """What the server of *connection* gets as its 0, 1 and 2; it stays ours. KeyError if that is gone."""
        held = self._held.find(connection.number)
        if held is not None:
            return held
        door = self._doors[connection.service]
        shared = door.private or door.listener
        if shared is None:
            raise KeyError(connection.service)
        return shared.fileno()

    def way(self, number: int) -> tuple[int, int]:
        """A descriptor, which is the caller's, that may come to the private socket of service *number*, and the port of
        that. KeyError if it is gone, OSError if no descriptor can be had."""
        door = self._doors[number]
        if door.private is None or self._passage is None:
            raise KeyError(number)
        return self._passage.way(door.service.socket_type), door.private.port

    def meet(self, number: int, source: Address, port: int) -> Connection:
        """A datagram client came to the intercepted service *number*."""
        return Connection(next(self._numbers), number, source, port)

    def local(self, connection: Connection) -> tuple[Address, int]:
        """The address and port at which *connection* came."""
        if connection.number in self._held:
            return local_of(self._held.peek(connection.number))
        listener = self._doors[connection.service].listener
        if listener is None:
            raise KeyError(connection.service)
        return listener.address, listener.port

    def lend(self, connection: Connection) -> None:
        """Let go of the descriptor of *connection*, which was sent on. A listener stays ours."""
        self._held.lend(connection.number)

    def give_back(self, number: int, descriptor: int) -> None:
        """The *descriptor* of connection *number* is ours again: who had it could not use it."""
        self._held.give_back(number, descriptor)

    def take(self, connection: Connection) -> int:
        """The descriptor of the stream *connection*, which is the caller's from now on."""
        return self._held.take(connection.number)

    def release(self, connection: Connection) -> None:
        """The server has its own copy of the descriptor."""
        self._held.release(connection.number)

    def refuse(self, connection: Connection) -> None:
        """Hang up on *connection*: exactly that stream, that datagram, or one client of a waiting listener."""
        if connection.number in self._held:
            self._entrance.hang_up(connection.number)
            return
        door = self._doors.get(connection.service)
        if door is None or door.listener is None or (door.service.sensor and not _stream(door.service)):
            return
        if door.private is not None and connection.source is not None:
            return  # the porter has it
        shared = door.private or door.listener
        if not _stream(door.service):
            shared.consume()
            door.peeked = None
        else:
            try:
                shared.refuse_one()
            except EdgeError:
                self._exhausted(connection.service)

    def offers(self) -> Iterator[tuple[int, Service, Listener | None]]:
        """Every service by number, and its listener if that is open; of several, the first."""
        for number, door in self._doors.items():
            yield number, door.service, self.listener(number)

    def caught(self) -> Iterator[tuple[Service, list[Listener]]]:
        """Every sensor to which the kernel brings what it watches, and its listeners that are open."""
        for number, door in self._doors.items():
            if door.service.caught:
                yield door.service, [one.listener for one in self._all(number) if one.listener is not None]

    def listeners(self) -> Iterator[tuple[Service, Listener]]:
        """Every listener that is open, with its service."""
        for number in self._doors:
            for door in self._all(number):
                if door.listener is not None:
                    yield door.service, door.listener

    def close_all(self) -> None:
        """Close every listener and hang up on whoever still waits."""
        for number in list(self._doors):
            self.close(number)
        self._held.close_all()
        if self._passage is not None:
            self._passage.close()
            self._passage = None

    def _bind(self, number: int, door: Door) -> None:
        service = door.service
        listener = open_listener(service, prepare=lambda bound: self._attach(bound, service))
        if listener.notice:
            self._report(Notice(self._wall(), Level.NOTICE, listener.notice))
        if manner_of(service) is Manner.INTERCEPTED and door.private is None:
            try:
                self._open_private(number, door, listener)
            except EdgeError:
                listener.close()
                raise
        door.listener = listener
        self.changes += 1
        door.attempts = 0
        self._watch(number, door, True)

    def _open_private(self, number: int, door: Door, listener: Listener) -> None:
        if self._passage is None:
            self._passage = Passage()
        door.private = self._passage.listener(door.service, listener.socket.family)
        self._watch_private(number, door)

    def _watch_private(self, number: int, door: Door) -> None:
        """The private socket is watched as long as no server has it and none may be started."""
        if door.private is None:
            return
        ready = None if door.lent or door.paused else lambda: self._wait_behind(number, door)
        self._loop.read(door.private.fileno(), ready)

    def _attach(self, bound: socket.socket, service: Service) -> None:
        """Banned and not admitted sources are refused by the kernel where the server accepts by itself; and a sensor
        of what is nobody's gets what the kernel brings."""
        if service.caught:
            take_any(bound)
        self.sieve.attach(bound, service)

    def _shut(self, door: Door) -> None:
        if door.retry is not None:
            door.retry.cancel()
            door.retry = None
        if door.listener is not None:
            self._unwatch(door)
            door.listener.close()
            door.listener = None
            self.changes += 1

    def _watch(self, number: int, door: Door, watched: bool) -> None:
        if door.listener is None or door.watched == watched:
            return
        if not watched:
            self._unwatch(door)
            return
        door.watched = True
        if not _stream(door.service):
            if door.private is not None:
                self._front(number, door.listener, door.private.port, door.service)
                return
            ready = self._drain if door.service.sensor else self._peek
        else:
            ready = self._knock if knocked_at(door.service) else self._accept
        self._loop.read(door.listener.fileno(), lambda: ready(number, door))

    def _unwatch(self, door: Door) -> None:
        if door.listener is not None and door.watched:
            self._loop.read(door.listener.fileno(), None)
        door.watched = False

    def _later(self, number: int, door: Door, why: EdgeError) -> None:
        pause = door.pause()
        if door.attempts == 1:
            said = f"bind failed ({why})" if isinstance(why, BindFailed) else str(why)
            self._report(ListenerFailed(self._wall(), door.service.id, said, pause))
        door.retry = self._loop.after(pause, lambda: self._try(number, door))

    def _try(self, number: int, door: Door) -> None:
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

    def _accept(self, number: int, door: Door) -> None:
        if door.by_porter and self._laden():
            self._watch(number, door, False)
            door.waits = True
            self.waiting.append((number, door))
        else:
            self._entrance.accept(number, door)

    def go_on(self) -> None:
        """The porter has caught up: accept again whoever waits."""
        waiting, self.waiting = self.waiting, []
        for number, door in waiting:
            door.waits = False
            self._watch(number, door, True)

    def _peek(self, number: int, door: Door) -> None:
        datagram = None if door.listener is None else door.listener.peek()
        if datagram is not None:
            door.peeked = datagram
            self._arrived((Connection(next(self._numbers), number, datagram.source, datagram.port),))

    def _drain(self, number: int, door: Door) -> None:
        if door.listener is not None:
            here = door.service.address, door.listener.port
            datagrams = list(door.listener.drain(AT_ONCE))
            self._arrived(Connection(next(self._numbers), number, one.source, one.port, *here) for one in datagrams)

    def _knock(self, number: int, door: Door) -> None:
        self._arrived((Connection(next(self._numbers), number, None),))

    def _wait_behind(self, number: int, door: Door) -> None:
        """Somebody waits at the private socket."""
        if door.private is not None and not _stream(door.service):
            door.peeked = door.private.peek()
            if door.peeked is None:
                return
        self._wanted(Connection(next(self._numbers), number, None))


def _stream(service: Service) -> bool:
    return service.socket_type is SocketType.STREAM
