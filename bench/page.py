"""Writes docs/performance.md, and its picture, from the reports of run.py and curves.py: `make bench-docs`.

Without arguments from the newest of each in bench/results. Of several reports of run.py, those named later fill in what
the earlier ones have not measured: so a part can be measured again. See README.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import HERE, TREE
from report import QUIET_ENOUGH
from results import UNITS, Unit

PAGE = TREE / "docs" / "performance.md"
PICTURE = Path("images") / "scaling.svg"
SHOWN = (
    ("Serving", "serve hello as nobody, 1 client"),
    ("Serving", "serve hello as nobody, 32 clients"),
    ("Serving", "serve hello as nobody, 256 clients"),
    ("Serving", "serve a Python script as nobody with limits and nice, 32 clients"),
    ("Refusing and banning", "refuse by no_access"),
    ("Refusing and banning", "refuse a banned source, 1 ban"),
    ("Refusing and banning", "trip a sensor, until logged and stored"),
    ("What a daemon does itself", "internal daytime"),
    ("What a daemon does itself", "internal echo"),
    ("What a daemon does itself", "datagram echo, 1 client"),
    ("What a daemon does itself", "redirect, connections"),
    ("All together", "a mixed day, 32 clients"),
)
"""Of the workloads, those that the page shows, by its headings."""
ABOUT = ("machine", "kernel", "C library", "Python", "files on")
MACHINE = ("time", *ABOUT, "TFTP server", "rounds")
"""Facts that are not versions."""

HEAD = """\
# Performance

How fast sentinetd is beside other super-servers, and how little it matters how much there is of everything. All of it
is measured by `bench/` in the source tree, and this page is written by it: anybody can have one of their own machine.

"""
HOW = """\
## Have your own

    sudo make bench                    # everything beside everybody, 20 minutes
    sudo make bench-curves             # the curves, 6 minutes
    make bench-docs                    # this page, from the newest reports of both

`bench/README.md` says what each workload is, and how to read the figures. A rate belongs to one machine at one moment:
compare ratios within one run, and CPU times, which other work on the machine hardly changes.
"""


def main() -> int:
    """Write the page; 1 if there is nothing to write it from."""
    parser = argparse.ArgumentParser(description="Write docs/performance.md from what was measured.")
    parser.add_argument("--runs", nargs="+", type=Path, metavar="JSON", help="reports of run.py")
    parser.add_argument("--curves", nargs="+", type=Path, metavar="JSON", help="reports of curves.py")
    parser.add_argument("--page", type=Path, metavar="FILE", default=PAGE, help="what to write, its picture below it")
    parser.add_argument("--no-picture", action="store_true", help="the text alone: that takes no matplotlib")
    options = parser.parse_args()
    runs = options.runs or newest("2*.json")
    curves = options.curves or newest("curves-*.json")
    if not runs or not curves:
        print("bench: no reports in bench/results; make bench and make bench-curves make them", file=sys.stderr)
        return 1
    read = [json.loads(path.read_text()) for path in runs]
    of_curves = all_curves([json.loads(path.read_text()) for path in curves])
    options.page.write_text(page(merged(read), of_curves))
    if not options.no_picture:
        from plot import draw  # needs matplotlib

        draw(of_curves, options.page.parent / PICTURE)
    print(f"written to {options.page}, from {', '.join(path.name for path in (*runs, *curves))}")
    return 0


def newest(pattern: str) -> list[Path]:
    """The newest report of a kind, if there is any."""
    return sorted((HERE / "results").glob(pattern))[-1:]


def merged(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One report of several."""
    whole: dict[str, Any] = dict(reports[0])
    for more in reports[1:]:
        for part in ("workloads", "values", "facts"):
            whole[part] = {**more[part], **whole[part]}
        whole["targets"] = [
            other if one["measured"] is None else one
            for one, other in zip(whole["targets"], more["targets"], strict=True)
        ]
        whole["idle"] = [*whole["idle"], *more["idle"]]
        whole["remarks"] = list(dict.fromkeys([*whole["remarks"], *more["remarks"]]))
    return whole


