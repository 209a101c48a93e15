"""The quick start, step by step as the page has it, up to the first ban."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from docs.pages import DOCS, blocks
from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.network import Lab

Maker = Callable[..., Daemon]

PAGE = DOCS / "quick-start.md"
HERE, STRANGER, FRIEND = "192.168.1.6", "192.168.1.20", "192.168.1.22"


def test_from_nothing_to_the_first_ban(lab: Lab, make_daemon: Maker) -> None:
    (config,) = blocks(PAGE, "xinetd")
    (settings,) = blocks(PAGE, "toml")
    daemon = make_daemon(Kind.SENTINETD, config.replace("/etc/xinetd.d", "@WORK@/xinetd.d"))
    included = daemon.work.path / "xinetd.d"
    included.mkdir()
    daemon.work.write("sentinetd.toml", settings).chmod(0o600)

    def ctl(*words: str) -> str:
        """What sentinetctl prints, run beside the daemon."""
        done = daemon.run(str(Path(sys.executable).with_name("sentinetctl")), *words, "-f", str(daemon.config))
        assert (done.returncode, done.stderr) == (0, ""), (words, done, daemon.story())
        return done.stdout

    checked = daemon.run(Kind.SENTINETD.program, "--check", "-f", str(daemon.config))
    assert (checked.returncode, checked.stdout) == (0, "sentinetd: 1 service, 0 errors, 0 remarks\n")
    daemon.start()
    assert "SERVICE" in ctl("map")
    assert "telnet" in ctl("plan")
    assert not list(included.iterdir())
    assert "written to" in ctl("plan", "--write")
    assert (included / "sentinetd-sensors").exists()
    ctl("reload")
    daemon.await_message("Reconfigured: ")

    assert converse(lab, HERE, 23, STRANGER) == "closed"
    daemon.await_message(f"Adding {STRANGER} to the global_no_access list for 120 minutes, sensor telnet-sensor")
    assert converse(lab, HERE, 13, STRANGER) == "closed"
    assert converse(lab, HERE, 13, FRIEND) not in ("closed", "refused")
    listed = json.loads(ctl("bans", "--json"))
    assert [one["network"] for one in listed["bans"]] == [STRANGER]
