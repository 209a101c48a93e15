"""How a service is carried out once a connection is admitted: by whom, and whether that takes any time."""

from __future__ import annotations

from enum import Enum

from sentinetd.model.routine import Routine
from sentinetd.model.service import Flag, Service, SocketType, Type


class Manner(Enum):
    """Who does what an admitted connection wants."""

    NOBODY = "nobody"
    """A sensor: there is nothing to do."""
    PLAYED = "played"
    """A sensor that goes on when it has told: the porter plays a decoy, keeps what is said, takes its time."""
    SERVER = "server"
    """A server process of its own."""
    ONCE = "once"
    """The guard, at once: it says one thing and hangs up, or answers a datagram, and reads nothing that it looks at."""
    CARRIED = "carried"
    """The porter, for as long as it lasts: an internal service that reads what the client sends, or a redirect."""
    INTERCEPTED = "intercepted"
    """One waiting server for all, behind a private socket: the porter carries there whoever is admitted."""
    CHOSEN = "chosen"
    """The porter reads which multiplexed service is wanted (RFC 1078); that one is judged and served then."""


SAID_AT_ONCE = frozenset({"daytime", "time", "services", "servers"})
"""Internal stream services that say one thing and hang up."""
CARRIED = {routine.value: routine for routine in Routine}
"""Internal stream services that go on."""
DATAGRAM = frozenset({"echo", "discard", "chargen", "daytime", "time"})
"""Internal datagram services."""
MULTIPLEXER = "tcpmux"


def manner_of(service: Service) -> Manner:
    """How *service* is carried out. An internal service that there is not has been refused with its configuration."""
    if service.sensor:
        goes_on = service.decoy is not None or service.capture is not None or service.tarpit > 0
        return Manner.PLAYED if goes_on and service.socket_type is SocketType.STREAM else Manner.NOBODY
    if service.redirect is not None:
        return Manner.CARRIED
    if Type.INTERNAL not in service.type:
        return Manner.INTERCEPTED if service.wait and Flag.INTERCEPT in service.flags else Manner.SERVER
    name = service.name.lower()
    if service.socket_type is not SocketType.STREAM or name in SAID_AT_ONCE:
        return Manner.ONCE
    return Manner.CHOSEN if name == MULTIPLEXER else Manner.CARRIED


def multiplexed(service: Service) -> bool:
    """Whether *service* has no socket of its own and is reached through the multiplexer."""
    return bool({Type.TCPMUX, Type.TCPMUXPLUS} & service.type)
