"""The multiplexer of RFC 1078: a client names the service it wants in its first line.

The porter reads that line and not a byte more, for what follows belongs to the service. It answers what needs no
service; a name that there is goes to the guard, which still holds the connection, judges again and starts the server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from sentinetd.model.noun import dataclass
from sentinetd.model.routine import Ending
from sentinetd.serve.sessions import Session, in_words

if TYPE_CHECKING:
    from sentinetd.serve.sessions import Sessions

GO = b"+Go\r\n"
"""What a service of type TCPMUXPLUS wants said before it begins; the guard says it when nothing objects any more."""
NOT_FOUND = b"-Service name not found\r\n"
LONGEST_NAME = 255
"""Bytes of a name; RFC 1078 sets no limit."""
HELP = "help"
"""The name that asks for the names there are (RFC 1078); case does not count, as in all names."""


@dataclass(frozen=True, slots=True)
class Line:
    """A name as it was sent. *length*: bytes of the line with its end."""

    name: str
    length: int


def read_line(data: bytes) -> Line | None:
    """The name at the beginning of *data*, up to LF or CR LF; None while its end has not come.

    ValueError if it can no longer become one: too long, or bytes that are not printable ASCII.
    """
    end = data.find(b"\n")
    line = data if end < 0 else data[:end]
    line = line[:-1] if line.endswith(b"\r") else line
    if len(line) > LONGEST_NAME:
        raise ValueError(f"a name of more than {LONGEST_NAME} bytes")
    if not all(0x20 <= byte < 0x7F for byte in line):
        raise ValueError("a name with bytes that are not printable ASCII")
    return None if end < 0 else Line(line.decode("ascii"), end + 1)


def listing(names: Collection[str]) -> bytes:
    """The answer to HELP: one name a line (RFC 1078)."""
    return b"".join(name.encode("ascii", "replace") + b"\r\n" for name in sorted(names))


class Multiplexer(Session):
    """Waits for the name. *names* are the multiplexed services' own, in lower case; *chosen* is told which it is."""

    __slots__ = ("_answer", "_chosen", "_ending", "_names", "_said", "_sent")

    def __init__(
        self,
        sessions: Sessions,
        number: int,
        client: socket.socket,
        seconds: float,
        names: Collection[str],
        chosen: Callable[[int, str], None],
    ) -> None:
        super().__init__(sessions, number, client, seconds)
        self._names = names
        self._chosen = chosen
        self._said = b""
        self._answer = b""
        self._ending = Ending.CLOSED
        self._sent = 0
        sessions.loop.add_reader(client.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = self.client.recv(LONGEST_NAME + 2, socket.MSG_PEEK)
            if not data:
                self.end(Ending.CLOSED)
                return
            before = len(self._said)
            line = read_line(self._said + data)
            taken = self.client.recv(len(data) if line is None else line.length - before)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return
        except ValueError as error:
            self.end(Ending.REFUSED, str(error))
            return
        self._said += taken
        if line is not None:
            self._serve(line.name.lower())

    def _serve(self, name: str) -> None:
        if name in self._names:
            self.hand_back()
            self._chosen(self.number, name)
            return
        self._answer, self._ending = (
            (listing(self._names), Ending.CLOSED) if name == HELP else (NOT_FOUND, Ending.REFUSED)
        )
        self._sessions.loop.remove_reader(self.client.fileno())
        self._sessions.loop.add_writer(self.client.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._sent += self.client.send(self._answer[self._sent :])
        except BlockingIOError:
            return
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return
        if self._sent == len(self._answer):
            self.linger(self._ending)

    def moved(self) -> tuple[int, int]:
        return len(self._said), self._sent

    def release(self) -> None:
        self._sessions.loop.remove_reader(self.client.fileno())
        self._sessions.loop.remove_writer(self.client.fileno())
