"""From samples to figures: medians with their spread, ratios within one round, as Markdown and as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from contenders import Kind
from workloads import Sample

MIB = 1024 * 1024
QUIET_ENOUGH = 0.9
"""What part of the machine must be idle between measurements for rates to mean much."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure measured several times."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """*values* must not be empty."""
        return cls(statistics.median(values), min(values), max(values))

    def show(self, form: str, unit: float = 1.0) -> str:
        """Median (least..greatest), each divided by *unit*."""
        median, low, high = (format(value / unit, form) for value in (self.median, self.low, self.high))
        return f"{median} ({low}..{high})"


@dataclass(slots=True)
class Results:
    """All that was measured: *samples* by workload and contender, one a round, in the order of the rounds.

    *memory*: bytes by occasion, contender and process, one a round. *idle*: what part of the machine had nothing to do
    while nothing was measured, one a round. *facts*: what the run was made on and with.
    """

    facts: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[Kind, list[Sample]]] = field(default_factory=dict)
    memory: dict[str, dict[Kind, dict[str, list[int]]]] = field(default_factory=dict)
    idle: list[float] = field(default_factory=list)

    def add(self, workload: str, kind: Kind, sample: Sample) -> None:
        """Keep one more sample."""
        self.samples.setdefault(workload, {}).setdefault(kind, []).append(sample)

    def add_memory(self, occasion: str, kind: Kind, sizes: Mapping[str, int]) -> None:
        """Keep the sizes of the processes of *kind* by their roles."""
        known = self.memory.setdefault(occasion, {}).setdefault(kind, {})
        for role, size in sizes.items():
            known.setdefault(role, []).append(size)
        known.setdefault("all", []).append(sum(sizes.values()))

    def failures(self) -> list[str]:
        """Workloads in which connections did not go as expected."""
        return [
            f"{workload}, {kind.value}: {count} ({', '.join(sorted(texts))})"
            for workload, kinds in self.samples.items()
            for kind, samples in kinds.items()
            if (count := sum(sample.failures for sample in samples))
            and (texts := {sample.first_error for sample in samples if sample.failures})
        ]


def ratio(samples: Sequence[Sample], others: Sequence[Sample], value: Callable[[Sample], float]) -> Spread | None:
    """*value* of samples to that of *others*, round by round; None where there is nothing to divide by."""
    pairs = [(value(one), value(other)) for one, other in zip(samples, others, strict=True)]
    quotients = [one / other for one, other in pairs if other]
    return Spread.of(quotients) if quotients else None


def markdown(results: Results) -> str:
    """The report for people."""
    parts = ["# sentinetd beside xinetd\n", _facts(results), _rates(results), _memory(results)]
    failures = results.failures()
    parts.append("## Failures\n\n" + ("\n".join(f"- {line}" for line in failures) if failures else "None.") + "\n")
    return "\n".join(parts)


def _facts(results: Results) -> str:
    lines = [f"- {name}: {value}" for name, value in results.facts.items()]
    lines.append(f"- idle between measurements: {Spread.of(results.idle).show('.0f', 0.01)} % of the machine")
    if statistics.median(results.idle) < QUIET_ENOUGH:
        lines.append("\n**The machine had other work: read the CPU columns, not the rates.**")
    return "\n".join(lines) + "\n"


def _rates(results: Results) -> str:
    lines = [
        "## Connections\n",
        "Medians over the rounds (least..greatest). Ratios are taken within each round.\n",
        "| Work | Who | Per second | Rate to xinetd's | Rate to the C loop's | CPU µs each | of these the daemon's "
        "| CPU to xinetd's | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for workload, kinds in results.samples.items():
        for kind, samples in ((kind, kinds[kind]) for kind in Kind if kind in kinds):
            cells = [
                workload,
                kind.value,
                _spread(samples, lambda one: one.rate).show(",.0f"),
                _ratio(kinds, kind, Kind.XINETD, lambda one: one.rate),
                _ratio(kinds, kind, Kind.LIMIT, lambda one: one.rate),
                _spread(samples, lambda one: one.cpu_each).show(",.0f", 1e-6),
                _by_role(samples),
                _ratio(kinds, kind, Kind.XINETD, lambda one: one.cpu_each),
                _spread(samples, lambda one: one.p50).show(".2f", 1e-3),
                _spread(samples, lambda one: one.p99).show(".2f", 1e-3),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _spread(samples: Sequence[Sample], value: Callable[[Sample], float]) -> Spread:
    return Spread.of([value(sample) for sample in samples])


def _by_role(samples: Sequence[Sample]) -> str:
    """CPU of the daemon's own processes for one connection, in microseconds."""
    whole = f"{statistics.median(one.own_cpu_each for one in samples) * 1e6:,.0f}"
    roles = samples[0].own_cpu
    if len(roles) == 1:
        return whole
    each = (f"{role} {statistics.median(one.role_cpu_each(role) for one in samples) * 1e6:,.0f}" for role in roles)
    return f"{whole}: {', '.join(each)}"


def _ratio(kinds: Mapping[Kind, list[Sample]], kind: Kind, to: Kind, value: Callable[[Sample], float]) -> str:
    if kind is to or to not in kinds:
        return ""
    found = ratio(kinds[kind], kinds[to], value)
    return found.show(".2f") if found else ""


def _memory(results: Results) -> str:
    if not results.memory:
        return "## Memory\n\nNot measured: that needs root.\n"
    lines = ["## Memory (PSS, MiB)\n", "| When | Who | Process | MiB |", "|---|---|---|---|"]
    for occasion, kinds in results.memory.items():
        for kind, roles in kinds.items():
            for role, sizes in roles.items():
                if role != "all" or len(roles) > 2:
                    lines.append(f"| {occasion} | {kind.value} | {role} | {Spread.of(sizes).show('.1f', MIB)} |")
    return "\n".join(lines) + "\n"


def as_json(results: Results) -> str:
    """The report for programs: every sample, and the medians of rates and of their ratios to xinetd's."""
    workloads = {
        workload: {
            kind.value: {
                "per_second": _spread(samples, lambda one: one.rate).median,
                "cpu_seconds_each": _spread(samples, lambda one: one.cpu_each).median,
                "ratios": _ratios(kinds, kind),
                "samples": [sample.plain() for sample in samples],
            }
            for kind, samples in kinds.items()
        }
        for workload, kinds in results.samples.items()
    }
    memory = {
        occasion: {kind.value: roles for kind, roles in kinds.items()} for occasion, kinds in results.memory.items()
    }
    whole = {
        "facts": results.facts,
        "idle": results.idle,
        "workloads": workloads,
        "pss_bytes": memory,
        "failures": results.failures(),
    }
    return json.dumps(whole, indent=1) + "\n"


def _ratios(kinds: Mapping[Kind, list[Sample]], kind: Kind) -> dict[str, float]:
    """Medians of the rate's ratio, by whom it is compared to."""
    found = {to.value: ratio(kinds[kind], kinds[to], lambda one: one.rate) for to in kinds if to is not kind}
    return {name: spread.median for name, spread in found.items() if spread is not None}
