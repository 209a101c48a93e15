"""How many steps of the interpreter (`cost.steps`) a start and a reload take for each of many services.

To measure anew: ``pytest -s -n 0 tests/cost/test_start.py`` prints all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from config.machine import Machine, entry
from cost.steps import Steps, steps
from sentinetd.config.load import Loaded, load
from sentinetd.config.recall import Recall

FEW, MANY = 10, 110
MARGIN = 1.3

Entry = Callable[[int], str]


def alike(number: int) -> str:
    """One of many that differ in name, port and arguments."""
    return entry(f"one-{number}", f"type = UNLISTED;port = {1000 + number};server_args = {number};cps = 90 9")


def unlike(number: int) -> str:
    """One of many of which no two are written alike."""
    return alike(number).replace("{\n", f"{{\n\t# {number}\n")


def read(entries: Sequence[str], recall: Recall | None = None) -> Loaded:
    found = load("main.conf", Machine({"main.conf": "".join(entries).encode()}), recall=recall)
    assert len(found.services) == len(entries)
    return found


def each(work: Callable[[int], Steps]) -> float:
    """Instructions for one service more."""
    _, few, many = work(FEW), work(FEW), work(MANY)  # what is done once is done by now
    return (many.instructions - few.instructions) / (MANY - FEW)


@pytest.mark.parametrize(
    ("written", "measured"), [pytest.param(alike, 1173, id="alike"), pytest.param(unlike, 6300, id="none like another")]
)
def test_reading(written: Entry, measured: float) -> None:
    def reading(count: int) -> Steps:
        entries = list(map(written, range(count)))
        return steps(lambda: read(entries))

    found = each(reading)
    print(f"{found:.0f} instructions a service")
    assert found <= MARGIN * measured


def test_reading_again_with_one_changed() -> None:
    def again(count: int) -> Steps:
        recall, entries = Recall(), [alike(number) for number in range(count)]
        before = read(entries, recall).services
        entries[-1] = alike(count)
        found: list[Loaded] = []
        taken = steps(lambda: found.append(read(entries, recall)))
        assert sum(one is other for one, other in zip(before, found[0].services, strict=True)) == count - 1
        return taken

    found = each(again)
    print(f"{found:.0f} instructions a service")
    assert found <= MARGIN * 277
