from __future__ import annotations

import pytest

from sentinetd.firewall import tables as tb
from sentinetd.firewall.elements import LONGEST, bare, timed, times_in
from sentinetd.firewall.framing import attribute, nested, number
from sentinetd.firewall.netfilter import Answer
from sentinetd.model.address import Network

FOUR, SIX = Network.parse("192.0.2.7"), Network.parse("2001:db8::/64")


def slowly(key: bytes, milliseconds: int) -> bytes:
    return nested(1, nested(1, attribute(1, key)), number(4, milliseconds, 8), number(5, milliseconds, 8))


@pytest.mark.parametrize("network", [FOUR, SIX], ids=str)
def test_an_element_is_what_framing_makes_of_it(network: Network) -> None:
    key = network.value.to_bytes(4 if network.version == 4 else 16, "big")
    assert bare(network.version, network.value) == tb.element(key)
    assert timed(network, 1.5) == slowly(key, 1500)


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [
        pytest.param(1e-9, 1, id="never nothing: that would be for ever"),
        pytest.param(3600, 3_600_000, id="an hour"),
        pytest.param(1e30, LONGEST, id="longer than the kernel counts"),
    ],
)
def test_ends(seconds: float, milliseconds: int) -> None:
    assert timed(FOUR, seconds) == slowly(bytes([192, 0, 2, 7]), milliseconds)
    told = Answer(tb.NEW_ELEMENTS, 1, nested(3, timed(FOUR, seconds)), 0)
    assert list(times_in(told)) == [milliseconds / 1000]
