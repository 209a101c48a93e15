"""Has the kernel bring to sensors what they watch and cannot listen on: unused ports, and addresses that nobody has.

What is wanted follows from the services whose listeners are open, as offers do: a start, a reload, a pause and the end
are one path. The rules are in a table that goes when we do, however that happens. Routes would stay: those that may be
made are written down first, and the next start removes what is left of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from socket import AF_INET

from sentinetd.daemon.aims import Ports, aims, claims, objection
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.daemon.usage import Usage
from sentinetd.errors import EdgeError
from sentinetd.firewall import steering, tables
from sentinetd.firewall.own_table import OwnTable
from sentinetd.firewall.tables import OWNER
from sentinetd.model.address import Network
from sentinetd.model.aim import Aim, InUse
from sentinetd.model.events import Event, Level, Notice
from sentinetd.model.service import Service
from sentinetd.model.settings import FirewallSettings, Settings
from sentinetd.net.host_addresses import default_gateways, on_link, own, resolvers
from sentinetd.net.links import has_bridges
from sentinetd.net.listener import Listener
from sentinetd.net.routes import claim, disclaim

MEND_AFTER = 0.2
"""Seconds between a change by somebody else and our answer: who changes much is not answered each time."""
LOOK_EVERY = 5.0
"""Seconds between two looks at who listens."""
SETTLED = 120.0
"""Seconds from the start of the machine until a port at which nobody listens counts as unused: others start, too."""
RETRY_AFTER = 10.0
"""Seconds after which what the kernel refused is tried again."""
MEMORY_MOST = 1 << 16
"""Bytes of the file of routes that are read."""
SAMPLE = Aim(None, ((1, 2),), (), (), ((4, 1), (6, 1)), shared=True)
"""Needs of the kernel whatever any aim does."""
MADE = "bringing connections to sensors"


class Catching:
    """*directory* is where it is written which routes there may be; *report* takes events."""

    def __init__(self, loop: Loop, directory: str, report: Callable[[Event], None]) -> None:
        self._loop = loop
        self._memory = os.path.join(directory, "routes")
        self._report = report
        self._table = OwnTable(f"{FirewallSettings().table}_unused", OWNER)
        self._held = False
        self._made: tuple[list[Aim], bool] = [], False  # the aims in force, and whether for bridges as well
        self._usage = Usage(loop.now)
        self._used: frozenset[InUse] = frozenset()
        self._next_look: Moment | None = None
        self._sensors: list[tuple[Service, Ports]] = []  # with the ports of their listeners
        self._claimed: set[Network] = set()
        self._again: Moment | None = None
        self._failed = False

    def remember(self) -> None:
        """Remove the routes that an earlier run left; nobody needs them before the first `refresh`."""
        try:
            with open(self._memory, encoding="ascii", errors="replace") as file:
                words = file.read(MEMORY_MOST).split()
        except FileNotFoundError:
            return
        except OSError as error:
            self._notice(Level.ERROR, f"which routes were left cannot be read: {self._memory}: {error.strerror}")
            return
        for word in words:
            with suppress(ValueError):
                self._claimed.add(Network.parse(word))
        try:
            self._route(set())
        except EdgeError as error:
            self._notice(Level.ERROR, f"routes that an earlier run left are still there: {error}")

    def configure(self, settings: Settings) -> None:
        """Take the table's name from *settings*."""
        name = f"{settings.firewall.table}_unused"
        if name != self._table.name:
            with suppress(EdgeError):
                self._let_go()
            self._table = OwnTable(name, OWNER)

    def why_not(self, service: Service) -> str:
        """Why *service* cannot have brought to it what it watches; empty if it can, or needs nothing brought."""
        if not service.caught:
            return ""
        try:
            found = objection(service, [*default_gateways(), *resolvers()], on_link())
            if not found and not self._held:
                self._hold()
        except EdgeError as error:
            what = "unused ports" if service.ports and service.ports.unused else "addresses that nobody has"
            return f"{what} cannot be watched: {error}; it takes CAP_NET_ADMIN, and nft_tproxy, nft_socket and nft_fib"
        return found

    def refresh(self, services: Iterable[tuple[Service, list[Listener]]]) -> None:
        """Bring what *services* watch to their open listeners, and nothing else."""
        self._sensors = [
            (service, tuple((4 if one.socket.family == AF_INET else 6, one.port) for one in listeners))
            for service, listeners in services
            if listeners
        ]
        self.moved()

    def moved(self) -> None:
        """The host's own addresses may have changed, and with them what is whose."""
        if not self._sensors and not self._held and not self._claimed:
            return
        try:
            self._put()
        except EdgeError as error:
            if not self._failed:
                self._failed = True
                self._notice(Level.ERROR, f"unused ports are not watched as configured: {error}")
            self._later(RETRY_AFTER)
            return
        if self._failed:
            self._failed = False
            self._notice(Level.NOTICE, "unused ports are watched as configured")

    def close(self) -> None:
        """Bring nothing any more, and leave nothing behind."""
        self._sensors = []
        self.moved()
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _put(self) -> None:
        """Have in force what is wanted. Rules come before routes, and go after them: what is sent to addresses that are
        ours for a moment reaches nobody else's server."""
        addresses = own() if self._sensors else []
        wanted = [aim for one, ports in self._sensors for aim in aims(one, ports, addresses)]
        early = SETTLED - self._loop.now()
        if early > 0 and any(aim.shared for aim in wanted):
            if self._again is None:
                text = f"the machine has just started: unused ports are watched in {early:.0f} seconds"
                self._notice(Level.NOTICE, text)
            self._later(early)
            wanted = [aim for aim in wanted if not aim.shared]
        networks = {network for one, _ports in self._sensors for network in claims(one, addresses)}
        self._route(self._claimed & networks)
        if not wanted:
            self._let_go()
            return
        if not self._held:
            self._hold()
        made = wanted, has_bridges()
        used = self._usage.look()
        if made != self._made:
            self._replace(*made, used)
        elif used != self._used:
            self._table.transact(steering.let_be(self._table.name, used), MADE)
        self._used = used
        self._route(networks)
        self._look_again()

    def _look_again(self) -> None:
        """Have who listens looked at before long."""
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = self._loop.after(LOOK_EVERY, self.moved)

    def _hold(self) -> None:
        """Claim the table, and see whether the kernel knows all that rules need."""
        self._table.claim()
        try:
            self._replace([SAMPLE], has_bridges(), frozenset())
            self._replace([], False, frozenset())
        except EdgeError:
            with suppress(EdgeError):
                self._table.remove()
            raise
        self._held = True
        self._loop.read(self._table.fileno(), self._stirred)

    def _replace(self, wanted: list[Aim], bridges: bool, used: frozenset[InUse]) -> None:
        """Put other rules in place of all that the table has, at one instant."""
        name = self._table.name
        anew = [tables.no_table(name), tables.table(name, OWNER if self._table.owned else 0)]
        self._table.transact([*anew, *steering.rules(name, wanted, used, bridges=bridges)], MADE)
        self._made = wanted, bridges

    def _let_go(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._held:
            self._held = False
            self._loop.read(self._table.fileno(), None)
            self._table.remove()

    def _route(self, wanted: set[Network]) -> None:
        """Have the host take what is sent to *wanted*, and to no other network that it took by our doing."""
        if wanted == self._claimed:
            return
        self._write(self._claimed | wanted)
        for network in sorted(self._claimed - wanted, key=str):
            disclaim(network)
            self._claimed.discard(network)
        for network in sorted(wanted - self._claimed, key=str):
            if claim(network):
                self._claimed.add(network)
        self._write(self._claimed)

    def _write(self, networks: set[Network]) -> None:
        try:
            with open(f"{self._memory}.new", "w", encoding="ascii") as file:
                file.write("".join(f"{network}\n" for network in sorted(networks, key=str)))
            os.rename(f"{self._memory}.new", self._memory)
        except OSError as error:
            raise EdgeError(f"{self._memory}: {error.strerror}") from error

    def _stirred(self) -> None:
        """Somebody changed something in nftables."""
        try:
            if not self._table.disturbed():
                return
        except EdgeError as error:
            self._notice(Level.ERROR, f"changes of the table inet {self._table.name} are not noticed: {error}")
            self._loop.read(self._table.fileno(), None)
            return
        self._notice(Level.WARNING, f"another program changed the table inet {self._table.name}: it is made anew")
        self._loop.read(self._table.fileno(), None)
        self._table.close()
        self._held = False
        self._later(MEND_AFTER)

    def _later(self, seconds: float) -> None:
        if self._again is not None:
            self._again.cancel()
        self._again = self._loop.after(seconds, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self.moved()

    def _notice(self, level: Level, text: str) -> None:
        self._report(Notice(time.time(), level, text))
