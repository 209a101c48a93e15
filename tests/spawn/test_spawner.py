"""The guard's side: choice of backend, order of replies, waiting for room, and a spawner that ends."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.shortage import no_descriptor
from sentinetd.errors import EdgeError, MessageError
from sentinetd.spawn import protocol, spawner
from sentinetd.spawn.protocol import Launched
from sentinetd.spawn.recipe import Recipe
from sentinetd.spawn.spawner import PROGRAM, Backend, Spawner, SpawnerBusy, SpawnerGone, available, start
from spawn.conftest import NOT_BUILT
from spawn.guard import ECHO, TRUE, WITHIN, Guard, descriptors


def order(guard: Guard, number: int) -> None:
    """A launch whose client does not matter."""
    guard.launch(number).close()


def test_order_of_replies(guard: Guard) -> None:
    """Processes are named in the order of the orders, and are ours."""
    guard.spawner.teach(1, TRUE)
    orders = [2**64 - 1, 5, 0, 2**63, 4]
    for number in orders:
        order(guard, number)
    guard.heard(5)
    assert [reply.order for reply in guard.replies] == orders
    assert [guard.exit(number) for number in orders] == [0] * 5


def test_nothing_heard_is_nothing(guard: Guard) -> None:
    assert guard.spawner.receive() == []


def test_name(guard: Guard) -> None:
    guard.spawner.teach(1, TRUE)
    order(guard, 1)
    guard.exit(1)
    with open(f"/proc/{guard.spawner.pid}/comm", encoding="ascii") as name:
        assert name.read() == "sentinetd-spawn\n"  # the kernel keeps 15 characters


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE]
)
def test_signals_to_everybody(guard: Guard, number: signal.Signals) -> None:
    """What a terminal or a service manager sends is the guard's to answer."""
    os.kill(guard.spawner.pid, number)
    guard.spawner.teach(1, TRUE)
    order(guard, 1)
    assert guard.exit(1) == 0
    assert os.getsid(guard.spawner.pid) == guard.spawner.pid


@pytest.mark.usefixtures("root")
def test_nobody_may_trace_it(backend: Backend) -> None:
    """It is not dumpable: its files in proc(5) are root's, whatever its group. A server is as any other process."""
    before = os.getresgid()
    os.setresgid(8, 8, 8)
    try:
        with Guard(backend) as guard:
            server = guard.serve(ECHO)
            guard.serve(Recipe("/bin/cat", ("cat",), uid=8, gid=8, groups=()), order=2)  # made in the spawner's memory
            assert os.stat(f"/proc/{guard.spawner.pid}/mem").st_gid == 0
            assert os.stat(f"/proc/{server.pid}/mem").st_gid == 8
    finally:
        os.setresgid(*before)


def test_end_of_the_guard(guard: Guard) -> None:
    """The socket's end ends the spawner, with nothing to complain of."""
    guard.spawner.teach(1, TRUE)
    order(guard, 1)
    guard.exit(1)
    guard.spawner.close()
    _, status = os.waitpid(guard.spawner.pid, 0)
    guard.running.discard(guard.spawner.pid)
    assert os.waitstatus_to_exitcode(status) == 0


def test_killed_before_an_order(guard: Guard) -> None:
    """What it had said is not lost; the order that was not taken stays with the caller."""
    guard.spawner.teach(1, TRUE)
    connection = guard.launch(1)
    assert connection.recv(1) == b""
    assert select.select([guard.spawner], [], [], WITHIN)[0]  # it has answered, and nobody read that yet
    guard.end_spawner()
    with pytest.raises(SpawnerGone) as gone:
        order(guard, 2)
    (reply,) = gone.value.replies
    assert isinstance(reply, Launched)
    assert reply.order == 1
    assert os.waitpid(reply.pid, 0)[1] == 0
    assert gone.value.unanswered == ()


