"""A service's socket: bound, accepted at, its datagrams looked at; never a byte of what a client sent.

xinetd.conf(5) says what is bound: `bind`, `port`, `v6only`, the flags IPv4, IPv6, NODELAY and KEEPALIVE. Calls never
wait. A socket that a server shares (`wait = yes`, and every datagram service) stays in blocking mode all the same: the
mode belongs to the open file description and the server would inherit it, so the guard asks call by call.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from sentinetd.errors import EdgeError
from sentinetd.model.address import Address
from sentinetd.model.service import Family, Flag, Service, SocketType, Type
from sentinetd.net.netlink import NetlinkError
from sentinetd.net.sock_diag import Holder, holders
from sentinetd.net.source import MAPPED, source_of

BACKLOG = 1024
"""Connections that may wait to be accepted, unless the caller says otherwise; xinetd's 64 is lost in any burst."""

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the control message has the same number (socket(7))
IPV6_ADDRFORM = 1  # ipv6(7)
IPV6_TRANSPARENT = 75  # linux/in6.h
TCP_PROTOCOLS = frozenset({6, 262})  # IPPROTO_TCP, IPPROTO_MPTCP: they know TCP_NODELAY
MULTICAST = {4: range(0xE0000000, 0xF0000000), 6: range(0xFF << 120, 1 << 128)}

PASSED_OVER = frozenset(
    {
        errno.ECONNABORTED, errno.EPROTO, errno.EINTR, errno.EPERM, errno.ENETDOWN, errno.ENOPROTOOPT, errno.EHOSTDOWN,
        errno.ENONET, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ECONNRESET,
    }
)  # fmt: skip
"""Errors of the one connection, not of the listener: accept(2), "error handling"; EPERM: a firewall's."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Nothing can be accepted until something is freed."""

Sender = tuple[str, int] | tuple[str, int, int, int]
"""A sockaddr as Python has it."""

