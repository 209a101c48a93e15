"""Questions and orders to the kernel over netlink(7): one request, all its answers, read to the end.

Nothing here waits for anybody but the kernel, which fills each answer while it is being read.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from sentinetd.errors import EdgeError

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
NUMBER = struct.Struct("=i")  # of nlmsgerr and NLMSG_DONE: 0 or a negative errno

REQUEST, ACK, DUMP, DUMP_INTERRUPTED = 0x001, 0x004, 0x300, 0x010  # NLM_F_*
EXCLUSIVE, CREATE = 0x200, 0x400  # NLM_F_*, of what makes something
ERROR, DONE, FIRST_OF_PROTOCOL = 2, 3, 16  # NLMSG_*

TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
ATTEMPTS = 5  # a dump is asked for again when what it tells of changed under it
KERNEL_SECONDS = 5.0  # an answer is written while it is read: one that takes longer never comes


class NetlinkError(EdgeError):
    """The kernel did not answer, or answered with an error; *errno* says which (0: no answer)."""

    def __init__(self, question: str, number: int) -> None:
        super().__init__(f"{question}: {os.strerror(number) if number else 'the kernel did not answer'}")
        self.errno = number


def dump(protocol: int, kind: int, body: bytes, question: str) -> list[tuple[int, bytes]]:
    """All answers to a dump request of type *kind*: (message type, payload).

    *question* says in words what is asked and begins the text of a `NetlinkError`. A dump that was interrupted by a
    change is read again, a few times: the last reading is as good as the kernel gives.
    """
    answers: list[tuple[int, bytes]] = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as asked:
            asked.settimeout(KERNEL_SECONDS)
            asked.bind((0, 0))
            for sequence in range(1, ATTEMPTS + 1):
                header = HEADER.pack(HEADER.size + len(body), kind, REQUEST | DUMP, sequence, 0)
                asked.sendto(header + body, (0, 0))
                answers, whole = _answers(asked, sequence, question)
                if whole:
                    break
    except TimeoutError as error:
        raise NetlinkError(question, 0) from error
    except OSError as error:
        raise NetlinkError(question, error.errno or 0) from error
    return answers


def order(protocol: int, kind: int, flags: int, body: bytes, purpose: str) -> None:
    """Have the kernel do what a request of type *kind* says. *purpose* begins the text of a `NetlinkError`."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as asked:
            asked.settimeout(KERNEL_SECONDS)
            asked.bind((0, 0))
            asked.sendto(HEADER.pack(HEADER.size + len(body), kind, REQUEST | ACK | flags, 1, 0) + body, (0, 0))
            _answers(asked, 1, purpose)
    except TimeoutError as error:
        raise NetlinkError(purpose, 0) from error
    except OSError as error:
        raise NetlinkError(purpose, error.errno or 0) from error


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(length, kind) + value + bytes(-length & 3)


def _answers(asked: socket.socket, sequence: int, question: str) -> tuple[list[tuple[int, bytes]], bool]:
    """The answers that carry *sequence*, and whether nothing changed while they were written."""
    answers: list[tuple[int, bytes]] = []
    whole = True
    while True:
        data, (sender, _groups) = asked.recvfrom(1 << 18)
        if sender != 0:
            continue  # any process may send to our port; the kernel is number 0
        for kind, flags, number, payload in messages(data):
            if number != sequence:
                continue
            if flags & DUMP_INTERRUPTED:
                whole = False
            if kind in (DONE, ERROR):
                code = NUMBER.unpack_from(payload)[0]
                if code < 0:
                    raise NetlinkError(question, -code)
                return answers, whole
            if kind >= FIRST_OF_PROTOCOL:
                answers.append((kind, payload))


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The messages of one netlink datagram: (type, flags, sequence, payload)."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield kind, flags, sequence, data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def attributes(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The attributes of a message from *offset* on, in their order: (type, value)."""
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < ATTRIBUTE.size:
            return
        yield kind & TYPE_MASK, data[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
