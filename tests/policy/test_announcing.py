"""Peers that announce others: nothing is judged before the header was read, and then the announced source is."""

from __future__ import annotations

from typing import Any

import pytest

from policy.player import Player, addresses, events, kinds, reasons, sensor, service
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.connection import Announced, Connection
from sentinetd.model.events import ConnectionRefused, SensorTripped, ServerStarted
from sentinetd.model.service import Cps, Flag, OnFailure, OnSuccess, Service, SourceRate, Type
from sentinetd.model.verdict import Question, Reason
from sentinetd.policy.announcing import GRACE, HEADER_WITHIN, MOST
from sentinetd.policy.effects import Ask, Impose, Refuse, Serve
from sentinetd.policy.inputs import Answered, Arrived, Chosen, LaunchFailed, Learned

PEER = "192.0.2.7"
CLIENT, OTHER = "198.51.100.9", "198.51.100.10"
PROXIED: dict[str, Any] = {"proxy_protocol": addresses("192.0.2.0/29")}


def announce(player: Player, source: str | None, port: int = 40000, connection: int | None = None) -> list[Any]:
    """The porter's answer for the last connection, or *connection*."""
    who = Announced(None if source is None else Address.parse(source), port if source else 0)
    return player.give(Answered(player.connections if connection is None else connection, Question.PROXY, who))


def by_peer(player: Player, source: str | None, number: int = 1) -> list[Any]:
    """What follows when the peer has announced *source*."""
    assert kinds(player.arrive(PEER, number)) == ["Ask"]
    return announce(player, source)


def test_a_listed_peer_is_asked_first_and_the_announced_source_is_served() -> None:
    player = Player(service(**PROXIED))
    connection = player.connection(PEER)
    assert player.give(Arrived(connection)) == [Ask(connection, Question.PROXY, Address.parse(PEER), HEADER_WITHIN)]
    effects = announce(player, CLIENT)
    announced = Connection(connection.number, 1, Address.parse(CLIENT), 40000)
    assert effects == [Serve(announced)]
    [event] = events(player.launch(), ServerStarted)
    assert (event.source, event.port) == (Address.parse(CLIENT), 40000)


def test_others_are_served_without() -> None:
    player = Player(service(**PROXIED))
    assert kinds(player.arrive(OTHER)) == ["Serve"]


@pytest.mark.parametrize("lists", [{"only_from": addresses(PEER)}, {"no_access": addresses(CLIENT)}])
def test_lists_are_about_the_announced_source(lists: dict[str, Any]) -> None:
    player = Player(service(**PROXIED, **lists))
    assert reasons(by_peer(player, CLIENT)) == [Reason.ADDRESS]
    assert kinds(by_peer(player, None)) == ["Serve"]


def test_without_an_announced_source_the_peer_is_judged() -> None:
    player = Player(service(**PROXIED, no_access=addresses(PEER)))
    effects = by_peer(player, None)
    assert reasons(effects) == [Reason.ADDRESS]
    assert [event.source for event in events(effects, ConnectionRefused)] == [Address.parse(PEER)]


def test_no_header_no_service() -> None:
    player = Player(service(**PROXIED, banner_fail="/b", log_on_failure=frozenset({OnFailure.USERID})))
    player.arrive(PEER)
    effects = player.give(Answered(1, Question.PROXY, None))
    assert kinds(effects) == ["ConnectionRefused", "Refuse"]
    assert reasons(effects) == [Reason.PROXY_HEADER]
    assert player.engine.count(1) == 0
    assert announce(player, CLIENT, connection=1) == []


def test_a_header_that_never_comes() -> None:
    player = Player(service(**PROXIED))
    player.arrive(PEER)
    assert player.later(HEADER_WITHIN + GRACE - 0.1) == []
    effects = player.later(0.1)
    assert reasons(effects) == [Reason.PROXY_HEADER]
    assert player.later(60.0) == []


def test_waiting_for_a_header_counts_for_nothing_and_has_a_bound_of_its_own() -> None:
    player = Player(service(**PROXIED, instances=1, per_source=1, cps=Cps(1, 10), cps_source=SourceRate(1, 10.0)))
    for _ in range(MOST):
        assert kinds(player.arrive(PEER)) == ["Ask"]
    assert player.engine.count(1) == 0
    assert reasons(player.arrive(PEER)) == [Reason.WAITING_LIMIT]
    assert kinds(announce(player, CLIENT, connection=1)) == ["Serve"]
    assert kinds(player.arrive(PEER)) == ["Ask"]
    assert reasons(announce(player, CLIENT, connection=2)) == [Reason.CPS_SOURCE]


def test_limits_go_by_the_announced_source() -> None:
    player = Player(service(**PROXIED, per_source=1))
    assert kinds(by_peer(player, CLIENT)) == ["Serve"]
    assert reasons(by_peer(player, CLIENT)) == [Reason.PER_SOURCE]
    assert reasons(player.arrive(CLIENT)) == [Reason.PER_SOURCE]
    assert kinds(by_peer(player, OTHER)) == ["Serve"]


