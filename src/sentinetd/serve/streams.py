"""The internal stream services that last as long as the client likes: echo, discard, chargen."""

from __future__ import annotations

import socket
from collections.abc import Callable

from sentinetd.model.routine import Ending, Routine
from sentinetd.serve.flow import Flow
from sentinetd.serve.internal import chargen
from sentinetd.serve.sessions import Session, Sessions, in_words


class Echo(Session):
    """What the client sends goes back to it until it sends no more (RFC 862)."""

    __slots__ = ("_flow",)

    def __init__(self, sessions: Sessions, number: int, client: socket.socket, idle: float, position: int) -> None:
        super().__init__(sessions, number, client, idle)
        self._flow = Flow(sessions.loop, sessions.buffer, client, self._sink(), self._ended, self._ended)

    def _sink(self) -> socket.socket | None:
        return self.client

    def _ended(self, error: OSError | None) -> None:
        if error is None:
            self.end(Ending.CLOSED)
        else:
            self.end(Ending.RESET, in_words(error))

    def moved(self) -> tuple[int, int]:
        return self._flow.moved, self._flow.moved

    def stirred(self) -> bool:
        stirred, self._flow.stirred = self._flow.stirred, False
        return stirred

    def release(self) -> None:
        self._flow.stop()


class Discard(Echo):
    """What the client sends is thrown away until it sends no more (RFC 863)."""

    __slots__ = ()

    def _sink(self) -> None:
        return None

    def moved(self) -> tuple[int, int]:
        return self._flow.moved, 0


class Chargen(Session):
    """The pattern from *position* on until the client is gone; what it sends is never read (RFC 864)."""

    __slots__ = ("_at", "_pattern", "_sent", "_stirred")

    def __init__(self, sessions: Sessions, number: int, client: socket.socket, idle: float, position: int) -> None:
        super().__init__(sessions, number, client, idle)
        self._pattern = memoryview(chargen.pattern(position))
        self._at = 0
        self._sent = 0
        self._stirred = False
        sessions.loop.add_writer(client.fileno(), self._write)

    def _write(self) -> None:
        try:
            sent = self.client.send(self._pattern[self._at :])
        except BlockingIOError:
            return
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return
        self._at = (self._at + sent) % len(self._pattern)
        self._sent += sent
        self._stirred = True

    def moved(self) -> tuple[int, int]:
        return 0, self._sent

    def stirred(self) -> bool:
        stirred, self._stirred = self._stirred, False
        return stirred

    def release(self) -> None:
        self._sessions.loop.remove_writer(self.client.fileno())


STREAMS: dict[Routine, Callable[[Sessions, int, socket.socket, float, int], Session]] = {
    Routine.ECHO: Echo,
    Routine.DISCARD: Discard,
    Routine.CHARGEN: Chargen,
}
"""What carries out each routine: sessions, number, client, seconds of silence, position of chargen's pattern."""
