"""Refused clients that stay on the line until it is known who they are."""

from __future__ import annotations

from typing import Any

import pytest

from policy.player import Player, addresses, dgram, events, kinds, sensor, service
from sentinetd.model.events import UserFound
from sentinetd.model.service import Cps, Flag, OnFailure, OnSuccess, Service, Type
from sentinetd.model.verdict import ADMIT, Question
from sentinetd.policy.effects import Ask, Effect, Pause, Refuse
from sentinetd.policy.inputs import Answered, Chosen, Leaving
from sentinetd.policy.suspects import LOG_PROCS
from sentinetd.policy.waiting import ANSWER_WITHIN

SOURCE = "192.0.2.1"
USERID = {"log_on_failure": frozenset({OnFailure.HOST, OnFailure.USERID})}
REFUSING: dict[str, Any] = {"no_access": addresses(SOURCE), **USERID}
HELD, AT_ONCE = ["ConnectionRefused", "Ask"], ["ConnectionRefused", "Refuse"]


def answer(
    player: Player, user: str | None, connection: int | None = None, question: Question = Question.REFUSED_USER
) -> list[Effect]:
    return player.give(Answered(player.connections if connection is None else connection, question, user))


@pytest.mark.parametrize(
    ("one", "follows"),
    [
        pytest.param(service(**REFUSING), HELD, id="address"),
        pytest.param(service(instances=0, **USERID), HELD, id="a limit"),
        pytest.param(service(cps=Cps(0, 0), max_load=0.0, **USERID), HELD, id="load"),
        pytest.param(service(type=frozenset({Type.INTERNAL}), **REFUSING), HELD, id="an internal service"),
        pytest.param(service(banner_fail="/b", **REFUSING), ["ConnectionRefused", "Say", "Ask"], id="after its banner"),
        pytest.param(sensor(**USERID), ["Impose", "BanImposed", "SensorTripped", "Ask"], id="a sensor's first touch"),
        pytest.param(sensor(0.0, **USERID), ["SensorTripped", "Ask"], id="a sensor that bans nobody"),
        pytest.param(service(no_access=addresses(SOURCE)), AT_ONCE, id="USERID is not logged"),
        pytest.param(
            service(no_access=addresses(SOURCE), log_on_success=frozenset({OnSuccess.USERID})),
            AT_ONCE,
            id="USERID is logged on success only",
        ),
        pytest.param(dgram(**REFUSING), AT_ONCE, id="a datagram has no connection"),
        pytest.param(service(wait=True, instances=0, **USERID), AT_ONCE, id="a waiting stream"),
    ],
)
def test_who_is_asked_about(one: Service, follows: list[str]) -> None:
    assert kinds(Player(one).arrive(SOURCE)) == follows


def test_the_answer_is_told_and_the_client_refused() -> None:
    player = Player(service("ssh", **REFUSING))
    [_, ask] = player.arrive(SOURCE)
    assert isinstance(ask, Ask)
    assert (ask.question, ask.source.text, ask.seconds) == (Question.REFUSED_USER, SOURCE, ANSWER_WITHIN)
    assert player.engine.count(1) == 0
    told, refused = answer(player, "UNIX : joe")
    assert events([told]) == [UserFound(player.moment().wall, 1, "ssh", ask.source, "UNIX : joe")]
    assert refused == Refuse(ask.connection)
    assert answer(player, "UNIX : joe") == []
    assert player.later(60.0) == []


@pytest.mark.parametrize(
    ("question", "value"),
    [
        pytest.param(Question.REFUSED_USER, None, id="nobody is named"),
        pytest.param(Question.REFUSED_USER, ADMIT, id="a word that admits elsewhere"),
    ],
)
def test_no_answer_admits(question: Question, value: str | None) -> None:
    player = Player(service(**REFUSING))
    player.arrive(SOURCE)
    effects = answer(player, value, question=question)
    assert kinds(effects)[-1] == "Refuse"
    assert "Serve" not in kinds(effects)


@pytest.mark.parametrize("question", [one for one in Question if one is not Question.REFUSED_USER])
def test_the_answer_to_another_question_changes_nothing(question: Question) -> None:
    player = Player(service(**REFUSING))
    player.arrive(SOURCE)
    assert answer(player, ADMIT, question=question) == []
    assert kinds(answer(player, None)) == ["Refuse"]


def test_an_answer_takes_ten_seconds_at_most() -> None:
    player = Player(service(**REFUSING))
    player.arrive(SOURCE)
    assert player.later(ANSWER_WITHIN - 0.01) == []
    assert kinds(player.later(0.01)) == ["Refuse"]
    assert answer(player, "UNIX : joe") == []


