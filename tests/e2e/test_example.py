"""The shipped example, as `make run` starts it, on the loopback of a namespace."""

from __future__ import annotations

import ftplib
import os
import poplib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.client import converse
from rig.deadline import wait_for
from rig.network import Lab

ROOT = Path(__file__).resolve().parents[2]
SIX, SEVEN = "127.0.0.6", "127.0.0.7"


@pytest.fixture
def example(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """The example running from a copy of the tree; the path of what it says."""
    for name in ("examples", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "venv").symlink_to(sys.prefix)
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            lab.host.command(str(tmp_path / "scripts" / "run-example")),
            env={**os.environ, "VENV": "venv"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: "Started working: 9" in said.read_text() or process.poll() is not None, said.read_text, 20.0)
        assert process.poll() is None, said.read_text()
        yield said
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
        lab.host.sweep()


def welcome(lab: Lab, host: str, source: str = "") -> list[str]:
    """The text that the ftp server at *host* has for everybody; empty where it hangs up."""
    lines: list[str] = []
    try:
        with lab.host.entered(), ftplib.FTP(timeout=20) as session:
            session.connect(host, 2121, source_address=(source, 0) if source else None)
            session.login()
            session.retrlines("RETR welcome.txt", lines.append)
    except (EOFError, ConnectionResetError):
        return []
    return lines


def test_what_it_tells_the_newcomer_to_try(lab: Lab, example: Path) -> None:
    assert welcome(lab, SIX) == welcome(lab, SEVEN) != []
    with lab.host.entered():
        mail = poplib.POP3(SIX, 1110, timeout=20)
    mail.user("alice")
    mail.pass_("wonderland")
    assert mail.stat()[0] == len(mail.uidl()[1]) == 1
    assert b"Subject: A real mailbox" in mail.retr(1)[1]
    mail.quit()

    assert converse(lab, SIX, 6667, "127.0.0.1") == "closed"
    line = "Adding 127.0.0.1 to the global_no_access list for 120 minutes, sensor irc-1"
    wait_for(lambda: line in example.read_text(), example.read_text)
    assert welcome(lab, SIX) == []
    assert welcome(lab, SIX, source="127.0.0.9") != []


def test_its_words_can_be_copied(example: Path) -> None:
    """The commands it prints name nothing that is not there."""
    text = example.read_text()
    assert re.search(r"1\. use a real server: +\S", text)
    assert "@" not in text.replace("sentinetd@localhost", "").partition("Below")[0]
