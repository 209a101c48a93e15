"""An FTP server on descriptor 0, as an inetd hands it over: ``ftpd.py DIRECTORY``.

pyftpdlib, for anonymous users, reading only. It needs no rights, so that an ordinary user can try the example; a host
would rather have its own vsftpd or proftpd here.
"""

from __future__ import annotations

import os
import socket
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.ioloop import IOLoop


class Alone:
    """What a session of pyftpdlib asks its server for, where there is no server but inetd."""

    def __init__(self, connection: socket.socket) -> None:
        self.ip_map: list[str] = []
        self.socket = connection  # asked for its family only
        self.backlog = 5  # of the listener of a passive transfer

    def _accept_new_cons(self) -> bool:
        return True


class Session(FTPHandler):  # type: ignore[misc]
    """One client's session."""

    authorizer = DummyAuthorizer()
    banner = "sentinetd's example"


def main(directory: str) -> None:
    """Serve *directory* until the client has gone."""
    connection = socket.socket(fileno=os.dup(0))
    connection.setblocking(False)
    # From here on nothing but the protocol may reach the client: what Python would print goes nowhere.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    Session.authorizer.add_anonymous(directory)
    loop = IOLoop.instance()
    session = Session(connection, Alone(connection), ioloop=loop)
    session.handle()
    while session.connected:
        loop.loop(timeout=1, blocking=False)


if __name__ == "__main__":
    main(sys.argv[1])
