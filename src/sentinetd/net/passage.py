"""Private sockets on loopback: a server behind them hears those whom the guard sends, and nobody else of this host.

An intercepted service's server gets an ordinary listening or datagram socket, but bound to 127.0.0.1 at a free port.
Any local user could find that port and come past all checks, so the socket carries a filter: it takes only what comes
from one port, which is ours for as long as the passage is open. What the porter uses to reach the server is bound to
that port, each under a loopback address of its own.

The port is held on the wildcard address with SO_REUSEPORT. Whoever binds it as well must ask for the same and have the
same user id (socket(7)), so for a guard that runs as root no user can.
"""

from __future__ import annotations

import errno
import socket
import struct
from array import array
from itertools import cycle

from sentinetd.model.service import Flag, Service, SocketType
from sentinetd.net.listener import BACKLOG, BindFailed, Listener
from sentinetd.net.source import MAPPED

HOME = "127.0.0.1"
"""Where private sockets are bound."""
WAYS = range(0x7F000002, 0x7FFFFFFF)
"""Addresses of those who come to them: all of 127.0.0.0/8 (RFC 6890) but the usual one and the broadcast address."""
ATTEMPTS = 100
"""Ports that are tried until one is free for streams and datagrams alike."""

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Operation codes of classic BPF (linux/filter.h), as struct sock_filter has them.
LOAD_BYTE, LOAD_HALF, AND, EQUAL, RETURN = 0x30, 0x28, 0x54, 0x15, 0x06
NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF: offsets from here on count from the IP header
SOURCE_ADDRESS = NETWORK_HEADER + 12  # RFC 791
SOURCE_PORT = 0  # of UDP and TCP alike, whose header is where the packet begins for a filter
TCP_FLAGS, SYN, SYN_OR_ACK = 13, 0x02, 0x12  # RFC 9293
KEEP, DROP = 0xFFFFFFFF, 0  # bytes of the packet that pass

Instruction = tuple[int, int, int, int]
"""Code, how many to leave out if so and if not, operand."""


class Passage:
    """Holds the port, and makes the sockets of both sides. EdgeError where the host has no loopback network."""

    def __init__(self) -> None:
        try:
            self._holders = _same_port()
        except OSError as error:
            raise BindFailed(f"no private port to be had: {error.strerror}", error.errno or 0) from error
        self._port: int = self._holders[0].getsockname()[1]
        self._addresses = cycle(WAYS)

    def close(self) -> None:
        """Let go of the port."""
        for holder in self._holders:
            holder.close()

    def listener(self, service: Service, family: int) -> Listener:
        """The private socket for the server of *service*, in blocking mode as servers expect. *family* is that of the
        public one: a server that knows only IPv6 meets its clients under mapped addresses. `BindFailed`."""
        stream = service.socket_type is SocketType.STREAM
        opened = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, False)
                opened.bind((f"{MAPPED}{HOME}", 0))
            else:
                opened.bind((HOME, 0))
            _attach(opened, [*_ONLY_SYN, *_only_from(self._port)] if stream else _only_from(self._port))
            if stream:
                if Flag.NODELAY in service.flags:
                    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)  # accepted sockets inherit it
                opened.listen(BACKLOG)
            return Listener(opened)
        except OSError as error:
            opened.close()
            raise BindFailed(f"private socket: {error.strerror}", error.errno or 0) from error

    def way(self, kind: SocketType) -> int:
        """The descriptor, which is the caller's, of a fresh socket that may come to a private one. OSError if none can
        be had."""
        stream = kind is SocketType.STREAM
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
            opened.bind((socket.inet_ntoa(struct.pack("!I", next(self._addresses))), self._port))
            return opened.detach()
        finally:
            opened.close()


def _same_port() -> tuple[socket.socket, socket.socket]:
    """A stream and a datagram socket bound to the same port, which take nothing."""
    last = OSError(errno.EADDRINUSE, "no port is free")
    for _ in range(ATTEMPTS):
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            for holder in (stream, datagram):
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
            _attach(datagram, [(RETURN, 0, 0, DROP)])
            stream.bind(("0.0.0.0", 0))
            # Here somebody else's datagram socket may be in the way; with SO_REUSEPORT, one of our own user's too.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
                tried.bind(stream.getsockname())
            datagram.bind(stream.getsockname())
        except OSError as error:
            stream.close()
            datagram.close()
            if error.errno != errno.EADDRINUSE:
                raise
            last = error
        else:
            return stream, datagram
    raise last


_ONLY_SYN: list[Instruction] = [
    # What belongs to a connection passes: accepted sockets inherit the filter.
    (LOAD_BYTE, 0, 0, TCP_FLAGS),
    (AND, 0, 0, SYN_OR_ACK),
    (EQUAL, 1, 0, SYN),
    (RETURN, 0, 0, KEEP),
]


def _only_from(port: int) -> list[Instruction]:
    """Keep what comes from *port* of 127.0.0.0/8. A host that routes loopback addresses (route_localnet) could be sent
    the port alone from outside."""
    return [
        (LOAD_BYTE, 0, 0, SOURCE_ADDRESS),
        (EQUAL, 0, 3, 127),
        (LOAD_HALF, 0, 0, SOURCE_PORT),
        (EQUAL, 0, 1, port),
        (RETURN, 0, 0, KEEP),
        (RETURN, 0, 0, DROP),
    ]


def _attach(bound: socket.socket, program: list[Instruction]) -> None:
    """Have the kernel judge by *program* what comes to *bound* (socket(7), SO_ATTACH_FILTER)."""
    code = array("B", b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    address, _ = code.buffer_info()
    bound.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), address))
