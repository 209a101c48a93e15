"""A harmless trip, to see that what follows one works: ordered, in force, kept, told, and lifted again.

The source is an address for documentation (RFC 5737), whom nobody has; the ban would end by itself within a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from sentinetd.control.desk import Desk, NoAnswer, Outcome, SinkState
from sentinetd.control.requests import Fired, Step
from sentinetd.control.troubles import Troubles
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import Event, SensorTripped
from sentinetd.model.kept import BanQuery
from sentinetd.model.order import ImposeBans, LiftBans, WantedBan

SOURCE = Address.parse("192.0.2.1")
SERVICE = "test-fire"
SPAN = 60.0
SETTLE = 5.0
"""Seconds that the sinks have to deliver what they want of it."""
LOOK = 0.05

Check = Callable[[], Awaitable[tuple[bool, str]]]


async def fire(
    desk: Desk, note: Callable[[Event], None], troubles: Troubles, wall: Callable[[], float], who: str
) -> Fired:
    """Do it for *who*, and report."""
    network = Network.of(SOURCE, 32)
    before = {one.what for one in troubles.at(wall())}

    async def banned() -> tuple[bool, str]:
        outcome = await desk.order(ImposeBans((WantedBan(network, SPAN, SERVICE),), Origin.OPERATOR), who)
        return outcome.ok, f"{network} banned for {SPAN:.0f} seconds" if outcome.ok else _why(outcome)

    async def in_force() -> tuple[bool, str]:
        explained = await desk.explain(SOURCE.text)
        refusing = sum(not one.admitted for one in explained.services)
        enforcers = (await desk.status()).enforcers
        held = "".join(f", {one.name} {'holds it' if one.ok else 'does not hold every ban'}" for one in enforcers)
        text = f"{refusing} of {len(explained.services)} services refuse it{held}"
        refused = bool(explained.standing.network) and refusing == len(explained.services)
        return refused and all(one.ok for one in enforcers), text

    async def kept() -> tuple[bool, str]:
        page = await desk.bans(BanQuery(at=wall(), network=network))
        return page.total == 1, "it is in the store" if page.total == 1 else "it is not in the store"

    async def told() -> tuple[bool, str]:
        told_before = {one.name: one.delivered for one in desk.sinks()}
        note(SensorTripped(wall(), 0, SERVICE, SOURCE, 0, 0.0, f"a harmless test by {who}"))
        end = monotonic() + SETTLE
        while (waiting := _waiting(desk, told_before)) and monotonic() < end:
            await asyncio.sleep(LOOK)
        fresh = [f"{one.what}: {one.text}" for one in troubles.at(wall()) if one.what not in before]
        late = [f"{one.name} has {one.waiting} waiting{f': {one.failing}' if one.failing else ''}" for one in waiting]
        if fresh or late:
            return False, "; ".join([*fresh, *late])
        names = ", ".join(told_before)
        return True, f"told to the log{f', and delivered to {names}' if names else '; there are no sinks'}"

    async def lifted() -> tuple[bool, str]:
        outcome = await desk.order(LiftBans((network,)), who)
        explained = await desk.explain(SOURCE.text)
        gone = outcome.ok and not explained.standing.network
        return gone, "nothing is left of it" if gone else _why(outcome)

    steps = [await _step("ban", banned)]
    if steps[0].ok:
        for name, check in (("in force", in_force), ("kept", kept), ("told", told), ("lifted", lifted)):
            steps.append(await _step(name, check))
    return Fired(all(one.ok for one in steps), steps)


def _waiting(desk: Desk, before: Mapping[str, int]) -> list[SinkState]:
    """The sinks that had something to deliver and have not delivered it, or fail."""
    return [
        one for one in desk.sinks() if one.failing or (one.waiting and one.delivered <= before.get(one.name, 0))
    ]


def _why(outcome: Outcome) -> str:
    return "; ".join(one.why for one in outcome.refused) or outcome.text


async def _step(name: str, check: Check) -> Step:
    begun = monotonic()
    try:
        ok, text = await check()
    except NoAnswer as silence:
        ok, text = False, str(silence)
    return Step(name, ok, text, round(monotonic() - begun, 4))
