"""What the guard knows of time and load, read no more often than it can change."""

from __future__ import annotations

import math
import time

from sentinetd.daemon.loop import boottime
from sentinetd.policy.inputs import Moment

LOAD_AGE = 1.0
"""Seconds for which a load average is used; the kernel reckons it anew every five."""


class Clock:
    """Gives the `Moment` of an input. *load_wanted*: some service has max_load."""

    def __init__(self) -> None:
        self.load_wanted = False
        self._minute_of = -1
        self._minute = 0
        self._load = 0.0
        self._load_until = -math.inf

    def moment(self) -> Moment:
        """Now, in all ways that decisions need."""
        now, wall = boottime(), time.time()
        if int(wall) // 60 != self._minute_of:
            local = time.localtime(wall)
            self._minute_of = int(wall) // 60
            self._minute = local.tm_hour * 60 + local.tm_min
        if self.load_wanted and now >= self._load_until:
            self._load = load_average()
            self._load_until = now + LOAD_AGE
        return Moment(now, wall, self._minute, self._load)


def load_average() -> float:
    """The load average of the last minute, infinite where it cannot be read (proc(5), /proc/loadavg)."""
    try:
        with open("/proc/loadavg", "rb") as file:
            return float(file.read(64).split(b" ", 1)[0])
    except (OSError, ValueError):
        return math.inf
