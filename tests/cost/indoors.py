"""Counts the steps of a guard in this very process, for one connection of each kind: listeners, engine, what is done of
what it wants, and what is told to a courier, which here only takes it off the channel. Beside it runs a spawner.

``python -m cost.indoors SERVICES``, with so many services of which all but a few are idle, prints JSON: by kind of
connection, instructions of the interpreter and function calls.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cost.steps import Steps, steps
from policy.player import addresses, sensor
from policy.player import service as entry
from rig.daemon import children_of
from sentinetd.daemon.channel import PACKET, Channel, channel_pair
from sentinetd.daemon.guard import Guard
from sentinetd.daemon.messages import FROM_COURIER, Greeting
from sentinetd.model.address import Address
from sentinetd.model.service import Service, Type
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.policy.inputs import Reloaded

HERE, OUTSIDER, PEACEFUL = "127.0.0.1", "127.0.0.3", "127.0.0.2"
AT_ONCE = 64
"""Clients that wait together."""
TURNS = 12
"""Turns of the loop in which all of them are seen to."""
WITHIN = 30.0  # seconds
SERVE, REFUSE, SENSOR, DAYTIME, IDLE = range(1, 6)
"""Numbers of the services; the idle ones go on from there."""


def services(idle: int) -> dict[int, Service]:
    """By number, each at a port that is free."""
    at = Address.parse(HERE)
    cat = {"address": at, "server": "/bin/cat"}
    known = {
        SERVE: entry("serve", **cat),
        REFUSE: entry("refuse", no_access=addresses(OUTSIDER), **cat),
        SENSOR: sensor(address=at, type=frozenset({Type.INTERNAL})),
        DAYTIME: entry("daytime", address=at, type=frozenset({Type.INTERNAL})),
    }
    return known | {IDLE + number: entry(f"idle-{number}", **cat) for number in range(idle)}


class Indoors:
    """A guard with *services*, whose sockets would be in *directory*."""

    def __init__(self, directory: Path, services: Mapping[int, Service]) -> None:
        settings = Settings(bans=BanSettings(exempt_own=False))
        greeting = Greeting("sentinetd", os.getpid())
        self._guard = guard = Guard(
            settings, greeting=greeting, limit=None, log_procs=8, files=1024, backend=None, courier_arguments=[],
            porter_arguments=[], run=str(directory), config="",
        )  # fmt: skip
        ours, self._courier = channel_pair()
        self._courier.setblocking(False)
        guard.link.attach(Channel(ours, FROM_COURIER), greeting)
        guard.loop.on_signals({signal.SIGCHLD: guard.reap})
        guard.launcher.start()
        for number, service in services.items():
            guard.logs.follow(number, service)
            guard.launcher.teach(number, service)
            guard.doors.open(number, service)
        guard.handle(Reloaded(settings, start=dict(services)))

    def burst(self, number: int, sources: Iterator[str]) -> Steps:
        """The steps for one of `AT_ONCE` clients of service *number* that wait when the guard looks. What is told of
        them goes over in the same turns."""
        clients = [self._client(number, next(sources)) for _ in range(AT_ONCE)]
        counted = steps(lambda: [self._guard.turn(0.0) for _ in range(TURNS)])
        for client in clients:
            client.settimeout(WITHIN)
            while client.recv(100):
                pass
            client.close()
        with suppress(BlockingIOError):
            while self._courier.recv(PACKET):
                pass
        return counted.each(AT_ONCE)

    def served(self) -> Steps:
        """The steps for one client whose server is started, begins and ends: it comes in one turn of the loop; that it
        was started and has ended is learnt in another."""
        client = self._client(SERVE, PEACEFUL)
        turns: list[Steps] = []
        engine = self._guard.engine
        while not (engine.ordered() or engine.servers()):  # on a busy machine there are turns in between
            turns.append(steps(lambda: self._guard.turn(WITHIN)))
        client.close()
        while engine.ordered() or engine.servers():
            turns.append(steps(lambda: self._guard.turn(WITHIN)))
        return Steps(sum(one.instructions for one in turns), sum(one.calls for one in turns))

    def _client(self, number: int, source: str) -> socket.socket:
        listener = self._guard.doors.listener(number)
        if listener is None:
            raise RuntimeError(f"service {number} is closed")
        client = socket.socket()
        client.bind((source, 0))
        client.connect((HERE, listener.port))
        return client


def again(source: str) -> Iterator[str]:
    while True:
        yield source


def intruders() -> Iterator[str]:
    """Sources, none of them twice."""
    return (f"127.{first}.{second}.{third}" for first in range(1, 9) for second in range(99) for third in range(1, 255))


def counted(indoors: Indoors) -> dict[str, tuple[float, float]]:
    """By kind of connection. The third time counts: everything is there then that is made once."""
    strangers = intruders()
    kinds: dict[str, Callable[[], Steps]] = {
        "refuse": lambda: indoors.burst(REFUSE, again(OUTSIDER)),
        "trip": lambda: indoors.burst(SENSOR, strangers),
        "banned": lambda: indoors.burst(SERVE, again("127.1.0.1")),
        "daytime": lambda: indoors.burst(DAYTIME, again(PEACEFUL)),
        "serve": lambda: min((indoors.served() for _ in range(5)), key=lambda one: one.instructions),
    }
    found = {kind: [work() for _ in range(3)][-1] for kind, work in kinds.items()}
    return {kind: (one.instructions, one.calls) for kind, one in found.items()}


def main() -> None:
    """Count, print, and leave no process behind."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            print(json.dumps(counted(Indoors(Path(directory), services(int(sys.argv[1]))))))
        finally:
            for child in children_of(os.getpid()):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


if __name__ == "__main__":
    main()
