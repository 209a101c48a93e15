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
from sentinetd.model.address import Address
from sentinetd.model.events import Event, Level, Notice, ProcessFailed, ProcessMended
from sentinetd.model.offer import Advertisement, Registration
from sentinetd.model.service import Service, Type
from sentinetd.net.listener import Listener

BATCH = 256
"""Messages in one packet."""
MEMORY_MOST = 1 << 20
"""Bytes of the file of registrations that are read; it is ours, but disks err."""
NETIDS = frozenset({"udp", "tcp", "udp6", "tcp6"})
LABEL_LONGEST = 63
"""Bytes that the name of an advertised service may have (RFC 6763, section 4.1.1)."""

Open = Iterable[tuple[int, Service, Listener | None]]
"""Services by number, with their listeners where those are open."""


class Offers:
    """*directory* is where it is written what may be registered; *report* takes events."""

    def __init__(self, loop: Loop, arguments: Sequence[str], directory: str, report: Callable[[Event], None]) -> None:
        self._loop = loop
        self._arguments = list(arguments)
        self._with_mdns = False
        self._report = report
        self._memory = os.path.join(directory, "registrations")
        self._lock_path = os.path.join(directory, "herald.lock")
        self._lock: int | None = None
        self._channel: Channel | None = None
        self._unsent: deque[Any] = deque()
        self._wanted: dict[Registration, tuple[str, str]] = {}  # address, and the id of its service
        self._clashes: frozenset[tuple[Registration, str]] = frozenset()
        self._made: set[Registration] = set()  # what rpcbind may have of us
        self._unwritten = False  # the file does not say so yet
        self._advertised: dict[int, Advertisement] = {}
        self._unreachable = False
        self._failed = False
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
    def stirred(self) -> bool:
        """Whether there is something for `pump` to do."""
        return self._unwritten or bool(self._unsent)

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return self._channel is not None and bool(self._unsent)

    def gone(self) -> bool:
        """Whether the herald has ended. It is let go as soon as all is taken back that is not offered any more, and is
        not started again."""
        if self._channel is not None and (self._unreachable or self._made <= self._wanted.keys()):
            self._channel = None
            self._unsent.clear()
            self.companion.dismiss()
        return not self.companion.pid

    def remember(self) -> None:
        """Learn what an earlier run may have left registered; the first `refresh` has it taken back."""
        try:
            with open(self._memory, "rb") as file:
                data = file.read(MEMORY_MOST)
        except FileNotFoundError:
            return
        except OSError as error:
            self._notice(Level.ERROR, f"what was registered before cannot be read: {self._memory}: {error.strerror}")
            return
        for line in data.decode("ascii", "replace").splitlines():
            program, _, rest = line.partition(" ")
            version, _, netid = rest.partition(" ")
            if _is_number(program) and _is_number(version) and netid in NETIDS:
                self._made.add(Registration(int(program), int(version), netid))

    def refresh(self, services: Open, advertise: bool) -> None:
        """Offer what *services* are now, and nothing else; *advertise*: also by mDNS."""
        known = list(services)
        self._register(known)
        self._advertise(known if advertise else ())
        if self._advertised and not self._with_mdns:
            self._with_mdns = True
            self._channel = None
            self._unsent.clear()
            self.companion.renew([*self._arguments, "--mdns"])
        if (self._made or self._wanted or self._advertised) and not self.companion.pid and not self._failed:
            try:
                self._start()
            except EdgeError as error:
                self._notice(Level.CRITICAL, f"nothing can be registered with rpcbind or advertised: {error}")

    def moved(self) -> None:
        """Addresses of the host changed."""
        if self._advertised:
            self._queue(Move())

    def _register(self, services: Open) -> None:
        wanted: dict[Registration, tuple[str, str]] = {}
        clashes = set()
        for _, service, listener in services:
            if listener is None or Type.RPC not in service.type:
                continue
            for registration, address in registrations(service, listener):
                if registration in wanted:
                    clashes.add((registration, service.id))
                else:
                    wanted[registration] = (address, service.id)
        for registration, service_id in sorted(clashes - self._clashes):
            self._not_registered(registration, service_id, f"service {wanted[registration][1]} has it")
        self._clashes = frozenset(clashes)
        before, self._wanted = self._wanted, wanted
        for registration in sorted(before.keys() - wanted.keys()):
            self._queue(Withdraw(registration))
        for registration, (address, _) in wanted.items():
            if before.get(registration, ("", ""))[0] != address:
                self._queue(Offer(registration, address))
                if self._channel is not None:
                    self._made.add(registration)
                    self._unwritten = True

    def _advertise(self, services: Open) -> None:
        found = {}
        for number, service, listener in services:
            if listener is not None and service.mdns and not service.sensor and not loopback(listener.address):
                found[number] = advertisement(service, listener)
        before, self._advertised = self._advertised, found
        for number in before.keys() - found.keys():
            self._queue(Hide(number))
        for number, one in found.items():
            if before.get(number) != one:
                self._queue(Advertise(number, one))

    def _start(self) -> None:
        if self._lock is None:
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._lock = os.open(self._lock_path, flags, 0o600)
            except OSError as error:
                raise EdgeError(f"{self._lock_path}: {error.strerror}") from error
        self.companion.start(self._loop.now())

    def _queue(self, message: Any) -> None:
        if self._channel is not None:  # else all is told when there is a herald
            self._unsent.append(message)

    def pump(self) -> None:
        """Write down what may be registered, then send what the channel takes."""
        if self._unwritten:
            self._unwritten = False
            self._write()
        while self._channel is not None and self._unsent:
            batch = [self._unsent[place] for place in range(min(BATCH, len(self._unsent)))]
            rights: list[int] = []
            if isinstance(batch[0], Mandate) and self._lock is not None:
                batch, rights = batch[:1], [self._lock]
            try:
                if not self._channel.send(0, batch, rights):
                    return
            except ChannelClosed:
                return  # its death is told when it is reaped
            for _ in batch:
                self._unsent.popleft()

    def _write(self) -> None:
        lines = "".join(f"{one.program} {one.version} {one.netid}\n" for one in sorted(self._made))
        fresh = f"{self._memory}.new"
        try:
            with open(fresh, "w", encoding="ascii") as file:
                file.write(lines)
            os.rename(fresh, self._memory)
        except OSError as error:
            text = f"what is registered with rpcbind cannot be written down: {self._memory}: {error.strerror}"
            self._notice(Level.ERROR, f"{text}; after a crash it would stay there")

    def reaped(self, how: str) -> None:
        """The herald's process has ended."""
        self._channel = None
        self._unsent.clear()
        self.companion.reaped(how)

    # What the companion tells.

    def _begun(self, channel: Channel) -> None:
        """A new herald: it takes back whatever one before may have made, and is told everything again."""
        self._channel = channel
        self._unreachable = False
        self._unsent = deque([Mandate()])
        self._unsent.extend(Withdraw(registration) for registration in sorted(self._made))
        self._made |= self._wanted.keys()
        self._unwritten = True
        self._unsent.extend(Offer(registration, address) for registration, (address, _) in self._wanted.items())
        self._unsent.extend(Advertise(number, one) for number, one in self._advertised.items())
        if self._failed:
            self._failed = False
            self._report(ProcessMended(time.time(), "herald"))

    def _died(self, why: str, pause: float) -> None:
        self._failed = True
        self._report(ProcessFailed(time.time(), "herald", why, pause))

    def _said(self, message: Any) -> None:
        match message:
            case Removed():
                if message.registration not in self._wanted:
                    self._made.discard(message.registration)
                    self._unwritten = True
            case Taken():
                self._taken(message.registration, message.taken)
            case Reached():
                self._reached(message.why)
            case Complaint():
                self._notice(Level.ERROR, f"herald: {message.what}")

    def _taken(self, registration: Registration, taken: bool) -> None:
        if registration not in self._wanted:
            return
        service_id = self._wanted[registration][1]
        self._unwritten = True
        if taken:
            self._made.add(registration)
            self._notice(Level.NOTICE, f"service {service_id} is registered now: {_named(registration)}")
        else:
            self._made.discard(registration)  # it is somebody else's, and not ours to take back
            self._not_registered(registration, service_id, "somebody else has registered it; tried again")

    def _not_registered(self, registration: Registration, service_id: str, why: str) -> None:
        """In xinetd's words, with the reason."""
        what = f"service={service_id} program={registration.program} version={registration.version}"
        self._notice(Level.ERROR, f"pmap_set failed. {what} ({registration.netid}): {why}")

    def _reached(self, why: str) -> None:
        self._unreachable = bool(why)
        if why:
            self._notice(Level.ERROR, f"rpcbind cannot be reached: {why}; RPC services are not found; tried again")
        else:
            self._notice(Level.NOTICE, "rpcbind can be reached again")

    def _notice(self, level: Level, text: str) -> None:
        self._report(Notice(time.time(), level, text))


