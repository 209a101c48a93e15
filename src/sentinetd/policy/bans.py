"""From a trip to a ban and to its end: who is exempt, what exactly is banned, for how long, what is told."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sentinetd.model.address import BITS, Address, Network, union
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.connection import Connection
from sentinetd.model.events import BanEvicted, BanImposed, BansEnded, SensorTripped
from sentinetd.model.service import Service, SocketType
from sentinetd.model.settings import Settings
from sentinetd.policy.effects import Effect, Impose, Lift, Report
from sentinetd.policy.inputs import Moment, Surroundings
from sentinetd.policy.ledger import Ledger
from sentinetd.policy.tally import Recent

MINUTE = 60.0
LINK_LOCAL = Network.parse("fe80::/10")
TOLD_AT_MOST = 100_000
"""Sources and sensors remembered as told of within the last minute."""


class Bans:
    """The ledger, and the rules by which it grows and shrinks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.bans
        self._surroundings = Surroundings()
        self.ledger = Ledger(settings.bans.maximum)
        self._lengthened = Recent(MINUTE, TOLD_AT_MOST)
        self._imposed_in_minute = 0
        self._minute_began = -math.inf
        self.exemptions = union(())
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Take over changed settings."""
        self._settings = settings.bans
        self.ledger.maximum = settings.bans.maximum
        own = [self._surroundings.own] if settings.bans.exempt_own else []
        self.exemptions = union([settings.bans.exempt, *own])

    def move(self, surroundings: Surroundings, settings: Settings) -> None:
        """The host's own addresses changed."""
        self._surroundings = surroundings
        self.configure(settings)

    def exempt(self, source: Address, service: Service) -> bool:
        """Whether *source* is never banned, or not for touching *service*."""
        return source in self.exemptions or source in service.exempt

    def holds(self, source: Address, now: float) -> bool:
        """Whether *source* is banned."""
        return self.ledger.holds(source, now)

    def tripped(self, service: Service, connection: Connection, now: Moment) -> Iterator[Effect]:
        """A sensor was touched: ban first, then tell. Whoever serves the connection hangs up."""
        source = connection.source
        if source is None:
            return
        why_not = self._why_not(service, source, now)
        span = 0.0 if why_not else service.deny_time
        if span:
            network = self._network(service, source)
            standing = self.ledger.until(network)
            again = standing is not None and standing > now.now
            until = max(now.now + span, standing or 0.0)  # a later end replaces an earlier one, never the reverse
            self.ledger.impose(network, until)
            # A repeated touch lengthens the ban each time, but is told only once a minute: the first touch was told.
            told = self._lengthened.first((connection.service, source), now.now) or not again
            yield Impose(network, until)
            if told:
                end = until - now.now + now.wall
                yield Report(BanImposed(now.wall, network, end, service.id, Origin.SENSOR, again))
            yield from self._evicted(now)
            if not told:
                return
        elif not self._lengthened.first((connection.service, source), now.now):
            return
        yield Report(SensorTripped(now.wall, connection.service, service.id, source, connection.port, span, why_not))

    def learned(self, bans: tuple[Ban, ...], now: Moment) -> Iterator[Effect]:
        """Take over bans that others keep or order. Those that have ended are passed over."""
        for ban in bans:
            if ban.active(now.now) and self.ledger.impose(ban.network, ban.until):
                yield Impose(ban.network, ban.until)
        yield from self._evicted(now)

    def expire(self, now: Moment) -> Iterator[Effect]:
        """Forget what has ended."""
        ended = self.ledger.expire(now.now)
        for network in ended:
            yield Lift(network)
        if ended:
            yield Report(BansEnded(now.wall, len(ended), len(self.ledger)))

    def _why_not(self, service: Service, source: Address, now: Moment) -> str:
        """Why a trip bans nobody; empty when it does."""
        if self.exempt(source, service):
            return "exempt"
        if service.deny_time == 0:
            return "deny_time = NEVER"
        if service.socket_type is not SocketType.STREAM and not service.deny_dgram:
            return "a datagram's sender can be forged (deny_dgram = no)"
        if self._settings.dry_run:
            return "dry_run"
        return self._too_many(now)

    def _too_many(self, now: Moment) -> str:
        """Count a ban against `max_bans_per_minute`; why it may not be imposed, empty when it may."""
        most = self._settings.max_bans_per_minute
        if most is None:
            return ""
        if now.now - self._minute_began >= MINUTE:
            self._minute_began = now.now
            self._imposed_in_minute = 0
        if self._imposed_in_minute >= most:
            return f"max_bans_per_minute = {most} reached"
        self._imposed_in_minute += 1
        return ""

    def _network(self, service: Service, source: Address) -> Network:
        """What exactly a trip of *source* bans: the host; for an IPv6 host behind a router, its /64."""
        if source.version == 4:
            return Network.of(source, self._settings.prefix_v4)
        if LINK_LOCAL.holds(source) or source in self._surroundings.on_link:
            return Network.of(source, BITS[6])
        return Network.of(source, self._settings.prefix_v6)

    def _evicted(self, now: Moment) -> Iterator[Effect]:
        """Keep the ledger within its maximum."""
        for network in self.ledger.overflow():
            yield Lift(network)
            yield Report(BanEvicted(now.wall, network))
