"""The rules that bring connections to a sensor, as nft lists them; tests/e2e/test_unused.py has them work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.network import run
from sentinetd.firewall import steering
from sentinetd.firewall import tables as tb
from sentinetd.firewall.own_table import OwnTable
from sentinetd.model.address import Address, Network
from sentinetd.model.aim import Aim, InUse
from sentinetd.model.values import Spot

pytestmark = pytest.mark.usefixtures("namespace")
BOTH = ((4, 4000), (6, 6000))
WIDE = Aim(None, (), ((113, 113),), (Spot(Network.parse("192.0.2.5"), 25, 26),), BOTH, shared=True)
FAR = Aim(Network.parse("198.51.100.0/25"), ((21, 21), (80, 90)), (), (), BOTH[:1], shared=False)
NEAR = Aim(Network.parse("2001:db8::/64"), (), (), (), BOTH[1:], shared=True)
USED = (
    InUse(4, None, 80),
    InUse(4, Address.parse("192.0.2.5").value, 22),
    InUse(6, None, 80),
    InUse(6, Address.parse("2001:db8::5").value, 443),
)


@pytest.fixture
def table() -> Iterator[OwnTable]:
    claimed = OwnTable("unused", tb.OWNER)
    claimed.claim()
    yield claimed
    claimed.close()


def chain(name: str) -> list[str]:
    """The rules of a chain, as nft lists them."""
    listed = run("nft", "list", "chain", "inet", "unused", name).stdout
    return [line.strip() for line in listed.split("\n") if line.startswith("\t\t")]


def test_what_is_looked_at(table: OwnTable) -> None:
    table.transact(steering.rules("unused", [WIDE], USED, bridges=False), "test")
    assert chain("incoming") == [
        "type filter hook prerouting priority -50; policy accept;",
        "meta iiftype loopback accept",
        "tcp flags syn / syn,ack fib daddr type local jump sensors",
        "meta length <= 100 tcp flags ack / fin,syn,rst,psh,ack meta l4proto . tcp dport @touched "
        "fib daddr type local jump sensors",
    ]
    assert "chain bridged" not in run("nft", "list", "ruleset").stdout


def test_the_narrower_aim_comes_first(table: OwnTable) -> None:
    table.transact(steering.rules("unused", [WIDE, FAR, NEAR], USED, bridges=False), "test")
    assert chain("sensors") == [
        "socket wildcard 0 return",
        "ip6 daddr 2001:db8::/64 jump aim_0",
        "ip daddr 198.51.100.0/25 jump aim_1",
        "jump aim_2",
    ]


def test_the_chain_of_an_aim(table: OwnTable) -> None:
    table.transact(steering.rules("unused", [WIDE, FAR, NEAR], USED, bridges=False), "test")
    touched = "update @touched { meta l4proto . tcp dport timeout 1m }"
    assert chain("aim_1") == [
        touched,
        "meta nfproto ipv4 tcp dport 21 tproxy to :4000 accept",
        "meta nfproto ipv4 tcp dport 80-90 tproxy to :4000 accept",
    ]
    assert chain("aim_2") == [
        "tcp dport 113 return",
        "ip daddr 192.0.2.5 tcp dport 25-26 return",
        "ip daddr . tcp dport @in_use_4 return",
        "meta nfproto ipv4 meta l4proto . tcp dport @in_use_everywhere_4 return",
        "ip6 daddr . tcp dport @in_use_6 return",
        "meta nfproto ipv6 meta l4proto . tcp dport @in_use_everywhere_6 return",
        "socket transparent != 255 return",
        touched,
        "meta nfproto ipv4 tcp dport 1-65535 tproxy to :4000 accept",
        "meta nfproto ipv6 tcp dport 1-65535 tproxy to :6000 accept",
    ]


def test_what_comes_by_a_bridge_is_redirected(table: OwnTable) -> None:
    table.transact(steering.rules("unused", [WIDE], USED, bridges=True), "test")
    assert 'meta iifkind "bridge" accept' in chain("incoming")
    assert chain("bridged") == [
        "type nat hook prerouting priority dstnat + 1; policy accept;",
        'meta iifkind "bridge" tcp flags syn / syn,ack fib daddr type local jump bridged_sensors',
    ]
    assert "touched" not in " ".join(chain("bridged_aim_0"))
    assert chain("bridged_aim_0")[-2:] == [
        "meta nfproto ipv4 tcp dport 1-65535 dnat to :4000",
        "meta nfproto ipv6 tcp dport 1-65535 dnat to :6000",
    ]


def elements(name: str) -> str:
    listed = " ".join(run("nft", "list", "set", "inet", "unused", name).stdout.split())
    return listed.partition("elements = { ")[2].partition(" }")[0]


def test_what_is_in_use(table: OwnTable) -> None:
    table.transact(steering.rules("unused", [WIDE], USED, bridges=False), "test")
    names = ("in_use_4", "in_use_everywhere_4", "in_use_6", "in_use_everywhere_6")
    assert [elements(name) for name in names] == ["192.0.2.5 . 22", "tcp . 80", "2001:db8::5 . 443", "tcp . 80"]
    table.transact(steering.let_be("unused", [InUse(4, None, 81)]), "test")
    assert [elements(name) for name in names] == ["", "tcp . 81", "", ""]
