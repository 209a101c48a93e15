"""Intercepted services: each client judged in front, one server behind."""

from __future__ import annotations

from typing import Any

import pytest

from policy.player import Player, addresses, dgram, events, kinds, reasons, sensor, service
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban
from sentinetd.model.events import ServerEnded, ServerStarted, ServicePaused
from sentinetd.model.service import Cps, Flag, Interval, Service, SourceRate
from sentinetd.model.verdict import ADMIT, Question, Reason
from sentinetd.policy.behind import Visitors
from sentinetd.policy.effects import Ask, Effect, HangUp, Pause, Rearm, Refuse, Resume, Say, Serve, Signal, Suspend
from sentinetd.policy.inputs import (
    Answered,
    Arrived,
    Begun,
    CarriersGone,
    Finished,
    Launched,
    LaunchersGone,
    LaunchFailed,
    Learned,
    Wanted,
)
from sentinetd.policy.servers import FORK_PAUSE, JUDGE_EVERY
from sentinetd.policy.waiting import ANSWER_WITHIN

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
INTERCEPT = frozenset({Flag.INTERCEPT})
PORTER = 50


def stream(**attributes: Any) -> Service:
    return service(**{"wait": True, "flags": INTERCEPT, **attributes})


def datagrams(**attributes: Any) -> Service:
    return dgram(**{"flags": INTERCEPT, **attributes})


def visit(player: Player, source: str = A, number: int = 1) -> int:
    """A client comes and is carried; its connection."""
    assert kinds(player.arrive(source, number)) == ["Serve"]
    player.give(Begun(player.connections, PORTER))
    return player.connections


def want(player: Player, number: int = 1) -> list[Effect]:
    """Somebody waits at the private socket."""
    return player.give(Wanted(player.connection(None, number)))


def begin(player: Player) -> int:
    """The server is started; its process id."""
    assert kinds(want(player)) == ["Suspend", "Serve"]
    player.launch()
    return player.pids


def started(effects: list[Effect]) -> list[tuple[str, int]]:
    return [(str(one.source), one.pid) for one in events(effects, ServerStarted)]


def hung_up(effects: list[Effect]) -> list[int]:
    return [one.number for one in effects if isinstance(one, HangUp)]


KINDS = pytest.mark.parametrize("kind", [pytest.param(stream, id="stream"), pytest.param(datagrams, id="dgram")])


@KINDS
def test_one_server_for_all_clients(kind: Any) -> None:
    player = Player(kind())
    assert kinds(player.arrive(A)) == ["Serve"]
    assert kinds(player.give(Begun(1, PORTER))) == ["Release"]  # its server is not known yet
    connection = player.connection(None)
    assert player.give(Wanted(connection)) == [Suspend(1), Serve(connection)]
    assert started(player.launch()) == [(A, player.pids)]
    player.arrive(B)
    assert started(player.give(Begun(player.connections, PORTER))) == [(B, player.pids)]
    assert want(player) == []
    assert player.engine.state(1) == "Active"
    effects = player.end(player.pids, 3)
    assert [(one.pid, one.status, one.source) for one in events(effects, ServerEnded)] == [(player.pids, 3, None)]
    assert effects[-1] == Rearm(connection)
    assert kinds(want(player)) == ["Suspend", "Serve"]
    assert started(player.launch()) == [("None", player.pids)]  # for clients that were told of before


@KINDS
def test_the_end_of_a_client_is_not_told(kind: Any) -> None:
    player = Player(kind())
    first = visit(player)
    assert player.give(Finished(first, 1, 2)) == []
    begin(player)
    assert started(player.launch()) == []
    assert player.give(Finished(visit(player, B), 1, 2)) == []
    assert player.engine.count(1) == 1


def test_a_client_that_is_gone_before_there_is_a_server_is_not_told_of() -> None:
    player = Player(stream())
    player.give(Finished(visit(player, A), 0, 0))
    visit(player, B)
    want(player)
    assert started(player.launch()) == [(B, player.pids)]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        pytest.param(stream(no_access=addresses(A)), Reason.ADDRESS, id="no_access"),
        pytest.param(stream(only_from=addresses(B)), Reason.ADDRESS, id="only_from"),
        pytest.param(stream(access_times=(Interval(60, 120),)), Reason.TIME, id="access_times"),
        pytest.param(stream(max_load=0.0), Reason.LOAD, id="max_load"),
        pytest.param(datagrams(no_access=addresses(A)), Reason.ADDRESS, id="dgram, no_access"),
        pytest.param(datagrams(access_times=(Interval(60, 120),)), Reason.TIME, id="dgram, access_times"),
    ],
)
def test_every_client_is_judged(one: Service, reason: Reason) -> None:
    player = Player(one)
    effects = player.arrive(A)
    assert reasons(effects) == [reason]
    assert kinds(effects)[-1] == "Refuse"


@KINDS
def test_a_banned_client_is_refused_while_the_server_runs(kind: Any) -> None:
    player = Player(kind(), sensor())
    visit(player, B)
    begin(player)
    player.arrive(A, 2)
    assert reasons(player.arrive(A)) == [Reason.BANNED]
    assert kinds(player.arrive(B)) == ["Serve"]


