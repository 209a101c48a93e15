"""Look-ups and their threads, with calls that a test holds back and lets go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from sentinetd.ask.lookups import Lookups
from sentinetd.ask.threads import Threads


class Gate:
    """A blocking look-up that waits until the test opens it; the value of a text is its length, of "?" nothing."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.calls: list[str] = []

    def find(self, text: str) -> int | None:
        self.calls.append(text)
        assert self.open.wait(10)
        return None if text == "?" else len(text)


def play(story: Callable[[Gate], Awaitable[None]]) -> None:
    gate = Gate()

    async def run() -> None:
        try:
            await story(gate)
        finally:
            gate.open.set()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_no_more_threads_than_allowed_and_no_more_waiting() -> None:
    async def story(gate: Gate) -> None:
        threads = Threads(most=2, waiting=3)
        before = threading.active_count()
        jobs = [threads.start(lambda: gate.find("x")) for _ in range(6)]
        assert [job is not None for job in jobs] == [True] * 5 + [False]
        assert threading.active_count() - before == 2
        gate.open.set()
        for job in jobs[:5]:
            assert job is not None
            assert await job.outcome == 1
        assert threads.start(lambda: gate.find("x")) is not None

    play(story)


def test_without_a_thread_to_be_had_those_that_there_are_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of processes counts threads (setrlimit(2), RLIMIT_NPROC)."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def story(gate: Gate) -> None:
        threads = Threads(most=2)
        gate.open.set()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert threads.start(lambda: gate.find("x")) is None, "there is none"
        first = threads.start(lambda: gate.find("x"))
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            second = threads.start(lambda: gate.find("xx"))
        assert first is not None
        assert second is not None
        assert (await first.outcome, await second.outcome) == (1, 2)

    play(story)


def test_one_call_answers_all_who_ask_meanwhile() -> None:
    async def story(gate: Gate) -> None:
        lookups = Lookups(Threads(), gate.find, lambda value: 60.0)
        asked = asyncio.gather(*(lookups.answer("abc", 5) for _ in range(10)))
        await until(lambda: bool(gate.calls))
        gate.open.set()
        assert await asked == [3] * 10
        assert gate.calls == ["abc"]

    play(story)


def test_an_answer_too_late_for_its_asker_is_remembered_for_the_next() -> None:
    async def story(gate: Gate) -> None:
        lookups = Lookups(Threads(), gate.find, lambda value: 60.0)
        assert await lookups.answer("abc", 0.01) is None
        gate.open.set()
        assert await lookups.answer("abc", 5) == 3
        assert await lookups.answer("abc", 0) == 3
        assert gate.calls == ["abc"]

    play(story)


def test_what_nobody_waits_for_any_more_is_never_called() -> None:
    async def story(gate: Gate) -> None:
        lookups = Lookups(Threads(most=1), gate.find, lambda value: 60.0)
        await asyncio.gather(*(lookups.answer(text, 0.01) for text in ("first", "second", "third")))
        gate.open.set()
        assert await lookups.answer("fourth", 5) == 6
        assert gate.calls == ["first", "fourth"]

    play(story)


@pytest.mark.parametrize(
    ("life", "calls"), [pytest.param(60.0, 1, id="remembered"), pytest.param(0.0, 2, id="its life is over")]
)
def test_memory_has_a_life(life: float, calls: int) -> None:
    async def story(gate: Gate) -> None:
        gate.open.set()
        lookups = Lookups(Threads(), gate.find, lambda value: life)
        assert (await lookups.answer("abc", 5), await lookups.answer("abc", 5)) == (3, 3)
        assert len(gate.calls) == calls

    play(story)


@pytest.mark.parametrize(
    ("now", "stale", "answer"),
    [
        pytest.param(5, 60.0, 5, id="a newer one"),
        pytest.param(None, 60.0, 3, id="none to be had: the old one"),
        pytest.param(None, 0.0, None, id="none to be had, and the old one is too old"),
    ],
)
def test_an_old_answer_serves_where_no_newer_one_comes(now: int | None, stale: float, answer: int | None) -> None:
    async def story(gate: Gate) -> None:
        values = iter((3, now))
        lookups = Lookups(Threads(), lambda text: next(values), lambda value: 0.0, stale=stale)
        assert await lookups.answer("abc", 5) == 3
        assert await lookups.answer("abc", 5) == answer

    play(story)


def test_an_old_answer_serves_where_a_newer_one_is_late() -> None:
    async def story(gate: Gate) -> None:
        gate.open.set()
        lookups = Lookups(Threads(), gate.find, lambda value: 0.0, stale=60.0)
        assert await lookups.answer("abc", 5) == 3
        gate.open.clear()
        assert await lookups.answer("abc", 0.01) == 3

    play(story)


def test_what_could_not_be_found_out_is_not_remembered() -> None:
    async def story(gate: Gate) -> None:
        gate.open.set()
        lookups = Lookups(Threads(), gate.find, lambda value: 60.0)
        assert (await lookups.answer("?", 5), await lookups.answer("?", 5)) == (None, None)
        assert gate.calls == ["?", "?"]

    play(story)


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    async def story(gate: Gate) -> None:
        gate.open.set()
        lookups = Lookups(Threads(), gate.find, lambda value: 60.0, most_remembered=2)
        for text in ("a", "b", "c", "b", "c", "a"):
            await lookups.answer(text, 5)
        assert gate.calls == ["a", "b", "c", "a"]

    play(story)


def test_a_mistake_in_a_call_reaches_who_waits() -> None:
    async def story(gate: Gate) -> None:
        def broken(text: str) -> int:
            raise KeyError(text)

        with pytest.raises(KeyError):
            await Lookups(Threads(), broken, lambda value: 60.0).answer("abc", 5)

    play(story)
