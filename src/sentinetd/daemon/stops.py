"""Processes of ours that somebody has stopped: whoever may send them a signal could have the daemon hang by that.

One that stays stopped is killed, and its owner does what he does after any death: begins another.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress

from sentinetd.daemon.loop import Loop
from sentinetd.model.events import Level

LOOK_AFTER = 2.0
"""Seconds after a child has changed in which we look, once for all that change meanwhile."""
PATIENCE = 5.0
"""Seconds for which a process may be stopped after that, as by a debugger."""


class Stops:
    """*ours* gives our process numbers by name, 0 for one that does not run; *notice* has a sentence written."""

    def __init__(self, loop: Loop, ours: Callable[[], Mapping[str, int]], notice: Callable[[Level, str], None]) -> None:
        self._loop = loop
        self._ours = ours
        self._notice = notice
        self._looks = False  # before long
        self._stopped: frozenset[int] = frozenset()  # process numbers, as of the last look

    def stir(self) -> None:
        """A child has ended, or was stopped: the kernel says the same of both (SIGCHLD)."""
        if not self._looks:
            self._looks = True
            self._loop.after(LOOK_AFTER, self._look)

    def _look(self) -> None:
        stopped = {pid: name for name, pid in self._ours().items() if pid and _stopped(pid)}
        for pid in self._stopped & stopped.keys():
            self._notice(Level.ERROR, f"process {stopped.pop(pid)}: stopped for {PATIENCE:.0f} seconds; it is killed")
            with suppress(PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._stopped = frozenset(stopped)
        self._looks = bool(stopped)
        if stopped:
            self._loop.after(PATIENCE, self._look)


def _stopped(pid: int) -> bool:
    """Whether our child *pid* is stopped (waitid(2)); nothing that is told elsewhere is taken."""
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False
