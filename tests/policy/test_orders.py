"""Orders of an operator, a feed or the fleet, played."""

from __future__ import annotations

import math
from typing import Any

import pytest

from policy.player import WALL, Player, addresses, events, kinds, reasons, sensor, service
from sentinetd.model.address import Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import BanImposed, BanLifted, BansCleared, BansDeclined, ExemptionAdded, ExemptionEnded
from sentinetd.model.order import (
    LONGEST_NOTE,
    LONGEST_WHO,
    ORDERED_AT_ONCE,
    EndExemption,
    Exempt,
    ImposeBans,
    LiftAllBans,
    LiftBans,
    Order,
    WantedBan,
)
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.model.verdict import Reason
from sentinetd.policy.effects import Effect, Exempted, Impose, Lift, Obeyed, Restate
from sentinetd.policy.inputs import Moved, Ordered, Reloaded, Surroundings

SOURCE = "192.0.2.1"
WHO = "root"
PART = "it is banned as part of"


def net(text: str) -> Network:
    return Network.parse(text)


def order(player: Player, wanted: Order, who: str = WHO) -> tuple[list[Effect], Obeyed]:
    """What follows from an order, and its answer, which is the last of it."""
    effects = player.give(Ordered(7, wanted, who))
    answer = effects[-1]
    assert isinstance(answer, Obeyed)
    assert answer.request == 7
    return effects, answer


def ban(
    player: Player, *networks: str, span: float = 600.0, origin: Origin = Origin.OPERATOR, note: str = ""
) -> tuple[list[Effect], Obeyed]:
    return order(player, ImposeBans(tuple(WantedBan(net(one), span, note) for one in networks), origin))


def test_an_ordered_ban_holds_is_told_and_answered_in_this_order() -> None:
    player = Player(service())
    effects, answer = ban(player, "192.0.2.0/24", note="scans us")
    assert kinds(effects) == ["Impose", "BanImposed", "Obeyed"]
    assert effects[0] == Impose(net("192.0.2.0/24"), player.now + 600)
    assert events(effects, BanImposed) == [
        BanImposed(
            player.now + WALL, net("192.0.2.0/24"), player.now + WALL + 600, "", Origin.OPERATOR, WHO, "scans us"
        )
    ]
    assert (answer.ok, answer.done, answer.refused) == (True, 1, ())
    assert answer.text == "192.0.2.0/24 is banned for 600 seconds or longer"
    assert reasons(player.arrive("192.0.2.200")) == [Reason.BANNED]
    player.later(600)
    assert kinds(player.arrive("192.0.2.200")) == ["Serve"]


def test_for_ever_is_until_lifted() -> None:
    player = Player(service())
    assert ban(player, SOURCE, span=math.inf)[1].text == f"{SOURCE} is banned until lifted"
    player.later(1e9)
    assert reasons(player.arrive()) == [Reason.BANNED]
    effects, answer = order(player, LiftBans((net(SOURCE),)))
    assert effects[0] == Lift(net(SOURCE))
    assert events(effects, BanLifted) == [BanLifted(player.now + WALL, net(SOURCE), WHO)]
    assert (answer.ok, answer.text) == (True, f"{SOURCE}: lifted")
    assert kinds(player.arrive()) == ["Serve"]


@pytest.mark.parametrize(
    ("banned", "lifted", "text"),
    [
        pytest.param([], SOURCE, f"{SOURCE}: it is not banned", id="nothing"),
        pytest.param(["192.0.2.0/24"], SOURCE, f"{SOURCE}: {PART} 192.0.2.0/24: lift that", id="wider"),
        pytest.param(
            ["192.0.0.0/16", "192.0.2.0/24"],
            SOURCE,
            f"{SOURCE}: {PART} 192.0.2.0/24: lift that",
            id="the narrowest of them",
        ),
        pytest.param([SOURCE], "192.0.2.0/24", "192.0.2.0/24: it is not banned", id="narrower"),
        pytest.param(["fe80::/64"], "fe80::1%eth0", f"fe80::1%eth0: {PART} fe80::/64: lift that", id="scope"),
    ],
)  # fmt: skip
def test_only_exactly_what_is_named_is_lifted(banned: list[str], lifted: str, text: str) -> None:
    player = Player(service())
    ban(player, *banned)
    effects, answer = order(player, LiftBans((net(lifted),)))
    assert (kinds(effects), answer.ok, answer.text) == (["Obeyed"], False, text)
    assert len(player.engine.bans.ledger) == len(banned)


OWN = Surroundings(addresses("127.0.0.0/8", "198.51.100.7", "198.51.100.1"), addresses())


