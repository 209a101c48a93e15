"""What is understood but has no effect yet: told at start for every service that uses it, never passed over in silence.

To bring something into force, build it and delete its line from `NOT_YET_IN_FORCE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache

from sentinetd.config.table import attributes
from sentinetd.model.attribute import Attribute
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.service import Service
from sentinetd.model.settings import Settings
from sentinetd.model.values import Place, Type

Use = tuple[str, str]
"""An attribute and one of its options; the option is empty where the attribute as a whole is meant."""

NOT_YET_IN_FORCE: frozenset[Use] = frozenset()
"""`internal`: built-in services by name."""

INDISPENSABLE = frozenset({"redirect", "type", "internal"})
"""Attributes without whose effect the service would do nothing, or something else."""


def uses(service: Service) -> Iterator[Use]:
    """What *service* asks for and does not get yet."""
    for row in _rows():
        value = getattr(service, row.field, row.default)
        if isinstance(value, frozenset):
            names = (one.value for one in value if isinstance(one, Enum))
            yield from (use for use in ((row.name, str(name)) for name in names) if use in NOT_YET_IN_FORCE)
        elif (row.name, "") in NOT_YET_IN_FORCE and (value != row.default or row.name in service.places):
            yield row.name, ""
    if Type.INTERNAL in service.type and not service.sensor and ("internal", service.name.lower()) in NOT_YET_IN_FORCE:
        yield "internal", service.name.lower()


@cache
def _rows() -> tuple[Attribute, ...]:
    """Rows of which something is not in force."""
    concerned = {attribute for attribute, _ in NOT_YET_IN_FORCE}
    return tuple(row for row in attributes() if row.name in concerned)


def servable(service: Service) -> bool:
    """Whether *service* can do what it is for with what is in force; it must not be started otherwise."""
    return not NOT_YET_IN_FORCE or not any(_needed(use) for use in uses(service))


def warnings(services: Iterable[Service]) -> Iterator[Diagnostic]:
    """One for each thing that one of *services* uses and that has no effect yet."""
    if not NOT_YET_IN_FORCE:
        return
    for service, use in ((one, use) for one in services for use in uses(one)):
        attribute, option = use
        name = "type" if attribute == "internal" else attribute
        text = f"{option or attribute} is understood but not in force in this version"
        place = service.places.get(f"{name} {option}") or service.places.get(name) or service.places.get("")
        way_out = f"service {service.id} is not started" if _needed(use) else "it has no effect"
        yield Diagnostic(Scope.LINE, place or Place("", 0), text, way_out, name, service.id, Level.WARNING)


def unadvertised(services: Iterable[Service], settings: Settings) -> Iterator[Diagnostic]:
    """One where one of *services* asks to be advertised and the daemon's settings do not."""
    if settings.mdns.enabled:
        return
    for service in services:
        if service.mdns and "mdns" in service.places:
            text = "mdns = yes has no effect unless mDNS is enabled"
            way_out = "write [mdns] and enabled = true in sentinetd.toml, or delete the line"
            place = service.places["mdns"]
            yield Diagnostic(Scope.LINE, place, text, way_out, "mdns", service.id, Level.WARNING)


def _needed(use: Use) -> bool:
    return use[0] in INDISPENSABLE
