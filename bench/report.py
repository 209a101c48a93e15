"""The report: Markdown for people, with the targets first, and JSON with every sample for programs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from load import Sample
from peers import Kind
from results import MIB, Results, Spread, ratio
from targets import Judged, cpu_each, rate

QUIET_ENOUGH = 0.9
"""What part of the machine must be idle between measurements for rates to mean much."""


def markdown(results: Results, judged: Sequence[Judged]) -> str:
    """The report for people."""
    failures = results.failures()
    parts = [
        "# sentinetd beside other super-servers\n",
        targets_table(judged),
        facts(results),
        "## Connections\n",
        connections_table(results),
        "## Other figures\n",
        values_table(results),
        "## Memory by process\n",
        memory_table(results),
        "## Remarks\n\n" + _list([*results.remarks, *results.resent()]),
        "## Failures\n\n" + _list(failures),
    ]
    return "\n".join(parts)


def _list(lines: Sequence[str]) -> str:
    return ("\n".join(f"- {line}" for line in lines) if lines else "None.") + "\n"


def targets_table(judged: Sequence[Judged]) -> str:
    """Each target beside what was measured."""
    lines = [
        "| Work | Against | Floor | Goal | Measured | By CPU | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in judged:
        target = one.target
        unit = f" {target.unit}" if target.unit else ""
        cells = [
            target.work,
            target.against or "-",
            f"{'at most ' if target.less else ''}{target.floor:g}{unit}",
            f"{target.goal:g}{unit}",
            one.measured.show(".3g" if target.less and target.against else ".2f") + unit if one.measured else "-",
            one.cpu.show(".2f") if one.cpu else "-",
            f"**{one.verdict}**" if one.verdict == "missed" else one.verdict,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def facts(results: Results) -> str:
    """What the figures depend on."""
    lines = [f"- {name}: {value}" for name, value in results.facts.items()]
    if results.idle:
        lines.append(f"- idle between measurements: {Spread.of(results.idle).show('.0f', 0.01)} % of the machine")
        if statistics.median(results.idle) < QUIET_ENOUGH:
            lines.append("\n**The machine had other work: read the CPU columns, not the rates.**")
    return "\n".join(lines) + "\n"


def connections_table(results: Results) -> str:
    """All samples."""
    lines = [
        "Medians over the rounds (least..greatest). Ratios are taken within each round.\n",
        "| Work | Who | Per second | Rate to xinetd's | Rate to the C loop's | CPU µs each | of these the daemon's "
        "| CPU to xinetd's | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for workload, by in results.samples.items():
        for who, samples in _ordered(by):
            cells = [
                workload,
                who,
                _spread(samples, rate).show(",.0f"),
                _ratio(by, who, Kind.XINETD, rate),
                _ratio(by, who, Kind.LIMIT, rate),
                _spread(samples, cpu_each).show(",.0f", 1e-6),
                _by_role(samples),
                _ratio(by, who, Kind.XINETD, cpu_each),
                _spread(samples, lambda one: one.p50).show(".2f", 1e-3),
                _spread(samples, lambda one: one.p99).show(".2f", 1e-3),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _ordered(by: Mapping[str, list[Sample]]) -> list[tuple[str, list[Sample]]]:
    """Who took part, in the order of the table of peers; others after them."""
    order = [kind.value for kind in Kind]
    return sorted(by.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _spread(samples: Sequence[Sample], value: Callable[[Sample], float]) -> Spread:
    return Spread.of([value(sample) for sample in samples])


def _ratio(by: Mapping[str, list[Sample]], who: str, to: Kind, value: Callable[[Sample], float]) -> str:
    if who == to.value or to.value not in by:
        return "-"
    found = ratio(by[who], by[to.value], value)
    return found.show(".2f") if found else "-"


def _by_role(samples: Sequence[Sample]) -> str:
    """CPU of the daemon's own processes for one connection, in microseconds."""
    whole = f"{statistics.median(one.own_cpu_each for one in samples) * 1e6:,.0f}"
    roles = samples[0].own_cpu
    if len(roles) == 1:
        return whole
    each = (f"{role} {statistics.median(one.role_cpu_each(role) for one in samples) * 1e6:,.0f}" for role in roles)
    return f"{whole} ({', '.join(each)})"


def values_table(results: Results) -> str:
    """All single values."""
    lines = ["| What | Who | Value | Unit | To xinetd's |", "|---|---|---|---|---|"]
    for name, by in results.values.items():
        unit = results.units[name]
        for who, values in by.items():
            cells = [name, who, Spread.of(values).show(unit.form, unit.size), unit.name]
            against = by.get(Kind.XINETD.value) if who != Kind.XINETD.value else None
            to_xinetd = ratio(values, against, float) if against else None
            lines.append(f"| {' | '.join(cells)} | {to_xinetd.show('.3g') if to_xinetd else '-'} |")
    return "\n".join(lines) + "\n"


def memory_table(results: Results) -> str:
    """PSS of each process of those who have several."""
    lines = ["PSS in MiB.\n", "| When | Who | Process | MiB |", "|---|---|---|---|"]
    for occasion, by in results.memory.items():
        for who, roles in by.items():
            if len(roles) > 1:
                for role, sizes in roles.items():
                    lines.append(f"| {occasion} | {who} | {role} | {Spread.of(sizes).show('.1f', MIB.size)} |")
    return "\n".join(lines) + "\n"


def as_json(results: Results, judged: Sequence[Judged]) -> str:
    """The report for programs."""
    workloads = {
        workload: {
            who: {
                "per_second": _spread(samples, rate).median,
                "cpu_seconds_each": _spread(samples, cpu_each).median,
                "ratios": _ratios(by, who),
                "samples": [sample.plain() for sample in samples],
            }
            for who, samples in by.items()
        }
        for workload, by in results.samples.items()
    }
    whole = {
        "facts": results.facts,
        "targets": [one.plain() for one in judged],
        "idle": results.idle,
        "workloads": workloads,
        "values": {
            name: {"unit": results.units[name].name, "by": {who: asdict(Spread.of(them)) for who, them in by.items()}}
            for name, by in results.values.items()
        },
        "pss_bytes": results.memory,
        "remarks": [*results.remarks, *results.resent()],
        "failures": results.failures(),
    }
    return json.dumps(whole, indent=1) + "\n"


def _ratios(by: Mapping[str, list[Sample]], who: str) -> dict[str, float]:
    """Medians of the rate's ratio, by whom it is compared to."""
    found = {to: ratio(by[who], by[to], rate) for to in by if to != who}
    return {name: spread.median for name, spread in found.items() if spread is not None}
