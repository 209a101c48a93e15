"""A mixed day: nine of ten are served, some are refused, one in a hundred touches a sensor; everything is logged."""

from __future__ import annotations

import time
from dataclasses import replace

import processes
from contenders import Running
from doors import OUTSIDER, SERVICE_LOG, Door
from load import CLIENT, Sample, Workload, await_bans, drive, sampled, target
from rounds import OVERHEAD, START, Round, Stage
from stages.refusing import DAEMONS, LOG
from stages.spawning import HELLO, furnished

NAME = "a mixed day, 32 clients"
KEPT = "a mixed day, until all is logged and stored"
FIRST_INTRUDER = "198.19.64.1"
CLIENTS = 32
RATE = 1_500
"""Connections a second, about."""
EVERY = 2
LOGS = (LOG, "log_on_success = HOST PID DURATION EXIT", "log_on_failure = HOST ATTEMPT")
SERVE = Door(name="day", port=4150, server=("{programs}/hello",), user="nobody", denied=True, lines=LOGS)
SENSOR = Door(name="night", port=4151, sensor=True, lines=LOGS)
SHARES = (
    (90, Workload(name="served", door=SERVE, source=CLIENT, expected=HELLO)),
    (9, Workload(name="refused", door=SERVE, source=OUTSIDER)),
    (1, Workload(name="trips", door=SENSOR, source=FIRST_INTRUDER, words=("distinct",))),
)


def run(this: Round) -> None:
    """The day, with each daemon that has all of it."""
    if this.number % EVERY:
        return
    doors = [furnished(door, this.site.programs) for door in (SERVE, SENSOR)]
    with this.running("day", doors, DAEMONS) as started:
        for running in this.in_turn(started):
            ended, kept = _day(this, running)
            this.results.add(NAME, running.name, ended)
            this.results.add(KEPT, running.name, kept)


def _day(this: Round, running: Running) -> tuple[Sample, Sample]:
    """Until the last client has gone, and until all is kept. Each line that is missing in the log is a failure."""
    running.await_quiet()
    before = processes.cpu(running.roles)
    begun = time.monotonic()
    targets = [f"{target(workload, running)},share={share}" for share, workload in SHARES]
    said = drive(this.load, CLIENTS, targets, "-n", str(this.plan.day))
    served, refused, trips = said["targets"]
    await_bans(running, trips)
    seconds = time.monotonic() - begun
    running.await_quiet()
    ended = sampled(said, processes.cpu(running.roles) - before)
    # xinetd logs a START for a client that it refuses, too
    missing = max(0, served - running.logged("START: day ")) + abs(refused - running.logged("FAIL: day "))
    if missing:
        ended = replace(ended, failures=ended.failures + missing, first_error=f"lines missing in {SERVICE_LOG}")
    return ended, replace(ended, seconds=seconds)


STAGE = Stage(
    name="a mixed day",
    names=(NAME, KEPT),
    first=frozenset({NAME}),
    run=run,
    takes=lambda this: 0.0 if this.number % EVERY else 2 * (this.plan.day / RATE + START + OVERHEAD),
)
