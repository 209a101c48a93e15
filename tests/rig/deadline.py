"""Waiting for a condition under a deadline: the only place of the tests where time passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.005  # seconds between two looks; what is waited for (a line in a file, a process gone) sends no signal


def wait_for(
    condition: Callable[[], T | None], what: str | Callable[[], str], within: float = 10.0, pause: float = PAUSE
) -> T:
    """The first true value of *condition*; AssertionError naming *what* if *within* seconds bring none."""
    end = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {what() if callable(what) else what}")
        time.sleep(pause)
    return value
