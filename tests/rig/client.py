"""What clients do: connect, send, listen. Each call is made from a client address of the lab.

Outcomes are words: what came back, or ``refused`` (no listener), ``closed`` (hung up without a byte; with or
without a reset is the kernel's affair), ``silence`` (nothing before the deadline).
"""

from __future__ import annotations

import errno
import select
import socket
from types import TracebackType
from typing import Self

from rig.network import Lab

PATIENCE = 5.0  # seconds; what is expected comes within milliseconds


def family_of(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Dialogue:
    """One client's connection, held open until it is closed."""

    def __init__(self, lab: Lab, host: str, port: int, source: str) -> None:
        self._socket = lab.namespace_of(source).socket(family_of(host), socket.SOCK_STREAM)
        try:
            self._socket.settimeout(PATIENCE)
            self._socket.bind((source, 0))
            self._socket.connect((host, port))
        except BaseException:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """The client's own port."""
        return int(self._socket.getsockname()[1])

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self, count: int) -> bytes:
        """Exactly *count* bytes, fewer if the other side hung up."""
        data = b""
        while len(data) < count and (piece := self._socket.recv(count - len(data))):
            data += piece
        return data

    def rest(self) -> bytes:
        """All that comes until the other side hangs up."""
        data = b""
        try:
            while piece := self._socket.recv(65536):
                data += piece
        except ConnectionResetError:
            pass  # hung up with bytes of ours unread
        return data

    def silent(self) -> bool:
        """Whether the other side has neither sent anything nor hung up so far."""
        return not select.select([self._socket], [], [], 0.0)[0]

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def converse(lab: Lab, host: str, port: int, source: str, data: bytes = b"", *, finish: bool = True) -> str:
    """Connect, send *data*, end the sending side unless *finish* is false, read to the end: what came, or the word for
    what did not."""
    try:
        with Dialogue(lab, host, port, source) as dialogue:
            try:
                if data:
                    dialogue.send(data)
                if finish:
                    dialogue.finish()
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                    raise
            return dialogue.rest().decode("latin-1") or "closed"
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "closed"
    except TimeoutError:
        return "silence"


class Post:
    """One client's datagram socket."""

    def __init__(self, lab: Lab, source: str) -> None:
        self._socket = lab.namespace_of(source).socket(family_of(source), socket.SOCK_DGRAM)
        self._socket.bind((source, 0))

    def send(self, data: bytes, host: str, port: int) -> None:
        self._socket.sendto(data, (host, port))

    def receive(self, within: float = PATIENCE) -> bytes:
        return self.receive_from(within)[0]

    def receive_from(self, within: float = PATIENCE) -> tuple[bytes, tuple[str, int]]:
        """A datagram, and who sent it."""
        self._socket.settimeout(within)
        data, where = self._socket.recvfrom(65536)
        return data, where[:2]

    def waiting(self) -> bool:
        """Whether an answer has come already."""
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(65536, socket.MSG_PEEK) or True)
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
