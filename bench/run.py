"""Measures sentinetd beside xinetd and prints ratios. One command; see README.md in this directory.

As root it works in namespaces of its own, so that nothing of it is seen outside and nothing of it is left behind.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import processes
from contenders import BenchError, Kind, Running, Site, server_user, version
from figures import Results, as_json, markdown
from workloads import AFTER_TRIPS, TIMED, TRIPS, TRIPS_KEPT, Workload, ban_one, measure, measure_trips

HERE = Path(__file__).resolve().parent
PROGRAMS = {"hello": ["-static"], "limit": [], "load": []}
"""What is compiled, and the flags that it needs."""
IDLE = 1.0
"""Seconds after the start for which the daemons are left alone before their memory is read. What the machine does in
that time is not ours."""
LOCAL_PORTS = "10000 65535"
"""Ports of clients: above those of the daemons, and enough of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long it takes: *rounds*, in each *seconds* for every timed workload and *trips* of the sensor.

    No more than 10,000 trips: xinetd's list is full at 10,240, and its sensors stop banning.
    """

    rounds: int
    seconds: float
    trips: int


FULL = Plan(rounds=5, seconds=1.5, trips=10_000)
QUICK = Plan(rounds=2, seconds=0.5, trips=2_000)


def main() -> int:
    """Run the benchmark; 0 if every connection went as expected."""
    options = _options()
    if os.geteuid() == 0 and not options.inside:
        _enter_namespaces()
    if options.inside:
        furnish_namespaces()
    kinds = [Kind(name) for name in options.only] if options.only else list(Kind)
    plan = QUICK if options.quick else FULL
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sentinetd-bench-")))
        work.chmod(0o755)  # the servers' user must get at the program
        try:
            site = Site(built(work), work, server_user())
            results = Results(_facts(kinds, plan, site))
            for number in range(plan.rounds):
                print(f"round {number + 1} of {plan.rounds}", file=sys.stderr, flush=True)
                _round(number, kinds, plan, site, results)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    _write(results, options.results)
    return 1 if results.failures() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure sentinetd beside xinetd.")
    parser.add_argument("--quick", action="store_true", help="less than a minute, for a first look")
    parser.add_argument("--only", nargs="+", metavar="WHO", choices=[kind.value for kind in Kind], help="not all three")
    parser.add_argument("--results", type=Path, metavar="DIR", default=HERE / "results", help="where the reports go")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _enter_namespaces() -> None:
    """Begin again in namespaces of our own; whatever is left there ends with us."""
    spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        os.execvp("unshare", ["unshare", *spaces, sys.executable, __file__, "--inside", *sys.argv[1:]])
    except FileNotFoundError:
        sys.exit("bench: unshare is not there; on Debian: apt install util-linux")


def furnish_namespaces() -> None:
    """Loopback, a place for sockets, and ports enough."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # the daemons' sockets and locks
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(LOCAL_PORTS)


def built(work: Path) -> Path:
    """The directory with the compiled programs, below *work*."""
    programs = work / "programs"
    programs.mkdir(mode=0o755)
    for name, flags in PROGRAMS.items():
        command = ["cc", "-O2", *flags, "-o", str(programs / name), str(HERE / f"{name}.c")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise BenchError("no C compiler; on Debian: apt install gcc libc6-dev") from None
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{done.stderr}")
    return programs


def _facts(kinds: Sequence[Kind], plan: Plan, site: Site) -> dict[str, str]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    filesystem = subprocess.run(["df", "--output=fstype", site.work], capture_output=True, text=True, check=False)
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": f"{model[0] if model else platform.machine()}, {len(os.sched_getaffinity(0))} CPUs",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        **{kind.value: version(kind) for kind in kinds},
        "rounds": f"{plan.rounds} of {plan.seconds} s a workload and {plan.trips} trips",
        "servers run as": site.user,
        "files on": filesystem.stdout.split()[-1] if filesystem.stdout else "?",
    }


def _round(number: int, kinds: Sequence[Kind], plan: Plan, site: Site, results: Results) -> None:
    """Start every contender anew, measure workload by workload in turn, end them.

    Who is first changes from workload to workload, so that no one always has the cold or the warm machine.
    """
    load = site.programs / "load"
    with ExitStack() as stack:
        all_running = []
        for kind in kinds:
            running = Running(kind, site, site.work / f"{number}-{kind.name.lower()}")
            stack.callback(running.stop)
            all_running.append(running)
        results.idle.append(processes.idle_share(IDLE))
        _weigh("idle, 10 services", all_running, results)
        daemons = [running for running in all_running if running.kind is not Kind.LIMIT]
        for running in daemons:
            ban_one(load, running)
        turn = number
        for workload in TIMED:
            for running in _in_turn(all_running, workload, turn):
                results.add(workload.name, running.kind, measure(load, workload, running, plan.seconds))
            turn += 1
        for running in _in_turn(daemons, TRIPS, turn):
            hung_up, kept = measure_trips(load, running, plan.trips)
            results.add(TRIPS.name, running.kind, hung_up)
            results.add(TRIPS_KEPT, running.kind, kept)
        _weigh(f"with {plan.trips:,} bans", daemons, results)
        for workload in AFTER_TRIPS:
            turn += 1
            for running in _in_turn(daemons, workload, turn):
                results.add(workload.name, running.kind, measure(load, workload, running, plan.seconds))


def _in_turn(all_running: Sequence[Running], workload: Workload, turn: int) -> Iterator[Running]:
    """Those who have *workload*, another one first each time."""
    taking_part = [running for running in all_running if running.kind in workload.kinds]
    for offset in range(len(taking_part)):
        yield taking_part[(turn + offset) % len(taking_part)]


def _weigh(occasion: str, all_running: Sequence[Running], results: Results) -> None:
    """Note the memory of each process. Only root may look: sentinetd's processes hide theirs from their own user."""
    if os.geteuid() == 0:
        for running in all_running:
            sizes = {role: processes.proportional_size(pid) for pid, role in running.roles.items()}
            results.add_memory(occasion, running.kind, sizes)


def _write(results: Results, directory: Path) -> None:
    """Print the report and keep it in *directory*."""
    text = markdown(results)
    print(text)
    directory.mkdir(parents=True, exist_ok=True)
    stem = time.strftime("%Y%m%d-%H%M%S")
    (directory / f"{stem}.md").write_text(text)
    (directory / f"{stem}.json").write_text(as_json(results))
    print(f"written to {directory / stem}.md and .json", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
