"""Datagrams of an intercepted service: between the public socket and the server's private one, client by client.

Nothing of a client reaches the server before the guard has admitted it; each then has a socket of its own towards the
server, so that answers find their way back. A server may answer from another socket than the one it was sent to
(RFC 1350, TFTP, does); from then on the client speaks with that one, as it would by itself.
"""

from __future__ import annotations

import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from sentinetd.model.noun import dataclass, field
from sentinetd.model.routine import Ending
from sentinetd.serve.sessions import Session, in_words

if TYPE_CHECKING:
    from sentinetd.serve.sessions import Sessions

Where = tuple[str, int] | tuple[str, int, int, int]
"""A sockaddr as Python has it."""
Met = Callable[[int, int, Where], None]
"""Told of a client that nobody has judged yet: the service, what to call it in the verdict, and where it is."""
Trusted = Callable[[Where], bool]
"""Whether a socket of this host, from which an answer came, may be the server's."""
Control = tuple[tuple[int, int, bytes], ...]
"""Control messages that make an answer leave from the address that was asked (ip(7), ipv6(7))."""

HOME = "127.0.0.1"
"""Where the server's private socket is."""
TURN = 64
"""Datagrams in one turn of the loop."""
LONGEST = 65_536
"""No datagram of UDP is as long as this."""
MOST_CLIENTS = 1024
"""Clients of one service at once; for one more, the one that was silent longest is let go."""
MOST_STRANGERS = 1024
"""Clients of one service whose verdict is waited for; datagrams of others are dropped."""
KEPT_OF_STRANGER = 8
"""Datagrams of one such client that are kept for the server."""
KEPT_BYTES = 1 << 20
"""Bytes of all of them."""
SHUNNED_FOR = 1.0
"""Seconds for which datagrams of a refused client are dropped without asking again."""
MOST_SHUNNED = 4096
"""Refused clients that are remembered; the first to be forgotten is the one that was refused first."""

IN_PKTINFO = struct.Struct("@I4s4s")  # index of the interface, local address, destination
IN6_PKTINFO = struct.Struct("@16sI")
IP_PKTINFO = 8  # linux/in.h
CONTROL_SPACE = socket.CMSG_SPACE(max(IN_PKTINFO.size, IN6_PKTINFO.size))


@dataclass(slots=True)
class _Stranger:
    """A client that waits for its verdict: its name in it, what it sent."""

    token: int
    control: Control
    kept: list[bytes] = field(default_factory=list)


class Front:
    """The public side of the intercepted service *service*. Owns *public*; *port* is that of the private socket.

    *trusted* is asked of a server's answer that comes from elsewhere: any user of this host can find a visitor's port.
    """

    def __init__(
        self, sessions: Sessions, service: int, public: socket.socket, port: int, met: Met, trusted: Trusted
    ) -> None:
        self.sessions = sessions
        self.trusted = trusted
        self.home = (HOME, port)
        self._service = service
        self._public = public
        self._met = met
        self._clients: OrderedDict[Where, Visitor] = OrderedDict()  # the one that was silent longest first
        self._strangers: dict[Where, _Stranger] = {}
        self._tokens: dict[int, Where] = {}
        self._next_token = 1
        self._kept = 0  # bytes
        self._shunned: OrderedDict[Where, float] = OrderedDict()  # until when; the earliest first
        if public.family == socket.AF_INET6:
            public.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            public.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sessions.loop.add_reader(public.fileno(), self._read)

    def close(self) -> None:
        """Let every client go, and the socket."""
        for visitor in tuple(self._clients.values()):
            visitor.end(Ending.STOPPED)
        self.sessions.loop.remove_reader(self._public.fileno())
        self._public.close()

    def admit(self, number: int, token: int, client: socket.socket, idle: float) -> None:
        """The client *token* is connection *number*: carry what it sent and sends, by the socket *client*, which is the
        visitor's from now on. If it is not known, the connection ends at once."""
        where = self._tokens.pop(token, None)
        if len(self._clients) >= MOST_CLIENTS:
            next(iter(self._clients.values())).end(Ending.TIMEOUT)
        stranger = None if where is None else self._forget(where)
        if where is None or stranger is None:
            Visitor(self, number, client, idle, ("", 0), ()).end(Ending.STOPPED)
            return
        visitor = self._clients[where] = Visitor(self, number, client, idle, where, stranger.control)
        for data in stranger.kept:
            visitor.forward(memoryview(data))

    def shun(self, token: int) -> None:
        """The client *token* is refused: drop what it sent and will send in the next moment."""
        where = self._tokens.pop(token, None)
        if where is not None:
            self._forget(where)
            if len(self._shunned) >= MOST_SHUNNED:
                self._shunned.popitem(last=False)
            self._shunned[where] = self.sessions.loop.time() + SHUNNED_FOR

    def leave(self, where: Where) -> None:
        """The visitor at *where* is gone: its next datagram is a stranger's."""
        self._clients.pop(where, None)

    def answer(self, data: memoryview, where: Where, control: Control) -> None:
        """Send *data* to the client at *where*, if that can be done at once: a datagram may get lost, here as on its
        way. An address that cannot be answered from, that of a group, is left to the kernel to choose."""
        for chosen in (control, ()):
            try:
                self._public.sendmsg([data], chosen, socket.MSG_DONTWAIT, where)
            except BlockingIOError:
                return
            except OSError:
                continue
            return

    def _read(self) -> None:
        view = self.sessions.buffer.view[:LONGEST]
        for _ in range(TURN):
            try:
                size, told, _flags, where = self._public.recvmsg_into([view], CONTROL_SPACE, socket.MSG_DONTWAIT)
            except OSError:
                return  # nothing is left, or an error that came back for an earlier answer and is cleared now
            self._take(view[:size], where, _answering(told))

    def _take(self, data: memoryview, where: Where, control: Control) -> None:
        visitor = self._clients.get(where)
        if visitor is not None:
            visitor.control = control
            self._clients.move_to_end(where)
            if visitor.forward(data):
                return
        stranger = self._strangers.get(where)
        if stranger is None:
            if self._is_shunned(where) or len(self._strangers) >= MOST_STRANGERS:
                return
            stranger = self._strangers[where] = _Stranger(self._next_token, control)
            self._tokens[self._next_token] = where
            self._next_token += 1
            self._met(self._service, stranger.token, where)
        if len(stranger.kept) < KEPT_OF_STRANGER and self._kept + len(data) <= KEPT_BYTES:
            stranger.kept.append(bytes(data))
            self._kept += len(data)

    def _forget(self, where: Where) -> _Stranger | None:
        stranger = self._strangers.pop(where, None)
        if stranger is not None:
            self._kept -= sum(map(len, stranger.kept))
        return stranger

    def _is_shunned(self, where: Where) -> bool:
        now = self.sessions.loop.time()
        while self._shunned and next(iter(self._shunned.values())) <= now:
            self._shunned.popitem(last=False)
        return where in self._shunned


