"""Programs of the daemon's own that the spawner starts: nothing of them reaches the engine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from rig.deadline import wait_for
from sentinetd.daemon.launcher import Aside, Launcher
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.recipes import recipe_of_program
from sentinetd.errors import EdgeError
from sentinetd.model.events import Event, ProcessMended
from sentinetd.model.values import Credentials
from sentinetd.policy.inputs import Input, LaunchersGone
from sentinetd.spawn.spawner import Backend, available


class Stage:
    """A launcher with a spawner of that kind, and what it told."""

    def __init__(self, backend: Backend) -> None:
        self.loop = Loop()
        self.inputs: list[Input] = []
        self.events: list[Event] = []
        self.launcher = Launcher(self.loop, 1024, backend, dict, self.inputs.append, self.events.append)
        self.launcher.start()
        self.ends: list[int] = []

    def start(self, *command: str, uid: int | None = None) -> tuple[Aside, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        with theirs:
            recipe = recipe_of_program(command, Credentials(uid, uid, () if uid is not None else None))
            try:
                return self.launcher.start_aside(recipe, theirs.fileno()), ours
            except EdgeError:
                ours.close()
                raise

    def reap(self) -> None:
        """As the guard does, without waiting."""
        self.loop.turn(0.05)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            how = f"killed by {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
            self.launcher.reaped(pid, how)
            self.ends.append(pid)

    def until_faulty(self, aside: Aside) -> None:
        def faulty() -> bool:
            self.reap()
            return bool(aside.fault) and aside.pid == 0

        wait_for(faulty, "the end of a program")


@pytest.fixture(params=Backend, ids=lambda backend: backend.name)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param is Backend.C and available() is not Backend.C:
        pytest.skip("the C spawner was not built")
    made = Stage(request.param)
    yield made
    made.loop.close()
    spawner = made.launcher._spawner
    assert spawner is not None
    spawner.close()
    os.waitpid(spawner.pid, 0)


def heard(ours: socket.socket) -> bytes:
    data = b""
    with ours:
        while part := ours.recv(4096):
            data += part
    return data


def test_a_program_has_the_descriptor_as_its_three(stage: Stage) -> None:
    aside, ours = stage.start("/bin/sh", "-c", 'read line; echo "$line $PATH"; echo err >&2; exit 3')
    ours.sendall(b"said\n")
    assert heard(ours) == b"said /usr/sbin:/usr/bin:/sbin:/bin\nerr\n"
    stage.until_faulty(aside)
    assert aside.fault == "exit status 3"
    assert stage.inputs == stage.events == []


def test_it_runs_as_whom_the_settings_say(stage: Stage) -> None:
    if os.geteuid() != 0:
        pytest.skip("to become somebody else takes root")
    aside, ours = stage.start("/bin/sh", "-c", "id -u; id -G", uid=65534)
    assert heard(ours) == b"65534\n65534\n"
    stage.until_faulty(aside)


def test_what_cannot_be_executed_is_said(stage: Stage) -> None:
    aside, ours = stage.start("/nonexistent/program")
    assert heard(ours) == b""
    stage.until_faulty(aside)
    assert aside.fault == "execve failed: No such file or directory"
    assert stage.inputs == []


def test_it_is_killed_once_and_never_after_its_end(stage: Stage) -> None:
    aside, ours = stage.start("/bin/cat")
    ours.sendall(b"x")
    assert ours.recv(1) == b"x"
    stage.reap()
    assert aside.pid > 0
    aside.kill()
    assert heard(ours) == b""
    stage.until_faulty(aside)
    assert aside.fault == "killed by 9"
    aside.kill()
    assert len(stage.ends) == 1


def test_without_a_spawner_nothing_is_started(stage: Stage) -> None:
    aside, ours = stage.start("/bin/cat")
    ours.sendall(b"x")
    assert ours.recv(1) == b"x"
    stage.reap()
    spawner, stage.launcher._spawner = stage.launcher._spawner, None
    with pytest.raises(EdgeError, match="there is no spawner"):
        stage.start("/bin/cat")
    stage.launcher._spawner = spawner
    ours.close()
    stage.until_faulty(aside)


def test_the_engine_hears_nothing_of_programs_when_the_spawner_dies(stage: Stage) -> None:
    _, ours = stage.start("/bin/cat")
    spawner = stage.launcher._spawner
    assert spawner is not None
    os.kill(spawner.pid, 9)

    def replaced() -> bool:
        stage.reap()
        return any(isinstance(event, ProcessMended) for event in stage.events)

    wait_for(replaced, "a new spawner")
    assert stage.inputs == [LaunchersGone(())]
    ours.close()
    again, ours = stage.start("/bin/sh", "-c", "echo there")
    assert heard(ours) == b"there\n"
    stage.until_faulty(again)
