"""How many listeners a service has, and how each is bound."""

from __future__ import annotations

import pytest

from sentinetd.daemon import door
from sentinetd.daemon.door import Door, spread
from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.service import Capture, Family, Flag, Ports, Redirect, Service, Type

LIST = Ports(((21, 22), (80, 80)))
UNUSED = Ports(unused=True)
NET = AddressSet((Network.parse("192.0.2.0/24"),))


@pytest.mark.parametrize(
    ("fields", "bound"),
    [
        pytest.param({"port": 21}, [(21, Family.DUAL)], id="one port"),
        pytest.param({"ports": LIST}, [(21, Family.DUAL), (22, Family.DUAL), (80, Family.DUAL)], id="many"),
        pytest.param({"ports": UNUSED}, [(0, Family.IPV4), (0, Family.IPV6)], id="every unused one"),
        pytest.param({"ports": UNUSED, "family": Family.IPV4}, [(0, Family.IPV4)], id="of IPv4"),
        pytest.param({"ports": UNUSED, "family": Family.IPV6}, [(0, Family.IPV6)], id="of IPv6"),
        pytest.param({"ports": LIST, "addresses": NET}, [(0, Family.IPV4), (0, Family.IPV6)], id="of networks"),
    ],
)
def test_spread(fields: dict[str, object], bound: list[tuple[int, Family]]) -> None:
    found = list(spread(Service(name="trap", **fields)))  # type: ignore[arg-type]
    assert [(one.port, one.family) for one in found] == bound
    assert all(one.v6only for one in found if one.ports == UNUSED and one.family is Family.IPV6)


def test_a_host_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "speaks_ipv6", lambda: False)
    assert [one.family for one in spread(Service(name="trap", ports=UNUSED))] == [Family.IPV4]


def test_the_address_stays_known() -> None:
    address = Address.parse("192.0.2.5")
    assert {one.address for one in spread(Service(name="trap", ports=UNUSED, address=address))} == {address}


@pytest.mark.parametrize(
    ("fields", "unseen"),
    [
        pytest.param({"server": "/bin/cat"}, False, id="a server"),
        pytest.param({"name": "daytime", "type": frozenset({Type.INTERNAL})}, True, id="daytime"),
        pytest.param({"name": "echo", "type": frozenset({Type.INTERNAL})}, False, id="echo, which the porter has"),
        pytest.param({"redirect": Redirect("192.0.2.1", 80)}, False, id="a redirect"),
        pytest.param({"flags": frozenset({Flag.SENSOR})}, True, id="a sensor"),
        pytest.param({"flags": frozenset({Flag.SENSOR}), "decoy": "ssh"}, False, id="a decoy"),
        pytest.param({"flags": frozenset({Flag.SENSOR}), "capture": Capture(9, 9)}, False, id="a capture"),
        pytest.param({"flags": frozenset({Flag.SENSOR}), "ports": UNUSED}, False, id="of the address asked for"),
    ],
)
def test_whether_a_program_gets_to_see_the_connection(fields: dict[str, object], unseen: bool) -> None:
    assert Door(Service(**{"name": "x", **fields}), lambda: None).unseen is unseen  # type: ignore[arg-type]
