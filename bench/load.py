"""One measurement: clients at a service, and what it cost."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import processes
from contenders import Running
from doors import Door
from machine import BenchError

CLIENT = "198.18.0.1"
KEPT_WITHIN = 120.0
"""Seconds that a daemon has, after the last trip, until all are logged and stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Clients at one service: each client connects again as soon as it was served.

    *expected* bytes come from the server; *source* is where clients connect from; *words* are more for the load
    generator's target; *logged* is a word that the service log has once for each connection, if it is to be looked for.
    *every*: it takes part in each round whose number this divides. *times*: how many times as long as usual it takes.
    """

    name: str
    door: Door
    clients: int = 32
    expected: int = 0
    source: str = CLIENT
    words: tuple[str, ...] = ()
    logged: str = ""
    every: int = 1
    times: float = 1.0


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
    resent: int = 0
    """Datagrams that were lost, and sent again."""

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


def measure(program: Path, workload: Workload, running: Running, seconds: float) -> Sample:
    """Let clients connect for *seconds*."""
    running.await_quiet()
    logged = running.logged(workload.logged) if workload.logged else 0
    before = processes.cpu(running.roles)
    said = drive(program, workload.clients, [target(workload, running)], "-t", f"{seconds * workload.times}")
    running.await_quiet()
    sample = sampled(said, processes.cpu(running.roles) - before)
    if workload.logged:
        missing = sample.connections - (running.logged(workload.logged) - logged)
        if missing:
            return replace(sample, failures=sample.failures + abs(missing), first_error="lines missing in the log")
    return sample


def target(workload: Workload, running: Running) -> str:
    """Where the load generator is to go, and what it has to find there."""
    words = [f"at={running.address}:{workload.door.port}", f"from={workload.source}", *workload.words]
    return ",".join([*words, f"expect={workload.expected}"] if workload.expected else words)


def drive(program: Path, clients: int, targets: Sequence[str], *more: str) -> Mapping[str, Any]:
    """What the load generator says. BenchError if it cannot do its work."""
    done = subprocess.run([program, "-c", str(clients), *more, *targets], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the load generator failed at {' '.join(targets)}: {done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def sampled(said: Mapping[str, Any], cpu: processes.Cpu) -> Sample:
    """A sample of what the load generator said and what it cost."""
    return Sample(
        connections=said["connections"],
        resets=said["resets"],
        failures=said["failures"],
        first_error=said["first_error"],
        seconds=said["seconds"],
        p50=said["p50_us"] / 1e6,
        p99=said["p99_us"] / 1e6,
        own_cpu=cpu.own,
        children_cpu=cpu.children,
        resent=said["resent"],
    )


def measure_trips(program: Path, workload: Workload, running: Running, count: int) -> tuple[Sample, Sample]:
    """*count* trips from as many sources: until the last client was hung up on, and until all is logged and stored."""
    running.await_quiet()
    goal = running.bans_kept() + count
    before = processes.cpu(running.roles)
    start = time.monotonic()
    said = drive(program, workload.clients, [target(workload, running) + ",distinct"], "-n", str(count))
    await_bans(running, goal)
    seconds = time.monotonic() - start
    running.await_quiet()
    hung_up = sampled(said, processes.cpu(running.roles) - before)
    return hung_up, replace(hung_up, seconds=seconds)


def trip_once(program: Path, door: Door, running: Running, source: str) -> None:
    """Have *source* trip the sensor, and wait until it is banned."""
    goal = running.bans_kept() + 1
    drive(program, 1, [target(Workload(name="one trip", door=door, source=source), running)], "-n", "1")
    await_bans(running, goal)


def await_bans(running: Running, goal: int) -> None:
    """Wait until *goal* bans are logged and stored. BenchError if they never are."""
    deadline = time.monotonic() + KEPT_WITHIN
    while (kept := running.bans_kept()) < goal:
        if time.monotonic() > deadline:
            raise BenchError(f"{running.name} has logged and stored {kept} bans, not {goal}")
        time.sleep(0.005)
