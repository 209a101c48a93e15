"""All attributes by name: those of `Service`, those that steer entries, and those that are reserved."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from sentinetd.model import readers as read
from sentinetd.model.attribute import Attribute, Kind, rows_of
from sentinetd.model.merging import VARIABLES
from sentinetd.model.service import Service

STEERING = (
    Attribute(
        name="disable",
        field="disable",
        read=read.yes_or_no("Bad value"),
        default=False,
        values="yes|no",
        doc="yes: the entry is left out, and not examined.",
    ),
    Attribute(
        name="enabled",
        field="enabled",
        read=tuple,
        default=None,
        kind=Kind.MODIFIABLE,
        defaults=True,
        merge=VARIABLES,
        values="[ID]...",
        doc="In a defaults entry: only services with one of these ids run.",
    ),
    Attribute(
        name="disabled",
        field="disabled",
        read=tuple,
        default=(),
        kind=Kind.MODIFIABLE,
        defaults=True,
        merge=VARIABLES,
        values="[ID]...",
        doc="In a defaults entry: services with one of these ids do not run, not even enabled ones.",
    ),
)
"""Attributes that decide whether an entry counts; no `Service` has them."""

DEFAULTS_ONLY = frozenset({"enabled", "disabled"})

RESERVED = frozenset({"sandbox", "memory_max", "tasks_max", "chroot"})
"""Names that a later version will give a meaning: refused, lest a file rely on a protection it does not have."""


@cache
def attributes() -> tuple[Attribute, ...]:
    """Every attribute, in the order of the manual."""
    return (*STEERING, *rows_of(Service))


@cache
def by_name() -> Mapping[str, Attribute]:
    """Every attribute under its name and its aliases."""
    return {name: row for row in attributes() for name in (row.name, *row.aliases)}


@cache
def inherited() -> tuple[Attribute, ...]:
    """Attributes of a service that a defaults entry may give."""
    return tuple(row for row in rows_of(Service) if row.defaults)
