"""Clients of sensors that the porter goes on with after the trip was told: a decoy talks, what is said is kept.

They count for nothing and nothing waits for them. How many there are at once is bounded here, so that a flood of them
holds up neither the porter's other work nor the guard; who is too many is hung up on, as by any other sensor.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator

from sentinetd.model.connection import Connection
from sentinetd.model.events import Level, Notice, SensorCaptured
from sentinetd.model.noun import dataclass
from sentinetd.model.service import SourceRate
from sentinetd.policy.effects import Effect, HangUp, Report
from sentinetd.policy.inputs import Moment, Played
from sentinetd.policy.services import Running
from sentinetd.policy.tally import Paces

MOST = 256
"""Clients at once."""
MOST_OF_SOURCE = 16
"""The same, of one source."""
PACE = SourceRate(60, 60.0)
"""How often one source is played for by one sensor: each time is told, while other touches are told once a minute."""
TELL_AGAIN_AFTER = 60.0
"""Seconds for which it is not told again that there are too many."""


@dataclass(frozen=True, slots=True)
class _Play:
    """*whose* is what counts as the source."""

    running: Running
    connection: Connection
    whose: Hashable


class Plays:
    """All that are played now, by connection."""

    def __init__(self) -> None:
        self._playing: dict[int, _Play] = {}
        self._of_source: dict[Hashable, int] = {}
        self._paces = Paces(PACE)
        self._told = -math.inf

    def __len__(self) -> int:
        return len(self._playing)

    def begin(self, running: Running, connection: Connection, whose: Hashable, now: Moment) -> bool:
        """Whether *connection*, of the source *whose*, is to be played for; it is counted then, until `ended`."""
        if len(self._playing) >= MOST or self._of_source.get(whose, 0) >= MOST_OF_SOURCE:
            return False
        if not self._paces.takes((running.number, whose), now.now):
            return False
        self._playing[connection.number] = _Play(running, connection, whose)
        self._of_source[whose] = self._of_source.get(whose, 0) + 1
        return True

    def too_many(self, now: Moment) -> Iterator[Effect]:
        """Tell that clients are only hung up on, if that is so; once a minute."""
        if len(self._playing) >= MOST and now.now - self._told >= TELL_AGAIN_AFTER:
            self._told = now.now
            text = f"sensors hold {MOST} clients, and hang up on all others at once"
            yield Report(Notice(now.wall, Level.WARNING, text))

    def ended(self, given: Played, now: Moment) -> Iterator[Effect]:
        """The client was hung up on; what it said is told where it was to be kept."""
        play = self._playing.get(given.number)
        if play is None:
            return
        self._forget(play)
        service, connection = play.running.service, play.connection
        if given.said is None or service.capture is None or connection.source is None:
            return
        yield Report(
            SensorCaptured(
                now.wall,
                connection.service,
                service.id,
                connection.source,
                connection.port,
                given.said,
                given.more,
                given.seconds,
                connection.number,
                service.protocol.name,
                connection.local,
                connection.local_port or service.port,
            )
        )

    def leave(self, running: Running) -> Iterator[Effect]:
        """*running* stops: hang up on all its clients."""
        for number, play in self._playing.items():
            if play.running is running:
                yield HangUp(number)

    def clear(self) -> None:
        """The porter ended, and with it all that it played."""
        self._playing.clear()
        self._of_source.clear()

    def _forget(self, play: _Play) -> None:
        del self._playing[play.connection.number]
        left = self._of_source[play.whose] - 1
        if left:
            self._of_source[play.whose] = left
        else:
            del self._of_source[play.whose]