def registrations(service: Service, listener: Listener) -> list[tuple[Registration, str]]:
    """What an RPC service with *listener* is registered as, each with its universal address (RFC 5665): every version,
    for each address family that the socket takes."""
    if service.rpc_number is None or service.rpc_version is None:
        return []
    transport = "tcp" if service.protocol.name == "tcp" else "udp"
    port = f"{listener.port >> 8}.{listener.port & 0xFF}"
    v4, v6 = families(listener)
    hosts = []
    if v4:
        hosts.append((transport, listener.address.text if listener.address.version == 4 else "0.0.0.0"))
    if v6:
        hosts.append((f"{transport}6", listener.address.text.partition("%")[0]))
    low, high = service.rpc_version
    return [
        (Registration(service.rpc_number, version, netid), f"{host}.{port}")
        for version in range(low, high + 1)
        for netid, host in hosts
    ]


def families(listener: Listener) -> tuple[bool, bool]:
    """Whether *listener* takes IPv4, and whether IPv6."""
    if listener.socket.family == socket.AF_INET or listener.address.version == 4:
        return True, False
    alone = listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return listener.address.value == 0 and not alone, True


def loopback(address: Address) -> bool:
    """Whether *address* is of no use to other hosts."""
    return address.value == 1 if address.version == 6 else address.value >> 24 == 127


def advertisement(service: Service, listener: Listener) -> Advertisement:
    """How *service*, which listens at *listener*, is found by mDNS."""
    name = f"{service.id} on {socket.gethostname().partition('.')[0]}"
    label = name.encode("utf-8", "replace")[:LABEL_LONGEST].decode("utf-8", "ignore")
    transport = "tcp" if service.protocol.name == "tcp" else "udp"
    bound = "" if listener.address.value == 0 else listener.address.text.partition("%")[0]
    v4, v6 = families(listener)
    return Advertisement(label, f"_{service.name.lower()}._{transport}", listener.port, bound, v4, v6)


def _named(registration: Registration) -> str:
    return f"program {registration.program} version {registration.version} ({registration.netid})"


def _is_number(word: str) -> bool:
    """Whether *word* is an unsigned number of 32 bits."""
    return word.isascii() and word.isdigit() and len(word) <= 10 and int(word) < 1 << 32
