"""What a daemon really logged is played again, and comes out as it was; and how the command ends."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.plan.test_map import SENSOR, ctl, golden
from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.network import Lab

Maker = Callable[..., Daemon]

GOLDEN = Path(__file__).with_name("golden")
CONFIG = (
    """\
defaults
{
	log_type       = FILE @WORK@/service.log
	log_on_success = HOST PID EXIT
	log_on_failure = HOST
}
service daytime
{
	type        = INTERNAL
	socket_type = stream
	wait        = no
	bind        = 192.168.1.6
}
"""
    + SENSOR.format(name="irc", id="irc-7", bind="192.168.1.7")
    + SENSOR.format(name="telnet", id="telnet-8", bind="192.168.1.8")
)
IRC, TELNET, DAYTIME = 194, 23, 13


@pytest.fixture
def lived(lab: Lab, make_daemon: Maker) -> Daemon:
    """A daemon at which something happened: .20 was served and touched irc, .21 touched telnet, .22 was served."""
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.start()
    assert converse(lab, "192.168.1.6", DAYTIME, "192.168.1.20") not in ("closed", "refused")
    for at, port, source in (("192.168.1.7", IRC, "192.168.1.20"), ("192.168.1.8", TELNET, "192.168.1.21")):
        assert converse(lab, at, port, source) == "closed"
        daemon.await_message(f"Adding {source} ")
    assert converse(lab, "192.168.1.6", DAYTIME, "192.168.1.20") == "closed"
    assert converse(lab, "192.168.1.6", DAYTIME, "192.168.1.22") not in ("closed", "refused")
    daemon.stop()
    return daemon


def told(lab: Lab, daemon: Daemon, *words: str) -> dict[str, object]:
    done = ctl(lab, "simulate", "-f", str(daemon.config), "--json", *words)
    assert (done.returncode, done.stderr) == (0, b"")
    return {one["source"]: one for one in json.loads(done.stdout)["sources"]}


@pytest.mark.parametrize("log", ["service.log", "daemon.log"])
def test_a_log_is_played_as_it_was(lab: Lab, lived: Daemon, log: str) -> None:
    sources = told(lab, lived, str(lived.work.path / log))
    assert {source: (one["sensor"], one["bans"]) for source, one in sources.items()} == {  # type: ignore[index]
        "192.168.1.20": ("irc-7", 1), "192.168.1.21": ("telnet-8", 1),
    }  # fmt: skip
    honest = [source for source, one in sources.items() if one["looks_honest"]]  # type: ignore[index]
    assert honest == (["192.168.1.20"] if log == "service.log" else [])


def test_a_scan_of_nmap(lab: Lab, lived: Daemon) -> None:
    scan = lived.work.path / "scan.xml"
    words = ["nmap", "-n", "-Pn", "-sT", "-p", "20-25,194", "-oX", str(scan), "192.168.1.6-8"]
    subprocess.run(lab.clients[22].command(*words), capture_output=True, check=True, timeout=60)
    sources = told(lab, lived, str(scan), "--scanner", "192.168.1.22")
    assert {source: (one["sensor"], one["touches"]) for source, one in sources.items()} == {  # type: ignore[index]
        "192.168.1.22": ("irc-7", 2),
    }


FAIL2BAN = """\
2026-11-20 10:05:00,123 fail2ban.server         [812]: INFO    Starting Fail2ban v1.0.2
2026-11-20 10:05:07,123 fail2ban.filter         [812]: INFO    [sshd] Found 198.51.100.9 - 2026-11-20 10:05:06
2026-11-20 10:05:09,456 fail2ban.filter         [812]: INFO    [sshd] Found 198.51.100.9 - 2026-11-20 10:05:09
2026-11-20 10:05:09,999 fail2ban.actions        [812]: NOTICE  [sshd] Ban 198.51.100.9
2026-11-20 10:06:00,000 fail2ban.filter         [812]: INFO    [door] Found 198.51.100.10 - 2026-11-20 10:06:00
"""


def test_a_log_of_fail2ban_against_what_is_planned(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    log = daemon.work.write("fail2ban.log", FAIL2BAN)
    assert told(lab, daemon, str(log)) == {}, "no sensor at ssh yet"
    assert set(told(lab, daemon, str(log), "--as", "door=telnet")) == {"198.51.100.10"}
    assert set(told(lab, daemon, str(log), "--as", "sshd=3306", "--planned")) == {"198.51.100.9"}


@pytest.mark.parametrize("width", [80, 200])
def test_what_it_says(lab: Lab, make_daemon: Maker, width: int) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    lines = "".join(
        f"26/11/20@10:{at:02}:00: {line}\n"
        for at, line in enumerate(
            [
                "START: daytime pid=0 from=198.51.100.7", "FAIL: irc-7 address from=198.51.100.7", "what is this",
                "START: daytime pid=0 from=198.51.100.7", "FAIL: telnet-8 address from=203.0.113.9",
                "FAIL: telnet-8 address from=127.0.0.1", "FAIL: irc-7 address from=203.0.113.9",
            ]
        )
    )  # fmt: skip
    log = daemon.work.write("old.log", lines)
    done = ctl(lab, "simulate", "-f", str(daemon.config), str(log), width=width, TZ="UTC")
    assert (done.returncode, done.stderr) == (1, b""), "one line could not be read"
    text = "".join(line.rstrip() + "\n" for line in done.stdout.decode().splitlines())
    golden(GOLDEN / f"simulate-{width}.txt", text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("/nonexistent",), "/nonexistent cannot be read: No such file", id="no such file"),
        pytest.param(("/etc",), "/etc cannot be read: Is a directory", id="a directory"),
        pytest.param(("@WORK@/a.gz",), "the log is compressed; give it on standard input", id="compressed"),
        pytest.param(("@WORK@/evil.xml",), "its document type is not nmap's", id="XML that is not nmap's"),
        pytest.param(("@WORK@/log", "--as", "sshd"), "--as: sshd is not NAME=PORT", id="a name without port"),
        pytest.param(("@WORK@/log", "--as", "sshd=1,2"), "--as: sshd=1,2 is not NAME=PORT", id="a name of two ports"),
        pytest.param(("@WORK@/log", "--scanner", "me"), "--scanner: me is no address", id="no scanner"),
        pytest.param((), "Missing argument 'LOGFILE'", id="no log"),
    ],
)
def test_a_mistake_is_one_line(lab: Lab, make_daemon: Maker, words: tuple[str, ...], said: str) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.work.write("a.gz", b"\x1f\x8b\x08\0")
    daemon.work.write("evil.xml", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    daemon.work.write("log", "")
    named = (word.replace("@WORK@", str(daemon.work.path)) for word in words)
    done = ctl(lab, "simulate", "-f", str(daemon.config), *named)
    assert (done.returncode, done.stdout) == (2, b"")
    assert re.fullmatch(r"sentinetctl: [^\n]+\n", done.stderr.decode())
    assert said in done.stderr.decode()


def test_without_a_sensor_there_is_nothing_to_play(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG.partition("service irc")[0])
    log = daemon.work.write("log", "")
    done = ctl(lab, "simulate", "-f", str(daemon.config), str(log))
    assert done.returncode == 2
    assert b"has no sensor; add --planned" in done.stderr
    assert ctl(lab, "simulate", "-f", str(daemon.config), "--planned", str(log)).returncode == 0
