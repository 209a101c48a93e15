"""A port of ours, as the kernel is told of it."""

from __future__ import annotations

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class GuardedPort:
    """*port* of *address*, None: of every address of that IP version; *protocol* is 6 (TCP) or 17 (UDP)."""

    protocol: int
    version: int
    address: Address | None
    port: int
