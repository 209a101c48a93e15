"""When a guard collects its children: some time after they end, many at once, and never too late for whoever comes.

SIGCHLD may go to another thread here, one of the test runner's, though ours lets it wait.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policy.player import dgram, service
from rig.deadline import wait_for
from sentinetd.daemon import reaping
from sentinetd.daemon.guard import Guard
from sentinetd.daemon.messages import Greeting
from sentinetd.model.address import Address
from sentinetd.model.service import Service
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.model.values import Protocol
from sentinetd.model.verdict import Question
from sentinetd.policy.inputs import Answered, Chosen, Reloaded

HERE = "127.0.0.1"
AT = {"address": Address.parse(HERE), "server": "/bin/true"}


class House:
    """A guard whose one service is number 1. It hears of no child's end but by itself, until it `listens`."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(bans=BanSettings(exempt_own=False))
        self.guard = Guard(
            self.settings, greeting=Greeting("sentinetd", os.getpid()), limit=None, log_procs=8, files=1024,
            backend=None, courier_arguments=[], porter_arguments=[], run=str(directory), config="",
        )  # fmt: skip
        self.guard.launcher.start()
        self.clients: list[socket.socket] = []

    def open(self, one: Service) -> None:
        self.guard.logs.follow(1, one)
        self.guard.launcher.teach(1, one)
        self.guard.doors.open(1, one)
        self.guard.handle(Reloaded(self.settings, start={1: one}))

    def come(self, kind: socket.SocketKind = socket.SOCK_STREAM, number: int = 1) -> None:
        """A client of service *number*, and the turns of the loop until it has been judged: a server is ordered."""
        listener = self.guard.doors.listener(number)
        assert listener is not None
        client = socket.socket(type=kind)
        self.clients.append(client)
        client.settimeout(20.0)
        client.connect((HERE, listener.port))
        client.send(b"?")
        judged = self._judged()

        def is_judged() -> bool:
            self.guard.turn(0.05)
            return self._judged() > judged

        wait_for(is_judged, "a verdict")

    def _judged(self) -> int:
        tally = self.guard.engine.tally()
        return tally.served + tally.refused

    def await_end(self) -> None:
        """Wait until the spawner has named the one server, and that has ended; it stays to be collected."""

        def named() -> bool:
            self.guard.launcher.hear()
            return len(self.guard.engine.servers()) == 1

        wait_for(named, "the server's name")
        (server,) = self.guard.engine.servers()
        assert os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT) is not None

    def served(self) -> int:
        return self.guard.engine.tally().served

    def left(self) -> int:
        """Servers of which the guard does not know that they have ended."""
        return len(self.guard.engine.servers()) + self.guard.engine.ordered()

    def listen(self) -> None:
        """Have the guard hear of ends."""
        self.guard.loop.on_signals({signal.SIGCHLD: self.guard.reaper.reap})

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Go round the loop until *condition* holds."""

        def holds() -> bool:
            self.guard.turn(0.05)
            return bool(condition())

        wait_for(holds, what)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.guard.doors.close_all()
        wait_for(self._idle, "the end of all servers")
        self.guard.launcher.close()
        wait_for(self._alone, "the end of the spawner")
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        self.guard.loop.close()

    def _idle(self) -> bool:
        self.guard.turn(0.05)
        self.guard.reaper.reap()
        return self.left() == 0

    def _alone(self) -> bool:
        self.guard.reaper.reap()
        return self.guard.launcher.gone


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def held() -> bool:
    """Whether the end of a child would not wake us."""
    return signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture
def no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next round is far away."""
    monkeypatch.setattr(reaping, "ROUND", 3600.0)


@pytest.mark.parametrize("limit", ["instances", "per_source"])
@pytest.mark.usefixtures("no_rounds")
def test_who_comes_after_the_end_is_not_refused_for_it(house: House, limit: str) -> None:
    house.open(service(**AT, **{limit: 1}))
    house.come()
    house.await_end()
    house.come()
    assert house.served() == 2
    assert house.guard.engine.tally().refused == 0


