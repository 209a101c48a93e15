"""Servers: launched, failed, tried again, ended, judged again, told to end."""

from __future__ import annotations

import errno
import signal
from dataclasses import replace
from typing import Any

import pytest

from policy.player import Player, addresses, dgram, events, kinds, reasons, sensor, service
from sentinetd.model.events import Event, ForkFailed, ServerEnded, ServerFailed, ServerSignalled, ServerStarted
from sentinetd.model.service import Cps, FileLog, Flag, Interval, OnSuccess, Redirect, Service, SourceRate, Type
from sentinetd.model.verdict import Question, Reason
from sentinetd.policy.effects import Effect, Forget, HangUp, Rearm, Refuse, Release, Report, Resume, Serve, Signal
from sentinetd.policy.inputs import (
    Answered,
    Arrived,
    Begun,
    CarriersGone,
    Chosen,
    Ended,
    Exhausted,
    Finished,
    Heeded,
    Launched,
    LaunchersGone,
    LaunchFailed,
    Leaving,
    Recovered,
    SetupFailed,
)
from sentinetd.policy.servers import EARLY_MOST, FORK_ATTEMPTS, FORK_PAUSE, KILL_AFTER, LATE_MOST

SOURCE = "192.0.2.1"
EAGAIN = 11


def signals(effects: list[Effect]) -> list[tuple[int, int]]:
    return [(one.pid, one.signal) for one in effects if isinstance(one, Signal)]


def idle(player: Player) -> bool:
    """Whether nothing is counted, kept or due any more."""
    engine = player.engine
    return not (engine.servers() or engine.retries() or engine.ordered() or engine._services.processes)


@pytest.mark.parametrize(("attributes", "final"), [({}, True), ({"wait": True}, False)], ids=["a client", "a listener"])
def test_there_is_no_second_attempt_for_a_client_that_is_gone(attributes: dict[str, Any], final: bool) -> None:
    player = Player(service(**attributes))
    player.arrive()
    effects = player.give(LaunchFailed(1, errno.EBADF))
    assert [event.final for event in events(effects, ForkFailed)] == [final]
    assert idle(player) == final


# From an order to an end.


def test_the_life_of_a_server() -> None:
    player = Player(service("ssh"))
    connection = player.connection(SOURCE)
    assert player.give(Arrived(connection)) == [Serve(connection)]
    effects = player.give(Launched(connection.number, 77))
    assert effects[0] == Release(connection)
    assert [(one.service, one.pid, str(one.source)) for one in events(effects, ServerStarted)] == [("ssh", 77, SOURCE)]
    player.later(2.5)
    effects = player.give(Ended(77, 3, 0))
    assert [(one.pid, one.status, one.signal, one.duration) for one in events(effects)] == [(77, 3, 0, 2.5)]
    assert idle(player)


LOGGED = {"log_type": FileLog("/var/log/served"), "log_on_success": frozenset({OnSuccess.PID})}


@pytest.mark.parametrize(
    ("attributes", "heeded", "told"),
    [
        pytest.param(LOGGED, frozenset(), ["ServerStarted", "ServerEnded"], id="the service logs it"),
        pytest.param({**LOGGED, "log_type": None}, frozenset(), [], id="there is no log"),
        pytest.param({**LOGGED, "log_on_success": frozenset()}, frozenset(), [], id="the log has no line for it"),
        pytest.param({}, frozenset({ServerStarted}), ["ServerStarted"], id="somebody listens for starts"),
        pytest.param({}, frozenset({ServerEnded}), ["ServerEnded"], id="somebody listens for ends"),
    ],
)
@pytest.mark.parametrize("adjusted", [False, True], ids=["from the start", "since a reload"])
def test_starts_and_ends_are_told_to_whom_they_matter(
    attributes: dict[str, Any], heeded: frozenset[type[Event]], told: list[str], adjusted: bool
) -> None:
    player = Player(service() if adjusted else service(**attributes))
    if adjusted:
        player.adjust(**attributes)
    player.give(Heeded(heeded))
    player.arrive()
    effects = [*player.launch(), *player.end(player.pids)]
    assert kinds([one for one in effects if isinstance(one, Report)]) == told
    assert idle(player)


