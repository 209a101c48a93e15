"""Trips as columns: what is made of a run is exactly what was put into it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinetd.errors import MessageError
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import BanImposed, BanLengthened, Event, Notice, SensorTripped
from sentinetd.model.noun import replace
from sentinetd.model.trip_run import ROW, ROWS_MOST, TripRun, gathered
from sentinetd.model.wire import LARGEST, pack, unpack

SOURCES = st.one_of(
    st.ip_addresses().map(str), st.sampled_from(["fe80::1%eth0", "fe80::1%eth1", "192.0.2.1", "::192.0.2.1"])
).map(Address.parse)
TIMES = st.floats(allow_nan=False) | st.just(1795422817.25)
SPANS = st.sampled_from([0.0, 60.0, math.inf, -1.0, 1e300]) | st.floats(0.0, 1e9)


@st.composite
def trips(draw: st.DrawFn) -> list[Event]:
    """A ban and the trip that began it, as policy makes them; or nearly so."""
    source, at, span = draw(SOURCES), draw(TIMES), draw(SPANS)
    network = Network.of(source, draw(st.integers(0, BITS[source.version])))
    ban = BanImposed(at, network, at + span, draw(st.sampled_from("ab")), Origin.SENSOR)
    trip = SensorTripped(
        at, draw(st.integers(0, 3)), ban.sensor, source, draw(st.integers(-1, 65536)), span, "",
        draw(st.integers(-1, 1 << 64)), "tcp", draw(st.none() | SOURCES), draw(st.integers(0, 3)), draw(st.booleans()),
    )  # fmt: skip
    spoil: dict[str, Any] = draw(
        st.sampled_from([
            {}, {}, {}, {"until": at}, {"sensor": "c"}, {"origin": Origin.FEED}, {"who": "x"}, {"note": "x"},
            {"at": 1.0}, {"network": Network.parse("198.51.100.0/24")},
        ])
    )  # fmt: skip
    return [replace(ban, **spoil), replace(trip, why_not=draw(st.sampled_from(["", "", "exempt"])))]


OTHERS = st.sampled_from(
    [
        Notice(1.0, Notice.level.INFO, "x"),
        BanLengthened(1.0, Network.parse("192.0.2.1"), 2.0, "a", Origin.SENSOR),
        BanImposed(1.0, Network.parse("192.0.2.1"), 2.0, "a", Origin.SENSOR),
        SensorTripped(1.0, 1, "a", Address.parse("192.0.2.1"), 1, 1.0, ""),
    ]
).map(lambda one: [one])


def told(records: list[Any]) -> list[Event]:
    """What whoever reads *records* makes of them."""
    events: list[Event] = []
    for one in records:
        events += unpack(TripRun, pack(one)).events() if isinstance(one, TripRun) else [one]
    return events


@given(st.lists(trips() | OTHERS, max_size=12))
def test_what_is_gathered_comes_out_as_it_was(groups: list[list[Event]]) -> None:
    events = [event for group in groups for event in group]
    came = told(list(gathered(events)))
    assert came == events
    texts = [one.source.text for one in events if isinstance(one, SensorTripped)]
    assert [one.source.text for one in came if isinstance(one, SensorTripped)] == texts  # takes no part in comparison


def flood(count: int, **changes: Any) -> list[Event]:
    events: list[Event] = []
    for number in range(count):
        source = Address.of(4, 0xC0000200 + number)
        at = 1795422817.25 + number
        events.append(BanImposed(at, Network.of(source, 32), at + 3600.0, "trap", Origin.SENSOR))
        trip = SensorTripped(at, 7, "trap", source, 4711, 3600.0, "", number, "tcp", source, 23)
        events.append(replace(trip, **{"local": Address.parse("192.0.2.9"), **changes}))
    return events


def test_a_flood_becomes_runs_of_a_bounded_length() -> None:
    runs = gathered(flood(ROWS_MOST + 10))
    assert [len(one.rows) // ROW.size for one in runs] == [ROWS_MOST, 10]
    assert told(list(runs)) == flood(ROWS_MOST + 10)


def test_what_two_sensors_tell_are_two_runs() -> None:
    assert [one.number for one in gathered([*flood(2), *flood(2, number=8), *flood(1)])] == [7, 8, 7]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(b"x", id="no whole row"),
        pytest.param(ROW.pack(1.0, 1.0, 1, 1, 32, 4, bytes(16)) * (ROWS_MOST + 1), id="too many"),
        pytest.param(ROW.pack(math.nan, 1.0, 1, 1, 32, 4, bytes(16)), id="no time"),
        pytest.param(ROW.pack(math.inf, 1.0, 1, 1, 32, 4, bytes(16)), id="never"),
        pytest.param(ROW.pack(1.0, math.nan, 1, 1, 32, 4, bytes(16)), id="no span"),
        pytest.param(ROW.pack(1.0, -1.0, 1, 1, 32, 4, bytes(16)), id="a span back in time"),
        pytest.param(ROW.pack(1.0, float(LARGEST), 1, 1, 32, 4, bytes(16)), id="too long a span"),
        pytest.param(ROW.pack(1.0, 1.0, 1, 1, 33, 4, bytes(16)), id="no IPv4 prefix"),
        pytest.param(ROW.pack(1.0, 1.0, 1, 1, 129, 6, bytes(16)), id="no IPv6 prefix"),
        pytest.param(ROW.pack(1.0, 1.0, 1, 1, 0, 5, bytes(16)), id="no IP version"),
        pytest.param(ROW.pack(1.0, 1.0, 1, 1, 32, 4, b"\1" * 16), id="no IPv4 address"),
    ],
)
def test_what_is_no_run(rows: bytes) -> None:
    with pytest.raises(MessageError):
        list(TripRun(1, "trap", "tcp", None, 23, False, "", rows).events())


@given(st.binary(max_size=3 * ROW.size).map(lambda rows: rows[: len(rows) // ROW.size * ROW.size]))
def test_whatever_comes_is_read_or_refused(rows: bytes) -> None:
    try:
        assert len(list(TripRun(1, "trap", "tcp", None, 23, False, "", rows).events())) == 2 * len(rows) // ROW.size
    except MessageError:
        return
