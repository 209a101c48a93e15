"""The system calls of running processes, counted by strace(1)."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cost.subject import WITHIN, status
from rig.deadline import wait_for

WAITING = frozenset(
    {"epoll_wait", "epoll_pwait", "epoll_ctl", "poll", "ppoll", "select", "pselect6", "futex", "restart_syscall"}
)
"""Calls that wait for something to do, look whether there is something, or say what is to be waited for."""
_CALL = re.compile(r"(?P<name>\w+)\(.* = (?P<result>-?\w+|\?)(?: .*)?")


@dataclass(slots=True)
class Calls:
    """How often a process made which call: *work*, and *looks*, which found nothing or waited. How many looks there are
    depends on who runs when, but no more than so many per connection are ever needed."""

    work: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)

    def read(self, trace: str) -> None:
        """Count the lines of strace's output."""
        for line in trace.splitlines():
            found = _CALL.fullmatch(line)
            if found is None:
                continue  # a signal, or what was under way when the trace ended
            name, result = found["name"], found["result"]
            fruitless = (result == "-1" and name != "rt_sigreturn") or (name == "wait4" and result == "0")
            (self.looks if name in WAITING or fruitless else self.work)[name] += 1


@contextmanager
def traced(directory: Path, pids: Mapping[str, int]) -> Iterator[dict[str, Calls]]:
    """Count the calls of processes while the block runs; *pids* by what they are for, *directory* for notes. The counts
    are there after the block."""
    counted = {role: Calls() for role in pids}
    with ExitStack() as stack:
        for role, pid in pids.items():
            stack.enter_context(_trace(directory / f"{role}.trace", pid))
        yield counted
    for role, calls in counted.items():
        calls.read((directory / f"{role}.trace").read_text())


def births(directory: Path, pid: int, work: Callable[[], object]) -> list[Calls]:
    """The calls of each process that *pid* makes while *work* is done, before its first execve(2)."""
    notes = directory / "births"
    with _trace(notes, pid, "-ff"):
        work()
    found = []
    for path in sorted(directory.glob(f"{notes.name}.*")):
        before, executed, _ = path.read_text().partition("execve(")
        if executed:
            found.append(Calls())
            found[-1].read(before)
    return found


@contextmanager
def _trace(notes: Path, pid: int, *more: str) -> Iterator[None]:
    words = ["strace", "-qq", *more, "-s", "0", "-e", "signal=none", "-o", str(notes), "-p", str(pid)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        try:
            wait_for(lambda: status(pid, "TracerPid") != "0" or tracer.poll() is not None, "strace to attach", WITHIN)
            assert tracer.poll() is None, f"strace cannot attach to process {pid}: may this root use ptrace(2)?"
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(WITHIN)
