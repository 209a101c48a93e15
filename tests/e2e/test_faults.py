"""What goes wrong around the daemon: rights that are missing, descriptors, disks, places, helpers that hang."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.network import Lab, run

Maker = Callable[..., Daemon]

FIVE, A, B = "192.168.1.5", "192.168.1.20", "192.168.1.21"


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Maker:
    """Makes a sentinetd; the probe's path is filled in."""

    def make(config: str) -> Daemon:
        made: Daemon = make_daemon(Kind.SENTINETD, config.replace("@PROBE@", str(probe)))
        return made

    return make


def test_a_server_that_may_not_be_ended_is_left_behind_and_told_of(lab: Lab, make: Maker) -> None:
    daemon = make(service("held", 7001, "server_args = do=hold", "user = nobody"))
    daemon.before = ("setpriv", "--inh-caps=-kill", "--bounding-set=-kill")
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as client:
        assert client.receive(6) == b"ready\n"
        assert daemon.stop() == 0
        assert daemon.find("may not be sent signals")
        assert daemon.find("servers are left behind that do not end: held ")
        assert client.silent(), "the server lives on"


def test_a_log_that_nobody_reads_holds_up_neither_bans_nor_the_end(lab: Lab, make: Maker) -> None:
    """A FIFO whose reader hangs."""
    daemon = make(sensor("decoy", 7002) + service("real", 7001, "server_args = do=word=hi", "cps = 0 10"))
    daemon.start()
    daemon.log.unlink()
    os.mkfifo(daemon.log)
    reader = os.open(daemon.log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        daemon.send(signal.SIGHUP)
        wait_for(lambda: b"Reconfigured" in waiting(reader), "a line in the FIFO", 20.0)
        fill(daemon.log)
        assert converse(lab, FIVE, 7002, A) == "closed"
        assert daemon.stop() == 0
    finally:
        os.close(reader)
    daemon.log.unlink()
    daemon.start()
    assert converse(lab, SIX, 7001, A) == "closed", "its ban was kept"
    assert converse(lab, SIX, 7001, B) == "hi\n"


def waiting(reader: int) -> bytes:
    """What waits in a pipe."""
    try:
        return os.read(reader, 1 << 16)
    except BlockingIOError:
        return b""


def fill(fifo: Path) -> None:
    """Leave no room in *fifo*, not for one byte."""
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        for size in (1 << 16, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(writer, bytes(size))
    finally:
        os.close(writer)


def test_standard_output_is_a_log_by_its_name_also_after_a_reload(lab: Lab, make: Maker) -> None:
    daemon = make(service("real", 7001, "server_args = do=word=hi", "log_type = FILE /dev/stdout"))
    daemon.log.symlink_to("/dev/stdout")
    daemon.launch()
    wait_for(lambda: "Started working" in daemon.errors.read_text(), daemon.story, 20.0)
    daemon.send(signal.SIGHUP)
    wait_for(lambda: "Reconfigured" in daemon.errors.read_text(), daemon.story, 20.0)
    assert converse(lab, SIX, 7001, A) == "hi\n"
    wait_for(lambda: ": START: real " in daemon.errors.read_text(), daemon.story, 20.0)
    assert daemon.stop() == 0


def test_helpers_that_somebody_has_stopped_are_replaced(lab: Lab, make: Maker) -> None:
    daemon = make(
        sensor("decoy", 7002)
        + service("real", 7001, "server_args = do=word=hi", "cps = 0 10")
        + service("echo", 7003, "type = INTERNAL UNLISTED", without=("server",))
    )
    daemon.start()
    stopped = {name: helper(daemon, name) for name in ("spawner", "porter", "courier")}
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(gone(pid) for pid in stopped.values()), daemon.story, 30.0)
    wait_for(lambda: converse(lab, SIX, 7001, A) == "hi\n", daemon.story, 30.0)
    wait_for(lambda: converse(lab, SIX, 7003, A, b"hello") == "hello", daemon.story, 30.0)
    for name in stopped:
        daemon.await_message(f"process {name}: stopped for 5 seconds; it is killed", 30.0)
        daemon.await_message(f"process {name}: works again", 30.0)


def helper(daemon: Daemon, word: str) -> int:
    """The process id of the daemon's child whose command line holds *word*."""
    return wait_for(
        lambda: next((pid for pid in children_of(daemon.pid) if word in command_line(pid)), 0),
        lambda: f"a child called {word}: {[command_line(pid) for pid in children_of(daemon.pid)]}",
    )


def gone(pid: int) -> bool:
    """Whether there is no such process any more."""
    return not Path(f"/proc/{pid}").exists()


def test_a_state_directory_that_is_removed_is_there_again_after_a_reload(lab: Lab, make: Maker) -> None:
    daemon = make(sensor("decoy", 7002) + service("real", 7001, "server_args = do=word=hi", "cps = 0 10"))
    daemon.start()
    assert converse(lab, FIVE, 7002, A) == "closed"
    daemon.await_message(f"Adding {A} ")
    shutil.rmtree(daemon.work.path / "state")
    assert converse(lab, FIVE, 7002, B) == "closed"
    daemon.await_message("was removed, and cannot be put back", 20.0)
    daemon.reload()
    daemon.await_message("store: works again", 20.0)
    daemon.stop(signal.SIGQUIT)
    daemon.start()
    for source in (A, B):
        assert converse(lab, SIX, 7001, source) == "closed"
    assert converse(lab, SIX, 7001, "192.168.1.22") == "hi\n"


@pytest.fixture
def plug(lab: Lab) -> Iterator[Callable[[], None]]:
    """Plugs in an interface of the host with a link-local address, and takes away the one of before."""

    def pull() -> None:
        run("ip", "-n", lab.host.name, "link", "del", "plug", check=False)

    def plug() -> None:
        pull()
        lab.host.ip("link", "add", "plug", "type", "veth", "peer", "name", "socket")
        lab.host.ip("addr", "add", LINK, "dev", "plug", "nodad")
        for name in ("plug", "socket"):
            lab.host.ip("link", "set", name, "up")

    yield plug
    pull()


LINK = "fe80::5/64"


def test_an_interface_that_comes_back_is_bound_again(lab: Lab, make: Maker, plug: Callable[[], None]) -> None:
    """Under the same name it is another one: what was bound to its link-local address is deaf."""
    plug()
    daemon = make(service("real", 7001, "server_args = do=word=hi", "bind = fe80::5%plug"))
    daemon.start()
    assert heard(lab) == b"hi\n"
    for times in (1, 2):
        plug()
        wait_for(lambda times=times: len(daemon.find("service real: listening now")) == times, daemon.story, 20.0)  # type: ignore[misc]
        assert heard(lab) == b"hi\n"


def heard(lab: Lab) -> bytes:
    """What the host's own link-local address says to the host itself."""
    with lab.host.socket(socket.AF_INET6, socket.SOCK_STREAM) as client:
        client.settimeout(20.0)
        with lab.host.entered():
            client.connect(("fe80::5", 7001, 0, socket.if_nametoindex("plug")))
        return client.recv(100)


def test_a_ban_of_years_ends_nothing_else(lab: Lab, make: Maker) -> None:
    """Its end is farther away than the kernel waits for at once."""
    daemon = make(
        sensor("decoy", 7002, "deny_time = 999999999") + service("real", 7001, "server_args = do=word=hi", "cps = 0 10")
    )
    daemon.start()
    assert converse(lab, FIVE, 7002, A) == "closed"
    daemon.await_message(f"Adding {A} ")
    for _ in range(2):
        assert converse(lab, SIX, 7001, A) == "closed"
        assert converse(lab, SIX, 7001, B) == "hi\n"
        assert daemon.stop() == 0
        daemon.start()
