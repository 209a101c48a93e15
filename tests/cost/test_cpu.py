"""How much CPU time the daemon takes for a connection, beside programs that do the same and no more.

For what no count shows: a slower way through the kernel, memory that no longer fits a cache. Who is measured and who is
compared take turns in the same seconds, each with a queue of clients that came while it stood still (`Queue`), and the
median of the ratios is judged. CPU time, not time: who else runs hardly changes it.

`MEASURED` is the median of these medians over 50 runs on a machine of two CPUs that was busy with other tests, *spread*
their standard deviation as a share of it. `MARGIN` is more than five of the widest away, and still finds a doubling.
To measure anew: ``pytest -s -n 0 tests/cost/test_cpu.py`` prints every ratio.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path

import pytest

from cost.subject import (
    OUTSIDER,
    PEACEFUL,
    REFUSE,
    SENSOR,
    SERVE,
    Maker,
    Queue,
    await_bans,
    begun,
    intruders,
    roles,
)
from rig.daemon import Daemon
from rig.network import Lab

LOOP = Path(__file__).with_name("loop.py")
BESIDE = 4600
"""Port of who is compared."""
NOBODY = 65534
MARGIN = 1.6


@dataclass(frozen=True, slots=True)
class Measured:
    """A ratio as it was found, and how it is found: *rounds* of *clients* each."""

    ratio: float
    spread: float
    clients: int
    rounds: int


REFUSAL = Measured(4.1, 0.1, clients=200, rounds=21)
"""The guard's refusal to a Python loop's accept and close."""
TRIP = Measured(16.0, 0.1, clients=200, rounds=15)
"""Guard and courier at a trip, until it is stored and logged, to the same."""
SERVED = Measured(3.0, 0.1, clients=50, rounds=21)
"""Guard and spawner, to a loop in C with vfork and exec; what servers themselves use is in neither."""


def used(*pids: int) -> float:
    """CPU seconds of processes up to now: their clocks are by number (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


@dataclass(frozen=True, slots=True)
class Side:
    """Whose CPU time is taken, *pids*, for clients from *sources* at *port* of the first of them; each hears *answer*,
    and *done* waits for what follows."""

    lab: Lab
    pids: Sequence[int]
    port: int
    sources: Iterator[str]
    answer: bytes = b""
    done: Callable[[], None] = lambda: None

    def each(self, clients: int) -> float:
        """CPU seconds for one of so many clients."""
        queue = Queue(self.lab, self.pids[0], self.port, [next(self.sources) for _ in range(clients)])
        before = used(*self.pids)
        assert queue.serve() == [self.answer] * clients
        self.done()
        return (used(*self.pids) - before) / clients


def judge(ours: Side, beside: Side, measured: Measured) -> None:
    """Take turns; the median of the ratios is within its bound."""
    pairs = [(ours.each(measured.clients), beside.each(measured.clients)) for _ in range(measured.rounds)]
    print(", ".join(f"{mine * 1e6:.1f} / {other * 1e6:.1f} us" for mine, other in pairs))
    found = statistics.median(mine / other for mine, other in pairs)
    print(f"ratio {found:.2f}, measured {measured.ratio}")
    assert found <= MARGIN * measured.ratio, f"{found:.2f} times the CPU time, not about {measured.ratio}: {pairs}"


@contextmanager
def running(lab: Lab, *words: str) -> Iterator[int]:
    """The process id of a program that says when it is ready, on the lab's host."""
    command = lab.host.command(*words)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", words
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def daemon(make_daemon: Maker, lab: Lab, hello: Path) -> Daemon:
    return begun(make_daemon, lab, hello)


@pytest.fixture
def loop(lab: Lab) -> Iterator[Side]:
    """A loop in Python that accepts and hangs up."""
    with running(lab, sys.executable, "-I", "-S", str(LOOP), str(BESIDE)) as pid:
        yield Side(lab, [pid], BESIDE, repeat(OUTSIDER))


def test_a_refusal(lab: Lab, daemon: Daemon, loop: Side) -> None:
    judge(Side(lab, [daemon.pid], REFUSE, repeat(OUTSIDER)), loop, REFUSAL)


def test_a_trip(lab: Lab, daemon: Daemon, loop: Side) -> None:
    found = roles(daemon)
    kept = count(1 + TRIP.clients, TRIP.clients)  # one source has touched the sensor already
    strangers = intruders(TRIP.clients * TRIP.rounds)
    both = [found["guard"], found["courier"]]
    judge(Side(lab, both, SENSOR, strangers, done=lambda: await_bans(daemon, next(kept))), loop, TRIP)


def test_whoever_is_served(lab: Lab, daemon: Daemon, programs: Path) -> None:
    found = roles(daemon)
    hello, limit = str(programs / "hello"), str(programs / "limit")
    with running(lab, limit, str(BESIDE), str(NOBODY), hello) as pid:
        serving = Side(lab, [found["guard"], found["spawner"]], SERVE, repeat(PEACEFUL), b"hello\n")
        judge(serving, Side(lab, [pid], BESIDE, repeat(PEACEFUL), b"hello\n"), SERVED)
