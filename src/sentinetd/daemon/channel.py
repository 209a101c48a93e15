"""One end of a SOCK_SEQPACKET pair between two of our processes: batches of typed messages, descriptors with them.

A packet is the JSON list ``[sequence, [[kind, fields, ...], ...]]``, where messages of one kind that follow each other
share its name, and trips are gathered in runs; *sequence* numbers the last message. Never blocks. The owner watches
`fileno()`: for reading, and for writing after `send` gave False.
"""

from __future__ import annotations

import json
import select
import socket
from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sentinetd.errors import EdgeError, MessageError
from sentinetd.model.trip_run import TripRun, gathered
from sentinetd.model.wire import packer, reader

PACKET = 131_072
"""Longest packet in bytes. The kernel refuses one that is longer than half its socket buffer."""
DESCRIPTORS = 16
"""Most descriptors that come with one packet."""
ROOM = socket.CMSG_SPACE(4 * DESCRIPTORS)
"""Bytes of the control message that brings them."""
CUT_OFF = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
"""What recvmsg(2) tells of a packet that found no room; a plain number, for the library's flags are slow to join."""


class ChannelClosed(EdgeError):
    """The process at the other end is gone."""


class Channel:
    """Owns the socket; `close` closes it. *accepts* are the classes of messages that may arrive."""

    def __init__(self, sock: socket.socket, accepts: Iterable[type[Any]]) -> None:
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 4 * PACKET)
        self._sock = sock
        self._room = select.poll()
        self._room.register(sock, select.POLLOUT)
        self._accepts = {kind.__name__: kind for kind in accepts}

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._sock.fileno()

    def hold(self, size: int) -> None:
        """Hold about *size* bytes that the other end has not read, at least `PACKET`, instead of four times as many."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def keeps_up(self) -> bool:
        """Whether the other end has read most of what it was sent: all but a quarter of what the socket takes, as the
        kernel counts (unix_writable() in net/unix/af_unix.c). Then `fileno()` is writable, too."""
        return bool(self._room.poll(0))

    def send(self, sequence: int, messages: Sequence[Any], descriptors: Sequence[int] = ()) -> bool:
        """Send *messages* as one packet; False if the other end is not reading fast enough and nothing was sent.

        ChannelClosed if it is gone, MessageError if the packet would be too long: send fewer at once.
        """
        return self.send_packet(encode(sequence, messages), descriptors)

    def send_packet(self, packet: bytes | memoryview, descriptors: Sequence[int] = ()) -> bool:
        """Send *packet*, which `encode` made; as `send`."""
        if len(packet) > PACKET:
            raise MessageError(f"a packet of {len(packet)} bytes; {PACKET} is the most")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        try:
            self._sock.sendmsg([packet], rights)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ChannelClosed(error.strerror or str(error)) from error
        return True

    def receive(self) -> tuple[int, list[Any], list[int]] | None:
        """The next packet: sequence of its last message, the messages, descriptors now owned by the caller.

        None if nothing waits. ChannelClosed at the end, MessageError (all descriptors closed) if it is malformed.
        """
        try:
            packet, ancillary, flags, _ = self._receive()
        except BlockingIOError:
            return None
        except OSError as error:
            raise ChannelClosed(error.strerror or str(error)) from error
        descriptors = array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        try:
            if not packet:
                raise ChannelClosed("closed by the other end")
            if flags & CUT_OFF:
                raise MessageError("packet or descriptors cut off")
            sequence, messages = decode(packet, self._accepts)
        except (MessageError, ChannelClosed):
            for descriptor in descriptors:
                socket.close(descriptor)
            raise
        return sequence, messages, list(descriptors)

    def _receive(self) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """One packet from the kernel.

        Whoever dies with packets of ours unread leaves us ECONNRESET, once and before what he had sent; that is
        still there to be read (Linux, net/unix/af_unix.c).
        """
        try:
            return self._sock.recvmsg(PACKET, ROOM, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return self._sock.recvmsg(PACKET, ROOM, socket.MSG_CMSG_CLOEXEC)

    def close(self) -> None:
        """Close the socket; the other end reads the end."""
        self._sock.close()


def encode(sequence: int, messages: Sequence[Any]) -> bytes:
    """The packet that carries *messages*."""
    runs = [(kind.__name__, *map(packer(kind), run)) for kind, run in groupby(gathered(messages), type)]
    return json.dumps((sequence, runs), separators=(",", ":")).encode()


def decode(packet: bytes, accepts: dict[str, type[Any]]) -> tuple[int, list[Any]]:
    """What `encode` made *packet* of, trips in tables; MessageError unless it is exactly of that form."""
    try:
        value = json.loads(packet)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON: {error}") from None
    if not (isinstance(value, list) and len(value) == 2 and type(value[0]) is int and isinstance(value[1], list)):
        raise MessageError("a packet is a sequence number and a list")
    messages: list[Any] = []
    for run in value[1]:
        if not (isinstance(run, list) and len(run) > 1 and isinstance(run[0], str)):
            raise MessageError(f"messages are a kind and their fields, not {run!r:.80}")
        if run[0] not in accepts:
            raise MessageError(f"a message of kind {run[0]!r:.40} may not come here")
        kind = accepts[run[0]]
        found = map(reader(kind), run[1:])
        messages += [one.table() for one in found] if kind is TripRun else found
    return value[0], messages
