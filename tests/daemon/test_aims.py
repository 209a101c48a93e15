"""What is brought to a sensor, and what must be made the host's own for it."""

from __future__ import annotations

import pytest

from sentinetd.daemon.aims import aims, claims, objection
from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.aim import Aim
from sentinetd.model.service import Family, Flag, LeftOut, Ports, Service

BOTH = ((4, 4000), (6, 6000))
HAS = tuple(map(Network.parse, ("192.0.2.5", "198.51.100.9", "2001:db8::5")))


def nets(*words: str) -> tuple[Network, ...]:
    return tuple(map(Network.parse, words))


def sensor(*addresses: str, bind: str = "", ports: Ports | None = None, out: LeftOut | None = None) -> Service:
    return Service(
        name="trap",
        flags=frozenset({Flag.SENSOR}),
        ports=ports or Ports(unused=True),
        ports_except=out,
        addresses=AddressSet(nets(*addresses)),
        address=Address.parse(bind) if bind else None,
        family=Family.DUAL,
    )


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param(sensor(), [(None, BOTH, True)], id="every address of the host"),
        pytest.param(sensor(bind="192.0.2.5"), [("192.0.2.5", BOTH[:1], True)], id="one of them"),
        pytest.param(sensor(bind="2001:db8::5"), [("2001:db8::5", BOTH[1:], True)], id="one of IPv6"),
        pytest.param(sensor("192.0.2.5"), [("192.0.2.5", BOTH[:1], True)], id="the same, among the addresses"),
        pytest.param(sensor("203.0.113.0/24"), [("203.0.113.0/24", BOTH[:1], False)], id="what nobody has"),
        pytest.param(
            sensor("198.51.100.0/24", "2001:db8:1::/64"),
            [
                ("198.51.100.9", BOTH[:1], True),
                ("198.51.100.0/24", BOTH[:1], False),
                ("2001:db8:1::/64", BOTH[1:], False),
            ],
            id="a network in which the host has one address",
        ),
    ],
)
def test_aims(service: Service, expected: list[tuple[str | None, object, bool]]) -> None:
    assert list(aims(service, BOTH, HAS)) == [
        Aim(network and Network.parse(network), (), (), (), listeners, shared)  # type: ignore[arg-type]
        for network, listeners, shared in expected
    ]


def test_ports_and_what_is_left_out_go_with_each() -> None:
    out = LeftOut(((113, 113),))
    assert [one.out for one in aims(sensor("192.0.2.5", "203.0.113.0/24", out=out), BOTH, HAS)] == [out.ranges] * 2
    [one] = aims(sensor("203.0.113.0/24", ports=Ports(((21, 23),))), BOTH, HAS)
    assert one.ports == ((21, 23),)


def test_what_the_host_has_is_not_claimed() -> None:
    assert list(claims(sensor("192.0.2.5", "198.51.100.0/24"), HAS)) == [Network.parse("198.51.100.0/24")]
    assert list(claims(sensor(bind="192.0.2.5"), HAS)) == []


@pytest.mark.parametrize(
    ("service", "told"),
    [
        pytest.param(sensor("203.0.113.0/24"), "", id="a network far away"),
        pytest.param(sensor("192.0.2.128/25"), "", id="a part of the network on link"),
        pytest.param(sensor("192.0.2.0/25"), "192.0.2.1 is a gateway or resolver", id="with the gateway in it"),
        pytest.param(sensor("198.51.100.0/24"), "neighbours are there", id="the network on link"),
        pytest.param(sensor("198.51.0.0/16"), "neighbours are there", id="a wider one"),
        pytest.param(sensor(), "", id="no addresses"),
    ],
)
def test_objections(service: Service, told: str) -> None:
    said = objection(service, nets("192.0.2.1", "2001:db8::1"), nets("192.0.2.0/24", "198.51.100.0/24"))
    assert told in said
    assert bool(told) == bool(said)
