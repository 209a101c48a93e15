"""Carrying connections elsewhere: how much, how many, and what it takes to hold many that rest."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import processes
from contenders import Running
from doors import INTERNAL_PORTS, Door
from load import CLIENT, Workload
from machine import BenchError
from peers import Kind
from results import KIB, MB_PER_SECOND, MIB, SECONDS
from rounds import START, Round, Stage, seconds_of
from stages.refusing import DAEMONS, held

BEHIND = "198.18.6.1"
"""Where the servers behind are."""
POUR_PORT, SAY_PORT, ECHO_PORT = 4201, 4202, 4203
SERVERS = {POUR_PORT: "pour", SAY_PORT: "say", ECHO_PORT: "echo"}
STREAMS = 4
POUR = Door(name="redirect-pour", port=4140, redirect=f"{BEHIND} {POUR_PORT}")
SAY = Door(name="redirect-say", port=4141, redirect=f"{BEHIND} {SAY_PORT}")
KEEP = Door(name="redirect-keep", port=4142, redirect=f"{BEHIND} {ECHO_PORT}")
ECHO = Door(name="echo", port=INTERNAL_PORTS["echo"], internal="echo")
CONNECT = Workload(name="redirect, connections", door=SAY, expected=6)
THROUGHPUT = "redirect, throughput of 4 streams"
THROUGHPUT_CPU = "redirect, CPU for a GB"
IDLE = {"memory, redirected connections held": KEEP, "memory, echo connections held": ECHO}
HELD_EACH = 8e-4
"""Seconds in which a connection is made, and its process weighed, about."""
USABLE = 0.9
"""What part of its descriptors a process can use for connections: before all are gone, sentinetd sheds new ones."""


@contextmanager
def _behind(this: Round) -> Iterator[None]:
    """The servers to which connections are carried."""
    with ExitStack() as stack:
        for port, what in SERVERS.items():
            command = [this.site.program("loops"), what, BEHIND, str(port)]
            server = subprocess.Popen(command, stdout=subprocess.PIPE)
            stack.callback(server.wait)
            stack.callback(server.kill)
            assert server.stdout is not None
            server.stdout.readline()
        yield


def run(this: Round) -> None:
    """Throughput and rate."""
    with _behind(this), this.running("redirecting", [POUR, SAY], DAEMONS) as started:
        this.measure_all([CONNECT], started)
        if this.wanted(THROUGHPUT) or this.wanted(THROUGHPUT_CPU):
            for running in this.in_turn(started):
                _pour(this, running)
            if Kind.LIMIT in this.kinds:
                rate = _drain(this, BEHIND, POUR_PORT)[0]
                this.results.note(THROUGHPUT, "without a redirect", rate, MB_PER_SECOND)


def _pour(this: Round, running: Running) -> None:
    """What goes through in a second, and what it costs: xinetd's are the children that it makes for it."""
    running.await_quiet()
    before = running.used()
    rate, size = _drain(this, running.address, POUR.port)
    running.await_quiet()
    this.results.note(THROUGHPUT, running.name, rate, MB_PER_SECOND)
    this.results.note(THROUGHPUT_CPU, running.name, (running.used() - before) / size * 1e9, SECONDS)


def _drain(this: Round, address: str, port: int) -> tuple[float, float]:
    """Bytes a second, and bytes."""
    command = [this.site.program("drain"), str(STREAMS), str(2 * this.plan.seconds), address, str(port), CLIENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed: {done.stderr}")
    size, seconds = map(float, done.stdout.split())
    return size / seconds, size


def hold_many(this: Round) -> None:
    """The memory of all processes of a daemon that has many connections which say nothing: once in a run."""
    if this.number:
        return
    for name, door in IDLE.items():
        if this.wanted(name):
            title = f"{name}, {this.plan.held:,}"
            for kind in this.in_turn([kind for kind in this.kinds if kind in DAEMONS]):
                with _behind(this), this.running(f"holding-{door.name}", [door], [kind]) as started:
                    _hold(this, door, started, title)


def _hold(this: Round, door: Door, started: Sequence[Running], title: str) -> None:
    """Each connection of a redirect has two descriptors in one process, which may have no more than its limit."""
    count = min(this.plan.held, int(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * USABLE) // 2)
    if count < this.plan.held:
        this.results.remark(f"Descriptors are limited here: {count:,} connections were held, not {this.plan.held:,}.")
    for running in started:
        running.await_quiet()
        before = _all_sizes(running)
        with held(this, running, door, count):
            running.await_quiet()
            now = _all_sizes(running)
        this.results.note(title, running.name, now, MIB)
        this.results.note(f"{title}, each", running.name, (now - before) / count, KIB)


def _all_sizes(running: Running) -> int:
    """Bytes of all processes of a daemon, those included that it has made for connections."""
    roots = [pid for pid in running.roles if processes.parent(pid) not in running.roles]
    return sum(processes.proportional_size(pid) for root in roots for pid in processes.family(root))


STAGE = Stage(
    name="redirect",
    names=(CONNECT.name, THROUGHPUT),
    first=frozenset({CONNECT.name, THROUGHPUT}),
    run=run,
    takes=lambda this: seconds_of([CONNECT], this) + 3 * START + 2 * this.plan.seconds,
)
HOLDING = Stage(
    name="connections that rest",
    names=tuple(IDLE),
    first=frozenset(IDLE),
    run=hold_many,
    takes=lambda this: (not this.number) * sum(map(this.wanted, IDLE)) * 2 * (START + this.plan.held * HELD_EACH),
)
