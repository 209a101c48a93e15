"""A host with strangers on its own loopback interface: enough for the kernel to judge who may connect."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rig.network import run

SILENT = 0.2
"""Seconds without an answer after which a SYN or a datagram counts as dropped: on loopback the kernel answers before
connect(2) or sendto(2) returns, however busy the machine is."""
PATIENCE = 20.0

STRANGERS = ("2001:db8::5", "2001:db8::6", "2001:db8:0:1::5", "2001:db8::1")
"""IPv6 sources; IPv4 ones are all of 127.0.0.0/8."""


def furnish() -> None:
    """Give loopback the strangers' addresses, in the namespace that the test is in."""
    for address in STRANGERS:
        run("ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")


@dataclass
class Server:
    """Listens at a free port of *address* by TCP, and at the same by UDP, where it answers each datagram."""

    address: str = "127.0.0.1"

    def __enter__(self) -> Self:
        family = _family(self.address)
        self.tcp = socket.socket(family, socket.SOCK_STREAM)
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.tcp.bind((self.address, 0))
        self.port: int = self.tcp.getsockname()[1]
        self.udp.bind((self.address, self.port))
        self.tcp.listen(64)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tcp.close()
        self.udp.close()

    def connected(self, source: str, within: float = PATIENCE) -> socket.socket:
        """A connection from *source*. TimeoutError or ConnectionRefusedError as the kernel has it."""
        client = socket.socket(_family(source), socket.SOCK_STREAM)
        try:
            client.settimeout(within)
            client.bind((source, 0))
            client.connect((self.address, self.port))
        except BaseException:
            client.close()
            raise
        return client

    def fate(self, source: str) -> str:
        """What becomes of a connection from *source*: "open", "drop" or "reject"."""
        try:
            self.connected(source, SILENT).close()
        except TimeoutError:
            return "drop"
        except ConnectionRefusedError:
            return "reject"
        return "open"

    def hears(self, source: str) -> bool:
        """Whether a datagram from *source* arrives."""
        with socket.socket(_family(source), socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.sendto(b"?", (self.address, self.port))
            self.udp.settimeout(SILENT)
            try:
                self.udp.recvfrom(16)
            except TimeoutError:
                return False
            return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
