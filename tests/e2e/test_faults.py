"""What goes wrong around the daemon: rights that are missing, descriptors, disks, places, helpers that hang."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Dialogue
from rig.daemon import Daemon, Kind
from rig.entries import SIX, service
from rig.network import Lab

Maker = Callable[..., Daemon]

A = "192.168.1.20"


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Maker:
    """Makes a sentinetd; the probe's path is filled in."""

    def make(config: str) -> Daemon:
        made: Daemon = make_daemon(Kind.SENTINETD, config.replace("@PROBE@", str(probe)))
        return made

    return make


def test_a_server_that_may_not_be_ended_is_left_behind_and_told_of(lab: Lab, make: Maker) -> None:
    daemon = make(service("held", 7001, "server_args = do=hold", "user = nobody"))
    daemon.before = ("setpriv", "--inh-caps=-kill", "--bounding-set=-kill")
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as client:
        assert client.receive(6) == b"ready\n"
        assert daemon.stop() == 0
        assert daemon.find("may not be sent signals")
        assert daemon.find("servers are left behind that do not end: held ")
        assert client.silent(), "the server lives on"
