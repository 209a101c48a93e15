"""The first moments: what is left open, who hears how the start went, and that a courier gets ready."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

BEGIN = """\
import os, signal, sys, time
from sentinetd.daemon import dawn as room
from sentinetd.daemon.dawn import Dawn, UNANSWERED
from sentinetd.daemon.options import Options
from sentinetd.errors import EdgeError
"""


def run(script: str, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    """What comes of *script*, whose pipes are at their end when none of its processes holds them."""
    command = [sys.executable, "-c", BEGIN + script, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)  # type: ignore[call-overload,no-any-return]


DETACH = """\
dawn = Dawn(Options())
status = dawn.detach()
if status is not None:
    sys.exit(status)
"""


@pytest.mark.parametrize(
    ("then", "status", "said"),
    [
        pytest.param("dawn.tell_parent(True); print('x', file=sys.stderr); os.write(2, b'y')", 0, [], id="it works"),
        pytest.param("os.write(dawn.stderr, b'why'); dawn.tell_parent(False)", 1, ["why"], id="it failed, and said so"),
        pytest.param("sys.exit(0)", 1, [], id="it ended"),
        pytest.param("raise RuntimeError('bug')", 1, ["Traceback", "RuntimeError: bug"], id="a fault of ours"),
        pytest.param("print('x'); os.write(1, b'y'); dawn.tell_parent(True)", 0, [], id="standard output is gone"),
    ],
)
def test_whoever_started_it_hears_how_that_went(then: str, status: int, said: Sequence[str]) -> None:
    done = run(DETACH + then)
    assert (done.returncode, done.stdout) == (status, "")
    assert all(word in done.stderr for word in said)
    assert bool(said) is bool(done.stderr)


def test_the_log_is_open_and_nothing_else_that_was_inherited(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = """
dawn = Dawn(Options(log_file=sys.argv[1]))
os.write(dawn.log, b"line")
found = sorted(int(name) for name in os.listdir("/proc/self/fd"))[:4]
print(found, dawn.log, os.path.samestat(os.stat(0), os.stat("/dev/null")))
"""
    with open(os.devnull) as inherited:
        done = run(script, str(log), pass_fds=[inherited.fileno()], stdin=subprocess.PIPE)
    assert done.stdout == "[0, 1, 2, 3] 3 True\n", done.stderr
    assert log.read_text() == "line"


def test_a_log_that_cannot_be_opened_is_an_edge_error(tmp_path: Path) -> None:
    script = "try: Dawn(Options(log_file=sys.argv[1]))\nexcept EdgeError as error: print(error)"
    done = run(script, str(tmp_path / "a/b"))
    assert done.stdout == f"{tmp_path}/a/b: No such file or directory\n"


@pytest.mark.parametrize(
    ("facility", "remarks"),
    [
        pytest.param("LOCAL3", ("local3", 0), id="in any case"),
        pytest.param("nonsense", ("daemon", 1), id="one that there is not"),
    ],
)
def test_the_facility_of_the_system_log(facility: str, remarks: tuple[str, int]) -> None:
    done = run("dawn = Dawn(Options(syslog=sys.argv[1])); print(dawn.facility, len(dawn.remarks))", facility)
    assert done.stdout == f"{remarks[0]} {remarks[1]}\n", done.stderr


def test_a_courier_gets_ready() -> None:
    script = """
dawn = Dawn(Options())
dawn.start_courier()
while not (words := open(f"/proc/{dawn.courier.pid}/cmdline").read()):
    pass  # it is about to become that
assert "sentinetd.daemon.courier" in words
assert all(signal.getsignal(one) is signal.SIG_IGN for one in UNANSWERED)
dawn.courier.end()
assert not os.path.exists(f"/proc/{dawn.courier.pid}")
sys.executable = "/nowhere"
dawn.start_courier()
print(dawn.courier)
"""
    done = run(script)
    assert done.stdout == "None\n", done.stderr
