"""A connection carried on, each direction until its own end: the `redirect` of xinetd.conf(5), and to servers behind
private sockets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterable

from sentinetd.model.address import Address
from sentinetd.model.routine import Ending
from sentinetd.serve.flow import Flow, State
from sentinetd.serve.sessions import Session, Sessions, in_words

Resolve = Callable[[str, float], Awaitable[tuple[Address, ...] | None]]
"""The addresses of a host name within so many seconds, best first; None if that could not be found out."""

Sockaddr = tuple[str, int] | tuple[str, int, int, int]

_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class Redirect(Session):
    """A client and, once `reach`, `find` or `join` has reached it, the target."""

    __slots__ = ("_ahead", "_down", "_keepalive", "_target", "_up")

    def __init__(self, sessions: Sessions, number: int, client: socket.socket, idle: float) -> None:
        super().__init__(sessions, number, client, idle)
        self._ahead: Iterable[tuple[Address, int]] = ()  # addresses and ports to be tried yet
        self._keepalive = False
        self._target: socket.socket | None = None
        self._up: Flow | None = None  # both flows begin when the target is reached
        self._down: Flow | None = None

    def reach(self, addresses: Iterable[Address], port: int, keepalive: bool, seconds: float) -> None:
        """Connect to *port* of the first of *addresses* that takes a connection, within *seconds*; then carry bytes
        both ways."""
        self._connect_within(seconds)
        self._try(addresses, port, keepalive)

    async def find(self, host: str, port: int, keepalive: bool, seconds: float, resolve: Resolve) -> None:
        """The same with the addresses of the name *host*, which are to be found out in that time, too."""
        self._connect_within(seconds)
        found = await resolve(host, seconds)
        if not self.open:
            return
        if found is None:
            self.end(Ending.UNREACHABLE, "the name could not be looked up")
        else:
            self._try(found, port, keepalive)

    def join(self, target: socket.socket, where: tuple[str, int], seconds: float) -> None:
        """Connect *target*, a socket that is the session's from now on, to *where* within *seconds*; then carry bytes
        both ways."""
        target.setblocking(False)
        self._connect_within(seconds)
        failed = self._connect(target, where)
        if failed is not None:
            self._next(failed)

    def _connect_within(self, seconds: float) -> None:
        self.limit(seconds, Ending.UNREACHABLE, os.strerror(errno.ETIMEDOUT))

    def _try(self, addresses: Iterable[Address], port: int, keepalive: bool) -> None:
        self._ahead, self._keepalive = ((address, port) for address in addresses), keepalive
        self._next(OSError(0, "the name has no address"))

    def _next(self, why: OSError) -> None:
        """Try the next address, since the one before failed for *why*."""
        for address, port in self._ahead:
            try:
                where = _sockaddr(address, port)
                target = socket.socket(_FAMILY[address.version], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            except OSError as error:
                why = error
                continue
            failed = self._connect(target, where)
            if failed is None:
                return
            why = failed
        self.end(Ending.UNREACHABLE, in_words(why))

    def _connect(self, target: socket.socket, where: Sockaddr) -> OSError | None:
        """Have *target* connected to *where*, now or when that answers. Why not, if that is known at once."""
        number = target.connect_ex(where)
        if number == errno.EINPROGRESS:
            number = target.connect_ex(where)  # who is on this host has answered within the first call
        if number in (0, errno.EINPROGRESS, errno.EALREADY):
            self._target = target
            if number:
                self._sessions.loop.add_writer(target.fileno(), self._answered)
            else:
                self._carry(target)
            return None
        target.close()
        return OSError(number, os.strerror(number))

    def _answered(self) -> None:
        target = self._target
        assert target is not None
        self._sessions.loop.remove_writer(target.fileno())
        number = target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number:
            self._carry(target)
            return
        self._target = None
        target.close()
        self._next(OSError(number, os.strerror(number)))

    def _carry(self, target: socket.socket) -> None:
        """*target* is reached."""
        self._ahead = ()
        self.limit(self.idle)
        loop, buffer = self._sessions.loop, self._sessions.buffer
        self._up = Flow(loop, buffer, self.client, target, self._client_done, self._target_gone)
        self._down = Flow(loop, buffer, target, self.client, self._target_done, self._client_gone)
        try:
            for one in (target, self.client):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._keepalive:
                target.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:
            self.end(Ending.RESET, in_words(error))

    def _client_done(self, error: OSError | None) -> None:
        assert self._target is not None
        assert self._down is not None
        if error is not None:
            self.end(Ending.RESET, in_words(error))
        elif self._down.state is State.ENDED:
            self.end(Ending.CLOSED)
        elif self._down.sink_broken:
            self.end(Ending.RESET, os.strerror(errno.ECONNRESET))
        else:
            _say_no_more(self._target)

    def _target_done(self, error: OSError | None) -> None:
        assert self._up is not None
        if error is not None:
            self.linger(Ending.RESET, in_words(error))
        elif self._up.state is State.ENDED:
            self.end(Ending.CLOSED)
        elif self._up.sink_broken:
            self.linger(Ending.CLOSED)
        else:
            _say_no_more(self.client)

    def _client_gone(self, error: OSError) -> None:
        """The client takes no more; unless it has ended its own direction, that one tells so."""
        assert self._up is not None
        if self._up.state is State.ENDED:
            self.end(Ending.RESET, in_words(error))

    def _target_gone(self, error: OSError) -> None:
        """The target takes no more, but what it said before may still be on its way to the client."""
        assert self._down is not None
        if self._down.state is State.ENDED:
            self.linger(Ending.CLOSED)

    def moved(self) -> tuple[int, int]:
        return (self._up.moved if self._up else 0), (self._down.moved if self._down else 0)

    def stirred(self) -> bool:
        flows = [flow for flow in (self._up, self._down) if flow is not None]
        stirred = any(flow.stirred for flow in flows)
        for flow in flows:
            flow.stirred = False
        return stirred

    def release(self) -> None:
        target, flows = self._target, (self._up, self._down)
        if target is not None and self._up is None:
            self._sessions.loop.remove_writer(target.fileno())
        for flow in flows:
            if flow is not None:
                flow.stop()
        if target is not None:
            target.close()


def _sockaddr(address: Address, port: int) -> Sockaddr:
    plain = address.text.partition("%")[0]
    if address.version == 4:
        return plain, port
    return plain, port, 0, socket.if_nametoindex(address.scope) if address.scope else 0


def _say_no_more(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it is gone; its own flow finds that out and ends the session
