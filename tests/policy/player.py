"""An engine played input by input, on a clock that the test sets. What the tests of this room share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.connection import Connection
from sentinetd.model.events import ROUTINE, ConnectionRefused, Event
from sentinetd.model.service import Cps, Flag, Service, SocketType
from sentinetd.model.settings import BanSettings, Settings
from sentinetd.model.trip_run import each_event
from sentinetd.model.verdict import Reason
from sentinetd.policy.effects import Effect, Report
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import Arrived, Ended, Heeded, Input, Launched, Moment, Reloaded, Tick
from sentinetd.policy.suspects import LOG_PROCS

START = 1_000_000.0
"""CLOCK_BOOTTIME when a play begins."""
WALL = 700_000_000.0
"""What Unix time is ahead of it."""
UNBOUNDED = Cps(0, 10)


def addresses(*words: str) -> AddressSet:
    """A list of networks; what is no network is a name."""
    numeric = [word for word in words if word[0].isdigit() or ":" in word]
    names = tuple(word for word in words if word not in numeric)
    return AddressSet(tuple(map(Network.parse, numeric)), names)


def service(name: str = "hello", **attributes: Any) -> Service:
    return Service(**{"name": name, "id": name, "cps": UNBOUNDED, **attributes})


def sensor(deny_time: float = 3600.0, **attributes: Any) -> Service:
    return service("trap", **{"flags": frozenset({Flag.SENSOR}), "deny_time": deny_time, **attributes})


def dgram(name: str = "tftp", **attributes: Any) -> Service:
    return service(name, **{"socket_type": SocketType.DGRAM, "wait": True, **attributes})


class Player:
    """Services have the numbers 1, 2 ... in the order given."""

    def __init__(self, *services: Service, limit: int | None = None, log_procs: int = LOG_PROCS, **bans: Any) -> None:
        self.settings = Settings(bans=BanSettings(**bans))
        self.engine = Engine(self.settings, limit, log_procs)
        self.now = START
        self.minute = 0
        self.load = 0.0
        self.tables = False
        self.connections = 0
        self.pids = 100
        self.give(Heeded(frozenset(ROUTINE)))
        self.give(Reloaded(self.settings, start=dict(enumerate(services, 1))))

    def moment(self) -> Moment:
        return Moment(self.now, self.now + WALL, self.minute, self.load, self.tables)

    def give(self, given: Input) -> list[Effect]:
        return self.engine.handle(given, self.moment())

    def later(self, seconds: float) -> list[Effect]:
        """Let time pass, and tick as often as the engine asks for it; what followed."""
        end = self.now + seconds
        effects = []
        while (due := self.engine.deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            effects += self.give(Tick())
        self.now = end
        return effects

    def connection(self, source: str | None, number: int = 1, port: int = 4711) -> Connection:
        self.connections += 1
        return Connection(self.connections, number, None if source is None else Address.parse(source), port)

    def arrive(self, source: str | None = "192.0.2.1", number: int = 1) -> list[Effect]:
        return self.give(Arrived(self.connection(source, number)))

    def launch(self, connection: int | None = None) -> list[Effect]:
        """The server of *connection*, the last one if not given, has begun, as process `self.pids`."""
        self.pids += 1
        return self.give(Launched(self.connections if connection is None else connection, self.pids))

    def serve(self, source: str | None = "192.0.2.1", number: int = 1) -> int:
        """A connection comes and is served; by which process."""
        self.arrive(source, number)
        self.launch()
        return self.pids

    def end(self, pid: int, status: int = 0) -> list[Effect]:
        return self.give(Ended(pid, status, 0))

    def reload(self, **changes: Any) -> list[Effect]:
        return self.give(Reloaded(self.settings, **changes))

    def adjust(self, number: int = 1, **attributes: Any) -> list[Effect]:
        return self.reload(adjust={number: replace(self.engine.services[number], **attributes)})


def kinds(effects: Sequence[Effect]) -> list[str]:
    """The names of what follows, reports by the names of their events."""
    parted = [list(each_event([one.event])) if isinstance(one, Report) else [one] for one in effects]
    return [type(one).__name__ for part in parted for one in part]


def events(effects: Sequence[Effect], kind: type[Event] = Event) -> list[Any]:
    """What is told of *kind*, a trip with its ban as the two events that it stands for."""
    told = each_event(one.event for one in effects if isinstance(one, Report))
    return [one for one in told if isinstance(one, kind)]


def reasons(effects: Sequence[Effect]) -> list[Reason]:
    """Why connections were refused, as far as that is told."""
    return [event.reason for event in events(effects, ConnectionRefused)]
