"""A network that is never refused as banned, by order: as it is kept."""

from __future__ import annotations

from sentinetd.model.address import Network
from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Exemption:
    """*since* and *until* are Unix time, *until* `math.inf` if an order ends it; *who* ordered it, with a *note*."""

    network: Network
    since: float
    until: float
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class ExemptionOver:
    """For whoever keeps exemptions: that of *network* is over."""

    network: Network
