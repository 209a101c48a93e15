"""Entries of many ports: which there can be, what they mean, and what they cannot stand beside."""

from __future__ import annotations

import pytest

from config.machine import entry, loaded
from sentinetd.model.address import Network
from sentinetd.model.service import LeftOut, Ports, Service
from sentinetd.model.values import Spot


def sensor(name: str, lines: str) -> str:
    return entry(name, f"flags = SENSOR; {lines}", server="", user="", wait="")


def only(text: str) -> Service:
    (service,) = loaded(text).services
    return service


@pytest.mark.parametrize(
    ("text", "ports", "out"),
    [
        pytest.param(entry("x", "ports = ftp 23 6000-6010"), ((21, 21), (23, 23), (6000, 6010)), None, id="a list"),
        pytest.param(entry("x", "ports = 1-9; ports_except = 3,5-7"), ((1, 2), (4, 4), (8, 9)), None, id="with gaps"),
        pytest.param(sensor("x", "ports = unused"), (), LeftOut(((113, 113),)), id="ident is left out"),
        pytest.param(
            sensor("x", "ports = unused; ports_except = 25"), (), LeftOut(((25, 25),)), id="or something else"
        ),
        pytest.param(sensor("ftp", "addresses = 192.0.2.0/24"), ((21, 21),), None, id="one port of many addresses"),
        pytest.param(
            sensor("x", "ports = 1-9; ports_except = 3 192.0.2.5:1; addresses = 192.0.2.0/24"),
            ((1, 2), (4, 9)),
            LeftOut((), (Spot(Network.parse("192.0.2.5"), 1, 1),)),
            id="a port of one address",
        ),
    ],
)
def test_what_ports_mean(text: str, ports: tuple[tuple[int, int], ...], out: LeftOut | None) -> None:
    service = only(text)
    assert service.ports == Ports(ports, unused="unused" in text)
    assert service.ports_except == out
    assert service.port in (0, 21)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(entry("x", "ports = unused"), "only a sensor can have every unused port", id="no sensor"),
        pytest.param(
            entry("x", "ports = 1; addresses = 192.0.2.1"), "only a sensor can have addresses", id="nor those"
        ),
        pytest.param(
            sensor("x", "ports = unused").replace("stream", "dgram"),
            "is not stream and tcp",
            id="every unused udp port",
        ),
        pytest.param(entry("ftp", "ports_except = 1; port = 21"), "ports_except without ports", id="nothing to leave"),
        pytest.param(entry("x", "ports = 1-2; ports_except = 1-9"), "leaves nothing of ports", id="nothing is left"),
        pytest.param(
            entry("x", "ports = 1-2; ports_except = 10.0.0.1:1"), "a port of one address", id="of all addresses"
        ),
        pytest.param(
            sensor("x", f"addresses = 192.0.2.0/24 192.0.3.0/24; ports = {' '.join(map(str, range(1, 5000, 2)))}"),
            "make 5000 rules, which is more than 4096",
            id="too many rules",
        ),
        pytest.param(entry("x", "ports = 1-2000"), "2000 ports are more than 1024", id="too many"),
        pytest.param(entry("x", "ports = 1-2", wait="yes"), "x waits", id="waiting"),
        pytest.param(entry("x", "ports = 1-2", socket_type="dgram", wait="yes"), "x waits", id="datagrams"),
        pytest.param(
            entry("x", "ports = 1-2; type = TCPMUX", protocol="tcp"), "port of its own kind", id="multiplexed"
        ),
        pytest.param(
            entry("rstat", "ports = 1-2; type = RPC; rpc_version = 1", protocol="tcp"), "port of its own kind", id="RPC"
        ),
    ],
)
def test_an_entry_is_refused(text: str, told: str) -> None:
    result = loaded(text + entry("http", ""))
    assert [service.name for service in result.services] == ["http"]
    assert result.usable_after()
    assert told in str(result.diagnostics[0])
    assert all(one.way_out for one in result.diagnostics)


def test_bind_and_addresses() -> None:
    result = loaded("defaults\n{\nbind = 192.0.2.1\n}\n" + sensor("x", "ports = unused; addresses = 192.0.2.8/29"))
    assert result.services[0].address is None
    assert "bind has no effect beside addresses" in str(result.diagnostics[0])


def test_ident_is_not_asked_about_ident_in_a_list_either() -> None:
    text = entry("x", "ports = 100-120; log_on_success = HOST USERID", protocol="tcp")
    assert "clearing USERID" in str(loaded(text).diagnostics[0])


@pytest.mark.parametrize(
    ("first", "second", "survivors"),
    [
        pytest.param("ports = 20-22", "ports = 22-24", 1, id="lists overlap"),
        pytest.param("ports = 20-22", "ports = 23-24", 2, id="lists apart"),
        pytest.param("ports = 20-22", "type = UNLISTED; port = 21", 1, id="a list, then one of it"),
        pytest.param("type = UNLISTED; port = 21", "ports = 20-22", 1, id="one, then a list with it"),
        pytest.param("ports = 20-22; bind = 192.0.2.1", "ports = 20-22; bind = 192.0.2.2", 2, id="two addresses"),
        pytest.param("ports = unused", "type = UNLISTED; port = 21", 2, id="all unused ones give way"),
        pytest.param("ports = unused", "ports = unused", 1, id="all unused ones twice"),
        pytest.param("ports = unused", "ports = unused; bind = 192.0.2.1", 2, id="and those of one address"),
        pytest.param(
            "ports = unused; addresses = 192.0.2.0/24",
            "ports = unused; addresses = 192.0.2.8/29",
            2,
            id="one in another",
        ),
        pytest.param(
            "ports = unused; addresses = 192.0.2.0/24", "ports = 9; addresses = 192.0.2.0/24", 1, id="one network twice"
        ),
        pytest.param(
            "ports = 1-5; addresses = 192.0.2.0/24", "ports = 6-9; addresses = 192.0.2.0/24", 2, id="other ports of it"
        ),
    ],
)
def test_duplicates(first: str, second: str, survivors: int) -> None:
    result = loaded(sensor("one", f"id = a; {first}") + sensor("two", f"id = b; {second}"))
    assert len(result.services) == survivors
    assert len(result.faulty) == 2 - survivors
