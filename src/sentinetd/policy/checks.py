"""May this connection be served? Every reason to say no stands in this file, in the order in which it is asked.

A check is a pure function: it looks at the service, the connection and the facts, and returns a verdict if it objects,
`Unknown` if it cannot judge before a question is answered, None if it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sentinetd.model.address import BITS, EVERYONE
from sentinetd.model.connection import Connection
from sentinetd.model.manner import Manner, manner_of
from sentinetd.model.service import Flag, Interval, OnSuccess, Service, SocketType
from sentinetd.model.verdict import ADMIT, Question, Reason, Unknown, Verdict

NO_ANSWERS: Mapping[Question, str | None] = MappingProxyType({})
"""Nothing was asked yet."""


class Facts(NamedTuple):  # a dataclass takes six times as long to make, and one is made for every connection
    """All that checks may know beside the service and the connection.

    *minute* of the local day; *load* average; *exempt*: the source is never to be banned (found out where it is, or the
    service is a sensor); *banned*: it is; *room*: the service's cps takes one more; *servers*, *servers_of_source*: of
    this service, without this connection; *processes*: servers of all services; *limit*: the most of those (option
    -limit), None for none; *answers* by question, with None where it could not be found out; *pace*: the service's
    cps_source takes one more of this source; *tables*: hosts.allow or hosts.deny has rules.
    """

    minute: int = 0
    load: float = 0.0
    exempt: bool = False
    banned: bool = False
    room: bool = True
    servers: int = 0
    servers_of_source: int = 0
    processes: int = 0
    limit: int | None = None
    answers: Mapping[Question, str | None] = NO_ANSWERS
    pace: bool = True
    tables: bool = False


OF_SOURCE = {
    (exempt, banned): Facts(exempt=exempt, banned=banned) for exempt in (False, True) for banned in (False, True)
}
"""All that `AT_THE_DOOR` looks at, by whether the source is exempt and whether it is banned."""

BANNED = Verdict(False, Reason.BANNED)
TRIP = Verdict(False, Reason.SENSOR, "flags", "SENSOR")
EXEMPT_TRIP = Verdict(False, Reason.EXEMPT, "flags", "SENSOR")
AT_SENSOR = {False: TRIP, True: EXEMPT_TRIP}
"""What a sensor says, by whether the source is exempt: `sensor`, for whoever knows that it is one."""
NO_ACCESS = Verdict(False, Reason.ADDRESS, "no_access")
NOT_IN_ONLY_FROM = Verdict(False, Reason.ADDRESS, "only_from")

Check = Callable[[Service, Connection, Facts], Verdict | Unknown | None]


def sensor(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """A sensor serves nobody, whoever comes; an exempt source is not banned for it (xinetd.conf(5), SENSOR)."""
    return AT_SENSOR[facts.exempt] if service.sensor else None


def banned(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """A source on the ban list is refused by every service, unless it is exempt."""
    return BANNED if facts.banned and not facts.exempt else None


def addresses(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """The narrower of only_from and no_access decides; a tie denies (xinetd.conf(5), no_access).

    Names in the lists wait for `names`; this check objects as soon as no name could change the outcome.
    """
    source = connection.source
    if source is None:
        return None  # a waiting stream service: its listener carries these lists as a filter
    admitted = service.only_from.longest_match(source)
    refused = service.no_access.longest_match(source)
    if refused is not None and refused >= (BITS[source.version] if service.only_from.names else (admitted or 0)):
        return NO_ACCESS
    if admitted is None and not service.only_from.names:
        return NOT_IN_ONLY_FROM
    return None


def connections_per_second(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """More than cps allows close the service for a while (xinetd.conf(5), cps)."""
    return None if facts.room else Verdict(False, Reason.CPS, "cps")


def source_rate(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """This source alone begins more connections than cps_source allows; others are not affected."""
    return None if facts.pace else Verdict(False, Reason.CPS_SOURCE, "cps_source")


def load(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """The one-minute load average has reached max_load (xinetd.conf(5), max_load)."""
    if service.max_load is None or facts.load < service.max_load:
        return None
    return Verdict(False, Reason.LOAD, "max_load")


def times(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """The local time lies in none of the intervals of access_times."""
    if not service.access_times or any(_within(one, facts.minute) for one in service.access_times):
        return None
    return Verdict(False, Reason.TIME, "access_times")


def _within(interval: Interval, minute: int) -> bool:
    """Both ends belong to the interval; one whose end comes before its start goes over midnight."""
    if interval.start <= interval.end:
        return interval.start <= minute <= interval.end
    return minute >= interval.start or minute <= interval.end


def instances(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """As many servers of this service run as may (xinetd.conf(5), instances). An intercepted service never has more
    than one, however many clients."""
    if service.instances is None or facts.servers < service.instances or Flag.INTERCEPT in service.flags:
        return None
    return Verdict(False, Reason.INSTANCES, "instances")


def per_source(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """As many servers of this service run for this source as may (xinetd.conf(5), per_source)."""
    if service.per_source is None or connection.source is None or facts.servers_of_source < service.per_source:
        return None
    return Verdict(False, Reason.PER_SOURCE, "per_source")


def processes(service: Service, connection: Connection, facts: Facts) -> Verdict | None:
    """As many servers run in all as may (xinetd(8), -limit)."""
    if facts.limit is None or facts.processes < facts.limit:
        return None
    return Verdict(False, Reason.PROCESS_LIMIT)


def names(service: Service, connection: Connection, facts: Facts) -> Verdict | Unknown | None:
    """`addresses` with host names and domains counted in; a name that cannot be found out denies."""
    source = connection.source
    if source is None or not (service.only_from.names or service.no_access.names):
        return None
    admitted = service.only_from.longest_match(source)
    refused = service.no_access.longest_match(source)
    if admitted is not None and (refused is None or refused < admitted) and not service.no_access.names:
        return None  # whatever its name, it is admitted
    if Question.NAME not in facts.answers:
        return Unknown(Question.NAME, source)
    name = facts.answers[Question.NAME]
    if name is None:
        return Verdict(False, Reason.NAME_UNKNOWN, "no_access" if service.no_access.names else "only_from")
    admitted = _narrowest(admitted, service.only_from.name_match(source, name))
    refused = _narrowest(refused, service.no_access.name_match(source, name))
    if refused is not None and refused >= (admitted or 0):
        return Verdict(False, Reason.NAME, "no_access", name)
    if admitted is None:
        return Verdict(False, Reason.NAME, "only_from", name)
    return None


def hosts_access(service: Service, connection: Connection, facts: Facts) -> Verdict | Unknown | None:
    """hosts.allow and hosts.deny do not admit the source (hosts_access(5)); unless the service has NOLIBWRAP.

    What cannot be judged is refused: the client of a server that accepts by itself, too, which only INTERCEPT shows.
    """
    source = connection.source
    if not facts.tables or Flag.NOLIBWRAP in service.flags:
        return None
    if source is None:  # the server of an intercepted service is started for clients that were judged
        return None if Flag.INTERCEPT in service.flags else Verdict(False, Reason.LIBWRAP, "libwrap")
    if Question.TABLES not in facts.answers:
        return Unknown(Question.TABLES, source)
    return None if facts.answers[Question.TABLES] == ADMIT else Verdict(False, Reason.LIBWRAP, "libwrap")


def ident(service: Service, connection: Connection, facts: Facts) -> Verdict | Unknown | None:
    """The client's user is asked for where USERID is logged; IDONLY refuses whom no ident server names."""
    source = connection.source
    if source is None or not asks_for_user(service):
        return None
    if Question.USER not in facts.answers:
        return Unknown(Question.USER, source)
    if facts.answers[Question.USER] is None and Flag.IDONLY in service.flags:
        return Verdict(False, Reason.IDENT, "flags", "IDONLY")
    return None


