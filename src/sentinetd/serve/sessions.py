"""The connections the porter carries: a bounded table, ended one by one, by their time-outs, or all at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from sentinetd.model.routine import Ending
from sentinetd.serve.flow import Buffer, Flow

if TYPE_CHECKING:
    import asyncio

Told = Callable[[int, int, int, Ending, str], None]
"""Told once at a session's end: its number, bytes from and to the client, why, and the error in words or ""."""

SWEEP = 1.0
"""Seconds between two looks for sessions whose time is over; so exact are their time-outs."""
LINGER = 2.0
"""Seconds in which a client may read what was sent to it last, while what it still sends is thrown away."""


def in_words(error: OSError) -> str:
    """What went wrong, as strerror(3) says it."""
    return os.strerror(error.errno) if error.errno else str(error.strerror)


class Session:
    """One connection, which it owns. Subclasses begin it and say what has moved."""

    __slots__ = ("_blocking", "_last", "_lingering", "_sessions", "client", "due", "idle", "number")

    def __init__(self, sessions: Sessions, number: int, client: socket.socket, idle: float = 0.0) -> None:
        self._blocking = os.get_blocking(client.fileno())
        client.setblocking(False)
        self._sessions = sessions
        self.number = number
        self.client = client
        self.idle = idle
        """Seconds of silence that end the session; 0: any are allowed."""
        self.due = sessions.loop.time() + idle if idle else 0.0
        """When, on the loop's clock, the session ends unless it stirs; 0: never."""
        self._lingering: Flow | None = None
        self._last = Ending.TIMEOUT, ""
        sessions.admit(self)

    @property
    def open(self) -> bool:
        """Whether the session still goes on."""
        return self.client.fileno() >= 0

    def moved(self) -> tuple[int, int]:
        """Bytes from the client, bytes to the client."""
        raise NotImplementedError

    def stirred(self) -> bool:
        """Whether something moved since this was asked last."""
        return False

    def release(self) -> None:
        """Stop watching and close whatever the session holds beside its client."""

    def end(self, ending: Ending, error: str = "") -> None:
        """Close everything and tell; nothing if that was done before."""
        if not self.open:
            return
        bytes_in, bytes_out = self.moved()
        self._close()
        if self._lingering is not None:
            bytes_in += self._lingering.moved
        self._sessions.ended(self, bytes_in, bytes_out, ending, error)

    def hand_back(self) -> None:
        """Close everything and do not tell: the guard hears of it in another way, and goes on with the connection."""
        self.client.setblocking(True)  # the mode is the open file's, which the guard and soon the server share
        self._close()
        self._sessions.forget(self)

    def _close(self) -> None:
        self.release()
        if self._lingering is not None:
            self._lingering.stop()
        os.set_blocking(self.client.fileno(), self._blocking)  # the guard's copy, and its server's, share that
        self.client.close()

    def limit(self, seconds: float, ending: Ending = Ending.TIMEOUT, error: str = "") -> None:
        """End in this way in *seconds*, counted again from whenever the session stirs if silence ends it; 0: never."""
        self._last = ending, error
        self.due = self._sessions.loop.time() + seconds if seconds else 0.0
        self._sessions.watch(self)

    def overdue(self) -> None:
        """Its time is over."""
        self.end(*self._last)

    def _left(self, error: OSError | None) -> None:
        self.end(*self._last)

    def linger(self, ending: Ending, error: str = "") -> None:
        """Send no more, then end in this way, but not before the client has had time to read.

        To close a socket with bytes unread resets the connection and destroys what is still on its way (tcp(7)).
        """
        self.release()
        try:
            self.client.shutdown(socket.SHUT_WR)
        except OSError as gone:
            self.end(Ending.RESET, in_words(gone))
            return
        self.idle = 0.0
        self.limit(LINGER, ending, error)
        self._lingering = Flow(self._sessions.loop, self._sessions.buffer, self.client, None, self._left, self._left)


class Sessions:
    """All sessions of a porter. At most *most* at once: `full` is to be asked before one is made."""

    def __init__(self, loop: asyncio.AbstractEventLoop, told: Told, most: int) -> None:
        self.loop = loop
        self.buffer = Buffer()
        self._told = told
        self._most = most
        self._table: dict[int, Session] = {}
        self._timed: dict[int, Session] = {}
        self._sweeping = False

    def __len__(self) -> int:
        return len(self._table)

    @property
    def full(self) -> bool:
        """Whether no more can be admitted."""
        return len(self._table) >= self._most

    def holds(self, number: int) -> bool:
        """Whether a session of this number goes on."""
        return number in self._table

    def admit(self, session: Session) -> None:
        """Keep *session* until it ends."""
        self._table[session.number] = session
        self.watch(session)

    def watch(self, session: Session) -> None:
        """End *session* when it is due, if that is ever."""
        if not session.due:
            self._timed.pop(session.number, None)
            return
        self._timed[session.number] = session
        if not self._sweeping:
            self._sweeping = True
            self.loop.call_later(SWEEP, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        for session in tuple(self._timed.values()):
            if session.idle and session.stirred():
                session.due = now + session.idle
            elif session.due <= now:
                session.overdue()
        self._sweeping = bool(self._timed)
        if self._sweeping:
            self.loop.call_later(SWEEP, self._sweep)

    def ended(self, session: Session, bytes_in: int, bytes_out: int, ending: Ending, error: str) -> None:
        """Forget *session* and tell of its end."""
        self.forget(session)
        self._told(session.number, bytes_in, bytes_out, ending, error)

    def forget(self, session: Session) -> None:
        """Keep *session* no longer."""
        del self._table[session.number]
        self._timed.pop(session.number, None)

    def stop(self, number: int) -> None:
        """End the session *number*, if it still goes on."""
        if (session := self._table.get(number)) is not None:
            session.end(Ending.STOPPED)

    def stop_all(self) -> None:
        """End every session."""
        for session in tuple(self._table.values()):
            session.end(Ending.STOPPED)