def test_as_many_as_logprocs_are_asked_about_at_once() -> None:
    player = Player(service(**REFUSING), log_procs=2)
    assert [kinds(player.arrive(SOURCE)) for _ in range(3)] == [HELD, HELD, AT_ONCE]
    answer(player, None, connection=1)
    assert [kinds(player.arrive(SOURCE)) for _ in range(2)] == [HELD, AT_ONCE]


def test_as_many_as_in_xinetd_without_logprocs() -> None:
    player = Player(service(**REFUSING))
    assert [kinds(player.arrive(SOURCE)) for _ in range(LOG_PROCS + 1)] == [HELD] * LOG_PROCS + [AT_ONCE]
    assert LOG_PROCS == 15


def test_none_with_logprocs_0() -> None:
    assert kinds(Player(service(**REFUSING), log_procs=0).arrive(SOURCE)) == AT_ONCE


def test_no_banned_source_is_asked_about() -> None:
    player = Player(sensor(**USERID), service(**USERID))
    assert kinds(player.arrive(SOURCE))[-1] == "Ask"
    assert kinds(player.arrive(SOURCE))[-1] == "Refuse"  # the sensor again
    assert kinds(player.arrive(SOURCE, 2)) == AT_ONCE


def test_who_is_kept_takes_nobody_s_place() -> None:
    player = Player(service(instances=1, per_source=1, **REFUSING), limit=1)
    for _ in range(5):
        player.arrive(SOURCE)
    assert kinds(player.arrive("192.0.2.2")) == ["Serve"]


def test_the_service_may_pause_meanwhile() -> None:
    player = Player(service(cps=Cps(1, 10), **USERID))
    player.serve()
    effects = player.arrive()
    assert kinds(effects) == [*HELD, "Pause", "ServicePaused"]
    assert Pause(1) in effects
    assert kinds(answer(player, "UNIX : joe")) == ["UserFound", "Refuse"]


def test_who_was_identified_before_its_refusal_is_not_asked_about_again() -> None:
    asking = {"log_on_success": frozenset({OnSuccess.USERID}), **USERID}
    player = Player(service(instances=5, **asking))
    player.arrive()
    player.adjust(instances=0)
    assert kinds(answer(player, "UNIX : joe", question=Question.USER)) == ["ConnectionRefused", "UserFound", "Refuse"]


def test_idonly_asks_once() -> None:
    asking = {"log_on_success": frozenset({OnSuccess.USERID}), "flags": frozenset({Flag.IDONLY}), **USERID}
    player = Player(service(**asking))
    assert kinds(player.arrive()) == ["Ask"]
    assert kinds(answer(player, None, question=Question.USER)) == AT_ONCE


def test_a_name_that_came_too_late_leads_to_the_question() -> None:
    player = Player(service(only_from=addresses("a.example"), **USERID))
    assert kinds(player.arrive()) == ["Ask"]
    assert kinds(player.later(ANSWER_WITHIN)) == HELD
    assert answer(player, "a.example", question=Question.NAME) == []
    assert kinds(answer(player, "UNIX : joe")) == ["UserFound", "Refuse"]


def test_a_client_of_the_multiplexer_is_asked_about_for_the_service_it_chose() -> None:
    multiplexer = service("tcpmux", type=frozenset({Type.INTERNAL}))
    player = Player(multiplexer, service("chosen", type=frozenset({Type.TCPMUX}), **REFUSING))
    player.arrive(SOURCE)
    assert kinds(player.give(Chosen(player.connections, "chosen"))) == HELD
    assert [one.service for one in events(answer(player, "UNIX : joe"), UserFound)] == ["chosen"]


@pytest.mark.parametrize("leaving", [pytest.param(True, id="the daemon leaves"), pytest.param(False, id="dropped")])
def test_when_the_service_stops_all_are_hung_up_on(leaving: bool) -> None:
    player = Player(service("one", **REFUSING), service("two", **REFUSING))
    player.arrive(SOURCE, 1)
    player.arrive(SOURCE, 2)
    effects = player.give(Leaving(servers=True)) if leaving else player.reload(stop=frozenset({1}))
    assert kinds(effects) == (["Refuse", "Forget"] * 2 if leaving else ["Refuse", "Forget"])
    assert answer(player, "UNIX : joe", connection=1) == []
    assert kinds(answer(player, "UNIX : joe", connection=2)) == ([] if leaving else ["UserFound", "Refuse"])
