"""When a datagram service keeps silent: it must neither talk to its like for ever nor flood whom a forger names."""

from __future__ import annotations

from collections.abc import Container

ANSWERING = frozenset({7, 13, 17, 19, 37})
"""Ports whose services answer any datagram: echo, daytime, qotd, chargen, time."""

MOST_ANSWERS = 50
"""Answers to one source in one second: as many as connections without `cps`."""
MOST_SOURCES = 4096
"""Sources answered in one second."""


def would_loop(port: int, own: Container[int]) -> bool:
    """Whether what sent from *port* would answer our answer: a service of the kind, one of our own (*own*: the ports of
    our datagram services), or port 0, from which nobody asks."""
    return not port or port in ANSWERING or port in own


class Pace:
    """Counts answers by source, second by second; what it remembers is bounded."""

    def __init__(self, answers: int = MOST_ANSWERS, sources: int = MOST_SOURCES) -> None:
        self._answers = answers
        self._sources = sources
        self._second = 0
        self._given: dict[str, int] = {}

    def allows(self, source: str, now: float) -> bool:
        """Whether *source* may be given an answer at *now* (seconds of any clock that does not go back); if so, it is
        counted as given."""
        if int(now) != self._second:
            self._second = int(now)
            self._given.clear()
        given = self._given.get(source, 0)
        if given >= self._answers or (not given and len(self._given) >= self._sources):
            return False
        self._given[source] = given + 1
        return True
