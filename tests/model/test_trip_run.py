"""Trips as columns: what is made of a run is exactly what was put into it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.trips import flood, table
from sentinetd.errors import MessageError
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import BanLengthened, Event, Notice, SensorTripped
from sentinetd.model.noun import replace
from sentinetd.model.trip_run import ROWS, ROWS_MOST, Tripped, TripRun, each_event, gathered
from sentinetd.model.wire import LARGEST, pack, unpack

SOURCES = st.one_of(
    st.ip_addresses().map(str), st.sampled_from(["fe80::1%eth0", "fe80::1%eth1", "192.0.2.1", "::192.0.2.1"])
).map(Address.parse)


@st.composite
def trips(draw: st.DrawFn) -> Tripped:
    """A trip with its ban, as policy makes them."""
    source = draw(SOURCES)
    return Tripped(
        draw(st.floats(0.0, 4e9)), draw(st.integers(0, 3)), draw(st.sampled_from("ab")), source,
        draw(st.integers(0, 65535)), draw(st.sampled_from([60.0, math.inf]) | st.floats(1.0, 1e12)),
        Network.of(source, draw(st.integers(0, BITS[source.version]))), draw(st.integers(0, (1 << 64) - 1)), "tcp",
        draw(st.none() | SOURCES), draw(st.integers(0, 3)), draw(st.booleans()),
    )  # fmt: skip


OTHERS = st.sampled_from(
    [
        Notice(1.0, Notice.level.INFO, "x"),
        BanLengthened(1.0, Network.parse("192.0.2.1"), 2.0, "a", Origin.SENSOR),
        SensorTripped(1.0, 1, "a", Address.parse("192.0.2.1"), 1, 1.0, ""),
    ]
)


def told(records: Any) -> list[Event]:
    """What whoever reads *records* makes of them."""
    read = [unpack(TripRun, pack(one)).table() if isinstance(one, TripRun) else one for one in records]
    return list(each_event(read))


@given(st.lists(trips() | OTHERS, max_size=12))
def test_what_is_gathered_comes_out_as_it_was(records: list[Any]) -> None:
    came, events = told(gathered(records)), list(each_event(records))
    assert came == events
    texts = [one.source.text for one in events if isinstance(one, SensorTripped)]
    assert [one.source.text for one in came if isinstance(one, SensorTripped)] == texts  # takes no part in comparison


@given(trips())
def test_a_trip_stands_for_its_ban_and_itself(trip: Tripped) -> None:
    ban, touch = trip.events()
    assert (ban.network, ban.until, ban.sensor) == (trip.network, trip.at + trip.span, trip.service)
    assert (ban.origin, ban.who, ban.note, touch.why_not) == (Origin.SENSOR, "", "", "")
    assert (touch.at, touch.source, touch.ban_span) == (ban.at, trip.source, trip.span)
    [kept] = table(trip).bans()
    assert (kept.network, kept.since, kept.until, kept.sensor) == (ban.network, ban.at, ban.until, ban.sensor)


def test_a_flood_becomes_runs_of_a_bounded_length() -> None:
    runs = [one.table() for one in gathered(flood(ROWS_MOST + 10))]
    assert list(map(len, runs)) == [ROWS_MOST, 10]
    assert list(each_event(runs)) == list(each_event(flood(ROWS_MOST + 10)))


def test_what_two_sensors_tell_are_two_runs() -> None:
    records = [*flood(2), *(replace(one, number=8) for one in flood(2)), *flood(1)]
    assert [one.number for one in gathered(records)] == [7, 8, 7]


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        pytest.param([5.0], [(5, 1)], id="one"),
        pytest.param([5.0, 5.25, 5.25, 5.99], [(5, 4)], id="within a second"),
        pytest.param([5.5, 5.75, 6.0, 8.5], [(5, 2), (6, 1), (8, 1)], id="over some"),
        pytest.param([6.0, 5.5, 6.5], [(6, 1), (5, 1), (6, 1)], id="the clock was set back in between"),
        pytest.param([-0.5, 0.5], [(-1, 1), (0, 1)], id="before 1970"),
    ],
)
def test_trips_by_seconds(times: list[float], seconds: list[tuple[int, int]]) -> None:
    made = table(*(replace(one, at=at) for one, at in zip(flood(len(times)), times, strict=True)))
    found = list(made.seconds())
    assert [(second, len(made.times()[part])) for second, part in found] == seconds
    assert [at for _, part in found for at in made.times()[part]] == times


def row(at: float = 1.0, span: float = 1.0) -> bytes:
    return ROWS[4].pack(at, span, 1, 1, bytes(4))


@pytest.mark.parametrize(
    ("rows", "changes"),
    [
        pytest.param(b"", {}, id="no row"),
        pytest.param(b"x", {}, id="no whole row"),
        pytest.param(row() * (ROWS_MOST + 1), {}, id="too many"),
        pytest.param(row(at=math.nan), {}, id="no time"),
        pytest.param(row(at=math.inf), {}, id="never"),
        pytest.param(row(span=math.nan), {}, id="no span"),
        pytest.param(row(span=-1.0), {}, id="a span back in time"),
        pytest.param(row(span=0.0), {}, id="no ban"),
        pytest.param(row(span=float(LARGEST)), {}, id="too long a span"),
        pytest.param(row(), {"length": 33}, id="no IPv4 prefix"),
        pytest.param(row(), {"length": -1}, id="no prefix"),
        pytest.param(ROWS[6].pack(1.0, 1.0, 1, 1, bytes(16)), {"version": 6, "length": 129}, id="no IPv6 prefix"),
        pytest.param(row(), {"version": 5}, id="no IP version"),
        pytest.param(row(), {"scope": "eth0"}, id="an IPv4 address of one interface"),
        pytest.param(row(), {"version": 6}, id="rows of another version"),
    ],
)
def test_what_is_no_run(rows: bytes, changes: dict[str, Any]) -> None:
    sound = TripRun(1, "trap", "tcp", None, 23, False, 4, 32, "", row())
    assert len(sound.table()) == 1
    with pytest.raises(MessageError):
        replace(sound, rows=rows, **changes).table()


@given(st.binary(max_size=3 * ROWS[6].size), st.sampled_from([4, 6]), st.integers(-1, 130))
def test_whatever_comes_is_read_or_refused(rows: bytes, version: int, length: int) -> None:
    rows = rows[: len(rows) // ROWS[version].size * ROWS[version].size]
    try:
        read = TripRun(1, "trap", "tcp", None, 23, False, version, length, "", rows).table()
    except MessageError:
        return
    assert 2 * len(read) == len(list(each_event([read]))) == 2 * len(rows) // ROWS[version].size
