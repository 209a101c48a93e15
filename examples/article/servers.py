"""The example's real servers: Twisted's FTP and POP3, speaking on descriptor 0 as inetd has handed it over.

    servers.py ftp DIRECTORY     anonymous FTP, reading only
    servers.py pop3 MAILDIRS     POP3 for alice, password wonderland, her mail in MAILDIRS/alice

Both need no rights, so that an ordinary user can try the example; a host would rather have its own vsftpd and popa3d.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.mail.maildir import MaildirMailbox
from twisted.mail.pop3 import POP3, IMailbox
from twisted.protocols.ftp import FTPFactory, FTPRealm


class Mailboxes:
    """The realm of POP3: one Maildir for each user."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def requestAvatar(self, user: bytes, mind: object, *interfaces: Any) -> tuple[Any, Any, Callable[[], None]]:
        return IMailbox, MaildirMailbox(os.path.join(self._directory, user.decode())), lambda: None


class MailFactory(Factory):
    """Makes POP3 sessions against *portal*."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def buildProtocol(self, address: Any) -> POP3:
        session = POP3()
        session.factory = self
        session.portal = self._portal
        return session


def ftp(directory: str) -> Factory:
    """Anonymous FTP of *directory*."""
    factory = FTPFactory(Portal(FTPRealm(directory), [AllowAnonymousAccess()]))
    factory.welcomeMessage = "sentinetd's example, served by Twisted"
    return factory


def pop3(directory: str) -> Factory:
    """POP3 of the Maildirs below *directory*."""
    return MailFactory(Portal(Mailboxes(directory), [InMemoryUsernamePasswordDatabaseDontUse(alice=b"wonderland")]))


def serve(factory: Factory) -> None:
    """Carry out the session on descriptor 0, then end."""
    build = factory.buildProtocol

    def built(address: Any) -> Any:
        session = build(address)
        lost = session.connectionLost

        def ended(*reason: Any) -> None:
            lost(*reason)
            reactor.callLater(0, reactor.stop)

        session.connectionLost = ended
        return session

    factory.buildProtocol = built
    connection = socket.socket(fileno=os.dup(0))
    connection.setblocking(False)
    reactor.adoptStreamConnection(connection.fileno(), connection.family, factory)
    connection.close()
    # From here on nothing but the protocol may reach the client: what Python would print goes nowhere.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    reactor.run(installSignalHandlers=False)


SERVERS = {"ftp": ftp, "pop3": pop3}

if __name__ == "__main__":
    serve(SERVERS[sys.argv[1]](sys.argv[2]))
