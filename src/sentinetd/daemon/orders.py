"""Orders to the guard, from the courier's side: given, and waited for until they are answered.

The control socket, feeds and the fleet have no other way to change who is banned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any

from sentinetd.daemon.messages import (
    Obeyed,
    OrderBans,
    OrderEndExemption,
    OrderExempt,
    OrderLift,
    OrderLiftAll,
    OrderReload,
)
from sentinetd.errors import EdgeError, MessageError
from sentinetd.model.ban import Origin
from sentinetd.model.order import (
    REFUSALS_TOLD,
    EndExemption,
    Exempt,
    ImposeBans,
    LiftAllBans,
    LiftBans,
    Order,
    Refusal,
    Reload,
    WantedBan,
)

ANSWER_WITHIN = 30.0
"""Seconds that the guard has for an answer; it is at other work, or gone, when it takes longer."""
OPEN_MOST = 256
"""Orders that wait for their answers at once."""
BANS_AT_ONCE = 500
"""Bans in one order, or fewer where their notes are long. Between two the guard serves whoever has come meanwhile."""

MESSAGES: dict[type[Order], Callable[[int, str, Any], Any]] = {
    ImposeBans: OrderBans,
    LiftBans: OrderLift,
    LiftAllBans: OrderLiftAll,
    Exempt: OrderExempt,
    EndExemption: OrderEndExemption,
    Reload: OrderReload,
}
"""What carries each kind of order."""


class OrderFailed(EdgeError):
    """The guard did not answer: whether the order was carried out is not known."""


class Orders:
    """All that are open. *send* gives a message to the guard, waiting for room."""

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[Obeyed]] = {}
        self._closed = False

    async def order(self, order: Order, who: str) -> Obeyed:
        """Have *order* carried out for *who*; the guard's answer, when it has come. `OrderFailed` if none does.

        What was done is committed by then, and told to every listener.
        """
        if self._closed or len(self._open) >= OPEN_MOST:
            raise OrderFailed("the daemon is ending" if self._closed else f"{OPEN_MOST} orders wait already")
        request = next(self._numbers)
        answer: asyncio.Future[Obeyed] = asyncio.get_running_loop().create_future()
        self._open[request] = answer
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._send(MESSAGES[type(order)](request, who, order))
                return await answer
        except TimeoutError:
            raise OrderFailed(f"the guard did not answer within {ANSWER_WITHIN:.0f} seconds") from None
        finally:
            del self._open[request]

    async def ban(self, bans: Sequence[WantedBan], origin: Origin, who: str) -> Obeyed:
        """Have *bans* imposed, however many, one part after the other; the sum of the answers."""
        if len(bans) > BANS_AT_ONCE:
            return await self._ban_in_parts(bans, BANS_AT_ONCE, origin, who)
        try:
            return await self.order(ImposeBans(tuple(bans), origin), who)
        except MessageError:  # long notes: fewer at once
            if len(bans) == 1:
                raise
            return await self._ban_in_parts(bans, (len(bans) + 1) // 2, origin, who)

    async def _ban_in_parts(self, bans: Sequence[WantedBan], most: int, origin: Origin, who: str) -> Obeyed:
        done, ok = 0, False
        refused: list[Refusal] = []
        for first in range(0, len(bans), most):
            answer = await self.ban(bans[first : first + most], origin, who)
            done += answer.done
            ok = ok or answer.ok
            refused += answer.refused[: REFUSALS_TOLD - len(refused)]
        return Obeyed(0, ok, f"{done} of {len(bans)} banned", done, tuple(refused))

    def obeyed(self, answer: Obeyed) -> None:
        """The guard answered. An answer nobody waits for any more is dropped."""
        waiting = self._open.get(answer.request)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def close(self) -> None:
        """The guard is gone: nobody is answered any more."""
        self._closed = True
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(OrderFailed("the guard is gone"))
