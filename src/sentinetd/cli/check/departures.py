"""Where a configuration means something else here than it does in xinetd 2.3.15: one row for each departure.

Only what touches the operator's own entries is told. All departures are in CHANGELOG.md, under Changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sentinetd.model.address import EVERYONE
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.manner import Manner, manner_of
from sentinetd.model.service import Flag, Service, SocketType, Type
from sentinetd.model.values import Place

Touched = Callable[[Service], bool]


def _overlapping(service: Service) -> bool:
    """A word of only_from lies within one of no_access and is narrower: here it is admitted."""
    return any(
        refused.contains(admitted) and admitted.length > refused.length
        for admitted in service.only_from.networks
        for refused in service.no_access.networks
    )


def _bans(service: Service) -> bool:
    return service.sensor and service.deny_time > 0


def _accepts_itself(service: Service) -> bool:
    return service.wait and service.socket_type is SocketType.STREAM and manner_of(service) is Manner.SERVER


def _external(service: Service) -> bool:
    return Type.INTERNAL not in service.type and not service.sensor and service.redirect is None


DEPARTURES: tuple[tuple[str, Touched, str], ...] = (
    (
        "no_access", _overlapping,
        "a source in both only_from and no_access: the narrower word wins and a tie denies; xinetd refuses it",
    ),
    (
        "flags", lambda one: one.sensor,
        "a touch is judged before cps, instances and load, so that no flood blinds the sensor",
    ),
    (
        "deny_time", _bans,
        "a ban holds for every service and every address, is kept across restarts, and a repeated touch lengthens it",
    ),
    (
        "deny_time", lambda one: _bans(one) and one.forever,
        "FOREVER means until lifted (sentinetctl unban); in xinetd it ends with the daemon",
    ),
    (
        "deny_time", _bans,
        "loopback, the host's own addresses, its gateways and resolvers are never banned, unless [bans] exempt_own = "
        "false",
    ),
    (
        "deny_time", lambda one: one.sensor and one.deny_time == 0,
        "NEVER: a touch is told in the daemon's log all the same",
    ),
    (
        "deny_time", lambda one: _bans(one) and one.socket_type is SocketType.DGRAM and not one.deny_dgram,
        "a datagram sensor only tells, since a sender can be forged; deny_dgram = yes has it ban",
    ),
    (
        "wait", lambda one: _accepts_itself(one) and (one.only_from != EVERYONE or bool(one.no_access)),
        "the server accepts by itself, so these lists become a filter in the kernel; xinetd does not judge them",
    ),
    (
        "per_source", lambda one: _accepts_itself(one) and one.per_source is not None,
        "the server accepts by itself: per_source has no effect; flags = INTERCEPT gives it one",
    ),
    (
        "wait", lambda one: one.socket_type is SocketType.DGRAM and not one.wait and _external(one),
        "an external datagram service runs as with wait = yes; with wait = no xinetd destroys it",
    ),
    (
        "redirect", lambda one: one.redirect is not None and bool(one.user),
        "redirect runs without rights, not as user; its host is looked up again",
    ),
    (
        "type", lambda one: Type.RPC in one.type,
        "registered with rpcbind while it is served already; what others registered is never taken away",
    ),
    (
        "libwrap", lambda one: bool(one.libwrap) and Flag.NOLIBWRAP not in one.flags,
        "hosts.allow and hosts.deny are judged before a server is started; their shell commands are not run",
    ),
    (
        "cps", lambda one: "cps" in one.places,
        "cps counts by a bucket: RATE connections at once pass, the next one closes the service",
    ),
)  # fmt: skip
"""The attribute that it hangs on, which services it touches, and what it is."""


def departures(services: Iterable[Service]) -> Iterator[Diagnostic]:
    """One remark for each departure that touches a service."""
    for service in services:
        for attribute, touches, text in DEPARTURES:
            if touches(service):
                place = service.places.get(attribute) or service.places.get("") or Place("", 0)
                yield Diagnostic(Scope.LINE, place, text, "", attribute, service.id, Level.NOTICE)