def test_killed_with_orders(guard: Guard) -> None:
    """Orders of which nothing was heard are named, in their order."""
    guard.spawner.teach(1, TRUE)
    order(guard, 1)
    guard.exit(1)
    guard.stop_spawner()
    for number in (9, 3, 7):
        order(guard, number)
    guard.end_spawner()
    with pytest.raises(SpawnerGone) as gone:
        guard.until(lambda: False, "the end of the spawner")
    assert gone.value.unanswered == (9, 3, 7)
    assert gone.value.replies == ()
    for use in (lambda: order(guard, 4), guard.spawner.receive, lambda: guard.spawner.forget(1)):
        with pytest.raises(SpawnerGone):
            use()


def test_killed_and_reaped(guard: Guard) -> None:
    """Who learns of the end by the process, not by the socket, loses nothing either: what was said comes before the
    reset that an order left unread makes of the socket."""
    guard.spawner.teach(1, TRUE)
    connection = guard.launch(1)
    assert connection.recv(1) == b""
    assert select.select([guard.spawner], [], [], WITHIN)[0]
    guard.stop_spawner()
    order(guard, 2)
    guard.end_spawner()
    gone = guard.spawner.ended("killed by signal 9")
    (reply,) = gone.replies
    assert isinstance(reply, Launched)
    assert os.waitpid(reply.pid, 0)[1] == 0
    assert gone.unanswered == (2,)
    assert guard.spawner.ended("again").unanswered == ()


def test_a_successor(backend: Backend) -> None:
    """It knows what it is taught, and the servers of the one before live on and are still ours."""
    with Guard(backend) as first, Guard(backend) as second:
        server = first.serve(ECHO)
        first.end_spawner()
        second.spawner.teach(1, TRUE)
        order(second, 2)
        assert second.exit(2) == 0
        server.connection.sendall(b"!")
        assert server.connection.recv(1) == b"!"
        server.connection.close()
        assert os.waitpid(server.pid, 0) == (server.pid, 0)
        first.running.discard(server.pid)


def test_a_reply_that_is_none(guard: Guard) -> None:
    """A spawner that talks nonsense is not believed any longer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    guard.spawner._socket.close()
    guard.spawner._socket = ours
    with theirs:
        theirs.send(protocol.REPLY.pack(protocol.LAUNCHED, 0, 1, 77, 0, 0))
        theirs.send(b"nonsense")
        assert guard.spawner.receive() == [Launched(1, 77)]
        with pytest.raises(SpawnerGone):
            guard.spawner.receive()


def test_waiting_for_room(guard: Guard) -> None:
    """Orders wait with a copy of their descriptor, up to a bound; the caller may close its own at once."""
    guard.spawner.teach(1, ECHO)
    guard.stop_spawner()
    before = len(descriptors())
    clients: list[socket.socket] = []
    while not guard.spawner.wants_write:
        clients.append(guard.launch(len(clients)))
    sent = len(clients) - 1
    assert len(descriptors()) == before + len(clients) + 1
    for _ in range(3):
        clients.append(guard.launch(len(clients)))
    guard.spawner.teach(2, TRUE)  # keeps its turn
    os.kill(guard.spawner.pid, signal.SIGCONT)
    guard.heard(len(clients))
    assert not guard.spawner.wants_write
    assert len(descriptors()) == before + len(clients)
    for client in clients[sent:]:
        client.sendall(b"!")
        assert client.recv(1) == b"!"


@pytest.fixture
def short_queue(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(spawner, "MAX_QUEUED", 5)
    return 5


def test_too_many_wait(guard: Guard, short_queue: int) -> None:
    """Beyond the bound an order is not taken; a close lets go of what waits."""
    guard.spawner.teach(1, TRUE)
    guard.stop_spawner()
    before = len(descriptors())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        while not guard.spawner.wants_write:
            guard.spawner.launch(0, 1, theirs.fileno(), "")
        for number in range(1, short_queue):
            guard.spawner.launch(number, 1, theirs.fileno(), "")
        with pytest.raises(SpawnerBusy):
            guard.spawner.launch(short_queue, 1, theirs.fileno(), "")
        assert len(descriptors()) == before + 2 + short_queue
        assert guard.spawner.close() == tuple(range(short_queue))
        assert len(descriptors()) == before + 2 - 1


def test_no_descriptor_to_wait_with(guard: Guard) -> None:
    guard.spawner.teach(1, TRUE)
    guard.stop_spawner()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        while not guard.spawner.wants_write:
            guard.spawner.launch(1, 1, theirs.fileno(), "")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(SpawnerBusy):
                guard.spawner.launch(2, 1, theirs.fileno(), "")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert 2 not in guard.spawner.close()


def test_a_descriptor_that_is_none(guard: Guard) -> None:
    """A mistake of the caller is not taken for the spawner's death."""
    guard.spawner.teach(1, TRUE)
    with pytest.raises(OSError, match="Bad file descriptor"):
        guard.spawner.launch(1, 1, 9999, "")
    order(guard, 2)
    assert guard.exit(2) == 0


