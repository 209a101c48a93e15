"""Connections that come: told, paused for, kept waiting for an answer."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from policy.player import Player, addresses, dgram, events, kinds, reasons, sensor, service
from sentinetd.model.address import Address
from sentinetd.model.events import ConnectionAdmitted, ConnectionRefused, Event, ServicePaused
from sentinetd.model.service import Cps, FileLog, Flag, OnFailure, Service, SocketType, SourceRate, Type
from sentinetd.model.verdict import Question, Reason
from sentinetd.policy.effects import Ask, Pause, Rearm, Refuse, Reply, Resume, Say, Serve, Suspend
from sentinetd.policy.inputs import Answered, Arrived, Exhausted, Heeded, LaunchFailed, Reloaded, Tick
from sentinetd.policy.waiting import ANSWER_WITHIN, MOST, MOST_OF_SOURCE

SOURCE = "192.0.2.1"
NAMED = addresses("a.example")


def answer(player: Player, name: str | None, connection: int | None = None) -> list[Any]:
    return player.give(Answered(player.connections if connection is None else connection, Question.NAME, name))


# What is told.


@pytest.mark.parametrize(
    ("one", "reason", "told"),
    [
        pytest.param(service(no_access=addresses(SOURCE)), Reason.ADDRESS, 3, id="stream: each"),
        pytest.param(service(instances=0), Reason.INSTANCES, 3, id="stream, limit: each"),
        pytest.param(dgram(no_access=addresses(SOURCE)), Reason.ADDRESS, 1, id="dgram: once a minute"),
        pytest.param(dgram(instances=0), Reason.INSTANCES, 3, id="dgram, limit: each"),
    ],
)
def test_how_often_a_refusal_is_told(one: Service, reason: Reason, told: int) -> None:
    player = Player(one)
    assert [reasons(player.arrive(SOURCE)) for _ in range(3)] == [[reason]] * told + [[]] * (3 - told)
    player.later(60.0)
    assert reasons(player.arrive(SOURCE)) == [reason]


def test_a_banned_source_is_told_once_a_minute_for_each_service() -> None:
    player = Player(sensor(), service("one"), service("two"))
    player.arrive(SOURCE)
    told = [[event.service for event in events(player.arrive(SOURCE, number))] for number in (2, 2, 3, 3, 2)]
    assert told == [["one"], [], ["two"], [], []]
    player.later(60.0)
    assert kinds(player.arrive(SOURCE, 2)) == ["ConnectionRefused", "Refuse"]


def test_the_owner_of_an_ipv6_network_is_told_of_as_one() -> None:
    player = Player(sensor(), service())
    player.arrive("2001:db8::1")
    assert sum(len(reasons(player.arrive(f"2001:db8::{number:x}", 2))) for number in range(1, 99)) == 1


def test_a_refusal_says_who_came_where() -> None:
    player = Player(service("ssh", no_access=addresses(SOURCE), port=22))
    [event] = events(player.arrive(SOURCE))
    assert event == ConnectionRefused(
        player.moment().wall, 1, "ssh", Address.parse(SOURCE), 4711, Reason.ADDRESS, 1, "tcp", 22
    )


LOGGED = {"log_type": FileLog("/var/log/refused"), "log_on_failure": frozenset({OnFailure.HOST})}
HEEDED = frozenset({ConnectionRefused})


@pytest.mark.parametrize(
    ("attributes", "heeded", "told"),
    [
        pytest.param(LOGGED, frozenset(), [Reason.INSTANCES], id="the service logs it"),
        pytest.param({**LOGGED, "log_type": None}, frozenset(), [], id="there is no log"),
        pytest.param({**LOGGED, "log_on_failure": frozenset()}, frozenset(), [], id="the log has no line for it"),
        pytest.param({}, HEEDED, [Reason.INSTANCES], id="somebody listens"),
        pytest.param({"max_load": 0.0}, frozenset(), [Reason.LOAD], id="the daemon's log has a line for it"),
    ],
)
def test_a_refusal_is_made_where_somebody_wants_it(
    attributes: dict[str, Any], heeded: frozenset[type[Event]], told: list[Reason]
) -> None:
    player = Player(service(instances=0, **attributes))
    player.give(Heeded(heeded))
    assert reasons(player.arrive()) == told


def test_whoever_is_not_admitted_uses_no_place_of_his_pace() -> None:
    player = Player(service(only_from=addresses("198.51.100.0/24"), cps_source=SourceRate(1, 60.0)))
    assert reasons(player.arrive(SOURCE)) == [Reason.ADDRESS]
    player.give(Reloaded(player.settings, adjust={1: service(cps_source=SourceRate(1, 60.0))}))
    assert kinds(player.arrive(SOURCE)) == ["Serve"]


def test_an_admission_is_told_where_somebody_wants_it() -> None:
    player = Player(service("ssh", port=22), limit=1)
    assert kinds(player.arrive()) == ["Serve"]
    player.give(Heeded(frozenset({ConnectionAdmitted})))
    player.launch()
    player.end(player.pids)
    effects = player.arrive()
    assert kinds(effects) == ["ConnectionAdmitted", "Serve"]
    assert events(effects) == [
        ConnectionAdmitted(player.moment().wall, 1, "ssh", Address.parse("192.0.2.1"), 4711, 2, "tcp", 22)
    ]
    assert kinds(player.give(LaunchFailed(2, errno.EAGAIN))) == ["ResourceExhausted", "ForkFailed"]
    assert kinds(player.later(5.0)) == ["Serve"], "another attempt is no other admission"


@pytest.mark.parametrize("number", [pytest.param(7, id="never was"), pytest.param(1, id="is stopped")])
def test_what_comes_to_a_service_that_is_not_there_is_hung_up_on(number: int) -> None:
    player = Player(service())
    player.serve()
    player.reload(stop=frozenset({1}))
    connection = player.connection(SOURCE, number)
    assert player.give(Arrived(connection)) == [Refuse(connection)]


# cps.


def test_the_51st_in_one_instant_closes_the_service_for_a_while() -> None:
    player = Player(service("web", cps=Cps(50, 10)))
    for _ in range(50):
        assert kinds(player.arrive()) == ["Serve"]
    effects = player.arrive()
    assert kinds(effects) == ["ConnectionRefused", "Refuse", "Pause", "ServicePaused"]
    assert reasons(effects) == [Reason.CPS]
    assert [(one.name, one.why, one.seconds) for one in events(effects, ServicePaused)] == [
        ("web", "excessive incoming connections", 10)
    ]
    assert player.engine.state(1) == "Disabled"
    assert player.later(9.99) == []
    assert player.later(0.01) == [Resume(1)]
    assert player.engine.state(1) == "Active"
    assert player.engine.count(1) == 50  # a pause forgets no server
    assert kinds(player.arrive()) == ["Serve"]


def test_what_was_accepted_before_the_pause_does_not_lengthen_it() -> None:
    player = Player(service(cps=Cps(1, 10)))
    player.arrive()
    assert Pause(1) in player.arrive()
    player.now += 0.5
    assert kinds(player.arrive()) == ["ConnectionRefused", "Refuse"]
    assert player.later(9.5) == [Resume(1)]
    assert player.later(60.0) == []


def test_a_pause_of_no_time_ends_with_the_next_tick() -> None:
    player = Player(service(cps=Cps(1, 0)))
    player.arrive()
    player.arrive()
    assert player.engine.deadline() == player.now
    assert player.give(Tick()) == [Resume(1)]


def test_rate_0_counts_nothing() -> None:
    player = Player(service(cps=Cps(0, 10)))
    assert {tuple(kinds(player.arrive())) for _ in range(500)} == {("Serve",)}


@pytest.mark.parametrize(
    ("attributes", "used"),
    [
        pytest.param({"no_access": addresses("198.51.100.1")}, False, id="a source that is not admitted"),
        pytest.param({"no_access": addresses("198.51.100.1"), "instances": 0}, False, id="not admitted, and full"),
        pytest.param({"max_load": 0.0}, True, id="an overloaded machine"),
        pytest.param({"per_source": 0}, True, id="a limit"),
        pytest.param({"only_from": addresses("b.example", "192.0.2.1")}, True, id="a question"),
    ],
)
def test_who_uses_a_place_of_cps(attributes: dict[str, Any], used: bool) -> None:
    player = Player(service(cps=Cps(3, 10), **attributes))
    for _ in range(10):
        player.arrive("198.51.100.1")
    assert (player.engine.state(1) == "Disabled") is used


def test_banned_sources_use_no_place_of_cps() -> None:
    player = Player(sensor(), service(cps=Cps(1, 10)))
    player.arrive(SOURCE)
    for _ in range(10):
        player.arrive(SOURCE, 2)
    assert kinds(player.arrive("192.0.2.2", 2)) == ["Serve"]


def test_an_answer_uses_no_second_place() -> None:
    player = Player(service(cps=Cps(2, 10), only_from=NAMED))
    player.arrive()
    assert kinds(answer(player, "a.example")) == ["Serve"]
    player.arrive()
    assert kinds(answer(player, "a.example")) == ["Serve"]
    assert reasons(player.arrive()) == [Reason.CPS]


def test_a_reload_keeps_the_count_and_the_pause() -> None:
    player = Player(service(cps=Cps(50, 10)))
    for _ in range(40):
        player.arrive()
    player.adjust(cps=Cps(45, 10))
    assert [kinds(player.arrive()) for _ in range(5)] == [["Serve"]] * 5
    assert Pause(1) in player.arrive()
    player.adjust(cps=Cps(0, 1))
    assert player.engine.state(1) == "Disabled"
    assert player.later(10.0) == [Resume(1)]


# Descriptors.


def test_without_descriptors_the_service_is_closed_for_a_while() -> None:
    player = Player(service("web", cps=Cps(50, 7)))
    effects = player.give(Exhausted(1))
    assert kinds(effects) == ["ResourceExhausted", "Pause", "ServicePaused"]
    exhausted, paused = events(effects)
    assert (exhausted.what, paused.why, paused.seconds) == ("file descriptors", "no available descriptors", 7)
    assert player.give(Exhausted(1)) == []
    assert player.later(7.0) == [Resume(1)]
    assert kinds(player.give(Exhausted(1))) == ["Pause", "ServicePaused"], "a shortage is told once a minute"


@pytest.mark.parametrize("number", [pytest.param(1, id="stopped"), pytest.param(9, id="unknown")])
def test_exhaustion_of_what_is_not_there_is_nothing(number: int) -> None:
    player = Player(service())
    player.serve()
    player.reload(stop=frozenset({1}))
    assert player.give(Exhausted(number)) == []


def test_a_pause_for_want_of_descriptors_takes_some_time() -> None:
    player = Player(service(cps=Cps(50, 0)))
    player.give(Exhausted(1))
    assert player.later(0.9) == []
    assert player.later(0.1) == [Resume(1)]


# The pace of one source.


def test_one_source_that_comes_too_often_is_refused_and_others_are_not() -> None:
    player = Player(service(cps_source=SourceRate(2, 10.0)))
    assert [reasons(player.arrive()) for _ in range(3)] == [[], [], [Reason.CPS_SOURCE]]
    assert kinds(player.arrive("192.0.2.2")) == ["Serve"]
    assert player.engine.state(1) == "Active"
    player.later(5.0)
    assert [reasons(player.arrive()) for _ in range(2)] == [[], [Reason.CPS_SOURCE]]


def test_the_owner_of_an_ipv6_network_is_one_source() -> None:
    player = Player(service(cps_source=SourceRate(2, 10.0)))
    assert [len(reasons(player.arrive(f"2001:db8::{number}"))) for number in range(4)] == [0, 0, 1, 1]


# Banners.


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        pytest.param({}, ["/banner", "/success"], id="admitted"),
        pytest.param({"no_access": addresses(SOURCE)}, ["/banner", "/fail"], id="refused"),
        pytest.param({"wait": True}, [], id="a server that waits"),
        pytest.param({"flags": sensor().flags}, ["/banner", "/fail"], id="a sensor"),
    ],
)
def test_banners(attributes: dict[str, Any], said: list[str]) -> None:
    one = service(banner="/banner", banner_success="/success", banner_fail="/fail", **attributes)
    effects = Player(one).arrive()
    assert [effect.path for effect in effects if isinstance(effect, Say)] == said


def test_a_banned_source_is_told_nothing() -> None:
    player = Player(sensor(), service(banner="/banner", banner_fail="/fail"))
    player.arrive()
    assert kinds(player.arrive(number=2)) == ["ConnectionRefused", "Refuse"]


# Limits.


def test_instances_count_those_that_wait_for_an_answer() -> None:
    player = Player(service(instances=2, only_from=NAMED))
    player.arrive("192.0.2.1")
    player.arrive("192.0.2.2")
    assert reasons(player.arrive("192.0.2.3")) == [Reason.INSTANCES]
    assert player.engine.count(1) == 2
    assert kinds(answer(player, "a.example", 1)) == ["Serve"]  # it does not count for itself
    assert reasons(player.arrive("192.0.2.4")) == [Reason.INSTANCES]
    answer(player, "b.example", 2)
    assert kinds(player.arrive("192.0.2.5")) == ["Ask"]


def test_per_source_counts_those_that_wait_and_only_their_source() -> None:
    player = Player(service(per_source=1, only_from=NAMED))
    player.arrive("192.0.2.1")
    assert reasons(player.arrive("192.0.2.1")) == [Reason.PER_SOURCE]
    assert kinds(player.arrive("192.0.2.2")) == ["Ask"]
    assert kinds(answer(player, "a.example", 1)) == ["Serve"]


def test_the_limit_counts_servers_of_all_services() -> None:
    player = Player(service("one"), service("two"), limit=2)
    player.serve(number=1)
    pid = player.serve(number=2)
    assert reasons(player.arrive(number=1)) == [Reason.PROCESS_LIMIT]
    player.end(pid)
    assert kinds(player.arrive(number=1)) == ["Serve"]


# Questions.


def test_a_name_is_asked_for_and_decides() -> None:
    player = Player(service(only_from=NAMED))
    connection = player.connection(SOURCE)
    source = Address.parse(SOURCE)
    assert player.give(Arrived(connection)) == [Ask(connection, Question.NAME, source, ANSWER_WITHIN)]
    assert kinds(answer(player, "a.example")) == ["Serve"]
    player.arrive()
    assert reasons(answer(player, "b.example")) == [Reason.NAME]


def test_an_answer_that_does_not_come_denies() -> None:
    player = Player(service(only_from=NAMED))
    player.arrive()
    assert player.later(ANSWER_WITHIN - 0.01) == []
    effects = player.later(0.01)
    assert (reasons(effects), kinds(effects)[-1]) == ([Reason.NAME_UNKNOWN], "Refuse")
    assert answer(player, "a.example") == []
    assert player.engine.count(1) == 0


def test_the_whole_chain_runs_again_with_the_answer() -> None:
    player = Player(service(only_from=NAMED), sensor())
    player.arrive()
    player.arrive(number=2)
    assert reasons(answer(player, "a.example", 1)) == [Reason.BANNED]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(Answered(99, Question.NAME, "a.example"), id="a connection that never was"),
        pytest.param(Answered(1, Question.NAME, "a.example"), id="one that is served"),
    ],
)
def test_an_answer_to_nobody_is_dropped(given: Answered) -> None:
    player = Player(service())
    player.serve()
    assert player.give(given) == []


def test_the_deadline_of_a_question_is_its_own() -> None:
    player = Player(service(only_from=NAMED))
    player.arrive()
    answer(player, "a.example")
    player.give(LaunchFailed(1, 11))
    player.later(5.0)  # asked again
    assert player.later(ANSWER_WITHIN - 0.01) == []
    assert reasons(player.later(0.01)) == [Reason.NAME_UNKNOWN]


def test_only_what_was_asked_is_answered() -> None:
    player = Player(service(only_from=NAMED))
    player.arrive()
    assert player.give(Answered(1, Question.USER, "a.example")) == []
    assert kinds(answer(player, "a.example")) == ["Serve"]


def test_so_many_of_one_source_may_wait() -> None:
    player = Player(service(only_from=NAMED))
    for _ in range(MOST_OF_SOURCE):
        assert kinds(player.arrive()) == ["Ask"]
    assert reasons(player.arrive()) == [Reason.WAITING_LIMIT]
    assert kinds(player.arrive("192.0.2.2")) == ["Ask"]
    answer(player, "", 1)
    assert kinds(player.arrive()) == ["Ask"]


def test_so_many_may_wait_in_all() -> None:
    player = Player(service(only_from=NAMED))
    for number in range(MOST):
        assert kinds(player.arrive(f"198.51.{number >> 8}.{number & 255}")) == ["Ask"]
    assert reasons(player.arrive()) == [Reason.WAITING_LIMIT]
    answer(player, "", 1)
    assert kinds(player.arrive()) == ["Ask"]
    assert len(player.later(60.0)) == 2 * MOST
    assert (player.engine.count(1), player.engine.deadline()) == (0, None)


# Waiting services: their listener is lent from the verdict on, and taken back in every way it can end.


def test_a_waiting_service_serves_one_at_a_time() -> None:
    player = Player(dgram())
    connection = player.connection(SOURCE)
    assert player.give(Arrived(connection)) == [Suspend(1), Serve(connection)]
    assert player.engine.state(1) == "Suspended"
    assert player.arrive("192.0.2.2") == []
    player.launch(connection.number)
    assert player.end(player.pids)[-1] == Rearm(connection)
    assert player.engine.state(1) == "Active"
    assert kinds(player.arrive("192.0.2.2")) == ["Suspend", "Serve"]


def test_a_waiting_stream_service_has_no_source() -> None:
    player = Player(service(wait=True, only_from=addresses("10.0.0.1")))
    assert kinds(player.arrive(None)) == ["Suspend", "Serve"]


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"no_access": addresses(SOURCE)}, id="address"),
        pytest.param({"instances": 0}, id="instances"),
        pytest.param({"max_load": 0.0}, id="load"),
    ],
)
def test_a_refused_datagram_leaves_the_listener_as_it_was(attributes: dict[str, Any]) -> None:
    player = Player(dgram(**attributes))
    connection = player.connection(SOURCE)
    effects = player.give(Arrived(connection))
    assert kinds(effects) == ["ConnectionRefused", "Refuse"]
    assert player.engine.state(1) == "Active"


def test_a_waiting_service_is_suspended_while_its_source_is_asked_about() -> None:
    player = Player(dgram(only_from=NAMED))
    connection = player.connection(SOURCE)
    assert player.give(Arrived(connection))[0] == Suspend(1)
    assert player.arrive("192.0.2.2") == []
    assert answer(player, "a.example", connection.number) == [Serve(connection)]
    player.launch(connection.number)
    assert player.end(player.pids)[-1] == Rearm(connection)


@pytest.mark.parametrize("name", [pytest.param("b.example", id="refused"), pytest.param(None, id="not found out")])
def test_a_waiting_service_that_refuses_after_the_answer_is_armed_again(name: str | None) -> None:
    player = Player(dgram(only_from=NAMED))
    connection = player.connection(SOURCE)
    player.give(Arrived(connection))
    assert answer(player, name)[-2:] == [Refuse(connection), Rearm(connection)]
    assert kinds(player.arrive()) == ["Suspend", "Ask"]


def test_a_waiting_service_whose_question_is_not_answered_is_armed_again() -> None:
    player = Player(dgram(only_from=NAMED))
    connection = player.connection(SOURCE)
    player.give(Arrived(connection))
    assert player.later(ANSWER_WITHIN)[-2:] == [Refuse(connection), Rearm(connection)]


def test_a_waiting_service_that_refuses_at_a_new_attempt_is_armed_again() -> None:
    player = Player(dgram())
    connection = player.connection(SOURCE)
    player.give(Arrived(connection))
    player.give(LaunchFailed(connection.number, 11))
    player.adjust(no_access=addresses(SOURCE))
    assert player.later(5.0)[-2:] == [Refuse(connection), Rearm(connection)]


def test_a_paused_waiting_service_serves_nobody() -> None:
    player = Player(service(wait=True, cps=Cps(1, 10)))
    player.arrive(None)
    player.launch()
    player.end(player.pids)
    assert kinds(player.arrive(None)) == ["ConnectionRefused", "Refuse", "Pause", "ServicePaused"]
    player.now += 5.0
    assert player.arrive(None) == []
    assert player.later(5.0) == [Resume(1)]
    assert kinds(player.arrive(None)) == ["Suspend", "Serve"]
    assert player.give(Exhausted(1)) == []  # its server has the listener


def test_a_dgram_sensor_judges_every_datagram() -> None:
    player = Player(sensor(socket_type=SocketType.DGRAM, wait=True, deny_dgram=True))
    for number in range(5):
        assert kinds(player.arrive(f"192.0.2.{number}"))[0] == "Impose"


def test_a_service_that_became_a_sensor_is_one_though_its_last_server_runs() -> None:
    player = Player(dgram())
    player.serve()
    player.adjust(flags=sensor().flags, deny_time=60.0, deny_dgram=True)
    assert kinds(player.arrive("192.0.2.2"))[0] == "Impose"
    assert kinds(player.end(player.pids)) == ["ServerEnded", "Rearm"]


# Internal services.


def test_what_takes_no_time_is_answered_and_counts_for_nothing() -> None:
    player = Player(service("daytime", type=frozenset({Type.INTERNAL}), instances=1), limit=1)
    for _ in range(3):
        connection = player.connection(SOURCE)
        effects = player.give(Arrived(connection))
        assert (kinds(effects)[0], effects[-1]) == ("ServerStarted", Reply(connection, player.engine.services[1]))
    assert player.engine.count(1) == 0


def test_a_datagram_that_is_answered_after_a_question_leaves_the_listener_armed() -> None:
    player = Player(dgram("echo", type=frozenset({Type.INTERNAL}), only_from=NAMED))
    connection = player.connection(SOURCE)
    player.give(Arrived(connection))
    reply = Reply(connection, player.engine.services[1])
    assert answer(player, "a.example")[-2:] == [reply, Rearm(connection)]
    assert player.engine.state(1) == "Active"


def test_flags_of_no_concern_change_nothing() -> None:
    assert kinds(Player(service(flags=frozenset({Flag.NODELAY}))).arrive()) == ["Serve"]
