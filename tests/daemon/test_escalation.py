"""Longer bans for those who come back: what is reckoned, on a store that remembers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from rig.trips import table, trip
from sentinetd.daemon.escalation import Escalator, grown
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Extended, LongerBan, Origin
from sentinetd.model.settings import CourierSettings, Escalation
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Change, Store

NOW = 1_700_000_000.0
HOST = Network.parse("192.0.2.1")
RULE = Escalation(factor=2.0, ceiling=1000.0, forget_after=5000.0)
T = TypeVar("T")


@pytest.mark.parametrize(
    ("span", "offence", "rule", "wanted"),
    [
        pytest.param(60.0, 1, RULE, 60.0, id="the first"),
        pytest.param(60.0, 2, RULE, 120.0, id="the second"),
        pytest.param(60.0, 4, RULE, 480.0, id="the fourth"),
        pytest.param(60.0, 9, RULE, 1000.0, id="at the ceiling"),
        pytest.param(60.0, 1_000_000, RULE, 1000.0, id="long after it"),
        pytest.param(5000.0, 3, RULE, 5000.0, id="a sensor's own span above the ceiling"),
        pytest.param(math.inf, 3, RULE, math.inf, id="for ever"),
        pytest.param(60.0, 100, Escalation(factor=100.0, ceiling=math.inf, forget_after=1.0), 60e128, id="no ceiling"),
    ],
)
def test_grown(span: float, offence: int, rule: Escalation, wanted: float) -> None:
    assert grown(span, offence, rule) == pytest.approx(wanted)


async def at_once(call: Callable[[], T]) -> T:
    return call()


class Bench:
    """A keeper with an escalator."""

    def __init__(self, directory: Path) -> None:
        def run(call: Callable[[], T]) -> Awaitable[T]:
            return at_once(call)

        self.store = Store(str(directory))
        self.keeper = Keeper(self.store, run, lambda: NOW, time.monotonic)
        self.escalator = Escalator(self.keeper)
        asyncio.run(self._open())

    async def _open(self) -> None:
        async for _ in self.keeper.restore():
            raise AssertionError("nothing is kept yet")

    def rule(self, rule: Escalation | None) -> None:
        asyncio.run(self.escalator.prepare(CourierSettings(escalation=rule), {}))  # type: ignore[arg-type]
        self.escalator.enact()

    def commit(self, *changes: Change) -> list[LongerBan]:
        async def committed() -> list[LongerBan]:
            await self.keeper.keep(changes)
            return await self.escalator.longer(changes)

        return asyncio.run(committed())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def ban(at: float, span: float = 60.0) -> Ban:
    return Ban(HOST, NOW + at, NOW + at + span, "irc")


def test_each_ban_after_the_end_of_the_last_is_longer_until_it_is_forgiven(bench: Bench) -> None:
    bench.rule(RULE)
    assert bench.commit(ban(0)) == []
    assert bench.commit(ban(30)) == [], "touched again meanwhile"
    assert bench.commit(ban(100)) == [LongerBan(HOST, NOW + 220, "irc", 2)]
    bench.commit(Extended(HOST, NOW + 220, "offence 2"))
    assert bench.commit(ban(200)) == [LongerBan(HOST, NOW + 320, "irc", 2)], "it is banned for longer already"
    assert bench.commit(ban(300)) == [LongerBan(HOST, NOW + 540, "irc", 3)]
    bench.commit(Extended(HOST, NOW + 540, "offence 3"))
    assert bench.commit(ban(5541)) == [], "forgiven"


def test_told_again_after_a_crash_it_is_the_same_offence(bench: Bench) -> None:
    bench.rule(RULE)
    bench.commit(ban(0))
    assert bench.commit(ban(100)) == bench.commit(ban(100)) == [LongerBan(HOST, NOW + 220, "irc", 2)]


def test_the_bans_of_trips_grow_like_others(bench: Bench) -> None:
    bench.rule(RULE)
    bench.commit(table(trip("192.0.2.1", NOW, 60.0), trip("192.0.2.2", NOW, 60.0)))
    later = table(trip("192.0.2.1", NOW + 100, 60.0), trip("192.0.2.3", NOW + 100, 60.0))
    assert bench.commit(later) == [LongerBan(HOST, NOW + 220, "trap", 2)]


def test_without_a_rule_nothing_grows(bench: Bench) -> None:
    bench.commit(ban(0))
    assert bench.commit(ban(100)) == []
    bench.rule(RULE)
    bench.rule(None)
    assert bench.commit(ban(200)) == []


def test_only_touches_of_sensors_are_offences(bench: Bench) -> None:
    bench.rule(RULE)
    for at in (0, 100):
        operators = Ban(HOST, NOW + at, NOW + at + 60, "", Origin.OPERATOR, "joe")
        assert bench.commit(operators) == []
    assert bench.commit(ban(200)) == [], "the first touch"


def test_a_longer_ban_is_kept_and_is_no_trip(bench: Bench) -> None:
    bench.rule(RULE)
    bench.commit(ban(0), ban(100), Extended(HOST, NOW + 220, "offence 2"))
    [[kept]] = bench.store.load(NOW + 100)
    assert (kept.until, kept.since, kept.note) == (NOW + 220, NOW + 100, "offence 2")
    bench.commit(Extended(HOST, NOW + 10, "late"))
    [[kept]] = bench.store.load(NOW + 100)
    assert kept.until == NOW + 220
