"""Bans told to a program, for firewalls that are not ours: it reads lines of JSON on its standard input.

Each line is an object whose `do` says what to do; contrib/firewall/README.md describes them. The program gets the whole
truth each time it is started, and then what changes. What it prints is kept for the text of a failure and used for
nothing else. It is not waited for: what it does not read yet is queued, up to a bound.
"""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Protocol

from sentinetd.errors import EdgeError
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.guarded import GuardedPort
from sentinetd.model.settings import AtStop, FirewallSettings

VERSION = 1
"""Of the lines. It grows when a program that knows the former ones would do the wrong thing."""
AT_ONCE = 500
"""Bans that one step of a whole truth tells."""
ROOM = 1 << 16
"""Bytes that may wait before a whole truth goes on."""
MOST = 8 << 20
"""Bytes that may wait at all."""
WORDS = 400
"""Characters of what the program printed last that a failure tells."""
PROTOCOLS = {6: "tcp", 17: "udp"}


class Program(Protocol):
    """A process that was ordered."""

    @property
    def fault(self) -> str:
        """Why it could not be started or how it ended, as far as that is known; else empty."""

    def kill(self) -> None:
        """End it, if it runs."""


class Command:
    """*start* has the program started with a descriptor as its standard input, output and error, which stays the
    caller's; *clock* gives seconds of CLOCK_BOOTTIME."""

    name = "command"

    def __init__(
        self, settings: FirewallSettings, start: Callable[[int], Program], clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._start = start
        self._clock = clock
        self._socket: socket.socket | None = None
        self._program: Program | None = None
        self._queue = bytearray()
        self._words = ""

    def fileno(self) -> int:
        """Readable when the program printed something or ended."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether lines wait until the program reads."""
        return bool(self._queue)

    def open(self) -> None:
        """Start the program. EdgeError if it cannot be ordered."""
        self._let_go()
        if self._program is not None:
            self._program.kill()
        self._words = ""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        try:
            self._program = self._start(theirs.fileno())
        except EdgeError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        wanted = self._settings
        self._say("hello", version=VERSION, verdict=wanted.verdict, ports=wanted.ports, forwarded=wanted.forwarded)

    def trouble(self) -> str:
        """That the program ended, with its last words; empty as long as it runs."""
        if self._socket is None:
            return ""
        try:
            heard = self._socket.recv(1 << 16)
        except BlockingIOError:
            return ""
        except OSError:
            heard = b""
        if heard:
            self._words = (self._words + heard.decode("utf-8", "replace"))[-WORDS:]
            return ""
        return self._ended()

    def _ended(self) -> str:
        fault = "" if self._program is None else self._program.fault
        words = " ".join(self._words.split())
        return f"{self._settings.command[0]} has ended" + "".join(f": {one}" for one in (fault, words) if one)

    def exempt(self, sources: AddressSet) -> None:
        """Tell who is exempt."""
        self._say("exempt", networks=[str(network) for network in sources.networks if not network.scope])

    def guard(self, ports: Collection[GuardedPort]) -> None:
        """Tell which ports are ours."""
        rows = sorted((one.protocol, one.version, str(one.address or ""), one.port) for one in ports)
        told = [
            {"protocol": PROTOCOLS[protocol], "version": version, "address": address or None, "port": port}
            for protocol, version, address, port in rows
            if protocol in PROTOCOLS
        ]
        self._say("ports", ports=told)

    def replace(self, bans: Iterable[tuple[Network, float]]) -> Iterator[None]:
        """Tell all bans; no further step is to be made while `wants_write` says that the program is behind."""
        rest = iter(bans)
        self._say("replace")
        while chunk := list(islice(rest, AT_ONCE)):
            for network, until in chunk:
                self._ban(network, until)
            if len(self._queue) > ROOM:
                yield
        self._say("done")

    def apply(self, imposed: Mapping[Network, float], lifted: Collection[Network], ended: Collection[Network]) -> None:
        """Tell what changed."""
        for what, networks in (("lift", lifted), ("end", ended)):
            for network in networks:
                if not network.scope:
                    self._say(what, network=_spelled(network))
        for network, until in imposed.items():
            self._ban(network, until)

    def _ban(self, network: Network, until: float) -> None:
        left = until - self._clock()
        if left > 0 and not network.scope:
            self._say("ban", network=_spelled(network), seconds=None if math.isinf(left) else round(left, 3))

    def _say(self, what: str, **more: object) -> None:
        """Queue a line, and send what can be sent. EdgeError if the program is too far behind, or has ended."""
        self._queue += json.dumps({"do": what, **more}, separators=(",", ":")).encode() + b"\n"
        if len(self._queue) > ROOM:
            self.flush()
            if len(self._queue) > MOST:
                raise EdgeError(f"{self._settings.command[0]} does not read: {len(self._queue)} bytes wait")

    def flush(self) -> None:
        """Send what waits, as much as the program takes. EdgeError if it has ended."""
        while self._queue and self._socket is not None:
            try:
                sent = self._socket.send(self._queue[: 1 << 16], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError as error:
                raise EdgeError(self._ended()) from error
            del self._queue[:sent]

    def close(self) -> None:
        """Tell the program to leave, and whether what it keeps is to stay; at its end of input it leaves too."""
        with suppress(EdgeError):
            self._say("stop", keep=self._settings.at_stop is AtStop.KEEP)
            self.flush()
        self._let_go()
        self._program = None

    def _let_go(self) -> None:
        self._queue.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _spelled(network: Network) -> str:
    text = str(network)
    return text if "/" in text else f"{text}/{network.length}"
