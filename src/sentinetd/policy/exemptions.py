"""Who is never refused as banned, whoever ordered the ban: asked before the ban, and before a sensor bans.

Four sources: the settings, the host's own surroundings, the peers that announce others (proxy_protocol), and orders.
Only the last have an end, on the engine's clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sentinetd.model.address import NOBODY, AddressSet, Network, union
from sentinetd.model.settings import BanSettings
from sentinetd.policy.inputs import Surroundings

ORDERED_MOST = 10_000
"""Exemptions by order at once."""


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
        self.ordered: dict[Network, Standing] = {}
        self.everywhere = NOBODY
        self._next: float | None = None

    def configure(self, settings: BanSettings) -> bool:
        """Take over changed settings; whether that changes who is exempt."""
        self._listed = settings.exempt
        self._own_exempt = settings.exempt_own
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

    def expire(self, now: float) -> list[Network]:
        """Forget the exemptions that have ended at *now*, and say which they were."""
        ended = [network for network, one in self.ordered.items() if one.until <= now]
        for network in ended:
            del self.ordered[network]
        if ended:
            self._gather()
        return ended

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
        own = [self._surroundings.own] if self._own_exempt else []
        ordered = AddressSet(tuple(self.ordered))
        before, self.everywhere = self.everywhere, union([self._listed, self._peers, *own, ordered])
        self._next = min((one.until for one in self.ordered.values() if not math.isinf(one.until)), default=None)
        return before != self.everywhere


WIDEST = {4: 8, 6: 16}
"""Shortest prefix, by IP version, that a feed or another host may have banned: no registry hands out more at once."""
