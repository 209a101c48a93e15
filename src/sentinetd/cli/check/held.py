"""Which services want an address that another program has already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sentinetd.cli.plan.ground import Ground, Listener
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.service import Service
from sentinetd.model.values import Family, Place


def held(services: Iterable[Service], ground: Ground) -> Iterator[Diagnostic]:
    """One error for each service whose socket could not be bound."""
    for service in services:
        for listener in ground.listeners:
            if _in_the_way(service, listener):
                place = service.places.get("port") or service.places.get("") or Place("", 0)
                holders = sorted(f"{one.program} (process {one.pid})" for one in listener.holders)
                who = ", ".join(holders) or "a program of another user"
                text = f"{listener.port.transport} port {service.port} of {listener.socket.address} is held by {who}"
                way_out = "stop it, or give the service another port or bind"
                yield Diagnostic(Scope.ENTRY, place, text, way_out, "port", service.id, Level.ERROR)
                break


def _in_the_way(service: Service, listener: Listener) -> bool:
    """Whether *listener* keeps *service* from its address. Two wildcard sockets of one port exclude each other."""
    if listener.ours or service.port == 0 or listener.port.number != service.port:
        return False
    if listener.socket.protocol != service.protocol.number:
        return False
    bound = listener.socket.address
    if service.address is not None and bound.value:
        return bound == service.address
    if service.family is Family.DUAL or (bound.version == 6 and not bound.value and not listener.socket.v6only):
        return True
    return bound.version == (4 if service.family is Family.IPV4 else 6)
