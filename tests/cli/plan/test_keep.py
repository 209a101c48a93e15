"""A file is made whole, or not at all, and never over another."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinetd.cli.plan.keep import keep
from sentinetd.errors import EdgeError


def test_it_is_made(tmp_path: Path) -> None:
    keep(str(tmp_path / "sensors"), "text\n")
    assert [path.name for path in tmp_path.iterdir()] == ["sensors"]
    assert (tmp_path / "sensors").read_text() == "text\n"
    assert (tmp_path / "sensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("there", ["a file", "a dead link"])
def test_never_over_another(tmp_path: Path, there: str) -> None:
    path = tmp_path / "sensors"
    if there == "a file":
        path.write_text("mine\n")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(EdgeError, match="exists, and nothing is overwritten"):
        keep(str(path), "text\n")
    assert [one.name for one in tmp_path.iterdir()] == ["sensors"]
    assert path.is_symlink() or path.read_text() == "mine\n"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="cannot be written: No such file or directory"):
        keep(str(tmp_path / "none" / "sensors"), "text\n")
