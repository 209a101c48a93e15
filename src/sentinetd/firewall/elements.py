"""Elements of sets, written fast: a flood of trips or a whole list of bans is made of them.

The bytes are those of `framing`, put together once for each IP version instead of for each element.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from sentinetd.firewall.framing import ATTRIBUTE, NESTED, attributes
from sentinetd.firewall.netfilter import Answer
from sentinetd.model.address import BITS, Network

KEY, TIMEOUT, EXPIRATION, VALUE = 1, 4, 5, 1  # NFTA_SET_ELEM_*, NFTA_DATA_VALUE
LONGEST = 10**12
"""Milliseconds, some 31 years: the kernel takes no more than what fits its clock's ticks."""

_SIZE = {version: bits // 8 for version, bits in BITS.items()}
_TIMES = 2 * (ATTRIBUTE.size + 8)


def _head(version: int, times: int) -> bytes:
    """An element's three headers: of itself, of its key, of the key's value."""
    value = ATTRIBUTE.size + _SIZE[version]
    key = ATTRIBUTE.size + value
    return (
        ATTRIBUTE.pack(ATTRIBUTE.size + key + times, 1 | NESTED)
        + ATTRIBUTE.pack(key, KEY | NESTED)
        + ATTRIBUTE.pack(value, VALUE)
    )


_BARE = {version: _head(version, 0) for version in BITS}
_TIMED = {version: _head(version, _TIMES) for version in BITS}
_BEFORE_TIMEOUT = ATTRIBUTE.pack(ATTRIBUTE.size + 8, TIMEOUT)
_BEFORE_EXPIRATION = ATTRIBUTE.pack(ATTRIBUTE.size + 8, EXPIRATION)


def bare(version: int, value: int) -> bytes:
    """The element for the address or network *value*, without an end."""
    return _BARE[version] + value.to_bytes(_SIZE[version], "big")


def timed(network: Network, seconds: float) -> bytes:
    """The element for *network* that ends in *seconds*, whole milliseconds of it, begun ones counted; the kernel cuts
    them to its ticks, of 10 milliseconds at most.

    The end is said twice, as the span and as what is left of it: a kernel that updates elements updates nothing when
    the span alone is the same as before.
    """
    version = network.version
    left = min(max(1, math.ceil(seconds * 1000)), LONGEST).to_bytes(8, "big")
    key = network.value.to_bytes(_SIZE[version], "big")
    return _TIMED[version] + key + _BEFORE_TIMEOUT + left + _BEFORE_EXPIRATION + left


def times_in(answer: Answer) -> Iterator[float]:
    """The spans, in seconds, of the elements in an answer."""
    rows = dict(attributes(answer.body)).get(3, b"")
    for _, row in attributes(rows):
        yield int.from_bytes(dict(attributes(row)).get(TIMEOUT, b""), "big") / 1000
