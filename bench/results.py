"""What was measured: samples of connections and single values, by what it was and who it was, one a round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from load import Sample

T = TypeVar("T")


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
        """Median (least..greatest), each divided by *unit*; the median alone, if there was nothing to differ."""
        median, low, high = (format(value / unit, form) for value in (self.median, self.low, self.high))
        return median if low == high else f"{median} ({low}..{high})"


@dataclass(frozen=True, slots=True)
class Unit:
    """How a value is shown: divided by *size*, in *form*, called *name*."""

    name: str
    form: str
    size: float = 1.0


SECONDS = Unit("s", ",.3f")
MILLISECONDS = Unit("ms", ",.2f", 1e-3)
MIB = Unit("MiB", ",.1f", 2**20)
KIB = Unit("KiB", ",.2f", 2**10)
BYTES = Unit("bytes", ",.0f")
MB_PER_SECOND = Unit("MB/s", ",.0f", 1e6)
PER_SECOND = Unit("a second", ",.0f")
TIMES = Unit("times", ",.2f")
UNITS = {unit.name: unit for unit in (SECONDS, MILLISECONDS, MIB, KIB, BYTES, MB_PER_SECOND, PER_SECOND, TIMES)}


@dataclass(slots=True)
class Results:
    """All that was measured.

    *samples* by workload and contender, one a round, in the order of the rounds; *values* by name and contender, with
    their *units*. *memory*: bytes by occasion, contender and process. *idle*: what part of the machine had nothing to
    do while nothing was measured. *facts*: what the run was made on and with. *remarks*: who could not do what.
    """

    facts: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    memory: dict[str, dict[str, dict[str, list[int]]]] = field(default_factory=dict)
    idle: list[float] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, workload: str, who: str, sample: Sample) -> None:
        """Keep one more sample."""
        self.samples.setdefault(workload, {}).setdefault(who, []).append(sample)

    def note(self, name: str, who: str, value: float, unit: Unit) -> None:
        """Keep one more value."""
        self.values.setdefault(name, {}).setdefault(who, []).append(value)
        self.units[name] = unit

    def weigh(self, occasion: str, who: str, sizes: Mapping[str, int]) -> None:
        """Keep the sizes of the processes of *who* by their roles."""
        known = self.memory.setdefault(occasion, {}).setdefault(who, {})
        for role, size in sizes.items():
            known.setdefault(role, []).append(size)
        self.note(f"memory, {occasion}", who, sum(sizes.values()), MIB)

    def remark(self, text: str) -> None:
        """Keep what a reader has to know, once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def resent(self) -> list[str]:
        """Workloads in which datagrams were lost."""
        return [
            f"{workload}, {who}: {count} of {sum(one.connections for one in samples)} datagrams were thrown away, and "
            "sent again after 0.2 s"
            for workload, by in self.samples.items()
            for who, samples in by.items()
            if (count := sum(sample.resent for sample in samples))
        ]

    def failures(self) -> list[str]:
        """Workloads in which connections did not go as expected."""
        return [
            f"{workload}, {who}: {count} of {sum(one.connections for one in samples) + count} "
            f"({', '.join(sorted({one.first_error for one in samples if one.failures}))})"
            for workload, by in self.samples.items()
            for who, samples in by.items()
            if (count := sum(sample.failures for sample in samples))
        ]


def ratio(samples: Sequence[T], others: Sequence[T], value: Callable[[T], float]) -> Spread | None:
    """*value* of samples to that of *others*, round by round; None where there is nothing to divide by."""
    pairs = [(value(one), value(other)) for one, other in zip(samples, others, strict=False)]
    quotients = [one / other for one, other in pairs if other]
    return Spread.of(quotients) if quotients else None
