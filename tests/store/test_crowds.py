"""Neighbourhoods of banned sources: who is counted where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.store.crowds import Crowd, crowds
from sentinetd.store.sqlite import Store

NOW = 1_700_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path))
    made.open()
    made.write([
        Ban(Network.parse(text), NOW, NOW + span, sensor, Origin.SENSOR if sensor else Origin.OPERATOR)
        for text, span, sensor in (
            ("192.0.2.1", 60, "irc"), ("192.0.2.2", 60, "ssh"), ("192.0.2.3", 60, "irc"), ("192.0.2.4", 9, "irc"),
            ("198.51.100.1", 60, "irc"), ("198.51.100.2", 60, "irc"), ("203.0.113.1", 60, "irc"),
            ("198.51.0.0/16", 60, ""), ("fe80::1%eth0", 60, "irc"),
            ("2001:db8:0:1::/64", 60, "irc"), ("2001:db8:0:2::/64", 60, "irc"), ("2001:db8:1:1::/64", 60, "irc"),
        )
    ])  # fmt: skip
    yield made
    made.close()


@pytest.mark.parametrize(
    ("version", "length", "least", "found"),
    [
        pytest.param(4, 24, 2, [("192.0.2.0/24", 3, 2), ("198.51.100.0/24", 2, 1)], id="fullest first"),
        pytest.param(4, 24, 3, [("192.0.2.0/24", 3, 2)], id="of so many at least"),
        pytest.param(4, 16, 2, [("192.0.0.0/16", 3, 2), ("198.51.0.0/16", 2, 1)], id="what is as wide does not count"),
        pytest.param(4, 24, 1, [("192.0.2.0/24", 3, 2), ("198.51.100.0/24", 2, 1)], id="one alone is no crowd"),
        pytest.param(6, 48, 2, [("2001:db8::/48", 2, 1)], id="IPv6"),
        pytest.param(6, 32, 2, [("2001:db8::/32", 3, 1)], id="IPv6, wider"),
    ],
)
def test_crowds(store: Store, version: int, length: int, least: int, found: list[tuple[str, int, int]]) -> None:
    seen = crowds(store.path, NOW + 10, version, length, least)
    assert [(str(one.network), one.bans, one.sensors) for one in seen] == found


def test_no_more_than_wanted(store: Store) -> None:
    assert crowds(store.path, NOW + 10, 4, 24, 2, most=1) == [Crowd(Network.parse("192.0.2.0/24"), 3, 2, 3)]


def test_other_lengths_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="8, 16, 24 bits, not 20"):
        crowds(store.path, NOW, 4, 20, 2)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="unable to open"):
        crowds(str(tmp_path / "none"), NOW, 4, 24, 2)
