"""Counts the steps of a guard in this very process, for one connection of each kind: listeners, engine, what is done of
what it wants, and what is told to a courier, which here only takes it off the channel. Beside it runs a spawner.

``python -m cost.indoors SERVICES``, with so many idle services beside, prints JSON: by kind of connection, instructions
of the interpreter, function calls, and CPU seconds (0 where a server is started). ``python -m cost.indoors SERVICES
trip`` prints the functions that a connection of this kind goes through, with the instructions in each, most first.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from cost.steps import Steps, least_time, steps
from policy.player import addresses, sensor
from policy.player import service as entry
from rig.daemon import children_of
from sentinetd.daemon.channel import PACKET, Channel
from sentinetd.daemon.guard import Guard
from sentinetd.daemon.messages import FROM_COURIER, Greeting
from sentinetd.daemon.newborn import channel_pair
from sentinetd.model.address import Address
from sentinetd.model.service import Service, Type
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.policy.inputs import Reloaded

HERE, PEACEFUL, OUTSIDER, BANNED = (f"127.0.0.{last}" for last in range(1, 5))
AT_ONCE = 64
"""Clients that wait together."""
TURNS = 12
"""Turns of the loop in which all of them are seen to."""
TIMES = 9
"""Looks at the time that they take."""
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
        self.functions: Counter[str] = Counter()
        """Instructions of each, since it was cleared."""
        self._guard = guard = Guard(
            settings, greeting=greeting, limit=None, log_procs=8, files=1024, backend=None, courier_arguments=[],
            porter_arguments=[], run=str(directory), config="",
        )  # fmt: skip
        ours, self._courier = channel_pair()
        self._courier.setblocking(False)
        guard.link.attach(Channel(ours, FROM_COURIER), greeting)
        guard.loop.on_signals({signal.SIGCHLD: guard.reaper.reap})
        guard.launcher.start()
        for number, service in services.items():
            guard.logs.follow(number, service)
            guard.launcher.teach(number, service)
            guard.doors.open(number, service)
        guard.handle(Reloaded(settings, start=dict(services)))

    def burst(self, number: int, sources: Iterator[str]) -> Steps:
        """The steps for one of `AT_ONCE` clients of service *number* that wait when the guard looks. What is told of
        them goes over in the same turns."""
        with self._waiting(number, sources):
            counted = steps(self._turns, self.functions)
        return counted.each(AT_ONCE)

    def time(self, number: int, sources: Iterator[str]) -> float:
        """CPU seconds for one of them, when nothing gets in the way: the least of `TIMES`."""
        least = float("inf")
        for _ in range(TIMES):
            with self._waiting(number, sources):
                least = min(least, least_time(self._turns, 1))
        return least / AT_ONCE

    def _turns(self) -> None:
        for _ in range(TURNS):
            self._guard.turn(0.0)

    @contextmanager
    def _waiting(self, number: int, sources: Iterator[str]) -> Iterator[None]:
        """Clients wait at service *number*, and have been hung up on when the block ends."""
        clients = [self._client(number, next(sources)) for _ in range(AT_ONCE)]
        yield
        for client in clients:
            client.settimeout(WITHIN)
            while client.recv(100):
                pass
            client.close()
        with suppress(BlockingIOError):
            while self._courier.recv(PACKET):
                pass

    def served(self) -> Steps:
        """The steps for one client whose server is started, begins and ends: it comes in one turn of the loop; that it
        was started and has ended is learnt in another. The least of some, for on a busy machine there are turns in
        between."""
        return min((self._served() for _ in range(5)), key=lambda one: one.instructions)

    def _served(self) -> Steps:
        self.functions.clear()
        engine = self._guard.engine
        client = self._client(SERVE, PEACEFUL)
        taken = Steps(0, 0)
        while not (engine.ordered() or engine.servers()):
            taken += self._turn()
        client.close()
        while engine.ordered() or engine.servers():
            taken += self._turn()
        return taken

    def _turn(self) -> Steps:
        return steps(lambda: self._guard.turn(WITHIN), self.functions)

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


def counted(indoors: Indoors, wanted: Sequence[str]) -> str:
    """The third time counts: everything is there then that is made once."""
    found: dict[str, tuple[float, float, float]] = {}
    bursts = {
        "refuse": (REFUSE, again(OUTSIDER)),
        "trip": (SENSOR, intruders()),
        "banned": (SERVE, again(BANNED)),
        "daytime": (DAYTIME, again(PEACEFUL)),
    }
    indoors.burst(SENSOR, again(BANNED))
    works: dict[str, Callable[[], Steps]] = {
        kind: partial(indoors.burst, number, sources) for kind, (number, sources) in bursts.items()
    }
    for kind, work in {**works, "serve": indoors.served}.items():
        for _ in range(3):
            indoors.functions.clear()
            one = work()
        if kind in wanted:
            times = AT_ONCE if kind in bursts else 1
            rows = [f"{count / times:7.1f}  {name}" for name, count in indoors.functions.most_common()]
            return "\n".join([f"{one.instructions:7.1f}  all", *rows])
        found[kind] = (one.instructions, one.calls, indoors.time(*bursts[kind]) if kind in bursts else 0.0)
    return json.dumps(found)


def main() -> None:
    """Count, print, and leave no process behind."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory:
        try:
            print(counted(Indoors(Path(directory), services(int(sys.argv[1]))), sys.argv[2:]))
        finally:
            for child in children_of(os.getpid()):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


if __name__ == "__main__":
    main()
