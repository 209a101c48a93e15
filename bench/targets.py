"""The project's own targets, and what was measured beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from load import Sample
from results import UNITS, Results, Spread, ratio

TABLE = Path(__file__).resolve().parent / "targets.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One row of targets.toml, which explains the fields."""

    work: str
    figure: str
    of: str
    floor: float
    goal: float
    who: str = "sentinetd"
    against: str = ""
    less: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A target with what was *measured*; *cpu*: the same by CPU, where connections were measured."""

    target: Target
    measured: Spread | None
    cpu: Spread | None

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.measured is None:
            return "not measured"
        if self._reaches(self.target.goal):
            return "goal met"
        return "floor met" if self._reaches(self.target.floor) else "missed"

    def _reaches(self, limit: float) -> bool:
        assert self.measured is not None
        return self.measured.median <= limit if self.target.less else self.measured.median >= limit

    def plain(self) -> dict[str, object]:
        """For the report in JSON."""
        return {
            **asdict(self.target),
            "verdict": self.verdict,
            "measured": self.measured and asdict(self.measured),
            "by_cpu": self.cpu and asdict(self.cpu),
        }


def read(path: Path = TABLE) -> list[Target]:
    """The rows of a table of targets."""
    with path.open("rb") as file:
        return [Target(**row) for row in tomllib.load(file)["target"]]


def judge(targets: Sequence[Target], results: Results) -> list[Judged]:
    """What was measured for each target."""
    return [_judged(target, results) for target in targets]


def _judged(target: Target, results: Results) -> Judged:
    if target.of in ("rate", "cpu"):
        by = results.samples.get(target.figure, {})
        ours, theirs = by.get(target.who, []), by.get(target.against, [])
        cpu = ratio(theirs, ours, cpu_each)
        return Judged(target, cpu if target.of == "cpu" else ratio(ours, theirs, rate), cpu)
    values = results.values.get(target.figure, {})
    own = values.get(target.who, [])
    if not target.against:
        size = UNITS[target.unit].size
        return Judged(target, Spread.of([one / size for one in own]) if own else None, None)
    others = values.get(target.against, [])
    return Judged(target, ratio(others, own, float) if target.of == "speed" else ratio(own, others, float), None)


def rate(sample: Sample) -> float:
    """Connections per second."""
    return sample.rate


def cpu_each(sample: Sample) -> float:
    """CPU of one connection."""
    return sample.cpu_each
