"""Orders from the courier's side: sent, waited for, answered or not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sentinetd.daemon import orders as module
from sentinetd.daemon.channel import PACKET, encode
from sentinetd.daemon.messages import ORDERS, Obeyed, OrderBans
from sentinetd.daemon.orders import BANS_AT_ONCE, MESSAGES, OPEN_MOST, OrderFailed, Orders
from sentinetd.errors import MessageError
from sentinetd.model.address import Network
from sentinetd.model.ban import Origin
from sentinetd.model.order import (
    LONGEST_NOTE,
    EndExemption,
    Exempt,
    ImposeBans,
    LiftAllBans,
    LiftBans,
    Refusal,
    Reload,
    WantedBan,
)

A = Network.parse("192.0.2.1")
EACH = [
    ImposeBans((WantedBan(A, math.inf),), Origin.FLEET), LiftBans((A,)), LiftAllBans(), Exempt(A, 60.0),
    EndExemption(A), Reload(),
]  # fmt: skip


class Guard:
    """The other end: remembers what came, and answers what it is told to."""

    def __init__(self, answer: Callable[[Any], Obeyed | None]) -> None:
        self.heard: list[Any] = []
        self.orders = Orders(self._send)
        self._answer = answer

    async def _send(self, message: Any) -> None:
        if len(encode(1, [message])) > PACKET:
            raise MessageError("too long")
        self.heard.append(message)
        answer = self._answer(message)
        if answer is not None:
            asyncio.get_running_loop().call_soon(self.orders.obeyed, answer)


def play(answer: Callable[[Any], Obeyed | None], test: Callable[[Guard], Awaitable[Any]]) -> tuple[Guard, Any]:
    async def run() -> tuple[Guard, Any]:
        guard = Guard(answer)
        return guard, await test(guard)

    return asyncio.run(run())


def yes(message: Any) -> Obeyed:
    return Obeyed(message.request, True, "done", 1, ())


def test_there_is_a_message_for_every_order() -> None:
    assert set(MESSAGES.values()) == set(ORDERS)
    assert {type(one) for one in EACH} == set(MESSAGES)


@pytest.mark.parametrize("order", EACH, ids=lambda one: type(one).__name__)
def test_an_order_is_answered_by_its_own_number(order: Any) -> None:
    async def twice(guard: Guard) -> list[Obeyed]:
        return [await guard.orders.order(order, "root") for _ in range(2)]

    guard, answers = play(yes, twice)
    assert [(type(one), one.who, one.order) for one in guard.heard] == [(MESSAGES[type(order)], "root", order)] * 2
    assert [one.request for one in answers] == [one.request for one in guard.heard]
    assert len({one.request for one in answers}) == 2


def test_an_answer_that_is_for_nobody_is_dropped() -> None:
    async def test(guard: Guard) -> Obeyed:
        guard.orders.obeyed(Obeyed(99, True, "", 0, ()))
        return await guard.orders.order(LiftAllBans(), "root")

    assert play(yes, test)[1].ok


def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN", 0.01)
    with pytest.raises(OrderFailed, match="did not answer"):
        play(lambda message: None, lambda guard: guard.orders.order(LiftAllBans(), "root"))


def test_the_guard_goes_while_an_order_is_open() -> None:
    async def test(guard: Guard) -> None:
        asyncio.get_running_loop().call_soon(guard.orders.close)
        with pytest.raises(OrderFailed, match="the guard is gone"):
            await guard.orders.order(LiftAllBans(), "root")
        with pytest.raises(OrderFailed, match="the daemon is ending"):
            await guard.orders.order(LiftAllBans(), "root")

    play(lambda message: None, test)


def test_orders_that_wait_are_bounded() -> None:
    async def test(guard: Guard) -> None:
        waiting = [asyncio.ensure_future(guard.orders.order(LiftAllBans(), "x")) for _ in range(OPEN_MOST)]
        await asyncio.sleep(0)
        with pytest.raises(OrderFailed, match="wait already"):
            await guard.orders.order(LiftAllBans(), "root")
        guard.orders.close()
        assert all(isinstance(one, OrderFailed) for one in await asyncio.gather(*waiting, return_exceptions=True))

    play(lambda message: None, test)


@pytest.mark.parametrize(
    ("count", "note", "most"),
    [
        pytest.param(1, "", 1, id="one"),
        pytest.param(3 * BANS_AT_ONCE + 1, "", BANS_AT_ONCE, id="many"),
        pytest.param(BANS_AT_ONCE, "é" * LONGEST_NOTE, BANS_AT_ONCE // 8, id="with the longest notes"),
    ],
)
def test_any_number_of_bans_is_ordered_in_parts(count: int, note: str, most: int) -> None:
    bans = [WantedBan(Network(4, number, 32), 60.0, note) for number in range(count)]

    def answer(message: OrderBans) -> Obeyed:
        wanted = message.order.bans
        return Obeyed(message.request, True, "", len(wanted) - 1, (Refusal(wanted[0].network, "no"),))

    guard, total = play(answer, lambda guard: guard.orders.ban(bans, Origin.FEED, "list"))
    assert [one for message in guard.heard for one in message.order.bans] == bans
    assert max(len(message.order.bans) for message in guard.heard) <= most
    assert (total.done, len(total.refused)) == (count - len(guard.heard), len(guard.heard))
