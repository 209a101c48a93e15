"""What the courier may order of the guard, for an operator, a feed or the fleet: never a path, a user or a command."""

from __future__ import annotations

import math

from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.noun import dataclass

ORDERED_AT_ONCE = 1_000
"""Networks that one order may name."""
LONGEST_NOTE = 500
"""Characters of a note."""
LONGEST_WHO = 100
"""Characters of the name of whoever gave an order."""
REFUSALS_TOLD = 200
"""Networks of one order that its answer names as refused; further ones are only counted."""
FOR_EVER = math.inf


@dataclass(frozen=True, slots=True)
class WantedBan:
    """*network* is to be refused for *span* seconds, `math.inf` for ever, because of *note*."""

    network: Network
    span: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImposeBans:
    """Ban each of *bans*, unless it must not be; a later end that stands already stays. *origin* is not SENSOR."""

    bans: tuple[WantedBan, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class LiftBans:
    """End the bans of exactly these networks."""

    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class LiftAllBans:
    """End every ban there is."""


@dataclass(frozen=True, slots=True)
class Exempt:
    """Never refuse *network* as banned, for *span* seconds (`math.inf`: until it is ended), because of *note*."""

    network: Network
    span: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class EndExemption:
    """*network* is exempt no longer by an order; what the settings say stays."""

    network: Network


@dataclass(frozen=True, slots=True)
class Reload:
    """Read the same files again, as SIGHUP does. *source*: where whoever orders it is logged in from, if he is: that is
    never banned from then on."""

    source: Address | None = None


Order = ImposeBans | LiftBans | LiftAllBans | Exempt | EndExemption | Reload


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was ordered for *network* is not done, and *why*."""

    network: Network
    why: str
