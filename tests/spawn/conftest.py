"""Every test of this room runs against the C spawner and against the fallback."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sentinetd.spawn.spawner import PROGRAM, Backend
from spawn.guard import Guard

NOT_BUILT = f"{PROGRAM} is not there: build it with `pip install -e .` or `python setup.py build_ext --inplace`"
ROOT_NEEDED = "this test changes users and limits and needs root: run `sudo make test`"


@pytest.fixture(params=[pytest.param(Backend.C, id="C"), pytest.param(Backend.PYTHON, id="Python")])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Which spawner the test meets."""
    chosen: Backend = request.param
    if chosen is Backend.C and not os.access(PROGRAM, os.X_OK):
        pytest.fail(NOT_BUILT)
    return chosen


@pytest.fixture
def guard(backend: Backend) -> Iterator[Guard]:
    with Guard(backend) as made:
        yield made


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.fail(ROOT_NEEDED)