@KINDS
def test_names_are_asked_for(kind: Any) -> None:
    player = Player(kind(only_from=addresses("a.example")))
    for source, name, told in ((A, "a.example", []), (B, "b.example", [Reason.NAME])):
        connection = player.connection(source)
        assert player.give(Arrived(connection)) == [
            Ask(connection, Question.NAME, Address.parse(source), ANSWER_WITHIN)
        ]
        assert reasons(player.give(Answered(connection.number, Question.NAME, name))) == told


@KINDS
def test_hosts_access_is_for_clients(kind: Any) -> None:
    player = Player(kind())
    player.tables = True
    assert kinds(player.arrive(A)) == ["Ask"]
    assert kinds(player.give(Answered(1, Question.TABLES, ADMIT))) == ["Serve"]
    assert kinds(want(player)) == ["Suspend", "Serve"]


@KINDS
def test_instances_mean_nothing_and_per_source_counts_clients(kind: Any) -> None:
    player = Player(kind(instances=1, per_source=1))
    first = visit(player, A)
    visit(player, B)
    assert reasons(player.arrive(A)) == [Reason.PER_SOURCE]
    player.give(Finished(first, 0, 0))
    assert kinds(player.arrive(A)) == ["Serve"]


def test_each_client_counts_for_cps() -> None:
    player = Player(stream(cps=Cps(2, 10)))
    visit(player, A)
    begin(player)
    visit(player, B)
    effects = player.arrive(C)
    assert reasons(effects) == [Reason.CPS]
    assert Pause(1) in effects
    connection = player.connection(C)
    assert player.give(Arrived(connection)) == [Refuse(connection)]
    assert Resume(1) in player.later(10.0)
    assert kinds(player.arrive(C)) == ["Serve"]


def test_a_client_that_comes_while_the_service_is_paused_is_refused() -> None:
    player = Player(datagrams(cps=Cps(1, 10)))
    visit(player, A)
    player.arrive(B)
    assert kinds(player.arrive(C)) == ["Refuse"]
    assert want(player) == []


def test_each_client_counts_for_cps_source() -> None:
    player = Player(stream(cps_source=SourceRate(1, 60.0)))
    visit(player, A)
    assert reasons(player.arrive(A)) == [Reason.CPS_SOURCE]
    assert kinds(player.arrive(B)) == ["Serve"]


def test_the_limit_of_processes_counts_the_server_and_not_its_clients() -> None:
    player = Player(stream(), service(), limit=1)
    visit(player, A)
    begin(player)
    visit(player, B)
    assert reasons(player.arrive(C, 2)) == [Reason.PROCESS_LIMIT]
    player.end(player.pids)
    assert kinds(player.arrive(C, 2)) == ["Serve"]
    assert reasons(player.arrive(C)) == [Reason.PROCESS_LIMIT]  # it would need a server
    effects = want(player)
    assert reasons(effects) == [Reason.PROCESS_LIMIT]
    assert kinds(effects)[-1] == "Refuse"


@KINDS
def test_a_server_that_is_wanted_too_often_pauses_the_service(kind: Any) -> None:
    player = Player(kind(cps=Cps(2, 10)))
    visit(player)
    for _ in range(2):
        player.end(begin(player))
    effects = want(player)
    assert [one.seconds for one in events(effects, ServicePaused)] == [10]
    assert effects[0] == Pause(1)
    assert want(player) == []
    player.later(10.0)
    assert kinds(want(player)) == ["Suspend", "Serve"]


def test_banners_are_for_clients() -> None:
    player = Player(stream(banner="/a", banner_success="/b", banner_fail="/c", no_access=addresses(B)))
    assert [one.path for one in player.arrive(A) if isinstance(one, Say)] == ["/a", "/b"]
    assert [one.path for one in player.arrive(B) if isinstance(one, Say)] == ["/a", "/c"]
    assert not [one for one in want(player) if isinstance(one, Say)]


# Datagrams: each of them.


def test_a_ban_ends_the_visit_of_whom_it_concerns() -> None:
    player = Player(datagrams(), stream(), sensor(), prefix_v4=24)
    visits = {source: visit(player, source) for source in (A, B, "198.51.100.1")}
    session = visit(player, A, 2)
    effects = player.arrive(A, 3)
    assert hung_up(effects) == [visits[A], visits[B]]
    assert session not in hung_up(effects)  # a session that is open goes on
    assert hung_up(player.arrive(A, 3)) == []


def test_a_ban_that_is_learned_does_so_too_but_not_for_whom_is_exempt() -> None:
    player = Player(datagrams(), exempt=addresses(B))
    first, _ = visit(player, A), visit(player, B)
    ban = Ban(Network.parse("192.0.2.0/24"), player.now, player.now + 60)
    assert hung_up(player.give(Learned((ban,)))) == [first]


