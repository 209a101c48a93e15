"""Who would have been banned: the engine played with records."""

from __future__ import annotations

import math

import pytest

from sentinetd.cli.plan.ground import Port
from sentinetd.cli.simulate import replay as module
from sentinetd.cli.simulate.record import Record
from sentinetd.cli.simulate.replay import Outcome, Replay
from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.service import Cps, Decoy, Flag, Ports, Service, SocketType
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.net.sock_diag import TCP
from sentinetd.policy.inputs import Surroundings

BAD, GOOD, OWN = "192.0.2.9", "198.51.100.7", "192.0.2.1"
TELNET = Port(TCP, 23)


def sensor(name: str = "telnet", port: int = 23, minutes: float = 60, **more: object) -> Service:
    flags = frozenset({Flag.SENSOR})
    return Service(name=name, id=name, flags=flags, port=port, deny_time=minutes * 60, **more)  # type: ignore[arg-type]


FTP = Service(name="ftp", id="ftp", port=21, user="root", instances=1, per_source=1, cps=Cps(1, 10))


def came(at: float, source: str, name: str = "", **more: object) -> Record:
    return Record(at, Address.parse(source), name, **more)  # type: ignore[arg-type]


def played(
    *records: Record, services: tuple[Service, ...] | None = None, bans: BanSettings | None = None
) -> Outcome:
    settings = Settings() if bans is None else Settings(bans=bans)
    own = Surroundings(AddressSet((Network.parse(OWN),)))
    return Replay((sensor(), FTP) if services is None else services, settings, own, {"known": TELNET}.get).play(records)


def test_a_touch_bans_for_its_time() -> None:
    later = (came(at, BAD, "ftp", served=True) for at in (1010, 4601))
    outcome = played(came(1000, BAD, "telnet"), *later)
    (story,) = outcome.banned
    assert (story.first, story.sensor, story.until, story.bans, story.touches) == (1000, "telnet", 4600, 1, 1)
    assert (story.lost, story.lost_at, story.refused, story.served) == (1, "ftp", 1, 1), "free again after an hour"
    assert (outcome.began, outcome.ended, outcome.records) == (1000, 4601, 3)


def test_who_was_served_before_looks_honest() -> None:
    outcome = played(
        came(1, GOOD, "ftp", served=True), came(2, GOOD, "ftp", served=True), came(3, GOOD, "telnet"),
        came(4, BAD, "telnet"), came(5, GOOD, "ftp", served=True),
    )  # fmt: skip
    assert [(str(one.source), one.served, one.lost) for one in outcome.honest] == [(GOOD, 2, 1)]
    assert [str(one.source) for one in outcome.banned] == [GOOD, BAD]


def test_limits_of_services_play_no_part() -> None:
    """They were judged when the log was written; here cps = 1 would close ftp for all."""
    outcome = played(*(came(at / 10, GOOD, "ftp", served=True) for at in range(50)), came(6, GOOD, "telnet"))
    assert [one.served for one in outcome.honest] == [50]


def test_a_second_touch_lengthens_and_a_later_one_bans_again() -> None:
    outcome = played(came(0, BAD, "telnet"), came(3000, BAD, "telnet"), came(20000, BAD, "telnet"))
    (story,) = outcome.banned
    assert (story.bans, story.touches, story.until) == (2, 3, 23600)


def test_the_exempt_are_told_and_not_banned() -> None:
    outcome = played(came(0, OWN, "telnet"))
    assert not outcome.banned
    assert [(str(one.source), one.spared) for one in outcome.honest] == [(OWN, "exempt")]


@pytest.mark.parametrize(
    ("service", "why"),
    [
        pytest.param(sensor(minutes=0), "deny_time = NEVER", id="NEVER"),
        pytest.param(sensor(socket_type=SocketType.DGRAM), "a datagram's sender can be forged", id="datagram"),
    ],
)
def test_a_sensor_that_only_tells(service: Service, why: str) -> None:
    outcome = played(came(0, BAD, "telnet"), services=(service,))
    assert not outcome.banned
    assert [one.spared.startswith(why) for one in outcome.touched] == [True]


