"""The engine of the daemon, played with what a log says: who would have been banned, when, for how long, and who would
have been refused though he was served. No clock, no socket; the log's own time is the engine's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from sentinetd.cli.plan.ground import Port
from sentinetd.cli.plan.table import catches, listens, reaches, takes
from sentinetd.cli.simulate.record import Record
from sentinetd.model.address import NOBODY, Address
from sentinetd.model.connection import Connection
from sentinetd.model.events import BanEvicted, SensorTripped
from sentinetd.model.noun import dataclass, field, replace
from sentinetd.model.service import Cps, Flag, Service, Type
from sentinetd.model.settings import Settings
from sentinetd.policy.effects import Effect, Impose, Reply, Report
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import Arrived, Moment, Moved, Reloaded, Surroundings, Tick

MOST_BANS = 500_000
"""Bans that are kept at once, whatever the settings allow: this is a tool beside the daemon, on the same machine."""
MOST_SOURCES = 200_000
"""Sources that touched a sensor of whom it is told one by one, and others of whom it is known that they were served."""
MOST_SPANS = 16
"""Different lengths of bans in a log that does not say whose they are."""
ELSEWHERE = 0
"""Number of the service that stands for all others."""


@dataclass(slots=True)
class Story:
    """What would have become of a source that touched a sensor, *sensor* first.

    Times are Unix time; *until* is infinite for ever. *served*: connections that were served while it was not banned;
    *lost*: that were served, and would have been refused, at *lost_at* first; *refused*: all of those.
    """

    source: Address
    first: float
    sensor: str
    touches: int = 0
    bans: int = 0
    until: float = 0.0
    spared: str = ""
    served: int = 0
    lost: int = 0
    lost_at: str = ""
    refused: int = 0

    @property
    def banned(self) -> bool:
        return self.bans > 0

    @property
    def looks_honest(self) -> bool:
        """Whether it touched a sensor and was served, too, or is exempt: to be looked at before the sensor opens."""
        return self.served > 0 or self.spared == "exempt"


@dataclass(slots=True)
class Outcome:
    """Everything that is told in the end. *stories* in the order of first touches; *untold*: records of sources beyond
    `MOST_SOURCES`, and of banned neighbours of those that are told; they were played."""

    stories: dict[Address, Story] = field(default_factory=dict)
    began: float = math.inf
    ended: float = -math.inf
    records: int = 0
    untold: int = 0
    evicted: int = 0
    elsewhere: int = 0
    by_sensor: dict[str, int] = field(default_factory=dict)

    @property
    def banned(self) -> list[Story]:
        """In the order of their first touch."""
        return [one for one in self.stories.values() if one.banned]

    @property
    def honest(self) -> list[Story]:
        """Those who look honest and would have been hit, or would be but for an exemption; the most served first."""
        found = (one for one in self.stories.values() if one.looks_honest)
        return sorted(found, key=lambda one: (-(one.served + one.lost), one.first))

    @property
    def touched(self) -> list[Story]:
        """Who else touched a sensor, and was not banned for it."""
        return [one for one in self.stories.values() if not one.banned and not one.looks_honest]


class Replay:
    """An engine with the sensors of *services*, and stand-ins for all others, at which nothing but bans is judged.

    *called* gives the port that a name of a log means, None if nobody knows.
    """

    def __init__(
        self,
        services: Sequence[Service],
        settings: Settings,
        surroundings: Surroundings,
        called: Callable[[str], Port | None],
    ) -> None:
        bans = replace(settings.bans, maximum=min(settings.bans.maximum, MOST_BANS))
        self._settings = replace(settings, bans=bans)
        self._engine = Engine(self._settings)
        self._services = dict(enumerate(services, ELSEWHERE + 1))
        self._by_id = {one.id.lower(): number for number, one in self._services.items()}
        self._called = called
        self._unnamed: dict[int, int] = {}
        self._now = -math.inf
        self._count = 0
        self._known: dict[str, int] = {}
        self._served: dict[Address, int] = {}
        self._sensors = {number: one for number, one in self._services.items() if one.sensor}
        self.outcome = Outcome()
        started = {number: _played(one) for number, one in self._services.items()}
        started[ELSEWHERE] = _stand_in("elsewhere")
        moment = Moment(0.0, 0.0)
        self._engine.handle(Reloaded(self._settings, start=started), moment)
        self._engine.handle(Moved(surroundings), moment)

    def play(self, records: Iterable[Record]) -> Outcome:
        """Play all of *records*; a time that runs backwards (logs put together) stands still instead."""
        for record in records:
            self._play(record)
        return self.outcome

    def _play(self, record: Record) -> None:
        outcome = self.outcome
        outcome.records += 1
        outcome.began = min(outcome.began, record.at)
        outcome.ended = max(outcome.ended, record.at)
        self._now = max(self._now, record.at)
        now = Moment(self._now, self._now)
        due = self._engine.deadline()
        if due is not None and due <= self._now:
            self._engine.handle(Tick(), now)
        number = self._number(record)
        if number == ELSEWHERE:
            outcome.elsewhere += 1
        self._count += 1
        again = self._engine.bans.ledger.holds(record.source, self._now)
        effects = self._engine.handle(Arrived(Connection(self._count, number, record.source)), now)
        if number in self._sensors:
            self._touched(record, self._sensors[number], effects, again)
        else:
            self._came(record, any(type(one) is Reply for one in effects))

    def _came(self, record: Record, admitted: bool) -> None:
        """Somebody came to what is no sensor."""
        story = self.outcome.stories.get(record.source)
        if story is None and admitted:
            if record.served and (record.source in self._served or len(self._served) < MOST_SOURCES):
                self._served[record.source] = self._served.get(record.source, 0) + 1
        elif story is None:
            self.outcome.untold += 1
        elif admitted:
            story.served += record.served
        else:
            story.refused += 1
            if record.served:
                story.lost += 1
                story.lost_at = story.lost_at or record.name

    def _touched(self, record: Record, sensor: Service, effects: Sequence[Effect], again: bool) -> None:
        """A sensor was touched. *again*: the source was banned already."""
        outcome = self.outcome
        outcome.by_sensor[sensor.id] = outcome.by_sensor.get(sensor.id, 0) + 1
        events = [one.event for one in effects if isinstance(one, Report)]
        outcome.evicted += sum(1 for one in events if isinstance(one, BanEvicted))
        story = outcome.stories.get(record.source)
        if story is None:
            if len(outcome.stories) >= MOST_SOURCES:
                outcome.untold += 1
                return
            story = Story(record.source, self._now, sensor.id, served=self._served.pop(record.source, 0))
            outcome.stories[record.source] = story
        story.touches += 1
        spared = next((one.why_not for one in events if isinstance(one, SensorTripped) and one.why_not), "")
        if spared:
            story.spared = spared
        elif self._engine.bans.ledger.holds(record.source, self._now):
            story.bans += not again
            story.until = max([story.until, *(one.until for one in effects if isinstance(one, Impose))])

    def _number(self, record: Record) -> int:
        """The service that *record* is about."""
        if record.minutes is not None:
            return self._of_length(record.minutes)
        if record.port is not None:
            return self._at(record.port, record.address)
        if record.name.lower() in self._by_id:
            return self._by_id[record.name.lower()]
        if record.name not in self._known:
            if len(self._known) >= MOST_SOURCES:
                return ELSEWHERE
            port = self._called(record.name)
            self._known[record.name] = ELSEWHERE if port is None else self._at(port, None)
        return self._known[record.name]

    def _at(self, port: Port, address: Address | None) -> int:
        """The service at *port* of *address*. Where that is not known, it is the one that serves there, if one does,
        else any sensor; the sensor of all other ports comes last."""
        ours = [(number, one) for number, one in self._services.items() if listens(one)]
        if address is None:
            ours.sort(key=lambda row: row[1].sensor)
        for number, one in ours:
            if takes(one, port) and (address is None or reaches(one, address)):
                return number
        return next((number for number, one in ours if catches(one, port, address)), ELSEWHERE)

    def _of_length(self, minutes: int) -> int:
        """A sensor that stands for those of which a log tells no more than how long they banned."""
        if minutes not in self._unnamed:
            if len(self._unnamed) >= MOST_SPANS:
                return ELSEWHERE
            number = self._unnamed[minutes] = -len(self._unnamed) - 1
            span = math.inf if minutes < 0 else minutes * 60.0
            sensor = Service(name="sensor", id="(not named)", flags=frozenset({Flag.SENSOR}), deny_time=span)
            self._sensors[number] = sensor
            self._engine.handle(Reloaded(self._settings, start={number: sensor}), Moment(self._now, self._now))
        return self._unnamed[minutes]


def _played(service: Service) -> Service:
    """*service* as it is played: a sensor that hangs up at once, or a stand-in. The log names whom a proxy announced,
    so nobody is asked."""
    if not service.sensor:
        return _stand_in(service.id)
    return replace(
        service, decoy=None, capture=None, tarpit=0.0, banner="", banner_fail="", log_on_failure=frozenset(),
        proxy_protocol=NOBODY,
    )


def _stand_in(name: str) -> Service:
    """A service that answers at once, and admits whoever is not banned: its own lists and limits were judged when the
    log was written."""
    return Service(name="daytime", id=name, type=frozenset({Type.INTERNAL}), cps=Cps(0, 0))
