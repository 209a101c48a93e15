"""Refusing and banning: sources that are not admitted, have too many servers, come too often, or touched a sensor."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from contenders import Running
from doors import OUTSIDER, SERVICE_LOG, Door
from load import CLIENT, Workload, measure, measure_trips, trip_once
from machine import BenchError
from peers import Kind
from processes import idle_share
from rounds import OVERHEAD, Round, Stage, seconds_of, takes_part
from stages.spawning import HELLO, furnished

DAEMONS = (Kind.XINETD, Kind.SENTINETD)
BANNED_SOURCE = "198.18.0.2"
BUSY_SOURCE = "198.18.0.4"
HASTY_SOURCE = "198.18.0.5"
FIRST_INTRUDER = "198.19.0.1"
LOG = f"log_type = FILE {{directory}}/{SERVICE_LOG}"
IDLE = 1.0
"""Seconds after the start for which the daemons are left alone before their memory is read. What the machine does in
that time is not ours."""
KEPT_EACH = 4e-4
"""Seconds that a trip takes until it is kept, about."""

SERVE = Door(name="serve", port=4130, server=("{programs}/hello",), user="nobody")
DENY = Door(name="deny", port=4131, server=("{programs}/hello",), user="nobody", denied=True)
DENY_LOGGED = replace(DENY, name="deny-logged", port=4132, lines=(LOG, "log_on_failure = HOST"))
ONE_EACH = Door(name="one-each", port=4133, server=("/bin/cat",), user="nobody", per_source=1)
RARELY = replace(SERVE, name="rarely", port=4134, own_lines=("cps_source = 1 3600",))
SENSOR = Door(name="sensor", port=4135, sensor=True)
SPARE = tuple(replace(SERVE, name=f"spare-{number}", port=4136 + number) for number in range(4))
"""They fill the configuration up to ten services."""
DOORS = (SERVE, DENY, DENY_LOGGED, ONE_EACH, RARELY, SENSOR, *SPARE)

REFUSALS = (
    Workload(name="refuse by no_access", door=DENY, source=OUTSIDER),
    Workload(name="refuse by no_access and log", door=DENY_LOGGED, source=OUTSIDER, logged="FAIL: ", every=2),
    Workload(name="refuse by per_source", door=ONE_EACH, source=BUSY_SOURCE, every=2),
    Workload(name="refuse by cps_source", door=RARELY, source=HASTY_SOURCE, every=2),
)
BANNED = Workload(name="refuse a banned source, 1 ban", door=SERVE, source=BANNED_SOURCE)
TRIPS = Workload(name="trip a sensor", door=SENSOR, source=FIRST_INTRUDER)
TRIPS_KEPT = "trip a sensor, until logged and stored"
"""The same trips, timed to the moment at which all of them are kept."""
AFTER_TRIPS = (
    Workload(name="refuse a banned source, all trips banned", door=SERVE, source=BANNED_SOURCE),
    Workload(name="serve hello, 32 clients, all trips banned", door=SERVE, expected=HELLO),
)
MEMORY = "memory, idle, 10 services"
NAMES = (*(one.name for one in (*REFUSALS, BANNED, TRIPS)), TRIPS_KEPT, *(one.name for one in AFTER_TRIPS), MEMORY)
FIRST = frozenset({"refuse by no_access", BANNED.name, TRIPS.name, TRIPS_KEPT, MEMORY})


def run(this: Round) -> None:
    """Measure what is wanted, in the order in which it disturbs what comes after."""
    doors = [furnished(door, this.site.programs) for door in DOORS]
    with this.running("refusing", doors) as started:
        this.results.idle.append(idle_share(IDLE))
        if this.wanted(MEMORY):
            for running in started:
                if running.kind in DAEMONS:
                    this.results.weigh(MEMORY.removeprefix("memory, "), running.name, running.sizes())
        _refusals(this, started)
        daemons = [running for running in started if running.kind in DAEMONS]
        _bans(this, daemons)


def _refusals(this: Round, started: Sequence[Running]) -> None:
    for turn, workload in enumerate(REFUSALS):
        if this.has(workload):
            for running in this.in_turn(started, turn):
                if takes_part(running.kind, workload):
                    with _exhausted(this, workload, running):
                        sample = measure(this.load, workload, running, this.plan.seconds)
                    this.results.add(workload.name, running.name, sample)


@contextmanager
def _exhausted(this: Round, workload: Workload, running: Running) -> Iterator[None]:
    """Have the source used up first what it may have: by a connection that it holds, or by one that ends."""
    with ExitStack() as stack:
        if workload.door is ONE_EACH and running.kind is not Kind.LIMIT:
            stack.enter_context(held(this, running, workload.door, 1, workload.source))
        elif workload.door is RARELY:
            once = replace(workload, clients=1)
            measure(this.load, once, running, 0.05)
        yield


@contextmanager
def held(this: Round, running: Running, door: Door, count: int, source: str = CLIENT) -> Iterator[None]:
    """*count* connections that are served and held open. BenchError if they cannot be had."""
    command = [this.site.program("hold"), str(count), running.address, str(door.port), source]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as holding:
        assert holding.stdout is not None
        assert holding.stdin is not None
        assert holding.stderr is not None
        if holding.stdout.readline() != "held\n":
            raise BenchError(f"{running.name} does not hold {count:,} connections: {holding.stderr.read().strip()}")
        yield
        holding.stdin.close()


def _bans(this: Round, daemons: Sequence[Running]) -> None:
    wanted = [workload for workload in (BANNED, *AFTER_TRIPS) if this.has(workload)]
    trips = this.wanted(TRIPS.name) or this.wanted(TRIPS_KEPT) or any(one in AFTER_TRIPS for one in wanted)
    if wanted:
        for running in daemons:
            trip_once(this.load, SENSOR, running, BANNED_SOURCE)
        this.measure_all([BANNED], daemons)
    if trips:
        for running in this.in_turn(daemons):
            hung_up, kept = measure_trips(this.load, TRIPS, running, this.plan.trips)
            this.results.add(TRIPS.name, running.name, hung_up)
            this.results.add(TRIPS_KEPT, running.name, kept)
            this.results.weigh(f"with {this.plan.trips:,} bans", running.name, running.sizes())
        this.measure_all(AFTER_TRIPS, daemons)


def takes(this: Round) -> float:
    """Seconds of a round, about."""
    trips = this.wanted(TRIPS.name) or this.wanted(TRIPS_KEPT)
    return (
        IDLE
        + seconds_of((*REFUSALS, BANNED, *AFTER_TRIPS), this)
        + trips * 2 * (this.plan.trips * KEPT_EACH + OVERHEAD)
    )


STAGE = Stage(name="refusing and banning", names=NAMES, first=FIRST, run=run, takes=takes)
