"""One listener of the guard and what belongs to it; and how many of them a service has.

Whoever opens and watches them is `doors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sentinetd.daemon.loop import Moment
from sentinetd.model.manner import Manner, manner_of
from sentinetd.model.noun import replace
from sentinetd.model.service import Family, Service
from sentinetd.net.listener import Datagram, Listener, speaks_ipv6

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between attempts to open a listener; the last for ever."""

BY_PORTER = frozenset({Manner.CARRIED, Manner.CHOSEN, Manner.INTERCEPTED})
"""How those are served whom the porter has to carry."""
UNSEEN = frozenset({Manner.NOBODY, Manner.ONCE})
"""How those are served whose connection no program gets to see."""


class Door:
    """One service's listener; None while it is paused or cannot be opened. An intercepted service's server does not get
    that one but *private*."""

    __slots__ = (
        "attempts", "burst", "by_porter", "caught", "lent", "listener", "opened", "paused", "peeked", "private",
        "retry", "sensor", "service", "unseen", "waits", "watched",
    )  # fmt: skip

    def __init__(self, service: Service, opened: Callable[[], None]) -> None:
        self.serve(service)
        self.opened = opened  # called when the listener opens at a later attempt
        self.listener: Listener | None = None
        self.private: Listener | None = None
        self.lent = False  # a server has the private socket
        self.paused = False
        self.retry: Moment | None = None
        self.attempts = 0
        self.peeked: Datagram | None = None  # the datagram that the present server was started for
        self.watched = False
        self.waits = False  # not watched until the porter has caught up
        self.burst = 1  # connections to accept at the next wake-up

    def serve(self, service: Service) -> None:
        """From now on it is that of *service*."""
        self.service = service
        manner = manner_of(service)
        self.by_porter = manner in BY_PORTER
        self.sensor, self.caught = service.sensor, service.caught
        self.unseen = manner in UNSEEN and not self.caught

    def pause(self) -> float:
        """Another attempt failed: the seconds until the next."""
        self.attempts += 1
        return PAUSES[min(self.attempts, len(PAUSES)) - 1]


def spread(service: Service) -> Iterator[Service]:
    """*service* as each of its listeners is bound: at one port, or where the kernel chooses one for all.

    What the kernel brings comes to a socket of each family: what an IPv4 client asked for can only be told at a socket
    of its own family, once it has hung up.
    """
    if service.ports is None:
        yield service
    elif service.caught:
        for family in _FAMILIES[service.family]:
            if family is service.family or family is Family.IPV4 or speaks_ipv6():
                yield replace(service, port=0, family=family, v6only=family is Family.IPV6)
    else:
        for port in service.ports.numbers():
            yield replace(service, port=port)


_FAMILIES = {
    Family.DUAL: (Family.IPV4, Family.IPV6),
    Family.IPV4: (Family.IPV4,),
    Family.IPV6: (Family.IPV6,),
}
