"""Children that have ended are collected: servers for the engine, processes of our own for whoever keeps them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from sentinetd.daemon.companion import Companion
from sentinetd.daemon.launcher import Launcher
from sentinetd.policy.inputs import Ended
from sentinetd.spawn.protocol import EXEC_STATUS, SETUP_STATUS

TROUBLED = frozenset({SETUP_STATUS << 8, EXEC_STATUS << 8})
"""How a server ends that never began, as wait(2) gives it; so may any other."""


class Reaper:
    """*companions* are our own processes, each with what is told how it ended; *ended* is told of servers, together."""

    def __init__(
        self,
        launcher: Launcher,
        companions: list[tuple[Companion, Callable[[str], None]]],
        ended: Callable[[list[Ended]], None],
    ) -> None:
        self._launcher = launcher
        self._companions = companions
        self._ended = ended
        self.mourns = False
        """A child has ended and is not collected yet."""

    def reap(self) -> None:
        """Collect every child that has ended."""
        self.mourns = False
        gone: list[tuple[int, int]] = []  # process id, and status as wait(2) gives it
        troubled = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            gone.append((pid, status))
            troubled = troubled or status in TROUBLED
        if not gone:
            return
        self._launcher.hear(awaited=not troubled)  # whose they are, and what kept them from serving
        ours = {companion.pid: reaped for companion, reaped in self._companions}
        servers: list[Ended] = []
        for pid, status in gone:
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            code = -1 if number else os.WEXITSTATUS(status)
            if pid in ours:
                ours[pid](how(code, number))
            elif self._launcher.owns(pid):
                self._launcher.reaped(pid, how(code, number))
            else:
                servers.append(Ended(pid, code, number))
        self._ended(servers)


def how(code: int, number: int) -> str:
    """How a process has ended, in words: by exit status *code* or by the signal *number*."""
    if not number:
        return f"exit status {code}"
    return f"killed by {next((one.name for one in signal.Signals if one == number), f'signal {number}')}"
