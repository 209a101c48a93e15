"""Who is never refused as banned, whoever ordered the ban: asked before the ban, and before a sensor bans.

Five sources: the settings, some with an end and some by host name; the host's own surroundings; where operators are
logged in from; the peers that announce others (proxy_protocol); and orders. Nothing is looked up here: what a name
stands for is told from outside, again and again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from sentinetd.model.address import BITS, NOBODY, Address, AddressSet, Network, union
from sentinetd.model.noun import dataclass
from sentinetd.model.settings import BanSettings, ListedExemption
from sentinetd.policy.inputs import Moment, Surroundings

ORDERED_MOST = 10_000
"""Exemptions by order at once."""
SESSIONS_MOST = 16
"""Addresses of operators' sessions that are remembered, the last ones."""


@dataclass(frozen=True, slots=True)
class Standing:
    """By order, until *until* (`math.inf`: until it is ended)."""

    until: float
    note: str


class Exemptions:
    """All of them. `everywhere` is the one list that decisions look at."""

    def __init__(self) -> None:
        self._listed = NOBODY
        self._own_exempt = True
        self._peers = NOBODY
        self._surroundings = Surroundings()
        self._dated: dict[ListedExemption, float] = {}  # of the settings, with their ends
        self._sessions: dict[Address, None] = {}
        self._named: dict[str, AddressSet] = {}  # what names were last known to stand for
        self.ordered: dict[Network, Standing] = {}
        self.everywhere = NOBODY
        self._next: float | None = None

    def configure(self, settings: BanSettings, now: Moment | None = None) -> bool:
        """Take over changed settings; whether that changes who is exempt. Without a time those with an end are left
        out."""
        self._listed = settings.exempt
        self._own_exempt = settings.exempt_own
        ends = {} if now is None else {one: one.until - (now.wall - now.now) for one in settings.exemptions}
        self._dated = {one: until for one, until in ends.items() if now is not None and until > now.now}
        return self._gather()

    def names(self) -> set[str]:
        """The host names of the settings, for which somebody has to find out the addresses."""
        return {name for one in (self._listed, *(dated.who for dated in self._dated)) for name in one.names}

    def found(self, name: str, addresses: Iterable[Address]) -> bool:
        """*name* stands for *addresses* now; whether that changes who is exempt everywhere."""
        self._named[name] = AddressSet(tuple(Network.of(one, BITS[one.version]) for one in addresses))
        return self._gather()

    def by_name(self, source: Address, names: Iterable[str]) -> bool:
        """Whether one of *names* stands for *source*, as far as is known."""
        return any(source in self._named[name] for name in names if name in self._named)

    def logged_in(self, source: Address) -> bool:
        """An operator is logged in from *source*; whether that changes who is exempt. As long as the daemon lives."""
        self._sessions.pop(source, None)
        self._sessions[source] = None
        while len(self._sessions) > SESSIONS_MOST:
            del self._sessions[next(iter(self._sessions))]
        return self._gather()

    def moved(self, surroundings: Surroundings) -> bool:
        """The host's own addresses changed; whether that changes who is exempt."""
        self._surroundings = surroundings
        return self._gather()

    def trust(self, peers: AddressSet) -> bool:
        """These are the peers that announce others; whether that changes who is exempt."""
        self._peers = AddressSet(tuple(dict.fromkeys(peers.networks)))  # many services have the same ones
        return self._gather()

    def add(self, network: Network, exemption: Standing) -> bool:
        """Exempt *network*, by order, in place of what was ordered for it before; False if there are too many."""
        if len(self.ordered) >= ORDERED_MOST and network not in self.ordered:
            return False
        self.ordered[network] = exemption
        self._gather()
        return True

    def end(self, network: Network) -> bool:
        """End what was ordered for exactly *network*; whether there was anything."""
        if self.ordered.pop(network, None) is None:
            return False
        self._gather()
        return True

    def expire(self, now: float) -> tuple[list[Network], list[ListedExemption]]:
        """Forget the exemptions that have ended at *now*, and say which they were: by order, and of the settings."""
        ended = [network for network, one in self.ordered.items() if one.until <= now]
        listed = [one for one, until in self._dated.items() if until <= now]
        for network in ended:
            del self.ordered[network]
        for one in listed:
            del self._dated[one]
        if ended or listed:
            self._gather()
        return ended, listed

    def deadline(self) -> float | None:
        """When the next one ends; None if none does."""
        return self._next

    def why_not(self, network: Network, *, by_operator: bool) -> str:
        """Why *network* must not be banned as a whole; empty if it may be.

        A ban of a network with exempt addresses in it leaves those free. Only an operator may order one that holds
        the host's own, and only while they are exempt: a list from elsewhere that names our own network is mistaken.
        """
        if network.length == 0:
            return "that would be everybody"
        if self.everywhere.covering(network) is not None:
            return "it is exempt"
        if not by_operator and network.length < WIDEST[network.version]:
            return f"it is wider than /{WIDEST[network.version]}"
        if not (by_operator and self._own_exempt):
            for own in self._surroundings.own.networks:
                if own != network and network.contains(own):
                    return f"it holds {own}, which is this host's own, its gateway or its resolver"
        return ""

    def within(self, network: Network) -> Iterator[Network]:
        """The exempt networks that lie inside *network*."""
        return (one for one in self.everywhere.networks if network.contains(one))

    def _gather(self) -> bool:
        sessions = AddressSet(tuple(Network.of(one, BITS[one.version]) for one in self._sessions))
        own = [self._surroundings.own, sessions] if self._own_exempt else []
        named = [self._named[name] for name in sorted(self.names()) if name in self._named]
        dated = [one.who for one in self._dated]
        whole = union([self._listed, self._peers, *own, *dated, *named, AddressSet(tuple(self.ordered))])
        before, self.everywhere = self.everywhere, AddressSet(whole.networks)
        ends = (*(one.until for one in self.ordered.values()), *self._dated.values())
        self._next = min((until for until in ends if not math.isinf(until)), default=None)
        return before != self.everywhere


WIDEST = {4: 8, 6: 16}
"""Shortest prefix, by IP version, that a feed or another host may have banned: no registry hands out more at once."""
