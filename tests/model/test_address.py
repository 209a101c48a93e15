"""Addresses, networks and sets of them: what text means, what is one source, what holds what."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinetd.model.address import BITS, EVERYONE, NOBODY, Address, AddressSet, Network, union

V4 = st.integers(0, 2**32 - 1)
V6 = st.one_of(
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**33),  # ::, ::1, ::192.0.2.1
    st.integers(0xFFFF << 32, (0xFFFF << 32) + 2**32 - 1),  # mapped
    st.builds(lambda high, low: high << 112 | low, st.integers(0, 2**16 - 1), st.integers(0, 2**20)),
)
SCOPES = st.sampled_from(["", "eth0", "wlan0.5", "7"])


@st.composite
def sources(draw: st.DrawFn) -> Address:
    """Any address, as its text is parsed."""
    if draw(st.booleans()):
        return Address.parse(str(ipaddress.IPv4Address(draw(V4))))
    scope = draw(SCOPES)
    return Address.parse(f"{ipaddress.IPv6Address(draw(V6))}{'%' if scope else ''}{scope}")


@st.composite
def networks(draw: st.DrawFn) -> Network:
    address = draw(sources())
    return Network.of(address, draw(st.integers(0, BITS[address.version])))


@pytest.mark.parametrize(
    ("text", "version", "value", "spelled", "scope"),
    [
        pytest.param("192.0.2.1", 4, 0xC0000201, "192.0.2.1", "", id="IPv4"),
        pytest.param("0.0.0.0", 4, 0, "0.0.0.0", "", id="IPv4, lowest"),
        pytest.param("255.255.255.255", 4, 2**32 - 1, "255.255.255.255", "", id="IPv4, highest"),
        pytest.param("2001:DB8:0::1", 6, 0x20010DB8 << 96 | 1, "2001:db8::1", "", id="IPv6 in its one spelling"),
        pytest.param("::", 6, 0, "::", "", id="IPv6, lowest"),
        pytest.param("::ffff:192.0.2.1", 4, 0xC0000201, "192.0.2.1", "", id="mapped"),
        pytest.param("::ffff:c000:201", 4, 0xC0000201, "192.0.2.1", "", id="mapped, in hexadecimal"),
        pytest.param("::ffff:192.0.2.1%eth0", 4, 0xC0000201, "192.0.2.1", "", id="mapped, with an interface"),
        pytest.param("::192.0.2.1", 6, 0xC0000201, "::c000:201", "", id="compatible is not mapped"),
        pytest.param("fe80::1%eth0", 6, 0xFE80 << 112 | 1, "fe80::1%eth0", "eth0", id="link-local"),
    ],
)
def test_what_an_address_means(text: str, version: int, value: int, spelled: str, scope: str) -> None:
    address = Address.parse(text)
    assert (address.version, address.value, address.text, address.scope) == (version, value, spelled, scope)
    assert str(address) == spelled


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2", "192.0.2.1.1", "192.0.2.256", "192.0.2.01", "192.0.2.-1", "1.2.3.4 ", "\u0661.2.3.4", "::g",
     "1::2::3", "fe80::1%", "host.example", "192.0.2.1%eth0", "0x7f.1.1.1", ":::"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Address.parse(text)


@given(V4)
def test_an_ipv4_address_is_read_as_the_library_reads_it(value: int) -> None:
    address = Address.parse(str(ipaddress.IPv4Address(value)))
    assert (address.value, address.text) == (value, str(ipaddress.IPv4Address(value)))


@given(sources())
def test_an_address_is_read_back_from_its_text(address: Address) -> None:
    again = Address.parse(address.text)
    assert again == address
    assert again.text == address.text
    assert Network.parse(str(Network.of(address, BITS[address.version]))).holds(address)


@given(V6)
@example(0xC0000201)
@example((0xFFFF << 32) + 1)
def test_equal_addresses_have_equal_texts_and_hashes_however_they_were_spelled(value: int) -> None:
    spellings = [socket.inet_ntop(socket.AF_INET6, value.to_bytes(16)), ipaddress.IPv6Address(value).exploded]
    one, other = map(Address.parse, spellings)
    assert (one, one.text, hash(one)) == (other, other.text, hash(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("192.0.2.1", "::192.0.2.1", id="families"),
        pytest.param("fe80::1%eth0", "fe80::1%eth1", id="interfaces"),
        pytest.param("fe80::1%eth0", "fe80::1", id="an interface and none"),
    ],
)
def test_different_sources(one: str, other: str) -> None:
    assert Address.parse(one) != Address.parse(other)


def test_addresses_that_collide_as_numbers_do_not_collide_in_a_table() -> None:
    """Python hashes a number by its remainder: the owner of a /48 could choose half a million that share one."""
    modulus = 2**61 - 1
    chosen = [Address.parse(str(ipaddress.IPv6Address((0x20010DB8 << 96) + number * modulus))) for number in range(99)]
    assert len({hash(address.value) for address in chosen}) == 1
    assert len({hash(address) for address in chosen}) == 99


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        pytest.param("192.0.2.0/24", "192.0.2.0/24", id="network"),
        pytest.param("192.0.2.77/24", "192.0.2.0/24", id="host bits are cut off"),
        pytest.param("192.0.2.0", "192.0.2.0", id="a zero at the end is a host's"),
        pytest.param("192.0.2.1/32", "192.0.2.1", id="all bits"),
        pytest.param("192.0.2.1/0", "0.0.0.0/0", id="no bits"),
        pytest.param("2001:db8::1/64", "2001:db8::/64", id="IPv6"),
        pytest.param("2001:db8::1/128", "2001:db8::1", id="IPv6, all bits"),
        pytest.param("::/0", "::/0", id="IPv6, everybody"),
        pytest.param("::ffff:192.0.2.1/120", "192.0.2.0/24", id="mapped: 96 bits less"),
        pytest.param("::ffff:0:0/96", "0.0.0.0/0", id="mapped: all of IPv4"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="mapped host"),
        pytest.param("fe80::1%eth0/64", "fe80::%eth0/64", id="link-local"),
    ],
)
def test_what_a_network_means(text: str, spelled: str) -> None:
    assert str(Network.parse(text)) == spelled


@pytest.mark.parametrize(
    "text",
    ["192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/255.255.255.0", "192.0.2.0/x", "2001:db8::/129", "192.0.2.0/\u00b2",
     "::ffff:192.0.2.0/95", "/24", "192.0.2.0/+8", "192.0.2.0/ 8", "192.0.2.0/8/8", "192.0.2.0/" + "9" * 5000],
)  # fmt: skip
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Network.parse(text)


@given(networks())
def test_a_network_is_read_back_from_its_text(network: Network) -> None:
    assert Network.parse(str(network)) == network


@given(networks(), sources())
def test_a_network_holds_what_the_library_says(network: Network, source: Address) -> None:
    plain = ipaddress.ip_network(f"{str(network).partition('/')[0].partition('%')[0]}/{network.length}")
    inside = source.version == network.version and ipaddress.ip_address(source.text.partition("%")[0]) in plain
    assert network.holds(source) is (inside and network.scope in ("", source.scope))


@given(st.lists(networks(), max_size=8), sources(), st.integers(0, 128))
def test_the_longest_match_is_that_of_the_narrowest_network_that_holds_it(
    listed: list[Network], source: Address, length: int
) -> None:
    listed.append(Network.of(source, min(length, BITS[source.version])))
    fitting = [network.length for network in listed if network.holds(source)]
    assert AddressSet(tuple(listed)).longest_match(source) == max(fitting)
    rest = [network for network in listed if not network.holds(source)]
    assert AddressSet(tuple(rest)).longest_match(source) is None
    assert source not in AddressSet(tuple(rest))


@pytest.mark.parametrize(
    ("names", "name", "match"),
    [
        pytest.param(("a.example",), "a.example", 32, id="host"),
        pytest.param(("a.example",), "A.EXAMPLE.", 32, id="case and final dot"),
        pytest.param((".example",), "a.example", 31, id="domain"),
        pytest.param((".example",), "example", None, id="the domain's own name"),
        pytest.param((".example",), "badexample", None, id="no domain"),
        pytest.param((".example", "a.example"), "a.example", 32, id="host before domain"),
        pytest.param(("a.example",), "b.a.example", None, id="below a host"),
        pytest.param((".example",), "", None, id="no name"),
        pytest.param((), "a.example", None, id="no names"),
    ],
)
def test_names(names: tuple[str, ...], name: str, match: int | None) -> None:
    assert AddressSet((), names).name_match(Address.parse("192.0.2.1"), name) == match


def test_everyone_nobody_and_both() -> None:
    one, other = AddressSet((Network.parse("192.0.2.1"),)), AddressSet((Network.parse("2001:db8::/32"),), ("a.b",))
    for text in ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"):
        assert Address.parse(text) in EVERYONE
        assert Address.parse(text) not in NOBODY
    both = union([one, other])
    assert (Address.parse("192.0.2.1") in both, Address.parse("2001:db8::1") in both, both.names) == (
        True,
        True,
        ("a.b",),
    )
    assert [bool(known) for known in (EVERYONE, NOBODY, other, AddressSet((), ("a.b",)))] == [True, False, True, True]
