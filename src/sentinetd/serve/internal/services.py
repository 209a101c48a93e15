"""The `services` service of xinetd before 2.3.12: which services there are."""

from __future__ import annotations

from collections.abc import Iterable

from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Available:
    """A service that takes connections: its name, its protocol's name, its port."""

    name: str
    protocol: str
    port: int


def text(services: Iterable[Available]) -> str:
    """One line for each: name, protocol, port."""
    return "".join(f"{one.name} {one.protocol} {one.port}\n" for one in services)
