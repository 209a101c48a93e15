"""How many machine instructions the spawner takes for an order, beside the least that C can do (``least.c``).

valgrind(1) counts them while the spawner's own sources run with a stand-in for clone(2) (``unborn.c``): what it takes
in, looks up, prepares, answers. The number is exact and depends on the compiler and the C library alone, hence the
ratio to a program that has the same of both. `MARGIN` is for other compilers; twice as many fail. To count anew:
``pytest -s -n 0 tests/cost/test_spawner.py`` prints all. What a new process does until it is the server is bounded in
``test_system_calls.py``.
"""

from __future__ import annotations

import os
import re
import select
import shutil
from pathlib import Path

import pytest

from rig.network import run
from sentinetd.spawn import spawner
from sentinetd.spawn.protocol import Launched
from sentinetd.spawn.recipe import Recipe
from sentinetd.spawn.spawner import Backend, Spawner

HERE = Path(__file__).parent
SOURCES = sorted((HERE.parents[1] / "src/sentinetd/spawn").glob("*.c"))
RECIPE = Recipe(
    "/usr/bin/true",
    ("true",),
    ("PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8", "TZ=UTC"),
    uid=65534,
    gid=65534,
    groups=(65534,),
    nice=1,
    limits=((7, 1024),),
)
FEW, MANY = 100, 600
"""Orders: the difference of two counts is without what is done once."""
RECIPES = (1, 1000)
MEASURED = 4.3
"""Times the instructions of ``least.c``, by gcc 12 and the C library 2.36, linked statically."""
MARGIN = 1.6
GROWS = 1.5
"""Times the instructions with the larger number of recipes: it is a search by halves."""
WITHIN = 60.0  # seconds


@pytest.fixture
def valgrind() -> str:
    """The program."""
    found = shutil.which("valgrind")
    if found is None:
        pytest.fail("this test counts instructions with valgrind: install it (`make test` does)")
    return found


def build(program: Path, *sources: Path) -> Path:
    options = ["-O2", "-static", "-Wl,--wrap=clone", f"-I{SOURCES[0].parent}"]
    run("cc", *options, "-o", str(program), *map(str, (*sources, HERE / "unborn.c")))
    return program


def each(program: Path, valgrind: str, patch: pytest.MonkeyPatch, recipes: int = 1) -> float:
    """Instructions of *program*, in the spawner's place, for an order of one of so many recipes."""
    few, many = (counted(program, valgrind, patch, recipes, orders) for orders in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def counted(program: Path, valgrind: str, patch: pytest.MonkeyPatch, recipes: int, orders: int) -> int:
    """Instructions of a life in which so many orders are carried out."""
    said = program.with_suffix(f".{recipes}.{orders}")
    wrapped = program.with_suffix(".sh")
    options = f"--tool=callgrind --callgrind-out-file=/dev/null --log-file={said}"
    wrapped.write_text(f'#!/bin/sh\nexec {valgrind} {options} {program} "$@"\n')
    wrapped.chmod(0o755)
    patch.setattr(spawner, "PROGRAM", str(wrapped))
    started = Spawner(Backend.C)
    connection = os.open(os.devnull, os.O_RDWR)
    try:
        for number in range(1, recipes + 1):
            started.teach(number, RECIPE)
            await_taken(started)
        for order in range(1, orders + 1):
            started.launch(order, recipes, connection, "192.0.2.1")
            reply = answered(started)
            assert isinstance(reply, Launched), reply
            assert (reply.order, reply.pid) == (order, 4711)
    finally:
        os.close(connection)
        started.close()
        os.waitpid(started.pid, 0)
    text = said.read_text()
    found = re.search(r"Collected : (\d+)", text)
    assert found, text
    return int(found[1])


def await_taken(started: Spawner) -> None:
    """Nothing waits for room in the socket."""
    while started.wants_write:
        assert select.select([], [started], [], WITHIN)[1], "the program takes nothing"
        started.flush()


def answered(started: Spawner) -> object:
    """The next reply."""
    assert select.select([started], [], [], WITHIN)[0], "no reply"
    [reply] = started.receive()
    return reply


def test_an_order_takes_few_more_instructions_than_it_must(
    tmp_path: Path, valgrind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = each(build(tmp_path / "least", HERE / "least.c"), valgrind, monkeypatch)
    ours = build(tmp_path / "spawner", *SOURCES)
    one, many = (each(ours, valgrind, monkeypatch, recipes) for recipes in RECIPES)
    ratio = one / least
    print(
        f"an order: {one:.1f} instructions, {many:.1f} of {RECIPES[1]} recipes; {least:.1f} at least, {ratio:.2f} times"
    )
    assert ratio <= MARGIN * MEASURED, f"{one:.0f} instructions, {ratio:.2f} times the least"
    assert many <= GROWS * one, f"{many:.0f} instructions with {RECIPES[1]} recipes, {one:.0f} with {RECIPES[0]}"
