"""Bans in force: daemons that begin with a store of none, some, very many, side by side."""

from __future__ import annotations

import os
import pwd
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from contenders import Running
from load import Workload, trip_once
from peers import Kind
from results import BYTES, MIB, SECONDS
from rounds import OVERHEAD, Round, Stage
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban
from sentinetd.store.sqlite import Store
from stages.refusing import BANNED_SOURCE, SENSOR, SERVE
from stages.spawning import HELLO, furnished

AN_HOUR = 3_600.0
PART = 5_000
BENCHMARKS = 198
"""The first byte of the addresses that clients have here: nobody else's ban may hit them."""
FILL_EACH = 3e-5
"""Seconds to store a ban, and to read it back, about."""
ADDRESSES = "198.18.7.{}"
SERVED = Workload(name="serve hello, 32 clients, bans in force", door=SERVE, expected=HELLO)
REFUSED = Workload(name="refuse a banned source, bans in force", door=SERVE, source=BANNED_SOURCE)
WORKLOADS = (SERVED, REFUSED)
STARTED = "start with bans in the store"
GUARD = "memory of the guard, bans in force"
EACH = "memory of the guard, each ban"
NAMES = (SERVED.name, REFUSED.name, STARTED, GUARD, EACH)


def networks(count: int, dice: random.Random) -> Iterator[Network]:
    """Half of them IPv4 hosts that are nobody's here, half public IPv6 /64s."""
    firsts = [first for first in range(128, 224) if first != BENCHMARKS]
    for number in range(count):
        if number % 2:
            yield Network(6, (2 << 60 | dice.getrandbits(60)) << 64, 64)
        else:
            yield Network(4, dice.choice(firsts) << 24 | dice.getrandbits(24), 32)


def filled(directory: Path, size: int) -> None:
    """A store with *size* bans, for the user that the courier runs as."""
    directory.mkdir(parents=True)
    store = Store(str(directory))
    store.open()
    dice, now = random.Random(size), time.time()
    part: list[Ban] = []
    for network in networks(size, dice):
        part.append(Ban(network, now, now + AN_HOUR * (1 + dice.random()), "bench"))
        if len(part) == PART:
            store.write(part)
            part = []
    store.write(part)
    store.close()
    owner = courier_user()
    for path in (directory, *directory.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid)


def courier_user() -> pwd.struct_passwd:
    """Whom the courier runs as when root starts it: its own user where there is one."""
    for name in ("sentinetd", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return pwd.getpwuid(os.geteuid())


def label(size: int) -> str:
    """What a contender with so many bans is called."""
    return f"sentinetd, {size:,} bans" if size else "sentinetd, no bans"


def run(this: Round) -> None:
    """All at once, measured in turn: started once in a run, for to fill a large store takes its time."""
    if this.number or Kind.SENTINETD not in this.kinds:
        return
    with ExitStack() as stack:
        all_running: dict[int, Running] = {}
        for number, size in enumerate(this.plan.bans):
            state = this.site.work / f"bans-state-{size}"
            filled(state, size)
            doors = [furnished(door, this.site.programs) for door in (SERVE, SENSOR)]
            directory = this.site.work / f"bans-{size}"
            place = ADDRESSES.format(number + 1)
            running = Running(Kind.SENTINETD, doors, this.site, directory, name=label(size), address=place, state=state)
            stack.callback(running.stop)
            all_running[size] = running
            this.results.note(STARTED, running.name, running.ready - running.begun, SECONDS)
        for running in all_running.values():
            running.await_quiet()
        guards = {size: running.sizes()["guard"] for size, running in all_running.items()}
        for size, running in all_running.items():
            this.results.note(GUARD, running.name, guards[size], MIB)
            if size:
                this.results.note(EACH, running.name, (guards[size] - guards[min(guards)]) / size, BYTES)
        for running in all_running.values():
            trip_once(this.load, SENSOR, running, BANNED_SOURCE)
        for number in range(this.plan.rounds):
            replace(this, number=number).measure_all(WORKLOADS, list(all_running.values()))


def takes(this: Round) -> float:
    """Seconds, about; all of them in the first round."""
    if this.number or not any(map(this.wanted, NAMES)):
        return 0.0
    workloads = len(list(filter(this.has, WORKLOADS)))
    measured = this.plan.rounds * len(this.plan.bans) * workloads * (this.plan.seconds + OVERHEAD)
    return measured + sum(this.plan.bans) * FILL_EACH + 2 * len(this.plan.bans)


STAGE = Stage(name="bans in force", names=NAMES, first=frozenset({SERVED.name, EACH}), run=run, takes=takes)
