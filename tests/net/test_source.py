from __future__ import annotations

import pytest

from sentinetd.model.address import Address
from sentinetd.net.source import interface_name, source_of


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
