"""Reloads while clients come and go: whoever is not concerned notices nothing, and nothing is lost from the logs."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from rig.client import Dialogue, Post, converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, dgram, sensor, service
from rig.network import Lab

Maker = Callable[..., Daemon]

FIVE, A, B = "192.168.1.5", "192.168.1.20", "192.168.1.21"
RELOADS = 20
HI = "hi\n"


class Load:
    """Clients in a closed loop: each connects, reads to the end, and begins again. *seen* counts what came."""

    def __init__(self, lab: Lab, clients: int = 4) -> None:
        self._lab = lab
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.seen: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lab.clients[20].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
                client.settimeout(10)
                try:
                    client.connect((SIX, 7001))
                    data = b""
                    while part := client.recv(4096):
                        data += part
                    came = data.decode()
                except OSError as error:
                    came = repr(error)
            with self._lock:
                self.seen[came] += 1

    def more(self, daemon: Daemon, connections: int = 10) -> None:
        """Wait until so many connections more have ended."""
        goal = self.seen.total() + connections
        wait_for(lambda: self.seen.total() >= goal, lambda: f"{connections} more: {self.seen} {daemon.story()}")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Maker:
    """Makes a sentinetd; the probe's path is filled in by `text`."""
    return lambda config: make_daemon(Kind.SENTINETD, config.replace("@PROBE@", str(probe)))


def busy(*lines: str) -> str:
    """The service that the load meets."""
    return service("busy", 7001, "server_args = do=word=hi", "cps = 0 10", "instances = UNLIMITED", *lines)


STEADY = service("steady", 7002, "server_args = do=cat")
DECOY = sensor("decoy", 7009)


def filled(daemon: Daemon, probe: Path, text: str) -> str:
    """*text* as a configuration of *daemon*."""
    return text.replace("@PROBE@", str(probe)).replace("@WORK@", str(daemon.work.path))


def pids(lines: list[str], kind: str) -> list[str]:
    """Process ids of the START or EXIT lines of the busy service, sorted."""
    return sorted(match[1] for line in lines if (match := re.search(rf"{kind}: busy .*pid=(\d+)", line)))


def descriptors(daemon: Daemon) -> int:
    """How many descriptors the guard has open."""
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def change_others(number: int) -> str:
    """What is around the busy service at reload *number*: services come, go and change, another log is written."""
    parts = [service(f"guest{one}", 7100 + one) for one in range(number % 4)]
    parts.append(service("other", 7003, f"nice = {number % 5}", f"log_type = FILE @WORK@/other{number % 3}.log"))
    if number % 5 == 4:
        parts.append(dgram("post", 7004))
    if number % 2:
        parts.append(sensor("second", 7010))
    return "".join(parts)


def change_busy(number: int) -> str:
    """The busy service itself, with what its clients do not notice."""
    return busy(f"nice = {number % 3}", f"env = RELOAD={number}", f"only_from = 192.168.1.0/24 10.0.{number}.0/24")


def test_nobody_is_refused_while_others_change(lab: Lab, make: Maker, probe: Path) -> None:
    _load_and_reload(lab, make, probe, lambda number: busy() + change_others(number))


def test_nobody_is_refused_while_it_is_adjusted(lab: Lab, make: Maker, probe: Path) -> None:
    _load_and_reload(lab, make, probe, lambda number: change_busy(number) + change_others(number))


def _load_and_reload(lab: Lab, make: Maker, probe: Path, at: Callable[[int], str]) -> None:
    """Load on the busy service from the first reload to the last: each connection served, each told, servers and bans
    stay, and the last configuration costs what it cost at first."""
    adjusted = service("adjusted", 7005, "server_args = do=cat", "nice = @NICE@")

    def config(number: int) -> str:
        return at(number) + STEADY + DECOY + adjusted.replace("@NICE@", str(number % 4))

    daemon = make(config(0))
    daemon.start()
    assert converse(lab, FIVE, 7009, B) == "closed"
    daemon.await_message(f"Adding {B} ")
    descriptors_before = descriptors(daemon)
    held = [Dialogue(lab, SIX, port, A) for port in (7002, 7005)]
    for dialogue in held:
        dialogue.send(b"before")
        assert dialogue.receive(6) == b"before"
    with Load(lab) as load:
        for number in [*range(1, RELOADS), 0]:
            load.more(daemon)
            daemon.reload(filled(daemon, probe, config(number)))
        load.more(daemon)
    assert set(load.seen) == {HI}, (load.seen, daemon.story())
    for dialogue in held:
        dialogue.send(b"after")
        assert dialogue.receive(5) == b"after", daemon.story()
        dialogue.finish()
        assert dialogue.rest() == b""
        dialogue.close()
    assert converse(lab, SIX, 7001, B) == "closed", "the ban stays"
    assert converse(lab, SIX, 7001, A) == HI
    wait_for(lambda: descriptors(daemon) <= descriptors_before, lambda: f"{descriptors(daemon)} descriptors")
    assert len(daemon.find("readjusting service adjusted")) == RELOADS
    assert not daemon.find("readjusting service steady")
    assert not daemon.find("service busy deactivated")
    assert daemon.stop() == 0
    lines = daemon.service_log()
    started = pids(lines, "START")
    assert len(started) == load.seen.total() + 1, daemon.story()
    assert pids(lines, "EXIT") == started