def test_dry_run_bans_nobody() -> None:
    outcome = played(came(0, BAD, "telnet"), bans=BanSettings(dry_run=True))
    assert [one.spared for one in outcome.touched] == ["dry_run"]


def test_for_ever() -> None:
    outcome = played(came(0, BAD, "telnet"), came(1e9, BAD, "ftp"), services=(sensor(minutes=math.inf), FTP))
    assert (outcome.banned[0].until, outcome.banned[0].refused) == (math.inf, 1)


def test_a_neighbour_in_the_same_network_is_banned_with_him() -> None:
    outcome = played(came(0, "2001:db8::1", "telnet"), came(1, "2001:db8::2", "ftp", served=True))
    assert len(outcome.banned) == 1
    assert outcome.untold == 1


def test_what_the_log_calls_a_service() -> None:
    by_name = played(came(0, BAD, "known"), came(1, GOOD, "unknown"))
    assert [str(one.source) for one in by_name.banned] == [BAD]
    assert by_name.elsewhere == 1


def test_a_port_of_an_address() -> None:
    here, there = Address.parse("192.0.2.5"), Address.parse("192.0.2.6")
    services = (sensor(address=here), FTP)
    assert played(came(0, BAD, port=TELNET, address=here), services=services).banned
    assert not played(came(0, BAD, port=TELNET, address=there), services=services).banned
    assert not played(came(0, BAD, port=Port(TCP, 21), address=here), services=services).banned


def test_a_log_that_tells_no_more_than_a_length() -> None:
    outcome = played(came(0, BAD, minutes=30), came(1, GOOD, minutes=-1), came(2, "192.0.2.77", minutes=30))
    assert [one.until for one in outcome.banned] == [1800, math.inf, 1802]
    assert outcome.by_sensor == {"(not named)": 3}


def test_decoys_hang_up_at_once() -> None:
    services = (sensor(decoy=Decoy.TELNET, tarpit=30.0), FTP)
    outcome = played(*(came(at, f"192.0.2.{at}", "telnet") for at in range(10, 90)), services=services)
    assert len(outcome.banned) == 80


def test_time_that_runs_backwards_stands_still() -> None:
    outcome = played(came(5000, BAD, "telnet"), came(1, BAD, "ftp", served=True))
    assert outcome.banned[0].lost == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SOURCES", 10)
    monkeypatch.setattr(module, "MOST_BANS", 20)
    sources = [f"10.0.{high}.{low}" for high in range(4) for low in range(1, 26)]
    outcome = played(
        *(came(at, source, "ftp", served=True) for at, source in enumerate(sources)),
        *(came(1000 + at, source, "telnet") for at, source in enumerate(sources)),
    )
    assert (len(outcome.stories), outcome.untold, outcome.evicted) == (10, 90, 80)
    assert sum(one.served for one in outcome.stories.values()) == 10


def test_one_sensor_of_many_ports() -> None:
    many = sensor(name="many", port=0, ports=Ports(((20, 30),)))
    assert played(came(0, BAD, port=TELNET), services=(many,)).by_sensor == {"many": 1}


def test_where_the_log_tells_no_address_a_server_comes_before_a_sensor() -> None:
    services = (sensor("telnet-5", address=Address.parse("192.0.2.5")), Service(name="telnet", id="real", port=23))
    assert not played(came(0, BAD, "known", served=True), services=services).by_sensor
    assert played(came(0, BAD, "known"), services=services[:1]).banned


def test_nobody_is_asked_whom_he_announces() -> None:
    everybody = AddressSet((Network.parse("0.0.0.0/0"),))
    outcome = played(came(0, BAD, "telnet"), services=(sensor(proxy_protocol=everybody), FTP))
    assert [str(one.source) for one in outcome.banned] == [BAD]