def test_a_server_runs_since_its_process_was_made() -> None:
    """However late that is told: its times are those of the process."""
    player = Player(service())
    player.arrive()
    player.later(1.0)
    assert player.give(Ended(77, 0, 0)) == []
    effects = player.give(Launched(1, 77, player.now - 0.4))
    assert events(effects, ServerEnded)[0].duration == pytest.approx(0.4)
    assert player.engine.tally().start.total == pytest.approx(0.6)


def test_a_server_that_ended_before_it_was_named() -> None:
    player = Player(service())
    player.arrive()
    assert player.give(Ended(77, 0, 9)) == []
    effects = player.give(Launched(1, 77))
    assert kinds(effects) == ["Release", "ServerStarted", "ServerEnded"]
    assert events(effects, ServerEnded)[0].signal == 9
    assert idle(player)


def test_strangers_are_not_taken_for_servers() -> None:
    player = Player(service())
    assert player.give(Ended(77, 0, 0)) == []  # nothing is ordered, so nobody will name it
    player.arrive()
    player.launch()
    player.arrive()
    assert kinds(player.give(Launched(2, 77))) == ["Release", "ServerStarted"]


def test_children_reaped_early_are_remembered_while_an_order_is_out_and_not_without_bound() -> None:
    player = Player(service())
    player.arrive()
    for pid in range(1000, 1000 + 2 * EARLY_MOST):
        player.give(Ended(pid, 0, 0))
    assert len(player.engine._servers._early) == EARLY_MOST
    player.launch()
    assert not player.engine._servers._early


def test_a_process_id_given_anew_ends_the_server_that_had_it() -> None:
    player = Player(service())
    player.arrive()
    player.arrive()
    player.give(Launched(1, 77))
    effects = player.give(Launched(2, 77))
    assert kinds(effects) == ["ServerEnded", "Release", "ServerStarted"]
    player.give(Ended(77, 0, 0))
    assert idle(player)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(Launched(9, 77), id="launched"),
        pytest.param(LaunchFailed(9, EAGAIN), id="launch failed"),
        pytest.param(SetupFailed(9, "execve", "", 2, True), id="setup failed"),
        pytest.param(Begun(9, 77), id="begun"),
        pytest.param(Finished(9, 0, 0), id="finished"),
        pytest.param(Ended(9, 0, 0), id="ended"),
        pytest.param(LaunchersGone((9,)), id="launchers gone"),
        pytest.param(CarriersGone(), id="carriers gone"),
    ],
)
def test_what_concerns_nobody_is_dropped(given: Launched) -> None:
    assert Player(service()).give(given) == []


# Set-up that fails.


@pytest.mark.parametrize("when", ["before it is named", "while it runs", "after its end"])
def test_a_server_that_could_not_begin_is_told_of_whenever_that_comes(when: str) -> None:
    player = Player(service("ssh", server="/usr/sbin/sshd"))
    player.arrive()
    if when != "before it is named":
        player.launch()
    if when == "after its end":
        player.end(player.pids, 127)
    effects = player.give(SetupFailed(1, "execve", "", 2, True))
    assert kinds(effects) == ["ServerFailed", "ConnectionRefused"]
    [failed] = events(effects, ServerFailed)
    assert (failed.service, failed.step, failed.what, failed.errno) == ("ssh", "execve", "/usr/sbin/sshd", 2)
    assert reasons(effects) == [Reason.EXEC]


def test_a_server_that_goes_on_without_is_not_refused() -> None:
    player = Player(service())
    player.serve()
    assert kinds(player.give(SetupFailed(1, "nice", "", 1, False))) == ["ServerFailed"]


def test_servers_that_ended_are_not_remembered_for_ever() -> None:
    player = Player(service())
    for _ in range(LATE_MOST + 1):
        player.end(player.serve())
    assert player.give(SetupFailed(1, "execve", "", 2, True)) == []
    assert player.give(SetupFailed(2, "execve", "", 2, True)) != []


# No process.


def test_a_failed_fork_is_tried_again_so_many_times() -> None:
    player = Player(service("ssh"))
    connection = player.connection(SOURCE)
    player.give(Arrived(connection))
    for attempt in range(1, FORK_ATTEMPTS):
        effects = player.give(LaunchFailed(connection.number, EAGAIN))
        assert [(one.attempts, one.final) for one in events(effects, ForkFailed)] == [(attempt, False)]
        assert (player.engine.retries(), player.engine.count(1)) == ([connection], 1)
        assert player.later(FORK_PAUSE - 0.01) == []
        assert player.later(0.01) == [Serve(connection)]
    effects = player.give(LaunchFailed(connection.number, EAGAIN))
    assert kinds(effects) == ["ForkFailed", "ConnectionRefused", "Refuse"]
    assert (events(effects, ForkFailed)[0].final, reasons(effects)) == (True, [Reason.FORK])
    assert idle(player)


