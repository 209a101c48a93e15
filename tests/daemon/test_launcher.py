"""Programs of the daemon's own that the spawner starts: nothing of them reaches the engine."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from rig.deadline import wait_for
from sentinetd.daemon import launcher
from sentinetd.daemon.launcher import Aside, Launcher
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.recipes import recipe_of_program
from sentinetd.errors import EdgeError
from sentinetd.model.events import Event, Notice, ProcessFailed, ProcessMended
from sentinetd.model.service import Service
from sentinetd.model.values import Credentials
from sentinetd.policy.inputs import Input, Launched, LaunchersGone, LaunchFailed, Recovered, SetupFailed
from sentinetd.spawn.spawner import Backend, Spawner, available


class Stage:
    """A launcher with a spawner of that kind, and what it told."""

    def __init__(self, backend: Backend) -> None:
        self.loop = Loop()
        self.inputs: list[Input] = []
        self.events: list[Event] = []
        self.returned: list[tuple[int, int]] = []
        self.launcher = Launcher(self.loop, 1024, backend, dict, self.inputs.extend, self.events.append, self.give_back)
        self.launcher.start()
        self.ends: list[int] = []

    def give_back(self, number: int, descriptor: int) -> None:
        self.returned.append((number, descriptor))

    def order(self, number: int, *command: str, soon: bool = False) -> socket.socket:
        """Have connection *number* served by *command*, by nothing if there is none; the client's end."""
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        with theirs:
            if command:
                path = command[0]
                self.launcher.teach(1, Service(name="s", id="s", server=path, server_args=command[1:]))
            assert self.launcher.launch(number, 1 if command else 2, theirs.fileno(), "192.0.2.1", soon=soon)
        return ours

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Go round the loop until *condition* holds."""

        def holds() -> bool:
            self.loop.turn(0.05)
            return bool(condition())

        wait_for(holds, what)

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
            self.launcher.hear()
            assert self.launcher.owns(pid)
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
    assert stage.inputs == [LaunchersGone(()), Recovered()]
    ours.close()
    again, ours = stage.start("/bin/sh", "-c", "echo there")
    assert heard(ours) == b"there\n"
    stage.until_faulty(again)


# Servers of connections.


def test_what_became_of_an_order_is_heard(stage: Stage) -> None:
    """While the server runs, and though nothing else happens."""
    with stage.order(1, "/bin/cat"):
        stage.until(lambda: stage.inputs, "the answer to the order")
        (launched,) = stage.inputs
        assert isinstance(launched, Launched)
    os.waitpid(launched.pid, 0)


def test_what_is_in_no_hurry_is_heard_when_it_is_asked_for(stage: Stage) -> None:
    stage.launcher.watch(False)
    with stage.order(1, "/bin/true"):
        assert os.waitid(os.P_ALL, 0, os.WEXITED) is not None  # so the spawner has answered, or will before long
        for _ in range(10):
            stage.loop.turn(0.01)
        assert stage.inputs == []
        wait_for(lambda: stage.launcher.hear(awaited=True) or stage.inputs, "the answer to the order")


def test_what_is_wanted_soon_does_not_wait(stage: Stage) -> None:
    """Nor is it kept waiting by orders that are in no hurry, before it or after."""
    stage.launcher.watch(False)
    with stage.order(1, "/bin/cat"), stage.order(2, "/bin/cat", soon=True):
        stage.launcher.watch(False)
        with stage.order(3, "/bin/cat"):
            stage.until(lambda: len(stage.inputs) == 3, "the answers")
    for one in stage.inputs:
        assert isinstance(one, Launched)
        os.waitpid(one.pid, 0)


def test_it_is_heard_with_the_end_of_the_server(stage: Stage) -> None:
    """Without a turn of the loop: no deadline, no readable socket."""
    before = stage.loop.now()
    with stage.order(1, "/bin/true"):
        ended = os.waitid(os.P_ALL, 0, os.WEXITED)
        assert ended is not None
        wait_for(lambda: stage.launcher.hear(awaited=True) or stage.inputs, "the answer to the order")
    (launched,) = stage.inputs
    assert isinstance(launched, Launched)
    assert (launched.number, launched.pid) == (1, ended.si_pid)
    assert launched.at is not None
    assert before <= launched.at <= stage.loop.now()


def test_what_kept_a_server_from_starting_is_heard_too(stage: Stage) -> None:
    with stage.order(1, "/nonexistent/program"):
        stage.until(lambda: len(stage.inputs) == 2, "the failure")
    launched, failed = sorted(stage.inputs, key=lambda one: isinstance(one, SetupFailed))
    assert isinstance(launched, Launched)
    assert failed == SetupFailed(1, "execve", "", errno.ENOENT, True)
    os.waitpid(launched.pid, 0)


def test_a_connection_comes_back_if_it_cannot_be_served(stage: Stage) -> None:
    with stage.order(1) as ours:
        stage.until(lambda: stage.inputs, "the failure")
        assert stage.inputs == [LaunchFailed(1, errno.ENOENT)]
        ((number, descriptor),) = stage.returned
        assert number == 1
        os.write(descriptor, b"again")
        os.close(descriptor)
        assert heard(ours) == b"again"


def test_the_spawners_end_is_noticed_when_all_is_answered(stage: Stage) -> None:
    """By its socket alone, which was not watched for a while."""
    stage.launcher.watch(False)
    with stage.order(1, "/bin/true"):
        stage.launcher.watch(True)
        stage.until(lambda: stage.inputs, "the answer to the order")
    spawner = stage.launcher._spawner
    assert spawner is not None
    os.kill(spawner.pid, signal.SIGKILL)
    stage.until(lambda: LaunchersGone(()) in stage.inputs, "the spawner's end")
    os.waitid(os.P_PID, spawner.pid, os.WEXITED)
    stage.until(lambda: any(isinstance(event, ProcessMended) for event in stage.events), "another spawner")
    launched = stage.inputs[0]
    assert isinstance(launched, Launched)
    os.waitpid(launched.pid, 0)


def test_a_spawner_that_cannot_be_had_for_a_while_is_told_of_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Backend | None] = []

    def spawner(backend: Backend | None) -> Spawner:
        tried.append(backend)
        if len(tried) < 4:
            raise EdgeError("spawner: Too many open files")
        return Spawner(backend)

    monkeypatch.setattr(launcher, "PAUSE", 0.01)
    monkeypatch.setattr(launcher, "Spawner", spawner)
    first = stage.launcher._spawner
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    os.waitid(os.P_PID, first.pid, os.WEXITED)
    stage.until(lambda: Recovered() in stage.inputs, "another spawner")
    assert len(tried) == 4
    failures = [event.what for event in stage.events if isinstance(event, ProcessFailed)]
    assert failures == ["it has ended", "spawner: Too many open files"]


def test_a_service_is_started_as_it_was_taught_last(stage: Stage) -> None:
    with stage.order(1, "/bin/echo", "one") as first:
        assert first.recv(9) == b"one\n"
    for words in (("two",), ("three",)):
        stage.launcher.teach(1, Service(name="s", id="s", server="/bin/echo", server_args=words))
    with stage.order(2, "/bin/echo", "four") as second:
        assert second.recv(9) == b"four\n"
    stage.until(lambda: len(stage.inputs) == 2, "two servers")
    assert all(isinstance(one, Launched) for one in stage.inputs)


def test_what_is_forgotten_is_not_started(stage: Stage) -> None:
    service = Service(name="s", id="s", server="/bin/echo", server_args=("one",))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stage.launcher.teach(7, service)
        stage.launcher.forget(7)  # before the spawner has heard of it
        stage.launcher.launch(1, 7, theirs.fileno(), "")
        stage.launcher.teach(7, service)
        stage.launcher.launch(2, 7, theirs.fileno(), "")
        stage.launcher.teach(7, service)  # changed since
        stage.launcher.forget(7)
        stage.launcher.launch(3, 7, theirs.fileno(), "")
        stage.until(lambda: len(stage.inputs) == 3, "three answers")
    kinds = {one.number: type(one) for one in stage.inputs if isinstance(one, (Launched, LaunchFailed))}
    assert [kinds[number] for number in (1, 2, 3)] == [LaunchFailed, Launched, LaunchFailed]
    for number, descriptor in stage.returned:
        assert number in (1, 3)
        os.close(descriptor)


def test_a_service_that_no_spawner_takes_is_told_of(stage: Stage) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stage.launcher.teach(1, Service(name="s", id="big", server="/bin/echo", server_args=("x" * (1 << 20),)))
        stage.launcher.launch(1, 1, theirs.fileno(), "")
        stage.until(lambda: stage.inputs, "an answer")
    assert isinstance(stage.inputs[0], LaunchFailed)
    (told,) = stage.events
    assert isinstance(told, Notice)
    assert "service big cannot be started" in told.text
    for _, descriptor in stage.returned:
        os.close(descriptor)