def all_curves(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One report of several, the curves in their usual order."""
    found = {name: by for report in reversed(reports) for name, by in report["curves"].items()}
    return {**reports[0], "curves": {name: found[name] for name in reports[0]["titles"] if name in found}}


def page(run: Mapping[str, Any], curves: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [HEAD, _machine(run), _targets(run["targets"]), _workloads(run), _curves(curves), _values(run), HOW]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _machine(run: Mapping[str, Any]) -> str:
    facts = run["facts"]
    compared = [text for name, text in facts.items() if name not in MACHINE and name != "C loop"]
    idle = statistics.median(run["idle"]) if run["idle"] else 0.0
    lines = [
        f"- measured: {facts['time'].split()[0]}, {facts['rounds']}",
        *(f"- {name}: {facts[name]}" for name in ABOUT if name in facts),
        f"- compared: {', '.join(compared)}; and plain loops in C, which show what the kernel allows",
    ]
    if idle < QUIET_ENOUGH:
        lines += [
            '\n!!! warning "The machine had other work"',
            f"    Of it, {100 * idle:.0f} % was idle between measurements. Read the CPU columns here, not the rates.",
        ]
    return "\n".join(lines)


def _targets(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "## Targets\n",
        "What this project holds itself to. A ratio to another is of rates, unless memory or time is meant.\n",
        "| Work | Against | At least | Aim | Measured | By CPU | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] else ""
        form = ".3g" if row["less"] and row["against"] else ".2f"
        limit = f"{'at most ' if row['less'] else ''}{row['floor']:g}{unit}"
        measured = _spread(row["measured"], form) + unit if row["measured"] else "-"
        by_cpu = _spread(row["by_cpu"], ".2f") if row["by_cpu"] else "-"
        cells = [row["work"], row["against"] or "-", limit, f"{row['goal']:g}{unit}", measured, by_cpu, row["verdict"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(spread: Mapping[str, float], form: str, size: float = 1.0) -> str:
    median, low, high = (format(spread[name] / size, form) for name in ("median", "low", "high"))
    return median if low == high else f"{median} ({low}..{high})"


def _workloads(run: Mapping[str, Any]) -> str:
    lines = []
    heading = ""
    for title, name in SHOWN:
        if name not in run["workloads"]:
            continue
        if title != heading:
            heading = title
            lines += [
                f"\n## {title}\n",
                "| Work | Who | A second | To xinetd's | CPU each, µs |",
                "|---|---|---|---|---|",
            ]
        for who, one in sorted(run["workloads"][name].items(), key=lambda item: item[1]["cpu_seconds_each"]):
            ratio = one["ratios"].get("xinetd")
            cells = [name, who, f"{one['per_second']:,.0f}", f"{ratio:.2f}" if ratio is not None else "-"]
            lines.append(f"| {' | '.join(cells)} | {one['cpu_seconds_each'] * 1e6:,.0f} |")
    return "\n".join(lines).lstrip("\n")


def _curves(curves: Mapping[str, Any]) -> str:
    lines = [
        "## How cost grows\n",
        f"![CPU of a connection against services, bans, running servers and exempt networks]({PICTURE})\n",
        "CPU of all processes for one connection, servers included: medians over the rounds, from the least to the "
        "greatest behind them, on logarithmic axes. All points of a picture ran at once and were measured in turn "
        f"({curves['facts']['time'].split()[0]}, {curves['facts']['machine']}). xinetd's list of bans has room for "
        "10,240, and neither it nor openbsd-inetd has exempt sources. The last point to the first, by "
        "sentinetd's medians:\n",
        "| | Served | Refused |",
        "|---|---|---|",
    ]
    for name, by in curves["curves"].items():
        cells = [_growth(by.get(workload, {}).get("sentinetd", {})) for workload in ("served", "refused")]
        lines.append(f"| {curves['titles'][name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _growth(points: Mapping[str, Mapping[str, float]]) -> str:
    """How many times as much the largest costs as the smallest."""
    sizes = sorted(map(int, points))
    if len(sizes) < 2:
        return "-"
    first, last = points[str(sizes[0])]["median"], points[str(sizes[-1])]["median"]
    return f"{last / first:.2f} ({sizes[0]:,} to {sizes[-1]:,})"


def _values(run: Mapping[str, Any]) -> str:
    lines = ["## Memory, starts, throughput\n", "| What | Who | Median | Unit |", "|---|---|---|---|"]
    for name, one in run["values"].items():
        unit: Unit = UNITS[one["unit"]]
        for who, spread in one["by"].items():
            lines.append(f"| {name} | {who} | {_spread(spread, unit.form, unit.size)} | {unit.name} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