def test_rotation_loses_no_line(lab: Lab, make: Maker) -> None:
    """Both logs are renamed and a HUP follows, again and again, as logrotate(8) does it."""
    daemon = make(busy())
    daemon.start()
    work = daemon.work.path
    with Load(lab) as load:
        for number in range(1, RELOADS + 1):
            wait_for(daemon.service_log, lambda: f"lines in the new log: {daemon.story()}")
            load.more(daemon)
            (work / "service.log").rename(work / f"service.log.{number}")
            daemon.log.rename(work / f"daemon.log.{number}")
            daemon.send(signal.SIGHUP)
            wait_for(daemon.log.exists, daemon.story)
            wait_for((work / "service.log").exists, daemon.story)
        load.more(daemon)
    assert set(load.seen) == {HI}, (load.seen, daemon.story())
    assert daemon.stop() == 0
    names = ["service.log", *(f"service.log.{number}" for number in range(1, RELOADS + 1))]
    parts = [daemon.service_log(name) for name in names]
    lines = [line for part in parts for line in part]
    started = pids(lines, "START")
    assert len(started) == load.seen.total(), daemon.story()
    assert pids(lines, "EXIT") == started
    own = "".join(path.read_text() for path in work.glob("daemon.log*"))
    for text in ("Starting reconfiguration", "Reconfigured: new=0 old=1 dropped=0"):
        assert own.count(text) == RELOADS, own


def at(port: int, address: str = SIX) -> Callable[[Lab], str]:
    """A connection there."""
    return lambda lab: converse(lab, address, port, A)


def posted(lab: Lab) -> str:
    """A datagram to the busy service's port."""
    with Post(lab, A) as post:
        post.send(b"x", SIX, 7001)
        return post.receive().decode()


WORLD = "argv.0 probe\n"
"""How the probe's answer begins."""
DECOY_IN_PLACE = service(
    "p", 7001, "type = UNLISTED INTERNAL", "flags = SENSOR", "deny_time = NEVER", without=("server",)
)


@pytest.mark.parametrize(
    ("after", "meetings", "told"),
    [
        pytest.param(service("p", 7003), {at(7003): WORLD, at(7001): "refused"}, "", id="port"),
        pytest.param(
            service("p", 7001, "bind = 192.168.1.7"),
            {at(7001, "192.168.1.7"): WORLD, at(7001): "refused"},
            "",
            id="bind",
        ),
        pytest.param(
            service("p", 7001, "bind = 192.168.1.99"),
            {at(7001): "refused"},
            "bind failed (",
            id="bind, to an address of others",
        ),
        pytest.param(service("p", 7001, "wait = yes"), {at(7001): WORLD}, "", id="wait"),
        pytest.param(dgram("p", 7001), {posted: WORLD, at(7001): "refused"}, "", id="socket_type"),
        pytest.param(DECOY_IN_PLACE, {at(7001): "closed"}, "", id="type"),
    ],
)
def test_what_cannot_change_in_place(
    after: str, meetings: dict[Callable[[Lab], str], str], told: str, lab: Lab, make: Maker, probe: Path
) -> None:
    """The old service is closed and its servers end; a new one opens; both are told. Its neighbour goes on."""
    daemon = make(service("p", 7001, "server_args = do=cat") + STEADY)
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as old, Dialogue(lab, SIX, 7002, A) as neighbour:
        for dialogue in (old, neighbour):
            dialogue.send(b"one")
            assert dialogue.receive(3) == b"one"
        message = daemon.reload(filled(daemon, probe, after + STEADY))
        assert message.text == "Reconfigured: new=1 old=1 dropped=1 (services)"
        assert daemon.find("service p deactivated"), daemon.story()
        assert daemon.find(told) or not told, daemon.story()
        assert old.rest() == b""
        for meet, expected in meetings.items():
            assert meet(lab).startswith(expected), daemon.story()
        neighbour.send(b"two")
        assert neighbour.receive(3) == b"two"
    assert daemon.stop() == 0
    assert any("EXIT: p " in line for line in daemon.service_log())
