"""Many servers at once, and servers whose user means harm: nothing leaks and nobody waits."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentinetd.spawn.protocol import Launched
from sentinetd.spawn.recipe import Recipe
from spawn.exec_gate import ExecGate
from spawn.guard import TRUE, Guard, descriptors

AT_ONCE = 32


def children() -> dict[int, str]:
    """Our children, each with the state that proc(5) gives: Z is a zombie."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getpid():
            found[int(name)] = state
    return found


@pytest.mark.timeout(300)
def test_ten_thousand_launches(guard: Guard) -> None:
    """No descriptor and no process is left, here or in the spawner."""
    guard.spawner.teach(1, TRUE)
    guard.launch(0).close()
    guard.exit(0)  # the spawner has begun, and has open what it goes on with
    guard.exits.clear()
    guard.replies.clear()
    before = (descriptors(), descriptors(guard.spawner.pid), set(children()))
    launched = 0
    while len(guard.exits) < 10_000:
        while launched < 10_000 and launched - len(guard.exits) < AT_ONCE:
            ours, theirs = os.pipe()
            guard.spawner.launch(launched, 1, theirs, "192.0.2.1")
            os.close(ours)
            os.close(theirs)
            launched += 1
        guard.step(0.01)  # an end wakes nobody here
    assert set(guard.exits.values()) == {0}
    assert [reply.order for reply in guard.replies] == list(range(10_000))
    guard.until(lambda: descriptors(guard.spawner.pid) == before[1], "the spawner's last descriptor closed")
    assert (descriptors(), set(children())) == (before[0], before[2])
    assert guard.spawner.close() == ()


@pytest.fixture
def stopper() -> Callable[[], tuple[int, subprocess.Popen[bytes]]]:
    """Starts a process that stops every other one of its user, over and over. The user is nobody else's."""

    def start() -> tuple[int, subprocess.Popen[bytes]]:
        user = 200_000_000 + os.getpid()
        command = ["/bin/sh", "-c", "while :; do kill -s STOP -- -1; done"]
        return user, subprocess.Popen(command, user=user, group=user, extra_groups=[], stderr=subprocess.DEVNULL)

    return start


@pytest.mark.usefixtures("root")
@pytest.mark.timeout(300)
def test_a_user_who_stops_everything(guard: Guard, stopper: Callable[[], tuple[int, subprocess.Popen[bytes]]]) -> None:
    """Its own servers stand still, between setuid and exec too; the orders behind them are carried out all the same."""
    user, attacker = stopper()
    with attacker:
        try:
            guard.spawner.teach(1, Recipe("/bin/true", ("true",), uid=user, gid=user, groups=(user,), umask=0o22))
            guard.spawner.teach(2, TRUE)
            for order in range(3000):
                guard.heard(order - AT_ONCE)
                guard.launch(order, 2 if order % 100 == 99 else 1).close()
            guard.heard(3000)
            assert all(guard.exit(order) == 0 for order in range(99, 3000, 100))
            assert "T" in children().values(), "nobody was stopped: the attack was none"
        finally:
            attacker.kill()
    for pid in guard.running - {guard.spawner.pid}:
        os.kill(pid, signal.SIGCONT)
    guard.until(lambda: len(guard.exits) == 3000, "the end of all servers")
    assert set(guard.exits.values()) == {0}
    assert all(isinstance(reply, Launched) for reply in guard.replies)


@pytest.fixture
def copies() -> Iterator[Path]:
    """Where a server of any user finds its program."""
    with tempfile.TemporaryDirectory(prefix="sentinetd-spawn-") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


@pytest.mark.usefixtures("root")
def test_what_waits_at_exec_is_as_it_was_ordered(guard: Guard, copies: Path) -> None:
    """Servers on their way to exec keep their own REMOTE_HOST and the recipe of their order, whatever was ordered,
    taught and forgotten since; they are more than the C spawner has places for, and nobody waits for them."""
    shell = Path(shutil.copy("/bin/sh", copies / "sh"))
    expected: dict[int, tuple[socket.socket, bytes]] = {}
    with ExecGate(shell) as gate:
        for order in range(100):
            if order % 5 == 0:
                say = f"echo {order} $V $REMOTE_HOST"
                words = ("sh", "-c", say)
                guard.spawner.teach(1, Recipe(str(shell), words, (f"V={'v' * order}",), uid=1, gid=1, groups=()))
            heard = f"{order - order % 5} {'v' * (order - order % 5)} host-{order}\n"
            expected[order] = guard.launch(order, 1, f"host-{order}"), heard.encode().replace(b"  ", b" ")
        guard.heard(100)
        guard.until(lambda: gate.held() == 100, "everybody at exec")
        guard.spawner.forget(1)
        guard.spawner.teach(2, TRUE)
        for order in range(100, 110):
            guard.launch(order, 2).close()
            assert guard.exit(order) == 0
        gate.open()
        guard.until(lambda: len(guard.exits) == 110, "the end of all servers")
    assert {order: connection.recv(200) for order, (connection, _) in expected.items()} == {
        order: text for order, (_, text) in expected.items()
    }


@pytest.mark.usefixtures("root")
def test_a_killed_server_frees_its_place(guard: Guard, copies: Path) -> None:
    """Those that are killed on their way to exec leave nothing behind: again and again as many can be made."""
    program = Path(shutil.copy("/bin/true", copies / "true"))
    guard.spawner.teach(1, Recipe(str(program), ("true",), uid=1, gid=1, groups=()))
    with ExecGate(program) as gate:
        for number in range(3):
            for order in range(80 * number, 80 * number + 80):
                guard.launch(order).close()
            guard.heard(80 * (number + 1))
            guard.until(lambda: gate.held() >= 80, "everybody at exec")
            gate.open() if number == 2 else guard.end_servers()
            gate.forget()
    guard.until(lambda: len(guard.exits) == 240, "the end of all servers")
    assert sorted(set(guard.exits.values())) == [-signal.SIGKILL, 0]