def test_noretry_gives_up_at_once() -> None:
    player = Player(service(flags=frozenset({Flag.NORETRY})))
    player.arrive()
    effects = player.give(LaunchFailed(1, EAGAIN))
    assert (kinds(effects)[-1], reasons(effects)) == ("Refuse", [Reason.FORK])


@pytest.mark.parametrize("flags", [frozenset(), frozenset({Flag.NORETRY})])
def test_who_wants_a_server_while_there_is_no_spawner_gets_one_from_the_next(flags: frozenset[Flag]) -> None:
    """At once, and nobody is told that the machine has no processes."""
    player = Player(service("ssh", flags=flags))
    connection = player.connection(SOURCE)
    player.give(Arrived(connection))
    assert player.give(LaunchFailed(connection.number, 0)) == []
    player.give(Recovered())
    assert player.later(0.0) == [Serve(connection)]
    for _ in range(FORK_ATTEMPTS - 2):
        assert player.give(LaunchFailed(connection.number, 0)) == []
        player.give(Recovered())
        player.later(0.0)
    effects = player.give(LaunchFailed(connection.number, 0))
    assert (events(effects, ForkFailed)[0].errno, reasons(effects)) == (EAGAIN, [Reason.FORK])
    assert idle(player)


def test_the_chain_judges_again_before_each_attempt() -> None:
    player = Player(service(), sensor())
    player.arrive()
    player.give(LaunchFailed(1, EAGAIN))
    player.arrive(number=2)
    effects = player.later(FORK_PAUSE)
    assert reasons(effects) == [Reason.BANNED]
    assert idle(player)


def test_one_that_is_tried_again_does_not_count_for_itself_and_counts_for_others() -> None:
    player = Player(service(instances=1))
    player.arrive()
    player.give(LaunchFailed(1, EAGAIN))
    assert reasons(player.arrive("192.0.2.2")) == [Reason.INSTANCES]
    assert kinds(player.later(FORK_PAUSE)) == ["Serve"]


def test_attempts_are_counted_across_questions() -> None:
    player = Player(service(only_from=addresses("a.example")))
    player.arrive()
    attempts = []
    for _ in range(FORK_ATTEMPTS):
        player.give(Answered(1, Question.NAME, "a.example"))
        attempts += [one.attempts for one in events(player.give(LaunchFailed(1, EAGAIN)), ForkFailed)]
        assert kinds(player.later(FORK_PAUSE)) == ([] if len(attempts) == FORK_ATTEMPTS else ["Ask"])
    assert attempts == list(range(1, FORK_ATTEMPTS + 1))


def test_a_waiting_service_without_a_process_stays_suspended_until_it_is_given_up() -> None:
    player = Player(dgram())
    connection = player.connection(SOURCE)
    player.give(Arrived(connection))
    for _ in range(FORK_ATTEMPTS - 1):
        assert Rearm(connection) not in player.give(LaunchFailed(connection.number, EAGAIN))
        assert player.later(FORK_PAUSE) == [Serve(connection)]
    assert player.give(LaunchFailed(connection.number, EAGAIN))[-2:] == [Refuse(connection), Rearm(connection)]


def test_orders_that_the_spawner_took_with_it_are_given_up() -> None:
    player = Player(service(), dgram())
    player.arrive()
    connection = player.connection(SOURCE, 2)
    player.give(Arrived(connection))
    player.serve()
    effects = player.give(LaunchersGone((1, 2, connection.number, 99)))
    assert reasons(effects) == [Reason.FORK, Reason.FORK]
    assert effects[-2:] == [Refuse(connection), Rearm(connection)]
    assert (len(player.engine.servers()), player.engine.ordered()) == (1, 0)


def test_what_waits_for_its_next_attempt_outlives_the_spawner() -> None:
    player = Player(service())
    player.arrive()
    player.give(LaunchFailed(1, EAGAIN))
    assert player.give(LaunchersGone((1,))) == []
    assert kinds(player.later(FORK_PAUSE)) == ["Serve"]