@pytest.mark.parametrize(
    ("network", "origin", "settings", "why"),
    [
        pytest.param("0.0.0.0/0", Origin.OPERATOR, {}, "that would be everybody", id="everybody"),
        pytest.param("::/0", Origin.FEED, {}, "that would be everybody", id="everybody, IPv6"),
        pytest.param("203.0.113.9", Origin.OPERATOR, {}, "it is exempt", id="exempt address"),
        pytest.param("203.0.113.8/30", Origin.FLEET, {}, "it is exempt", id="part of an exempt network"),
        pytest.param("198.51.100.7", Origin.OPERATOR, {}, "it is exempt", id="own address"),
        pytest.param(
            "198.51.0.0/16",
            Origin.FEED,
            {},
            "it holds 198.51.100.7, which is this host's own, its gateway or its resolver",
            id="own network in a feed",
        ),
        pytest.param(
            "198.51.0.0/16",
            Origin.FLEET,
            {},
            "it holds 198.51.100.7, which is this host's own, its gateway or its resolver",
            id="own network from the fleet",
        ),
        pytest.param(
            "198.51.100.0/24",
            Origin.OPERATOR,
            {"exempt_own": False},
            "it holds 198.51.100.7, which is this host's own, its gateway or its resolver",
            id="own network, not exempt",
        ),
        pytest.param("11.0.0.0/7", Origin.FEED, {}, "it is wider than /8", id="too wide for a feed"),
        pytest.param("2000::/3", Origin.FLEET, {}, "it is wider than /16", id="too wide for the fleet"),
        pytest.param("203.0.114.9", Origin.OPERATOR, {"dry_run": True}, "dry_run: nobody is banned", id="dry run"),
    ],
)
def test_what_must_not_be_banned(network: str, origin: Origin, settings: dict[str, Any], why: str) -> None:
    player = Player(service(), exempt=addresses("203.0.113.0/24"), **settings)
    player.give(Moved(OWN))
    effects, answer = ban(player, network, origin=origin)
    assert kinds(effects) == ["BansDeclined", "Obeyed"]
    assert (answer.ok, answer.text) == (False, f"{net(network)}: {why}")
    [declined] = events(effects, BansDeclined)
    assert (declined.network, declined.count, declined.origin, declined.who) == (net(network), 1, origin, WHO)
    assert len(player.engine.bans.ledger) == 0


@pytest.mark.parametrize(
    ("network", "exempt", "free"),
    [
        pytest.param("203.0.113.0/24", ["203.0.113.9"], "203.0.113.9", id="listed"),
        pytest.param("198.51.100.0/24", [], "198.51.100.7", id="own"),
        pytest.param("10.0.0.0/7", ["10.9.0.0/16"], "10.9.200.1", id="an operator may be generous"),
    ],
)
def test_a_ban_of_a_network_leaves_what_is_exempt_in_it_free(network: str, exempt: list[str], free: str) -> None:
    player = Player(service(), exempt=addresses(*exempt))
    player.give(Moved(OWN))
    answer = ban(player, network)[1]
    assert answer.ok
    assert "; exempt in it, and free: " in answer.text
    assert kinds(player.arrive(free)) == ["Serve"]
    other = str(net(network)).split("/")[0]
    assert reasons(player.arrive(other)) == [Reason.BANNED]


def test_an_answer_says_how_many_and_what_not() -> None:
    player = Player(service(), exempt=addresses("203.0.113.0/24"))
    effects, answer = ban(player, SOURCE, "203.0.113.1", "0.0.0.0/0", "192.0.2.2", origin=Origin.FEED)
    assert kinds(effects) == ["Impose", "BanImposed"] * 2 + ["BansDeclined", "Obeyed"]
    assert [(str(one.network), one.why) for one in answer.refused] == [
        ("203.0.113.1", "it is exempt"),
        ("0.0.0.0/0", "that would be everybody"),
    ]
    assert (answer.ok, answer.done) == (True, 2)
    assert answer.text == "2 of 4 banned; 203.0.113.1: it is exempt, and 1 others are not done either"


def test_the_longer_ban_stays_and_nothing_is_told_twice() -> None:
    player = Player(service())
    ban(player, SOURCE, span=900)
    effects, answer = ban(player, SOURCE, span=600)
    assert (kinds(effects), answer.ok) == (["Obeyed"], True)
    assert kinds(ban(player, SOURCE, span=1200)[0]) == ["Impose", "BanLengthened", "Obeyed"]


