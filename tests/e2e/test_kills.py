"""kill -9 in the midst of thousands of trips a second: no ban that was told is lost.

``make kills RUNS=60`` plays it for longer; each run kills once, and the table of runs and losses is printed.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.network import Lab

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
ATTACKER = """
import socket, sys
first, port = int(sys.argv[1]), int(sys.argv[2])
for number in range(first, first + 60_000):
    while True:
        with socket.socket() as client:
            client.bind((f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0))
            try:
                client.connect(("127.0.0.1", port))
                client.recv(1)
            except ConnectionResetError:
                pass
            except OSError:
                continue  # nobody listens while the daemon is down
            break
"""
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
    """One kill: how many bans had been told by the time it was over, at what *rate* a second, and which of them were
    not in force."""

    number: int
    whom: str
    told: int
    new: int
    rate: float
    lost: list[str]

    def __str__(self) -> str:
        return f"{self.number:4}  {self.whom:18} {self.rate:8.0f} {self.new:8} {self.told:8} {len(self.lost):6}"


@contextmanager
def attack(lab: Lab, first: int) -> Iterator[None]:
    """Two programs touch the sensor as fast as they can, each time from another address of 127.0.0.0/8."""
    words = [sys.executable, "-c", ATTACKER]
    attackers = [
        subprocess.Popen(lab.host.command(*words, str(first + part * 60_000), str(SENSOR)), stderr=subprocess.DEVNULL)
        for part in range(2)
    ]
    try:
        yield
    finally:
        for one in attackers:
            one.kill()
            one.wait()


def told(daemon: Daemon) -> list[str]:
    """The sources whose bans the log tells; a line without an end tells nothing."""
    data = daemon.log.read_bytes() if daemon.log.exists() else b""
    return ADDING.findall(data.rpartition(b"\n")[0].decode("ascii", "replace"))


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


def await_told(daemon: Daemon, count: int) -> float:
    """Wait until the log tells *count* bans; how many a second there were."""
    begun, before = time.monotonic(), len(told(daemon))
    wait_for(lambda: len(told(daemon)) >= count, lambda: f"{count} bans told: {daemon.story()}", 60.0)
    return (len(told(daemon)) - before) / (time.monotonic() - begun)


def play(lab: Lab, daemon: Daemon, runs: int, dice: random.Random) -> Iterator[Run]:
    known = 0
    for number in range(1, runs + 1):
        whom = list(WHOM)[(number - 1) % len(WHOM)]
        goal = known + dice.randrange(500, 2000)
        with attack(lab, 200_000 + number * 130_000):
            rate = await_told(daemon, goal)
            kill(daemon, whom)
        if "guard" in whom:
            daemon.start()
        else:
            daemon.await_message("process courier: works again", 30.0)
            daemon.stop(signal.SIGKILL)
            daemon.start()
        sources = told(daemon)
        with lab.host.entered():
            older = dice.sample(sources[:known], min(known, OLDER_TRIED)) if number < runs else sources[:known]
            lost = [source for source in (*older, *sources[known:]) if not refused(source)]
            assert not refused("127.254.254.254"), "who touched nothing is served"
        yield Run(number, whom, len(sources), len(sources) - known, rate, lost)
        known = len(sources)


@pytest.mark.timeout(600 + 30 * RUNS)
def test_no_ban_that_was_told_is_lost(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.work.write("sentinetd.toml", SETTINGS.encode())
    daemon.start()
    print("\n run  killed              told/s      new     told   lost")
    lost: list[str] = []
    for one in play(lab, daemon, RUNS, random.Random(RUNS)):
        print(one)
        lost += one.lost
    assert lost == []
