"""What the tests of this room share: programs in C, compiled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.network import run, temporary


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    """The directory of `hello`, a server that says hello and ends, and `limit`, what the kernel allows; any user may
    run them."""
    directory = temporary("rig")
    try:
        for name, flag in (("hello", "-static"), ("limit", "-O2")):
            source = Path(__file__).with_name(f"{name}.c")
            run("cc", "-O2", flag, "-o", str(directory / name), str(source))
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def hello(programs: Path) -> Path:
    """A static program that says hello and ends."""
    return programs / "hello"
