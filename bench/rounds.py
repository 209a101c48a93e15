"""A round: who takes part in what, in turn, and what is kept of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from contenders import Running
from doors import Door
from load import Workload, measure
from machine import Site
from peers import PEERS, Kind, offers
from results import Results

T = TypeVar("T")

OVERHEAD = 0.4
"""Seconds around one measurement, until a daemon rests."""
START = 0.7
"""Seconds in which a contender starts and ends, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is done: *rounds*, in each *seconds* for every timed workload, *trips* of the sensor, so many
    connections *held* open, *services* and *bans* in the steps of a scale, connections of a mixed *day*.

    No more than 10,000 trips: xinetd's list is full at 10,240, and its sensors stop banning. *first*: only what a first
    look needs.
    """

    rounds: int
    seconds: float
    trips: int
    held: int
    services: tuple[int, ...]
    bans: tuple[int, ...]
    day: int
    first: bool = False


FULL = Plan(
    rounds=5,
    seconds=0.5,
    trips=10_000,
    held=10_000,
    services=(10, 1_000, 10_000),
    bans=(0, 10_000, 1_000_000),
    day=10_000,
)
QUICK = Plan(
    rounds=2, seconds=0.25, trips=1_000, held=300, services=(10, 1_000), bans=(0, 10_000), day=1_000, first=True
)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a run, and what everything in it needs to know. *wanted* says by its name whether to measure."""

    number: int
    plan: Plan
    site: Site
    kinds: tuple[Kind, ...]
    wanted: Callable[[str], bool]
    results: Results

    @property
    def load(self) -> Path:
        """The load generator."""
        return self.site.programs / "load"

    def has(self, workload: Workload) -> bool:
        """Whether a workload is measured in this round."""
        return self.wanted(workload.name) and self.number % workload.every == 0

    @contextmanager
    def running(
        self, stage: str, doors: Sequence[Door], kinds: Sequence[Kind] = tuple(Kind)
    ) -> Iterator[list[Running]]:
        """Those who can offer any of *doors*, started anew; another one is first in each round."""
        with ExitStack() as stack:
            started = []
            for kind in self.in_turn([kind for kind in self.kinds if kind in kinds]):
                if any(offers(kind, door) for door in doors):
                    directory = self.site.work / f"{self.number}-{stage}-{kind.name.lower()}"
                    running = Running(kind, doors, self.site, directory)
                    stack.callback(running.stop)
                    started.append(running)
            yield started

    def in_turn(self, members: Sequence[T], turn: int = 0) -> list[T]:
        """All of *members*, another one first in each round and in each turn."""
        if not members:
            return []
        shift = (self.number + turn) % len(members)
        return [*members[shift:], *members[:shift]]

    def measure_all(self, workloads: Sequence[Workload], all_running: Sequence[Running]) -> None:
        """Every workload with everybody who offers its door, one after the other.

        Who is first changes from workload to workload, so that no one always has the cold or the warm machine.
        """
        for turn, workload in zip(itertools.count(), filter(self.has, workloads), strict=False):
            for running in self.in_turn(all_running, turn):
                if takes_part(running.kind, workload):
                    sample = measure(self.load, workload, running, self.plan.seconds)
                    self.results.add(workload.name, running.name, sample)


def takes_part(kind: Kind, workload: Workload) -> bool:
    """Whether *kind* can offer a service for so many clients."""
    return offers(kind, workload.door) and workload.clients <= PEERS[kind].most_clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Some workloads for which the same contenders run. *names* are of all that `run` can measure in a round, *first*
    those of a first look; *takes* gives about how many seconds a round of the wanted ones takes."""

    name: str
    names: tuple[str, ...]
    first: frozenset[str]
    run: Callable[[Round], None]
    takes: Callable[[Round], float]


def seconds_of(workloads: Sequence[Workload], this: Round) -> float:
    """About how long `measure_all` and the start of those who take part take."""
    measured = [(workload, kind) for workload in workloads if this.has(workload) for kind in this.kinds]
    measured = [(workload, kind) for workload, kind in measured if takes_part(kind, workload)]
    each = sum(this.plan.seconds * workload.times + OVERHEAD for workload, _ in measured)
    return each + START * len({kind for _, kind in measured})
