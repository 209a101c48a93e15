"""What is known to go wrong with automatic banning, and what happens here: one test a pitfall.

Each is played on the parts that decide; what the kernel does for it is shown in tests/firewall and tests/e2e.
"""

from __future__ import annotations

import math
import sqlite3
import time
from pathlib import Path

import pytest

from policy.player import Player, addresses, events, kinds, reasons, sensor, service
from policy.test_bans import imposed
from policy.test_orders import ban, order
from sentinetd.daemon.channel import decode, encode
from sentinetd.daemon.link import KEPT_MOST, Link
from sentinetd.daemon.messages import FROM_PORTER, OrderLiftAll
from sentinetd.errors import MessageError
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.events import (
    BanEvicted,
    BanImposed,
    ConnectionRefused,
    SensorTripped,
    ServerStarted,
    UserFound,
)
from sentinetd.model.order import Exempt, LiftAllBans
from sentinetd.model.service import Cps, SocketType, SourceRate
from sentinetd.model.verdict import Reason
from sentinetd.policy.effects import Serve, Signal
from sentinetd.policy.inputs import LoggedIn, Moved, Recalled, Surroundings
from sentinetd.report.formats.text import messages
from sentinetd.serve.internal.decoys.table import DECOYS
from sentinetd.store.sqlite import Store

SOURCE = "192.0.2.1"
NOW = 1_700_000_000.0


def test_a_forged_datagram_bans_nobody() -> None:
    """The sender of a datagram can be anybody, your name server too: it is told, and bans only where that is wanted."""
    player = Player(sensor(socket_type=SocketType.DGRAM, wait=True), service())
    effects = player.arrive(SOURCE)
    assert imposed(effects) == []
    assert events(effects, SensorTripped)[0].why_not == "a datagram's sender can be forged (deny_dgram = no)"
    assert kinds(player.arrive(SOURCE, 2)) == ["Serve"]


@pytest.mark.parametrize(
    "whose", ["127.0.0.1", "192.0.2.5", "192.0.2.254", "192.0.2.53", "198.51.100.9", "203.0.113.7"]
)
def test_you_cannot_lock_yourself_out(whose: str) -> None:
    """The host's own addresses, its gateway and resolver, where you are logged in from, and who you list: the trip is
    told, and nobody, no feed and no slip of the hand bans them."""
    player = Player(sensor(), service(), exempt=addresses("203.0.113.7"))
    player.give(Moved(Surroundings(addresses("127.0.0.0/8", "192.0.2.5", "192.0.2.254", "192.0.2.53"), addresses())))
    player.give(LoggedIn(Address.parse("198.51.100.9")))
    effects = player.arrive(whose)
    assert (imposed(effects), [trip.why_not for trip in events(effects, SensorTripped)]) == ([], ["exempt"])
    for origin in (Origin.OPERATOR, Origin.FEED, Origin.FLEET):
        assert not ban(player, whose, origin=origin)[1].ok
        ban(player, str(Network.of(Address.parse(whose), 24)), origin=origin)
    assert kinds(player.arrive(whose, 2)) == ["Serve"]


def test_who_was_locked_out_is_let_in_by_one_order() -> None:
    player = Player(sensor(), service())
    for number in range(50):
        player.arrive(f"192.0.2.{number}")
    assert order(player, LiftAllBans())[1].done == 50
    assert kinds(player.arrive("192.0.2.7", 2)) == ["Serve"]


def test_neighbours_behind_one_carrier_are_not_banned_with_each_other() -> None:
    """Exactly the source is banned, as long as the sensor says, and only after two sensors if that is wanted; nothing
    is ever widened by itself."""
    player = Player(sensor(60.0, id="a"), sensor(60.0, id="b"), service(), sensors=2)
    assert imposed(player.arrive("192.0.2.0", 1)) == []
    assert imposed(player.arrive("192.0.2.0", 2)) == ["192.0.2.0"]
    assert kinds(player.arrive("192.0.2.1", 3)) == ["Serve"]
    player.later(60.0)
    assert kinds(player.arrive("192.0.2.0", 3)) == ["Serve"]


def test_a_new_ipv6_address_is_no_way_out_of_a_ban() -> None:
    """A host has all of a /64; an exempt address within stays free."""
    player = Player(sensor(), service(), exempt=addresses("2001:db8:1:2::53"))
    assert imposed(player.arrive("2001:db8:1:2::1")) == ["2001:db8:1:2::/64"]
    assert reasons(player.arrive("2001:db8:1:2:ffff::99", 2)) == [Reason.BANNED]
    assert kinds(player.arrive("2001:db8:1:2::53", 2)) == ["Serve"]
    assert kinds(player.arrive("2001:db8:1:3::1", 2)) == ["Serve"]


