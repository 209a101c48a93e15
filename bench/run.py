"""Measures sentinetd beside other super-servers and prints ratios. One command; see README.md in this directory.

It works in namespaces of its own, so that nothing of it is seen outside and nothing of it is left behind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from machine import HERE, INSIDE, BenchError, Site, built, enter_namespaces, facts
from peers import Kind, debian, missing, present, version
from report import as_json, markdown
from results import Results
from rounds import FULL, QUICK, Plan, Round, Stage
from stages.internal import TFTPD
from stages.table import STAGES
from targets import judge, read

FEW = [Kind.XINETD, Kind.SENTINETD, Kind.LIMIT]
"""Who takes part in a first look."""
BUILD = 5.0
"""Seconds before the first round, about."""


def main() -> int:
    """Run the benchmark; 0 if every connection went as expected."""
    options = _options()
    if options.list:
        print("\n".join(name for stage in STAGES for name in stage.names))
        return 0
    enter_namespaces()
    for line in missing():
        print(f"bench: {line}", file=sys.stderr)
    wanted = Wanted(tuple(options.only_workload), options.quick)
    chosen = [Kind(name) for name in options.only] or (FEW if options.quick else list(Kind))
    kinds = tuple(kind for kind in chosen if present(kind))
    plan = QUICK if options.quick else FULL
    plan = replace(plan, rounds=options.rounds or plan.rounds, seconds=options.seconds or plan.seconds)
    with tempfile.TemporaryDirectory(prefix="sentinetd-bench-") as name:
        work = Path(name)
        work.chmod(0o755)  # the servers' user must get at the program
        try:
            results = Results(_facts(kinds, plan, work))
            rounds = [
                Round(number, plan, Site(work / "programs", work), kinds, wanted, results)
                for number in range(plan.rounds)
            ]
            if not any(wanted.stage(stage) for stage in STAGES):
                raise BenchError("no workload has such a name; --list shows them")
            _announce(rounds, wanted)
            if options.dry_run:
                return 0
            built(work)
            for one in rounds:
                _run(one, wanted)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    _write(results, options.results)
    return 1 if results.failures() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure sentinetd beside other super-servers (as root).")
    parser.add_argument("--quick", action="store_true", help="a first look, in a minute or two")
    parser.add_argument(
        "--only", nargs="+", metavar="WHO", choices=[kind.value for kind in Kind], default=[], help="not all of them"
    )
    parser.add_argument(
        "--only-workload", nargs="+", metavar="TEXT", default=[], help="only what has one of these in its name"
    )
    parser.add_argument("--list", action="store_true", help="print the names of all that can be measured")
    parser.add_argument("--dry-run", action="store_true", help="say what is to come and how long it takes, no more")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long each workload takes")
    parser.add_argument("--results", type=Path, metavar="DIR", default=HERE / "results", help="where the reports go")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured: with *words*, whatever has one of them in its name; else all, or with *quick* what a
    first look needs."""

    words: tuple[str, ...]
    quick: bool

    def __call__(self, name: str) -> bool:
        """Whether to measure what is called so."""
        if self.words:
            return any(word in name for word in self.words)
        return not self.quick or any(name in stage.first for stage in STAGES)

    def stage(self, stage: Stage) -> bool:
        """Whether a stage has anything to measure."""
        return any(map(self, stage.names))


def _announce(rounds: Sequence[Round], wanted: Wanted) -> None:
    """Say what is to come, and about how long it takes on a machine that is not slow."""
    whole = BUILD
    for stage in STAGES:
        if wanted.stage(stage):
            takes = sum(stage.takes(one) for one in rounds)
            whole += takes
            count = sum(map(wanted, stage.names))
            print(f"bench: {stage.name}: {count} of {len(stage.names)} workloads, {takes:.0f} s", file=sys.stderr)
    who = ", ".join(kind.value for kind in rounds[0].kinds)
    print(f"bench: {len(rounds)} rounds with {who}: about {whole / 60:.1f} minutes", file=sys.stderr, flush=True)


def _facts(kinds: Sequence[Kind], plan: Plan, work: Path) -> dict[str, str]:
    """What the figures depend on."""
    return {
        **facts(work),
        **{kind.value: version(kind) for kind in kinds},
        "TFTP server": debian(TFTPD) or "none",
        "rounds": f"{plan.rounds} of {plan.seconds:g} s a workload and {plan.trips:,} trips",
    }


def _run(one: Round, wanted: Wanted) -> None:
    """Every stage that has something to do."""
    begun = time.monotonic()
    for stage in STAGES:
        if wanted.stage(stage):
            print(f"round {one.number + 1} of {one.plan.rounds}: {stage.name}", file=sys.stderr, flush=True)
            stage.run(one)
    print(f"round {one.number + 1} took {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


def _write(results: Results, directory: Path) -> None:
    """Print the report and keep it in *directory*."""
    judged = judge(read(), results)
    text = markdown(results, judged)
    print(text)
    directory.mkdir(parents=True, exist_ok=True)
    stem = time.strftime("%Y%m%d-%H%M%S")
    (directory / f"{stem}.md").write_text(text)
    (directory / f"{stem}.json").write_text(as_json(results, judged))
    print(f"written to {directory / stem}.md and .json", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
