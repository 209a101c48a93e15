"""Ranges of ports: names in between, what is taken away."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sentinetd.model.port_words import combined, left_out, numbered, port_list, without
from sentinetd.model.values import Ports, Spread

NAMES = {"ftp": 21, "pop-3": 110}


def test_names_become_numbers_wherever_they_stand() -> None:
    words = ["ftp,23", "192.0.2.5:pop-3", "[2001:db8::1]:ftp", "10.0.0.0/8:7-9", "nosuch", "unused"]
    expected = ["21", "23", "192.0.2.5:110", "[2001:db8::1]:21", "10.0.0.0/8:7-9", "nosuch", "unused"]
    assert numbered(words, NAMES.get) == expected


def test_a_reader_takes_what_numbered_gives() -> None:
    assert port_list(numbered(["pop-3", "ftp-data,20"], {**NAMES, "ftp-data": 20}.get)) == Ports(((20, 20), (110, 110)))
    assert left_out(numbered(["192.0.2.5:ftp"], NAMES.get)).spots[0].low == 21


RANGES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 9)).map(lambda one: (one[0], one[0] + one[1])), max_size=6
)


def ports(ranges: tuple[Spread, ...]) -> set[int]:
    return set(Ports(ranges).numbers())


@given(RANGES, RANGES)
def test_ranges_are_sets_of_ports(some: list[Spread], less: list[Spread]) -> None:
    together, away = combined(some), combined(less)
    assert ports(together) == {port for low, high in some for port in range(low, high + 1)}
    assert ports(without(together, away)) == ports(together) - ports(away)
    for (_, end), (begin, _) in pairwise(together):
        assert end + 1 < begin
    assert Ports(together).count == len(ports(together))
