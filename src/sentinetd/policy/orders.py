"""Orders of an operator, a feed or the fleet: what is done of them, and what is answered.

Nothing that was ordered is done silently or left out silently: each change is an event, each refusal is in the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from sentinetd.model.address import Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import BanLifted, BansCleared, BansDeclined, ExemptionAdded, ExemptionEnded
from sentinetd.model.order import (
    LONGEST_NOTE,
    LONGEST_WHO,
    ORDERED_AT_ONCE,
    REFUSALS_TOLD,
    EndExemption,
    Exempt,
    ImposeBans,
    LiftAllBans,
    LiftBans,
    Refusal,
    WantedBan,
)
from sentinetd.policy.bans import Bans
from sentinetd.policy.effects import Effect, Exempted, Lift, Obeyed, Report, Restate
from sentinetd.policy.exemptions import ORDERED_MOST, Standing
from sentinetd.policy.inputs import Moment, Ordered

FREE_TOLD = 5
"""Exempt networks inside a banned one that an answer names."""


class Orders:
    """Carries them out on *bans*."""

    def __init__(self, bans: Bans) -> None:
        self._bans = bans
        self._handlers: dict[type[Any], Callable[[Ordered, Any, Moment], Iterator[Effect]]] = {
            ImposeBans: self._impose,
            LiftBans: self._lift,
            LiftAllBans: self._lift_all,
            Exempt: self._exempt,
            EndExemption: self._end_exemption,
        }

    def obey(self, given: Ordered, now: Moment) -> Iterator[Effect]:
        """Do what is ordered, and answer."""
        if len(given.who) > LONGEST_WHO:
            yield Obeyed(given.request, False, f"a name of more than {LONGEST_WHO} characters")
            return
        yield from self._handlers[type(given.order)](given, given.order, now)

    def _impose(self, given: Ordered, order: ImposeBans, now: Moment) -> Iterator[Effect]:
        if order.origin is Origin.SENSOR or len(order.bans) > ORDERED_AT_ONCE:
            yield Obeyed(given.request, False, f"at most {ORDERED_AT_ONCE} bans at once, by others than sensors")
            return
        refused: list[Refusal] = []
        for wanted in order.bans:
            why = self._why_not(wanted, order.origin)
            if why:
                refused.append(Refusal(wanted.network, why))
            else:
                yield from self._bans.ordered(wanted, order.origin, given.who, now)
        if refused:
            first = refused[0]
            yield Report(BansDeclined(now.wall, first.network, len(refused), order.origin, given.who, first.why))
        yield from self._bans.evicted(now)
        yield _answer(given.request, len(order.bans), refused, self._said(order.bans, refused))

    def _why_not(self, wanted: WantedBan, origin: Origin) -> str:
        if not wanted.span > 0:
            return f"{wanted.span:g} seconds are no time to be banned for"
        if len(wanted.note) > LONGEST_NOTE:
            return f"its note has more than {LONGEST_NOTE} characters"
        if self._bans.dry_run:
            return "dry_run: nobody is banned"
        return self._bans.exemptions.why_not(wanted.network, by_operator=origin is Origin.OPERATOR)

    def _said(self, bans: Sequence[WantedBan], refused: Sequence[Refusal]) -> str:
        """What the bans that were imposed come to, in words."""
        if len(bans) != 1 or refused:
            return f"{len(bans) - len(refused)} of {len(bans)} banned"
        [wanted] = bans
        until = self._bans.ledger.until(wanted.network)
        lasting = "until lifted" if until is None or math.isinf(until) else f"for {wanted.span:g} seconds or longer"
        free = [str(one) for one in islice(self._bans.exemptions.within(wanted.network), FREE_TOLD)]
        left = f"; exempt in it, and free: {', '.join(free)}" if free else ""
        return f"{wanted.network} is banned {lasting}{left}"

    def _lift(self, given: Ordered, order: LiftBans, now: Moment) -> Iterator[Effect]:
        if len(order.networks) > ORDERED_AT_ONCE:
            yield Obeyed(given.request, False, f"at most {ORDERED_AT_ONCE} networks at once")
            return
        refused = []
        for network in order.networks:
            if self._bans.ledger.lift(network):
                yield Lift(network)
                yield Report(BanLifted(now.wall, network, given.who))
            else:
                wider = self._bans.ledger.covering(network, now.now)
                why = "it is not banned" if wider is None else f"it is banned as part of {wider}: lift that"
                refused.append(Refusal(network, why))
        text = f"{order.networks[0]}: lifted" if len(order.networks) == 1 else f"{len(order.networks)} asked for"
        yield _answer(given.request, len(order.networks), refused, text)

    def _lift_all(self, given: Ordered, order: LiftAllBans, now: Moment) -> Iterator[Effect]:
        count = len(self._bans.ledger)
        self._bans.ledger.clear()
        yield Restate()
        yield Report(BansCleared(now.wall, count, given.who))
        yield Obeyed(given.request, True, f"all {count} bans are lifted", count)

    def _exempt(self, given: Ordered, order: Exempt, now: Moment) -> Iterator[Effect]:
        why = self._why_not_exempt(order)
        if not why and not self._bans.exemptions.add(order.network, Standing(now.now + order.span, order.note)):
            why = f"there are {ORDERED_MOST} exemptions by order already; end some, or write networks into the settings"
        if why:
            yield _answer(given.request, 1, [Refusal(order.network, why)], "")
            return
        yield Exempted()
        yield Report(ExemptionAdded(now.wall, order.network, now.wall + order.span, given.who, order.note))
        lasting = "until that is ended" if math.isinf(order.span) else f"for {order.span:g} seconds"
        yield Obeyed(given.request, True, f"{order.network} is exempt from every ban {lasting}", 1)

    @staticmethod
    def _why_not_exempt(order: Exempt) -> str:
        if not order.span > 0:
            return f"{order.span:g} seconds are no time to be exempt for"
        return f"its note has more than {LONGEST_NOTE} characters" if len(order.note) > LONGEST_NOTE else ""

    def _end_exemption(self, given: Ordered, order: EndExemption, now: Moment) -> Iterator[Effect]:
        network: Network = order.network
        if self._bans.exemptions.end(network):
            yield Exempted()
            yield Report(ExemptionEnded(now.wall, network, given.who))
            yield Obeyed(given.request, True, f"{network} is exempt by order no longer", 1)
            return
        still = self._bans.exemptions.everywhere.covering(network) is not None
        why = "it is exempt by the settings or a wider order" if still else "it is not exempt"
        yield _answer(given.request, 1, [Refusal(network, why)], "")


def _answer(request: int, asked: int, refused: Sequence[Refusal], text: str) -> Obeyed:
    """The answer to an order for *asked* networks of which some are *refused*; *text* says what was done."""
    done = asked - len(refused)
    if refused:
        first = f"{refused[0].network}: {refused[0].why}"
        more = f", and {len(refused) - 1} others are not done either" if len(refused) > 1 else ""
        text = f"{text}; {first}{more}" if done else f"{first}{more}"
    return Obeyed(request, done > 0 or not asked, text, done, tuple(refused[:REFUSALS_TOLD]))
