"""One sink of alerts and what waits for it: selected, merged, in order, with pauses after failures, in its own task.

Nothing here raises for a failing world; what there is to tell is told as an event, each trouble once.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sentinetd.errors import EdgeError
from sentinetd.model.alert import Alert
from sentinetd.model.events import Event, SinkDropped, SinkFailed, SinkMended
from sentinetd.model.noun import dataclass
from sentinetd.model.observer import Observer
from sentinetd.ports import AlertSink, Format, Message, Rejected
from sentinetd.report.backlog import Backlog
from sentinetd.report.formats.text import level
from sentinetd.report.privacy import Veil
from sentinetd.report.repeats import Repeats
from sentinetd.report.selection import Selection

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds before a delivery that failed is tried again; the last for ever."""
TELL_LOSS_EVERY = 60.0
"""Seconds between two messages about events that are lost, while they are."""
GRACE = 2.0
"""Seconds for a last delivery at the end."""
FULL = "too many were waiting"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a delivery works with, all of it for one state of the settings: *alert* and what was made for it."""

    alert: Alert
    sink: AlertSink
    format: Format
    veil: Veil


@dataclass(slots=True)
class Tally:
    """What became of the events of one sink: *taken* of those it was told of, *delivered*, *dropped*, and of deliveries
    those that *failed*."""

    taken: int = 0
    delivered: int = 0
    dropped: int = 0
    failed: int = 0


class Delivery:
    """Brings the events of one alert to its sink. *note* is told what there is to tell; *observer* gives who we are."""

    def __init__(
        self, parts: Parts, backlog: Backlog, note: Callable[[Event], None], observer: Callable[[], Observer]
    ) -> None:
        self.tally = Tally()
        self.failing = ""  # what is wrong, while something is
        self._note = note
        self._observer = observer
        self._backlog = backlog
        self._failures = 0
        self._retired: list[AlertSink] = []  # sinks of before, to be closed
        self._untold = 0  # events that are lost and not told of yet
        self._why = FULL
        self._told_at = -math.inf
        self._since = 0.0  # when the first came of those that wait
        self._stirred = asyncio.Event()  # there may be something to do
        self._hurried = asyncio.Event()  # no pause is to be kept
        self._closing = False
        self._adopt(parts)
        self._task = asyncio.create_task(self._run(), name=f"alert {parts.alert.name}")

    def _adopt(self, parts: Parts) -> None:
        self._parts = parts
        self.selection = Selection(parts.alert)
        self._repeats = Repeats(parts.alert.merge) if parts.alert.merge else None

    @property
    def name(self) -> str:
        """The alert's name."""
        return self._parts.alert.name

    @property
    def alert(self) -> Alert:
        """What it does."""
        return self._parts.alert

    @property
    def waiting(self) -> int:
        """Events that are not delivered yet."""
        return len(self._backlog)

    @property
    def sink(self) -> AlertSink:
        """Where it delivers."""
        return self._parts.sink

    @property
    def task(self) -> asyncio.Task[None]:
        """What it runs in. It ends by itself only for a mistake of ours."""
        return self._task

    def tell(self, event: Event) -> None:
        """Have *event* delivered, if it is asked for."""
        if not self.selection.wants(event):
            return
        now = time.monotonic()
        if self._repeats is not None:
            self._count_repeats(now)
            if not self._repeats.take(event, now):
                self._stirred.set()  # its count is due some time
                return
        self._put(event, now)

    def _put(self, event: Event, now: float) -> None:
        if not self._backlog:
            self._since = now
        self.tally.taken += 1
        self._backlog.put(event)
        self._stirred.set()

    def _count_repeats(self, now: float) -> None:
        if self._repeats is not None:
            for count in self._repeats.ended(now, time.time()):
                self._put(count, now)

    def replace(self, parts: Parts) -> None:
        """From now on work with *parts*; what waits is kept, the sink of before is closed."""
        self._tell_last_counts()
        self._retired.append(self._parts.sink)
        self._adopt(parts)
        self._stirred.set()
        self._hurried.set()

    def _tell_last_counts(self) -> None:
        if self._repeats is not None:
            for count in self._repeats.rest(time.time()):
                self._put(count, time.monotonic())

    async def close(self) -> None:
        """Deliver what waits if that can be done quickly, and end."""
        self._tell_last_counts()
        self._closing = True
        self._stirred.set()
        self._hurried.set()
        await asyncio.wait([self._task], timeout=GRACE)
        self._task.cancel()
        await asyncio.wait([self._task])
        for sink in (*self._retired, self._parts.sink):
            await sink.close()
        self._lose(self._backlog.dropped(), FULL)
        self._lose(self._backlog.close(), self.failing or "there was no time to deliver them at the end")
        self._tell_loss()

    # The task.

    async def _run(self) -> None:
        while True:
            while self._retired:
                await self._retired.pop().close()
            now = time.monotonic()
            self._count_repeats(now)
            self._lose(self._backlog.dropped(), FULL)
            if now >= self._told_at + TELL_LOSS_EVERY:
                self._tell_loss()
            if self._backlog and (self._closing or now >= self._since + self._parts.alert.digest):
                if not await self._attempt():
                    return
            elif self._closing:
                return
            else:
                await self._rest(self._due() - now)

    def _due(self) -> float:
        """When there is something to do, infinity: when `_stirred`."""
        digest = self._since + self._parts.alert.digest if self._backlog else math.inf
        repeats = self._repeats.due if self._repeats is not None else None
        loss = self._told_at + TELL_LOSS_EVERY if self._untold else math.inf
        return min(digest, math.inf if repeats is None else repeats, loss)

    async def _rest(self, seconds: float) -> None:
        self._stirred.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(seconds) else max(seconds, 0.0)):
                await self._stirred.wait()

    async def _attempt(self) -> bool:
        """Deliver some of what waits; False: that failed, and there is no time left for another try."""
        parts = self._parts
        events = self._backlog.take(parts.sink.most)
        try:
            await self._deliver(parts, events)
        except Rejected as error:
            self._lose(len(events), str(error))
            self._backlog.done()
        except (EdgeError, TimeoutError) as error:
            return await self._failed(str(error) or f"no answer within {parts.alert.timeout:g} seconds")
        else:
            self.tally.delivered += len(events)
            self._backlog.done()
        self._failures = 0
        if self.failing:
            self.failing = ""
            self._note(SinkMended(time.time(), self.name, len(self._backlog)))
            self._lose(self._backlog.dropped(), FULL)
            self._tell_loss()
        return True

    async def _deliver(self, parts: Parts, events: Sequence[Event]) -> None:
        observer = self._observer()
        messages = []
        for event in events:
            shown = parts.veil(event)
            text = parts.format(shown, observer)
            if text is not None:
                messages.append(Message(shown, level(shown), text))
        if messages:
            async with asyncio.timeout(parts.alert.timeout):
                await parts.sink.deliver(messages)

    async def _failed(self, what: str) -> bool:
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        self.tally.failed += 1
        if not self.failing:
            self._note(SinkFailed(time.time(), self.name, what, pause))
        self.failing = what
        if self._closing:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._hurried.wait()
        self._hurried.clear()
        return True

    def _lose(self, count: int, why: str) -> None:
        if count:
            self.tally.dropped += count
            self._untold += count
            self._why = why

    def _tell_loss(self) -> None:
        if self._untold:
            self._note(SinkDropped(time.time(), self.name, self._untold, self._why))
            self._untold = 0
            self._told_at = time.monotonic()
