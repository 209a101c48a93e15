"""What the guard knows of time, load and the tables of tcp wrappers."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest

from sentinetd.daemon import clock as module
from sentinetd.daemon.clock import Clock, Tables, load_average
from sentinetd.daemon.loop import boottime


def test_a_moment_is_now_in_all_ways() -> None:
    before = boottime(), time.time()
    moment = Clock().moment()
    local = time.localtime(moment.wall)
    assert before[0] <= moment.now <= boottime()
    assert before[1] <= moment.wall <= time.time()
    assert moment.minute == local.tm_hour * 60 + local.tm_min
    assert (moment.load, moment.tables) == (0.0, False)


def test_the_load_is_read_when_it_is_wanted_and_an_unreadable_one_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/proc/loadavg") as file:
        shown = float(file.read().split()[0])
    assert load_average() == pytest.approx(shown, abs=0.5)
    clock = Clock()
    clock.load_wanted = True
    monkeypatch.setattr(module, "load_average", lambda: math.inf)
    assert clock.moment().load == math.inf


def test_a_rule_holds_from_the_next_moment_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "deny"
    monkeypatch.setattr(module, "Tables", lambda: Tables([str(path)]))
    clock = Clock()
    clock.tables_wanted = True
    assert not clock.moment().tables
    path.write_text("ALL: ALL\n")
    assert clock.moment().tables


@pytest.mark.parametrize(
    ("allow", "deny", "rules"),
    [
        pytest.param(None, None, False, id="no files"),
        pytest.param("# only\n\n  \n", "# comments\n", False, id="comments"),
        pytest.param("ALL: LOCAL\n", None, True, id="a rule that allows"),
        pytest.param(None, "# one\nALL: ALL\n", True, id="a rule that denies"),
        pytest.param(None, " # not a comment to hosts_access(5)\n", True, id="a hash further in"),
    ],
)
def test_whether_there_are_rules(tmp_path: Path, allow: str | None, deny: str | None, rules: bool) -> None:
    paths = [tmp_path / "allow", tmp_path / "deny"]
    for path, text in zip(paths, (allow, deny), strict=True):
        if text is not None:
            path.write_text(text)
    assert Tables([str(path) for path in paths]).have_rules() is rules


def test_a_changed_table_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "deny"
    tables = Tables([str(path)])
    assert not tables.have_rules()
    path.write_text("ALL: ALL\n")
    assert tables.have_rules()
    path.write_text("# ALL: ALL\n")
    assert not tables.have_rules()


def test_a_table_that_cannot_be_read_counts_as_one_with_rules(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "deny")
    assert Tables([str(tmp_path / "deny")]).have_rules()


def test_a_table_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "deny")
    assert Tables([str(tmp_path / "deny")]).have_rules(), "it cannot be judged"
    (tmp_path / "allow").symlink_to("/dev/null")
    assert not Tables([str(tmp_path / "allow")]).have_rules()
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert Tables([str(tmp_path / "zero")]).have_rules()
