"""The guard's end of the seam to the herald: what open listeners offer, and what is to be taken back.

What may be registered with rpcbind is written down before it is, in a file beside the sockets of this configuration.
So a start after a crash takes back what nobody did, and nothing else; a reboot forgets both.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.companion import Companion
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import (
    FROM_HERALD,
    Advertise,
    Complaint,
    Hide,
    Mandate,
    Move,
    Offer,
    Reached,
    Removed,
    Taken,
    Withdraw,
)
from sentinetd.errors import EdgeError
from sentinetd.model.events import Event, Level, Notice, ProcessFailed, ProcessMended
from sentinetd.model.offer import Advertisement, Registration
from sentinetd.model.service import Service, Type
from sentinetd.net.listener import Listener

BATCH = 256
"""Messages in one packet."""
MEMORY_MOST = 1 << 20
"""Bytes of the file of registrations that are read; it is ours, but disks err."""
LABEL_LONGEST = 63
"""Bytes that the name of an advertised service may have (RFC 6763, section 4.1.1)."""

Open = Iterable[tuple[int, Service, Listener | None]]
"""Services by number, with their listeners where those are open."""


class Offers:
    """*directory* is where it is written what may be registered; *report* takes events."""

    def __init__(
        self, loop: Loop, arguments: Sequence[str], directory: str, report: Callable[[Event], None]
    ) -> None:
        self._loop = loop
        self._report = report
        self._memory = os.path.join(directory, "registrations")
        self._lock_path = os.path.join(directory, "herald.lock")
        self._lock: int | None = None
        self._channel: Channel | None = None
        self._unsent: deque[Any] = deque()
        self._wanted: dict[Registration, tuple[str, str]] = {}  # address, and the id of its service
        self._clashes: frozenset[tuple[Registration, str]] = frozenset()
        # What rpcbind may have of us, by the address that the herald was told; "": by one that nobody remembers.
        self._made: dict[Registration, str] = {}
        self._written: frozenset[Registration] = frozenset()
        self._advertised: dict[int, Advertisement] = {}
        self._unreachable = False
        self._failed = False
        self._unwritable = False
        self.companion = Companion(
            loop,
            "sentinetd.daemon.herald",
            arguments,
            FROM_HERALD,
            begun=self._begun,
            said=self._said,
            died=self._died,
            garbled=lambda why: self._notice(Level.ERROR, f"a message of the herald was dropped: {why}"),
        )

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return self._channel is not None and bool(self._unsent)

    @property
    def pending(self) -> bool:
        """Whether something is still to be taken back, and can be."""
        return bool(self._made.keys() - self._wanted.keys()) and self._channel is not None and not self._unreachable

    def remember(self) -> None:
        """Learn what an earlier run may have left registered; it is taken back with the next `refresh`."""
        try:
            with open(self._memory, "rb") as file:
                data = file.read(MEMORY_MOST)
        except FileNotFoundError:
            return
        except OSError as error:
            self._notice(Level.ERROR, f"what was registered before cannot be read: {self._memory}: {error.strerror}")
            return
        for line in data.decode("ascii", "replace").splitlines():
            words = line.split()
            if len(words) == 3 and words[0].isdecimal() and words[1].isdecimal():
                self._made[Registration(int(words[0]), int(words[1]), words[2])] = ""
        self._written = frozenset(self._made)

    def refresh(self, services: Open, advertise: bool) -> None:
        """Offer what *services* are now, and nothing else; *advertise*: also by mDNS."""
        services = list(services)
        self._offer(services)
        advertised = {}
        for number, service, listener in services if advertise else ():
            if listener is not None and service.mdns and not service.sensor:
                advertised[number] = _advertisement(service, listener)
        before, self._advertised = self._advertised, advertised
        for number in before.keys() - advertised.keys():
            self._queue(Hide(number))
        for number, one in advertised.items():
            if before.get(number) != one:
                self._queue(Advertise(number, one))
        if (self._made or advertised) and not self.companion.pid and not self._failed:
            try:
                self.companion.start(self._loop.now())
            except EdgeError as error:
                self._notice(Level.CRITICAL, f"nothing can be registered with rpcbind or advertised: {error}")

    def _offer(self, services: Open) -> None:
        wanted: dict[Registration, tuple[str, str]] = {}
        clashes = set()
        for _, service, listener in services:
            if listener is None or Type.RPC not in service.type:
                continue
            for registration, address in registrations(service, listener):
                if registration in wanted:
                    clashes.add((registration, service.id))
                wanted.setdefault(registration, (address, service.id))
        before, self._wanted = self._wanted, wanted
        for registration, service_id in sorted(clashes - self._clashes):
            self._refused(registration, service_id, f"service {wanted[registration][1]} has it")
        self._clashes = frozenset(clashes)
        news = [one for one in wanted if before.get(one, ("",))[0] != wanted[one][0]]
        orders: list[Any] = []
        for registration in sorted(self._made.keys() - wanted.keys()):
            if registration in before or not self._made[registration]:
                self._made[registration] = self._made[registration] or "?"
                orders.append(Withdraw(registration))
        for registration in sorted(news):
            if self._made.get(registration) == "":
                orders.append(Withdraw(registration))  # an earlier run's, at another port
            self._made[registration] = wanted[registration][0]
            orders.append(Offer(registration, wanted[registration][0]))
        self._write()
        for order in orders:
            self._queue(order)
