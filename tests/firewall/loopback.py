"""A host with strangers on its own loopback interface: enough for the kernel to judge who may connect.

That something was dropped is seen in the counters of the rules, not guessed from silence.
"""

from __future__ import annotations

import re
import select
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rig.deadline import wait_for
from rig.network import run

STRANGERS = ("2001:db8::5", "2001:db8::6", "2001:db8:0:1::5", "2001:db8::1")
"""IPv6 sources; IPv4 ones are all of 127.0.0.0/8."""


def furnish() -> None:
    """Give loopback the strangers' addresses, in the namespace that the test is in."""
    for address in STRANGERS:
        run("ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")

    def routed() -> bool:
        routes = run("ip", "-6", "route", "show", "table", "local").stdout.split()
        return all(address in routes for address in STRANGERS)

    wait_for(routed, "routes to the addresses, which the kernel makes a moment after them")


def refused() -> int:
    """How many packets the rules have refused so far."""
    return sum(map(int, re.findall(r"counter packets (\d+)", run("nft", "list", "ruleset").stdout)))


@dataclass
class Server:
    """Listens at a free port of *address* by TCP, and at the same by UDP."""

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

    def connected(self, source: str) -> socket.socket:
        """A connection from *source*, which nothing refuses."""
        client = socket.socket(_family(source), socket.SOCK_STREAM)
        client.settimeout(20)
        client.bind((source, 0))
        client.connect((self.address, self.port))
        return client

    def fate(self, source: str) -> str:
        """What becomes of a connection from *source*: "open", "drop" or "reject"."""
        before = refused()
        with socket.socket(_family(source), socket.SOCK_STREAM) as client:
            client.bind((source, 0))
            client.setblocking(False)
            client.connect_ex((self.address, self.port))

            def over() -> bool:
                return bool(select.select([], [client], [], 0.01)[1])

            wait_for(lambda: over() or refused() > before, f"what becomes of {source}")
            if not over():
                return "drop"
            return "reject" if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else "open"

    def hears(self, source: str) -> bool:
        """Whether a datagram from *source* arrives; else it was refused."""
        before = refused()
        with socket.socket(_family(source), socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.sendto(b"?", (self.address, self.port))

            def came() -> bool:
                return bool(select.select([self.udp], [], [], 0.01)[0])

            wait_for(lambda: came() or refused() > before, f"what becomes of a datagram from {source}")
            if not came():
                return False
            self.udp.recv(16)
            return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
