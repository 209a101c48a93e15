"""The example's real servers, speaking on descriptor 0 as an inetd hands it over.

    servers.py ftp DIRECTORY     anonymous FTP, reading only (pyftpdlib)
    servers.py pop3 MAILDIRS     POP3 for alice, password wonderland, her mail in MAILDIRS/alice (Twisted)

Both need no rights, so that an ordinary user can try the example; a host would rather have its own vsftpd and popa3d.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any


class Alone:
    """What a session of pyftpdlib asks its server for, where there is no server but inetd."""

    def __init__(self, connection: socket.socket) -> None:
        self.ip_map: list[str] = []
        self.socket = connection  # asked for its family only

    def _accept_new_cons(self) -> bool:
        return True


def ftp(connection: socket.socket, directory: str) -> None:
    """Serve *directory* to anonymous users until the session ends."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.ioloop import IOLoop

    class Session(FTPHandler):  # type: ignore[misc]
        authorizer = DummyAuthorizer()
        banner = "sentinetd's example"

    Session.authorizer.add_anonymous(directory)
    loop = IOLoop.instance()
    session = Session(connection, Alone(connection), ioloop=loop)
    session.handle()
    while session.connected:
        loop.loop(timeout=1, blocking=False)


def pop3(connection: socket.socket, directory: str) -> None:
    """Serve the Maildirs below *directory* until the session ends."""
    from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
    from twisted.cred.portal import Portal
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory
    from twisted.mail.maildir import MaildirMailbox
    from twisted.mail.pop3 import POP3, IMailbox

    class Mailboxes:
        def requestAvatar(self, user: bytes, mind: object, *kinds: Any) -> tuple[Any, Any, Callable[[], None]]:
            return IMailbox, MaildirMailbox(os.path.join(directory, user.decode())), lambda: None

    class Session(POP3):  # type: ignore[misc]
        portal = Portal(Mailboxes(), [InMemoryUsernamePasswordDatabaseDontUse(alice=b"wonderland")])

        def connectionLost(self, reason: Any) -> None:
            super().connectionLost(reason)
            reactor.stop()  # type: ignore[attr-defined]

    reactor.adoptStreamConnection(connection.fileno(), connection.family, Factory.forProtocol(Session))  # type: ignore[attr-defined]
    connection.close()
    reactor.run(installSignalHandlers=False)  # type: ignore[attr-defined]


SERVERS = {"ftp": ftp, "pop3": pop3}

if __name__ == "__main__":
    client = socket.socket(fileno=os.dup(0))
    client.setblocking(False)
    # From here on nothing but the protocol may reach the client: what Python would print goes nowhere.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    SERVERS[sys.argv[1]](client, sys.argv[2])
