"""Transactions with the kernel's packet filter, over nfnetlink: netlink(7), linux/netfilter/nfnetlink.h.

A transaction is a list of messages that takes effect as a whole or not at all. The kernel works it off while it is
being sent and has answered when that returns, so nothing here waits but for another program's transaction to end.
What messages say is put together in `tables` and `expressions`; what went wrong is a `NetfilterError`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sentinetd.errors import EdgeError
from sentinetd.firewall import framing
from sentinetd.firewall.framing import FAMILY, NUMBER
from sentinetd.model.noun import dataclass

NETLINK_NETFILTER = 12
SOL_NETLINK = 270
ADD_MEMBERSHIP, CAP_ACK, EXT_ACK = 1, 10, 11  # NETLINK_*: socket options
SO_ATTACH_FILTER, SO_SNDBUFFORCE, SO_RCVBUFFORCE = 26, 32, 33  # asm-generic/socket.h
GROUP_NFTABLES = 7  # NFNLGRP_NFTABLES

REQUEST, ACK, DUMP, DUMP_INTERRUPTED = 0x001, 0x004, 0x300, 0x010  # NLM_F_*
EXCLUSIVE, CREATE, APPEND = 0x200, 0x400, 0x800  # NLM_F_*, of what makes something
ERROR, DONE = 2, 3  # NLMSG_*
BATCH_BEGIN, BATCH_END = 0x10, 0x11  # NFNL_MSG_*
NFTABLES = 10  # NFNL_SUBSYS_NFTABLES
INET = 1  # NFPROTO_INET: IPv4 and IPv6

SEND_BYTES, RECEIVE_BYTES = 8 << 20, 4 << 20
AT_ONCE = 1 << 17  # bytes that one datagram of the kernel's has at most
KERNEL_SECONDS = 1.0  # an answer is there when the question is sent: one that takes longer never comes
ATTEMPTS = 5  # a dump is asked for again when what it tells of changed under it
LEFT_OVER = 100_000  # answers that are thrown away at most: the socket has no room for more
LAST_SEQUENCE = 1 << 31
OF_THE_WHOLE = -1
REASONS = {
    0: "the kernel did not answer",
    errno.ENFILE: "the set is full",  # strerror speaks of open files
    errno.EPERM: "not permitted: it takes CAP_NET_ADMIN, and nobody else to own the table",
    errno.EPROTONOSUPPORT: "this kernel has no nfnetlink",
}
"""What an errno means here, where that is not what strerror(3) says."""
TRANSIENT = frozenset({0, errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.ENOMEM})


class NetfilterError(EdgeError):
    """The kernel did not take a transaction or did not answer a question; nothing of the transaction is in force.

    *errno* says which trouble (0: no answer), *index* which message of the transaction met it (`OF_THE_WHOLE`: none in
    particular), *detail* what the kernel adds to that in words, mostly nothing.
    """

    def __init__(self, purpose: str, number: int, index: int = OF_THE_WHOLE, detail: str = "") -> None:
        why = REASONS.get(number) or os.strerror(number)
        where = f" (message {index})" if index != OF_THE_WHOLE else ""
        super().__init__(f"{purpose}: {why}{where}{f': {detail}' if detail else ''}")
        self.errno = number
        self.index = index
        self.detail = detail

    @property
    def transient(self) -> bool:
        """Whether the same may well succeed a moment later: the kernel was busy or short of memory. What became of the
        transaction is not known when the answer was lost (ENOBUFS, 0)."""
        return self.errno in TRANSIENT


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a transaction: its type within nftables (NFT_MSG_*), its attributes, its NLM_F_* flags."""

    kind: int
    body: bytes
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of the kernel: its type within nftables, the address family, the attributes; *port*: who caused it,
    where it is a notice of a change."""

    kind: int
    family: int
    body: bytes
    port: int


class Netfilter:
    """The socket. *port* is its number within netlink: a table with an owner belongs to it."""

    __slots__ = ("_sequence", "_socket", "port")

    def __init__(self) -> None:
        """`NetfilterError` if this kernel has no nfnetlink."""
        try:
            self._socket = _opened()
        except OSError as error:
            raise NetfilterError("opening nfnetlink", error.errno or 0) from error
        self._sequence = 0
        self.port: int = self._socket.getsockname()[0]

    def transact(self, messages: Sequence[Message], purpose: str) -> None:
        """Have all of *messages* take effect at once, in their order. *purpose* begins the text of an error.

        `NetfilterError` if the kernel refused: of several messages that it objects to, the first is told.
        """
        if not messages:
            return
        first = self._numbered(len(messages) + 2)
        last = first + len(messages)
        batch = [framing.request(BATCH_BEGIN, REQUEST, first, socket.AF_UNSPEC, b"", NFTABLES)]
        for sequence, message in enumerate(messages, first + 1):
            flags = message.flags | REQUEST | (ACK if sequence == last else 0)
            batch.append(framing.request(NFTABLES << 8 | message.kind, flags, sequence, INET, message.body))
        batch.append(framing.request(BATCH_END, REQUEST, last + 1, socket.AF_UNSPEC, b"", NFTABLES))
        with _worded(purpose), self._drained():
            self._socket.send(b"".join(batch))
            failed = self._outcome(first, last)
        if failed is not None:
            sequence, code, detail = failed
            raise NetfilterError(purpose, code, sequence - first - 1, detail)

    def _outcome(self, first: int, last: int) -> tuple[int, int, str] | None:
        """The first error among the answers to the messages *first* to *last*: (sequence, errno, the kernel's words);
        None if there is none. What is left of earlier answers is passed over."""
        failed: tuple[int, int, str] | None = None
        while True:
            for kind, flags, sequence, _port, payload in self._received():
                if kind != ERROR or not first <= sequence <= last:
                    continue
                code = -NUMBER.unpack_from(payload)[0]
                if code and failed is None:
                    failed = sequence, code, framing.words(flags, payload)
                # The whole was turned down with its first message, or the last one is answered: no more will come.
                if sequence in (first, last):
                    return failed

    def ask(self, kind: int, body: bytes, purpose: str, *, dump: bool = False) -> list[Answer]:
        """The answers to a question of type *kind*: with *dump* all that there is, else the one thing that is named.

        A dump that was interrupted by a change is read again, a few times: the last reading is as good as the kernel
        gives. `NetfilterError` if there is none, with ENOENT where the thing is not there.
        """
        answers: list[Answer] = []
        for _ in range(ATTEMPTS):
            sequence = self._numbered(1)
            flags = REQUEST | (DUMP if dump else ACK)
            with _worded(purpose), self._drained():
                self._socket.send(framing.request(NFTABLES << 8 | kind, flags, sequence, INET, body))
                answers, code, whole = self._answers(sequence)
            if code:
                raise NetfilterError(purpose, code)
            if whole:
                break
        return answers

    def _answers(self, asked: int) -> tuple[list[Answer], int, bool]:
        """The answers to question *asked*, an errno or 0, and whether nothing changed while they were written."""
        answers: list[Answer] = []
        whole = True
        while True:
            for kind, flags, sequence, port, payload in self._received():
                if sequence != asked:
                    continue
                whole = whole and not flags & DUMP_INTERRUPTED
                if kind in (DONE, ERROR):
                    return answers, -NUMBER.unpack_from(payload)[0], whole
                answers.append(_answer(kind, port, payload))

    def _received(self) -> Iterator[tuple[int, int, int, int, bytes]]:
        """The messages of one datagram that the kernel sent. Any process may send to our port; the kernel is 0."""
        data, (sender, _groups) = self._socket.recvfrom(AT_ONCE)
        return framing.messages(data if sender == 0 else b"")

    @contextmanager
    def _drained(self) -> Iterator[None]:
        """After a failure of the socket nothing stays in it: answers that are left would take the room of the next."""
        try:
            yield
        except OSError:
            self._socket.setblocking(False)
            for _ in range(LEFT_OVER):
                try:
                    self._socket.recv(AT_ONCE)
                except BlockingIOError:
                    break
                except OSError:
                    continue  # that some were lost is known
            self._socket.settimeout(KERNEL_SECONDS)
            raise

    def _numbered(self, count: int) -> int:
        """The first of *count* sequence numbers in a row; a field of 32 bits keeps them."""
        if self._sequence + count >= LAST_SEQUENCE:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += count
        return first

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Let go of the socket. A table that it owns goes too, unless it persists."""
        self._socket.close()


class Watch:
    """Becomes readable when another socket than *port* changed something in nftables."""

    __slots__ = ("_socket",)

    def __init__(self, port: int) -> None:
        """`NetfilterError` if the kernel does not let us listen: it takes CAP_NET_ADMIN."""
        with _worded("watching nftables"):
            self._socket = _opened()
            try:
                _pass_over(self._socket, port)
                self._socket.setblocking(False)
                self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, GROUP_NFTABLES)
            except OSError:
                self._socket.close()
                raise

    def fileno(self) -> int:
        """The descriptor to wait at; -1 once closed."""
        return self._socket.fileno()

    def drain(self, limit: int = 64) -> list[Answer] | None:
        """What was told of since the last call, out of up to *limit* datagrams; None if the kernel had to drop some, so
        that anything may have changed."""
        told: list[Answer] = []
        for _ in range(limit):
            try:
                data, (sender, _groups) = self._socket.recvfrom(AT_ONCE)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise NetfilterError("watching nftables", error.errno or 0) from error
                return None
            for kind, _flags, _sequence, port, payload in framing.messages(data if sender == 0 else b""):
                if kind >> 8 == NFTABLES:
                    told.append(_answer(kind, port, payload))
        return told

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()


