"""Measures the ledger in one process: look-ups and memory with a thousand, a hundred thousand and a million bans.

Whole daemons with so many bans are measured by `run.py --only-workload "bans in force"`. See README.md.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

from sentinetd.model.address import Address, Network
from sentinetd.policy.ledger import Ledger
from stages.bans import AN_HOUR, networks  # it finds our sources

SIZES = (1_000, 100_000, 1_000_000)
LOOK_UPS = 50_000


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


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="Measure the ledger of bans.")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="the largest number of bans")
    options = parser.parse_args()
    for size in SIZES:
        if size <= options.most:
            in_process(size)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
