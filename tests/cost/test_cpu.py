"""How much CPU time the daemon takes for a connection, beside programs that do the same and no more.

For what no count shows: a slower way through the kernel, memory that no longer fits a cache. Who is measured and who is
compared take turns in the same seconds, each with a queue of clients that came while it stood still (`Queue`), and the
median of the ratios is judged. CPU time, not time: who else runs hardly changes it. Those who are compared use as much
of it in the interpreter and in the kernel as a refusal does, so that the ratio is about the same on another machine.

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
LOOP_PORT, LIMIT_PORT = 4600, 4601
NOBODY = 65534
MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Measured:
    """A ratio as it was found, and how it is found: *rounds* of *clients* each.

    *ratio* is the median of 14 to 60 tests on a machine of two CPUs that others wanted, too; *spread* their standard
    deviation as a share of it. `MARGIN` is five of the widest away, and still finds a doubling.
    """

    ratio: float
    spread: float
    clients: int
    rounds: int


REFUSAL = Measured(1.15, 0.06, clients=200, rounds=21)
"""The guard's refusal to a loop in Python that decides something and hangs up."""
TRIP = Measured(3.1, 0.08, clients=200, rounds=15)
"""Guard and courier at a trip, until it is stored and logged, to the same."""
SERVED = Measured(1.45, 0.10, clients=50, rounds=21)
"""Guard and spawner, to the same and a loop in C with vfork and exec; what servers themselves use is in neither. Where
others want all CPUs, servers are ordered and end many at a time, and it is half of this."""


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


def pair(ours: Side, beside: Sequence[Side], clients: int) -> tuple[float, float]:
    """CPU seconds of us, and of all those beside, for one client each."""
    return ours.each(clients), sum(side.each(clients) for side in beside)


def judge(ours: Side, beside: Sequence[Side], measured: Measured) -> None:
    """Take turns; the median of the ratios is within its bound."""
    pairs = [pair(ours, beside, measured.clients) for _ in range(measured.rounds)]
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
    """A loop in Python that refuses."""
    with running(lab, sys.executable, "-I", "-S", str(LOOP), str(LOOP_PORT)) as pid:
        yield Side(lab, [pid], LOOP_PORT, repeat(OUTSIDER))


@pytest.fixture
def limit(lab: Lab, programs: Path) -> Iterator[Side]:
    """A loop in C that starts servers."""
    with running(lab, str(programs / "limit"), str(LIMIT_PORT), str(NOBODY), str(programs / "hello")) as pid:
        yield Side(lab, [pid], LIMIT_PORT, repeat(PEACEFUL), b"hello\n")


def test_a_refusal(lab: Lab, daemon: Daemon, loop: Side) -> None:
    judge(Side(lab, [daemon.pid], REFUSE, repeat(OUTSIDER)), [loop], REFUSAL)


def test_a_trip(lab: Lab, daemon: Daemon, loop: Side) -> None:
    found = roles(daemon)
    kept = count(1 + TRIP.clients, TRIP.clients)  # one source has touched the sensor already
    strangers = intruders(TRIP.clients * TRIP.rounds)
    both = [found["guard"], found["courier"]]
    judge(Side(lab, both, SENSOR, strangers, done=lambda: await_bans(daemon, next(kept))), [loop], TRIP)


def test_whoever_is_served(lab: Lab, daemon: Daemon, loop: Side, limit: Side) -> None:
    found = roles(daemon)
    both = [found["guard"], found["spawner"]]
    judge(Side(lab, both, SERVE, repeat(PEACEFUL), b"hello\n"), [loop, limit], SERVED)
