"""While the porter is behind, whoever comes for it waits in the kernel, not in the guard, and is served later."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind, children_of, command_line
from rig.entries import SIX, service
from rig.network import Lab

A = "192.168.1.20"
CROWD = 1_200
TURNS = 60
"""Of the guard's loop; each would accept 64 of the crowd."""
PATIENCE = 20.0
WALL = 0x40000000
"""__WALL of waitpid(2): children or not."""
INSIDE = ("type = INTERNAL UNLISTED", "instances = UNLIMITED", "cps = 0 1")
ECHO = service("echo", 7007, *INSIDE, without=("server",))
DAYTIME = service("daytime", 7013, *INSIDE, without=("server",))


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough of them for a crowd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * CROWD)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def crowd(lab: Lab, count: int) -> Iterator[list[socket.socket]]:
    """So many clients, each of which has said something."""
    with ExitStack() as held:
        clients = [held.enter_context(lab.clients[20].socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(count)]
        for client in clients:
            client.settimeout(PATIENCE)
            client.connect((SIX, 7007))
            client.sendall(b"x")
        yield clients


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Meanwhile the process *pid* does nothing, and its parent cannot see why: a debugger has it (ptrace(2))."""
    seize, interrupt, detach = 0x4206, 0x4207, 17
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    for request in (seize, interrupt):
        if ptrace(request, pid, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(pid, WALL)
    try:
        yield
    finally:
        ptrace(detach, pid, None, None)


def queued(daemon: Daemon) -> int:
    """Connections that wait to be accepted at port 7007 (/proc/PID/net/tcp, proc(5))."""
    rows = [line.split() for line in Path(f"/proc/{daemon.pid}/net/tcp").read_text().splitlines()[1:]]
    (waiting,) = (row[4].partition(":")[2] for row in rows if row[1].endswith(":1B5F") and row[3] == "0A")
    return int(waiting, 16)


def test_a_crowd_at_a_porter_that_stands_still(
    lab: Lab, make_daemon: Callable[..., Daemon], descriptors: None
) -> None:
    daemon = make_daemon(Kind.SENTINETD, ECHO + DAYTIME)
    daemon.start()
    with crowd(lab, 1) as (first,):
        assert first.recv(1) == b"x"
        porter = next(pid for pid in children_of(daemon.pid) if "porter" in command_line(pid))
        with ExitStack() as held:
            with standing_still(porter):
                clients = held.enter_context(crowd(lab, CROWD))
                for _ in range(TURNS):
                    assert len(converse(lab, SIX, 7013, A)) == 26, "others are served meanwhile"
                assert queued(daemon) > CROWD // 2
                daemon.send(signal.SIGABRT)
                daemon.await_message("Consistency check passed")
            assert {client.recv(1) for client in clients} == {b"x"}
        first.sendall(b"y")
        assert first.recv(1) == b"y"
