"""From a trip to a ban and to its end, played."""

from __future__ import annotations

import math
from typing import Any

import pytest

from policy.player import WALL, Player, addresses, dgram, events, kinds, reasons, sensor, service
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban
from sentinetd.model.connection import Connection
from sentinetd.model.events import BanEnded, BanEvicted, BanImposed, BanLengthened, BansEnded, SensorTripped
from sentinetd.model.service import Ports, Service, SocketType
from sentinetd.model.verdict import Reason
from sentinetd.policy.effects import Effect, Expire, Impose, Lift, Refuse
from sentinetd.policy.inputs import Arrived, Heeded, Learned, Moved, Reloaded, Surroundings

SOURCE = "192.0.2.1"


def imposed(effects: list[Effect]) -> list[str]:
    return [str(one.network) for one in effects if isinstance(one, Impose)]


def lifted(effects: list[Effect]) -> list[str]:
    return [str(one.network) for one in effects if isinstance(one, Lift | Expire)]


def learn(player: Player, *bans: tuple[str, float]) -> list[Effect]:
    """Bans that others keep, each with the seconds that it has left."""
    return player.give(Learned(tuple(Ban(Network.parse(text), player.now, player.now + left) for text, left in bans)))


def test_a_trip_bans_first_then_tells_then_hangs_up() -> None:
    player = Player(sensor(3600.0))
    effects = player.arrive(SOURCE)
    assert kinds(effects) == ["Impose", "BanImposed", "SensorTripped", "Refuse"]
    assert effects[0] == Impose(Network.parse(SOURCE), player.now + 3600)
    [ban], [trip] = events(effects, BanImposed), events(effects, SensorTripped)
    assert (type(ban), ban.until, ban.sensor) == (BanImposed, player.now + WALL + 3600, "trap")
    assert (trip.source.text, trip.ban_span, trip.why_not) == (SOURCE, 3600.0, "")


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(service("stream"), id="stream"),
        pytest.param(dgram(), id="dgram"),
        pytest.param(service("wide", only_from=addresses("192.0.2.1")), id="that admits just this source"),
        pytest.param(service("busy", instances=0), id="that serves nobody"),
    ],
)
def test_a_ban_holds_at_every_service_and_no_longer_than_it_should(one: Service) -> None:
    player = Player(sensor(60.0), one)
    player.arrive(SOURCE)
    assert reasons(player.arrive(SOURCE, 2)) == [Reason.BANNED]
    player.later(59.99)
    assert kinds(player.arrive(SOURCE, 2)) == ["Refuse"]
    player.now += 0.01
    assert reasons(player.arrive(SOURCE, 2)) in ([], [Reason.INSTANCES])


@pytest.mark.parametrize(
    ("attributes", "player_attributes"),
    [
        pytest.param({"instances": 0}, {}, id="instances"),
        pytest.param({"per_source": 0}, {}, id="per_source"),
        pytest.param({"max_load": 0.0}, {}, id="max_load"),
        pytest.param({"only_from": addresses()}, {}, id="only_from"),
        pytest.param({"no_access": addresses("0.0.0.0/0")}, {}, id="no_access"),
        pytest.param({}, {"limit": 0}, id="limit"),
    ],
)
def test_no_limit_blinds_a_sensor(attributes: dict[str, Any], player_attributes: dict[str, Any]) -> None:
    player = Player(sensor(**attributes), **player_attributes)
    assert imposed(player.arrive(SOURCE)) == [SOURCE]


def test_no_flood_switches_a_sensor_off() -> None:
    player = Player(sensor(cps=service().cps.__class__(1, 10)))
    for number in range(200):
        assert imposed(player.arrive(f"192.0.2.{number}")) == [f"192.0.2.{number}"]
    assert player.engine.state(1) == "Active"


