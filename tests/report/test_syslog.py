"""The system's log, at a socket that is really there, away, slow and begun anew."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.model.events import Level
from sentinetd.report.sinks import syslog
from sentinetd.report.sinks.syslog import SystemLog

AT = 1795422817.9  # 2026-11-23 08:33:37 UTC


class Server:
    """A syslog server at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def lines(self) -> list[str]:
        """What has come since the last call."""
        lines = []
        while True:
            try:
                lines.append(self._socket.recv(65536).decode("ascii"))
            except BlockingIOError:
                return lines

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "log")
    yield made
    made.close()


def connected(path: Path, facility: str = "daemon", level: str = "") -> SystemLog:
    return SystemLog("sentinetd", 10003, facility, level, str(path))


@pytest.mark.parametrize(
    ("facility", "level", "grade", "priority"),
    [
        pytest.param("daemon", "", Level.CRITICAL, 3 * 8 + 2, id="critical"),
        pytest.param("daemon", "", Level.ERROR, 3 * 8 + 3, id="error"),
        pytest.param("daemon", "", Level.WARNING, 3 * 8 + 4, id="warning"),
        pytest.param("daemon", "", Level.NOTICE, 3 * 8 + 5, id="notice"),
        pytest.param("daemon", "", Level.INFO, 3 * 8 + 6, id="info"),
        pytest.param("daemon", "", Level.DEBUG, 3 * 8 + 7, id="debug"),
        pytest.param("authpriv", "", Level.INFO, 10 * 8 + 6, id="authpriv"),
        pytest.param("LOCAL7", "Emerg", Level.INFO, 23 * 8 + 0, id="a level for all, any case"),
        pytest.param("auth", "info", Level.CRITICAL, 4 * 8 + 6, id="a service's log has its own level"),
    ],
)
def test_message(server: Server, utc: None, facility: str, level: str, grade: Level, priority: int) -> None:
    log = connected(server.path, facility, level)
    log.put(AT, grade, "START: ftp pid=1")
    assert server.lines() == []
    assert log.flush() == ()
    assert server.lines() == [f"<{priority}>Nov 23 08:33:37 sentinetd[10003]: START: ftp pid=1"]
    assert log.close() == ()


@pytest.mark.parametrize(("facility", "level"), [("local8", ""), ("", ""), ("daemon", "loud")])
def test_unknown_names(facility: str, level: str) -> None:
    with pytest.raises(EdgeError, match=r"syslog\(3\)"):
        SystemLog("x", 1, facility, level)


def test_day_is_padded_with_a_space(utc: None) -> None:
    assert syslog.stamp(1793836801) == "Nov  5 00:00:01"


def test_server_that_was_begun_anew_loses_nothing(tmp_path: Path) -> None:
    first = Server(tmp_path / "log")
    log = connected(first.path)
    log.put(AT, Level.INFO, "one")
    log.flush()
    first.close()
    second = Server(tmp_path / "log")
    log.put(AT, Level.INFO, "two")
    assert log.flush() == ()
    assert [line.rpartition(": ")[2] for line in second.lines()] == ["two"]
    second.close()
    log.close()


def test_server_that_is_away_is_told_once_and_what_waited_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = connected(path)
    log.put(AT, Level.INFO, "one")
    assert log.flush() == (f"system log at {path} cannot be reached: No such file or directory",)
    log.put(AT, Level.INFO, "two")
    assert log.flush() == ()
    assert (log.waiting, log.fileno()) == (2, None)
    server = Server(path)
    assert log.flush() == (f"system log at {path} works again, 0 messages were lost",)
    assert log.waiting == 0
    assert [line.rpartition(": ")[2] for line in server.lines()] == ["one", "two"]
    server.close()
    log.close()


def test_slow_server_makes_nobody_wait_and_the_oldest_are_lost(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "MOST_WAITING", 1000)
    log = connected(server.path)
    for number in range(900):  # less than is kept, more than the kernel queues for the server
        log.put(AT, Level.INFO, str(number))
    assert log.flush() == ()
    queued = 900 - log.waiting
    assert 0 < queued < 900
    assert log.fileno() is not None
    for number in range(900, 2000):
        log.put(AT, Level.INFO, str(number))
    assert log.flush() == (f"system log at {server.path} takes too few messages, the oldest are lost",)
    log.put(AT, Level.INFO, "2000")
    assert log.flush() == ()
    got = server.lines()
    lost = 2001 - queued - 1000
    while log.waiting:
        told = log.flush()
        got += server.lines()
    assert told == (f"system log at {server.path} works again, {lost} messages were lost",)
    numbers = [int(line.rpartition(": ")[2]) for line in got]
    assert numbers == [*range(queued), *range(queued + lost, 2001)]
    log.close()


def test_what_waits_at_the_end_is_told(tmp_path: Path) -> None:
    log = connected(tmp_path / "none")
    log.put(AT, Level.INFO, "one")
    log.flush()
    assert log.close() == (f"system log at {tmp_path / 'none'}: 1 messages were lost",)
