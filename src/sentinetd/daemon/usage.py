"""Which ports are in use: those at which some program listens, or did not long ago.

A server that is started anew does not listen for a moment, one of ours that is paused for seconds, one that crashed
until somebody comes: whoever asks for it meanwhile touches nothing that is unused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sentinetd.model.aim import InUse
from sentinetd.net.sock_diag import TCP, Listening, listening

GRACE = 3600.0
"""Seconds for which a port stays in use after somebody was last seen to listen there."""


class Usage:
    """*clock* gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[InUse, float] = {}

    def look(self) -> frozenset[InUse]:
        """What is in use now. `NetlinkError` if the kernel does not tell."""
        now = self._clock()
        self._seen.update((one, now) for one in in_use(listening()))
        for one in [one for one, seen in self._seen.items() if now - seen > GRACE]:
            del self._seen[one]
        return frozenset(self._seen)


def in_use(sockets: Iterable[Listening]) -> Iterator[InUse]:
    """What is in use by TCP *sockets*, for the IP versions that each of them takes."""
    for one in sockets:
        if one.protocol != TCP:
            continue
        if one.address.value:
            yield InUse(one.address.version, one.address.value, one.port)
            continue
        yield InUse(one.address.version, None, one.port)
        if one.address.version == 6 and not one.v6only:
            yield InUse(4, None, one.port)
