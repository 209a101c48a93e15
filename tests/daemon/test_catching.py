"""The kernel brings to sensors what they watch: told, mended, tried again, taken back. Real tables, real routes."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.deadline import wait_for
from rig.network import Namespace, run
from sentinetd.daemon import catching, usage
from sentinetd.daemon.catching import Catching
from sentinetd.daemon.loop import Loop
from sentinetd.firewall.own_table import OwnTable
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.events import Event, Notice
from sentinetd.model.service import Family, Flag, Ports, Service
from sentinetd.model.settings import FirewallSettings, Settings
from sentinetd.net.listener import Listener, open_listener

FAR = "198.51.100.0/24"
TABLE = "sentinetd_unused"


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("a network namespace of one's own takes root")
    made = Namespace(f"ca{secrets.token_hex(4)}")
    try:
        with made.entered():
            run("ip", "link", "set", "lo", "up")
            yield
    finally:
        made.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def sensor(*addresses: str) -> Service:
    networks = AddressSet(tuple(map(Network.parse, addresses)))
    flags = frozenset({Flag.SENSOR})
    return Service(name="trap", flags=flags, ports=Ports(unused=True), addresses=networks, family=Family.IPV4)


@pytest.fixture
def listener() -> Iterator[Listener]:
    opened = open_listener(sensor())
    yield opened
    opened.close()


class Caught:
    """A `Catching`, and what it told."""

    def __init__(self, loop: Loop, directory: Path) -> None:
        self.loop = loop
        self.told: list[Event] = []
        self.catching = Catching(loop, str(directory), self.told.append)

    def texts(self) -> list[str]:
        return [one.text for one in self.told if isinstance(one, Notice)]

    def turn_until(self, text: str) -> None:
        def told() -> bool:
            self.loop.turn(0.05)
            return any(text in one for one in self.texts())

        wait_for(told, lambda: f"{text}: {self.texts()}", 20.0)


@pytest.fixture
def caught(loop: Loop, tmp_path: Path) -> Iterator[Caught]:
    made = Caught(loop, tmp_path)
    yield made
    made.catching.close()


def rules() -> str:
    return run("nft", "list", "ruleset").stdout


def routes() -> str:
    return run("ip", "route", "show", "table", "local").stdout


def test_what_is_in_force_follows_from_the_open_listeners(caught: Caught, listener: Listener) -> None:
    before = rules(), routes()
    one = sensor(FAR)
    assert caught.catching.why_not(one) == ""
    caught.catching.refresh([(one, [listener])])
    assert f"ip daddr {FAR} jump" in rules()
    assert f"tproxy to :{listener.port}" in rules()
    assert f"local {FAR} dev lo" in routes()
    caught.catching.refresh([(one, [])])
    assert (rules(), routes()) == before
    assert caught.texts() == []


def test_nothing_is_touched_without_such_a_sensor(caught: Caught, listener: Listener) -> None:
    assert caught.catching.why_not(Service(name="plain")) == ""
    caught.catching.refresh([])
    caught.catching.moved()
    assert rules() == ""


def test_own_addresses_come_and_go(caught: Caught, listener: Listener) -> None:
    """There every program goes first, and they need no route."""
    caught.catching.refresh([(sensor(FAR, "203.0.113.5"), [listener])])
    assert "203.0.113.5" in routes()
    run("ip", "address", "add", "203.0.113.5/32", "dev", "lo")
    run("ip", "address", "add", "198.51.100.7/32", "dev", "lo")
    caught.catching.moved()
    assert "ip daddr 198.51.100.7 jump aim_0" in rules()
    assert rules().count("socket transparent") == 2
    assert "local 203.0.113.5 dev lo proto static" not in routes()


def test_rules_that_others_flushed_are_made_again(
    caught: Caught, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tables have no owners; where they have, nobody can."""
    monkeypatch.setattr(catching, "OWNER", 0)
    other = Caught(caught.loop, Path(caught.catching._memory).parent)
    other.catching._table = OwnTable(TABLE, 0)
    other.catching.refresh([(sensor(), [listener])])
    run("nft", "flush", "ruleset")
    other.turn_until("another program changed the table inet sentinetd_unused")
    wait_for(lambda: (caught.loop.turn(0.05), f"tproxy to :{listener.port}" in rules())[1], rules, 20.0)
    other.catching.close()
    assert rules() == ""


def test_what_the_kernel_refuses_is_tried_again(
    caught: Caught, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catching, "RETRY_AFTER", 0.01)
    rival = OwnTable(TABLE)
    rival.claim()
    assert "belongs to another program that runs" in caught.catching.why_not(sensor())
    caught.catching.refresh([(sensor(), [listener])])
    assert "unused ports are not watched as configured" in caught.texts()[0]
    rival.remove()
    caught.turn_until("unused ports are watched as configured")
    assert f"tproxy to :{listener.port}" in rules()


def test_routes_that_a_crash_left_are_removed_by_the_next_run(loop: Loop, tmp_path: Path, listener: Listener) -> None:
    before = Caught(loop, tmp_path).catching
    before.refresh([(sensor(FAR), [listener])])
    before._table.close()  # all that the end of the process does
    run("ip", "route", "add", "local", "203.0.113.0/24", "dev", "lo")  # somebody else's
    after = Caught(loop, tmp_path)
    after.catching.remember()
    assert FAR not in routes()
    assert "203.0.113.0/24" in routes()
    assert after.texts() == []


def test_a_route_that_was_there_stays(caught: Caught, listener: Listener) -> None:
    run("ip", "route", "add", "local", FAR, "dev", "lo")
    caught.catching.refresh([(sensor(FAR), [listener])])
    caught.catching.refresh([])
    assert FAR in routes()


def test_a_port_stays_in_use_for_a_while(caught: Caught, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catching, "LOOK_EVERY", 0.01)
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        caught.catching.refresh([(sensor(), [listener])])
        assert f"tcp . {port}" in rules()
    for _ in range(20):
        caught.loop.turn(0.02)
    assert f"tcp . {port}" in rules()
    monkeypatch.setattr(usage, "GRACE", 0.0)
    wait_for(lambda: (caught.loop.turn(0.02), f"tcp . {port}" not in rules())[1], rules, 20.0)


def test_a_machine_that_has_just_started(caught: Caught, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others must have had time to listen; what nobody has is watched at once."""
    monkeypatch.setattr(catching, "SETTLED", caught.loop.now() + 1.0)
    caught.catching.refresh([(sensor(), [listener])])
    assert "tproxy" not in rules()
    caught.catching.refresh([(sensor(FAR), [listener])])
    assert "tproxy" in rules()
    caught.catching.refresh([(sensor(), [listener])])
    wait_for(lambda: (caught.loop.turn(0.05), "jump aim_0" in rules())[1], rules, 20.0)
    assert len([one for one in caught.texts() if "has just started" in one]) == 1


def test_the_table_is_named_as_the_other_one(caught: Caught, listener: Listener) -> None:
    caught.catching.refresh([(sensor(), [listener])])
    caught.catching.configure(Settings(firewall=FirewallSettings(table="other")))
    caught.catching.refresh([(sensor(), [listener])])
    assert rules().startswith("table inet other_unused")
    assert "sentinetd" not in rules().replace("progname", "")
