"""The courier's side of questions to guard and store: numbered, answered in parts, given up after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from sentinetd.control.desk import Counted, Explained, NoAnswer, Outcome, SinkState
from sentinetd.daemon.messages import (
    ExplainAnswer,
    Obeyed,
    Query,
    ServersAnswer,
    ServicesAnswer,
    StatusAnswer,
    TallyAnswer,
    Unanswerable,
)
from sentinetd.daemon.orders import Orders
from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Origin
from sentinetd.model.kept import BanPage, BanQuery, KeptExemption, PastBan
from sentinetd.model.order import ImposeBans, Order
from sentinetd.model.state import DaemonState, ServerState, ServiceState, Topic
from sentinetd.store.keeper import Keeper, Run
from sentinetd.store.listing import Listing

PATIENCE = 5.0
"""Seconds that the guard has for an answer."""
AT_ONCE = 32
"""Questions that may be open."""

A = TypeVar("A")
R = TypeVar("R")


class _Asked:
    """A question that is open: what has come of its answer, and who waits for the rest."""

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        self.parts: list[Any] = []
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Questions:
    """All questions to the guard that are open. *send* sends it a message, waiting for room."""

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self._numbers = count(1)
        self._open: dict[int, _Asked] = {}

    async def ask(self, topic: Topic, kind: type[A], subject: str = "") -> list[A]:
        """All parts of the answer, messages of *kind*. NoAnswer if there is none."""
        if len(self._open) >= AT_ONCE:
            raise NoAnswer("too many questions at once; try again")
        request = next(self._numbers)
        asked = self._open[request] = _Asked(kind)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send(Query(request, topic, subject))
                await asked.answered
        except TimeoutError:
            raise NoAnswer(f"the guard said nothing for {PATIENCE:.0f} seconds; see its log") from None
        finally:
            del self._open[request]
        return asked.parts

    def answered(self, message: Any) -> None:
        """*message*, a part of an answer, has come. One that nobody waits for any more is dropped."""
        asked = self._open.get(message.request)
        if asked is None or asked.answered.done():
            return
        if type(message) is Unanswerable:
            asked.answered.set_exception(NoAnswer(message.why))
        elif type(message) is not asked.kind:
            asked.answered.set_exception(NoAnswer(f"the guard answered something else: {type(message).__name__}"))
        else:
            asked.parts.append(message)
            if not getattr(message, "more", False):
                asked.answered.set_result(None)


class GuardDesk:
    """A `control.desk.Desk`. *read* runs a blocking call on a thread of its own."""

    def __init__(
        self,
        questions: Questions,
        orders: Orders,
        listing: Listing,
        read: Run,
        keeper: Keeper,
        sinks: Callable[[], Sequence[SinkState]],
    ) -> None:
        self._questions = questions
        self._orders = orders
        self._listing = listing
        self._read = read
        self._keeper = keeper
        self.sinks = sinks

    async def status(self) -> DaemonState:
        (answer,) = await self._questions.ask(Topic.STATUS, StatusAnswer)
        return answer.state

    async def services(self) -> Sequence[ServiceState]:
        return [row for part in await self._questions.ask(Topic.SERVICES, ServicesAnswer) for row in part.rows]

    async def servers(self) -> Sequence[ServerState]:
        return [row for part in await self._questions.ask(Topic.SERVERS, ServersAnswer) for row in part.rows]

    async def explain(self, address: str) -> Explained:
        parts = await self._questions.ask(Topic.EXPLAIN, ExplainAnswer, address)
        return Explained(parts[0].standing, tuple(row for part in parts for row in part.rows))

    async def tally(self) -> Counted:
        parts = await self._questions.ask(Topic.TALLY, TallyAnswer)
        return Counted(parts[0].tally, tuple(row for part in parts for row in part.rows))

    async def bans(self, query: BanQuery) -> BanPage:
        return await self._of_store(lambda: self._listing.page(query))

    async def exemptions(self, at: float) -> Sequence[KeptExemption]:
        return await self._of_store(lambda: self._listing.exemptions(at))

    async def past(self, query: BanQuery) -> Sequence[PastBan]:
        return await self._of_store(lambda: self._listing.past(query))

    async def forget(self, before: float, network: Network | None) -> int:
        try:
            return await self._keeper.forget(before, network)
        except EdgeError as error:
            raise NoAnswer(str(error)) from error

    async def order(self, order: Order, who: str) -> Outcome:
        try:
            if isinstance(order, ImposeBans):  # in parts, where there are many
                answer = await self._orders.ban(order.bans, Origin.OPERATOR, who)
            else:
                answer = await self._orders.order(order, who)
        except EdgeError as error:
            raise NoAnswer(str(error)) from error
        return _outcome(answer)


    async def _of_store(self, call: Callable[[], R]) -> R:
        try:
            return await self._read(call)
        except EdgeError as error:
            raise NoAnswer(str(error)) from error


def _outcome(answer: Obeyed) -> Outcome:
    return Outcome(answer.ok, answer.text, answer.done, answer.refused)