def test_a_ban_while_a_client_is_handed_over_holds_too() -> None:
    player = Player(datagrams())
    assert kinds(player.arrive(A)) == ["Serve"]
    first = player.connections
    player.give(Learned((Ban(Network.parse(f"{A}/32"), player.now, player.now + 60),)))
    assert hung_up(player.give(Begun(first, PORTER))) == [first]


def test_access_times_end_visits() -> None:
    player = Player(datagrams(access_times=(Interval(0, 10),)), stream(access_times=(Interval(0, 10),)))
    first = visit(player, A)
    visit(player, A, 2)  # of a stream only the beginning is judged
    assert hung_up(player.later(JUDGE_EVERY)) == []
    player.minute = 11
    assert hung_up(player.later(JUDGE_EVERY)) == [first]
    player.give(Finished(first, 0, 0))
    player.later(JUDGE_EVERY)
    assert player.engine.deadline() is None


@KINDS
def test_a_reload_ends_who_is_not_admitted_any_more_and_nobody_for_their_number(kind: Any) -> None:
    player = Player(kind())
    first = visit(player, A)
    visit(player, B)
    pid = begin(player)
    effects = player.adjust(no_access=addresses(A), instances=1)
    assert hung_up(effects) == [first]
    assert not [one for one in effects if isinstance(one, Signal) and one.pid == pid]


# What fails.


def test_a_server_without_a_process_is_tried_again_as_a_process() -> None:
    player = Player(stream())
    visit(player)
    want(player)
    player.give(LaunchFailed(player.connections, 11))
    effects = player.later(FORK_PAUSE)
    assert kinds(effects) == ["Serve"]
    assert started(player.launch()) == [(A, player.pids)]
    assert player.engine._servers.running[player.connections].carried is False


def test_the_spawner_takes_an_order_with_it() -> None:
    player = Player(stream())
    visit(player)
    want(player)
    effects = player.give(LaunchersGone((player.connections,)))
    assert kinds(effects) == ["ConnectionRefused", "Refuse", "Rearm"]
    assert kinds(want(player)) == ["Suspend", "Serve"]


@KINDS
def test_the_end_of_the_porter_ends_clients_and_not_their_server(kind: Any) -> None:
    player = Player(kind())
    visit(player, A)
    pid = begin(player)
    assert kinds(player.give(CarriersGone())) == []
    assert [server.pid for server in player.engine.servers()] == [pid]
    assert not player.engine._servers.visitors


@pytest.mark.parametrize("failed", [False, True], ids=["ordered", "to be tried again"])
def test_a_datagram_client_that_the_porter_was_to_have_is_gone_with_it(failed: bool) -> None:
    player = Player(datagrams())
    player.arrive(A)
    if failed:
        player.give(LaunchFailed(1, 24))
    assert reasons(player.give(CarriersGone())) == [Reason.FORK]
    assert player.engine.count(1) == 0


def test_a_stream_that_the_porter_was_to_have_waits_for_the_next() -> None:
    player = Player(stream())
    player.arrive(A)
    player.give(LaunchFailed(1, 11))
    assert player.give(CarriersGone()) == []
    assert kinds(player.later(FORK_PAUSE)) == ["Serve"]


@KINDS
def test_a_dropped_service_ends_its_clients_and_its_server(kind: Any) -> None:
    player = Player(kind())
    first = visit(player)
    pid = begin(player)
    effects = player.reload(stop=frozenset({1}))
    assert hung_up(effects) == [first]
    assert [one.pid for one in effects if isinstance(one, Signal)] == [pid]
    player.give(Finished(first, 0, 0))
    assert kinds(player.end(pid)) == ["ServerEnded", "Forget"]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(service(), id="a service that is not intercepted"),
        pytest.param(service(wait=True), id="a waiting one"),
    ],
)
def test_no_server_is_wanted_by(given: Service) -> None:
    player = Player(given)
    assert want(player) == []
    assert want(player, 9) == []


def test_arrived_at_a_service_that_is_gone() -> None:
    player = Player(stream())
    player.reload(stop=frozenset({1}))
    connection = player.connection(A)
    assert player.give(Arrived(connection)) == [Refuse(connection)]
    assert player.give(Launched(99, 1)) == []


# Who is where.


@pytest.mark.parametrize(
    ("network", "found"),
    [
        pytest.param("192.0.2.1", {1}, id="one host"),
        pytest.param("192.0.2.0/24", {1, 2}, id="wider than a host"),
        pytest.param("2001:db8::/64", {3, 4}, id="what one host may have"),
        pytest.param("2001:db8::1", {3}, id="narrower than that"),
        pytest.param("2001:db8::/32", {3, 4, 5}, id="wider than that"),
        pytest.param("198.51.100.0/24", set(), id="nobody"),
    ],
)
def test_visitors(network: str, found: set[int]) -> None:
    visitors = Visitors()
    there = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:1::1"]
    for number, source in enumerate(there, 1):
        visitors.add(number, Address.parse(source))
    assert set(visitors.within(Network.parse(network))) == found
    assert len(visitors) == 5
    for number, source in enumerate(there, 1):
        visitors.remove(number, Address.parse(source))
        visitors.remove(number, Address.parse(source))
    assert not visitors
