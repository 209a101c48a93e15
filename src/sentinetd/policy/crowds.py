"""Exempt sources that touch sensors again and again: they may pass on the connections of many, whom nobody can tell
apart then. A load balancer or a gateway that puts its own address in place of its clients' is never banned, and so
nobody behind it is; the operator is told what to do about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from sentinetd.model.address import Address
from sentinetd.model.events import Level, Notice
from sentinetd.policy.effects import Effect, Report
from sentinetd.policy.inputs import Moment
from sentinetd.policy.tally import Recent

MANY = 20
"""Touches within a minute."""
MINUTE = 60.0
SOURCES = 1000
"""Sources that are counted within a minute."""
TELL_AGAIN_AFTER = 3600.0
"""Seconds for which one source is not told of again."""


class Crowds:
    """Counts the touches of exempt sources, minute by minute."""

    def __init__(self) -> None:
        self._touches: dict[Address, int] = {}
        self._since = -math.inf
        self._told = Recent(TELL_AGAIN_AFTER, SOURCES)

    def touched(self, source: Address, now: Moment) -> Iterator[Effect]:
        """An exempt *source* touched a sensor; tell if it did so too often."""
        if now.now - self._since >= MINUTE:
            self._since = now.now
            self._touches.clear()
        touches = self._touches.get(source, 0) + 1
        if touches == 1 and len(self._touches) >= SOURCES:
            return
        self._touches[source] = touches
        if touches == MANY and self._told.first(source, now.now):
            text = (
                f"{source}, which is never banned, touched sensors {MANY} times within a minute. If it passes on the "
                "connections of others, have it announce them and list it in proxy_protocol, or have it keep their "
                "addresses: as it is, none of them can be banned"
            )
            yield Report(Notice(now.wall, Level.WARNING, text))