@pytest.mark.parametrize(
    ("one", "settings", "why_not"),
    [
        pytest.param(sensor(exempt=addresses("192.0.2.0/24")), {}, "exempt", id="the sensor's exempt"),
        pytest.param(sensor(), {"exempt": addresses("192.0.2.1")}, "exempt", id="exempt of all"),
        pytest.param(sensor(0.0), {}, "deny_time = NEVER", id="NEVER"),
        pytest.param(
            sensor(socket_type=SocketType.DGRAM),
            {},
            "a datagram's sender can be forged (deny_dgram = no)",
            id="a datagram",
        ),
        pytest.param(sensor(), {"dry_run": True}, "dry_run", id="dry_run"),
        pytest.param(sensor(), {"max_bans_per_minute": 0}, "max_bans_per_minute = 0 reached", id="too many"),
    ],
)
def test_what_bans_nobody_is_told_all_the_same(one: Service, settings: dict[str, Any], why_not: str) -> None:
    player = Player(one, service(), **settings)
    effects = player.arrive(SOURCE)
    assert kinds(effects) == ["SensorTripped", "Refuse"]
    assert [(trip.why_not, trip.ban_span) for trip in events(effects)] == [(why_not, 0.0)]
    assert kinds(player.arrive(SOURCE)) == ["Refuse"]
    assert kinds(player.arrive("192.0.2.2"))[-1] == "Refuse"
    assert kinds(player.arrive(SOURCE, 2)) == ["Serve"]
    player.later(60.0)
    assert kinds(player.arrive(SOURCE)) == ["SensorTripped", "Refuse"]


def test_a_datagram_bans_where_the_operator_says_so() -> None:
    player = Player(sensor(socket_type=SocketType.DGRAM, wait=True, deny_dgram=True))
    assert imposed(player.arrive(SOURCE)) == [SOURCE]


def test_own_addresses_are_exempt_unless_the_operator_says_no() -> None:
    player = Player(sensor(), exempt_own=True)
    around = Surroundings(addresses("192.0.2.1"), addresses())
    player.give(Moved(around))
    assert imposed(player.arrive(SOURCE)) == []
    strict = Player(sensor(), exempt_own=False)
    strict.give(Moved(around))
    assert imposed(strict.arrive(SOURCE)) == [SOURCE]
    player.give(Reloaded(strict.settings))
    assert imposed(player.arrive(SOURCE)) == [SOURCE]


def test_a_banned_source_that_becomes_exempt_is_served() -> None:
    player = Player(sensor(), service())
    player.arrive(SOURCE)
    player.give(Moved(Surroundings(addresses(SOURCE), addresses())))
    assert kinds(player.arrive(SOURCE, 2)) == ["Serve"]


def test_a_sensors_exempt_list_exempts_from_that_sensor_only() -> None:
    player = Player(sensor(exempt=addresses(SOURCE)), sensor(), service("other", exempt=addresses(SOURCE)))
    assert imposed(player.arrive(SOURCE, 1)) == []
    assert imposed(player.arrive(SOURCE, 2)) == [SOURCE]
    assert reasons(player.arrive(SOURCE, 3)) == [Reason.BANNED]


def test_repeated_touches_are_told_once_a_minute_and_each_lengthens() -> None:
    player = Player(sensor(3600.0), service())
    told, network = 0, Network.parse(SOURCE)
    for _ in range(180):
        effects = player.arrive(SOURCE)
        assert Impose(network, player.now + 3600) in effects
        assert len(events(effects, BanImposed)) == len(events(effects, SensorTripped))
        told += len(events(effects, SensorTripped))
        player.later(1.0)
    assert told == 3
    assert player.engine.bans.ledger.until(network) == player.now - 1.0 + 3600


def test_a_repeated_touch_is_told_as_such() -> None:
    player = Player(sensor(3600.0))
    player.arrive(SOURCE)
    player.later(60.0)
    [ban] = events(player.arrive(SOURCE), BanImposed)
    assert type(ban) is BanLengthened


def test_the_end_of_each_ban_is_told_where_somebody_wants_it() -> None:
    player = Player(sensor(60.0))
    player.arrive(SOURCE)
    assert kinds(player.later(60.0)) == ["Expire", "BansEnded"]
    player.give(Heeded(frozenset({BanEnded})))
    player.arrive(SOURCE)
    effects = player.later(60.0)
    assert kinds(effects) == ["Expire", "BanEnded", "BansEnded"]
    assert events(effects, BanEnded) == [BanEnded(player.now + WALL, Network.parse(SOURCE))]


