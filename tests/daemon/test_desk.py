"""Questions to the guard: answered in parts, given up, never mixed up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sentinetd.control.desk import NoAnswer
from sentinetd.daemon import desk
from sentinetd.daemon.desk import AT_ONCE, Questions
from sentinetd.daemon.messages import Query, ServersAnswer, ServicesAnswer, Unanswerable
from sentinetd.model.state import ServerState, Topic

ROW = ServerState("ssh", 1, "192.0.2.1", 2, 3.0, False)


class Sent(list[Query]):
    async def send(self, message: Any) -> None:
        self.append(message)


def test_an_answer_in_parts_is_put_together() -> None:
    async def play() -> None:
        sent = Sent()
        questions = Questions(sent.send)
        asking = asyncio.create_task(questions.ask(Topic.SERVERS, ServersAnswer))
        await asyncio.sleep(0)
        (query,) = sent
        assert query.topic is Topic.SERVERS
        questions.answered(ServersAnswer(query.request + 1, (ROW,), False))  # to nobody
        questions.answered(ServersAnswer(query.request, (ROW, ROW), True))
        questions.answered(ServersAnswer(query.request, (ROW,), False))
        questions.answered(ServersAnswer(query.request, (ROW,), False))  # too late
        assert [len(part.rows) for part in await asking] == [2, 1]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("answer", "part"),
    [(Unanswerable(1, "no address"), "no address"), (ServicesAnswer(1, (), False), "something else: ServicesAnswer")],
)
def test_no_answer(answer: Any, part: str) -> None:
    async def play() -> None:
        sent = Sent()
        questions = Questions(sent.send)
        asking = asyncio.create_task(questions.ask(Topic.SERVERS, ServersAnswer))
        await asyncio.sleep(0)
        questions.answered(answer)
        with pytest.raises(NoAnswer, match=part):
            await asking

    asyncio.run(play())


def test_a_silent_guard_is_given_up_and_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", 0.01)

    async def play() -> None:
        questions = Questions(Sent().send)
        asking = [asyncio.create_task(questions.ask(Topic.STATUS, ServersAnswer)) for _ in range(AT_ONCE + 1)]
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(one) for one in told] == [NoAnswer] * (AT_ONCE + 1)
        assert "too many questions" in str(told[-1])
        with pytest.raises(NoAnswer, match="said nothing"):
            await questions.ask(Topic.STATUS, ServersAnswer)

    asyncio.run(play())
