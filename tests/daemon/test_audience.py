"""The courier's audience: told in order, instructed in two steps, heard when it has something to say."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sentinetd.daemon.channel import Channel
from sentinetd.daemon.clerk import Clerk
from sentinetd.daemon.courier import Thread
from sentinetd.daemon.messages import (
    DAEMON_LOG,
    FROM_COURIER,
    TO_COURIER,
    Agreed,
    Curious,
    Disagreed,
    Farewell,
    Handed,
    InForce,
    Instructed,
    Ready,
    Written,
)
from sentinetd.daemon.newborn import channel_pair
from sentinetd.model import events as ev
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.model.trip_run import TripTable
from sentinetd.report.journal import Journal
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Store

WITHIN = 20.0
SETTINGS = CourierSettings()
WRONG = Mistake("alert", 1, "url", "no such host", "write another")


class Ear:
    """A listener that writes down what happens to it, files by what they hold."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.mistakes: Sequence[Mistake] = ()
        self.wants: frozenset[str] = frozenset()

    @property
    def routine(self) -> frozenset[str]:
        return self.wants

    def tell(self, *events: ev.Event) -> None:
        self.heard += events

    def tell_trips(self, trips: TripTable) -> None:
        self.tell(*trips.events())

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        self.heard.append({number: os.pread(descriptor, 99, 0) for number, descriptor in files.items()})
        return self.mistakes

    def enact(self) -> None:
        self.heard.append("enact")

    def replace_file(self, number: int, descriptor: int) -> None:
        self.heard.append((number, os.pread(descriptor, 99, 0)))

    async def close(self) -> None:
        self.heard.append("close")


class Guard:
    """The guard's end of a courier in the same loop."""

    def __init__(self, channel: Channel, courier: Clerk, ear: Ear) -> None:
        self._channel = channel
        self.courier = courier
        self.ear = ear
        self.heard: list[Any] = []
        self._sequence = 0

    def tell(self, *messages: Any, descriptors: Sequence[int] = ()) -> None:
        self._sequence += len(messages)
        assert self._channel.send(self._sequence, messages, descriptors)

    def hand(self, message: Handed, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        self.tell(message, descriptors=[descriptor])
        os.close(descriptor)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition():
                packet = self._channel.receive()
                self.heard += packet[1] if packet else ()
                await asyncio.sleep(0)

    async def until_said(self, message: Any) -> None:
        await self.until(lambda: message in self.heard)

    async def settle(self) -> None:
        await self.until_said(Written(self._sequence))


def play(state: Path, story: Callable[[Guard], Awaitable[None]]) -> list[Any]:
    """Run *story* with a courier that one listener hears; what it heard until the farewell."""

    async def run() -> list[Any]:
        ours, theirs = channel_pair()
        thread = Thread()
        keeper = Keeper(Store(str(state)), thread, time.time, time.monotonic)
        courier = Clerk(Channel(theirs, TO_COURIER), keeper, Journal(DAEMON_LOG, time.time, "x", 5))
        ear = Ear()
        courier.audience.seat([], [ear])
        running = asyncio.create_task(courier.run())
        guard = Guard(Channel(ours, FROM_COURIER), courier, ear)
        await guard.until_said(Ready(""))
        await story(guard)
        guard.tell(Farewell())
        async with asyncio.timeout(WITHIN):
            await running
        ours.close()
        theirs.close()
        thread.close()
        return ear.heard

    return asyncio.run(run())


def started(service: str) -> ev.ServerStarted:
    return ev.ServerStarted(1.0, 7, service, None, 0, 5)


def test_everything_is_heard_in_order(tmp_path: Path) -> None:
    events = [started(str(number)) for number in range(5000)]

    async def story(guard: Guard) -> None:
        for begin in range(0, len(events), 500):
            guard.tell(*events[begin : begin + 500])
            await guard.settle()

    assert play(tmp_path, story) == [*events, "close"]


def test_settings_are_prepared_answered_and_in_force_when_the_guard_says_so(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")

    async def story(guard: Guard) -> None:
        guard.hand(Handed(1, 0), tmp_path / "one")
        guard.hand(Handed(1, 1), tmp_path / "two")
        guard.tell(Instructed(1, SETTINGS))
        await guard.until_said(Agreed(1))
        guard.tell(started("before"), InForce(1), started("after"))
        guard.hand(Handed(1, 1), tmp_path / "one")
        guard.tell(InForce(1))
        await guard.settle()

    before, after = started("before"), started("after")
    assert play(tmp_path, story) == [{0: b"1", 1: b"2"}, before, "enact", after, (1, b"1"), "close"]


def test_what_is_objected_to_goes_back_and_is_not_in_force(tmp_path: Path) -> None:
    async def story(guard: Guard) -> None:
        guard.ear.mistakes = [WRONG, WRONG]
        guard.tell(Instructed(3, SETTINGS))
        await guard.until_said(Disagreed(3, (WRONG, WRONG)))
        guard.ear.mistakes = ()
        guard.tell(Instructed(4, SETTINGS), InForce(3))
        await guard.until_said(Agreed(4))
        await guard.settle()

    assert play(tmp_path, story) == [{}, {}, "close"]


def test_files_are_those_of_their_own_request_and_none_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    open_before: list[int] = []
    open_after: list[int] = []

    async def story(guard: Guard) -> None:
        guard.tell(started("x"))
        await guard.settle()
        open_before.append(len(os.listdir("/proc/self/fd")))
        guard.hand(Handed(1, 0), tmp_path / "file")
        guard.hand(Handed(2, 5), tmp_path / "file")
        guard.hand(Handed(2, 5), tmp_path / "file")
        guard.tell(Instructed(2, SETTINGS), InForce(2))
        guard.hand(Handed(2, 0), tmp_path / "file")
        await guard.settle()
        open_after.append(len(os.listdir("/proc/self/fd")))

    assert play(tmp_path, story)[1:] == [{5: b"1"}, "enact", (0, b"1"), "close"]
    assert open_before == open_after


def test_wishes_for_routine_events_reach_the_guard_also_from_a_pause(tmp_path: Path) -> None:
    async def story(guard: Guard) -> None:
        guard.tell(started("x"))
        await guard.settle()
        guard.ear.wants = frozenset({"server.started", "server.ended"})
        guard.courier.audience.stir()
        await guard.until_said(Curious(("server.ended", "server.started")))
        guard.ear.wants = frozenset()
        guard.courier.audience.stir()
        await guard.until_said(Curious(()))

    play(tmp_path, story)


@pytest.mark.parametrize("many", [1, 5000])
def test_news_of_a_listener_reaches_logs_and_listeners_without_a_word_of_the_guard(tmp_path: Path, many: int) -> None:
    news = [ev.Notice(1.0, ev.Level.INFO, str(number)) for number in range(many)]

    async def story(guard: Guard) -> None:
        guard.tell(started("x"))
        await guard.settle()
        for one in news:
            guard.courier.audience.note(one)
        await guard.until(lambda: news[-1] in guard.ear.heard)

    assert play(tmp_path, story) == [started("x"), *news[-1000:], "close"]
