"""What the tests of this room share: a server that costs as little as one can, and the limit that C sets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.network import run, temporary

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="session")
def hello() -> Iterator[Path]:
    """A static program that says hello and ends."""
    directory = temporary("rig")
    try:
        program = directory / "hello"
        run("cc", "-O2", "-static", "-o", str(program), str(BENCH / "hello.c"))
        yield program
    finally:
        shutil.rmtree(directory)