@contextmanager
def _worded(purpose: str) -> Iterator[None]:
    """What a socket raises becomes a `NetfilterError`."""
    try:
        yield
    except TimeoutError as error:
        raise NetfilterError(purpose, 0) from error
    except OSError as error:
        raise NetfilterError(purpose, error.errno or 0) from error


def _answer(kind: int, port: int, payload: bytes) -> Answer:
    return Answer(kind & 0xFF, payload[0] if payload else 0, payload[FAMILY.size :], port)


def _opened() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    try:
        opened.settimeout(KERNEL_SECONDS)
        opened.bind((0, 0))
        for option, value in ((SO_SNDBUFFORCE, SEND_BYTES), (SO_RCVBUFFORCE, RECEIVE_BYTES)):
            try:
                opened.setsockopt(socket.SOL_SOCKET, option, value)
            except PermissionError:
                break  # without the right for it no transaction will pass either, and that tells more
        for flag in (CAP_ACK, EXT_ACK):
            opened.setsockopt(SOL_NETLINK, flag, 1)
    except OSError:
        opened.close()
        raise
    return opened


def _pass_over(watching: socket.socket, port: int) -> None:
    """Let *watching* not see what the socket numbered *port* caused: a classic filter on nlmsg_pid, the fourth word of
    the header, which such a filter reads as big-endian (SO_ATTACH_FILTER, socket(7))."""
    load, equal, done = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    steps = ((load, 0, 0, 12), (equal, 0, 1, socket.htonl(port)), (done, 0, 0, 0), (done, 0, 0, 0xFFFFFFFF))
    code = array("B", b"".join(struct.pack("=HBBI", *step) for step in steps))  # keeps its address while we name it
    program = struct.pack("@HP", len(steps), code.buffer_info()[0])  # sock_fprog
    watching.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
