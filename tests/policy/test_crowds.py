"""An exempt source that may be many: told once, with a way out."""

from __future__ import annotations

import pytest

from policy.player import Player, addresses, events, sensor
from sentinetd.model.address import Address
from sentinetd.model.connection import Announced
from sentinetd.model.events import Level, Notice
from sentinetd.model.service import SocketType
from sentinetd.model.verdict import Question
from sentinetd.policy.crowds import MANY, SOURCES, TELL_AGAIN_AFTER
from sentinetd.policy.inputs import Answered

GATEWAY = "192.0.2.1"


def told(player: Player, times: int, source: str = GATEWAY) -> list[str]:
    return [one.text for _ in range(times) for one in events(player.arrive(source), Notice)]


def test_many_touches_within_a_minute_are_told_once() -> None:
    player = Player(sensor(), exempt=addresses(GATEWAY))
    assert told(player, MANY - 1) == []
    effects = player.arrive(GATEWAY)
    [notice] = events(effects, Notice)
    assert notice.grade is Level.WARNING
    assert notice.text.startswith(f"{GATEWAY}, which is never banned, touched sensors {MANY} times within a minute.")
    assert "proxy_protocol" in notice.text
    assert told(player, 3 * MANY) == []
    player.later(60.0)
    assert told(player, 2 * MANY) == []
    player.later(TELL_AGAIN_AFTER)
    assert len(told(player, 2 * MANY)) == 1


@pytest.mark.parametrize("pause", [pytest.param(60.0 / (MANY - 2), id="slowly")])
def test_touches_far_apart_are_not_many(pause: float) -> None:
    player = Player(sensor(), exempt=addresses(GATEWAY))
    said = []
    for _ in range(5 * MANY):
        said += told(player, 1)
        player.now += pause
    assert said == []


def test_only_exempt_sources_are_counted() -> None:
    player = Player(sensor(0.0))
    assert told(player, 3 * MANY) == []


def test_a_datagram_s_sender_may_be_forged() -> None:
    player = Player(sensor(socket_type=SocketType.DGRAM, wait=True), exempt=addresses(GATEWAY))
    assert told(player, 3 * MANY) == []


def test_whom_a_peer_announces_is_counted_by_himself() -> None:
    player = Player(sensor(0.0, proxy_protocol=addresses(GATEWAY)))
    for number in range(3 * MANY):
        player.arrive(GATEWAY)
        announced = Announced(Address.parse(f"198.51.100.{number}"), 1)
        assert not events(player.give(Answered(player.connections, Question.PROXY, announced)), Notice)


def test_so_many_sources_are_counted_at_once() -> None:
    player = Player(sensor(), exempt=addresses("10.0.0.0/8"))
    for number in range(SOURCES):
        player.arrive(f"10.1.{number >> 8}.{number & 255}")
    assert told(player, 2 * MANY, "10.2.0.1") == []
    assert len(told(player, MANY - 1, "10.1.0.1")) == 1
