"""Measures how the cost of a connection grows with what there is: services, bans, running servers, exempt sources.

One command, like run.py; see README.md in this directory. It writes a report in JSON, from which `page.py` draws.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from contenders import Running
from doors import OUTSIDER, Door
from load import Workload, measure, measure_trips
from machine import HERE, INSIDE, BenchError, Site, built, enter_namespaces, facts
from peers import Kind, missing, present, version
from results import Results, Spread
from rounds import FULL, QUICK, Plan, Round, takes_part
from stages import bans, many
from stages.refusing import FIRST_INTRUDER, SENSOR, TRIPS, held
from stages.spawning import HELLO, furnished

ADDRESS = "198.18.{}.{}"
FIRST_NETWORK = 16
SERVE = Door(name="serve", port=4130, server=("{programs}/hello",), user="nobody")
DENY = replace(SERVE, name="deny", port=4131, denied=True)
HOLD = Door(name="hold", port=4132, server=("/bin/cat",))
SERVED = Workload(name="served", door=SERVE, expected=HELLO)
REFUSED = Workload(name="refused", door=DENY, source=OUTSIDER)
WORKLOADS = (SERVED, REFUSED)
KINDS = (Kind.XINETD, Kind.SENTINETD, Kind.OPENBSD)
SOURCE_OF_HELD = "198.18.0.9"
XINETDS_MOST = 10_000
"""Bans: its list has room for 10,240."""


@dataclass(frozen=True, slots=True)
class Point:
    """A contender to be started: of *kind*, with *size* of what grows, at *address*."""

    kind: Kind
    size: int
    address: str

    def begin(
        self,
        this: Round,
        stack: ExitStack,
        doors: Sequence[Door],
        name: str,
        *,
        settings: str = "",
        state: Path | None = None,
    ) -> Running:
        """Start it; *name* is that of the curve, the rest are the contender's."""
        wanted = [furnished(door, this.site.programs) for door in doors]
        directory = this.site.work / f"{name}-{self.size}-{self.kind.name.lower()}"
        running = Running(self.kind, wanted, this.site, directory, address=self.address, settings=settings, state=state)
        stack.callback(running.stop)
        return running


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What grows: *title* for people, in *steps*, of these *kinds*; *begin* starts one of them with so many."""

    name: str
    title: str
    steps: tuple[int, ...]
    kinds: tuple[Kind, ...]
    begin: Callable[[Round, ExitStack, Point], Running]
    limits: tuple[tuple[Kind, int], ...] = ()

    def points(self, number: int, present: Sequence[Kind], most: int) -> list[Point]:
        """All of them, each at an address of its own; *number* tells the curves apart."""
        places = count(1)
        return [
            Point(kind, size, ADDRESS.format(FIRST_NETWORK + number, next(places)))
            for size in self.steps
            for kind in self.kinds
            if kind in present and size <= min(most, dict(self.limits).get(kind, size))
        ]


def with_services(this: Round, stack: ExitStack, point: Point) -> Running:
    """So many services, and those that are measured after them."""
    others = many.doors(point.size - len(WORKLOADS))
    return point.begin(this, stack, [*others, SERVE, DENY], "services")


def with_bans(this: Round, stack: ExitStack, point: Point) -> Running:
    """So many bans: from its store, and for xinetd, which has none, by as many trips."""
    doors = [SERVE, DENY, SENSOR]
    if point.kind is Kind.SENTINETD:
        state = this.site.work / f"curve-state-{point.size}"
        bans.filled(state, point.size)
        return point.begin(this, stack, doors, "bans", state=state)
    running = point.begin(this, stack, doors, "bans")
    measure_trips(this.load, replace(TRIPS, source=FIRST_INTRUDER), running, point.size)
    return running


def with_servers(this: Round, stack: ExitStack, point: Point) -> Running:
    """So many servers that run, each with its client."""
    running = point.begin(this, stack, [SERVE, DENY, HOLD], "servers")
    stack.enter_context(held(this, running, HOLD, point.size, SOURCE_OF_HELD))
    return running


def with_exempt(this: Round, stack: ExitStack, point: Point) -> Running:
    """So many networks that are exempt, of as many lengths as there are."""
    networks = [f'"{100 + number // 65536}.{number // 256 % 256}.{number % 256}.0/24"' for number in range(point.size)]
    return point.begin(this, stack, [SERVE, DENY], "exempt", settings=f"exempt = [{', '.join(networks)}]\n")


CURVES = (
    Curve(name="services", title="services", steps=(10, 100, 1_000, 10_000), kinds=KINDS, begin=with_services),
    Curve(
        name="bans",
        title="bans in force",
        steps=(1, 100, 10_000, 100_000, 1_000_000),
        kinds=(Kind.XINETD, Kind.SENTINETD),
        begin=with_bans,
        limits=((Kind.XINETD, XINETDS_MOST),),
    ),
    Curve(name="servers", title="running servers", steps=(1, 10, 100, 1_000, 2_000), kinds=KINDS, begin=with_servers),
    Curve(
        name="exempt",
        title="exempt networks",
        steps=(1, 10, 100, 1_000, 10_000),
        kinds=(Kind.SENTINETD,),
        begin=with_exempt,
    ),
)


def main() -> int:
    """Measure the curves; 0 if every connection went as expected."""
    options = _options()
    enter_namespaces()
    for line in missing():
        print(f"bench: {line}", file=sys.stderr)
    kinds = tuple(kind for kind in KINDS if present(kind))
    plan = replace(QUICK if options.quick else FULL, rounds=options.rounds or (2 if options.quick else 3))
    most = options.most or (1_000 if options.quick else sys.maxsize)
    with tempfile.TemporaryDirectory(prefix="sentinetd-bench-") as name:
        work = Path(name)
        work.chmod(0o755)
        site = Site(built(work), work)
        about = {**facts(work), **{kind.value: version(kind) for kind in kinds}, "rounds": f"{plan.rounds}"}
        results: dict[str, Results] = {}
        try:
            for number, curve in enumerate(CURVES):
                if not options.only or curve.name in options.only:
                    print(f"bench: {curve.title}", file=sys.stderr, flush=True)
                    points = curve.points(number, kinds, most)
                    results[curve.name] = _measured(curve, points, site, plan, kinds)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    failures = [f"{name}: {line}" for name, one in results.items() for line in one.failures()]
    _write(about, results, failures, options.results)
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how the cost of a connection grows (as root): 6 minutes.")
    parser.add_argument("--quick", action="store_true", help="nothing beyond a thousand, in a minute")
    parser.add_argument("--only", nargs="+", metavar="WHAT", choices=[curve.name for curve in CURVES], default=[])
    parser.add_argument("--most", type=int, metavar="N", help="nothing beyond so many")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each point is measured")
    parser.add_argument("--results", type=Path, metavar="DIR", default=HERE / "results", help="where the report goes")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured(curve: Curve, points: Sequence[Point], site: Site, plan: Plan, kinds: tuple[Kind, ...]) -> Results:
    """All points of a curve at once, measured in turn: so they all see the same machine."""
    results = Results()
    with ExitStack() as stack:
        first = Round(0, plan, site, kinds, lambda name: True, results)
        running = {point: curve.begin(first, stack, point) for point in points}
        for number in range(plan.rounds):
            print(f"round {number + 1} of {plan.rounds}: {len(points)} points", file=sys.stderr, flush=True)
            this = replace(first, number=number)
            for turn, workload in enumerate(WORKLOADS):
                for point in this.in_turn(points, turn * len(points) // 2):
                    if takes_part(point.kind, workload):
                        sample = measure(this.load, workload, running[point], plan.seconds)
                        results.add(f"{workload.name}|{point.size}", point.kind.value, sample)
    return results


def _curve(name: str) -> Curve:
    return next(curve for curve in CURVES if curve.name == name)


def _write(about: dict[str, str], results: dict[str, Results], failures: Sequence[str], directory: Path) -> None:
    """Print a table, and keep all in *directory*."""
    curves: dict[str, dict[str, dict[str, dict[str, object]]]] = {}
    for name, one in results.items():
        print(f"\n{_curve(name).title}: CPU of a connection in microseconds")
        order = [f"{workload.name}|{size}" for workload in WORKLOADS for size in _curve(name).steps]
        for place in filter(one.samples.__contains__, order):
            by = one.samples[place]
            workload, _, size = place.partition("|")
            for who, samples in by.items():
                spread = Spread.of([sample.cpu_each for sample in samples])
                print(f"{workload:>8} {int(size):>9,} {who:>14} {spread.show(',.0f', 1e-6)}")
                curves.setdefault(name, {}).setdefault(workload, {}).setdefault(who, {})[size] = asdict(spread)
    print("\n".join(failures))
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / time.strftime("curves-%Y%m%d-%H%M%S.json")
    titles = {curve.name: curve.title for curve in CURVES}
    whole = {"facts": about, "titles": titles, "curves": curves, "failures": list(failures)}
    path.write_text(json.dumps(whole, indent=1) + "\n")
    print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
