"""Which port at which address a sensor watches that has many."""

from __future__ import annotations

import pytest

from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.aim import watches
from sentinetd.model.service import LeftOut, Ports, Service
from sentinetd.model.values import Spot

UNUSED = Ports(unused=True)
LIST = Ports(((21, 23), (80, 80)))
OUT = LeftOut(((113, 113),), (Spot(Network.parse("192.0.2.5"), 25, 26),))
NET = AddressSet((Network.parse("198.51.100.0/24"), Network.parse("2001:db8::/64")))


@pytest.mark.parametrize(
    ("fields", "asked", "watched"),
    [
        pytest.param({"ports": UNUSED}, "192.0.2.5 1", True, id="everything"),
        pytest.param({"ports": UNUSED, "ports_except": OUT}, "192.0.2.5 113", False, id="a port that is left out"),
        pytest.param({"ports": UNUSED, "ports_except": OUT}, "192.0.2.5 26", False, id="one of an address"),
        pytest.param({"ports": UNUSED, "ports_except": OUT}, "192.0.2.6 26", True, id="the same of another"),
        pytest.param({"ports": UNUSED, "ports_except": OUT}, "192.0.2.5 27", True, id="another of the same"),
        pytest.param({"ports": UNUSED, "address": Address.parse("192.0.2.5")}, "192.0.2.5 9", True, id="bind"),
        pytest.param({"ports": UNUSED, "address": Address.parse("192.0.2.5")}, "192.0.2.6 9", False, id="not bind"),
        pytest.param({"ports": UNUSED, "address": Address.parse("::")}, "192.0.2.6 9", True, id="bind to all"),
        pytest.param({"ports": LIST, "addresses": NET}, "198.51.100.9 22", True, id="a list, in a network"),
        pytest.param({"ports": LIST, "addresses": NET}, "198.51.100.9 24", False, id="another port"),
        pytest.param({"ports": LIST, "addresses": NET}, "198.51.101.9 22", False, id="another network"),
        pytest.param({"ports": LIST, "addresses": NET}, "2001:db8::7 80", True, id="IPv6"),
        pytest.param({"port": 80}, "192.0.2.5 80", False, id="a service that listens for itself"),
    ],
)
def test_watches(fields: dict[str, object], asked: str, watched: bool) -> None:
    address, port = asked.split()
    assert watches(Service(name="trap", **fields), Address.parse(address), int(port)) is watched  # type: ignore[arg-type]
