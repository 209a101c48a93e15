"""What services need of the daemon beside their listeners: other processes, the kernel's filter, things to be read."""

from __future__ import annotations

from collections.abc import Sequence

from sentinetd.model.manner import Manner, manner_of
from sentinetd.model.service import Flag, Service, SocketType
from sentinetd.model.values import Word
from sentinetd.policy.checks import asks_for_user
from sentinetd.policy.services import identifies_refused


class Need(Word):
    """One of them."""

    PORTER = "porter"
    """Something is to be done that reads foreign bytes or waits for the network."""
    FILTER = "filter"
    """A server accepts by itself, so that only the kernel can refuse a source."""
    TABLES = "tables"
    """hosts.allow and hosts.deny are asked."""
    LOAD = "load"
    """The load of the machine matters."""


Found = tuple[Service, frozenset[Need]]


class Needs:
    """Remembers what the services of the last configuration need: most of the next are the same objects."""

    def __init__(self) -> None:
        self._known: dict[int, Found] = {}  # by identity; who is known stays alive

    def of(self, wanted: Sequence[Service]) -> frozenset[Need]:
        """What *wanted*, the next configuration, need together."""
        before, now = self._known, dict[int, Found]()
        for service in wanted:
            found = before.get(id(service))
            now[id(service)] = (service, needs_of(service)) if found is None else found
        self._known = now
        return frozenset[Need]().union(*(needs for _, needs in now.values()))


def needs_of(service: Service) -> frozenset[Need]:
    """What *service* needs."""
    needs = set()
    if _needs_porter(service):
        needs.add(Need.PORTER)
    if accepts_itself(service):
        needs.add(Need.FILTER)
    if Flag.NOLIBWRAP not in service.flags and not service.sensor:
        needs.add(Need.TABLES)
    if service.max_load is not None:
        needs.add(Need.LOAD)
    return frozenset(needs)


def _needs_porter(service: Service) -> bool:
    names = service.only_from.names or service.no_access.names
    asks = bool(names or service.banner_fail or service.proxy_protocol)
    return (
        asks
        or asks_for_user(service)
        or identifies_refused(service)
        or manner_of(service) in (Manner.CARRIED, Manner.CHOSEN, Manner.INTERCEPTED, Manner.PLAYED)
    )


def accepts_itself(service: Service) -> bool:
    """Whether it is the server of *service* that accepts."""
    return service.wait and service.socket_type is SocketType.STREAM and manner_of(service) is Manner.SERVER
