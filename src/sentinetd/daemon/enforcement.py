"""Which keepers have banned sources refused outside of the guard, and what they are told: by the settings, and by what
this host can.

The first choice is our own nftables table, which guards servers that are not ours too. Where it cannot be had, a filter
on our listeners takes its place. A keeper that fails weakens nothing: the guard refuses at accept all the same.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from sentinetd.daemon.doors import Doors
from sentinetd.daemon.following import Following
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.sieve import Sieve
from sentinetd.errors import EdgeError
from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.events import Event, Level, Notice
from sentinetd.model.guarded import GuardedPort
from sentinetd.model.settings import FirewallBackend, FirewallSettings, Settings
from sentinetd.model.state import EnforcerState
from sentinetd.net.listener import Listener
from sentinetd.policy.bans import Bans
from sentinetd.ports import Enforcer

if TYPE_CHECKING:
    from sentinetd.firewall.nftables import Nftables
    from sentinetd.firewall.own_table import OwnTable

CHOICES: Mapping[FirewallBackend, tuple[FirewallBackend, ...]] = {
    FirewallBackend.AUTO: (FirewallBackend.NFTABLES, FirewallBackend.BPF),
    FirewallBackend.NFTABLES: (FirewallBackend.NFTABLES,),
    FirewallBackend.COMMAND: (FirewallBackend.COMMAND,),
    FirewallBackend.BPF: (FirewallBackend.BPF,),
}
"""What is tried for each setting, the first that can be had being used."""
WIRE_PROTOCOL = {262: 6}
"""What packets say where a socket says otherwise: MPTCP is TCP with options (RFC 8684)."""


class Commands(Protocol):
    """Starts the program of `backend = "command"`."""

    def __call__(self, settings: FirewallSettings) -> Enforcer: ...


class Enforcement:
    """*bans* is the engine's; *command* makes the keeper that feeds a program; *report* is told what happens."""

    def __init__(
        self,
        loop: Loop,
        doors: Doors,
        bans: Bans,
        command: Commands,
        report: Callable[[Event], None],
    ) -> None:
        self._loop = loop
        self._doors = doors
        self._bans = bans
        self._command = command
        self._report = report
        self._settings = Settings()
        self._filter: Following | None = None  # what listeners are filtered by
        self._firewall: Following | None = None  # may be the same
        self._backend: FirewallBackend | None = None
        self._table: OwnTable | None = None
        self._nftables: Nftables | None = None
        self._followings: tuple[Following, ...] = ()
        self._seen = -1  # the changes of doors up to which the keepers know our ports

    # What the guard tells.

    def standing(self) -> tuple[EnforcerState, ...]:
        """Who refuses banned sources, and whether all of them."""
        return tuple(EnforcerState(one.keeper.name, not one.down) for one in self._followings)

    def impose(self, network: Network, until: float) -> None:
        """*network* is banned until *until*."""
        for one in self._followings:
            one.impose(network, until)

    def lift(self, network: Network) -> None:
        """*network* is banned no longer."""
        for one in self._followings:
            one.lift(network)

    def expire(self, network: Network) -> None:
        """The ban of *network* has come to its end."""
        for one in self._followings:
            one.expire(network)

    def restate(self) -> None:
        """What is banned changed as a whole."""
        for one in self._followings:
            one.restate()

    def exempt(self) -> None:
        """Who is exempt changed."""
        for one in self._followings:
            one.exempt()

    def settle(self) -> None:
        """After each turn of the loop: hand over what it changed."""
        if not self._followings:
            return
        if self._seen != self._doors.changes:
            self._seen = self._doors.changes
            for one in self._followings:
                one.guard()
        for one in self._followings:
            one.settle()

    # What the settings want.

    def need_filter(self) -> None:
        """Have the kernel refuse sources where servers accept by themselves. EdgeError if it cannot."""
        if self._filter is not None:
            return
        filtering = self._following(ListenerFilter(self._doors.sieve))
        filtering.begin()
        filtering.finish()
        self._filter = filtering
        self._gather()

    def configure(self, settings: Settings) -> None:
        """Use what *settings* want: the whole truth goes over in the following turns."""
        before, self._settings = self._settings, settings
        wanted = settings.firewall if settings.firewall.enabled else FirewallSettings()
        had = before.firewall if before.firewall.enabled else FirewallSettings()
        if wanted == had and (settings.bans.maximum == before.bans.maximum or self._backend is None):
            return
        old, table, backend, keeper = self._firewall, self._table, self._backend, self._nftables
        self._firewall = self._backend = self._nftables = None
        if old is not None and backend is FirewallBackend.COMMAND:
            self._attempt(old.close)  # first: two programs would both have the host's firewall in hand
        elif old is not None and old is not self._filter:
            old.rest()
        if wanted.enabled:
            self._take(wanted, settings.bans.maximum)
        if backend is FirewallBackend.BPF and self._backend is not backend:
            self._attempt(lambda: self._doors.sieve.everywhere(False))
        if keeper is not None and (self._nftables is None or self._table is not table):
            self._attempt(keeper.leave)
        self._gather()

    def _take(self, wanted: FirewallSettings, maximum: int) -> None:
        """Begin with the first choice that can be had; if there is none, go on trying the first."""
        faults: list[EdgeError] = []
        for backend in CHOICES[wanted.backend]:
            self._backend, self._firewall = backend, self._made(backend, wanted, maximum)
            try:
                self._firewall.begin()
            except EdgeError as error:
                faults.append(error)
                continue
            for fault in faults:
                chosen, first = self._firewall.keeper.name, CHOICES[wanted.backend][0]
                self._notice(f"banned sources are refused by {chosen}, since {first} cannot be had: {fault}")
            break
        else:
            self._backend = CHOICES[wanted.backend][0]
            self._firewall = self._made(self._backend, wanted, maximum)
            self._firewall.failed(EdgeError("; ".join(str(fault) for fault in faults)))
        if self._backend is FirewallBackend.BPF:
            self._nftables = None
            self._filter = self._firewall
            self._attempt(lambda: self._doors.sieve.everywhere(True))

    def _made(self, backend: FirewallBackend, wanted: FirewallSettings, maximum: int) -> Following:
        if backend is FirewallBackend.COMMAND:
            return self._following(self._command(wanted))
        if backend is FirewallBackend.BPF:
            return self._filter or self._following(ListenerFilter(self._doors.sieve))
        from sentinetd.firewall.nftables import Nftables  # for those who want it
        from sentinetd.firewall.own_table import OwnTable

        if self._table is None or self._table.name != wanted.table:
            self._table = OwnTable(wanted.table)
        self._nftables = Nftables(self._table, wanted, maximum, self._loop.now)
        return self._following(self._nftables)

    def _attempt(self, change: Callable[[], None]) -> None:
        try:
            change()
        except EdgeError as error:
            self._notice(f"what was in force before may go on being so: {error}")

    def finish(self) -> None:
        """Have the whole truth in force when this returns, as far as that is to be had."""
        if self._firewall is not None:
            self._firewall.finish()

    def close(self) -> None:
        """The daemon ends: what is in force stays or goes as the settings say."""
        for one in self._followings:
            self._attempt(one.close)
        self._firewall = self._filter = None
        self._gather()

    def state(self) -> Iterator[str]:
        """What refuses banned sources beside the guard, in words."""
        for one in self._followings:
            yield f"{one.keeper.name}: {'failed, and is tried again' if one.down else 'in force'}"

    # Parts.

    def _gather(self) -> None:
        """Who is told, each once."""
        both = dict.fromkeys((self._filter, self._firewall))
        self._followings = tuple(one for one in both if one is not None)

    def _following(self, keeper: Enforcer) -> Following:
        return Following(
            keeper,
            self._loop,
            self._bans.in_force,
            lambda: self._bans.exemptions.everywhere,
            lambda: frozenset(_ports(self._doors.listeners())),
            self._report,
        )

    def _notice(self, text: str) -> None:
        self._report(Notice(time.time(), Level.WARNING, text))


