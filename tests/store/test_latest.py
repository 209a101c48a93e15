"""What goes into a feed, read beside the store that writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.exemption import Exemption
from sentinetd.store.latest import Latest
from sentinetd.store.sqlite import Store

NOW = 1_700_000_000.0
ALL = tuple(Origin)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path))
    made.open()
    yield made
    made.close()


def ban(network: str, at: float = NOW, span: float = 3600.0, origin: Origin = Origin.SENSOR) -> Ban:
    return Ban(Network.parse(network), at, at + span, "irc", origin)


def networks(found: Iterator[Ban]) -> list[str]:
    return [str(one.network) for one in found]


def test_bans_in_force_come_in_the_order_of_their_networks(store: Store, tmp_path: Path) -> None:
    kept = [
        ban("2001:db8::/64"), ban("192.0.2.9"), ban("192.0.2.0/24", span=math.inf), ban("10.0.0.1", NOW - 7200),
        ban("192.0.2.0"),
    ]  # fmt: skip
    store.write(kept)
    found = list(Latest(str(tmp_path)).newest(NOW, 100, ALL, (4, 6)))
    assert [str(one.network) for one in found] == ["192.0.2.0/24", "192.0.2.0", "192.0.2.9", "2001:db8::/64"]
    assert found[0] == kept[2]
    assert found[0].forever


@pytest.mark.parametrize(
    ("most", "origins", "versions", "told"),
    [
        pytest.param(2, ALL, (4, 6), ["10.0.0.3", "2001:db8::/64"], id="the latest"),
        pytest.param(9, (Origin.OPERATOR, Origin.FEED), (4, 6), ["10.0.0.2"], id="of some origins"),
        pytest.param(9, ALL, (6,), ["2001:db8::/64"], id="of one version"),
        pytest.param(0, ALL, (4, 6), [], id="none"),
    ],
)
def test_a_part_of_them(
    store: Store, tmp_path: Path, most: int, origins: tuple[Origin, ...], versions: tuple[int, ...], told: list[str]
) -> None:
    store.write([
        ban("10.0.0.1", NOW - 3), ban("10.0.0.2", NOW - 2, origin=Origin.OPERATOR), ban("10.0.0.3", NOW - 1),
        ban("2001:db8::/64", NOW),
    ])  # fmt: skip
    assert networks(Latest(str(tmp_path)).newest(NOW, most, origins, versions)) == told


def test_what_is_committed_is_there_at_once_and_a_commit_does_not_wait(store: Store, tmp_path: Path) -> None:
    latest = Latest(str(tmp_path))
    store.write([ban(f"10.0.0.{number}") for number in range(10)])
    reading = latest.newest(NOW, 100, ALL, (4,))
    next(reading)
    store.write([ban("10.0.1.1")])
    assert len(list(reading)) == 9, "what was begun is of one moment"
    assert len(list(latest.newest(NOW, 100, ALL, (4,)))) == 11


def test_exemptions(store: Store, tmp_path: Path) -> None:
    ends = {"192.0.2.0/24": math.inf, "10.0.0.1": NOW + 5}
    store.write([Exemption(Network.parse(network), NOW, until, "", "") for network, until in ends.items()])
    latest = Latest(str(tmp_path))
    assert {str(one) for one in latest.exempted(NOW)} == {"192.0.2.0/24", "10.0.0.1"}
    assert {str(one) for one in latest.exempted(NOW + 5)} == {"192.0.2.0/24"}


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"bans\.sqlite"):
        list(Latest(str(tmp_path)).newest(NOW, 1, ALL, (4,)))
