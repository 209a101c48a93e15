"""The control socket as the guard makes it: for whom, in place of what, and what becomes of it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from sentinetd.daemon.sockets import Sockets
from sentinetd.model.settings import ControlTable, FileUse, MetricsTable, Settings


class Made:
    def __init__(self, path: Path) -> None:
        self.complaints: list[str] = []
        self.path = path
        self.sockets = Sockets(str(path), self.complaints.append)

    def connects(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.path))
            except OSError:
                return False
            return True


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "control.sock")


def test_it_listens_for_its_owner_alone_where_there_is_no_group(made: Made) -> None:
    settings = made.sockets.wanted(Settings())
    (file,) = settings.files
    control = settings.courier.control
    assert (file.use, control.socket, control.owner) == (FileUse.LISTEN, 0, os.geteuid())
    assert made.path.stat().st_mode & 0o007 == 0
    assert made.connects()
    descriptor = made.sockets.open(file)
    assert stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    made.sockets.close()
    assert not made.path.exists()


def test_a_reload_keeps_the_socket_and_no_more_wanted_ones_go(made: Made) -> None:
    made.sockets.wanted(Settings())
    before = made.path.stat().st_ino
    made.sockets.wanted(Settings())
    assert made.path.stat().st_ino == before
    off = made.sockets.wanted(Settings(control=ControlTable(enabled=False)))
    assert (off.files, off.courier.control.socket) == ((), None)
    assert not made.path.exists()


def test_what_a_dead_daemon_left_is_replaced(made: Made) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(made.path))
    made.sockets.wanted(Settings())
    assert made.connects()
    made.sockets.close()


def test_a_socket_of_a_living_daemon_is_left_alone(made: Made) -> None:
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(made.path))
        alive.listen()
        settings = made.sockets.wanted(Settings())
        assert settings.files == ()
        assert made.complaints == [f"another sentinetd has the control socket {made.path}; stop it"]
        made.sockets.close()
        assert made.connects()


@pytest.mark.parametrize(
    ("name", "part"), [("x" * 200, "AF_UNIX path too long"), ("none/control.sock", "No such file or directory")]
)
def test_what_cannot_be_made_is_told_and_the_daemon_goes_on(tmp_path: Path, name: str, part: str) -> None:
    made = Made(tmp_path / name)
    assert made.sockets.wanted(Settings()).files == ()
    (complaint,) = made.complaints
    assert part in complaint


def test_loopback_listeners_have_numbers_of_their_own(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port, busy = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        settings = made.sockets.wanted(
            Settings(
                control=ControlTable(listen=f"127.0.0.1:{busy}", token="t" * 20),
                metrics=MetricsTable(listen=f"127.0.0.1:{port}"),
            )
        )
    told = settings.courier.control
    assert (told.socket, told.loopback, told.metrics, told.token) == (0, None, 1, "t" * 20)
    assert made.complaints == [f"127.0.0.1:{busy} cannot be listened at: Address already in use; give another port"]
    made.sockets.close()
