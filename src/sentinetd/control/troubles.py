"""What is wrong at present, as far as events tell: whatever failed and has not been told as mended since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.noun import dataclass

MOST = 200
"""Troubles that are remembered at once; of more, the oldest are forgotten."""
PASSING = 3600.0
"""Seconds for which a trouble is shown that nobody tells the end of."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """*what* is in trouble since Unix time *since*, and how."""

    since: float
    what: str
    text: str


Failure = Callable[[Any], tuple[str, str]]

FAILED: Mapping[type[ev.Event], Failure] = {
    ev.ProcessFailed: lambda event: (f"process {event.process}", event.what),
    ev.FollowerFailed: lambda event: (event.follower, event.what),
    ev.ListenerFailed: lambda event: (f"service {event.service}", event.why),
    ev.ServicePaused: lambda event: (f"{event.name} paused", event.why),
    ev.ReloadRefused: lambda event: ("configuration", event.why),
    ev.EventsLost: lambda event: ("log", f"{event.count} events were lost"),
    ev.ResourceExhausted: lambda event: (event.what, "exhausted; new work is shed"),
}
"""How each event that begins a trouble is told: of what, and what is wrong."""
MENDED: Mapping[type[ev.Event], Callable[[Any], str]] = {
    ev.ProcessMended: lambda event: f"process {event.process}",
    ev.FollowerMended: lambda event: str(event.follower),
    ev.ListenerMended: lambda event: f"service {event.service}",
    ev.ServiceDropped: lambda event: f"service {event.service}",
    ev.ServiceResumed: lambda event: f"{event.name} paused",
    ev.ReloadDone: lambda event: "configuration",
}
"""The trouble that each event ends."""
OF_TROUBLES = FAILED.keys() | MENDED.keys()
ENDLESS = (ev.EventsLost, ev.ResourceExhausted)
"""Nothing tells when these are over."""


class Troubles:
    """Keeps the troubles that last."""

    def __init__(self) -> None:
        self._lasting: dict[str, Trouble] = {}
        self._passing: dict[str, Trouble] = {}

    def tell(self, *events: ev.Event) -> None:
        """Take note of *events*."""
        for event in events:
            if type(event) in OF_TROUBLES:
                self._note(event)

    def _note(self, event: ev.Event) -> None:
        failure, mended = FAILED.get(type(event)), MENDED.get(type(event))
        if failure is not None:
            what, text = failure(event)
            kept = self._passing if isinstance(event, ENDLESS) else self._lasting
            standing = kept.pop(what, None)
            since = event.at if standing is None or kept is self._passing else standing.since
            kept[what] = Trouble(since, what, text)
            if len(kept) > MOST:
                del kept[next(iter(kept))]
        elif mended is not None:
            self._lasting.pop(mended(event), None)

    def at(self, now: float) -> list[Trouble]:
        """What is wrong at Unix time *now*, the oldest first."""
        passing = [one for one in self._passing.values() if now - one.since < PASSING]
        return sorted([*self._lasting.values(), *passing], key=lambda one: (one.since, one.what))