# What the porter carries.


def relay() -> Service:
    return service("relay", redirect=Redirect("192.0.2.9", 80))


def test_the_life_of_a_connection_that_is_carried() -> None:
    player = Player(relay())
    player.arrive()
    assert kinds(player.give(Begun(1, 50))) == ["Release", "ServerStarted"]
    assert player.give(Ended(50, 0, 0)) == []
    assert kinds(player.give(Finished(1, 10, 20))) == ["TrafficCounted", "ServerEnded"]
    assert idle(player)


def test_the_end_of_the_porter_ends_what_it_carries_and_nothing_else() -> None:
    player = Player(relay(), service())
    player.arrive()
    player.give(Begun(1, 50))
    player.arrive()
    pid = player.serve(number=2)
    assert kinds(player.give(CarriersGone())) == ["ServerEnded"]
    assert ([server.pid for server in player.engine.servers()], player.engine.ordered()) == ([pid], 1)


def test_orders_to_a_new_spawner_outlive_the_end_of_the_old_one() -> None:
    player = Player(service())
    player.arrive()
    player.arrive()
    assert reasons(player.give(LaunchersGone((1,)))) == [Reason.FORK]
    assert kinds(player.give(Launched(2, 50))) == ["Release", "ServerStarted"]


def test_a_carried_connection_of_a_dropped_service_is_hung_up_on() -> None:
    player = Player(relay())
    player.arrive()
    player.give(Begun(1, 50))
    assert player.reload(stop=frozenset({1})) == [HangUp(1)]
    assert player.give(Finished(1, 0, 0))[-1] == Forget(1)


# What comes by the multiplexer (RFC 1078).


def multiplexer(**target: Any) -> Player:
    tcpmux = service("tcpmux", type=frozenset({Type.INTERNAL}))
    return Player(tcpmux, service("chosen", **{"type": frozenset({Type.TCPMUX}), **target}), service("other"))


def test_a_chosen_service_judges_and_serves_who_came_to_the_multiplexer() -> None:
    player = multiplexer()
    assert kinds(player.arrive()) == ["Serve"]
    assert (player.engine.count(1), player.engine.count(2)) == (1, 0)
    [serve] = player.give(Chosen(1, "chosen"))
    assert isinstance(serve, Serve)
    assert (serve.connection.number, serve.connection.service) == (1, 2)
    assert (player.engine.count(1), player.engine.count(2)) == (0, 1)
    assert events(player.launch(1), ServerStarted)[0].service == "chosen"
    player.end(player.pids)
    assert idle(player)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param({"no_access": addresses(SOURCE)}, Reason.ADDRESS, id="address"),
        pytest.param({"instances": 0}, Reason.INSTANCES, id="instances"),
        pytest.param({"per_source": 0}, Reason.PER_SOURCE, id="per_source"),
        pytest.param({"cps_source": SourceRate(0, 1.0)}, Reason.CPS_SOURCE, id="cps_source"),
    ],
)
def test_every_limit_of_a_chosen_service_holds(target: dict[str, Any], reason: Reason) -> None:
    player = multiplexer(**target)
    player.arrive()
    effects = player.give(Chosen(1, "chosen"))
    assert (reasons(effects), kinds(effects)[-1]) == ([reason], "Refuse")
    assert idle(player)


def test_a_chosen_service_that_is_paused_refuses() -> None:
    player = multiplexer(cps=Cps(1, 10))
    for _ in range(3):
        player.arrive()
    assert kinds(player.give(Chosen(1, "chosen"))) == ["Serve"]
    assert kinds(player.give(Chosen(2, "chosen"))) == ["ConnectionRefused", "Refuse", "Pause", "ServicePaused"]
    player.now += 5.0
    assert reasons(player.give(Chosen(3, "chosen"))) == [Reason.CPS]


@pytest.mark.parametrize("name", [pytest.param("nothing", id="no service"), pytest.param("other", id="not its own")])
def test_what_is_not_reached_through_the_multiplexer_is_not_served(name: str) -> None:
    player = multiplexer()
    player.arrive()
    assert kinds(player.give(Chosen(1, name))) == ["Refuse"]
    assert idle(player)


