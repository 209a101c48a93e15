"""Which programs have what a sensor should have, by values; with real programs: tests/e2e/test_unused.py."""

from __future__ import annotations

import pytest

from sentinetd.daemon.shadows import in_the_way, shadows
from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.service import Flag, LeftOut, Ports, Service
from sentinetd.net.sock_diag import Listening

MINE = tuple(map(Address.parse, ("192.0.2.5", "192.0.2.6", "2001:db8::5")))
FOUR = Listening(6, Address.parse("0.0.0.0"), 80, False, 0, 1)
SIX = Listening(6, Address.parse("::"), 81, True, 0, 2)
BOTH = Listening(6, Address.parse("::"), 82, False, 0, 3)
ALL = [FOUR, SIX, BOTH]


def sensor(**fields: object) -> Service:
    flags = frozenset({Flag.SENSOR})
    return Service(**{"name": "trap", "id": "trap", "flags": flags, "ports": Ports(unused=True), **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param(sensor(address=MINE[0]), [FOUR, BOTH], id="an IPv4 address"),
        pytest.param(sensor(address=MINE[2]), [SIX, BOTH], id="an IPv6 address"),
        pytest.param(
            sensor(addresses=AddressSet((Network.parse("192.0.2.0/24"),))), [FOUR, BOTH], id="one's own in a net"
        ),
        pytest.param(sensor(addresses=AddressSet((Network.parse("198.51.100.0/24"),))), [], id="a net of nobody"),
        pytest.param(sensor(address=MINE[0], ports_except=LeftOut(((80, 80),))), [BOTH], id="a port that is left out"),
        pytest.param(
            sensor(addresses=AddressSet((Network.parse("192.0.2.5"),)), ports=Ports(((80, 80),))), [FOUR], id="a list"
        ),
    ],
)
def test_in_the_way(service: Service, expected: list[Listening]) -> None:
    assert in_the_way(service, ALL, MINE) == expected


def test_giving_way_is_what_the_others_are_for() -> None:
    assert shadows([sensor(), Service(name="plain", port=80)]) == []
