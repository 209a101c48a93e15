"""A script for ``nft -f`` (nft(8)): two sets in a table of their own are filled anew, in one transaction.

It makes no rule: what is to happen to the sets' members is the other host's to say, as in
``nft add rule inet filter input ip saddr @banned4 drop`` with the sets in a table of that name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from sentinetd.lists.collapse import collapsed
from sentinetd.lists.head import Head, end, remarks
from sentinetd.model.ban import Ban

TABLE = "inet sentinetd_feed"
SETS = {4: "banned4", 6: "banned6"}
LONGEST = 4_294_967
"""Seconds that an element's timeout may have: milliseconds in 32 bits."""
AT_ONCE = 1000
"""Elements of one command; a command's length is bounded."""


def nft(bans: Iterable[Ban], head: Head) -> Iterator[str]:
    """The script. Bans end by themselves also where no newer list comes."""
    yield from remarks(head, "banned networks, for nft -f")
    yield f"add table {TABLE}"
    for version, name in SETS.items():
        yield f"add set {TABLE} {name} {{ type ipv{version}_addr; flags interval, timeout; }}"
        yield f"flush set {TABLE} {name}"
    count = 0
    waiting: list[str] = []
    version = 4
    for ban in collapsed(bans):
        count += 1
        if waiting and (ban.network.version != version or len(waiting) == AT_ONCE):
            yield _add(version, waiting)
            waiting = []
        version = ban.network.version
        waiting.append(_element(ban, head.at))
    if waiting:
        yield _add(version, waiting)
    yield end(count)


def _add(version: int, elements: list[str]) -> str:
    return f"add element {TABLE} {SETS[version]} {{ {', '.join(elements)} }}"


def _element(ban: Ban, now: float) -> str:
    if math.isinf(ban.until):
        return str(ban.network)
    return f"{ban.network} timeout {min(max(1, math.ceil(ban.until - now)), LONGEST)}s"
