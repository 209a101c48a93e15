"""Longer bans for those who come back: the courier remembers them, and answers a ban that is not the first.

The guard's ban is in force meanwhile, for as long as the sensor says. Off unless ``[bans] escalation`` is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sentinetd.model.ban import Ban, LongerBan, Origin
from sentinetd.model.events import Event
from sentinetd.model.settings import CourierSettings, Escalation, Mistake
from sentinetd.model.trip_run import TripTable
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Change


class Escalator:
    """Reckons by what *keeper* has kept. An `Instructable`, for its settings."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._rule: Escalation | None = None
        self._prepared: Escalation | None = None

    @property
    def routine(self) -> frozenset[str]:
        """It hears of bans by what is committed."""
        return frozenset()

    def tell(self, *events: Event) -> None:
        """Nothing to do: see `longer`."""

    def tell_trips(self, trips: TripTable) -> None:
        """Nothing to do, either."""

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """Any rule can be followed."""
        self._prepared = settings.escalation
        return ()

    def enact(self) -> None:
        """From now on reckon by the rule that was prepared."""
        self._rule = self._prepared
        self._keeper.remember_offences(0.0 if self._rule is None else self._rule.forget_after)

    def replace_file(self, number: int, descriptor: int) -> None:
        """It has no files."""

    async def close(self) -> None:
        """It holds nothing."""

    async def longer(self, changes: Sequence[Change]) -> list[LongerBan]:
        """Of *changes*, which were just committed, the bans that touches began and that are to last longer."""
        rule = self._rule
        if rule is None:
            return []
        bans = (ban for change in changes for ban in _bans(change))
        begun = {ban.network: ban for ban in bans if ban.origin is Origin.SENSOR and not ban.who}
        if not begun:
            return []
        offences = await self._keeper.repeats(list(begun))
        found = []
        for network, offence in offences.items():
            ban = begun[network]
            span = grown(ban.span, offence, rule)
            if span > ban.span:
                found.append(LongerBan(network, ban.since + span, ban.sensor, offence))
        return found


def _bans(change: Change) -> Iterable[Ban]:
    """The bans that *change* imposes."""
    if isinstance(change, TripTable):
        return change.bans()
    return (change,) if isinstance(change, Ban) else ()


def grown(span: float, offence: int, rule: Escalation) -> float:
    """Seconds that the *offence*th ban lasts, if the first is of *span*; never less than that."""
    growing = rule.factor ** min(offence - 1, 64)  # beyond that any ceiling is reached
    return max(span, min(rule.ceiling, span * growing))
