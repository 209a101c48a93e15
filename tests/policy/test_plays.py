"""What follows a trip where a sensor goes on: ban, tell, play, hang up; how many, and what is told at the end."""

from __future__ import annotations

from typing import Any

import pytest

from policy.player import Player, events, kinds, sensor, service
from sentinetd.model.address import Address
from sentinetd.model.events import Level, Notice, SensorCaptured, SensorTripped
from sentinetd.model.service import Capture, Decoy, OnFailure, Service, SocketType
from sentinetd.model.verdict import Question
from sentinetd.policy.effects import HangUp, Play
from sentinetd.policy.inputs import Answered, CarriersGone, Played
from sentinetd.policy.plays import MOST, MOST_OF_SOURCE, PACE

SOURCE = "192.0.2.1"
KEEPS: dict[str, Any] = {"capture": Capture(100, 5.0)}


def decoy(deny_time: float = 3600.0, **attributes: Any) -> Service:
    return sensor(deny_time, **{"decoy": Decoy.SSH, **attributes})


@pytest.mark.parametrize(
    ("one", "what"),
    [
        pytest.param(decoy(), ["Impose", "BanImposed", "SensorTripped", "Play", "Refuse"], id="a decoy"),
        pytest.param(sensor(**KEEPS), ["Impose", "BanImposed", "SensorTripped", "Play", "Refuse"], id="capture"),
        pytest.param(sensor(tarpit=5.0), ["Impose", "BanImposed", "SensorTripped", "Play", "Refuse"], id="tarpit"),
        pytest.param(decoy(0.0), ["SensorTripped", "Play", "Refuse"], id="bans nobody"),
        pytest.param(
            decoy(banner="/b", banner_fail="/f"),
            ["Impose", "BanImposed", "SensorTripped", "Play", "Refuse"],
            id="the porter says the banner",
        ),
        pytest.param(
            sensor(banner="/b", banner_fail="/f"),
            ["Impose", "BanImposed", "SensorTripped", "Say", "Say", "Refuse"],
            id="ban first, then a banner",
        ),
        pytest.param(
            decoy(log_on_failure=frozenset({OnFailure.USERID})),
            ["Impose", "BanImposed", "SensorTripped", "Play", "Ask"],
            id="its user is asked for meanwhile",
        ),
        pytest.param(
            decoy(socket_type=SocketType.DGRAM, wait=True),
            ["SensorTripped", "Refuse"],
            id="nobody plays for a datagram",
        ),
    ],
)
def test_the_order_of_a_trip(one: Service, what: list[str]) -> None:
    assert kinds(Player(one).arrive(SOURCE)) == what


@pytest.mark.parametrize("one", [decoy(), sensor(banner="/b"), decoy(banner="/b")])
def test_whoever_is_banned_gets_no_more_than_the_hang_up(one: Service) -> None:
    player = Player(one, sensor())
    player.arrive(SOURCE, 2)
    effects = player.arrive(SOURCE)
    assert "Play" not in kinds(effects)
    assert "Say" not in kinds(effects)
    assert kinds(effects)[-1] == "Refuse"
    assert set(kinds(player.arrive(SOURCE))) <= {"Impose", "Refuse"}


def test_an_exempt_source_is_played_for_each_time() -> None:
    from policy.player import addresses

    player = Player(decoy(), exempt=addresses(SOURCE))
    assert [kinds(player.arrive(SOURCE)) for _ in range(2)] == [["SensorTripped", "Play", "Refuse"]] * 2


def test_what_was_said_is_told_under_the_trip_s_connection() -> None:
    player = Player(decoy(**KEEPS))
    [trip] = events(player.arrive(SOURCE), SensorTripped)
    player.now += 2.5
    effects = player.give(Played(player.connections, r"root\r\n", True, 2.5))
    assert kinds(effects) == ["SensorCaptured"]
    [event] = events(effects, SensorCaptured)
    assert event == SensorCaptured(
        player.moment().wall, 1, "trap", Address.parse(SOURCE), 4711, r"root\r\n", True, 2.5,
        trip.connection, "tcp", None, trip.local_port,
    )  # fmt: skip
    assert player.give(Played(player.connections, "again", False, 2.5)) == []


