from __future__ import annotations

import socket

import pytest

from rig.network import run
from sentinetd.model.address import Address
from sentinetd.net.source import asked_of, interface_name, local_of, source_of


@pytest.mark.parametrize(
    ("where", "spelled"),
    [
        pytest.param(("192.0.2.7", 80), "192.0.2.7", id="IPv4"),
        pytest.param(("::ffff:192.0.2.7", 80, 0, 0), "192.0.2.7", id="a mapped address is the IPv4 address"),
        pytest.param(("2001:db8::1", 80, 0, 0), "2001:db8::1", id="IPv6"),
        pytest.param(("::192.0.2.7", 80, 0, 0), "::c000:207", id="IPv4-compatible stays IPv6"),
        pytest.param(("fe80::1", 80, 0, 1), "fe80::1%lo", id="link-local comes with its interface"),
        pytest.param(("fe80::1", 80, 0, 99999), "fe80::1%99999", id="an interface that is gone keeps its number"),
    ],
)
def test_source(where: tuple[str, int] | tuple[str, int, int, int], spelled: str) -> None:
    found = source_of(where)
    assert found == Address.parse(spelled)
    assert found.text == spelled


def test_interface_name() -> None:
    assert interface_name(1) == "lo"


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.9"), (socket.AF_INET6, "::1")])
def test_our_end(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server:
        assert local_of(server.fileno()) == (Address.parse(host), server.getsockname()[1])
        assert server.getsockname()[0] == host, "the descriptor stays open"


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_was_asked_for(host: str) -> None:
    """The end of the connection at our side; what stood there first, where it was redirected to the listener."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    rule = "tcp dport 81 dnat to :4000"
    table = "ip" if family == socket.AF_INET else "ip6"
    run("nft", f"add table {table} t; add chain {table} t c {{ type nat hook output priority -100; }}")
    run("nft", f"add rule {table} t c {rule}")
    with socket.create_server((host, 4000), family=family) as listener:
        for asked in (81, 4000):
            with socket.create_connection((host, asked)) as client:
                accepted, _ = listener.accept()
                client.close()  # what was asked for is known after the client is gone, too
                with accepted:
                    assert asked_of(accepted.fileno(), 4000) == (Address.parse(host), asked)
                    assert asked_of(accepted.fileno(), 4001) == (Address.parse(host), 4000)