class ListenerFilter:
    """The filter of `net.filter` as a keeper of bans: it is attached where *sieve* has it attached."""

    name = "source filter"
    wants_write = False

    def __init__(self, sieve: Sieve) -> None:
        self._sieve = sieve

    def fileno(self) -> int:
        return -1

    def open(self) -> None:
        if self._sieve.filter is None:
            from sentinetd.net.filter import SourceFilter  # ctypes, for the few that need it

            self._sieve.filter = SourceFilter()
            self._sieve.again()

    def trouble(self) -> str:
        return ""

    def flush(self) -> None:
        """Nothing waits."""

    def exempt(self, sources: AddressSet) -> None:
        if self._sieve.filter is not None:
            self._sieve.filter.exempt(sources)

    def guard(self, ports: Iterable[GuardedPort]) -> None:
        """A filter is where it is attached."""

    def replace(self, bans: Iterable[tuple[Network, float]]) -> Iterator[None]:
        return iter(()) if self._sieve.filter is None else self._sieve.filter.replacing(bans)

    def apply(self, imposed: Mapping[Network, float], lifted: Iterable[Network], ended: Iterable[Network]) -> None:
        known = self._sieve.filter
        if known is not None:
            for network in (*lifted, *ended):
                known.lift(network)
            for network, until in imposed.items():
                known.ban(network, until)

    def close(self) -> None:
        """Filters go with their sockets."""


def _ports(listeners: Iterable[tuple[object, Listener]]) -> Iterator[GuardedPort]:
    """What is listened at, as packets name it."""
    for _service, listener in listeners:
        bound = listener.socket
        protocol = WIRE_PROTOCOL.get(bound.proto, bound.proto)
        if bound.type not in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            continue
        any_address = listener.address.value == 0
        address: Address | None = None if any_address else listener.address
        yield GuardedPort(protocol, listener.address.version, address, listener.port)
        if (
            any_address
            and bound.family == socket.AF_INET6
            and not bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        ):
            yield GuardedPort(protocol, 4, None, listener.port)