@pytest.mark.parametrize(
    ("wanted", "who"),
    [
        pytest.param(ImposeBans((WantedBan(net(SOURCE), 60),), Origin.SENSOR), WHO, id="a sensor orders nothing"),
        pytest.param(
            ImposeBans((WantedBan(net(SOURCE), 60),) * (ORDERED_AT_ONCE + 1), Origin.FEED), WHO, id="too many"
        ),
        pytest.param(ImposeBans((WantedBan(net(SOURCE), 0.0),), Origin.FEED), WHO, id="no time"),
        pytest.param(ImposeBans((WantedBan(net(SOURCE), -math.inf),), Origin.FEED), WHO, id="less than no time"),
        pytest.param(ImposeBans((WantedBan(net(SOURCE), 9, "x" * (LONGEST_NOTE + 1)),), Origin.FEED), WHO, id="note"),
        pytest.param(ImposeBans((WantedBan(net(SOURCE), 9),), Origin.FEED), "x" * (LONGEST_WHO + 1), id="who"),
        pytest.param(LiftBans((net("198.51.100.1"),) * (ORDERED_AT_ONCE + 1)), WHO, id="too many to lift"),
        pytest.param(Exempt(net(SOURCE), 0.0), WHO, id="exempt for no time"),
        pytest.param(Exempt(net(SOURCE), 9.0, "x" * (LONGEST_NOTE + 1)), WHO, id="exemption's note"),
        pytest.param(EndExemption(net(SOURCE)), WHO, id="not exempt"),
    ],
)
def test_orders_that_are_not_carried_out(wanted: Order, who: str) -> None:
    player = Player(service())
    effects, answer = order(player, wanted, who)
    assert not answer.ok
    assert answer.text
    assert not [one for one in effects if isinstance(one, Impose | Lift | Exempted)]
    assert len(player.engine.bans.ledger) == 0


def test_all_bans_are_lifted_at_once() -> None:
    player = Player(sensor(), service())
    player.arrive()
    ban(player, "198.51.100.0/24", "2001:db8::/32", span=math.inf)
    effects, answer = order(player, LiftAllBans())
    assert kinds(effects) == ["Restate", "BansCleared", "Obeyed"]
    assert events(effects) == [BansCleared(player.now + WALL, 3, WHO)]
    assert (answer.ok, answer.done, list(player.engine.bans.in_force())) == (True, 3, [])
    assert kinds(player.arrive(number=2)) == ["Serve"]
    assert player.later(1e6) == []


def test_an_exemption_by_order_wins_over_every_ban_until_its_end() -> None:
    player = Player(sensor(), service())
    player.arrive()
    effects, answer = order(player, Exempt(net(SOURCE), 60.0, "our scanner"))
    assert kinds(effects) == ["Exempted", "ExemptionAdded", "Obeyed"]
    assert events(effects) == [
        ExemptionAdded(player.now + WALL, net(SOURCE), player.now + WALL + 60, WHO, "our scanner")
    ]
    assert answer.text == f"{SOURCE} is exempt from every ban for 60 seconds"
    assert kinds(player.arrive(number=2)) == ["Serve"]
    assert "Impose" not in kinds(player.arrive())
    assert not ban(player, SOURCE)[1].ok
    effects = player.later(60.0)
    assert kinds(effects) == ["ExemptionEnded", "Exempted"]
    assert events(effects, ExemptionEnded)[0].who == ""
    assert reasons(player.arrive(number=2)) == [Reason.BANNED]


def test_an_exemption_by_order_is_ended_by_order() -> None:
    player = Player(sensor(), exempt=addresses("203.0.113.0/24"))
    order(player, Exempt(net("192.0.2.0/24"), math.inf))
    assert player.engine.deadline() is None
    effects, answer = order(player, EndExemption(net("192.0.2.0/24")))
    assert (kinds(effects), answer.ok) == (["Exempted", "ExemptionEnded", "Obeyed"], True)
    assert kinds(player.arrive())[0] == "Impose"
    answer = order(player, EndExemption(net("203.0.113.1")))[1]
    assert answer.text == "203.0.113.1: it is exempt by the settings or a wider order"


def test_a_dry_run_refuses_nobody_and_forgets_no_ban() -> None:
    player = Player(sensor(), service())
    player.arrive()
    dry, wet = (Settings(bans=BanSettings(dry_run=dry)) for dry in (True, False))
    effects = player.give(Reloaded(dry))
    assert effects == [Restate()]
    assert list(player.engine.bans.in_force()) == []
    assert kinds(player.arrive(number=2)) == ["Serve"]
    assert player.give(Reloaded(wet)) == [Restate()]
    assert [str(network) for network, _ in player.engine.bans.in_force()] == [SOURCE]
    assert reasons(player.arrive(number=2)) == [Reason.BANNED]
