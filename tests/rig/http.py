"""What a client of a web server sees."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from rig.client import PATIENCE, family_of
from rig.network import Lab


class Browser:
    """A connection that is kept open for one request after the other."""

    def __init__(self, lab: Lab, host: str, port: int, source: str) -> None:
        self._host = host
        self._socket = lab.namespace_of(source).socket(family_of(host), socket.SOCK_STREAM)
        try:
            self._socket.settimeout(PATIENCE)
            self._socket.bind((source, 0))
            self._socket.connect((host, port))
        except BaseException:
            self._socket.close()
            raise

    def get(self) -> str:
        """The body of an answer."""
        self._socket.sendall(f"GET / HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data or not data.endswith(b"\n"):
            part = self._socket.recv(4096)
            if not part:
                break
            data += part
        return data.partition(b"\r\n\r\n")[2].decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()


def page(lab: Lab, host: str, port: int, source: str) -> str:
    """The page that *source* gets, or ``refused``, or ``silence``."""
    try:
        with Browser(lab, host, port, source) as browser:
            return browser.get()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silence"


def answered(lab: Lab, host: str, port: int, source: str) -> bool:
    """Whether a SYN of *source* is answered at all, before it has to be sent again (after a second, RFC 6298)."""
    family = family_of(host)
    with lab.namespace_of(source).socket(family, socket.SOCK_STREAM) as client:
        client.bind((source, 0))
        client.setblocking(False)
        client.connect_ex((host, port))
        state, retransmits = 2, 0
        while state == 2 and not retransmits:  # TCP_SYN_SENT
            told = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            state, retransmits = told[0], told[2]
        return not retransmits
