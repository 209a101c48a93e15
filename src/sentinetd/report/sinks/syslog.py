"""The system's log: datagrams to ``/dev/log`` in the shape of syslog(3) (RFC 3164). Never waits for the server."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache

from sentinetd.errors import EdgeError
from sentinetd.model.events import Level

SOCKET = "/dev/log"
LATEST = 253_402_214_400
"""The last day of the year 9999 as Unix time; later ones are told as this."""
MOST_WAITING = 10_000
"""Messages kept while the server does not take them; the oldest go first."""

FACILITIES = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8,
    "cron": 9, "authpriv": 10, "ftp": 11,
    "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}  # fmt: skip
"""syslog(3), facility."""
SEVERITIES = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
"""syslog(3), level."""
SEVERITY_OF = {
    Level.DEBUG: 7,
    Level.INFO: 6,
    Level.NOTICE: 5,
    Level.WARNING: 4,
    Level.ERROR: 3,
    Level.CRITICAL: 2,
}
"""xinetd's levels as those of syslog(3)."""


class SystemLog:
    """Sends as program *ident* with process number *pid*; `close` closes its socket.

    *facility* and *level* are names of syslog(3), in any case; without *level* each message has its own. EdgeError if
    there is no such name. A server that is away or slow is told once; when it takes messages again, so is how many
    were lost.
    """

    def __init__(self, ident: str, pid: int, facility: str, level: str = "", path: str = SOCKET) -> None:
        number = FACILITIES.get(facility.lower())
        severity = SEVERITIES.get(level.lower()) if level else None
        if number is None or (level and severity is None):
            raise EdgeError(f"no facility and level {facility} {level} in syslog(3)")
        self._priority = number << 3
        self._severity = severity
        self._sender = f"{ident}[{pid}]"
        self._path = path
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._failing = False

    def put(self, at: float, level: Level, text: str) -> None:
        """Take a message for the next `flush`."""
        severity = SEVERITY_OF[level] if self._severity is None else self._severity
        line = f"<{self._priority | severity}>{stamp(int(at))} {self._sender}: {text}"
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(line.encode("ascii", "backslashreplace"))

    def put_all(self, at: float, level: Level, texts: Sequence[str]) -> None:
        """The same for each of *texts*."""
        for text in texts:
            self.put(at, level, text)

    @property
    def waiting(self) -> int:
        """Messages that the server has not taken yet; `flush` tries them again."""
        return len(self._waiting)

    def flush(self) -> Sequence[str]:
        """Send what was put, as far as the server takes it. Gives what is to be told of the log itself."""
        reconnected = False
        while self._waiting:
            try:
                self._send(self._waiting[0])
            except OSError as error:
                self._disconnect(error)
                if self._socket is None and not reconnected and not isinstance(error, FileNotFoundError):
                    reconnected = True  # the server was begun anew, as at every rotation of its own logs
                    continue
                if self._failing or isinstance(error, BlockingIOError):
                    return self._overflowed()
                self._failing = True
                return (f"system log at {self._path} cannot be reached: {error.strerror}",)
            self._waiting.popleft()
        return self._mended()

    def fileno(self) -> int | None:
        """The descriptor to watch for writing while messages wait; None: there is no connection, try later."""
        return None if self._socket is None else self._socket.fileno()

    def close(self) -> Sequence[str]:
        """Close the socket; what still waits is lost. Gives what is left to tell."""
        self._hang_up()
        lost = self._lost + len(self._waiting)
        return (f"system log at {self._path}: {lost} messages were lost",) if lost else ()

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: bytes) -> None:
        if self._socket is None:
            fresh = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                fresh.setblocking(False)
                fresh.connect(self._path)
            except OSError:
                fresh.close()
                raise
            self._socket = fresh
        self._socket.send(message)

    def _disconnect(self, error: OSError) -> None:
        """After any error but a full queue the socket is of no further use."""
        if not isinstance(error, BlockingIOError):
            self._hang_up()

    def _overflowed(self) -> Sequence[str]:
        if self._lost and not self._failing:
            self._failing = True
            return (f"system log at {self._path} takes too few messages, the oldest are lost",)
        return ()

    def _mended(self) -> Sequence[str]:
        if not (self._failing or self._lost):
            return ()
        lost, self._lost, self._failing = self._lost, 0, False
        return (f"system log at {self._path} works again, {lost} messages were lost",)


@lru_cache(maxsize=4)
def stamp(second: int) -> str:
    """Unix time *second* as RFC 3164 section 4.1.2 has it: local time, ``Nov  3 08:05:01``."""
    now = time.localtime(min(max(second, 0), LATEST))
    return f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
