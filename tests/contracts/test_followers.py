"""The contract of every keeper of bans (`ports.BanFollower`): one suite over all of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from sentinetd.model.address import Network
from sentinetd.model.ban import Ban
from sentinetd.ports import BanFollower
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Store

NOW = 1_700_000_000.0
T = TypeVar("T")


class Subject(Protocol):
    """A follower, and a look at what it keeps."""

    follower: BanFollower

    def kept(self) -> dict[Network, float]:
        """The networks in force with their ends, as a fresh process would find them."""

    def close(self) -> None:
        """Let go of everything."""


async def at_once(call: Callable[[], T]) -> T:
    return call()


class StoreSubject:
    def __init__(self, directory: Path) -> None:
        def run(call: Callable[[], T]) -> Awaitable[T]:
            return at_once(call)

        self._store = Store(str(directory))
        self._keeper = Keeper(self._store, run, lambda: NOW, time.monotonic)
        self.follower: BanFollower = self._keeper
        asyncio.run(self._opened())

    async def _opened(self) -> None:
        async for _ in self._keeper.restore():
            raise AssertionError("a new store holds no bans")

    def kept(self) -> dict[Network, float]:
        return {ban.network: ban.until for chunk in self._store.load(NOW) for ban in chunk}

    def close(self) -> None:
        self._store.close()


SUBJECTS: dict[str, Callable[[Path], Subject]] = {"store": StoreSubject}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    made = SUBJECTS[request.param](tmp_path)
    yield made
    made.close()


A, B, C, D = (Network.parse(text) for text in ("192.0.2.1", "2001:db8::/64", "198.51.100.0/24", "fe80::1%eth0"))


def ban(network: Network, span: float, at: float = NOW) -> Ban:
    return Ban(network, at, at + span, "irc")


Step = tuple[str, list[Ban], list[Network]]


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        pytest.param([], {}, id="nothing told, nothing kept"),
        pytest.param([("apply", [ban(A, 60), ban(B, 90)], [])], {A: NOW + 60, B: NOW + 90}, id="imposed"),
        pytest.param([("apply", [ban(A, math.inf)], [])], {A: math.inf}, id="for ever"),
        pytest.param([("apply", [ban(D, 60)], [])], {D: NOW + 60}, id="tied to an interface"),
        pytest.param([("apply", [ban(A, 60)], []), ("apply", [], [A])], {}, id="lifted"),
        pytest.param([("apply", [], [A])], {}, id="lifting what is not banned"),
        pytest.param(
            [("apply", [ban(A, 60)], []), ("apply", [ban(A, 90)], [])], {A: NOW + 90}, id="a later end replaces"
        ),
        pytest.param(
            [("apply", [ban(A, 90)], []), ("apply", [ban(A, 60)], [])], {A: NOW + 90}, id="an earlier end does not"
        ),
        pytest.param([("apply", [ban(A, 60)], [])] * 2, {A: NOW + 60}, id="apply repeated"),
        pytest.param([("apply", [ban(A, 60)], []), ("apply", [], [A])] * 2, {}, id="apply and lift repeated"),
        pytest.param(
            [("apply", [ban(A, 60), ban(B, 60)], []), ("replace", [ban(B, 60), ban(C, 60)], [])],
            {B: NOW + 60, C: NOW + 60},
            id="replace: exactly these",
        ),
        pytest.param(
            [("apply", [ban(A, 90)], []), ("replace", [ban(A, 60)], [])], {A: NOW + 60}, id="replace: with their ends"
        ),
        pytest.param([("apply", [ban(A, 60)], []), ("replace", [], [])], {}, id="replace by nothing"),
        pytest.param([("replace", [ban(A, 60)], [])] * 2, {A: NOW + 60}, id="replace repeated"),
    ],
)
def test_follower(subject: Subject, steps: list[Step], kept: dict[Network, float]) -> None:
    async def told() -> None:
        for call, bans, lifted in steps:
            if call == "apply":
                await subject.follower.apply(bans, lifted)
            else:
                await subject.follower.replace(bans)

    asyncio.run(told())
    assert subject.kept() == kept
