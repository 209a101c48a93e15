"""A file said to a client, as the guard opened it: banners, and texts that the guard itself made up."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from sentinetd.model.routine import Ending
from sentinetd.serve.sessions import Session, in_words

if TYPE_CHECKING:
    from sentinetd.serve.sessions import Sessions

CHUNK = 65_536
"""Bytes in one turn."""


class Banner(Session):
    """Sends the file *descriptor*, which it owns, from its beginning to its end, all of it within *seconds*.

    *last*: nothing else is said to this client; otherwise its connection is left as it is for the guard to go on with.
    """

    __slots__ = ("_at", "_descriptor", "_final")

    def __init__(
        self, sessions: Sessions, number: int, client: socket.socket, seconds: float, descriptor: int, last: bool
    ) -> None:
        super().__init__(sessions, number, client, seconds)
        self._descriptor = descriptor
        self._final = last
        self._at = 0
        sessions.loop.add_writer(client.fileno(), self._write)

    def _write(self) -> None:
        try:
            sent = os.sendfile(self.client.fileno(), self._descriptor, self._at, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return
        self._at += sent
        if sent:
            return
        if self._final:
            self.linger(Ending.CLOSED)
        else:
            self.end(Ending.CLOSED)

    def moved(self) -> tuple[int, int]:
        return 0, self._at

    def release(self) -> None:
        if self._descriptor >= 0:
            self._sessions.loop.remove_writer(self.client.fileno())
            os.close(self._descriptor)
            self._descriptor = -1