@pytest.mark.usefixtures("no_rounds")
def test_who_comes_is_served_before_the_dead_are_collected(house: House) -> None:
    house.open(service(**AT))
    house.come()
    house.await_end()
    house.come()
    assert house.left() == 2


@pytest.mark.usefixtures("no_rounds")
@pytest.mark.parametrize("given", [Chosen(99, "other"), Answered(99, Question.PROXY, None)], ids=["TCPMUX", "PROXY"])
def test_nor_is_one_who_is_judged_by_what_the_porter_says(house: House, given: Chosen | Answered) -> None:
    house.open(service(**AT))
    house.come()
    house.await_end()
    house.guard._told_by_porter(given)
    assert house.left() == 0


def test_nobody_comes_and_they_are_collected_all_the_same(house: House) -> None:
    house.open(service(**AT))
    house.listen()
    for _ in range(3):
        house.come()
    house.until(lambda: house.left() == 0, "the servers to be collected")
    house.until(lambda: not held(), "the guard to be at rest")


@pytest.mark.usefixtures("no_rounds")
def test_a_round_is_for_all_that_were_ordered_before_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.open(service(**AT))
    rounds: list[int] = []
    reap = house.guard.reaper.reap

    def noted() -> int:
        rounds.append(reap())
        return rounds[-1]

    monkeypatch.setattr(house.guard.reaper, "reap", noted)
    for _ in range(5):
        house.come()
    wait_for(lambda: house.guard.launcher.hear() or len(house.guard.engine.servers()) == 5, "names")
    for server in house.guard.engine.servers():
        assert os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT) is not None
    house.guard.turn(0)
    assert (rounds, house.left(), held()) == ([], 5, True)
    house.guard.reaper._go_round()
    assert (rounds, house.left(), held()) == ([5], 0, False)


@pytest.mark.usefixtures("no_rounds")
def test_who_was_in_a_hurry_is_not_heeded_for_ever(house: House) -> None:
    """The spawner's answers wake nobody again after the next round, though it is not the last one."""
    house.open(service(**{**AT, "server": "/bin/cat"}))
    house.come()
    house.guard.launcher.watch(True)
    house.guard.reaper._go_round()
    assert (house.guard.launcher._watched, held()) == (False, True)
    house.guard.reaper._go_round()
    assert (house.guard.launcher._watched, held()) == (True, False)


def test_a_server_that_lasts_is_collected_when_it_ends(house: House) -> None:
    """The guard is at rest long before, and the end wakes it."""
    house.open(service(**{**AT, "server": "/bin/cat"}))
    house.listen()
    house.come()
    house.until(lambda: house.guard.engine.servers() and not held(), "the guard to be at rest")
    house.clients[0].shutdown(socket.SHUT_WR)
    assert house.clients[0].recv(9) == b"?"
    house.until(lambda: house.left() == 0, "the server to be collected")


@pytest.mark.usefixtures("no_rounds")
def test_a_server_that_has_a_listener_is_collected_at_once(house: House) -> None:
    """Or the next datagram would wait."""
    house.open(dgram(**AT, protocol=Protocol("udp", 17)))
    house.listen()
    house.come(socket.SOCK_DGRAM)
    assert not house.guard.doors.watched(1)
    house.until(lambda: house.guard.doors.watched(1), "the end of the server")


@pytest.mark.usefixtures("no_rounds")
def test_so_it_is_amid_others(house: House) -> None:
    """Ends do not wait for the next round from the moment in which one has a listener."""
    house.open(service(**AT))
    house.listen()
    house.come()
    assert held()
    house.guard.launcher.teach(2, lent := dgram(**AT, protocol=Protocol("udp", 17)))
    house.guard.doors.open(2, lent)
    house.guard.handle(Reloaded(house.settings, start={2: lent}))
    house.come(socket.SOCK_DGRAM, 2)
    assert not held()
    house.until(lambda: house.guard.doors.watched(2), "the end of the server")
    house.come()
    assert held()
