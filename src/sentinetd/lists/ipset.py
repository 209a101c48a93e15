"""A script for ``ipset restore`` (ipset(8)): two sets are filled beside the old ones and swapped with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from sentinetd.lists.collapse import collapsed
from sentinetd.lists.head import Head, end, remarks
from sentinetd.model.ban import Ban

SETS = {4: ("sentinetd4", "inet"), 6: ("sentinetd6", "inet6")}
LONGEST = 2_147_483
"""Seconds that an element's timeout may have; 0 is none."""
MOST = 1_048_576
"""Elements that a set may have."""


def ipset(bans: Iterable[Ban], head: Head) -> Iterator[str]:
    """The script. Bans end by themselves also where no newer list comes, the longest ones too soon (`LONGEST`)."""
    yield from remarks(head, "banned networks, for ipset restore")
    for name, family in SETS.values():
        for one in (name, f"{name}-new"):
            yield f"create {one} hash:net family {family} maxelem {MOST} timeout 0 -exist"
        yield f"flush {name}-new"
    count = 0
    for ban in collapsed(bans):
        if ban.network.length:  # hash:net takes no network of all addresses
            count += 1
            yield f"add {SETS[ban.network.version][0]}-new {ban.network} timeout {_timeout(ban, head.at)}"
    for name, _ in SETS.values():
        yield f"swap {name}-new {name}"
        yield f"destroy {name}-new"
    yield end(count)


def _timeout(ban: Ban, now: float) -> int:
    return 0 if math.isinf(ban.until) else min(max(1, math.ceil(ban.until - now)), LONGEST)
