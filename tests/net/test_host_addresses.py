from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.network import run
from sentinetd.errors import EdgeError
from sentinetd.model.address import Address
from sentinetd.net.host_addresses import Watcher, default_gateways, exempt_own, on_link, own, resolvers


def ip(*words: str) -> None:
    run("ip", *words)


def spelled(networks: object) -> set[str]:
    assert isinstance(networks, list)
    return {str(network) for network in networks}


def test_own(link: str) -> None:
    ip("address", "add", "203.0.113.1", "peer", "203.0.113.2", "dev", link)
    ip("address", "add", "2001:db8::7/64", "dev", link, "nodad")
    found = spelled(own())
    west = {one for one in found if one.endswith("%west")}
    mac = {one for one in found if one.endswith("%east")} - {"fe80::7%east"}
    assert found - west - mac == {"127.0.0.1", "::1", "198.51.100.7", "fe80::7%east", "2001:db8::7", "203.0.113.1"}
    assert all(network.length == {4: 32, 6: 128}[network.version] for network in own())


@pytest.mark.parametrize(
    ("routes", "gateways"),
    [
        pytest.param([], set(), id="none"),
        pytest.param([["default", "via", "198.51.100.1"]], {"198.51.100.1"}, id="IPv4"),
        pytest.param([["default", "via", "fe80::1", "dev", "east"]], {"fe80::1%east"}, id="IPv6 link-local"),
        pytest.param([["default", "via", "inet6", "fe80::2", "dev", "east"]], {"fe80::2%east"}, id="IPv4 via IPv6"),
        pytest.param(
            [["default", "nexthop", "via", "198.51.100.1", "nexthop", "via", "198.51.100.2"]],
            {"198.51.100.1", "198.51.100.2"},
            id="several at once",
        ),
        pytest.param(
            [["default", "via", "198.51.100.1"], ["default", "via", "198.51.100.3", "table", "77"]],
            {"198.51.100.1", "198.51.100.3"},
            id="another table",
        ),
        pytest.param(
            [["0.0.0.0/1", "via", "198.51.100.4"], ["128.0.0.0/1", "via", "198.51.100.4"]],
            {"198.51.100.4"},
            id="two halves",
        ),
        pytest.param([["10.0.0.0/8", "via", "198.51.100.5"]], set(), id="the way to one network only"),
        pytest.param([["default", "dev", "east"]], set(), id="a device without a gateway"),
        pytest.param([["unreachable", "default"]], set(), id="unreachable"),
    ],
)
def test_default_gateways(link: str, routes: list[list[str]], gateways: set[str]) -> None:
    for words in routes:
        ip("-6" if words[-1] == "east" and words[2].startswith("fe80") else "-4", "route", "add", *words)
    assert spelled(default_gateways()) == gateways


def test_on_link(link: str) -> None:
    ip("address", "add", "2001:db8:1::7/48", "dev", link, "nodad")
    ip("route", "add", "192.0.2.0/25", "dev", link)
    ip("route", "add", "10.0.0.0/8", "via", "198.51.100.1")
    ip("route", "add", "default", "dev", link)
    ip("route", "add", "10.9.0.0/16", "dev", "lo")
    assert spelled(on_link()) == {
        "198.51.100.0/24",
        "192.0.2.0/25",
        "2001:db8:1::/48",
        "fe80::%east/64",
        "fe80::%west/64",
    }


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        pytest.param("nameserver 192.0.2.53\nnameserver 2001:db8::53\n", {"192.0.2.53", "2001:db8::53"}, id="both"),
        pytest.param("nameserver\tfe80::53%eth0", {"fe80::53%eth0"}, id="link-local, no newline"),
        pytest.param("# nameserver 192.0.2.1\n;nameserver 192.0.2.2\nsearch example.org\n", set(), id="comments"),
        pytest.param(
            "nameserver dns.example\nnameserver\n\n nameserver 192.0.2.3 x\n", {"192.0.2.3"}, id="passed over"
        ),
        pytest.param("nameserver ::ffff:192.0.2.4\r\n\xff\n", {"192.0.2.4"}, id="mapped"),
    ],
)
def test_resolvers(tmp_path: Path, text: str, servers: set[str]) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text, encoding="latin-1")
    assert spelled(resolvers(str(path))) == servers


def test_resolvers_without_a_file_or_unreadable(tmp_path: Path) -> None:
    assert resolvers(str(tmp_path / "none")) == []
    with pytest.raises(EdgeError, match=f"{tmp_path}: Is a directory"):
        resolvers(str(tmp_path))


def test_exempt_own(link: str, tmp_path: Path) -> None:
    ip("route", "add", "default", "via", "198.51.100.1")
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\n")
    exempt = exempt_own(str(path))
    for address in ("127.8.9.10", "::1", "198.51.100.7", "fe80::7%east", "198.51.100.1", "192.0.2.53"):
        assert Address.parse(address) in exempt, address
    for address in ("198.51.100.8", "fe80::7%west", "fe80::8%east", "::2", "192.0.2.54"):
        assert Address.parse(address) not in exempt, address


@pytest.fixture
def watcher(link: str) -> Iterator[Watcher]:
    watching = Watcher()
    watching.drain()
    yield watching
    watching.close()


def woken(watching: Watcher, seconds: float = 10.0) -> bool:
    return bool(select.select([watching], [], [], seconds)[0])


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("address", "add", "192.0.2.1/24", "dev", "east"), id="address"),
        pytest.param(("address", "add", "2001:db8::1/64", "dev", "east", "nodad"), id="IPv6 address"),
        pytest.param(("route", "add", "default", "via", "198.51.100.1"), id="route"),
        pytest.param(("-6", "route", "add", "default", "via", "fe80::1", "dev", "east"), id="IPv6 route"),
        pytest.param(("link", "set", "east", "down"), id="link"),
    ],
)
def test_the_watcher_wakes_on_a_change(watcher: Watcher, words: tuple[str, ...]) -> None:
    ip(*words)
    assert woken(watcher)
    assert watcher.drain()


def test_the_watcher_is_quiet_between_changes(watcher: Watcher) -> None:
    assert not watcher.drain()
    ip("address", "add", "192.0.2.1/24", "dev", "east")
    while woken(watcher, 0):
        assert watcher.drain(limit=1)
    assert not watcher.drain()


def test_lost_notices_are_a_change(watcher: Watcher) -> None:
    """More happens than the socket's buffer holds: the kernel says ENOBUFS, once."""
    with socket.socket(fileno=os.dup(watcher.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for host in range(1, 30):
            ip("address", "add", f"192.0.2.{host}/32", "dev", "east")
        with pytest.raises(OSError, match="No buffer space") as raised:
            same.recv(1)
        assert raised.value.errno == errno.ENOBUFS
        while watcher.drain():
            pass
        for host in range(1, 30):
            ip("address", "delete", f"192.0.2.{host}/32", "dev", "east")
    assert woken(watcher)
    assert watcher.drain(limit=1), "the loss is met first"
    while watcher.drain():
        pass
    assert not woken(watcher, 0)