def asks_for_user(service: Service) -> bool:
    """Whether a client's user is looked up before it is served: as in xinetd, by every service that takes some time."""
    return (
        OnSuccess.USERID in service.log_on_success
        and service.socket_type is SocketType.STREAM
        and not service.wait
        and manner_of(service) in (Manner.SERVER, Manner.CARRIED, Manner.CHOSEN)
    )


def _narrowest(one: int | None, other: int | None) -> int | None:
    """The greater of two prefix lengths, None standing for no match."""
    return max((length for length in (one, other) if length is not None), default=None)


AT_THE_DOOR: tuple[Check, ...] = (sensor, banned, addresses)
"""The checks of the source alone, which need no count: whom they refuse counts for nothing."""

CHAIN: tuple[Check, ...] = (
    *AT_THE_DOOR,
    source_rate,
    connections_per_second,
    load,
    times,
    instances,
    per_source,
    processes,
    names,
    hosts_access,
    ident,
)
"""The checks, in the order in which they are asked. A sensor is judged before any limit, so that no flood blinds it;
addresses before limits, so that those who are not admitted cannot exhaust what others share."""

FURTHER = CHAIN[len(AT_THE_DOOR) :]

CONCERNS: Mapping[Check, Callable[[Service], bool]] = MappingProxyType(
    {
        sensor: lambda service: service.sensor,
        addresses: lambda service: service.only_from != EVERYONE or bool(service.no_access),
        source_rate: lambda service: service.cps_source is not None,
        load: lambda service: service.max_load is not None,
        times: lambda service: bool(service.access_times),
        instances: lambda service: service.instances is not None,
        per_source: lambda service: service.per_source is not None,
        names: lambda service: bool(service.only_from.names or service.no_access.names),
        ident: lambda service: asks_for_user(service),
    }
)
"""Whether a check can object to any connection of a service. The others object only in a particular state of things:
see `ordinary`."""


def ordinary(checks: tuple[Check, ...], service: Service) -> tuple[Check, ...]:
    """Those of *checks* that can object to a connection of *service* as long as its source is not banned, cps has room,
    nothing limits all processes together, and hosts.allow and hosts.deny have no rules."""
    return tuple(check for check in checks if check in CONCERNS and CONCERNS[check](service))

AGAIN: tuple[Check, ...] = (addresses, times)
"""What a running server is judged by when its service's configuration changed (xinetd(8), SIGHUP); the number of
instances is looked at apart, since it concerns all of them."""


def decide(
    checks: tuple[Check, ...], service: Service, connection: Connection, facts: Facts
) -> Verdict | Unknown | None:
    """The first of *checks* that objects, or has to ask, decides; None: nothing stands against it."""
    for check in checks:
        if (objection := check(service, connection, facts)) is not None:
            return objection
    return None
