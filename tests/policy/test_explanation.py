"""What an explanation says, and that it changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from policy.player import Player, addresses, sensor, service
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban
from sentinetd.model.service import Cps, Flag, Interval, OnSuccess, Service, SourceRate
from sentinetd.model.state import Explanation
from sentinetd.model.values import Place
from sentinetd.policy.effects import Serve
from sentinetd.policy.explanation import standing
from sentinetd.policy.inputs import Learned

SOURCE = Address.parse("192.0.2.7")


def explained(player: Player, source: Address = SOURCE) -> list[Explanation]:
    return list(player.engine.explain(source, player.moment()))


def only(made: Service, source: Address = SOURCE, **bans: Any) -> Explanation:
    (one,) = explained(Player(made, **bans), source)
    return one


PLACES = {
    "": Place("d/ssh", 1),
    "only_from": Place("d/ssh", 4),
    "only_from 192.0.2.0/24": Place("d/ssh", 4),
    "no_access": Place("d/ssh", 7),
    "no_access 192.0.2.4/30": Place("d/ssh", 6),
    "no_access 192.0.2.{7,9}": Place("d/ssh", 7),
    "access_times": Place("d/ssh", 8),
}


@pytest.mark.parametrize(
    ("attributes", "reason", "word", "line"),
    [
        pytest.param({"only_from": addresses("192.0.2.0/24")}, "no-objection", "", 0, id="admitted"),
        pytest.param({"only_from": addresses("198.51.100.0/24")}, "address", "", 4, id="in no list"),
        pytest.param({"no_access": addresses("192.0.2.4/30", "192.0.2.0/24")}, "address", "192.0.2.4/30", 6,
                     id="the narrowest word"),
        pytest.param({"no_access": addresses("192.0.2.7", "192.0.2.9")}, "address", "192.0.2.{7,9}", 7,
                     id="a factorised word"),
        pytest.param({"access_times": (Interval(60, 120),)}, "time", "", 8, id="an attribute without words"),
        pytest.param({"max_load": 0.0}, "load", "", 1, id="not written down: the entry"),
    ],
)  # fmt: skip
def test_which_line_says_no(attributes: dict[str, Any], reason: str, word: str, line: int) -> None:
    told = only(service(places=PLACES, **attributes))
    assert (told.reason, told.word, told.line) == (reason, word, line)
    assert told.admitted is (reason == "no-objection")


def test_what_would_have_to_be_asked() -> None:
    told = only(service(only_from=addresses("host.example"), log_on_success=frozenset({OnSuccess.USERID})))
    assert (told.admitted, told.asks) == (True, "name user")


def test_a_later_objection_that_no_answer_takes_back() -> None:
    player = Player(service(no_access=addresses("host.example"), flags=frozenset({Flag.NOLIBWRAP}), instances=0))
    (told,) = explained(player)
    assert (told.admitted, told.reason) == (False, "service-limit")


def test_sensors_and_bans() -> None:
    player = Player(sensor(), service(), exempt=addresses("198.51.100.1"))
    player.give(Learned((Ban(Network.parse("192.0.2.0/24"), player.now, player.now + 60),)))
    assert [one.reason for one in explained(player)] == ["sensor", "banned"]
    assert [one.reason for one in explained(player, Address.parse("198.51.100.1"))] == ["exempt", "no-objection"]
    stands = standing(SOURCE, player.engine.bans, player.moment())
    assert (stands.network, stands.exempt, stands.until) == ("192.0.2.0/24", False, player.moment().wall + 60)
    assert standing(Address.parse("203.0.113.1"), player.engine.bans, player.moment()).network == ""


def test_nothing_is_counted() -> None:
    player = Player(service(cps=Cps(1, 10), cps_source=SourceRate(1, 60.0)))
    for _ in range(5):
        assert explained(player)[0].admitted
    assert any(isinstance(effect, Serve) for effect in player.arrive("192.0.2.7"))
    assert explained(player)[0].reason == "connections-per-second-of-source"


def test_the_tally_counts_by_service_and_reason_and_keeps_what_is_gone() -> None:
    player = Player(service(no_access=addresses("192.0.2.0/24")), sensor())
    player.arrive("198.51.100.1")
    player.arrive("192.0.2.7")
    player.arrive("192.0.2.7", 2)
    first, trap = player.engine.running()
    assert (first.score.served, {one.value: n for one, n in first.score.refused.items()}) == (1, {"address": 1})
    assert (trap.score.trips, trap.score.refused) == (1, {})
    before = player.engine.tally()
    assert (before.served, before.refused, before.trips) == (1, 1, 1)
    player.reload(stop=frozenset({2}))
    after = player.engine.tally()
    assert (after.served, after.refused, after.trips) == (1, 1, 1)
