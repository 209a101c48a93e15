"""The log file: whole lines, limits, and a disk that is full for real."""

from __future__ import annotations

import ctypes
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.model.events import Level
from sentinetd.report.sinks import file
from sentinetd.report.sinks.file import LogFile


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def plain(at: float, level: Level, text: str) -> str:
    return text


def put(log: LogFile, *lines: str) -> list[str]:
    for line in lines:
        log.put(0.0, Level.INFO, line)
    return list(log.flush())


def test_lines_are_dressed_and_appended_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    log = LogFile(opened(path), "common", lambda at, level, text: f"{at} {level.value}: {text}")
    log.put(1.5, Level.ERROR, "one")
    log.put(2.5, Level.INFO, "two")
    assert path.read_text() == "before\n"
    assert log.flush() == []
    assert path.read_text() == "before\n1.5 ERROR: one\n2.5 INFO: two\n"
    assert log.flush() == []
    assert log.close() == []


@pytest.mark.parametrize(
    ("soft", "hard", "there", "lines", "told", "written"),
    [
        pytest.param(0, 0, 100, ["1234"] * 3, [], 3, id="no limits"),
        pytest.param(10, 0, 0, ["1234"] * 2, [], 2, id="soft limit reached, not passed"),
        pytest.param(10, 0, 0, ["1234"] * 3, ["soft"], 3, id="soft limit passed"),
        pytest.param(0, 10, 0, ["1234"] * 2, [], 2, id="hard limit reached, not passed"),
        pytest.param(0, 10, 0, ["1234"] * 3, ["hard"], 3, id="the line that passes the hard limit is written"),
        pytest.param(0, 10, 0, ["1234"] * 9, ["hard"], 3, id="those after it are not"),
        pytest.param(5, 10, 0, ["1234"] * 9, ["soft", "hard"], 3, id="both"),
        pytest.param(0, 10, 8, ["1234"] * 2, ["hard"], 1, id="what was in the file counts"),
        pytest.param(0, 10, 11, [], ["hard"], 0, id="above the hard limit when opened"),
        pytest.param(0, 10, 11, ["1234"], ["hard"], 0, id="dead from the start"),
    ],
)
def test_limits(
    tmp_path: Path, soft: int, hard: int, there: int, lines: list[str], told: list[str], written: int
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * there)
    log = LogFile(opened(path), "ftp", plain, soft, hard)
    assert put(log, *lines) == [f"Size of ftp log exceeded {which} limit" for which in told]
    assert path.read_bytes()[there:] == b"1234\n" * written
    beyond = len(lines) - written
    if "hard" in told:
        assert put(log, "more") == []
        beyond += 1
    assert log.close() == ([f"ftp log: {beyond} lines were left out beyond the hard limit"] if beyond else [])


FULL_DISK = """
import ctypes, os, sys
from sentinetd.model.events import Level
from sentinetd.report.sinks import file
from sentinetd.report.sinks.file import LogFile
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, 0x44000, None):  # our own mounts, seen by nobody else
    sys.exit("unshare")
where = sys.argv[1]
if libc.mount(b"tmpfs", where.encode(), b"tmpfs", 0, b"size=64k"):
    sys.exit("mount")
path = where + "/log"
log = LogFile(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), "common", lambda at, level, text: text)
def put(*lines):
    for line in lines:
        log.put(0.0, Level.INFO, line)
    return list(log.flush())
ballast = where + "/ballast"
with open(ballast, "wb") as file:
    file.write(b"x" * 40960)
line = "0123456789" * 10 + "."
told = [put(*[line] * 400), put(line), put(line, line)]
taken = os.path.getsize(path)
assert taken % 102, "the page ends within a line, or this shows nothing"
os.unlink(ballast)
told.append(put("after"))
told.append(put("again"))
lines = open(path).read().split("\\n")
whole = lines.index("after")
assert set(lines[:whole]) == {line}, "a torn line"
print(told, whole, lines[whole:], list(log.close()))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of its own: needs root")
def test_full_disk_is_told_once_and_no_line_is_torn(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    whole = 24576 // 102 + 1  # the line that was begun is ended later
    lost = 400 - whole + 3
    told = [
        ["common log cannot be written: No space left on device"],
        [],
        [],
        [f"common log can be written again, {lost} lines were lost"],
        [],
    ]
    assert done.stdout.strip() == f"{told} {whole} ['after', 'again', ''] []"


def test_what_is_lost_at_the_end_is_told(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    log = LogFile(full, "daemon", plain)
    assert put(log, "one", "two") == ["daemon log cannot be written: No space left on device"]
    assert log.close() == ["daemon log: 2 lines were lost"]


def test_descriptor_is_closed(tmp_path: Path) -> None:
    descriptor = opened(tmp_path / "log")
    LogFile(descriptor, "x", plain).close()
    assert ctypes.CDLL(None).fcntl(descriptor, 1) == -1


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe of the least size that there is; to write to it does not wait."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1)
    yield reader, writer
    os.close(reader)


def test_a_pipe_that_is_full_is_waited_for_and_no_line_is_torn(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = LogFile(writer, "common", plain)
    lines = [f"line {number}" for number in range(2000)]
    assert put(log, *lines) == []
    assert log.waiting
    assert put(log, "last") == []
    data = b""
    while log.waiting:
        data += os.read(reader, 1 << 20)
        assert log.flush() == []
    data += os.read(reader, 1 << 20)
    assert data.decode().splitlines() == [*lines, "last"]
    assert log.close() == []


def test_a_pipe_that_nobody_reads_is_told_once_and_so_is_what_was_lost(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    monkeypatch.setattr(file, "BEHIND_MOST", 100)
    log = LogFile(writer, "common", plain)
    line = "x" * 49
    assert put(log, *[line] * 200) == ["common log cannot be written: nobody reads what is written"]
    assert put(log, line) == []
    data = b""
    told: list[str] = []
    while log.waiting:
        data += os.read(reader, 1 << 20)
        told += log.flush()
    data += os.read(reader, 1 << 20)
    written = data.decode().splitlines()
    assert set(written) == {line}
    assert told == [f"common log can be written again, {201 - len(written)} lines were lost"]
    assert log.close() == []


def test_what_a_pipe_never_took_is_told_at_the_end(pipe: tuple[int, int]) -> None:
    log = LogFile(pipe[1], "common", plain)
    put(log, *["x" * 99] * 100)
    (told,) = log.close()
    assert told == f"common log: {100 - os.sysconf('SC_PAGESIZE') // 100} lines were lost"
