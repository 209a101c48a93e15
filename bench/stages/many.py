"""Many services: how long the start and a reload with one change take, and how much memory they need."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from contenders import START_WITHIN, Running, address_of
from doors import Door
from machine import BenchError
from peers import PEERS, Kind
from results import SECONDS
from rounds import Round, Stage
from stages.spawning import furnished

FIRST_PORT = 20_000
KINDS = (Kind.XINETD, Kind.SENTINETD, Kind.OPENBSD, Kind.INETUTILS, Kind.RLINETD)
TAKES = {10: 1.5, 1_000: 3.0, 10_000: 20.0}
"""Seconds for one contender with so many services, about."""
EVERY = {10: 2, 10_000: 5}
"""In which rounds a number of services is measured, if not in all: in those whose number this divides."""


def doors(count: int) -> list[Door]:
    """So many services."""
    return [
        Door(name=f"many-{number}", port=FIRST_PORT + number, server=("{programs}/hello",)) for number in range(count)
    ]


def names(counts: Sequence[int]) -> tuple[str, ...]:
    """What is measured for each count."""
    return tuple(name.format(count) for count in counts for name in NAMES)


NAMES = (
    "start with {:,} services",
    "start with {:,} services, CPU",
    "reload with {:,} services, one changed",
    "reload with {:,} services, one changed, CPU",
    "memory, {:,} services",
)


def run(this: Round) -> None:
    """Start, change one, reload, end: one contender after the other, for only one of them can be the busy one."""
    for count in this.plan.services:
        if _has(this, count):
            wanted = [furnished(door, this.site.programs) for door in doors(count)]
            for kind in this.in_turn([kind for kind in this.kinds if kind in KINDS]):
                if count <= PEERS[kind].most_services:
                    _one(this, kind, wanted)
                else:
                    this.results.remark(f"{kind.value} does not start with {count:,} services: it waits in select(2).")


def _has(this: Round, count: int) -> bool:
    """Whether so many services are measured in this round."""
    return this.number % EVERY.get(count, 1) == 0 and any(map(this.wanted, names([count])))


def _one(this: Round, kind: Kind, wanted: Sequence[Door]) -> None:
    note, count = this.results.note, len(wanted)
    start, start_cpu, reload, reload_cpu, memory = (name.format(count) for name in NAMES)
    before = _sockets()
    directory = this.site.work / f"{this.number}-many-{count}-{kind.name.lower()}"
    running = Running(kind, wanted, this.site, directory, awaited=lambda: _sockets() - before >= count)
    try:
        note(start, running.name, running.ready - running.begun, SECONDS)
        running.await_quiet()
        note(start_cpu, running.name, running.used(), SECONDS)
        this.results.weigh(memory.removeprefix("memory, "), running.name, running.sizes())
        moved = replace(wanted[-1], port=FIRST_PORT + count)
        used = running.used()
        seconds = _reload(running, [*wanted[:-1], moved], moved.port)
        note(reload, running.name, seconds, SECONDS)
        running.await_quiet()
        note(reload_cpu, running.name, running.used() - used, SECONDS)
    finally:
        running.stop()


def _reload(running: Running, wanted: Sequence[Door], port: int) -> float:
    """Seconds from the signal until a service is to be had at its new *port*."""
    running.write_configuration(wanted)
    begun = time.monotonic()
    running.reload()
    while True:
        with socket.socket() as client:
            if client.connect_ex((address_of(running.kind), port)) == 0:
                return time.monotonic() - begun
        if time.monotonic() > begun + START_WITHIN:
            raise BenchError(f"{running.name} does not take its new configuration")
        time.sleep(0.001)


def _sockets() -> int:
    """TCP sockets in our network namespace."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        words = line.split()
        if words[0] == "TCP:":
            return int(words[words.index("inuse") + 1])
    raise BenchError("/proc/net/sockstat does not tell of TCP")


def takes(this: Round) -> float:
    """Seconds of a round, about."""
    each = sum(TAKES[count] for count in this.plan.services if _has(this, count))
    return each * len([kind for kind in this.kinds if kind in KINDS])


STAGE = Stage(
    name="many services",
    names=names((10, 1_000, 10_000)),
    first=frozenset(names((1_000,))),
    run=run,
    takes=takes,
)
