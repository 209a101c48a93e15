"""Measures bans in the kernel and prints ratios: `make bench-firewall`, as root; see README.md in this directory.

Everything happens in namespaces of its own: nothing of it is seen outside and nothing of it is left behind.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from contenders import FIRST_PORT, SOURCES, Door, Kind, Running, Site, server_user
from workloads import measure_trips

sys.path.insert(0, str(SOURCES))

from sentinetd.daemon.loop import boottime
from sentinetd.firewall import tables
from sentinetd.firewall.netfilter import Watch
from sentinetd.firewall.nftables import Nftables
from sentinetd.firewall.own_table import OwnTable
from sentinetd.model.address import Network
from sentinetd.model.settings import FirewallSettings

HERE = Path(__file__).resolve().parent
PROGRAMS = {"hello": ["-static"], "load": [], "syn": [], "refuse": []}
REFUSE_PORT = 4400
FIREWALL = '[firewall]\nenabled = true\nbackend = "nftables"\n'
FIRST_BANNED = 0x7F400001  # 127.64.0.1, as syn.c has it
BEGIN = 0x0A000000
CLOSE = 1.5  # seconds of accepting and closing


def main() -> int:
    """Run it in namespaces."""
    parser = argparse.ArgumentParser(description="Measure bans in the kernel.")
    parser.add_argument("--quick", action="store_true", help="a first look")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: bans in the kernel take root")
    if not options.inside:
        spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", ["unshare", *spaces, sys.executable, __file__, "--inside", *sys.argv[1:]])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65535")
    with tempfile.TemporaryDirectory(prefix="sentinetd-bench-") as name:
        work = Path(name)
        work.chmod(0o755)
        for program, flags in PROGRAMS.items():
            subprocess.run(["cc", "-O2", *flags, "-o", work / program, HERE / f"{program}.c"], check=True)
        rounds = 2 if options.quick else 5
        refusals(work, rounds, 100_000 if options.quick else 400_000)
        filling([1_000, 100_000] if options.quick else [1_000, 100_000, 1_000_000])
        trips(Site(work, work, server_user()), rounds, 2_000 if options.quick else 10_000)
    return 0


def told(what: str, figures: list[float], unit: str) -> None:
    """One line of the report: the median, and how far the figures lie apart."""
    print(f"{what}: {statistics.median(figures):,.2f} {unit} ({min(figures):,.2f}..{max(figures):,.2f})", flush=True)


def keeper(maximum: int = 2_000_000) -> tuple[Nftables, OwnTable]:
    table = OwnTable("bench")
    made = Nftables(table, FirewallSettings(), maximum, boottime)
    made.open()
    return made, table


def one_more(made: Nftables, number: int) -> float:
    """Seconds for one ban in a transaction of its own."""
    begun = time.perf_counter()
    made.apply({Network(4, number, 32): boottime() + 60}, (), ())
    return time.perf_counter() - begun


def refusals(work: Path, rounds: int, count: int) -> None:
    """SYNs that the kernel refuses in a second, against connections that a program in C accepts and closes."""
    with ExitStack() as stack:
        made, table = keeper()
        stack.callback(table.remove)
        closing = subprocess.Popen([work / "refuse", str(REFUSE_PORT)], stdout=subprocess.PIPE)
        stack.callback(closing.wait)
        stack.callback(closing.kill)
        assert closing.stdout is not None
        closing.stdout.readline()
        for bans in (1_000, 60_000):
            list(made.replace((Network(4, FIRST_BANNED + number, 32), math.inf) for number in range(bans)))
            ratios, rates = [], []
            for _ in range(rounds):
                words = [work / "syn", str(count), str(bans), str(REFUSE_PORT)]
                rate = count / float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
                load = [work / "load", "-c", "32", "-t", str(CLOSE), str(REFUSE_PORT)]
                said = json.loads(subprocess.run(load, check=True, capture_output=True, text=True).stdout)
                rates.append(rate)
                ratios.append(rate / (said["connections"] / said["seconds"]))
            told(f"refused by the kernel, {bans:,} bans", rates, "SYNs a second")
            told("  against accept and close in C", ratios, "times as many")


def filling(sizes: list[int]) -> None:
    """A whole truth that goes over; the longest step is what the guard's loop stands still for."""
    for size in sizes:
        made, table = keeper()
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
        table.remove()


def trips(site: Site, rounds: int, count: int) -> None:
    """The whole daemon: from trip to kernel set, and a flood of trips with and without bans in the kernel."""
    ratios: list[float] = []
    waits: list[float] = []
    for number in range(rounds):
        rates = {}
        for name, settings in (("without", ""), ("with", FIREWALL)):
            running = Running(Kind.SENTINETD, site, site.work / f"{number}-{name}", settings)
            try:
                if settings:
                    waits += to_kernel(100)
                hung_up, _kept = measure_trips(site.programs / "load", running, count)
                rates[name] = hung_up.connections / hung_up.seconds
            finally:
                running.stop()
        ratios.append(rates["with"] / rates["without"])
    told("from trip to kernel set", [wait * 1000 for wait in waits], "ms")
    told(f"{count:,} trips at once, with bans in the kernel against without", ratios, "of the rate")


def to_kernel(count: int) -> list[float]:
    """Seconds from connecting to the sensor until the kernel tells that the ban is in its set."""
    watch = Watch(0)
    waits = []
    for number in range(count):
        with socket.socket() as client:
            client.bind((f"127.2.0.{number + 1}", 0))
            begun = time.perf_counter()
            client.connect(("127.0.0.1", FIRST_PORT[Kind.SENTINETD] + Door.SENSOR))
            while tables.NEW_ELEMENTS not in [one.kind for one in watch.drain() or ()]:
                pass
            waits.append(time.perf_counter() - begun)
    watch.close()
    return waits


if __name__ == "__main__":
    sys.exit(main())
