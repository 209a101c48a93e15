"""What the guard knows of time and load, read no more often than it can change."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from stat import S_ISREG

from sentinetd.daemon.loop import boottime
from sentinetd.policy.inputs import Moment

LOAD_AGE = 1.0
"""Seconds for which a load average is used; the kernel reckons it anew every five."""


NULL = os.makedev(1, 3)
"""The device /dev/null (null(4)), which a table may be a link to where none is wanted."""
HOSTS_ACCESS = ("/etc/hosts.allow", "/etc/hosts.deny")


class Tables:
    """Whether hosts.allow or hosts.deny has rules at all: most hosts have none, and need not ask each time."""

    def __init__(self, paths: Sequence[str] = HOSTS_ACCESS) -> None:
        self._paths = paths
        self._seen: list[tuple[int, int, int] | None] | None = None
        self._rules = False

    def have_rules(self) -> bool:
        """Look again; a file that cannot be read counts as one with rules, which cannot be judged then."""
        seen = [_stamp(path) for path in self._paths]
        if seen != self._seen:
            self._seen = seen
            self._rules = any(_has_rules(path) for path in self._paths)
        return self._rules


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _has_rules(path: str) -> bool:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not S_ISREG(found.st_mode):
                return found.st_rdev != NULL
            return any(line.strip() and not line.startswith(b"#") for line in file)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _without_waiting(path: str, flags: int) -> int:
    """A descriptor of *path*, also of a FIFO that nobody writes to."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


class Clock:
    """Gives the `Moment` of an input. *load_wanted*: some service has max_load; *tables_wanted*: some service is judged
    by hosts.allow and hosts.deny."""

    def __init__(self) -> None:
        self.load_wanted = False
        self.tables_wanted = False
        self._tables = Tables()
        self._minute_began = math.inf  # when *minute* began, by Unix time
        self._minute = 0
        self._load = 0.0
        self._load_until = -math.inf

    def moment(self) -> Moment:
        """Now, in all ways that decisions need."""
        now, wall = boottime(), time.time()
        if not self._minute_began <= wall < self._minute_began + 60.0:
            local = time.localtime(wall)
            self._minute_began = wall // 60.0 * 60.0
            self._minute = local.tm_hour * 60 + local.tm_min
        if self.load_wanted and now >= self._load_until:
            self._load = load_average()
            self._load_until = now + LOAD_AGE
        # Two calls of stat(2) each time: a rule holds for the first connection after it was written (hosts_access(5)).
        return Moment(now, wall, self._minute, self._load, self.tables_wanted and self._tables.have_rules())


def load_average() -> float:
    """The load average of the last minute, infinite where it cannot be read (proc(5), /proc/loadavg)."""
    try:
        with open("/proc/loadavg", "rb") as file:
            return float(file.read(64).split(b" ", 1)[0])
    except (OSError, ValueError):
        return math.inf