def test_a_trip_says_which_connection_touched_what() -> None:
    player = Player(sensor(60.0, port=6667))
    [trip] = events(player.arrive(SOURCE), SensorTripped)
    assert (trip.connection, trip.protocol, trip.local, trip.local_port) == (1, "tcp", None, 6667)
    here = Address.parse("198.51.100.6")
    touched = Connection(2, 1, Address.parse("192.0.2.77"), 4000, here, 6668)
    [trip] = events(player.give(Arrived(touched)), SensorTripped)
    assert (trip.connection, trip.local, trip.local_port) == (2, here, 6668)


@pytest.mark.parametrize("attributes", [{}, {"exempt": addresses(SOURCE)}, {"deny_time": 0.0}], ids=str)
def test_a_scan_of_many_ports_is_one_series(attributes: dict[str, Any]) -> None:
    """Whatever of it bans, it is told at its first touch, with that port, and then once a minute."""
    player = Player(sensor(**{"ports": Ports(unused=True), **attributes}))
    told = []
    for port in range(1, 2001):
        player.now += 0.01
        touch = Connection(port, 1, Address.parse(SOURCE), 4000, Address.parse("198.51.100.6"), port)
        told += events(player.give(Arrived(touch)), SensorTripped)
    assert [(one.local_port, one.of_many) for one in told] == [(1, True)]
    player.now += 60.0
    [again] = events(player.give(Arrived(touch)), SensorTripped)
    assert again.local_port == 2000
    assert (player.engine.bans.ledger.until(Network.parse(SOURCE)) is None) == bool(attributes)


def test_a_shorter_ban_never_replaces_a_longer_one() -> None:
    player = Player(sensor(math.inf), sensor(60.0))
    player.arrive(SOURCE, 1)
    effects = player.arrive(SOURCE, 2)
    assert kinds(effects) == ["SensorTripped", "Refuse"]
    assert player.engine.bans.ledger.until(Network.parse(SOURCE)) == math.inf


def test_a_touch_after_the_end_is_a_new_ban_and_told_however_soon() -> None:
    player = Player(sensor(10.0))
    player.arrive(SOURCE)
    player.now += 10.0
    effects = player.arrive(SOURCE)
    assert [type(ban) for ban in events(effects, BanImposed)] == [BanImposed]
    assert len(events(effects, SensorTripped)) == 1


def test_bans_of_a_minute_are_counted_and_repeats_are_not() -> None:
    player = Player(sensor(), max_bans_per_minute=2)
    first = [imposed(player.arrive(f"192.0.2.{number}")) for number in (1, 1, 1, 2, 3, 4, 2)]
    assert first == [["192.0.2.1"], [], [], ["192.0.2.2"], [], [], []]
    player.later(10.0)
    assert imposed(player.arrive("192.0.2.1")) == ["192.0.2.1"]
    assert imposed(player.arrive("192.0.2.5")) == []
    player.later(50.0)
    assert imposed(player.arrive("192.0.2.5")) == ["192.0.2.5"]


@pytest.mark.parametrize(
    ("source", "banned", "neighbour", "held"),
    [
        pytest.param("192.0.2.0", "192.0.2.0", "192.0.2.1", False, id="IPv4 that ends in zero"),
        pytest.param("2001:db8:1:2::3", "2001:db8:1:2::/64", "2001:db8:1:2:ffff::1", True, id="IPv6 behind a router"),
        pytest.param("2001:db8:5::3", "2001:db8:5::3", "2001:db8:5::4", False, id="IPv6 on the link"),
        pytest.param("fe80::1%eth0", "fe80::1%eth0", "fe80::1%eth1", False, id="link-local, by interface"),
        pytest.param("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.8", False, id="mapped"),
    ],
)
def test_what_exactly_is_banned(source: str, banned: str, neighbour: str, held: bool) -> None:
    player = Player(sensor(), service())
    player.give(Moved(Surroundings(addresses(), addresses("2001:db8:5::/64"))))
    assert imposed(player.arrive(source)) == [banned]
    assert reasons(player.arrive(source, 2)) == [Reason.BANNED]
    assert (kinds(player.arrive(neighbour, 2)) == ["Refuse"]) is held