TIMESPEC = struct.Struct("@ll")
STAMP_SPACE = socket.CMSG_SPACE(TIMESPEC.size)
# As plain numbers: to join the library's flags takes longer than many a call that they are for.
NOT_WAITING = int(socket.MSG_DONTWAIT)
LOOKING = int(socket.MSG_PEEK | socket.MSG_TRUNC)
OF_ERRORS = int(socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
ERRORS_AT_ONCE = 64  # pending errors of a datagram socket that one call clears


class BindFailed(EdgeError):
    """The socket could not be had as the service asks for it; *errno* and the text say why."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.errno = number


class AddressInUse(BindFailed):
    """Somebody else has the address; *holders* says who, as far as that can be seen. *single*: it is one of several, so
    that a holder on all addresses could do with the others."""

    def __init__(self, text: str, held_by: list[Holder], *, single: bool = False) -> None:
        names = ", ".join(sorted({str(holder) for holder in held_by}))
        all_of_them = single and any(holder.address.value == 0 for holder in held_by)
        told = (f" by {names}" if names else "") + (" on all addresses" if all_of_them else "")
        super().__init__(f"{text} is in use{told}", errno.EADDRINUSE)
        self.holders = held_by


class AcceptFailed(EdgeError):
    """The listener itself is broken: nothing will come from it any more."""


class Exhausted(EdgeError):
    """No descriptor or no memory for one connection more; it stays queued. Pause the service."""


class Accepted(NamedTuple):
    """A connection. Whoever gets it owns *descriptor*, which is in blocking mode and close-on-exec."""

    descriptor: int
    source: Address
    port: int


class Datagram(NamedTuple):
    """The sender of a datagram. While it is queued, *stamp* (ns of Unix time at which the kernel took it in) together
    with *source* and *port* tells it from any other; 0: taken off the queue already."""

    source: Address
    port: int
    stamp: int = 0


class Listener:
    """A bound socket. Which calls fit follows from the service: `accept` for streams without `wait`, `refuse_one` for
    any stream, `peek`, `consume` and `drain` for datagrams.

    *address* and *port* are what it is bound to, as the kernel says: for an RPC service the port that was free.
    *notice* is what the operator should be told about how it was bound, or empty.
    """

    __slots__ = ("_accept", "_dual", "address", "notice", "port", "socket")

    def __init__(self, bound: socket.socket, notice: str = "") -> None:
        self.socket = bound
        self.notice = notice
        where = bound.getsockname()
        self.address, self.port = source_of(where), int(where[1])
        self._dual = bound.family == socket.AF_INET6
        # What socket.accept is made of: a bare descriptor. Building a socket object for each connection costs as much
        # again as accept4(2) itself.
        self._accept = bound._accept  # type: ignore[attr-defined]

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self.socket.fileno()

    def close(self) -> None:
        """Let go of the socket; a server that shares it keeps it."""
        self.socket.close()

    def accept(self, limit: int = 64, *, unseen: bool = False) -> Iterator[Accepted]:
        """Up to *limit* connections that are queued now; each is the caller's as soon as it is yielded. *unseen*: no
        server is going to look at the socket, which may be what it is.

        Raises `Exhausted` or `AcceptFailed` after those that could still be had. Errors of a single connection are
        passed over and count towards *limit*, so that no flood keeps the loop from its other listeners.
        """
        for _ in range(limit):
            try:
                descriptor, where = self._accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in PASSED_OVER:
                    continue
                raise _unaccepted(error) from error
            if self._dual and not unseen and where[0].startswith(MAPPED):
                _speak_ipv4(descriptor)
            yield Accepted(descriptor, source_of(where), where[1])

    def refuse_one(self) -> bool:
        """Accept one connection and hang up; False if none was queued. Raises as `accept` does."""
        blocking = self.socket.getblocking()
        # A blocking accept would wait if somebody else took the connection since the loop woke up. The socket's mode
        # is changed for this one call: there is no flag of accept4(2) for it, and no server runs while we refuse.
        self.socket.setblocking(False)
        try:
            os.close(self._accept()[0])
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in PASSED_OVER:
                raise _unaccepted(error) from error
        finally:
            self.socket.setblocking(blocking)
        return True

    def peek(self) -> Datagram | None:
        """The sender of the first datagram queued, which stays there; None if none is.

        The stamp is asked for at this call only: the option would otherwise show in the server's own recvmsg(2).
        A datagram that was taken in before the option was on is stamped when it is first looked at, and keeps that.
        """
        bound = self.socket
        bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            told = self._receive(STAMP_SPACE, LOOKING)
        finally:
            bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 0)
        if told is None:
            return None
        control, where = told
        stamp = 0
        for level, kind, value in control:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = TIMESPEC.unpack(value)
                stamp = seconds * 1_000_000_000 + nanoseconds
        return Datagram(source_of(where), where[1], stamp)

    def consume(self) -> bool:
        """Throw away exactly the first datagram queued; False if none is."""
        return self._receive(0, 0) is not None

    def take(self, most: int) -> tuple[bytes, Sender] | None:
        """Take the first datagram off, up to *most* bytes of it, with its sender; None if none is queued."""
        try:
            return self.socket.recvfrom(most, socket.MSG_DONTWAIT)
        except OSError:
            return None  # taken by somebody else, or an error that came back for an earlier answer

    def answer(self, data: bytes, sender: Sender) -> None:
        """Send *data* to *sender*, if that can be done at once: a datagram may get lost, here as on its way."""
        with suppress(OSError):
            self.socket.sendto(data, socket.MSG_DONTWAIT, sender)

    def drain(self, limit: int = 64) -> Iterator[Datagram]:
        """Take up to *limit* queued datagrams off, unread, and tell the sender of each."""
        for _ in range(limit):
            told = self._receive(0, 0)
            if told is None:
                return
            yield Datagram(source_of(told[1]), told[1][1])

    def _receive(
        self, space: int, flags: int
    ) -> tuple[list[tuple[int, int, bytes]], Sender] | None:
        """recvmsg(2) into no bytes at all: (control messages, sender). None if nothing is queued.

        An error that the network sent back for an earlier reply (port unreachable and the like, which a server that
        connected the shared socket leaves behind) is cleared by being read, and so is the queue of extended errors
        (ip(7), IP_RECVERR): either would keep the socket readable for ever.
        """
        for _ in range(ERRORS_AT_ONCE):
            try:
                _data, control, _flags, where = self.socket.recvmsg(0, space, flags | NOT_WAITING)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.EBADF:
                    raise
                continue
            return control, where
        for _ in range(ERRORS_AT_ONCE):
            try:
                self.socket.recvmsg(0, 0, OF_ERRORS)
            except OSError:
                break
        return None


def speaks_ipv6() -> bool:
    """Whether the host has IPv6 at all."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def take_any(bound: socket.socket) -> None:
    """Let *bound* take connections for addresses and ports of which it has none, where the kernel brings them to it
    (ip(7), IP_TRANSPARENT). BindFailed without CAP_NET_ADMIN and CAP_NET_RAW."""
    six = bound.family == socket.AF_INET6
    try:
        if six:
            bound.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, socket.IP_TRANSPARENT, 1)
    except OSError as error:
        text = "only with CAP_NET_ADMIN can what comes for other ports be taken"
        raise BindFailed(f"{text}: {error.strerror}", error.errno or 0) from error


def _unaccepted(error: OSError) -> EdgeError:
    kind = Exhausted if error.errno in EXHAUSTED else AcceptFailed
    return kind(f"accept: {error.strerror}")


def _speak_ipv4(descriptor: int) -> None:
    """Turn an accepted IPv6 socket with an IPv4-mapped peer into the IPv4 socket that servers expect to see.

    It stays as it is where the peer has already finished sending (the kernel converts established connections only)
    and for transports that cannot be converted.
    """
    accepted = socket.SocketType(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, descriptor)
    try:
        accepted.setsockopt(socket.IPPROTO_IPV6, IPV6_ADDRFORM, socket.AF_INET)
    except OSError:
        pass
    finally:
        accepted.detach()


