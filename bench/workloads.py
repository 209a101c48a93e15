"""What is measured, and one measurement of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import processes
from contenders import OUTSIDER, BenchError, Door, Kind, Running

HELLO = 6
"""Bytes that the server says."""
BANNED_SOURCE = "127.0.0.2"
FIRST_INTRUDER = "127.1.0.1"
KEPT_WITHIN = 60.0
"""Seconds that a daemon has, after the last trip, until all are logged and stored."""
BOTH = (Kind.XINETD, Kind.SENTINETD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Clients at one service of every one of *kinds* in turn: each client connects again as soon as it was served.

    *expected* bytes come from the server; *source* is where clients connect from; *logged* is a word that the service
    log has once for each connection, if it is to be looked for.
    """

    name: str
    door: Door
    clients: int
    expected: int = 0
    source: str = "127.0.0.1"
    logged: str = ""
    kinds: tuple[Kind, ...] = BOTH


TIMED = (
    Workload(name="serve, 1 client", door=Door.SERVE, clients=1, expected=HELLO, kinds=tuple(Kind)),
    Workload(name="serve, 32 clients", door=Door.SERVE, clients=32, expected=HELLO, kinds=tuple(Kind)),
    Workload(name="serve and log, 32 clients", door=Door.SERVE_LOGGED, clients=32, expected=HELLO, logged="START: "),
    Workload(name="refuse by no_access", door=Door.REFUSE, clients=32, source=OUTSIDER),
    Workload(name="refuse by no_access and log", door=Door.REFUSE_LOGGED, clients=32, source=OUTSIDER, logged="FAIL: "),
    Workload(name="refuse a banned source, 1 ban", door=Door.SERVE, clients=32, source=BANNED_SOURCE),
)
TRIPS = Workload(name="trip a sensor", door=Door.SENSOR, clients=32, source=FIRST_INTRUDER)
TRIPS_KEPT = "trip a sensor, until logged and stored"
"""The same trips, timed to the moment at which all of them are kept."""
AFTER_TRIPS = (
    Workload(name="refuse a banned source, all trips banned", door=Door.SERVE, clients=32, source=BANNED_SOURCE),
    Workload(name="serve, 32 clients, all trips banned", door=Door.SERVE, clients=32, expected=HELLO),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. Times of CPU are seconds, of *p50* and *p99* (from connect to end) seconds too.

    *own_cpu* is that of the daemon's processes by their roles, *children_cpu* that of the processes it made; both until
    the daemon rests again.
    """

    connections: int
    resets: int
    failures: int
    first_error: str
    seconds: float
    p50: float
    p99: float
    own_cpu: Mapping[str, float]
    children_cpu: float

    @property
    def rate(self) -> float:
        """Connections per second."""
        return self.connections / self.seconds if self.seconds else 0.0

    @property
    def own_cpu_each(self) -> float:
        """CPU seconds of the daemon's processes for one connection."""
        return self._each(sum(self.own_cpu.values()))

    @property
    def cpu_each(self) -> float:
        """The same, with the processes that were made for it."""
        return self._each(sum(self.own_cpu.values()) + self.children_cpu)

    def role_cpu_each(self, role: str) -> float:
        """The same, of one of the daemon's processes."""
        return self._each(self.own_cpu.get(role, 0.0))

    def _each(self, seconds: float) -> float:
        return seconds / self.connections if self.connections else 0.0

    def plain(self) -> dict[str, object]:
        """For the report in JSON."""
        return asdict(self)


def measure(load: Path, workload: Workload, running: Running, seconds: float) -> Sample:
    """Let clients connect for *seconds*."""
    running.await_quiet()
    logged = running.logged(workload.logged) if workload.logged else 0
    before = processes.cpu(running.roles)
    said = _load(load, workload, running, "-t", str(seconds))
    running.await_quiet()
    sample = _sample(said, processes.cpu(running.roles) - before)
    if workload.logged:
        missing = sample.connections - (running.logged(workload.logged) - logged)
        if missing:
            return replace(sample, failures=sample.failures + abs(missing), first_error="lines missing in the log")
    return sample


def measure_trips(load: Path, running: Running, count: int) -> tuple[Sample, Sample]:
    """*count* trips from as many sources: until the last client was hung up on, and until all is logged and stored."""
    running.await_quiet()
    goal = running.bans_kept() + count
    before = processes.cpu(running.roles)
    start = time.monotonic()
    said = _load(load, TRIPS, running, "-d", "-n", str(count))
    await_bans(running, goal)
    seconds = time.monotonic() - start
    running.await_quiet()
    hung_up = _sample(said, processes.cpu(running.roles) - before)
    return hung_up, replace(hung_up, seconds=seconds)


def ban_one(load: Path, running: Running) -> None:
    """Have `BANNED_SOURCE` trip the sensor."""
    goal = running.bans_kept() + 1
    one = Workload(name="one trip", door=Door.SENSOR, clients=1, source=BANNED_SOURCE)
    _load(load, one, running, "-n", "1")
    await_bans(running, goal)


def await_bans(running: Running, goal: int) -> None:
    """Wait until *goal* bans are logged and stored. BenchError if they never are."""
    deadline = time.monotonic() + KEPT_WITHIN
    while (kept := running.bans_kept()) < goal:
        if time.monotonic() > deadline:
            raise BenchError(f"{running.kind.value} has logged and stored {kept} bans, not {goal}")
        time.sleep(0.005)


def _load(load: Path, workload: Workload, running: Running, *more: str) -> dict[str, int | float | str]:
    """What the load generator says."""
    words = ["-c", str(workload.clients), "-e", str(workload.expected), "-s", workload.source, *more]
    done = subprocess.run([load, *words, str(running.port(workload.door))], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the load generator failed: {done.stderr}")
    said: dict[str, int | float | str] = json.loads(done.stdout)
    return said


def _sample(said: dict[str, int | float | str], cpu: processes.Cpu) -> Sample:
    return Sample(
        connections=int(said["connections"]),
        resets=int(said["resets"]),
        failures=int(said["failures"]),
        first_error=str(said["first_error"]),
        seconds=float(said["seconds"]),
        p50=float(said["p50_us"]) / 1e6,
        p99=float(said["p99_us"]) / 1e6,
        own_cpu=cpu.own,
        children_cpu=cpu.children,
    )
