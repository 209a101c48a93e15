"""USERID of refused clients: a real identification server on the client's host is asked while they are still connected.

xinetd asks where its parent process refuses, so it is played too, as far as it goes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.ident import IdentServer
from rig.network import Lab

Maker = Callable[..., Daemon]

FIVE, A, B = "192.168.1.5", "192.168.1.20", "192.168.1.21"
USERID = "log_on_failure = HOST USERID"
FULL = service("full", 7001, "instances = 0", USERID)
CLOSED = service("closed", 7001, "only_from = 192.168.1.23", USERID)
UNIX = "USERID: {} UNIX : root"

both = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Callable[..., Daemon]:
    """A started daemon; the probe's path is filled in."""

    def make(config: str, *options: str, kind: Kind = Kind.SENTINETD) -> Daemon:
        daemon = make_daemon(kind, config.replace("@PROBE@", str(probe)))
        daemon.start(*options)
        return daemon

    return make


def lines(daemon: Daemon, count: int) -> list[str]:
    """The service log without times, once it has *count* lines."""
    wait_for(lambda: len(daemon.service_log()) >= count, daemon.story)
    return [line.partition(": ")[2].replace("::ffff:", "") for line in daemon.service_log()]


@both
@pytest.mark.parametrize(
    ("entry", "place", "fail"),
    [
        pytest.param(FULL, (SIX, 7001), "FAIL: full service_limit from=192.168.1.20", id="a limit"),
        pytest.param(
            sensor("decoy", 7002, "deny_time = 60", USERID),
            (FIVE, 7002),
            "FAIL: decoy address from=192.168.1.20",
            id="a sensor",
        ),
    ],
)
def test_who_was_refused(kind: Kind, entry: str, place: tuple[str, int], fail: str, lab: Lab, make: Maker) -> None:
    daemon = make(entry, kind=kind)
    with IdentServer(lab.clients[20]) as ident:
        assert converse(lab, *place, A) == "closed"
        assert lines(daemon, 2) == [fail, UNIX.format(fail.split()[1])]
        assert len(ident.asked) == 1


@both
def test_a_server_that_hangs_up_is_told_of(kind: Kind, lab: Lab, make: Maker) -> None:
    daemon = make(FULL, kind=kind)
    with IdentServer(lab.clients[20], hangs_up=True):
        assert converse(lab, SIX, 7001, A) == "closed"
        message = daemon.await_message("Failed to contact identity server at")
    assert message.level == "ERROR"
    assert message.text.replace("::ffff:", "") == (
        f"Failed to contact identity server at {A}: error while receiving response"
    )


@both
def test_a_host_without_a_server_is_not_told_of(kind: Kind, lab: Lab, make: Maker) -> None:
    daemon = make(FULL, kind=kind)
    assert converse(lab, SIX, 7001, A) == "closed"
    with IdentServer(lab.clients[21]):
        assert converse(lab, SIX, 7001, B) == "closed"
        assert len(lines(daemon, 3)) == 3
    assert not daemon.find("identity server")


def test_the_client_stays_connected_until_the_answer_and_no_longer(lab: Lab, make: Maker) -> None:
    daemon = make(CLOSED)
    with IdentServer(lab.clients[20]) as ident:
        ident.answer.clear()
        with Dialogue(lab, SIX, 7001, A) as dialogue:
            assert lines(daemon, 1) == ["FAIL: closed address from=192.168.1.20"]
            wait_for(lambda: ident.asked == [f"{dialogue.port},7001"], daemon.story)
            assert dialogue.silent()
            ident.answer.set()
            assert dialogue.rest() == b""
    assert lines(daemon, 2)[1] == UNIX.format("closed")


def test_as_many_as_logprocs_are_kept_and_the_others_refused_at_once(lab: Lab, make: Maker) -> None:
    daemon = make(CLOSED, "-logprocs", "1")
    with IdentServer(lab.clients[20]) as ident:
        ident.answer.clear()
        with Dialogue(lab, SIX, 7001, A) as kept:
            wait_for(lambda: ident.asked, daemon.story)
            assert converse(lab, SIX, 7001, A) == "closed"
            assert converse(lab, SIX, 7001, B) == "closed"
            assert kept.silent()
            ident.answer.set()
            assert kept.rest() == b""
        assert [line.split()[0] for line in lines(daemon, 4)] == ["FAIL:", "FAIL:", "FAIL:", "USERID:"]
        assert len(ident.asked) == 1
        assert converse(lab, SIX, 7001, A) == "closed"  # there is room again
        assert lines(daemon, 6)[-1] == UNIX.format("closed")


def test_nobody_asks_about_a_banned_source(lab: Lab, make: Maker) -> None:
    daemon = make(sensor("decoy", 7002) + CLOSED)
    assert converse(lab, FIVE, 7002, A) == "closed"
    with IdentServer(lab.clients[20]) as ident:
        assert converse(lab, SIX, 7001, A) == "closed"
        assert [line.split()[0] for line in lines(daemon, 2)] == ["FAIL:", "FAIL:"]
        assert not ident.asked


def test_a_service_that_is_dropped_hangs_up(lab: Lab, make: Maker) -> None:
    daemon = make(CLOSED)
    with IdentServer(lab.clients[20]) as ident:
        ident.answer.clear()
        with Dialogue(lab, SIX, 7001, A) as dialogue:
            wait_for(lambda: ident.asked, daemon.story)
            daemon.reload(sensor("decoy", 7002))
            assert dialogue.rest() == b""


def test_without_the_porter_the_client_is_refused_all_the_same(lab: Lab, make: Maker) -> None:
    daemon = make(CLOSED)
    with IdentServer(lab.clients[20]) as ident:
        ident.answer.clear()
        with Dialogue(lab, SIX, 7001, A) as dialogue:
            wait_for(lambda: ident.asked, daemon.story)
            [porter] = [pid for pid in children_of(daemon.pid) if "porter" in command_line(pid)]
            os.kill(porter, signal.SIGKILL)
            assert dialogue.rest() == b""
    daemon.await_message("process porter")