KINDS = {
    SocketType.STREAM: socket.SOCK_STREAM,
    SocketType.DGRAM: socket.SOCK_DGRAM,
    SocketType.RAW: socket.SOCK_RAW,
    SocketType.SEQPACKET: socket.SOCK_SEQPACKET,
}


def open_listener(
    service: Service, *, backlog: int = BACKLOG, prepare: Callable[[socket.socket], None] | None = None
) -> Listener:
    """Bind, and for connections listen, as *service* asks; the descriptor is close-on-exec.

    *prepare* is called with the bound socket before anybody can connect: there a filter is attached. Raises
    `AddressInUse` with whoever holds the address, `BindFailed`, or what *prepare* raises. A service without an address
    of its own falls back to IPv4 where the host has no IPv6, and says so in the listener's notice; not one that is
    `v6only`.
    """
    notice = ""
    family = socket.AF_INET if service.family is Family.IPV4 else socket.AF_INET6
    kind = KINDS[service.socket_type]
    try:
        try:
            opened = socket.socket(family, kind, service.protocol.number)
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT or not _may_fall_back(service):
                raise
            notice = f"IPv6 socket creation failed for service {service.id}, trying IPv4"
            opened = socket.socket(socket.AF_INET, kind, service.protocol.number)
    except OSError as error:
        raise BindFailed(f"{service.protocol.name} socket: {error.strerror}", error.errno or 0) from error
    try:
        return _bound(opened, service, backlog, prepare, notice)
    except BaseException:
        opened.close()
        raise


def _may_fall_back(service: Service) -> bool:
    return service.family is not Family.IPV4 and service.address is None and not service.v6only


def _bound(
    opened: socket.socket,
    service: Service,
    backlog: int,
    prepare: Callable[[socket.socket], None] | None,
    notice: str,
) -> Listener:
    port = 0 if Type.RPC in service.type else service.port
    where = f"port {port}/{service.protocol.name}" + (f" at {service.address}" if service.address else "")
    try:
        _set_options(opened, service)
        address = None if service.caught else service.address  # the kernel brings what it watches
        opened.bind(_name(opened, address, port))
        _join(opened, address)
        if prepare is not None:
            prepare(opened)
        if service.socket_type in (SocketType.STREAM, SocketType.SEQPACKET):
            opened.listen(backlog)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            single = service.address is not None and service.address.value != 0
            raise AddressInUse(where, _holders(service, opened, port), single=single) from error
        raise BindFailed(f"{where}: {error.strerror}", error.errno or 0) from error
    opened.setblocking(_shared(service))
    return Listener(opened, notice)


def _shared(service: Service) -> bool:
    """Whether a server gets this very socket. Sensors and internal services have none, and intercepted ones another: we
    accept, `wait` or not."""
    ours = service.sensor or Type.INTERNAL in service.type or not service.wait or Flag.INTERCEPT in service.flags
    return service.socket_type is not SocketType.STREAM or not ours


def _set_options(opened: socket.socket, service: Service) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, service.v6only)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if service.socket_type is SocketType.STREAM:  # accepted sockets inherit both
        if Flag.NODELAY in service.flags and service.protocol.number in TCP_PROTOCOLS:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if Flag.KEEPALIVE in service.flags:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _name(opened: socket.socket, address: Address | None, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The sockaddr to bind: *address*, or the family's wildcard."""
    if opened.family == socket.AF_INET:
        return (address.text if address else "0.0.0.0", port)
    if address is None:
        return ("::", port, 0, 0)
    text, _, scope = address.text.partition("%")
    return (f"{MAPPED}{text}" if address.version == 4 else text, port, 0, _interface(scope))


def _interface(scope: str) -> int:
    if not scope:
        return 0
    return int(scope) if scope.isdigit() else socket.if_nametoindex(scope)


def _join(opened: socket.socket, address: Address | None) -> None:
    """Become a member of the group, where the address is one: bound alone it would receive nothing (ip(7), ipv6(7))."""
    if address is None or address.value not in MULTICAST[address.version]:
        return
    if address.version == 4:
        member = socket.inet_pton(socket.AF_INET, address.text) + bytes(4)  # on the interface that the routes say
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    else:
        text, _, scope = address.text.partition("%")
        member = socket.inet_pton(socket.AF_INET6, text) + struct.pack("@I", _interface(scope))
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)


def _holders(service: Service, opened: socket.socket, port: int) -> list[Holder]:
    """Who has the port: nobody is named where the kernel does not tell, and the bind error stands all the same."""
    wanted = service.address
    if wanted is None and opened.family == socket.AF_INET:
        wanted = Address(4, 0, "0.0.0.0")
    try:
        return holders(service.protocol.number, wanted, port)
    except NetlinkError:
        return []
