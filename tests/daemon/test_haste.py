"""What a process does about its memory when it has started."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """\
import gc
from pathlib import Path
from sentinetd.daemon.haste import NEVER, USUAL, YOUNG, calm_down, make_haste

def own():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

make_haste()
assert gc.get_threshold() == (YOUNG, NEVER, NEVER)
blocks = [bytearray(2000) for _ in range(20_000)]
whole = own()
last = blocks.pop()  # what lies at the end of all keeps it from going back
blocks.clear()
held = own()
calm_down()
assert gc.get_threshold() == USUAL
assert gc.get_freeze_count() > 1000
print(whole, held, own())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no malloc_trim(3)")
def test_what_was_needed_to_start_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    whole, held, now = map(int, done.stdout.split())
    assert held > whole - 10_000
    assert now < whole - 30_000  # KiB
