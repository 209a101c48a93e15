"""Which listeners have the kernel refuse sources, and as what: those that a server accepts at by itself always, the
others where bans are kept so."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sentinetd.errors import EdgeError
from sentinetd.model.address import EVERYONE, NOBODY
from sentinetd.model.events import Event, Level, Notice
from sentinetd.model.manner import Manner, manner_of
from sentinetd.model.service import Service, SocketType

if TYPE_CHECKING:
    from sentinetd.net.filter import SourceFilter
    from sentinetd.net.listener import Listener

FILTERED = frozenset({6, 17, 262})
"""Protocols whose listeners the kernel can filter: TCP, UDP, MPTCP (which begins as TCP)."""


class Sieve:
    """*listeners* gives those that are open, each with its service; *report* takes what is to be told."""

    def __init__(
        self, listeners: Callable[[], Iterable[tuple[Service, Listener]]], report: Callable[[Event], None]
    ) -> None:
        self._listeners = listeners
        self._report = report
        self._everywhere = False
        self.filter: SourceFilter | None = None
        """What knows the bans, once somebody needs it."""

    def attach(self, bound: socket.socket, service: Service) -> None:
        """Have sources refused at the socket *bound* of *service*, as it is wanted. EdgeError if that must be, and
        cannot."""
        if self.filter is None:
            return
        if knocked_at(service):
            self.filter.attach(bound, service.only_from, service.no_access, service.exempt)
        elif self._everywhere and service.protocol.number in FILTERED:
            self._drop_banned(self.filter, bound, service)

    def everywhere(self, wanted: bool) -> None:
        """Have every listener filtered, those that will open too; or only those that a server accepts at. EdgeError."""
        self._everywhere = wanted
        self.again()

    def again(self) -> None:
        """Have the listeners that are open filtered as it is wanted, where no server accepts at them."""
        if self.filter is None:
            return
        for service, listener in self._listeners():
            if not knocked_at(service) and service.protocol.number in FILTERED:
                if self._everywhere:
                    self._drop_banned(self.filter, listener.socket, service)
                else:
                    self.filter.detach(listener.socket)

    def _drop_banned(self, known: SourceFilter, bound: socket.socket, service: Service) -> None:
        """Have banned sources dropped at *bound*. Where that cannot be, they are refused at accept as ever."""
        try:
            known.attach(bound, EVERYONE, NOBODY)
        except EdgeError as error:
            text = f"the kernel does not filter for {service.id}: {error}"
            self._report(Notice(time.time(), Level.WARNING, text))


def knocked_at(service: Service) -> bool:
    """Whether a server accepts at the listener of *service* itself."""
    return (
        service.wait
        and service.socket_type is SocketType.STREAM
        and not service.sensor
        and manner_of(service) is not Manner.INTERCEPTED
    )
