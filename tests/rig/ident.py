"""An identification server (RFC 1413) of a client's host: it knows the connections that are open, and no others."""

from __future__ import annotations

import pwd
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from rig.network import Namespace

OPEN = {"01", "04", "05"}
"""States in /proc/net/tcp of a connection that the other end has not closed: established, or closed from here."""


def owner(namespace: Namespace, here: int, there: int) -> str | None:
    """The user who owns the open connection from port *here* to port *there*, as *namespace* knows it."""
    with namespace.entered():
        rows = [line.split() for line in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]]
    for row in rows:
        ports = [int(end.rpartition(":")[2], 16) for end in row[1:3]]
        if ports == [here, there] and row[3] in OPEN:
            return pwd.getpwuid(int(row[7])).pw_name
    return None


class IdentServer:
    """Listens at port 113 of *namespace* while it is entered.

    It answers once `answer` is set, which it is at first; with *hangs_up* it answers nothing and hangs up.
    """

    def __init__(self, namespace: Namespace, *, hangs_up: bool = False) -> None:
        self.answer = threading.Event()
        self.answer.set()
        self.asked: list[str] = []
        self._hangs_up = hangs_up
        self._namespace = namespace
        self._threads: list[threading.Thread] = []
        self._listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", 113))
        self._listener.listen()

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.answer.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _begin(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # shut down
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client:
            question = client.makefile("rb").readline().decode().strip()
            self.asked.append(question)
            self.answer.wait()
            if self._hangs_up:
                return
            here, there = (int(word) for word in question.split(","))
            user = owner(self._namespace, here, there)
            said = f"USERID : UNIX : {user}" if user else "ERROR : NO-USER"
            try:
                client.sendall(f"{here} , {there} : {said}\r\n".encode())
            except (BrokenPipeError, ConnectionResetError):
                return  # nobody waits any more
