"""`sentinetctl watch` in a real terminal: it draws, follows a resize, and waits for a daemon that goes away."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.test_control import CONFIG, HOST, control_socket
from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for

PROGRAM = str(Path(sys.executable).with_name("sentinetctl"))
MOVES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """The command in a terminal of *columns* by *rows*; `text` is all that it wrote since the last `forget`."""

    def __init__(self, columns: int, rows: int, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns, rows)
        environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [PROGRAM, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self._told = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def text(self) -> str:
        try:
            while data := os.read(self._ours, 65_536):
                self._told += data
        except (BlockingIOError, OSError):
            pass  # nothing more yet, or for ever (EIO: the command has ended)
        return MOVES.sub(b"", self._told).decode("utf-8", "replace")

    def forget(self) -> None:
        assert self.text is not None
        self._told = b""

    def await_text(self, *parts: str) -> None:
        wait_for(lambda: all(part in self.text for part in parts), lambda: f"{parts} in {self._shown()}", 30.0)

    def _shown(self) -> str:
        """What is not blank of the end."""
        return "\n".join(line.strip() for line in self.text[-20_000:].splitlines() if line.strip())

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def watching(daemon: Daemon, columns: int = 80, rows: int = 24, *words: str) -> Iterator[Terminal]:
    made = Terminal(columns, rows, "watch", "--socket", str(control_socket(daemon)), *words)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    made = make_daemon(Kind.SENTINETD, CONFIG)
    made.start()
    return made


def test_a_trip_is_seen_and_q_ends_it(daemon: Daemon) -> None:
    with watching(daemon) as terminal:
        terminal.await_text("live", "every connection")
        converse(daemon.lab, HOST, 7099, "192.168.1.21")
        terminal.await_text("TRIP", "192.168.1.21", "touched trap port 7099, banned for 1 h", "busiest")
        terminal.type("q")
        assert terminal.process.wait(20) == 0


def test_a_resize_is_followed(daemon: Daemon) -> None:
    with watching(daemon) as terminal:
        terminal.await_text("every connection")
        terminal.resize(200, 40)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.forget()
        terminal.await_text("─" * 200)
        terminal.resize(30, 6)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.forget()
        terminal.await_text("─" * 30)
        assert terminal.process.poll() is None


def test_keys_pause_and_ask_for_more(daemon: Daemon) -> None:
    with watching(daemon) as terminal:
        terminal.await_text("every connection")
        terminal.type("p")
        terminal.await_text("go on")
        converse(daemon.lab, HOST, 7099, "192.168.1.21")
        terminal.await_text("(2 wait)")
        assert "TRIP" not in terminal.text
        terminal.type("p")
        terminal.await_text("TRIP")
        terminal.type("r")
        wait_for(lambda: _refused(daemon, terminal), "a refusal on the screen", 30.0)


def _refused(daemon: Daemon, terminal: Terminal) -> bool:
    converse(daemon.lab, HOST, 7037, "192.168.1.22")
    return "REFUSE" in terminal.text


def test_a_daemon_that_goes_away_is_waited_for(daemon: Daemon) -> None:
    with watching(daemon) as terminal:
        terminal.await_text("live")
        daemon.stop()
        terminal.await_text("away", "trying again")
        terminal.forget()
        daemon.start()
        terminal.await_text("live", "listeners are open")


def test_a_slow_terminal_holds_nobody_up(daemon: Daemon) -> None:
    with watching(daemon) as terminal:
        terminal.await_text("live")
        os.kill(terminal.process.pid, signal.SIGSTOP)
        converse(daemon.lab, HOST, 7099, "192.168.1.21")
        daemon.await_message("Adding 192.168.1.21")
        assert converse(daemon.lab, HOST, 7037, "192.168.1.21") == "closed"
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.await_text("TRIP")


def test_lines_for_programs(daemon: Daemon) -> None:
    command = [PROGRAM, "watch", "--json", "--kinds", "sensor", "--socket", str(control_socket(daemon))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        try:
            wait_for(lambda: _subscribers(daemon) == 1, "a subscriber", 30.0)
            converse(daemon.lab, HOST, 7099, "192.168.1.21")
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["kind"] == "sensor.tripped"
        finally:
            process.kill()


def _subscribers(daemon: Daemon) -> int:
    done = subprocess.run(
        [PROGRAM, "status", "--json", "--socket", str(control_socket(daemon))], capture_output=True, check=True
    )
    return int(json.loads(done.stdout)["subscribers"])
