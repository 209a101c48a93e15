"""Every recipe of the page, run as it stands there: one daemon with all of them, each driven by its own client."""

from __future__ import annotations

import ftplib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from docs.pages import DOCS, blocks, sections
from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind
from rig.network import Lab, command_in

Maker = Callable[..., Daemon]

PAGE = DOCS / "recipes.md"
ASKER, OTHER, HERE = "192.168.1.20", "192.168.1.21", "192.168.1.5"
PLACES = {
    "192.0.2.10": ASKER,
    "192.0.2.5": HERE,
    "/usr/bin/check_mk_agent": "@WORK@/check_mk_agent",
    "/usr/local/bin/clustercheck": "@WORK@/clustercheck",
    "/etc/rsyncd.conf": "@WORK@/rsyncd.conf",
    "/etc/vsftpd.conf": "@WORK@/vsftpd.conf",
    "/srv/": "@WORK@/",
}
"""What the page says, and where it is here."""
LOG = "defaults\n{\n\tlog_type = FILE @WORK@/service.log\n}\n"
RECIPES = (
    "Checkmk agent", "Galera health check", "rsync", "TFTP", "Git, to read", "vsftpd", "A challenge for a CTF",
    "A honeypot host", "Every unused port",
)  # fmt: skip


def script(daemon: Daemon, name: str, text: str) -> None:
    daemon.work.write(name, text if text.startswith("#!") else f"#!/bin/sh\n{text}").chmod(0o755)


@pytest.fixture
def running(make_daemon: Maker) -> Daemon:
    """A daemon with every recipe, and what the recipes serve."""
    text = LOG + "\n".join(blocks(PAGE, "xinetd"))
    for there, here in PLACES.items():
        text = text.replace(there, here)
    daemon = make_daemon(Kind.SENTINETD, text)
    work = daemon.work
    script(daemon, "check_mk_agent", "echo '<<<check_mk>>>'; echo 'Version: 2.3.0'\n")
    (clustercheck,) = blocks(PAGE, "sh")
    script(daemon, "clustercheck", clustercheck.replace("$(mysql ", f"$({work.path}/mysql "))
    script(daemon, "mysql", f"cat {work.path}/state\n")
    work.write("state", "wsrep_local_state\t4\n").chmod(0o644)
    work.write("box/file", "rsync\n")
    work.write("rsyncd.conf", f"[box]\npath = {work.path}/box\nuse chroot = no\nlock file = {work.path}/lock\n")
    work.write("tftp/file", "tftp\n").chmod(0o644)
    work.write("ftp/file", "ftp\n")
    (work.path / "empty").mkdir()
    work.write(
        "vsftpd.conf",
        "listen=NO\nlisten_ipv6=NO\nanonymous_enable=YES\nlocal_enable=NO\n"
        f"anon_root={work.path}/ftp\nsecure_chroot_dir={work.path}/empty\n",
    )
    script(daemon, "challenge/run", "read name; echo \"hello $name\"; ulimit -t -n -v; env\n")
    project = work.path / "git" / "project"
    author = ("-c", "user.name=A", "-c", "user.email=a@example.test")
    for words in (("init", "-q", str(project)), ("-C", str(project), *author, "commit", "-qm", "one", "--allow-empty")):
        subprocess.run(["git", *words], check=True, capture_output=True)
    subprocess.run(["chown", "-R", "nobody:", str(project.parent)], check=True)
    daemon.start()
    return daemon


def test_the_page_has_them() -> None:
    assert tuple(title for title, text in sections(PAGE) if "```xinetd" in text) == RECIPES


def test_all_of_them(lab: Lab, running: Daemon, tmp_path: Path) -> None:
    asker = lab.clients[20]

    assert converse(lab, HERE, 6556, ASKER) == "<<<check_mk>>>\nVersion: 2.3.0\n"
    assert converse(lab, HERE, 6556, OTHER) == "closed"

    words = ["curl", "--silent", "--max-time", "20", "--write-out", "%{http_code}", f"http://{HERE}:9200/"]
    assert command_in(asker, words).stdout == b"Node is synced.\r\n200"
    running.work.write("state", "wsrep_local_state\t2\n").chmod(0o644)
    assert command_in(asker, words).stdout == b"Node is not synced.\r\n503"

    done = command_in(asker, ["rsync", "-a", f"rsync://{HERE}/box/", f"{tmp_path}/"])
    assert done.returncode == 0, (done, running.story())
    assert (tmp_path / "file").read_text() == "rsync\n"

    done = command_in(asker, ["tftp", "-m", "binary", HERE, "-c", "get", "file", str(tmp_path / "got")])
    assert done.returncode == 0, (done, running.story())
    assert (tmp_path / "got").read_text() == "tftp\n"

    done = command_in(asker, ["git", "clone", "-q", f"git://{HERE}/project", str(tmp_path / "clone")])
    assert done.returncode == 0, (done, running.story())

    taken = io.BytesIO()
    with asker.entered(), ftplib.FTP(timeout=20) as session:
        session.connect(HERE)
        session.login()
        session.retrbinary("RETR file", taken.write)
    assert taken.getvalue() == b"ftp\n"


def test_the_challenge(lab: Lab, running: Daemon) -> None:
    contestant = Dialogue(lab, HERE, 1337, ASKER)
    contestant.send(b"alice\n")
    said = contestant.rest().decode()
    contestant.close()
    assert said.startswith("hello alice\n")
    assert "256" in said or "262144" in said, "rlimit_as"
    assert "RIG_ONE" not in said, "passenv"
    held = [Dialogue(lab, HERE, 1337, ASKER) for _ in range(4)]
    assert converse(lab, HERE, 1337, ASKER) == "closed", "per_source"
    assert converse(lab, HERE, 1337, OTHER, b"bob\n").startswith("hello bob")
    for one in held:
        one.close()


def test_the_honeypot(lab: Lab, running: Daemon) -> None:
    visitor = Dialogue(lab, HERE, 22, OTHER)
    assert visitor.receive(4) == b"SSH-"
    visitor.send(b"SSH-2.0-scanner\r\n")
    visitor.finish()
    visitor.rest()
    visitor.close()
    running.await_message(f"Sensor ssh-decoy touched by {OTHER}, not banned")
    visitor = Dialogue(lab, HERE, 3306, OTHER)
    visitor.close()
    running.await_message("quiet")
    assert converse(lab, HERE, 1337, OTHER, b"bob\n").startswith("hello bob"), "nobody is banned here"


def test_every_unused_port(lab: Lab, running: Daemon) -> None:
    assert converse(lab, HERE, 113, OTHER) == "refused"
    assert converse(lab, HERE, 49200, OTHER) == "refused"
    assert converse(lab, HERE, 4711, OTHER) == "closed"
    assert running.await_message(f"Adding {OTHER} ").text.endswith("sensor unused, port 4711")