def test_one_source_has_one_spelling() -> None:
    """A mapped address is the IPv4 address, in the list as at accept."""
    player = Player(sensor(), service())
    assert imposed(player.arrive("::ffff:192.0.2.1")) == [SOURCE]
    assert reasons(player.arrive(SOURCE, 2)) == [Reason.BANNED]
    ban(player, "::ffff:198.51.100.0/120")
    assert reasons(player.arrive("198.51.100.9", 2)) == [Reason.BANNED]


def test_a_proxy_in_front_is_never_banned() -> None:
    """A listed peer announces others; by itself it trips nothing and nobody bans it."""
    player = Player(sensor(), service("web", proxy_protocol=addresses(SOURCE)))
    assert imposed(player.arrive(SOURCE, 1)) == []
    assert ban(player, SOURCE)[1].text == f"{SOURCE}: it is exempt"


def test_a_full_list_goes_on_banning_and_says_so() -> None:
    """The ban that ends soonest goes; what has no end, and what the operator ordered, goes last."""
    player = Player(sensor(60.0), service(), maximum=10)
    ban(player, "198.51.100.1", span=1.0)
    ban(player, "198.51.100.2", span=math.inf, origin=Origin.FEED)
    gone = []
    for number in range(30):
        player.now += 1.5
        effects = player.arrive(f"192.0.2.{number}")
        assert imposed(effects) == [f"192.0.2.{number}"]
        gone += [str(event.network) for event in events(effects, BanEvicted)]
    kept = {str(network) for network, _ in player.engine.bans.in_force()}
    assert len(kept) == 10
    assert {"198.51.100.2", "192.0.2.29"} <= kept
    assert gone == [f"192.0.2.{number}" for number in range(len(gone))]


