"""A connection carried on, each direction until its own end: the `redirect` of xinetd.conf(5), and to servers behind
private sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable

from sentinetd.model.address import Address
from sentinetd.model.routine import Ending
from sentinetd.serve.flow import Flow, State
from sentinetd.serve.sessions import Session, Sessions, in_words

Resolve = Callable[[str, float], Awaitable[tuple[Address, ...] | None]]
"""The addresses of a host name within so many seconds, best first; None if that could not be found out."""

_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class Redirect(Session):
    """A client and, once `open` has found and reached it, the target."""

    __slots__ = ("_down", "_target", "_up")

    def __init__(self, sessions: Sessions, number: int, client: socket.socket, idle: float) -> None:
        super().__init__(sessions, number, client, idle)
        self._target: socket.socket | None = None
        self._up: Flow | None = None
        self._down: Flow | None = None

    async def reach(self, host: str, port: int, keepalive: bool, seconds: float, resolve: Resolve) -> None:
        """Connect to *port* of *host* (an address or a name) within *seconds*, then carry bytes both ways."""
        try:
            async with asyncio.timeout(seconds):
                target = await self._connect(await _addresses(host, seconds, resolve), port)
        except TimeoutError:
            self.end(Ending.UNREACHABLE, os.strerror(errno.ETIMEDOUT))
            return
        except OSError as error:
            self.end(Ending.UNREACHABLE, in_words(error))
            return
        self._carry(target, keepalive)

    async def join(self, target: socket.socket, where: tuple[str, int], seconds: float) -> None:
        """Connect *target*, a socket that is the session's from now on, to *where* within *seconds*; then carry bytes
        both ways."""
        target.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                await self._sessions.loop.sock_connect(target, where)
        except TimeoutError:
            target.close()
            self.end(Ending.UNREACHABLE, os.strerror(errno.ETIMEDOUT))
            return
        except OSError as error:
            target.close()
            self.end(Ending.UNREACHABLE, in_words(error))
            return
        except BaseException:
            target.close()
            raise
        self._carry(target, False)

    def _carry(self, target: socket.socket, keepalive: bool) -> None:
        if not self.open:
            target.close()
            return
        self._target = target
        try:
            for one in (target, self.client):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, keepalive)
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return
        loop, buffer = self._sessions.loop, self._sessions.buffer
        self._up = Flow(loop, buffer, self.client, target, self._client_done, self._target_gone)
        self._down = Flow(loop, buffer, target, self.client, self._target_done, self._client_gone)

    async def _connect(self, addresses: tuple[Address, ...], port: int) -> socket.socket:
        """A connection to the first of *addresses* that takes one. The OSError of the last that does not."""
        last = OSError(0, "the name has no address")
        for address in addresses:
            scope = socket.if_nametoindex(address.scope) if address.scope else 0
            plain = address.text.partition("%")[0]
            target = socket.socket(_FAMILY[address.version], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                await self._sessions.loop.sock_connect(
                    target, (plain, port) if address.version == 4 else (plain, port, 0, scope)
                )
            except OSError as error:
                target.close()
                last = error
            except BaseException:
                target.close()
                raise
            else:
                return target
        raise last

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
        for flow in (self._up, self._down):
            if flow is not None:
                flow.stop()
        if self._target is not None:
            self._target.close()


async def _addresses(host: str, seconds: float, resolve: Resolve) -> tuple[Address, ...]:
    try:
        return (Address.parse(host),)
    except ValueError:
        found = await resolve(host, seconds)
    if found is None:
        raise OSError(0, "the name could not be looked up")
    return found


def _say_no_more(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it is gone; its own flow finds that out and ends the session
