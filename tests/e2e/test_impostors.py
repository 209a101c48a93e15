"""A porter or courier that somebody has taken over: whatever it says, the guard goes on, and starts another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig import impostor
from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.entries import SIX, dgram, sensor, service
from rig.network import Lab

Maker = Callable[..., Daemon]

A = "192.168.1.20"
CONFIG = "\n".join((
    service("echo", 7000, "type = INTERNAL UNLISTED", without=("server",)),
    service("daytime", 7001, "type = INTERNAL UNLISTED", "only_from = .example.test 192.168.1.0/24",
            without=("server",)),
    service("away", 7002, "redirect = 192.168.1.6 7000", without=("server",)),
    service("tcpmux", 7003, "type = INTERNAL UNLISTED", without=("server",)),
    service("chosen", None, "type = TCPMUXPLUS UNLISTED", "server_args = do=word=hi"),
    service("real", 7004, "server_args = do=word=hi"),
    sensor("decoy", 7005, "decoy = ssh", "capture = 100 5"),
    dgram("carried", 7006, "flags = INTERCEPT"),
))  # fmt: skip


@pytest.mark.parametrize("name", sorted(impostor.KINDS))
def test_whatever_it_says(make_daemon: Maker, lab: Lab, probe: Path, name: str) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG.replace("@PROBE@", str(probe)))
    daemon.work.write("path/sitecustomize.py", impostor.SITE)
    daemon.extra = {"PYTHONPATH": str(daemon.work.path / "path"), "RIG_IMPOSTOR": name}
    daemon.launch()
    wait_for(lambda: converse(lab, SIX, 7004, A) == "hi\n" or daemon.ended, daemon.story, 30.0)
    seen = {0}
    with ExitStack() as held:
        for _ in range(3):  # of them in a row
            for port in (7000, 7001, 7002, 7003):
                held.enter_context(Dialogue(lab, SIX, port, A)).send(b"chosen\r\n")
            wait_for(lambda: daemon.ended or helper(daemon, name) not in seen, daemon.story, 30.0)
            seen.add(helper(daemon, name))
    assert not daemon.ended, daemon.story()
    assert converse(lab, SIX, 7004, A) == "hi\n"
    assert daemon.stop() == 0


def helper(daemon: Daemon, word: str) -> int:
    """The process id of the daemon's child whose command line holds *word*; 0 if there is none."""
    return next((pid for pid in children_of(daemon.pid) if word in command_line(pid)), 0)