def test_bans_outlive_a_restart_and_hold_before_the_first_accept(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.open()
    wall = time.time()
    store.write([Ban(Network.parse(SOURCE), wall, wall + 600, "irc")])
    store.close()
    again = Store(str(tmp_path))
    again.open()
    again.settle(wall)
    player = Player(service())
    for run in again.runs(wall):
        ahead = player.moment().wall - wall
        rows = tuple((prefix, end + ahead) for prefix, end in run.rows())
        player.give(Recalled(run.version, run.length, run.scope, run.kept, rows))
    again.close()
    assert reasons(player.arrive(SOURCE)) == [Reason.BANNED]


def test_what_was_begun_before_the_ban_ends_if_that_is_wanted() -> None:
    player = Player(sensor(), service("strict", end_sessions=True), service("mild"))
    strict, mild = player.serve(SOURCE, 2), player.serve(SOURCE, 3)
    assert [one.pid for one in player.arrive(SOURCE, 1) if isinstance(one, Signal)] == [strict]
    player.end(mild)


def test_a_limit_hurts_who_exceeds_it() -> None:
    """`cps_source` refuses one source; the others, and every sensor, notice nothing."""
    player = Player(service(cps_source=SourceRate(2, 10.0)), sensor(cps=Cps(1, 10), instances=0, per_source=0))
    assert [type(player.arrive(SOURCE)[0]) is Serve for _ in range(4)] == [True, True, False, False]
    assert kinds(player.arrive("192.0.2.2")) == ["Serve"]
    assert imposed(player.arrive("192.0.2.3", 2)) == ["192.0.2.3"]
    assert imposed(player.arrive("192.0.2.4", 2)) == ["192.0.2.4"]


def test_no_flood_blinds_a_sensor_and_a_banned_client_costs_little() -> None:
    """Every trip bans, however many come at once; who is banned gets no process, and one line a minute."""
    player = Player(sensor(cps=Cps(1, 10)), service())
    for number in range(200):
        assert imposed(player.arrive(f"10.0.{number >> 8}.{number & 255}"))
    told = [len(events(player.arrive("10.0.0.1", 2), ConnectionRefused)) for _ in range(50)]
    assert sum(told) == 1
    assert not [one for _ in range(50) for one in player.arrive("10.0.0.1", 2) if isinstance(one, Serve)]


def test_whoever_writes_alerts_cannot_stall_the_sensor() -> None:
    """What nobody takes is kept up to a bound: bans always, the rest is counted."""
    link = Link(time.time)
    for number in range(KEPT_MOST + 100):
        link.tell(ServerStarted(NOW, 1, "ftp", None, 0, number))
    imposed_one = BanImposed(NOW, Network.parse(SOURCE), NOW + 60, "irc", Origin.SENSOR)
    link.tell(imposed_one)
    assert link.behind == KEPT_MOST + 1
    assert link.remaining()[-1] == imposed_one


def test_a_decoy_that_was_taken_over_orders_nothing() -> None:
    """Decoys run in the porter, from which the guard takes no order; another host that was taken over can suggest bans,
    within bounds, and lift nothing."""
    packet = encode(1, [OrderLiftAll(1, "root", LiftAllBans())])
    with pytest.raises(MessageError, match="may not come here"):
        decode(packet, {kind.__name__: kind for kind in FROM_PORTER})
    player = Player(service())
    player.give(Moved(Surroundings(addresses("192.0.2.5"), addresses())))
    for network in ("0.0.0.0/0", "128.0.0.0/1", "192.0.0.0/16", "2000::/3"):
        assert not ban(player, network, origin=Origin.FLEET)[1].ok


@pytest.mark.parametrize("said", ["root\n26/1/1@00:00:00 x: CRITICAL: y", "\x1b[2J", "\u202e", "a\0b", "\udcff"])
def test_nothing_from_outside_forges_a_line(said: str) -> None:
    for event in (
        UserFound(NOW, 1, "ftp", Address.parse(SOURCE), said),
        BanImposed(NOW, Network.parse(SOURCE), NOW + 60, "", Origin.FEED, said, said),
    ):
        for line in messages(event):
            assert line.isascii()
            assert line.isprintable()


def test_what_is_over_is_forgotten(tmp_path: Path) -> None:
    """Who was banned is remembered for a day after the end, or as long as it counts; history for ninety days."""
    store = Store(str(tmp_path))
    store.open()
    network = Network.parse(SOURCE)
    store.write([Ban(network, NOW, NOW + 60, "irc"), Ban(network, NOW + 99, NOW + 160, "irc")])
    store.purge(NOW + 160 + 91 * 86_400)
    store.close()
    for file in tmp_path.iterdir():
        assert network.value.to_bytes(4, "big") not in _pages_in_use(file)


def _pages_in_use(file: Path) -> bytes:
    """What a database has to tell of its tables; empty for other files."""
    if file.suffix != ".sqlite":
        return b""
    with sqlite3.connect(file) as database:
        rows = [row for table in ("bans", "history") for row in database.execute(f"SELECT value FROM {table}")]
    database.close()
    return b"".join(value for (value,) in rows)


@pytest.mark.parametrize("jump", [1e9, -1e9])
def test_setting_the_clock_frees_nobody_and_jails_nobody(jump: float) -> None:
    player = Player(sensor(60.0), service())
    player.arrive(SOURCE)
    before = player.moment
    player.moment = lambda: before().__class__(before().now, before().wall + jump)  # type: ignore[method-assign]
    player.later(59.0)
    assert reasons(player.arrive(SOURCE, 2)) == [Reason.BANNED]
    player.later(1.0)
    assert kinds(player.arrive(SOURCE, 2)) == ["Serve"]


def test_your_own_scanner_is_exempt_for_the_time_of_the_scan() -> None:
    """With a note and an end; what it touches is told all the same, and the end is told too."""
    player = Player(sensor())
    order(player, Exempt(Network.parse(SOURCE), 3600.0, "quarterly scan"))
    effects = player.arrive(SOURCE)
    assert (imposed(effects), len(events(effects, SensorTripped))) == ([], 1)
    assert "ExemptionEnded" in kinds(player.later(3600.0))
    assert imposed(player.arrive(SOURCE)) == [SOURCE]


def test_sensors_do_not_all_look_and_act_alike() -> None:
    """Decoys for many protocols, or your own greeting; and nobody can reckon the end of a ban to the second."""
    assert len(DECOYS) >= 11
    ends = set()
    for roll in (0.1, 0.5, 0.9):
        player = Player(sensor(3600.0), jitter=0.1)
        player.engine.bans._dice = lambda roll=roll: roll  # type: ignore[misc]
        ends.add(events(player.arrive(SOURCE), BanImposed)[0].until)
    assert len(ends) == 3