@pytest.mark.parametrize("host", [pytest.param("h" * 256, id="too long"), pytest.param("a\0b", id="a zero byte")])
def test_remote_host_out_of_bounds(guard: Guard, host: str) -> None:
    guard.spawner.teach(1, TRUE)
    with pytest.raises(MessageError):
        guard.launch(1, 1, host)
    guard.launch(2, 1, "h" * 255)
    assert guard.exit(2) == 0


def test_without_standard_error(backend: Backend) -> None:
    """A guard that closed its 0, 1 and 2 has a spawner whose servers get the connection there all the same."""
    kept = [os.dup(descriptor) for descriptor in (0, 1, 2)]
    try:
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        with Guard(backend) as guard:
            server = guard.serve(ECHO)
            found, own = descriptors(server.pid), descriptors(guard.spawner.pid)
    finally:
        for descriptor, copy in enumerate(kept):
            os.dup2(copy, descriptor)
            os.close(copy)
    assert set(found) == {0, 1, 2}
    assert {own[descriptor] for descriptor in (0, 1, 2)} == {"/dev/null"}


# What is started


def test_the_c_spawner_is_preferred() -> None:
    if not os.access(PROGRAM, os.X_OK):
        pytest.fail(NOT_BUILT)
    assert available() is Backend.C
    with Guard(None) as guard:
        assert guard.spawner.backend == "spawner (C)"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: None, id="not built"),
        pytest.param(lambda path: (path.write_bytes(b"\x7fELF of another machine"), path.chmod(0o755)), id="foreign"),
        pytest.param(lambda path: path.write_bytes(b""), id="not executable"),
    ],
)
def test_the_fallback_is_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    program = tmp_path / "sentinetd-spawner"
    make(program)
    monkeypatch.setattr(spawner, "PROGRAM", str(program))
    before = len(descriptors())
    with pytest.raises(EdgeError, match="build it"):
        Spawner(Backend.C)
    assert len(descriptors()) == before
    with Guard(None) as guard:
        assert guard.spawner.backend == "fallback (Python)"


def test_a_shortage_is_no_reason_for_the_fallback() -> None:
    """It would be slow for good."""
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip("the C spawner was not built")
    with no_descriptor(), pytest.raises(EdgeError, match="sentinetd-spawner: Too many open files"):
        Spawner()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["sentinetd-spawner"], id="by hand"),
        pytest.param(["sentinetd-spawner", "0"], id="another protocol"),
    ],
)
def test_a_stale_build_says_so(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    if not os.access(PROGRAM, os.X_OK):
        pytest.fail(NOT_BUILT)
    ours, pid = start(PROGRAM, arguments, {})
    with ours:
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert "build it anew" in capfd.readouterr().err
