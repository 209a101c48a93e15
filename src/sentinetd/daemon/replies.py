"""What the guard says itself: the internal services that take no time, at once and without ever waiting."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Callable, Iterator
from socket import AF_INET, SHUT_WR, SOCK_STREAM

from sentinetd.daemon.doors import Doors
from sentinetd.model.connection import Connection
from sentinetd.model.manner import Manner, manner_of
from sentinetd.model.service import OnSuccess, Service, SocketType
from sentinetd.policy.effects import Reply
from sentinetd.policy.engine import Engine
from sentinetd.serve.internal import servers as servers_text
from sentinetd.serve.internal import services as services_text
from sentinetd.serve.internal.restraint import Pace, would_loop
from sentinetd.serve.internal.table import AT_ONCE, DATAGRAM

DATAGRAM_MOST = 65_535
LONGEST_BANNER = 1 << 20
"""Bytes of a banner; what is longer is cut."""
SO_SNDBUFFORCE = 32  # asm-generic/socket.h
QUIETLY = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
"""Neither wait nor be told by a signal (send(2))."""
TOGETHER = QUIETLY | int(socket.MSG_MORE)
"""The same, and with what comes after it."""


def say(descriptor: int, data: bytes) -> None:
    """Send *data* to the stream *descriptor* without waiting: what it has no room for gets room, up to what the
    kernel gives, and the rest is left out. Nobody who does not read can hold the guard up."""
    stream = _stream(descriptor)
    try:
        _send(stream, data, QUIETLY)
    except OSError:
        pass  # the client is gone, or has read nothing of what it was sent before
    finally:
        stream.detach()


def part(descriptor: int, data: bytes) -> None:
    """Send *data* as `say` does, and hang up: *descriptor*, whoever had it, is closed.

    The data and the end leave in one packet, which wakes the client once. The end is sent apart from the closing, for
    that would throw away what waits to be sent where the client has sent what nobody reads (tcp(7)).
    """
    stream = _stream(descriptor)
    try:
        _send(stream, data, TOGETHER)
        stream.shutdown(SHUT_WR)
    except OSError:
        pass  # the client is gone
    finally:
        stream.close()


def _stream(descriptor: int) -> socket.SocketType:
    # Without what Python adds. Any family does for sending; to leave out one of the three would have the kernel asked.
    return socket.SocketType(AF_INET, SOCK_STREAM, 0, descriptor)


def _send(stream: socket.SocketType, data: bytes, flags: int) -> None:
    sent = stream.send(data, flags)
    if sent < len(data):
        stream.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, len(data))
        stream.send(memoryview(data)[sent:], flags)


def open_banner(path: str) -> io.FileIO:
    """The banner file *path*, opened without waiting. OSError if it cannot be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    return io.FileIO(descriptor, "r")


class Replies:
    """Answers for the internal services of manner `ONCE`. *later* has something done when the engine is not at work,
    *hear* has it learn which servers have begun."""

    def __init__(
        self, doors: Doors, engine: Engine, later: Callable[[Callable[[], None]], object], hear: Callable[[], None]
    ) -> None:
        self._doors = doors
        self._engine = engine
        self._later = later
        self._hear = hear
        self._pace = Pace()
        self._own_ports: frozenset[int] = frozenset()
        self._second = -1
        self._texts: dict[str, bytes] = {}  # what services say in that second, who were asked in it
        self.position = 0  # where chargen's pattern goes on: one for stream and dgram, as in xinetd

    def refresh(self) -> None:
        """The configuration changed: know the ports from which our own services would answer each other."""
        self._own_ports = frozenset(
            service.port
            for service in self._engine.services.values()
            if service.socket_type is not SocketType.STREAM and manner_of(service) is Manner.ONCE
        )

    def reply(self, effect: Reply) -> None:
        """Say what the service has to say, and hang up; or answer the datagram that waits."""
        service = effect.service
        if service.socket_type is not SocketType.STREAM:
            self._answer(effect.connection, service)
            return
        name, descriptor = service.name.lower(), self._doors.take(effect.connection)
        if name == "servers":
            self._later(lambda: self._list_servers(descriptor))
        else:
            part(descriptor, self._text(name))

    def _list_servers(self, descriptor: int) -> None:
        self._hear()
        part(descriptor, self._text("servers"))

    def _text(self, name: str) -> bytes:
        now = int(time.time())
        if now != self._second:  # they tell no less than a second
            self._second = now
            self._texts = {name: tells(now) for name, tells in AT_ONCE.items()}
        said = self._texts.get(name)
        return _LISTS[name](self._engine).encode("utf-8", "surrogateescape") if said is None else said

    def _answer(self, connection: Connection, service: Service) -> None:
        """Answer one datagram, unless that would make two such services talk to each other for ever, or flood one whose
        address somebody forged."""
        listener = self._doors.listener(connection.service)
        taken = None if listener is None else listener.take(DATAGRAM_MOST)
        if listener is None or taken is None or connection.source is None:
            return
        data, sender = taken
        answer, self.position = DATAGRAM[service.name.lower()](data, time.time(), self.position)
        if answer is None or would_loop(connection.port, self._own_ports):
            return
        if self._pace.allows(connection.source.text, time.monotonic()):
            listener.answer(answer, sender)


def _services(engine: Engine) -> str:
    return services_text.text(
        services_text.Available(service.name, service.protocol.name, port)
        for service in engine.services.values()
        for port in ((service.port,) if service.ports is None else service.ports.numbers())
    )


def _servers(engine: Engine) -> str:
    return servers_text.text(_running(engine))


def _running(engine: Engine) -> Iterator[servers_text.Running]:
    now, boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    for server in engine.servers():
        source, service = server.connection.source, server.running.service
        yield servers_text.Running(
            service.name,
            server.pid,
            now - (boot - server.started),
            "" if source is None else source.text,
            server.connection.port,
            looks_up_user=OnSuccess.USERID in service.log_on_success,
            logs_end=bool({OnSuccess.EXIT, OnSuccess.DURATION} & service.log_on_success),
        )


_LISTS: dict[str, Callable[[Engine], str]] = {"services": _services, "servers": _servers}
