"""Children that have ended are collected: servers for the engine, processes of our own for whoever keeps them.

While servers are ordered, that is done in rounds: many ends, and the spawner's answers, wake the guard once. To be
woken for each would cost as much as to let its client in, and whoever comes then would have to wait for it. At rest
SIGCHLD and the spawner are heeded as they come.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from sentinetd.daemon.companion import Companion
from sentinetd.daemon.launcher import Launcher
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import Ended
from sentinetd.spawn.protocol import EXEC_STATUS, SETUP_STATUS

TROUBLED = frozenset({SETUP_STATUS << 8, EXEC_STATUS << 8})
"""How a server ends that never began, as wait(2) gives it; so may any other."""
ROUND = 0.005
"""Seconds from an order to the next round, at most: so much longer a server may seem to have run."""


class Reaper:
    """*companions* are our own processes, each with what is told how it ended; *ended* is told of servers, together.
    *engine* knows whether somebody waits for the end of one, so that there is no waiting for a round. *stirred* is told
    whenever a child may have changed."""

    def __init__(
        self,
        loop: Loop,
        launcher: Launcher,
        companions: list[tuple[Companion, Callable[[str], None]]],
        ended: Callable[[Sequence[Ended]], None],
        engine: Engine,
        stirred: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._launcher = launcher
        self._companions = companions
        self._ended = ended
        self._engine = engine
        self._stirred = stirred
        self._orders = 0  # since the last round
        self._round: Moment | None = None  # the next one; None: at rest
        self._held = False  # SIGCHLD waits

    def ordered(self) -> None:
        """A server was ordered: there is something to see before long."""
        self._orders += 1
        if self._round is None:
            self._round = self._loop.after(ROUND, self._go_round)
            self._launcher.watch(False)
        if self._held is self._engine.lends:
            self._hold(not self._held)

    def _go_round(self) -> None:
        """Look what became of what was ordered; once more before long, if not all of it has ended."""
        orders, self._orders = self._orders, 0
        self._round = None
        self._loop.pass_over(signal.SIGCHLD)
        ended = self.reap()
        if self._round is None and ended < orders:
            self._round = self._loop.after(ROUND, self._go_round)
        self._launcher.watch(self._round is None)
        if self._round is None:
            self._hold(False)

    def _hold(self, wanted: bool) -> None:
        """Be woken by the end of a child, or not."""
        if wanted != self._held:
            self._held = wanted
            (self._loop.hold if wanted else self._loop.release)(signal.SIGCHLD)

    def reap(self) -> int:
        """Collect every child that has ended, and learn what the spawner has said; how many have ended."""
        self._stirred()
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
        self._launcher.hear(awaited=not troubled)  # whose they are, and what kept them from serving
        if not gone:
            return 0
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
        if servers:
            self._ended(servers)
        return len(gone)


def how(code: int, number: int) -> str:
    """How a process has ended, in words: by exit status *code* or by the signal *number*."""
    if not number:
        return f"exit status {code}"
    return f"killed by {next((one.name for one in signal.Signals if one == number), f'signal {number}')}"
