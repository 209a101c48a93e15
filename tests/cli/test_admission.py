"""Two lists of which the narrower decides, as two lists of which the first decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentinetd.cli.convert.admission import Admission, admission
from sentinetd.model.address import BITS, EVERYONE, NOBODY, Address, AddressSet, Network
from sentinetd.model.connection import Connection
from sentinetd.model.service import Service
from sentinetd.policy.checks import Facts, addresses

LENGTHS = {4: (0, 1, 7, 8, 9, 31, 32), 6: (0, 1, 32, 64, 127, 128)}
VALUES = {4: (0, 0x0A000000, 0x0A000001, 0x0A800000, 0xC0000201), 6: (0, 1, 0x20010DB8 << 96, (0x20010DB8 << 96) | 1)}


@st.composite
def networks(draw: st.DrawFn) -> Network:
    version = draw(st.sampled_from((4, 6)))
    value = draw(st.sampled_from(VALUES[version]))
    return Network.of(Address(version, value, ""), draw(st.sampled_from(LENGTHS[version])))


def sources() -> list[Address]:
    return [
        Address(version, value ^ flip, f"{version}/{value ^ flip}")
        for version, values in VALUES.items()
        for value in values
        for flip in (0, 1, 1 << (BITS[version] - 8), 1 << (BITS[version] - 1))
    ]


def admits(result: Admission, source: Address) -> bool:
    """As systemd does (systemd.resource-control(5), IPAddressAllow)."""
    if any(net.holds(source) for net in result.allow):
        return True
    return result.everybody_else and not any(net.holds(source) for net in result.deny)


LISTS = st.lists(networks(), max_size=5).map(lambda found: AddressSet(tuple(found)))


@given(st.one_of(st.just(EVERYONE), LISTS), LISTS)
def test_the_same_sources_are_admitted(only_from: AddressSet, no_access: AddressSet) -> None:
    result = admission(only_from, no_access)
    service = Service(name="any", only_from=only_from, no_access=no_access)
    for source in sources():
        objection = addresses(service, Connection(1, 1, source), Facts())
        assert admits(result, source) is (objection is None), source
    assert not result.allow or not result.deny


def test_who_restricts_nothing_gets_no_lists() -> None:
    assert admission(EVERYONE, NOBODY) == Admission()


def test_an_empty_list_admits_nobody() -> None:
    assert admission(NOBODY, NOBODY) == Admission(everybody_else=False)


def test_halves_that_are_judged_alike_are_one() -> None:
    both = AddressSet((Network.parse("10.0.0.0/9"), Network.parse("10.128.0.0/9"), Network.parse("2001:db8::/32")))
    assert [str(net) for net in admission(both, NOBODY).allow] == ["10.0.0.0/8", "2001:db8::/32"]


def test_many_networks_take_little_time() -> None:
    many = AddressSet(tuple(Network(4, number << 12, 24) for number in range(0, 1 << 20, 100)))
    assert len(admission(EVERYONE, many).deny) == len(many.networks)
