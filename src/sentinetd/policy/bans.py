"""From a trip to a ban and to its end: who is exempt, what exactly is banned, for how long, what is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator

from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import ESCALATION, Ban, LongerBan, Origin
from sentinetd.model.connection import Connection
from sentinetd.model.events import (
    BanEnded,
    BanEvicted,
    BanImposed,
    BanLengthened,
    BansEnded,
    Event,
    ExemptionEnded,
    Level,
    Notice,
    SensorTripped,
)
from sentinetd.model.exemption import Exemption
from sentinetd.model.order import WantedBan
from sentinetd.model.service import Service, SocketType
from sentinetd.model.settings import Settings
from sentinetd.model.trip_run import Tripped
from sentinetd.policy.effects import Effect, Exempted, Expire, Impose, Lift, Report, Restate
from sentinetd.policy.exemptions import Exemptions, Standing
from sentinetd.policy.inputs import Found, LoggedIn, Moment, Recalled, Surroundings
from sentinetd.policy.ledger import Ledger, shared_end
from sentinetd.policy.tally import Recent
from sentinetd.policy.touches import Touches

MINUTE = 60.0
LINK_LOCAL = Network.parse("fe80::/10")
TOLD_AT_MOST = 100_000
"""Trips remembered as told within the last minute."""


class Bans:
    """The ledger, and the rules by which it grows and shrinks. *dice* gives numbers of 0 to 1, by chance."""

    def __init__(self, settings: Settings, dice: Callable[[], float]) -> None:
        self._settings = settings.bans
        self._surroundings = Surroundings()
        self.ledger = Ledger(settings.bans.maximum)
        self.exemptions = Exemptions()
        self.exemptions.configure(settings.bans)
        self.holds: Callable[[Address, float], bool] = self.ledger.holds
        """Whether a source is refused as banned at a time of the engine's clock, unless it is exempt."""
        self._enforce()
        self._told = Recent(MINUTE, TOLD_AT_MOST)
        self._begun = False  # a configuration is in force
        self._dice = dice
        self._touches = Touches()
        self._imposed_in_minute = 0
        self._minute_began = -math.inf

    @property
    def dry_run(self) -> bool:
        """Everything is told and nobody is refused; bans of before are kept for later."""
        return self._settings.dry_run

    def configure(self, settings: Settings, now: Moment) -> Iterator[Effect]:
        """Take over changed settings."""
        before, self._settings = self._settings, settings.bans
        self._begun = True
        if self.exemptions.configure(settings.bans, now):
            yield Exempted()
        self.ledger.maximum = settings.bans.maximum
        yield from self.evicted(now)
        if before.dry_run is not settings.bans.dry_run:
            self._enforce()
            yield Restate()

    def moved(self, surroundings: Surroundings) -> Iterable[Effect]:
        """The host's own addresses changed."""
        self._surroundings = surroundings
        return (Exempted(),) if self.exemptions.moved(surroundings) else ()

    def found(self, given: Found) -> Iterable[Effect]:
        """What an exempt name stands for was found out."""
        return (Exempted(),) if self.exemptions.found(given.name, given.addresses) else ()

    def logged_in(self, given: LoggedIn, now: Moment) -> Iterator[Effect]:
        """An operator does not lock himself out: where he is logged in from is never banned."""
        if not self._settings.exempt_own or given.source in self.exemptions.everywhere:
            return
        self.exemptions.logged_in(given.source)
        yield Exempted()
        text = f"{given.source} is exempt from all bans: an operator is logged in from there (exempt_own)"
        yield Report(Notice(now.wall, Level.NOTICE, text))

    def exempt(self, source: Address, service: Service) -> bool:
        """Whether *source* is never banned, or not for touching *service*, a sensor."""
        if self.exemptions.everywhere.longest_match(source) is not None:
            return True
        own = service.exempt
        if not (own.networks or own.names) or not service.sensor:
            return False
        return source in own or bool(own.names and self.exemptions.by_name(source, own.names))

    def refuses(self, connection: Connection, service: Service, now: Moment) -> bool:
        """Whether *connection* is refused by *service* since its source is banned."""
        source = connection.source
        return source is not None and self.holds(source, now.now) and not self.exempt(source, service)

    def in_force(self) -> Iterator[tuple[Network, float]]:
        """Every ban that is to be enforced, and its end; none in a dry run."""
        return iter(()) if self._settings.dry_run else self.ledger.bans()

    def deadline(self) -> float | None:
        """When `expire` has something to look at; None if nothing ends."""
        ban, exemption = self.ledger.deadline(), self.exemptions.deadline()
        return ban if exemption is None or (ban is not None and ban < exemption) else exemption

    def tripped(
        self, service: Service, connection: Connection, now: Moment, *, exempt: bool, each: bool
    ) -> list[Effect]:
        """A sensor was touched: ban first, then tell. Whoever serves the connection hangs up. *exempt*: the source is
        never banned, or not for touching this.

        A touch while the ban holds lengthens it each time, and is told once a minute, as is one that bans nobody;
        unless *each* is to be told.
        """
        source = connection.source
        if source is None:
            return []
        network = self._network(service, source)
        standing = self.ledger.until(network)
        again = standing is not None and standing > now.now
        why_not = "exempt" if exempt else self._why_not(service, network, again, now)
        if why_not:
            told = self._told.first((connection.service, source), now.now) or each
            return [self._trip(service, connection, source, 0.0, why_not, now)] if told else []
        key = connection.service, network.value, network.length, network.version, network.scope
        told = self._told.first(key, now.now) or not again or each
        span = service.deny_time
        if self._settings.jitter:
            span *= 1.0 + self._settings.jitter * self._dice()
        until = shared_end(now.now + span)
        effects: list[Effect] = []
        if self.ledger.impose(network, until):
            effects.append(Impose(network, until))
            if told and not again:
                effects.append(self._trip_and_ban(service, connection, source, span, network, now))
                told = False
            elif told:
                effects.append(Report(BanLengthened(now.wall, network, now.wall + span, service.id, Origin.SENSOR)))
        if told:
            effects.append(self._trip(service, connection, source, span, "", now))
        if len(self.ledger) > self.ledger.maximum:
            effects += self.evicted(now)
        return effects

    def ordered(self, wanted: WantedBan, origin: Origin, who: str, now: Moment) -> Iterator[Effect]:
        """*who* wants a ban, which nothing forbids; `evicted` is to be called after the last one."""
        network = wanted.network
        standing = self.ledger.until(network)
        until = now.now + wanted.span
        kept = origin is Origin.OPERATOR
        if self.ledger.impose(network, until, kept=kept):
            until = max(until, standing or 0.0)  # an operator's order may only make a longer ban his
            kind = BanLengthened if standing is not None and standing > now.now else BanImposed
            yield from self._put_in_force(network, until)
            end = now.wall + (until - now.now)
            yield Report(kind(now.wall, network, end, "", origin, who, wanted.note))

    @staticmethod
    def _trip(
        service: Service, connection: Connection, source: Address, span: float, why_not: str, now: Moment
    ) -> Report:
        return Report(
            SensorTripped(
                now.wall, connection.service, service.id, source, connection.port, span, why_not,
                connection.number, service.protocol.name, connection.local, connection.local_port or service.port,
                service.ports is not None,
            )
        )  # fmt: skip

    @staticmethod
    def _trip_and_ban(
        service: Service, connection: Connection, source: Address, span: float, network: Network, now: Moment
    ) -> Report:
        """Both at once, since most trips are the first of their source."""
        return Report(
            Tripped(
                now.wall, connection.service, service.id, source, connection.port, span, network,
                connection.number, service.protocol.name, connection.local, connection.local_port or service.port,
                service.ports is not None,
            )
        )  # fmt: skip

    def learned(self, bans: tuple[Ban, ...], now: Moment) -> Iterator[Effect]:
        """Take over bans that others keep or order. Those that have ended are passed over."""
        for ban in bans:
            if ban.active(now.now) and self.ledger.impose(ban.network, ban.until, kept=ban.origin is Origin.OPERATOR):
                yield from self._put_in_force(ban.network, ban.until)
        yield from self.evicted(now)

    def recalled(self, given: Recalled, now: Moment) -> Iterator[Effect]:
        """Take over bans of before the start. While nothing runs yet, nobody keeps bans in the kernel, and whoever does
        later is told all of them: a million effects would only be thrown away."""
        ahead = now.wall - now.now
        ends = ((prefix, shared_end(end - ahead)) for prefix, end in given.rows)
        rows = [(prefix, end) for prefix, end in ends if end > now.now]
        self.ledger.recall(given.version, given.length, given.scope, rows, kept=given.kept)
        if self._begun:
            shift = BITS[given.version] - given.length
            for prefix, until in rows:
                network = Network(given.version, prefix << shift, given.length, given.scope)
                yield from self._put_in_force(network, self.ledger.until(network) or until)  # what stood may be longer
        yield from self.evicted(now)

    def recalled_exemptions(self, exemptions: Iterable[Exemption], now: Moment) -> Iterator[Effect]:
        """Take over exemptions of before the start, as far as their time has not come."""
        ahead = now.wall - now.now
        left = [one for one in exemptions if one.until - ahead > now.now]
        for one in left:
            self.exemptions.add(one.network, Standing(one.until - ahead, one.note))
        if left:
            yield Exempted()

    def escalated(self, longer: Iterable[LongerBan], now: Moment) -> Iterator[Effect]:
        """Lengthen the bans of those who came back, as far as they still stand."""
        ahead = now.wall - now.now
        for one in longer:
            until = one.until - ahead
            standing = self.ledger.until(one.network)
            if standing is not None and standing > now.now and self.ledger.impose(one.network, until):
                yield from self._put_in_force(one.network, until)
                note = f"offence {one.offence}"
                yield Report(
                    BanLengthened(now.wall, one.network, one.until, one.sensor, Origin.SENSOR, ESCALATION, note)
                )

    def expire(self, now: Moment, heeded: Collection[type[Event]] = ()) -> Iterator[Effect]:
        """Forget what has ended. Each by itself is told if that is *heeded*."""
        ended = self.ledger.expire(now.now)
        for network in ended:
            yield Expire(network)
            if BanEnded in heeded:
                yield Report(BanEnded(now.wall, network))
        if ended:
            yield Report(BansEnded(now.wall, len(ended), len(self.ledger)))
        ordered, listed = self.exemptions.expire(now.now)
        for network in ordered:
            yield Report(ExemptionEnded(now.wall, network, ""))
        for one in listed:
            whom = ", ".join([*map(str, one.who.networks), *one.who.names])
            why = f" ({one.note})" if one.note else ""
            yield Report(Notice(now.wall, Level.NOTICE, f"the exemption of {whom}{why} in the settings has ended"))
        if ordered or listed:
            yield Exempted()

    def _why_not(self, service: Service, network: Network, again: bool, now: Moment) -> str:
        """Why a trip does not ban *network*; empty when it does. *again*: that is banned already."""
        if service.deny_time == 0:
            return "deny_time = NEVER"
        if service.socket_type is not SocketType.STREAM and not service.deny_dgram:
            return "a datagram's sender can be forged (deny_dgram = no)"
        if self._settings.dry_run:
            return "dry_run"
        if again or (self._settings.sensors <= 1 and self._settings.max_bans_per_minute is None):
            return ""
        return self._too_few(service, network, now) or self._too_many(now)

    def _too_few(self, service: Service, network: Network, now: Moment) -> str:
        """Count the sensors that *network* touched; why it may not be banned yet, empty when it may."""
        enough = self._settings.sensors
        if enough <= 1:
            return ""
        count = self._touches.count(network, service.id, now.now, self._settings.sensors_within, enough)
        return "" if count >= enough else f"{count} of {enough} sensors touched"

    def _enforce(self) -> None:
        self.holds = _nobody if self._settings.dry_run else self.ledger.holds

    def _put_in_force(self, network: Network, until: float) -> Iterator[Effect]:
        if not self._settings.dry_run:
            yield Impose(network, until)

    def _too_many(self, now: Moment) -> str:
        """Count a new ban against `max_bans_per_minute`; why it may not be imposed, empty when it may."""
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
        """What exactly a trip of *source* bans: the host; for an IPv6 host behind a router, its /64. A sensor's own
        deny_prefix comes before the settings, and never widens a ban of a host on our own link."""
        own = service.deny_prefix
        if source.version == 4:
            length = own.v4 if own else self._settings.prefix_v4
            return Network(4, source.value, 32) if length == 32 else Network.of(source, length)
        if LINK_LOCAL.holds(source) or source in self._surroundings.on_link:
            return Network.of(source, BITS[6])
        return Network.of(source, own.v6 if own else self._settings.prefix_v6)

    def evicted(self, now: Moment) -> Iterable[Effect]:
        """Keep the ledger within its maximum."""
        if len(self.ledger) <= self.ledger.maximum:
            return ()
        gone = self.ledger.overflow()
        return [effect for one in gone for effect in (Lift(one), Report(BanEvicted(now.wall, one)))]


def _nobody(source: Address, now: float) -> bool:
    """In a dry run."""
    return False
