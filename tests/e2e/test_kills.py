"""kill -9 in the midst of 10,000 touches a second: no ban that was told is lost.

So many are offered whether or not the guard takes them, by a client that waits for no answer: the guard has all that it
can do. ``make kills RUNS=60`` plays it for longer; each run kills once, and the table of runs and losses is printed.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.network import Lab, run

Maker = Callable[..., Daemon]

RUNS = int(os.environ.get("SENTINETD_KILLS", "3"))
HERE = "127.0.0.1"
SENSOR, SERVICE = 7002, 7001
CONFIG = f"""\
service decoy
{{
\ttype = INTERNAL UNLISTED
\tflags = SENSOR
\tsocket_type = stream
\tprotocol = tcp
\tbind = {HERE}
\tport = {SENSOR}
\tdeny_time = 60
}}
service daytime
{{
\ttype = INTERNAL UNLISTED
\tsocket_type = stream
\tprotocol = tcp
\twait = no
\tuser = root
\tbind = {HERE}
\tport = {SERVICE}
\tcps = 0 10
\tlog_on_failure =
}}
"""
SETTINGS = "[bans]\nexempt_own = false\n"
TOUCHER = Path(__file__).with_name("toucher.c")
OFFERED = 10_000
"""Touches a second."""
SOURCES = 130_000
"""Addresses of one run, from each of which one comes."""
ADDING = re.compile(r"Adding (127\.\d+\.\d+\.\d+) to the global_no_access list")

OLDER_TRIED = 2000
"""Bans of earlier runs that each run tries again; the last one tries all."""

WHOM = {
    "courier": ("sentinetd.daemon.courier",),
    "guard": (),
    "guard and courier": ("sentinetd.daemon.courier",),
}
"""Who dies, and which of the guard's children: the guard itself where the name has it."""


@dataclass(frozen=True)
class Run:
    """One kill: how many bans had been told by the time it was over, and which of them were not in force. *offered*,
    *answered* and *rate*: touches, touches that were answered, and bans told, a second."""

    number: int
    whom: str
    told: int
    new: int
    offered: float
    answered: float
    rate: float
    lost: list[str]

    def __str__(self) -> str:
        rates = f"{self.offered:9.0f} {self.answered:10.0f} {self.rate:8.0f}"
        return f"{self.number:4}  {self.whom:18} {rates} {self.new:8} {self.told:8} {len(self.lost):6}"


class Attack:
    """Touches the sensor from the addresses of run *number*, until the end of the block."""

    def __init__(self, lab: Lab, program: Path, number: int) -> None:
        self._seen = program.with_name(f"seen-{number}")
        words = lab.host.command(str(program), str(200_000 + number * SOURCES), str(SOURCES), str(SENSOR), str(OFFERED))
        with self._seen.open("wb") as seen:
            self._process = subprocess.Popen(words, stdout=seen)

    def rates(self) -> tuple[float, float]:
        """How many a second were offered and answered so far."""
        wait_for(lambda: self._seen.stat().st_size, "first touches")
        offered, answered, seconds = self._seen.read_text().split()
        return int(offered) / float(seconds), int(answered) / float(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.poll() is None, "it goes on for as long as it is let"
        self._process.kill()
        self._process.wait()


class Told:
    """The sources whose bans the log tells; a line without an end tells nothing. Each line is read once."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0  # bytes
        self._sources: list[str] = []

    def sources(self) -> list[str]:
        """All of them so far."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                whole = file.read().rpartition(b"\n")[0]
            self._read += len(whole)
            self._sources += ADDING.findall(whole.decode("ascii", "replace"))
        return self._sources


def refused(source: str) -> bool:
    """Whether a client at *source* is hung up on by the service without a word. In the host's namespace."""
    with socket.socket() as client:
        client.settimeout(20.0)
        client.bind((source, 0))
        client.connect((HERE, SERVICE))
        try:
            return client.recv(1) == b""
        except ConnectionResetError:
            return True


def kill(daemon: Daemon, whom: str) -> None:
    """End the processes at one instant, as near as can be."""
    children = [pid for pid in children_of(daemon.pid) if any(word in command_line(pid) for word in WHOM[whom])]
    guard = daemon.pid
    for pid in (*children, *([guard] if "guard" in whom else [])):
        os.kill(pid, signal.SIGKILL)
    if "guard" in whom:
        daemon.exit_status()


def await_told(told: Told, count: int, daemon: Daemon) -> float:
    """Wait until the log tells *count* bans; how many a second there were."""
    begun, before = time.monotonic(), len(told.sources())
    wait_for(lambda: len(told.sources()) >= count, lambda: f"{count} bans told: {daemon.story()}", 60.0)
    return (len(told.sources()) - before) / (time.monotonic() - begun)


def play(lab: Lab, daemon: Daemon, program: Path, runs: int, dice: random.Random) -> Iterator[Run]:
    known, told = 0, Told(daemon.log)
    for number in range(1, runs + 1):
        whom = list(WHOM)[(number - 1) % len(WHOM)]
        goal = known + dice.randrange(500, 2000)
        with Attack(lab, program, number) as attack:
            rate = await_told(told, goal, daemon)
            offered, answered = attack.rates()
            kill(daemon, whom)
        if "guard" in whom:
            daemon.start()
        else:
            daemon.await_message("process courier: works again", 30.0)
            daemon.stop(signal.SIGKILL)
            daemon.start()
        sources = list(told.sources())
        with lab.host.entered():
            older = dice.sample(sources[:known], min(known, OLDER_TRIED)) if number < runs else sources[:known]
            lost = [source for source in (*older, *sources[known:]) if not refused(source)]
            assert not refused("127.254.254.254"), "who touched nothing is served"
        yield Run(number, whom, len(sources), len(sources) - known, offered, answered, rate, lost)
        known = len(sources)


@pytest.mark.timeout(600 + 30 * RUNS)
def test_no_ban_that_was_told_is_lost(lab: Lab, make_daemon: Maker, tmp_path: Path) -> None:
    program = tmp_path / "toucher"
    run("cc", "-O2", "-Wall", "-o", str(program), str(TOUCHER))
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.work.write("sentinetd.toml", SETTINGS.encode())
    daemon.start()
    print("\n run  killed             offered/s answered/s   told/s      new     told   lost")
    lost: list[str] = []
    for one in play(lab, daemon, program, RUNS, random.Random(RUNS)):
        print(one)
        lost += one.lost
    assert lost == []
