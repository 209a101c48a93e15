"""The table of a host with real programs: nginx on all addresses, sshd on one, sentinetd itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.daemon import Daemon, Kind, Work
from rig.network import Lab, command_in
from rig.programs import Programs

Maker = Callable[..., Daemon]

GOLDEN = Path(__file__).with_name("golden")
SENSOR = """\
service {name}
{{
	id          = {id}
	flags       = SENSOR
	socket_type = stream
	wait        = no
	bind        = {bind}
	deny_time   = 120
}}
"""
SERVED = """\
service daytime
{{
	type        = INTERNAL
	id          = daytime-7
	socket_type = stream
	wait        = no
	bind        = 192.168.1.7
}}
service tftp
{{
	socket_type = dgram
	wait        = yes
	user        = root
	server      = /bin/true
	bind        = 192.168.1.6
}}
"""
CONFIG = "".join(
    SENSOR.format(name=name, id=f"{name}-{bind[-1]}", bind=bind)
    for name, bind in (
        ("irc", "192.168.1.6"), ("irc", "192.168.1.7"), ("ftp", "192.168.1.5"), ("ftp", "192.168.1.8"),
        ("http", "192.168.1.8"), ("ssh", "fd00::8"),
    )
) + SERVED.format()  # fmt: skip


def ctl(
    lab: Lab, *words: str, width: int = 80, user: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """sentinetctl in the lab's host, its output *width* columns wide."""
    given = [f"{name}={value}" for name, value in {"SSH_CONNECTION": "", **environment}.items()]
    # Python may lie where only root looks (/root/.pyenv): the user may read all files, which names no program to him.
    rights = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    switch = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *rights) if user else ()
    command = ("env", f"COLUMNS={width}", "LC_ALL=C.UTF-8", *given, sys.executable, "-m", "sentinetd.cli.main")
    return command_in(lab.host, [*switch, *command, *words])


def settled(out: bytes) -> str:
    """What is printed, without the name of this machine and what differs from run to run."""
    text = out.decode().partition("\n")[2]
    text = re.sub(r"fe80::[0-9a-f:]+%", "fe80::%", text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def golden(path: Path, text: str) -> None:
    """*text* is what the file *path* holds; with GOLDEN=write in the environment, the file is made so."""
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.fixture
def host(lab: Lab, make_daemon: Maker) -> Iterator[Daemon]:
    """sentinetd beside nginx and sshd."""
    work = Work()
    programs = Programs(lab, work)
    try:
        programs.nginx("80", "[::]:80 ipv6only=on", "192.168.1.5:8080")
        programs.sshd("192.168.1.6", 22)
        daemon = make_daemon(Kind.SENTINETD, CONFIG)
        daemon.start()
        daemon.await_message("http-8")  # it cannot be bound: nginx is there
        yield daemon
    finally:
        programs.close()
        work.close()


@pytest.mark.parametrize("width", [80, 200])
def test_the_table(lab: Lab, host: Daemon, width: int) -> None:
    done = ctl(lab, "map", "-f", str(host.config), width=width)
    assert done.stderr == b""
    assert done.returncode == 0
    assert max(map(len, done.stdout.decode().splitlines())) <= width
    golden(GOLDEN / f"map-{width}.txt", settled(done.stdout))


def test_as_data(lab: Lab, host: Daemon) -> None:
    done = ctl(lab, "map", "-f", str(host.config), "--json", "--ports", "21,80,194,8080", "--addresses", "192.168.1.8")
    told = json.loads(done.stdout)
    assert told["addresses"] == ["192.168.1.8"]
    assert [one["name"] for one in told["ports"]] == ["ftp", "http", "irc", "http-alt"]
    cells = {one["port"]: one for one in told["cells"]}
    assert {port: one["state"] for port, one in cells.items()} == {21: "sensor", 80: "used", 194: "free", 8080: "free"}
    assert cells[21]["services"] == ["ftp-8"]
    assert cells[21]["programs"] == [{"program": "sentinetd", "pid": host.pid}]
    assert cells[80]["services"] == ["http-8"]
    assert {one["program"] for one in cells[80]["programs"]} == {"nginx"}
    assert (cells[80]["everywhere"], cells[21]["everywhere"]) == (True, False)
    assert told["mistakes"] == []


def test_an_ordinary_user_is_told_what_he_cannot_see(lab: Lab, host: Daemon) -> None:
    done = ctl(lab, "map", "-f", str(host.config), user="65534")
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode()
    assert "ftp-5" in said
    assert "nginx" in said, "its worker is the same user"
    assert "sshd" not in said
    assert "USED" in said
    assert re.search(r"The programs of \d+ sockets cannot be seen: run this as root to have them named\.", said)


def test_without_the_daemon(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    done = ctl(lab, "map", "-f", str(daemon.config), width=200)
    assert done.returncode == 0
    assert b"- Nothing listens for daytime-7, ftp-5, " in done.stdout
    assert b"sentinetd does not run with this configuration." in done.stdout


def test_an_entry_with_a_mistake_is_told(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG + "service smtp\n{\n\twait = no\n}\n")
    done = ctl(lab, "map", "-f", str(daemon.config))
    assert done.returncode == 1
    assert b"ftp-5" in done.stdout
    assert b"smtp" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("-f", "/nonexistent"), "/nonexistent", id="no such configuration"),
        pytest.param(("--ports", "21,nonesuch"), "--ports: nonesuch is no port of services(5)", id="no port"),
        pytest.param(("--ports", "1-65535"), "--ports: 1-65535 is no port", id="too many"),
        pytest.param(("--ports", "1-1000,2000-3000"), "--ports: names 2001 ports", id="too many together"),
        pytest.param(("--ports", ","), "--ports: names 0 ports", id="none"),
        pytest.param(("--addresses", "eth0"), "--addresses: eth0 is no address", id="no address"),
        pytest.param(("--addresses", ","), "--addresses: names no address", id="no addresses"),
    ],
)
def test_a_mistake_is_one_line(lab: Lab, words: tuple[str, ...], said: str) -> None:
    done = ctl(lab, "map", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().count("\n") == 1
    assert said in done.stderr.decode()


def test_an_encoding_without_the_signs(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    done = ctl(lab, "map", "-f", str(daemon.config), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b". free" in done.stdout
