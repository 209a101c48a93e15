"""Measures bans in the kernel alone, and how a whole list goes over: `make bench-firewall`; see README.md here."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from machine import INSIDE, Site, built, enter_namespaces
from peers import Kind
from report import values_table
from results import Results
from rounds import FULL, QUICK, Round
from sentinetd.daemon.loop import boottime
from sentinetd.firewall.nftables import Nftables
from sentinetd.model.address import Network
from stages import kernel

BEGIN = 0x0A000000


def main() -> int:
    """Run it in namespaces."""
    parser = argparse.ArgumentParser(description="Measure bans in the kernel.")
    parser.add_argument("--quick", action="store_true", help="a first look")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    enter_namespaces()
    plan = QUICK if options.quick else FULL
    results = Results()
    with tempfile.TemporaryDirectory(prefix="sentinetd-bench-") as name:
        work = Path(name)
        work.chmod(0o755)
        site = Site(built(work), work)
        filling([1_000, 100_000] if options.quick else [1_000, 100_000, 1_000_000])
        for number in range(0, plan.rounds * kernel.EVERY, kernel.EVERY):
            kernel.run(Round(number, plan, site, tuple(Kind), lambda name: True, results))
    print(values_table(results))
    for line in (*results.remarks, *results.failures()):
        print(line)
    return 1 if results.failures() else 0


def one_more(made: Nftables, number: int) -> float:
    """Seconds for one ban in a transaction of its own."""
    begun = time.perf_counter()
    made.apply({Network(4, number, 32): boottime() + 60}, (), ())
    return time.perf_counter() - begun


def filling(sizes: list[int]) -> None:
    """A whole truth that goes over; the longest step is what the guard's loop stands still for."""
    for size in sizes:
        with kernel.table_of_bans() as made:
            steps = made.replace((Network(4, BEGIN + number, 32), boottime() + 3600) for number in range(size))
            each: list[float] = []
            begun = time.perf_counter()
            while True:
                before = time.perf_counter()
                if next(steps, 0) == 0:
                    break
                each.append(time.perf_counter() - before)
            whole = time.perf_counter() - begun
            one = [one_more(made, number) for number in range(1000)]
            print(
                f"{size:,} bans replaced in {whole:.2f} s, a step {statistics.median(each or [whole]) * 1000:.1f} ms "
                f"(longest {max(each or [whole]) * 1000:.1f}); one ban more: {statistics.median(one) * 1e6:.0f} us",
                flush=True,
            )


if __name__ == "__main__":
    raise SystemExit(main())
