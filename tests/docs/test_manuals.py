"""The manual pages: roff without a fault, and complete. That they are not stale, `test_pages` sees to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sentinetd.cli.main import COMMANDS
from sentinetd.config.table import attributes
from sentinetd.daemon.options import TABLE
from sentinetd.model.events import EVENTS

MAN = Path(__file__).parents[2] / "man"
PAGES = sorted(one for one in MAN.iterdir() if one.suffix in (".5", ".8"))


def read(name: str) -> str:
    """What a reader sees of a page, in one line."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=400", MAN / name], capture_output=True, check=True)
    plain = subprocess.run(["col", "-bx"], input=done.stdout, capture_output=True, check=True).stdout
    return " ".join(plain.decode().split())


def test_there_are_five() -> None:
    assert [one.name for one in PAGES] == [
        "sentinetctl.8", "sentinetd.8", "sentinetd.conf.5", "sentinetd.log.5", "sentinetd.toml.5",
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.name)
def test_a_page_is_sound(page: Path) -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "@" not in page.read_text().replace("day@hour", "")


def test_everything_is_told() -> None:
    daemon, tools, conf, log = map(read, ("sentinetd.8", "sentinetctl.8", "sentinetd.conf.5", "sentinetd.log.5"))
    for row in TABLE:
        assert row.long in daemon
    for name in COMMANDS:
        assert f" {name} " in tools
    for one in attributes():
        assert f"{one.name} = {one.values}" in conf
    for event in EVENTS:
        assert event.kind in log
