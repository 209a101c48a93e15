"""One network a line: what every firewall with an external list reads (an address, or address/bits; ``#`` comments)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sentinetd.lists.collapse import collapsed
from sentinetd.lists.head import Head, end, remarks
from sentinetd.model.ban import Ban


def plain(bans: Iterable[Ban], head: Head) -> Iterator[str]:
    """The networks, those within others left out."""
    yield from remarks(head, "banned networks")
    count = 0
    for ban in collapsed(bans):
        count += 1
        yield str(ban.network)
    yield end(count)
