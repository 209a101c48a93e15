"""Networks that lie within others of the same list, left out: not every reader takes entries that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sentinetd.model.address import BITS, Network
from sentinetd.model.ban import Ban
from sentinetd.model.noun import replace


def collapsed(bans: Iterable[Ban]) -> Iterator[Ban]:
    """*bans*, which come in the order of their networks (version, first address, length), without those that lie in
    one of the others; that one lasts as long as the last of them.

    What has a scope is left out: an interface means something on its own host only.
    """
    outer: Ban | None = None
    for ban in bans:
        if ban.network.scope:
            continue
        if outer is not None and within(ban.network, outer.network):
            if ban.until > outer.until:
                outer = replace(outer, until=ban.until)
            continue
        if outer is not None:
            yield outer
        outer = ban
    if outer is not None:
        yield outer


def within(inner: Network, outer: Network) -> bool:
    """Whether all addresses of *inner* are in *outer*, leaving interfaces aside."""
    shift = BITS[outer.version] - outer.length
    same = inner.version == outer.version and inner.length >= outer.length
    return same and inner.value >> shift == outer.value >> shift
