"""What is counted between decisions."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinetd.model.address import Address
from sentinetd.model.service import Cps
from sentinetd.policy.tally import Bucket, Counts, Recent

ONE, OTHER = Address.parse("192.0.2.1"), Address.parse("2001:db8::1")


def passed(bucket: Bucket, times: list[float]) -> int:
    """How many connections at *times* find room and take it."""
    count = 0
    for now in times:
        if bucket.has_room(now):
            bucket.take()
            count += 1
    return count


@pytest.mark.parametrize(
    ("rate", "times", "count"),
    [
        pytest.param(50, [0.0] * 60, 50, id="the 51st in one instant trips"),
        pytest.param(1, [0.0, 0.0], 1, id="rate 1"),
        pytest.param(50, [0.0] * 50 + [1.0] * 60, 100, id="full again after a second"),
        pytest.param(50, [0.0] * 50 + [0.5] * 60, 75, id="half full after half a second"),
        pytest.param(2, [0.0] * 3 + [1000.0] * 9, 4, id="never more than full"),
        pytest.param(0, [0.0] * 1000, 1000, id="rate 0 counts nothing"),
    ],
)
def test_bucket(rate: int, times: list[float], count: int) -> None:
    assert passed(Bucket(Cps(rate, 10), 0.0), times) == count


@given(st.integers(1, 1000), st.integers(1, 3000), st.floats(0.0, 1e7))
@example(1, 20, 0.1)
def test_a_steady_stream_of_the_rate_always_passes(rate: int, count: int, start: float) -> None:
    bucket = Bucket(Cps(rate, 10), start)
    times = [start + number / rate for number in range(count)]
    assert passed(bucket, times) == count


@pytest.mark.parametrize(
    ("before", "after", "used", "left"),
    [
        pytest.param(50, 20, 10, 10, id="lower rate: what was used stays used"),
        pytest.param(50, 5, 10, 0, id="lower than what was used"),
        pytest.param(5, 50, 5, 45, id="higher rate"),
        pytest.param(0, 50, 1000, 50, id="counted for the first time"),
        pytest.param(50, 0, 50, 1000, id="counted no more"),
    ],
)
def test_a_bucket_keeps_its_count_when_the_rate_changes(before: int, after: int, used: int, left: int) -> None:
    bucket = Bucket(Cps(before, 10), 0.0)
    assert passed(bucket, [5.0] * used) == used
    bucket.limit(Cps(after, 10), 5.0)
    assert passed(bucket, [5.0] * 1000) == left


def test_time_before_a_change_counts_at_the_old_rate() -> None:
    bucket = Bucket(Cps(10, 10), 0.0)
    assert passed(bucket, [0.0] * 10) == 10
    bucket.limit(Cps(100, 10), 0.5)
    assert passed(bucket, [0.5] * 1000) == 95


def test_counts() -> None:
    counts = Counts()
    for source in (ONE, ONE, OTHER, None):
        counts.add(source)
    assert (counts.total, counts.of(ONE), counts.of(OTHER), counts.of(None)) == (4, 2, 1, 0)
    for source in (ONE, OTHER, None):
        counts.remove(source)
    assert (counts.total, counts.of(ONE), counts.of(OTHER)) == (1, 1, 0)


def test_counts_forget_sources_that_are_gone() -> None:
    counts = Counts()
    for number in range(100):
        counts.add(Address.parse(f"192.0.2.{number}"))
        counts.remove(Address.parse(f"192.0.2.{number}"))
    assert not counts._of_source


def test_recent_tells_again_after_its_span() -> None:
    recent = Recent(60.0, 10)
    seen = [now for now in range(1000, 1300) if recent.first("key", float(now))]
    assert seen == [1000, 1060, 1120, 1180, 1240]


@given(st.lists(st.tuples(st.floats(0.0, 50.0), st.integers(0, 3)), max_size=50))
def test_recent_agrees_with_a_list_of_all_that_was_told(steps: list[tuple[float, int]]) -> None:
    recent, told, now = Recent(60.0, 1000), dict[int, float](), 5000.0
    for pause, key in steps:
        now += pause
        first = key not in told or now - told[key] >= 60.0
        assert recent.first(key, now) is first
        if first:
            told[key] = now


def test_recent_is_bounded_and_what_does_not_fit_counts_as_known() -> None:
    recent = Recent(60.0, 100)
    assert sum(recent.first(key, 1000.0) for key in range(1000)) == 100
    assert sum(recent.first(key, 1061.0) for key in range(1000)) == 100
    assert len(recent._new) + len(recent._old) <= 200