@pytest.mark.parametrize(
    "given", [pytest.param(Finished(1, 0, 0), id="nothing was chosen"), pytest.param(CarriersGone(), id="porter gone")]
)
def test_who_chooses_nothing_is_hung_up_on(given: Finished | CarriersGone) -> None:
    player = multiplexer()
    player.arrive()
    assert "Refuse" in kinds(player.give(given))
    assert idle(player)


def test_only_who_came_to_the_multiplexer_chooses() -> None:
    player = multiplexer()
    player.arrive(number=3)
    assert player.give(Chosen(1, "chosen")) == []
    assert player.engine.count(3) == 1


# A reload.


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"no_access": addresses("192.0.2.2")}, id="no_access"),
        pytest.param({"only_from": addresses("192.0.2.1", "192.0.2.3")}, id="only_from"),
    ],
)
def test_servers_whose_source_is_not_admitted_any_more_are_told_to_end(change: dict[str, Any]) -> None:
    player = Player(service("ssh"))
    pids = [player.serve(f"192.0.2.{number}") for number in (1, 2, 3)]
    effects = player.adjust(**change)
    assert signals(effects) == [(pids[1], signal.SIGTERM)]
    assert [(one.service, one.pid) for one in events(effects, ServerSignalled)] == [("ssh", pids[1])]


def test_servers_outside_their_times_are_told_to_end() -> None:
    player = Player(service())
    pid = player.serve()
    player.minute = 100
    assert signals(player.adjust(access_times=(Interval(0, 99),))) == [(pid, signal.SIGTERM)]


def test_of_too_many_the_newest_are_told_to_end() -> None:
    player = Player(service())
    pids = []
    for _ in range(4):
        pids.append(player.serve())
        player.later(1.0)
    assert signals(player.adjust(instances=2)) == [(pid, signal.SIGTERM) for pid in pids[2:]]
    assert signals(player.adjust(instances=2, nice=1)) == []  # once is enough


def test_bans_are_no_ground_to_end_a_server() -> None:
    player = Player(service(), sensor())
    player.serve()
    player.arrive(number=2)
    assert signals(player.adjust(nice=1)) == []


def test_an_order_that_is_out_during_a_reload_is_judged_by_it() -> None:
    player = Player(service())
    player.arrive("192.0.2.1")
    player.arrive("192.0.2.2")
    assert player.adjust(no_access=addresses("192.0.2.2")) == []
    assert signals(player.launch(1)) == []
    assert signals(player.launch(2)) == [(player.pids, signal.SIGTERM)]


def test_a_server_that_does_not_end_is_killed_once() -> None:
    player = Player(service())
    pid = player.serve()
    player.reload(stop=frozenset({1}))
    assert player.later(KILL_AFTER - 0.01) == []
    assert signals(player.later(0.01)) == [(pid, signal.SIGKILL)]
    assert player.later(60.0) == []


def test_a_server_that_ends_in_time_is_not_killed_nor_is_who_gets_its_process_id() -> None:
    player = Player(service(), service("other"))
    pid = player.serve(number=1)
    player.reload(stop=frozenset({1}))
    player.end(pid)
    player.arrive(number=2)
    player.give(Launched(player.connections, pid))
    assert player.later(60.0) == []


def test_a_dropped_service_is_forgotten_with_its_last_server() -> None:
    player = Player(service(), service("other"))
    pids = [player.serve(), player.serve()]
    player.serve(number=2)
    effects = player.reload(stop=frozenset({1}))
    assert signals(effects) == [(pid, signal.SIGTERM) for pid in pids]
    assert list(player.engine.services) == [2]
    assert Forget(1) not in player.end(pids[0])
    assert player.end(pids[1])[-1] == Forget(1)


def test_a_dropped_service_without_servers_is_forgotten_at_once() -> None:
    assert Player(service()).reload(stop=frozenset({1})) == [Forget(1)]


