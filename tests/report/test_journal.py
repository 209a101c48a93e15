"""Which event goes into which log."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from rig.trips import tables
from sentinetd.errors import EdgeError
from sentinetd.model import events as ev
from sentinetd.model.address import Address
from sentinetd.model.events import Level
from sentinetd.model.service import OnFailure, OnSuccess
from sentinetd.model.trip_run import TripTable
from sentinetd.report.journal import Journal

AT = 1795422817.9  # 2026-11-23 08:33:37 UTC
A = Address.parse("192.168.1.20")
TRIP = ev.SensorTripped(AT, 7, "irc", A, 4000, 3600.0, "")
STAMP = "26/11/23@08:33:37"


@pytest.fixture
def journal(utc: None, tmp_path: Path) -> Journal:
    return made(tmp_path)


def made(directory: Path) -> Journal:
    """A journal whose system log is away."""
    return Journal(0, lambda: AT, "sentinetd", 5, str(directory / "none"))


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def test_trip_goes_into_both_logs(journal: Journal, tmp_path: Path) -> None:
    journal.open_file(0, opened(tmp_path / "daemon"), "daemon", 0, 0)
    journal.open_file(1, opened(tmp_path / "service"), "common", 0, 0)
    journal.follow(7, 1, (OnSuccess.PID, OnSuccess.TRAFFIC), (OnFailure.HOST,))
    journal.tell(TRIP)
    journal.tell(ev.ServerStarted(AT, 7, "irc", A, 1, 99))
    journal.tell(ev.TrafficCounted(AT, 7, "irc", A, 1, 2))
    journal.flush()
    assert (tmp_path / "daemon").read_text() == (
        f"{STAMP} sentinetd[5]: CRITICAL: 5 {{process_sensor}} "
        "Adding 192.168.1.20 to the global_no_access list for 60 minutes, sensor irc\n"
    )
    assert (tmp_path / "service").read_text() == (
        f"{STAMP}: FAIL: irc address from=192.168.1.20\n"
        f"{STAMP}: START: irc pid=99\n"
        f"{STAMP}: TRAFFIC: irc in=1(bytes) out=2(bytes)\n"
    )
    journal.close()


@pytest.mark.parametrize("failure", [(), (OnFailure.ATTEMPT,), (OnFailure.HOST,)])
@pytest.mark.parametrize("trips", [pytest.param(one, id=what) for what, one in tables().items()])
def test_trips_told_together_read_like_each_told_alone(
    utc: None, tmp_path: Path, trips: TripTable, failure: tuple[OnFailure, ...]
) -> None:
    logs = []
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
        journal = made(tmp_path / name)
        journal.open_file(0, opened(tmp_path / name / "daemon"), "daemon", 0, 0)
        journal.open_file(1, opened(tmp_path / name / "service"), "common", 0, 0)
        journal.follow(trips.run.number, 1, (), failure)
        if name == "alone":
            journal.tell(*trips.events())
        else:
            journal.tell_trips(trips)
        journal.close()
        logs.append([(tmp_path / name / log).read_text() for log in ("daemon", "service")])
    assert logs[0] == logs[1]
    assert [text.count("\n") for text in logs[1]] == [len(trips), len(trips) if failure else 0]


def test_trips_go_to_the_system_log_one_by_one(utc: None, tmp_path: Path) -> None:
    trips = tables()["IPv4"]
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as system:
        system.bind(str(tmp_path / "none"))
        journal = made(tmp_path)
        journal.open_syslog(0, "daemon", "")
        journal.tell_trips(trips)
        journal.flush()
        told = [system.recv(1000).decode() for _ in range(len(trips))]
        journal.close()
    assert [line.split("Adding ")[1].split()[0] for line in told] == list(trips.sources())
    assert told[0].startswith("<26>Nov 23 08:33:37 sentinetd[5]: 5 {process_sensor} Adding 198.18.0.0 to ")


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda journal: None, id="never heard of"),
        pytest.param(lambda journal: journal.follow(7, None, OnSuccess, OnFailure), id="keeps no log"),
        pytest.param(lambda journal: journal.follow(7, 3, OnSuccess, OnFailure), id="its log could not be opened"),
        pytest.param(
            lambda journal: (journal.follow(7, 1, OnSuccess, OnFailure), journal.forget(7)), id="gone"
        ),
    ],
)  # fmt: skip
def test_service_without_a_log(journal: Journal, tmp_path: Path, prepare: object) -> None:
    journal.open_file(0, opened(tmp_path / "daemon"), "daemon", 0, 0)
    journal.open_file(1, opened(tmp_path / "service"), "common", 0, 0)
    assert callable(prepare)
    prepare(journal)
    journal.tell(TRIP)
    journal.flush()
    assert "Adding" in (tmp_path / "daemon").read_text()
    assert (tmp_path / "service").read_text() == ""
    journal.close()


def test_before_the_log_is_open_standard_error_has_it(
    utc: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = made(tmp_path)
    journal.introduce("xinetd", 6)
    journal.tell(ev.ServiceResumed(AT, "ftp"))
    journal.flush()
    assert capfd.readouterr().err == f"{STAMP} xinetd[6]: ERROR: Activating service ftp\n"
    journal.close()


def test_rotation_splits_between_two_events(journal: Journal, tmp_path: Path) -> None:
    journal.follow(7, 1, (OnSuccess.PID,), ())
    journal.open_file(1, opened(tmp_path / "old"), "common", 0, 0)
    journal.tell(ev.ServerStarted(AT, 7, "ftp", A, 1, 1))
    journal.open_file(1, opened(tmp_path / "new"), "common", 0, 0)
    journal.tell(ev.ServerStarted(AT, 7, "ftp", A, 1, 2))
    journal.flush()
    assert (tmp_path / "old").read_text() == f"{STAMP}: START: ftp pid=1\n"
    assert (tmp_path / "new").read_text() == f"{STAMP}: START: ftp pid=2\n"
    journal.close()


def test_trouble_of_a_service_log_is_told_in_the_daemons(journal: Journal, tmp_path: Path) -> None:
    journal.open_file(0, opened(tmp_path / "daemon"), "daemon", 0, 0)
    journal.open_file(1, opened(tmp_path / "service"), "ftp\x1b", 0, 10)
    journal.follow(7, 1, (), (OnFailure.HOST,))
    for _ in range(3):
        journal.tell(ev.ConnectionRefused(AT, 7, "ftp", A, 1, ev.Reason.TIME))
        journal.flush()
    journal.close_sink(1)
    journal.flush()
    assert (tmp_path / "daemon").read_text() == (
        f"{STAMP} sentinetd[5]: ERROR: Size of ftp\\x1b log exceeded hard limit\n"
        f"{STAMP} sentinetd[5]: ERROR: ftp\\x1b log: 2 lines were left out beyond the hard limit\n"
    )
    assert (tmp_path / "service").read_text() == f"{STAMP}: FAIL: ftp time from=192.168.1.20\n"
    journal.close()


def test_trouble_of_the_daemons_own_log_is_told_on_standard_error(
    utc: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = made(tmp_path)
    journal.open_file(0, os.open("/dev/full", os.O_WRONLY), "daemon", 0, 0)
    for _ in range(3):
        journal.tell(ev.ReloadStarted(AT))
        journal.flush()
    assert capfd.readouterr().err == (
        f"{STAMP} sentinetd[5]: ERROR: daemon log cannot be written: No space left on device\n"
    )
    journal.close()


def test_syslog_that_is_away_is_flushed_again(journal: Journal, tmp_path: Path) -> None:
    journal.open_file(0, opened(tmp_path / "daemon"), "daemon", 0, 0)
    journal.open_syslog(1, "daemon", "info")
    journal.follow(7, 1, (OnSuccess.PID,), ())
    journal.tell(ev.ServerStarted(AT, 7, "ftp", A, 1, 1))
    journal.flush()
    assert [log.waiting for log in journal.waiting()] == [1]
    assert "cannot be reached" in (tmp_path / "daemon").read_text()
    journal.close()
    assert "1 messages were lost" in (tmp_path / "daemon").read_text()


def test_unknown_facility(journal: Journal) -> None:
    with pytest.raises(EdgeError):
        journal.open_syslog(1, "local8", "info")
    journal.close()


def test_notice_bears_its_own_level(journal: Journal, tmp_path: Path) -> None:
    journal.open_file(0, opened(tmp_path / "daemon"), "daemon", 0, 0)
    journal.tell(ev.Notice(AT, Level.DEBUG, "x"))
    journal.flush()
    assert (tmp_path / "daemon").read_text() == f"{STAMP} sentinetd[5]: DEBUG: x\n"
    journal.close()
