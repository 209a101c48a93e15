"""The command itself: what it prints where, how it ends, what it loads."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

FTP = "ftp stream tcp nowait root /bin/cat cat\n"
HALF = FTP + "x stream unix nowait root /bin/cat cat\n"
NOTHING = "# nothing\n"
COMMAND = (sys.executable, "-m", "sentinetd.cli.main")


def ctl(*words: str, given: str | bytes = "") -> subprocess.CompletedProcess[str]:
    """Run sentinetctl with *given* on standard input."""
    data = given.encode() if isinstance(given, str) else given
    done = subprocess.run([*COMMAND, *words], input=data, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    ("words", "given", "status", "out", "said"),
    [
        pytest.param(("convert",), FTP, 0, "service ftp\n", "notice: standard input: services without tcpd", id="done"),
        pytest.param(("convert", "-"), FTP, 0, "service ftp\n", "notice: ", id="- is standard input"),
        pytest.param(("convert",), HALF, 1, "service ftp\n", "error: standard input:2: x: a socket in", id="partly"),
        pytest.param(("convert",), HALF.partition("\n")[2], 2, "", "error: standard input:1: x:", id="nothing left"),
        pytest.param(("convert", "--to", "systemd"), FTP, 0, "--- inetd-ftp.socket\n", "notice: ", id="inetd to units"),
    ],
)
def test_what_comes_out(words: tuple[str, ...], given: str, status: int, out: str, said: str) -> None:
    done = ctl(*words, given=given)
    assert done.returncode == status
    assert out in done.stdout
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        pytest.param(
            ("convert",), NOTHING, "standard input configures no service; name an inetd.conf", id="no service"
        ),
        pytest.param(("convert", "/nonexistent"), "", "/nonexistent cannot be read: No such file", id="no such file"),
        pytest.param(("convert", "/etc"), "", "/etc cannot be read: Is a directory", id="a directory"),
        pytest.param(
            ("convert",), "defaults\n{\n}\n", "standard input is an xinetd.conf already; --to", id="xinetd.conf"
        ),
        pytest.param(("convert", "--to", "rlinetd"), "", "Invalid value for '--to'", id="a target there is not"),
        pytest.param(("convert", "a", "b"), "", "Got unexpected extra argument", id="two files"),
        pytest.param(("convert", "--off"), "", "No such option", id="an option there is not"),
        pytest.param(("convret",), "", "No such command 'convret'", id="a command there is not"),
        pytest.param(("convert", "-o", "/proc/none"), FTP, "/proc/none: ", id="a directory that cannot be made"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(words: tuple[str, ...], given: str, said: str) -> None:
    done = ctl(*words, given=given)
    assert done.returncode == 2
    assert not done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("notice: ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"sentinetctl: {said}")
    assert "see sentinetctl" in lines[0] or "name another" in lines[0] or "--to systemd" in lines[0]


def test_files_are_written_and_never_over_others(tmp_path: Path) -> None:
    target = tmp_path / "new" / "xinetd.d"
    done = ctl("convert", "-o", str(target), given=FTP + "pop3 stream tcp nowait root /bin/cat cat\n")
    assert done.returncode == 0
    assert not done.stdout
    assert sorted(file.name for file in target.iterdir()) == ["ftp", "pop3"]
    before = (target / "pop3").read_text()
    done = ctl("convert", "-o", str(target), given="time stream tcp nowait root internal\n" + FTP)
    assert done.returncode == 2
    assert "already and nothing is overwritten" in done.stderr
    assert sorted(file.name for file in target.iterdir()) == ["ftp", "pop3"]
    assert (target / "pop3").read_text() == before


def test_bytes_that_are_no_text_come_out_as_they_were(tmp_path: Path) -> None:
    line = b"ftp stream tcp nowait root /bin/\xff cat\xfe\n"
    done = subprocess.run([*COMMAND, "convert"], input=line, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"server          = /bin/\xff\n" in done.stdout
    assert b"server_args     = cat\xfe\n" in done.stdout


def test_an_includes_its_files(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_text(f"includedir {tmp_path}/d\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "ftp").write_text(
        "service ftp\n{\nsocket_type = stream\nwait = no\nuser = root\nserver = /bin/cat\n}\n"
    )
    done = ctl("convert", "--to", "systemd", str(tmp_path / "main.conf"))
    assert f"# {tmp_path}/d/ftp:1: made by sentinetctl convert\n" in done.stdout


def test_a_reader_that_has_enough_is_no_mistake(tmp_path: Path) -> None:
    many = tmp_path / "inetd.conf"
    many.write_text("".join(f"{port} stream tcp nowait root /bin/cat cat\n" for port in range(1, 3000)))
    command = subprocess.Popen([*COMMAND, "convert", str(many)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline().startswith(b"# made from ")
    command.stdout.close()
    said = command.stderr.read().decode()
    command.stderr.close()
    assert command.wait() == 2
    assert [line for line in said.splitlines() if not line.startswith("notice: ")] == []


def test_no_room_for_the_output_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "convert"], input=FTP.encode(), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("sentinetctl: the output cannot be written: No space left on device")


def test_a_terminal_gets_a_table_and_nothing_that_it_would_obey() -> None:
    ours, theirs = pty.openpty()
    line = "x\x1b[2J stream unix nowait root /bin/cat cat\n"
    done = subprocess.run(
        [*COMMAND, "convert"], input=line.encode(), stdout=subprocess.PIPE, stderr=theirs, check=False
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 2
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b" not in plain
    assert "use a systemd socket" in plain
    assert "error" in plain


def test_help_loads_little() -> None:
    program = "import sys; from sentinetd.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "convert" in done.stdout
    assert not {"rich", "asyncio", "sentinetd.config", "sentinetd.model"} & set(done.stderr.split())


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("convert", "--help")])
def test_help_tells_the_exit_statuses(words: tuple[str, ...]) -> None:
    done = ctl(*words)
    assert done.returncode == 0
    assert "Exit status: 0" in done.stdout


def test_version() -> None:
    assert re.fullmatch(r"sentinetctl \d+\.\d+\S*\n", ctl("--version").stdout)
