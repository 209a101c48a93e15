"""The stream of events: who is told what, and what becomes of one who reads too slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rig.trips import flood, table
from sentinetd.control.stream import RECENT, SUBSCRIBERS_MOST, WAITING_MOST, Stream
from sentinetd.model import events as ev
from sentinetd.model.address import Address
from sentinetd.model.verdict import Reason

TRIP = ev.SensorTripped(1.0, 7, "trap", Address.parse("192.0.2.7"), 1, 60.0, "")
REFUSED = ev.ConnectionRefused(1.0, 7, "ssh", None, 1, Reason.LOAD)
NOTICE = ev.Notice(1.0, ev.Level.INFO, "a word")


def made() -> tuple[Stream, list[int]]:
    stirred: list[int] = []
    return Stream(lambda event: event.kind, lambda: stirred.append(1)), stirred


async def first(frames: AsyncIterator[bytes], count: int) -> list[str]:
    """The data of the next *count* frames."""
    told = []
    while len(told) < count:
        frame = await anext(frames)
        told += [line[6:].decode() for line in frame.split(b"\n") if line.startswith(b"data: ")]
    return told


def test_kinds_are_chosen_by_their_beginnings() -> None:
    async def play() -> None:
        stream, _ = made()
        all_, some = stream.subscribe((), False, 0), stream.subscribe(("sensor.", "daemon"), False, 0)
        assert all_ is not None
        assert some is not None
        for event in (TRIP, REFUSED, ev.BansEnded(1.0, 1, 0), NOTICE):
            stream.tell(event)
        assert await first(all_.frames(), 3) == ["sensor.tripped", "bans.ended", "daemon.notice"]
        assert await first(some.frames(), 2) == ["sensor.tripped", "daemon.notice"]

    asyncio.run(play())


def test_routine_is_wished_for_while_somebody_listens() -> None:
    async def play() -> None:
        stream, stirred = made()
        assert stream.routine == frozenset()
        one = stream.subscribe(("connection.refused",), True, 0)
        assert one is not None
        assert stream.routine == {"connection.refused"}
        stream.tell(REFUSED)
        assert await first(one.frames(), 1) == ["connection.refused"]
        stream.leave(one)
        assert stream.routine == frozenset()
        assert len(stirred) == 2

    asyncio.run(play())


def test_a_slow_reader_loses_the_oldest_and_is_told() -> None:
    async def play() -> None:
        stream, _ = made()
        slow = stream.subscribe((), False, 0)
        assert slow is not None
        for _ in range(WAITING_MOST + 3):
            stream.tell(NOTICE)
        frames = slow.frames()
        told = await first(frames, 1 + WAITING_MOST)
        assert told[0] == '{"kind":"stream.lost","count":3}'
        assert len(told) == 1 + WAITING_MOST

    asyncio.run(play())


def test_what_was_lately_is_told_first() -> None:
    async def play() -> None:
        stream, _ = made()
        for _ in range(RECENT + 10):
            stream.tell(NOTICE)
        stream.tell(TRIP)
        late = stream.subscribe((), False, 2)
        assert late is not None
        stream.close()
        frames = [frame async for frame in late.frames()]
        assert [frame.split(b"\n")[0] for frame in frames] == [b": sentinetd", b"id: 510", b"id: 511"]
        stream.forget()
        none = stream.subscribe((), False, 100)
        assert none is not None
        none.end()
        assert [frame async for frame in none.frames()] == [b": sentinetd\n\n"]

    asyncio.run(play())


def test_there_is_an_end_to_subscribers() -> None:
    async def play() -> None:
        stream, _ = made()
        everybody = [stream.subscribe((), False, 0) for _ in range(SUBSCRIBERS_MOST)]
        assert None not in everybody
        assert stream.subscribe((), False, 0) is None

    asyncio.run(play())


def test_trips_told_together_are_events_to_whoever_subscribes() -> None:
    async def play() -> None:
        stream, _ = made()
        stream.tell(NOTICE)
        stream.tell_trips(table(*flood(2)))
        late = stream.subscribe((), False, 3)
        assert late is not None
        stream.tell_trips(table(*flood(1)))
        stream.close()
        frames = [frame async for frame in late.frames()][1:]
        ids, kinds = zip(*(frame.decode().split("\n")[:2] for frame in frames), strict=True)
        assert ids == ("id: 3", "id: 4", "id: 5", "id: 6", "id: 7")
        assert kinds == tuple(f"event: {kind}" for kind in (["sensor.tripped"] + ["ban.imposed", "sensor.tripped"] * 2))

    asyncio.run(play())


def test_of_many_trips_only_the_last_are_remembered() -> None:
    async def play() -> None:
        stream, _ = made()
        for _ in range(9):
            stream.tell_trips(table(*flood(100)))
        late = stream.subscribe((), False, RECENT)
        assert late is not None
        stream.close()
        frames = [frame async for frame in late.frames()][1:]
        assert len(frames) == RECENT
        assert frames[-1].startswith(b"id: 1800\n")

    asyncio.run(play())
