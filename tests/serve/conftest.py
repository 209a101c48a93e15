"""A carrier for each test, which must leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rig.carrier import Carrier


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    before = len(os.listdir("/proc/self/fd"))
    made = Carrier()
    try:
        yield made
    finally:
        made.close()
    assert len(os.listdir("/proc/self/fd")) <= before, "descriptors are left"
