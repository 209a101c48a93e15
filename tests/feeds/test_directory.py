"""Files replaced whole in a directory that was opened elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.feeds.directory import Directory


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    made = Directory(os.open(tmp_path, os.O_PATH | os.O_DIRECTORY))
    yield made
    made.close()


def test_a_file_is_made_and_replaced(directory: Directory, tmp_path: Path) -> None:
    directory.replace("list", ["one"])
    with (tmp_path / "list").open() as old:
        directory.replace("list", ["two", "three"])
        assert old.read() == "one\n", "whoever reads the old one reads it to its end"
    assert (tmp_path / "list").read_text() == "two\nthree\n"
    assert stat.S_IMODE((tmp_path / "list").stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["list"]


def test_a_list_that_breaks_off_changes_nothing(directory: Directory, tmp_path: Path) -> None:
    def lines() -> Iterator[str]:
        yield "half"
        raise EdgeError("the store is gone")

    directory.replace("list", ["one"])
    with pytest.raises(EdgeError, match="the store is gone"):
        directory.replace("list", lines())
    assert (tmp_path / "list").read_text() == "one\n"
    assert os.listdir(tmp_path) == ["list"]


def test_what_lies_in_the_way_is_not_followed(directory: Directory, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / ".list.new").symlink_to(other)
    (tmp_path / "list").symlink_to(other)
    directory.try_out("list")
    directory.replace("list", ["one"])
    assert other.read_text() == "mine"
    assert not (tmp_path / "list").is_symlink()


def test_a_name_that_is_taken_by_a_directory_is_told(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    with pytest.raises(EdgeError, match="list cannot be written: Is a directory"):
        directory.replace("list", ["one"])
    assert os.listdir(tmp_path) == ["list"]


def test_a_full_disk_is_told(directory: Directory) -> None:
    with pytest.raises(EdgeError, match="File name too long"):
        directory.replace("x" * 254, ["one"])


def test_whether_files_can_be_made_is_seen_beforehand(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    child = os.fork()
    if child == 0:  # who may not
        status = 1
        try:
            made = Directory(os.open(tmp_path, os.O_PATH | os.O_DIRECTORY))
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            made.try_out("list")
        except EdgeError as error:
            status = 0 if "Permission denied" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.listdir(tmp_path) == []
