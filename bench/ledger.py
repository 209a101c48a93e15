"""Measures the ledger: look-ups, memory and trips with a thousand, a hundred thousand and a million bans in force.

First in one process, then of a whole daemon that restores so many bans from its store. ``--most N`` leaves out what is
larger. See README.md.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import processes
from contenders import SOURCES, Door, Kind, Running, Site, server_user
from run import built, furnish_namespaces
from workloads import HELLO, Workload, measure, measure_trips

sys.path.insert(0, str(SOURCES))

from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban
from sentinetd.policy.ledger import Ledger
from sentinetd.store.sqlite import Store

INSIDE = "--inside"
SERVE = Workload(name="serve, 32 clients", door=Door.SERVE, clients=32, expected=HELLO, kinds=(Kind.SENTINETD,))
SIZES = (1_000, 100_000, 1_000_000)
LOOK_UPS = 50_000
TRIPS = 5_000
AN_HOUR = 3_600.0
PART = 5_000


def networks(count: int, dice: random.Random) -> Iterator[Network]:
    """Half of them IPv4 hosts outside of 127.0.0.0/8, half public IPv6 /64s."""
    for number in range(count):
        if number % 2:
            yield Network(6, (2 << 60 | dice.getrandbits(60)) << 64, 64)
        else:
            yield Network(4, (dice.randrange(128, 224) << 24) | dice.getrandbits(24), 32)


def in_process(size: int) -> None:
    """Print what a ban takes, and how long it takes to find one, or none."""
    dice = random.Random(size)
    wanted = list(networks(size, dice))
    tracemalloc.start()
    ledger = Ledger(2 * size)
    before = tracemalloc.get_traced_memory()[0]
    for version, length in ((4, 32), (6, 64)):
        rows = (
            (network.value >> (32 if version == 4 else 128) - length, 1e6 + dice.random() * AN_HOUR)
            for network in wanted
            if network.version == version
        )
        ledger.recall(version, length, "", rows, kept=False)
    taken = (tracemalloc.get_traced_memory()[0] - before) / len(ledger)
    tracemalloc.stop()
    banned = [_inside(network) for network in dice.sample(wanted, min(size, LOOK_UPS))]
    free = [Address(4, 10 << 24 | dice.getrandbits(24), "x") for _ in range(LOOK_UPS)]
    found, missed = (_each(ledger.holds, sources) for sources in (banned, free))
    fresh = [Network(4, 10 << 24 | number, 32) for number in range(LOOK_UPS)]
    imposed = _timed(lambda network, now: ledger.impose(network, now + AN_HOUR), fresh) / LOOK_UPS * 1e9
    print(
        f"{size:>9} bans: {taken:6.1f} bytes each; look-up of a banned source {found:4.0f} ns, of another "
        f"{missed:4.0f} ns; one more ban {imposed:4.0f} ns"
    )


def _inside(network: Network) -> Address:
    return Address(network.version, network.value, str(network))


def _each(call: Callable[[Any, float], object], of: Sequence[Any]) -> float:
    """Nanoseconds that *call* takes for each, the best of five times."""
    return min(_timed(call, of) for _ in range(5)) / len(of) * 1e9


def _timed(call: Callable[[Any, float], object], of: Sequence[Any]) -> float:
    begun = time.perf_counter()
    for one in of:
        call(one, 1e6)
    return time.perf_counter() - begun


def filled(directory: Path, size: int) -> None:
    """A store with *size* bans."""
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


@dataclass(slots=True)
class Daemon:
    """What was measured of daemons that begin with so many bans."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    trips: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    guard: list[float] = field(default_factory=list)


def of_daemons(sizes: list[int], site: Site, rounds: int, seconds: float) -> None:
    """Start a daemon for each size, and one without bans, one after the other, in another order each round."""
    measured = {size: Daemon() for size in (0, *sizes)}
    for number in range(rounds):
        for size in sorted(measured, reverse=bool(number % 2)):
            one_daemon(site, site.work / f"{number}-{size}", size, seconds, measured[size])
    none = measured[0]
    for size, one in measured.items():
        rate, used, guard = (statistics.median(values) for values in (one.rates, one.cpu, one.guard))
        each = f" ({(guard - statistics.median(none.guard)) / size:.0f} bytes a ban)" if size else ""
        print(
            f"{size:>9} bans: started in {statistics.median(one.starts):5.2f} s; serves {rate:6.0f}/s, "
            f"{rate / statistics.median(none.rates):.2f} of none, by CPU {statistics.median(none.cpu) / used:.2f}; "
            f"{statistics.median(one.trips):6.0f} trips/s, {statistics.median(one.kept):6.0f}/s until all is kept; "
            f"guard {guard / 1e6:.0f} MB{each}",
            flush=True,
        )


def one_daemon(site: Site, directory: Path, size: int, seconds: float, measured: Daemon) -> None:
    """Fill a store, start a daemon on it, let clients come, and then intruders."""
    state = site.work / f"{directory.name}-state"
    filled(state, size)
    subprocess.run(["chown", "-R", "nobody", str(state)], check=True)
    begun = time.monotonic()
    running = Running(Kind.SENTINETD, site, directory, state=state)
    try:
        measured.starts.append(time.monotonic() - begun)
        guard = next(pid for pid, role in running.roles.items() if role == "guard")
        measured.guard.append(processes.proportional_size(guard))
        sample = measure(site.programs / "load", SERVE, running, seconds)
        measured.rates.append(sample.rate)
        measured.cpu.append(sample.role_cpu_each("guard"))
        hung_up, kept = measure_trips(site.programs / "load", running, TRIPS)
        measured.trips.append(hung_up.rate)
        measured.kept.append(kept.rate)
    finally:
        running.stop()


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="Measure the ledger of bans.")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="the largest number of bans")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of serving, for each daemon")
    options = parser.parse_args([one for one in sys.argv[1:] if one != INSIDE])
    if INSIDE not in sys.argv:
        spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", ["unshare", *spaces, sys.executable, __file__, INSIDE, *sys.argv[1:]])
    furnish_namespaces()
    sizes = [size for size in SIZES if size <= options.most]
    for size in sizes:
        in_process(size)
    with tempfile.TemporaryDirectory(prefix="sentinetd-bench-") as name:
        work = Path(name)
        work.chmod(0o755)
        of_daemons(sizes, Site(built(work), work, server_user()), options.rounds, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
