"""What was kept from before the start, played; and orders of an operator when there are too many bans."""

from __future__ import annotations

import math

import pytest

from policy.player import WALL, Player, addresses, events, kinds, reasons, sensor, service
from policy.test_bans import imposed, lifted
from policy.test_orders import ban
from sentinetd.model.address import Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import BanEvicted, BanLengthened
from sentinetd.model.exemption import Exemption
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.model.verdict import Reason
from sentinetd.policy.effects import Exempted, Impose, Restate
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import Moved, Recalled, RecalledExemptions, Reloaded, Surroundings

HOST = Network.parse("192.0.2.1")


def recalled(player: Player, *rows: tuple[str, float], kept: bool = False) -> Recalled:
    """IPv4 hosts, each with the seconds that it has left."""
    wall = player.now + WALL
    return Recalled(4, 32, "", kept, tuple((Network.parse(text).value, wall + left) for text, left in rows))


def test_bans_of_before_end_when_they_would_have_ended() -> None:
    player = Player(service())
    player.give(recalled(player, ("192.0.2.1", 50.0), ("192.0.2.2", math.inf), ("192.0.2.3", 0.0)))
    assert reasons(player.arrive("192.0.2.1")) == [Reason.BANNED]
    assert reasons(player.arrive("192.0.2.2")) == [Reason.BANNED]
    assert kinds(player.arrive("192.0.2.3")) == ["Serve"]
    assert len(player.engine.bans.ledger) == 2
    player.later(50.0)
    assert kinds(player.arrive("192.0.2.1")) == ["Serve"]


def test_keepers_in_the_kernel_hear_of_them_unless_there_are_none_yet() -> None:
    player = Player(service())
    assert player.give(recalled(player, ("192.0.2.1", 50.0))) == [Impose(HOST, player.now + 50)]
    engine = Engine(Settings())
    assert engine.handle(recalled(player, ("192.0.2.1", 50.0)), player.moment()) == []
    assert list(engine.bans.in_force()) == [(HOST, player.now + 50)]


def test_a_longer_ban_that_stands_stays() -> None:
    player = Player(sensor(100.0))
    player.arrive()
    assert player.give(recalled(player, ("192.0.2.1", 50.0))) == [Impose(HOST, player.now + 100)]
    assert player.engine.bans.ledger.until(HOST) == player.now + 100
    player.give(recalled(player, ("192.0.2.1", 150.0)))
    assert (player.engine.bans.ledger.until(HOST), len(player.engine.bans.ledger)) == (player.now + 150, 1)


@pytest.mark.parametrize(
    ("version", "length", "scope", "prefix", "source", "other"),
    [
        pytest.param(4, 24, "", 0xC00002, "192.0.2.77", "192.0.3.77", id="IPv4 network"),
        pytest.param(6, 64, "", 0x20010DB800000001, "2001:db8:0:1::7", "2001:db8:0:2::7", id="IPv6 /64"),
        pytest.param(6, 128, "eth0", 0xFE80 << 112 | 1, "fe80::1%eth0", "fe80::1%eth1", id="link-local"),
    ],
)
def test_networks_of_any_kind(version: int, length: int, scope: str, prefix: int, source: str, other: str) -> None:
    player = Player(service())
    player.give(Recalled(version, length, scope, False, ((prefix, math.inf),)))
    assert reasons(player.arrive(source)) == [Reason.BANNED]
    assert kinds(player.arrive(other)) == ["Serve"]


def test_exemptions_of_before_win_over_bans_of_before_until_they_end() -> None:
    player = Player(service())
    wall = player.now + WALL
    kept = (Exemption(HOST, wall - 9, wall + 60, "joe", ""), Exemption(Network.parse("192.0.2.2"), 0.0, 1.0, "joe", ""))
    assert player.give(RecalledExemptions(kept)) == [Exempted()]
    assert player.give(RecalledExemptions(kept[1:])) == []
    player.give(recalled(player, ("192.0.2.1", 600.0)))
    assert kinds(player.arrive()) == ["Serve"]
    player.later(60.0)
    assert reasons(player.arrive()) == [Reason.BANNED]


def test_a_recalled_ban_leaves_the_hosts_own_addresses_free() -> None:
    player = Player(service())
    player.give(Moved(Surroundings(addresses("192.0.2.1"), addresses())))
    player.give(Recalled(4, 24, "", False, ((0xC00002, math.inf),)))
    assert kinds(player.arrive("192.0.2.1")) == ["Serve"]
    assert reasons(player.arrive("192.0.2.2")) == [Reason.BANNED]


def test_a_dry_run_keeps_bans_of_before_for_later() -> None:
    player = Player(service(), dry_run=True)
    assert player.give(recalled(player, ("192.0.2.1", math.inf))) == []
    assert kinds(player.arrive()) == ["Serve"]
    assert player.give(Reloaded(Settings(bans=BanSettings()))) == [Restate()]
    assert reasons(player.arrive()) == [Reason.BANNED]


def test_operators_bans_go_last_when_there_are_too_many() -> None:
    player = Player(sensor(100.0), sensor(math.inf), maximum=3)
    ban(player, "198.51.100.1", span=10.0)
    ban(player, "198.51.100.2", span=math.inf, origin=Origin.FEED)
    player.arrive("192.0.2.1", 2)
    assert lifted(player.arrive("192.0.2.2")) == ["192.0.2.2"], "the one that just came, since it ends soonest"
    effects = ban(player, "198.51.100.3")[0]
    assert [str(event.network) for event in events(effects, BanEvicted)] == ["198.51.100.2"], "the oldest endless one"
    assert lifted(ban(player, "198.51.100.4")[0]) == ["192.0.2.1"]
    assert lifted(ban(player, "198.51.100.5")[0]) == ["198.51.100.1"], (
        "only operator's are left"
    )


def test_an_operators_order_makes_a_longer_ban_his() -> None:
    player = Player(sensor(100.0), maximum=2)
    player.arrive("192.0.2.1")
    effects = ban(player, "192.0.2.1", span=5.0)[0]
    [event] = events(effects, BanLengthened)
    assert (event.until, event.origin) == (player.now + WALL + 100, Origin.OPERATOR)
    player.later(1.0)
    player.arrive("192.0.2.2")
    player.later(1.0)
    assert lifted(player.arrive("192.0.2.3")) == ["192.0.2.2"]


def test_recalled_bans_of_an_operator_are_his() -> None:
    player = Player(sensor(100.0), maximum=1)
    player.give(recalled(player, ("192.0.2.1", 5.0), kept=True))
    assert imposed(player.arrive("192.0.2.2")) == ["192.0.2.2"]
    assert [str(network) for network, _ in player.engine.bans.in_force()] == ["192.0.2.1"]
