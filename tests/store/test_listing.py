"""Questions to the store, answered from a file that the store itself wrote."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban, Lifted, Origin
from sentinetd.model.exemption import Exemption
from sentinetd.model.kept import BanQuery, Order
from sentinetd.store.listing import Listing
from sentinetd.store.sqlite import Store

NOW = 1_790_000_000.0


def net(text: str) -> Network:
    return Network.parse(text)


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    store = Store(str(tmp_path), ahead=lambda: 0.0)
    store.open()
    store.write(
        [
            Ban(net("192.0.2.7"), NOW - 300, NOW + 60, "trap"),
            Ban(net("192.0.2.7"), NOW - 100, NOW + 600, "trap"),
            Ban(net("192.0.2.0/25"), NOW - 200, math.inf, "", Origin.OPERATOR, "uid 0", "all of them"),
            Ban(net("198.51.100.1"), NOW - 500, NOW - 400, "irc"),
            Ban(net("2001:db8::/64"), NOW - 50, NOW + 50, "irc"),
            Ban(net("fe80::1%eth0"), NOW - 40, NOW + 50, "irc"),
        ]
    )
    lifted = net("203.0.113.9")
    store.write([Ban(lifted, NOW - 90, NOW + 900, "irc"), Lifted(lifted, NOW - 10, "uid 0 (root)")])
    store.write([Exemption(net("10.0.0.0/8"), NOW - 5, math.inf, "uid 0", "ours")])
    store.close()
    return Listing(str(tmp_path))


def networks(listing: Listing, **query: object) -> list[str]:
    page = listing.page(BanQuery(at=NOW, **query))  # type: ignore[arg-type]
    assert page.total >= len(page.bans)
    return [one.network for one in page.bans]


def test_those_in_force_the_latest_first(listing: Listing) -> None:
    assert networks(listing) == ["fe80::1%eth0", "2001:db8::/64", "192.0.2.7", "192.0.2.0/25"]
    assert len(networks(listing, active=False)) == 5


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param({"address": Address.parse("192.0.2.7")}, ["192.0.2.7", "192.0.2.0/25"], id="all that cover it"),
        pytest.param({"address": Address.parse("192.0.2.8")}, ["192.0.2.0/25"], id="its network"),
        pytest.param({"address": Address.parse("192.0.2.200")}, [], id="a neighbour"),
        pytest.param({"address": Address.parse("2001:db8::abcd")}, ["2001:db8::/64"], id="IPv6"),
        pytest.param({"address": Address.parse("fe80::1%eth0")}, ["fe80::1%eth0"], id="its interface"),
        pytest.param({"address": Address.parse("fe80::1%eth1")}, [], id="another interface"),
        pytest.param({"network": net("192.0.0.0/16")}, ["192.0.2.7", "192.0.2.0/25"], id="within"),
        pytest.param({"network": net("192.0.2.7")}, ["192.0.2.7"], id="not what holds it"),
        pytest.param({"network": net("0.0.0.0/0")}, ["192.0.2.7", "192.0.2.0/25"], id="all of IPv4"),
        pytest.param({"sensor": "trap"}, ["192.0.2.7"], id="sensor"),
        pytest.param({"origin": "operator"}, ["192.0.2.0/25"], id="origin"),
        pytest.param({"order": Order.UNTIL, "limit": 2}, ["192.0.2.0/25", "192.0.2.7"], id="for ever ends last"),
        pytest.param({"order": Order.NETWORK, "descending": False, "limit": 2, "offset": 1},
                     ["192.0.2.7", "2001:db8::/64"], id="a page"),
    ],
)  # fmt: skip
def test_filters(listing: Listing, query: dict[str, object], found: list[str]) -> None:
    assert networks(listing, **query) == found


def test_what_is_known_of_a_ban(listing: Listing) -> None:
    (one,) = listing.page(BanQuery(at=NOW, network=net("192.0.2.7"))).bans
    assert (one.since, one.last, one.until, one.trips, one.who) == (NOW - 300, NOW - 100, NOW + 600, 2, "")
    (other,) = listing.page(BanQuery(at=NOW, origin="operator")).bans
    assert (other.until, other.who, other.note) == (None, "uid 0", "all of them")


def test_exemptions_and_former_bans(listing: Listing) -> None:
    assert [(one.network, one.until, one.note) for one in listing.exemptions(NOW)] == [("10.0.0.0/8", None, "ours")]
    (past,) = listing.past(BanQuery(at=NOW, address=Address.parse("203.0.113.9")))
    assert (past.what, past.by, past.at) == ("lifted", "uid 0 (root)", NOW - 10)


def test_no_store_is_an_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=str(tmp_path)):
        Listing(str(tmp_path)).page(BanQuery(at=NOW))


def test_forgetting_leaves_what_is_in_force(tmp_path: Path, listing: Listing) -> None:
    store = Store(str(tmp_path), ahead=lambda: 0.0)
    store.open()
    assert store.forget(NOW, net("203.0.113.0/24")) == 1
    assert store.forget(NOW, None) == 1
    store.close()
    assert len(networks(listing, active=False)) == 4
    assert listing.past(BanQuery(at=NOW)) == ()