def test_an_announced_source_trips_a_sensor_and_is_banned() -> None:
    player = Player(sensor(**PROXIED), service(**PROXIED), service())
    effects = by_peer(player, CLIENT)
    assert kinds(effects) == ["Impose", "BanImposed", "SensorTripped", "Refuse"]
    assert [one.network for one in effects if isinstance(one, Impose)] == [Network.parse(CLIENT)]
    assert [event.source for event in events(effects, SensorTripped)] == [Address.parse(CLIENT)]
    assert reasons(by_peer(player, CLIENT, 2)) == [Reason.BANNED]
    assert reasons(player.arrive(CLIENT, 3)) == [Reason.BANNED]
    assert kinds(by_peer(player, OTHER, 2)) == ["Serve"]


@pytest.mark.parametrize("who", [None, PEER, "192.0.2.1"])
def test_a_listed_peer_is_never_banned(who: str | None) -> None:
    player = Player(sensor(**PROXIED), service())
    [trip] = events(by_peer(player, who), SensorTripped)
    assert trip.why_not == "exempt"
    now = player.now
    ban = Ban(Network.parse("192.0.2.0/24"), now, now + 60, "", Origin.FLEET)
    player.give(Learned((ban,)))
    assert kinds(player.arrive(PEER, 2)) == ["Serve"]
    assert reasons(player.arrive("192.0.2.99", 2)) == [Reason.BANNED]


def test_who_is_listed_no_longer_may_be_banned() -> None:
    player = Player(sensor(**PROXIED), service(**PROXIED))
    assert Address.parse(PEER) in player.engine.bans.exemptions.everywhere
    assert kinds(player.adjust(1, proxy_protocol=addresses())) == []
    assert kinds(player.reload(stop=frozenset({2}))) == ["Forget", "Exempted"]
    assert kinds(player.arrive(PEER)) == ["Impose", "BanImposed", "SensorTripped", "Refuse"]


def test_who_is_listed_anew_is_exempt_at_once() -> None:
    player = Player(sensor(), service())
    assert kinds(player.adjust(2, **PROXIED)) == ["Exempted"]
    assert [event.why_not for event in events(player.arrive(PEER), SensorTripped)] == ["exempt"]


def test_a_service_that_goes_hangs_up_on_all_that_wait() -> None:
    player = Player(service(**PROXIED), service("two", **PROXIED))
    player.arrive(PEER)
    player.arrive(PEER, 2)
    effects = player.reload(stop=frozenset({1}))
    assert [one.connection.number for one in effects if isinstance(one, Refuse)] == [1]
    assert announce(player, CLIENT, connection=1) == []
    assert kinds(announce(player, CLIENT, connection=2)) == ["Serve"]


def test_a_host_is_not_asked_whose_a_peer_s_connection_is() -> None:
    asks = {"log_on_success": frozenset({OnSuccess.USERID}), "log_on_failure": frozenset({OnFailure.USERID})}
    player = Player(service(**PROXIED, **asks), service(**PROXIED, **asks, flags=frozenset({Flag.IDONLY})))
    assert kinds(by_peer(player, CLIENT)) == ["Serve"]
    assert reasons(by_peer(player, CLIENT, 2)) == [Reason.IDENT]
    assert [one.question for one in by_peer(player, None) if isinstance(one, Ask)] == [Question.USER]


def test_that_is_so_after_a_failed_start_as_well() -> None:
    player = Player(service(**PROXIED, log_on_success=frozenset({OnSuccess.USERID})))
    by_peer(player, CLIENT)
    player.give(LaunchFailed(1, 11))
    assert kinds(player.later(5.0)) == ["Serve"]


def test_names_are_asked_of_the_announced_source() -> None:
    player = Player(service(**PROXIED, only_from=addresses("a.example")))
    [asked] = by_peer(player, CLIENT)
    assert isinstance(asked, Ask)
    assert (asked.question, asked.source) == (Question.NAME, Address.parse(CLIENT))
    assert kinds(player.give(Answered(1, Question.NAME, "a.example"))) == ["Serve"]


def test_a_banner_comes_after_the_header() -> None:
    player = Player(service(**PROXIED, banner="/b", banner_success="/s"))
    assert kinds(player.arrive(PEER)) == ["Ask"]
    assert kinds(announce(player, CLIENT)) == ["Say", "Say", "Serve"]


def multiplexer(**attributes: Any) -> Service:
    return service("tcpmux", type=frozenset({Type.INTERNAL}), **attributes)


def test_the_multiplexer_hands_the_announced_source_on() -> None:
    multiplexed = service("finger", type=frozenset({Type.TCPMUX}), log_on_success=frozenset({OnSuccess.USERID}))
    player = Player(multiplexer(**PROXIED), multiplexed)
    assert kinds(by_peer(player, CLIENT)) == ["Serve"]
    effects = player.give(Chosen(1, "finger"))
    assert effects == [Serve(Connection(1, 2, Address.parse(CLIENT), 40000))]


def test_an_intercepted_service() -> None:
    player = Player(service(**PROXIED, wait=True, flags=frozenset({Flag.INTERCEPT}), no_access=addresses(CLIENT)))
    assert reasons(by_peer(player, CLIENT)) == [Reason.ADDRESS]
    assert kinds(by_peer(player, OTHER)) == ["Serve"]


@pytest.mark.parametrize(("source", "asks"), [(PEER, "proxy"), (CLIENT, "")])
def test_what_explains_a_peer_says_that_it_is_asked(source: str, asks: str) -> None:
    player = Player(service(**PROXIED))
    [one] = player.engine.explain(Address.parse(source), player.moment())
    assert (one.admitted, one.asks) == (True, asks)