@pytest.mark.parametrize(
    ("one", "said"),
    [
        pytest.param(decoy(), "root", id="nothing was to be kept"),
        pytest.param(decoy(**KEEPS), None, id="nothing was played"),
    ],
)
def test_what_is_not_told(one: Service, said: str | None) -> None:
    player = Player(one)
    player.arrive(SOURCE)
    assert player.give(Played(player.connections, said, False, 1.0)) == []


def test_each_play_has_its_trip_told() -> None:
    player = Player(decoy(0.0, **KEEPS))
    trips = []
    for _ in range(3):
        trips += events(player.arrive(SOURCE), SensorTripped)
        player.give(Played(player.connections, "", False, 0.1))
    assert [trip.connection for trip in trips] == [1, 2, 3]


def test_one_source_is_played_for_a_few_times_at_once() -> None:
    player = Player(decoy(0.0))
    played = [Play in map(type, player.arrive(SOURCE)) for _ in range(MOST_OF_SOURCE + 1)]
    assert played == [True] * MOST_OF_SOURCE + [False]
    assert kinds(player.arrive(SOURCE)) == ["Refuse"]
    assert kinds(player.arrive("192.0.2.2")) == ["SensorTripped", "Play", "Refuse"]
    player.give(Played(1, "", False, 0.1))
    assert "Play" in kinds(player.arrive(SOURCE))


def test_the_addresses_of_a_64_are_one_source() -> None:
    player = Player(decoy(0.0))
    played = ["Play" in kinds(player.arrive(f"2001:db8::{number:x}")) for number in range(MOST_OF_SOURCE + 1)]
    assert played == [True] * MOST_OF_SOURCE + [False]


def test_one_source_is_played_for_so_many_times_a_minute() -> None:
    player = Player(decoy(0.0))
    played = 0
    for _ in range(2 * PACE.rate):
        played += "Play" in kinds(player.arrive(SOURCE))
        player.give(Played(player.connections, "", False, 0.1))
    assert played == PACE.rate
    player.now += PACE.span
    assert "Play" in kinds(player.arrive(SOURCE))


def test_a_flood_is_hung_up_on_and_that_is_told_once_a_minute() -> None:
    player = Player(decoy(0.0), service())
    for number in range(MOST):
        assert "Play" in kinds(player.arrive(f"198.51.{number >> 8}.{number & 255}"))
    effects = player.arrive("192.0.2.1")
    assert kinds(effects) == ["SensorTripped", "Notice", "Refuse"]
    assert [one.grade for one in events(effects, Notice)] == [Level.WARNING]
    assert kinds(player.arrive("192.0.2.2")) == ["SensorTripped", "Refuse"]
    assert kinds(player.arrive("192.0.2.3", 2)) == ["Serve"]
    player.now += 60.0
    assert kinds(player.arrive("192.0.2.4")) == ["SensorTripped", "Notice", "Refuse"]


def test_the_porter_s_end_ends_all_of_them() -> None:
    player = Player(decoy(0.0, **KEEPS))
    for _ in range(MOST_OF_SOURCE):
        player.arrive(SOURCE)
    assert player.give(CarriersGone()) == []
    assert player.give(Played(1, "late", False, 1.0)) == []
    assert "Play" in kinds(player.arrive(SOURCE))


def test_a_sensor_that_goes_hangs_up_and_still_tells() -> None:
    player = Player(decoy(0.0, **KEEPS), decoy(0.0))
    player.arrive(SOURCE)
    player.arrive(SOURCE, 2)
    effects = player.reload(stop=frozenset({1}))
    assert HangUp(1) in effects
    assert HangUp(2) not in effects
    assert kinds(player.give(Played(1, "", False, 1.0))) == ["SensorCaptured"]


def test_a_user_found_late_changes_nothing() -> None:
    player = Player(decoy(log_on_failure=frozenset({OnFailure.USERID})))
    player.arrive(SOURCE)
    assert kinds(player.give(Answered(1, Question.REFUSED_USER, "joe"))) == ["UserFound", "Refuse"]