class Visitor(Session):
    """One client at *where*; *client* is its socket towards the server. Ends when the server's side is gone, too."""

    __slots__ = ("_from_client", "_front", "_stirred", "_to_client", "_where", "control", "partner")

    def __init__(
        self, front: Front, number: int, client: socket.socket, idle: float, where: Where, control: Control
    ) -> None:
        super().__init__(front.sessions, number, client, idle)
        self._front = front
        self._where = where
        self.control = control
        self.partner: Where | None = None
        """Where the server answers from; None before it has."""
        self._from_client = self._to_client = 0
        self._stirred = False
        self._sessions.loop.add_reader(client.fileno(), self._answered)

    def forward(self, data: memoryview) -> bool:
        """Send *data* to the server, if that can be done at once. False if its side turns out to be gone: the visit is
        over, and *data* is a stranger's."""
        try:
            self.client.sendto(data, self.partner or self._front.home)
        except ConnectionRefusedError as error:
            self.end(Ending.RESET, in_words(error))
            return False
        except OSError:
            return True  # lost
        self._from_client += len(data)
        self._stirred = True
        return True

    def _answered(self) -> None:
        view = self._sessions.buffer.view[:LONGEST]
        for _ in range(TURN):
            try:
                size, where = self.client.recvfrom_into(view)
                if self.partner is None:
                    if where != self._front.home and not self._front.trusted(where):
                        continue
                    # What others send is not heard from here on; and should this partner go, that is heard.
                    self.client.connect(where)
                    self.partner = where
            except BlockingIOError:
                return
            except OSError as error:
                self.end(Ending.RESET, in_words(error))
                return
            self._to_client += size
            self._stirred = True
            self._front.answer(view[:size], self._where, self.control)

    def moved(self) -> tuple[int, int]:
        return self._from_client, self._to_client

    def stirred(self) -> bool:
        stirred, self._stirred = self._stirred, False
        return stirred

    def release(self) -> None:
        self._sessions.loop.remove_reader(self.client.fileno())
        self._front.leave(self._where)


def _answering(told: list[tuple[int, int, bytes]]) -> Control:
    """What makes an answer leave from where a datagram, with which *told* came, was sent to."""
    for level, kind, data in told:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _index, local, _destination = IN_PKTINFO.unpack(data)
            return ((level, kind, IN_PKTINFO.pack(0, local, bytes(4))),)
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            destination, _index = IN6_PKTINFO.unpack(data)
            return ((level, kind, IN6_PKTINFO.pack(destination, 0)),)
    return ()
