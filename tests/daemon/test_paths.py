"""Where the state lies, its lock, and the pid file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sentinetd.daemon.paths import (
    Foreign,
    Lock,
    PidFile,
    lock_directory,
    make_directory,
    run_directory,
    state_directory,
)
from sentinetd.errors import EdgeError

HOME = {"HOME": "/home/ann"}


@pytest.mark.parametrize(
    ("option", "config", "environment", "uid", "expected"),
    [
        pytest.param("", "/etc/xinetd.conf", {}, 0, "/var/lib/sentinetd", id="root, the usual file"),
        pytest.param("", "/srv/x.conf", {}, 0, "/var/lib/sentinetd/3c90ca609ec59e24", id="root, another file"),
        pytest.param("/srv/state", "/srv/x.conf", {}, 0, "/srv/state", id="as told"),
        pytest.param(
            "", "/srv/x.conf", HOME, 1000, "/home/ann/.local/state/sentinetd/3c90ca609ec59e24", id="an ordinary user"
        ),
        pytest.param(
            "", "/srv/x.conf", {"XDG_STATE_HOME": "/s"}, 1000, "/s/sentinetd/3c90ca609ec59e24", id="XDG_STATE_HOME"
        ),
    ],
)
def test_state_directory(option: str, config: str, environment: dict[str, str], uid: int, expected: str) -> None:
    assert state_directory(option, config, environment, uid) == expected


def test_two_configurations_have_a_state_each_and_one_place_for_locks() -> None:
    one, other = (state_directory("", f"/srv/{name}.conf", {}, 0) for name in "ab")
    assert one != other
    assert run_directory("/srv/a.conf", {}, 0) != run_directory("/srv/b.conf", {}, 0)
    assert lock_directory({}, 0) == "/run/sentinetd"
    assert lock_directory({"XDG_RUNTIME_DIR": "/run/user/1000"}, 1000) == "/run/user/1000/sentinetd"


def test_a_directory_is_private_also_when_it_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    for _ in range(2):
        make_directory(str(path), os.geteuid(), os.getegid())
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        path.chmod(0o777)


def test_a_link_in_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "real")
    with pytest.raises(EdgeError, match="state"):
        make_directory(str(tmp_path / "state"), os.geteuid(), os.getegid())


def test_daemons_that_start_together_are_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finds that a directory is not there, and another makes it."""
    wanted = tmp_path / "run" / "a"
    wanted.mkdir(parents=True)
    there, looked = os.path.isdir, set[str]()

    def once_not_there(path: str) -> bool:
        if path in looked:
            return there(path)
        looked.add(path)
        return False

    monkeypatch.setattr(os.path, "isdir", once_not_there)
    make_directory(str(wanted), os.geteuid(), os.getegid())
    assert str(wanted) in looked
    (tmp_path / "file").touch()
    with pytest.raises(EdgeError, match="exists"):
        make_directory(str(tmp_path / "file" / "a"), os.geteuid(), os.getegid())


@pytest.mark.parametrize(
    ("owner", "mode", "ours"),
    [
        pytest.param(os.geteuid(), 0o755, True, id="ours"),
        pytest.param(12345, 0o755, False, id="somebody else's"),
        pytest.param(os.geteuid(), 0o777, False, id="for everybody to change"),
        pytest.param(os.geteuid(), 0o1777, True, id="for everybody to make names in"),
    ],
)
def test_what_others_could_replace_is_not_used(tmp_path: Path, owner: int, mode: int, ours: bool) -> None:
    """As /tmp/sentinetd-1000, which anybody may make before its user does."""
    tmp_path.chmod(0o1777)
    between = tmp_path / "between"
    (between / "run").mkdir(parents=True)
    between.chmod(mode)
    os.chown(between, owner, -1)
    wanted = str(between / "run" / "a")
    if ours:
        make_directory(wanted, os.geteuid(), os.getegid())
    else:
        with pytest.raises(Foreign, match=f"{between} is somebody else's"):
            make_directory(wanted, os.geteuid(), os.getegid())
        assert os.listdir(between / "run") == []


def test_a_state_directory_has_one_daemon(tmp_path: Path) -> None:
    first = Lock(str(tmp_path), "/srv/state")
    with pytest.raises(EdgeError, match=rf"another sentinetd \(process {os.getpid()}\).*--state DIR"):
        Lock(str(tmp_path), "/srv/state")
    Lock(str(tmp_path), "/srv/other")
    assert first


def test_the_pid_file_is_ours_or_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("1\n")
    pid_file = PidFile(str(path))
    mask = os.umask(0o077)
    pid_file.write()
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # for everybody to read, as xinetd's
    assert path.read_text() == f"{os.getpid()}\n"
    assert os.listdir(tmp_path) == ["pid"]
    path.write_text("1\n")
    pid_file.remove()
    assert path.exists()
    pid_file.write()
    pid_file.remove()
    assert not path.exists()
    pid_file.remove()


def test_what_a_full_disk_left_of_a_pid_file_is_in_nobodys_way(tmp_path: Path) -> None:
    """In a container we have the same number every time."""
    path = tmp_path / "pid"
    Path(f"{path}.{os.getpid()}").touch()
    PidFile(str(path)).write()
    assert os.listdir(tmp_path) == ["pid"]


def test_a_pid_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"pid file .*No such file"):
        PidFile(str(tmp_path / "none" / "pid")).write()
