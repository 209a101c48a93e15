"""systemd's journal, by its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): one datagram an event.

It has a form of its own, fields and values. What is too long for a datagram goes as a sealed file in memory.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Sequence

from sentinetd.errors import EdgeError
from sentinetd.model.alert import JournalTarget
from sentinetd.ports import Message
from sentinetd.report.formats.journald import journal_entry
from sentinetd.report.sinks.making import Making

F_ADD_SEALS = 1033
ALL_SEALS = 0x000F  # seal, shrink, grow, write (fcntl(2)): the journal takes no other


class AlertJournal:
    """Owns its socket."""

    most = 100

    def __init__(self, target: JournalTarget, making: Making) -> None:
        self._path = target.socket
        self._observer = making.observer
        self._socket: socket.socket | None = None
        self._sent = 0  # messages of the delivery under way that are gone: they are not sent again

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Send *messages* from where the last, failed delivery of the same ones had come to."""
        try:
            sock = self._connected()
            for message in messages[self._sent :]:
                await self._send(sock, journal_entry(message.event, self._observer()))
                self._sent += 1
        except OSError as error:
            self._drop()
            raise EdgeError(f"{self._path}: {error.strerror or error}") from error
        self._sent = 0

    async def _send(self, sock: socket.socket, data: bytes) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(sock, data)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_file(sock, data)

    @staticmethod
    def _send_file(sock: socket.socket, data: bytes) -> None:
        number = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(number, "wb", closefd=False) as file:
                file.write(data)
            fcntl.fcntl(number, F_ADD_SEALS, ALL_SEALS)
            sock.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [number]))])
        finally:
            os.close(number)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            fresh = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            fresh.setblocking(False)
            self._socket = fresh
            fresh.connect(self._path)
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def close(self) -> None:
        """Close the socket."""
        self._drop()