def test_who_waits_at_a_dropped_service_is_hung_up_on() -> None:
    player = Player(service(only_from=addresses("a.example", "192.0.2.9")), dgram(only_from=addresses("a.example")))
    asked, tried, datagram = (player.connection(*what) for what in ((SOURCE,), ("192.0.2.9",), (SOURCE, 2)))
    for connection in (asked, tried, datagram):
        player.give(Arrived(connection))
    player.give(LaunchFailed(tried.number, EAGAIN))
    effects = player.reload(stop=frozenset({1, 2}))
    assert reasons(effects) == [Reason.SHUTDOWN] * 3
    assert [one for one in effects if isinstance(one, Refuse | Rearm | Forget)] == [
        Refuse(tried), Refuse(asked), Forget(1), Refuse(datagram), Forget(2),
    ]  # fmt: skip
    assert player.later(60.0) == []
    assert idle(player)


def test_an_order_of_a_dropped_service_is_told_to_end_as_soon_as_it_has_a_name() -> None:
    player = Player(service())
    player.arrive()
    player.arrive()
    assert player.reload(stop=frozenset({1})) == []
    assert signals(player.launch(1)) == [(player.pids, signal.SIGTERM)]
    effects = player.give(LaunchFailed(2, EAGAIN))
    assert reasons(effects) == [Reason.FORK]  # and not tried again
    assert player.end(player.pids)[-1] == Forget(1)


def test_a_dropped_service_is_not_opened_again() -> None:
    player = Player(service())
    player.serve()
    player.give(Exhausted(1))
    player.reload(stop=frozenset({1}))
    assert not [one for one in player.later(60.0) if isinstance(one, Resume)]


def test_a_dropped_waiting_service_is_not_armed_again() -> None:
    player = Player(dgram())
    pid = player.serve()
    player.reload(stop=frozenset({1}))
    assert kinds(player.end(pid)) == ["ServerEnded", "Forget"]


def test_an_unchanged_service_keeps_its_servers_and_counts() -> None:
    player = Player(service(), service("other"))
    player.serve()
    assert player.reload(start={3: service("third")}, stop=frozenset({2})) == [Forget(2)]
    assert (player.engine.count(1), sorted(player.engine.services)) == (1, [1, 3])


def test_a_change_of_what_is_not_there_is_nothing() -> None:
    player = Player(service())
    assert player.reload(adjust={9: service()}, stop=frozenset({8})) == []


def test_a_suspended_service_stays_so_when_it_is_adjusted() -> None:
    player = Player(dgram())
    pid = player.serve()
    player.adjust(nice=3)
    assert player.engine.state(1) == "Suspended"
    assert kinds(player.end(pid))[-1] == "Rearm"


# The end.


def test_leaving_ends_all_servers_and_hangs_up_on_all_who_wait() -> None:
    player = Player(service(), service("named", only_from=addresses("a.example")), dgram())
    pid = player.serve()
    player.arrive()
    player.give(LaunchFailed(player.connections, EAGAIN))
    player.arrive(number=2)
    player.arrive(number=3)
    effects = player.give(Leaving(servers=True))
    assert signals(effects) == [(pid, signal.SIGTERM)]
    assert reasons(effects) == [Reason.SHUTDOWN] * 2
    assert player.engine.ordered() == 1
    assert signals(player.launch()) == [(player.pids, signal.SIGTERM)]
    connection = player.connection(SOURCE)
    assert player.give(Arrived(connection)) == [Refuse(connection)]
    assert signals(player.later(KILL_AFTER)) == [(pid, signal.SIGKILL), (player.pids, signal.SIGKILL)]
    player.end(pid)
    player.end(player.pids)
    assert idle(player)


def test_leaving_can_leave_the_servers_running() -> None:
    player = Player(service())
    player.serve()
    player.arrive()
    assert signals(player.give(Leaving(servers=False))) == []
    assert signals(player.launch()) == []
    assert player.later(60.0) == []
    assert len(player.engine.servers()) == 2


def test_a_second_signal_to_leave_may_end_them_after_all() -> None:
    player = Player(service())
    pid = player.serve()
    player.give(Leaving(servers=False))
    assert signals(player.give(Leaving(servers=True))) == [(pid, signal.SIGTERM)]


def test_nothing_is_opened_again_when_the_daemon_leaves() -> None:
    player = Player(service())
    player.give(Exhausted(1))
    player.give(Leaving(servers=True))
    assert player.later(60.0) == []


def test_an_adjusted_service_takes_over_all_of_its_configuration() -> None:
    player = Player(service())
    changed = replace(service(), instances=0)
    player.reload(adjust={1: changed})
    assert player.engine.services[1] == changed
    assert reasons(player.arrive()) == [Reason.INSTANCES]
