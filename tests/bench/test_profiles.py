"""What profiles print of what the tools saw. The tools themselves are no need of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
STACKS = """\
run (guard.py:1);turn (loop.py:2);epoll_wait (libc.so.6) 900
run (thread.py:4);get (_queue.c:5);PyThread_acquire_lock_timed (libpython3.so);0x2 (libc.so.6);0x1 (libc.so.6) 900
run (guard.py:1);turn (loop.py:2) 10
run (guard.py:1);refuse (doors.py:3);close (libc.so.6) 60
run (guard.py:1);refuse (doors.py:3);refuse (doors.py:3) 30
"""
TABLE = """\
    self      with
  60.0 %   60.0 %  close (libc.so.6)
  30.0 %   90.0 %  refuse (doors.py:3)
  10.0 %   10.0 %  turn (loop.py:2)
"""


def python(text: str, *, given: str = "") -> str:
    """What a program prints that may import the benchmark's modules."""
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=BENCH, input=given, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions_by_the_time_in_themselves_without_that_of_waiting() -> None:
    assert python("import profiles, sys; print(profiles.table(sys.stdin.read()))", given=STACKS) == TABLE


@pytest.mark.parametrize(
    ("there", "told"),
    [
        pytest.param(("", ""), ["py-spy", "perf"], id="neither"),
        pytest.param(("py-spy", ""), ["perf"], id="no perf"),
        pytest.param(("py-spy", "perf"), [], id="both"),
    ],
)
def test_what_is_missing_is_told_with_how_to_come_by_it(there: tuple[str, str], told: list[str]) -> None:
    said = python(f"import pathlib, profiles; print(*profiles.Tools(*{there}, 1.0, pathlib.Path()).lacks(), sep='\\n')")
    lines = said.strip().splitlines()
    assert [line.split()[0] for line in lines] == told
    assert all("install" in line for line in lines)
