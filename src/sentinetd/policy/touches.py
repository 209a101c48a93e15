"""Who touched which sensors lately: for a ban that takes more than one of them."""

from __future__ import annotations

from collections import OrderedDict

from sentinetd.model.address import Network

MOST = 50_000
"""Networks remembered; beyond it those go that were quiet for longest."""


class Touches:
    """By network the sensors it touched, each with the time of the last touch."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: OrderedDict[Network, dict[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def count(self, network: Network, sensor: str, now: float, within: float, enough: int) -> int:
        """How many different sensors *network* has touched in the *within* seconds up to *now*, when it touched
        *sensor*; *enough* are not counted further, and forgotten."""
        known = self._of.pop(network, {})
        known[sensor] = now
        lately = {name: at for name, at in known.items() if now - at <= within}
        if len(lately) < enough:
            if len(self._of) >= MOST:
                self._of.popitem(last=False)
            self._of[network] = lately
        return len(lately)
