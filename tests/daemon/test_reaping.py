"""When a guard collects its children: a little later than they end, but never too late for whoever comes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy.player import dgram, service
from rig.deadline import wait_for
from sentinetd.daemon.guard import Guard
from sentinetd.daemon.messages import Greeting
from sentinetd.model.address import Address
from sentinetd.model.service import Service
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.model.values import Protocol
from sentinetd.policy.inputs import Reloaded

HERE = "127.0.0.1"
AT = {"address": Address.parse(HERE), "server": "/bin/true"}


class House:
    """A guard without signals, whose one service is number 1."""

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

    def come(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        """A client, and the turns of the loop until a server is ordered for it, or it is refused."""
        listener = self.guard.doors.listener(1)
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

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.guard.doors.close_all()
        wait_for(self._idle, "the end of all servers")
        self.guard.launcher.close()
        wait_for(self._alone, "the end of the spawner")
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


@pytest.mark.parametrize("limit", ["instances", "per_source"])
def test_who_comes_after_the_end_is_not_refused_for_it(house: House, limit: str) -> None:
    house.open(service(**AT, **{limit: 1}))
    house.come()
    house.await_end()
    house.guard.mourn()
    house.come()
    assert house.served() == 2
    assert house.guard.engine.tally().refused == 0


def test_who_comes_is_served_before_the_dead_are_collected(house: House) -> None:
    house.open(service(**AT))
    house.come()
    house.await_end()
    house.guard.mourn()
    assert house.left() == 1
    orders: list[int] = []
    launch = house.guard.launcher.launch

    def noted(order: int, number: int, descriptor: int, remote_host: str, *, soon: bool = False) -> bool:
        orders.append(house.left())
        return launch(order, number, descriptor, remote_host, soon=soon)

    house.guard.launcher.launch = noted  # type: ignore[method-assign]
    house.come()
    assert orders == [2]  # itself, and the one that has ended
    assert house.left() <= 1  # that one is gone by now


def test_nobody_comes_and_they_are_collected_all_the_same(house: House) -> None:
    house.open(service(**AT))
    house.come()
    house.await_end()
    house.guard.mourn()

    def collected() -> bool:
        house.guard.turn(0.05)
        return house.left() == 0

    wait_for(collected, "the server to be collected")


def test_a_server_that_has_a_listener_is_collected_at_once(house: House) -> None:
    """Or the next datagram would wait."""
    house.open(dgram(**AT, protocol=Protocol("udp", 17)))
    house.come(socket.SOCK_DGRAM)
    house.await_end()
    assert not house.guard.doors.watched(1)
    house.guard.mourn()
    assert house.guard.doors.watched(1)
