"""Children that somebody stops: killed if they stay so, left alone if not. Real ones."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from rig.deadline import wait_for
from sentinetd.daemon import stops
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.stops import Stops


class Stage:
    """Two children, one of which is ours, and what is told."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.ours, self.other = (subprocess.Popen(["sleep", "1000"]) for _ in range(2))
        self.told: list[str] = []
        self.looks = 0
        self.stops = Stops(self.loop, self.processes, lambda level, text: self.told.append(text))

    def processes(self) -> dict[str, int]:
        self.looks += 1
        return {"porter": self.ours.pid, "herald": 0}

    def stop(self, child: subprocess.Popen[bytes]) -> None:
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)

    def look(self, times: int) -> None:
        """Go round the loop until there were so many looks in all."""

        def looked() -> bool:
            self.loop.turn(0.05)
            return self.looks >= times

        wait_for(looked, "a look", 20.0)

    def close(self) -> None:
        for child in (self.ours, self.other):
            child.kill()
            child.wait()
        self.loop.close()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(stops, "LOOK_AFTER", 0.01)
    monkeypatch.setattr(stops, "PATIENCE", 0.02)
    made = Stage()
    yield made
    made.close()


def test_one_that_stays_stopped_is_killed(stage: Stage) -> None:
    stage.stop(stage.ours)
    stage.stops.stir()
    stage.look(1)
    assert stage.told == []
    stage.look(2)
    assert stage.told == ["process porter: stopped for 0 seconds; it is killed"]
    assert stage.ours.wait(20) == -signal.SIGKILL


def test_one_that_goes_on_is_left_alone(stage: Stage) -> None:
    stage.stop(stage.ours)
    stage.stops.stir()
    stage.look(1)
    stage.ours.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, stage.ours.pid, os.WCONTINUED)
    stage.look(2)
    stage.stops.stir()
    stage.look(3)
    assert stage.told == []
    assert stage.ours.poll() is None


def test_servers_are_no_affair_of_ours(stage: Stage) -> None:
    stage.stop(stage.other)
    for look in (1, 2):
        stage.stops.stir()
        stage.look(look)
    assert stage.told == []


def test_many_changes_are_one_look(stage: Stage) -> None:
    for _ in range(100):
        stage.stops.stir()
    stage.look(1)
    stage.loop.turn(0.05)
    assert stage.looks == 1
