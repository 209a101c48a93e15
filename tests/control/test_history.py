"""Numbers over time, lists of the busiest, what is wrong at present."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.trips import AT, tables
from sentinetd.control.history import HOUR, KEPT, MINUTES, Frequent, History, Ranking
from sentinetd.control.troubles import MOST, PASSING, Trouble, Troubles
from sentinetd.model import events as ev
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.trip_run import TripTable

START = 1_800_000_000.0  # a full hour


def trip(at: float, source: str = "192.0.2.7", service: str = "trap", number: int = 7) -> ev.SensorTripped:
    return ev.SensorTripped(at, number, service, Address.parse(source), 4711, 3600.0, "")


def ban(at: float, kind: type[ev.BanImposed] = ev.BanImposed) -> ev.BanImposed:
    return kind(at, Network.parse("192.0.2.7"), at + 60, "trap", Origin.SENSOR)


@pytest.mark.parametrize("trips", [pytest.param(one, id=what) for what, one in tables().items()])
def test_trips_told_together_count_like_each_told_alone(trips: TripTable) -> None:
    alone, together = History(AT - HOUR), History(AT - HOUR)
    for _ in range(2):
        alone.tell(*trips.events())
        together.tell_trips(trips)
    assert sum(one.bans for one in alone.minutes(AT, AT + HOUR)) == 2 * len(trips)
    assert alone.minutes(AT, AT + HOUR) == together.minutes(AT, AT + HOUR)
    for ranking in Ranking:
        assert alone.top(ranking, 100, AT) == together.top(ranking, 100, AT)


def test_minutes_have_their_numbers() -> None:
    history = History(START)
    for seconds in (10, 70, 80):
        history.tell(trip(START + seconds))
    history.tell(ban(START + 80))
    history.tell(ban(START + 81, ev.BanLengthened))
    history.refused(5, START + 30)
    history.refused(9, START + 100)
    minutes = history.minutes(START, START + 130)
    assert [(one.start - START, one.trips, one.bans, one.refused) for one in minutes] == [
        (0, 1, 0, 0), (60, 2, 1, 4), (120, 0, 0, 0),
    ]  # fmt: skip


def test_another_guard_counts_from_nothing() -> None:
    history = History(START)
    history.refused(100, START)
    history.refused(3, START + 1)
    assert [one.refused for one in history.minutes(START, START + 1)] == [3]


def test_no_minute_from_before_we_counted_and_none_beyond_a_day() -> None:
    history = History(START)
    assert len(history.minutes(START - 86_400, START + 59)) == 1
    for minute in range(2 * MINUTES):
        history.tell(trip(START + 60 * minute))
    assert len(history.minutes(START, START + 60 * 2 * MINUTES)) == MINUTES


def test_a_clock_set_back_loses_nothing() -> None:
    history = History(START)
    history.tell(trip(START + 600))
    history.tell(trip(START + 10))
    assert sum(one.trips for one in history.minutes(START, START + 660)) == 2


def test_the_busiest_by_hours() -> None:
    history = History(START)
    for at, source in ((0, "192.0.2.7"), (1, "192.0.2.8"), (3601, "192.0.2.8"), (3602, "2001:db8::1")):
        history.tell(trip(START + at, source))
    assert history.top(Ranking.SOURCES, 2, START) == [("192.0.2.8", 2), ("192.0.2.7", 1)]
    assert history.top(Ranking.SOURCES, 9, START + 3600) == [("192.0.2.8", 1), ("2001:db8::1", 1)]
    assert history.top(Ranking.NETWORKS, 9, START) == [("192.0.2.0/24", 3), ("2001:db8::/48", 1)]
    history.forget()
    assert history.top(Ranking.SENSORS, 9, START) == []


def test_a_flood_of_names_hides_nobody_who_is_frequent() -> None:
    history = History(START)
    for number in range(4 * KEPT):
        history.tell(trip(START, f"10.0.{number >> 8}.{number & 255}"))
        history.tell(trip(START, "192.0.2.7"))
    ranked = history.top(Ranking.SOURCES, KEPT + 10, START)
    assert len(ranked) == KEPT
    assert ranked[0][0] == "192.0.2.7"
    assert ranked[0][1] >= 4 * KEPT


@given(st.lists(st.one_of(st.none(), st.integers(0, KEPT + 40)), max_size=400))
def test_the_oldest_of_the_rarest_gives_way(names: list[int | None]) -> None:
    """As if the least count were looked for each time. None: a name that nobody had before."""
    frequent, counts = Frequent(), {}
    sequence = [*(str(number % KEPT) for number in range(2 * KEPT)), *names]
    for place, one in enumerate(sequence):
        name = f"new {place}" if one is None else str(one)
        frequent.add(name)
        if name in counts or len(counts) < KEPT:
            counts[name] = counts.get(name, 0) + 1
        else:
            rarest = min(counts, key=counts.__getitem__)
            counts[name] = counts.pop(rarest) + 1
    assert list(frequent.counts().items()) == list(counts.items())


def test_a_harmless_test_counts_for_nothing() -> None:
    history = History(START)
    history.tell(trip(START, number=0))
    assert history.top(Ranking.SOURCES, 9, START) == []
    assert sum(one.trips for one in history.minutes(START, START)) == 0


@pytest.mark.parametrize(
    ("failed", "mended"),
    [
        (ev.ProcessFailed(1.0, "porter", "killed", 1.0), ev.ProcessMended(9.0, "porter")),
        (ev.FollowerFailed(1.0, "store", "full", 1.0), ev.FollowerMended(9.0, "store")),
        (ev.ListenerFailed(1.0, "ftp", "in use", 1.0), ev.ListenerMended(9.0, "ftp")),
        (ev.ListenerFailed(1.0, "ftp", "in use", 1.0), ev.ServiceDropped(9.0, "ftp")),
        (ev.ServicePaused(1.0, "ftp", "cps", 10), ev.ServiceResumed(9.0, "ftp")),
        (ev.ReloadRefused(1.0, "mistakes"), ev.ReloadDone(9.0, 1, 0, 0)),
    ],
    ids=lambda one: one.kind,
)
def test_what_fails_is_wrong_until_it_is_mended(failed: ev.Event, mended: ev.Event) -> None:
    troubles = Troubles()
    troubles.tell(failed)
    (one,) = troubles.at(math.inf)
    assert one.since == 1.0
    troubles.tell(failed)
    assert len(troubles.at(5.0)) == 1
    troubles.tell(mended)
    assert troubles.at(10.0) == []


def test_what_nobody_tells_the_end_of_passes() -> None:
    troubles = Troubles()
    troubles.tell(ev.EventsLost(1.0, 7))
    assert troubles.at(2.0) == [Trouble(1.0, "log", "7 events were lost")]
    assert troubles.at(2.0 + PASSING) == []


def test_troubles_are_bounded() -> None:
    troubles = Troubles()
    for number in range(MOST + 5):
        troubles.tell(ev.ListenerFailed(float(number), f"s{number}", "in use", 1.0))
    assert len(troubles.at(0.0)) == MOST
    assert troubles.at(0.0)[0].since == 5.0