def test_the_operator_sets_how_many_bits_a_ban_covers() -> None:
    player = Player(sensor(), prefix_v4=24, prefix_v6=48)
    assert imposed(player.arrive("192.0.2.77")) == ["192.0.2.0/24"]
    assert imposed(player.arrive("2001:db8:1:2::3")) == ["2001:db8:1::/48"]


def test_touches_from_one_network_that_is_banned_are_told_once() -> None:
    player = Player(sensor())
    told = [len(events(player.arrive(f"2001:db8::{number:x}"), SensorTripped)) for number in range(1, 9)]
    assert told == [1, 0, 0, 0, 0, 0, 0, 0]


def test_the_ban_that_ends_soonest_goes_when_there_are_too_many() -> None:
    player = Player(sensor(100.0), sensor(50.0), sensor(math.inf), maximum=3)
    for number in (1, 2, 3):
        player.arrive(f"192.0.2.{number}", number)
    effects = player.arrive("192.0.2.4", 1)
    assert lifted(effects) == ["192.0.2.2"]
    assert [str(event.network) for event in events(effects, BanEvicted)] == ["192.0.2.2"]
    player.later(1.0)
    assert lifted(player.arrive("192.0.2.5", 1)) in (["192.0.2.1"], ["192.0.2.4"])
    player.arrive("192.0.2.6", 3)
    player.arrive("192.0.2.7", 3)
    assert lifted(player.arrive("192.0.2.8", 3)) == ["192.0.2.3"]
    assert len(player.engine.bans.ledger) == 3


def test_a_smaller_maximum_holds_from_the_reload_on() -> None:
    player = Player(sensor(), maximum=10)
    for number in range(5):
        player.arrive(f"192.0.2.{number}")
    effects = player.give(Reloaded(Player(maximum=2).settings))
    assert (len(lifted(effects)), len(player.engine.bans.ledger)) == (3, 2)


def test_the_end_of_bans_is_told_with_what_is_left() -> None:
    player = Player(sensor(100.0), sensor(50.0))
    player.arrive("192.0.2.1", 1)
    player.arrive("192.0.2.2", 2)
    effects = player.later(60.0)
    assert (lifted(effects), [(one.ended, one.left) for one in events(effects, BansEnded)]) == (["192.0.2.2"], [(1, 1)])
    effects = player.later(60.0)
    assert [(one.ended, one.left) for one in events(effects, BansEnded)] == [(1, 0)]
    assert player.engine.deadline() is None


def test_learned_bans_are_taken_over_unless_they_have_ended_or_a_longer_one_stands() -> None:
    player = Player(sensor(100.0), service())
    player.arrive(SOURCE)
    effects = learn(player, ("198.51.100.0/24", 50.0), ("203.0.113.1", 0.0), (SOURCE, 50.0), ("203.0.113.2", math.inf))
    assert imposed(effects) == ["198.51.100.0/24", "203.0.113.2"]
    assert reasons(player.arrive("198.51.100.9", 2)) == [Reason.BANNED]
    player.later(51.0)
    assert kinds(player.arrive("198.51.100.9", 2)) == ["Serve"]
    assert reasons(player.arrive(SOURCE, 2)) == [Reason.BANNED]
    assert reasons(player.arrive("203.0.113.2", 2)) == [Reason.BANNED]


def test_learned_bans_keep_within_the_maximum() -> None:
    player = Player(maximum=2)
    effects = learn(player, *((f"192.0.2.{number}", 10.0 * number) for number in range(1, 6)))
    assert lifted(effects) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert len(player.engine.bans.ledger) == 2


def test_bans_outlive_a_reload_that_drops_their_sensor() -> None:
    player = Player(sensor(), service())
    player.arrive(SOURCE)
    player.reload(stop=frozenset({1}))
    assert reasons(player.arrive(SOURCE, 2)) == [Reason.BANNED]


def test_a_source_is_one_whatever_the_socket_says() -> None:
    player = Player(sensor(), service())
    player.arrive("::ffff:192.0.2.1")
    assert reasons(player.arrive("192.0.2.1", 2)) == [Reason.BANNED]
    assert player.engine.bans.ledger.holds(Address.parse("192.0.2.1"), player.now)


def test_a_trip_without_a_source_is_hung_up_on() -> None:
    assert [type(one) for one in Player(sensor()).arrive(None)] == [Refuse]
