"""The courier's clerk: what the guard tells is committed, written and answered, batch by batch.

What the guard told up to now is one batch: its bans are committed first, then its lines are written, then it is
answered. So a ban whose line is in a log is kept, whichever process dies at whichever instant. What a courier had not
answered comes again to its successor: a line may then be there twice, a ban is not.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from sentinetd import __version__
from sentinetd.daemon.audience import Audience
from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.desk import Questions
from sentinetd.daemon.escalation import Escalator
from sentinetd.daemon.messages import (
    ANSWERS,
    Agreed,
    Curious,
    Disagreed,
    Farewell,
    FileSink,
    Full,
    Greeting,
    Handed,
    InForce,
    Instructed,
    LongerBans,
    Obeyed,
    Ready,
    Restored,
    RestoredExemptions,
    ServiceGone,
    ServiceLog,
    SinkGone,
    SyslogSink,
    Written,
)
from sentinetd.daemon.orders import Orders
from sentinetd.errors import EdgeError, MessageError
from sentinetd.model.ban import ESCALATION, Ban, BanRun, Cleared, Extended, Lifted
from sentinetd.model.events import (
    BanEvicted,
    BanImposed,
    BanLengthened,
    BanLifted,
    BansCleared,
    Event,
    ExemptionAdded,
    ExemptionEnded,
    Level,
    Notice,
)
from sentinetd.model.exemption import Exemption, ExemptionOver
from sentinetd.model.noun import replace
from sentinetd.model.observer import Observer
from sentinetd.model.trip_run import TripTable
from sentinetd.report.journal import Journal
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Change

LONGER_AT_ONCE = 300
"""Bans of those who came back in one message."""
BATCH = 512
"""Records of one batch, about; the rest waits in the channel, and behind it in the guard, as bytes. Each is half a
kilobyte of small objects, and a process stays as large as its largest batch. Larger ones would save nothing: a record
costs the same at 256 to 4,096, one that is a ban 30 us, another 11."""
SYSLOG_PAUSE = 1.0
"""Seconds until a system log that is away is tried again."""

WITH_FILE = (FileSink, Handed)
"""Messages with which a descriptor comes."""


class Clerk:
    """Serves the guard at the other end of *channel*; `run` returns when it says farewell or is gone.

    *warm*: the guard knows all bans already.

    *audience* is told of each event after its ban is kept. `wake` has a pausing clerk look what there is to do.
    """

    def __init__(self, channel: Channel, keeper: Keeper, journal: Journal, *, warm: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._keeper = keeper
        self._journal = journal
        self._warm = warm
        self.audience = Audience(self.wake)
        self._woken: asyncio.Future[None] | None = None  # while it pauses
        self._wishes: frozenset[str] = frozenset()  # what the guard knows that somebody wants to hear of
        self._files: deque[int] = deque()  # descriptors of the files in the batch
        self._observer = Observer(host=os.uname().nodename, ident="sentinetd", pid=os.getppid(), version=__version__)
        self.orders = Orders(self._send)
        self.escalator = Escalator(keeper)
        self.questions = Questions(self._send)
        self._sending = asyncio.Lock()
        self._sent = 0  # number of our last message
        self._heard = 0  # highest number of the guard's messages
        self._answered = 0
        self._over = False

    async def run(self) -> None:
        """Give the bans of before, then carry out what comes. What had come when the guard died is carried out too."""
        await self._restore()
        await self._send(Ready(self._keeper.trouble))
        self._keeper.told()  # the guard has it in Ready, and tells
        while not self._over:
            batch = self._receive()
            if batch or self._due() or self._restless():
                self.audience.check()
                await self._carry_out(batch)
                await asyncio.sleep(0)  # the listeners' tasks get their turn, however much comes
            elif not self._over:
                await self._pause()
        self.orders.close()
        await self._keeper.close()
        self._tell(*self._keeper.told())
        self._journal.flush()
        await self.audience.close()
        self._tell(*self.audience.news())
        self._journal.close()

    def observer(self) -> Observer:
        """Who we are, to others."""
        return self._observer

    async def file_is_full(self, number: int) -> None:
        """Ask for a new file in the place of file *number* of the settings."""
        await self._send(Full(self.audience.request, number))

    def wake(self) -> None:
        """End a pause, if there is one."""
        if self._woken is not None:
            _wake(self._woken)

    def _restless(self) -> bool:
        """Whether listeners have something to say."""
        return self.audience.restless or self.audience.wishes() != self._wishes

    async def _restore(self) -> None:
        """Open the store and send the guard what is in it, unless the guard knows."""
        async for kept in self._keeper.restore(give=not self._warm):
            for one in kept:
                await self._send(Restored(one) if isinstance(one, BanRun) else RestoredExemptions((one,)))
        self._warm = self._warm or self._keeper.ready

    def _receive(self) -> list[Any]:
        """What has come up to now, in order."""
        batch: list[Any] = []
        size = 0
        while size < BATCH:
            try:
                packet = self._channel.receive()
            except MessageError as error:
                batch.append(_dropped(str(error)))
                size += 1
                continue
            except ChannelClosed:
                self._over = True
                break
            if packet is None:
                break
            sequence, messages, descriptors = packet
            self._heard = max(self._heard, sequence)
            if len(descriptors) != sum(type(message) in WITH_FILE for message in messages):
                for descriptor in descriptors:
                    os.close(descriptor)
                messages = [message for message in messages if type(message) not in WITH_FILE]
                batch.append(_dropped(f"{len(descriptors)} descriptors for another number of files"))
            else:
                self._files.extend(descriptors)
            batch += messages
            size += sum(len(message) if type(message) is TripTable else 1 for message in messages)
        return batch

    async def _carry_out(self, batch: Sequence[Any]) -> None:
        """Commit, write, answer."""
        if not self._keeper.ready and self._due():
            await self._restore()
            if self._keeper.ready:
                await self._send(Ready(self._keeper.trouble))
        changes = [change for change in map(_change, batch) if change is not None]
        if changes or self._due():
            await self._keeper.keep(changes)
        longer = await self.escalator.longer(changes) if changes else []
        for first in range(0, len(longer), LONGER_AT_ONCE):
            await self._send(LongerBans(tuple(longer[first : first + LONGER_AT_ONCE])))
        news = [*self._keeper.told(), *self.audience.news()]
        for sort, messages in groupby(batch, _sort):
            if sort is not None:
                # News goes before the bans it concerns, but after the log was opened into which it goes.
                self._tell(*news)
                news = []
            if sort is Event:
                self._tell(*messages)
                continue
            for message in messages:
                if sort is TripTable:
                    self._journal.tell_trips(message)
                    self.audience.tell_trips(message)
                elif isinstance(message, Instructed):
                    await self._consider(message)
                else:
                    self._obey(message)
        self._tell(*news)
        self._journal.flush()
        await self._say_wishes()
        if self._heard > self._answered:
            self._answered = self._heard
            await self._send(Written(self._heard))

    async def _consider(self, message: Instructed) -> None:
        mistakes = await self.audience.prepare(message.request, message.settings)
        await self._send(Disagreed(message.request, mistakes) if mistakes else Agreed(message.request))

    async def _say_wishes(self) -> None:
        wishes = self.audience.wishes()
        if wishes != self._wishes:
            self._wishes = wishes
            await self._send(Curious(tuple(sorted(wishes))))

    def _tell(self, *events: Event) -> None:
        if events:
            self._journal.tell(*events)
            self.audience.tell(*events)

    def _obey(self, message: Any) -> None:
        """Carry out a message that is no event."""
        match message:
            case ServiceLog():
                self._journal.follow(message.number, message.sink, message.success, message.failure)
            case ServiceGone():
                self._journal.forget(message.number)
            case FileSink():
                descriptor = self._files.popleft()
                self._journal.open_file(message.sink, descriptor, message.label, message.soft, message.hard)
            case SyslogSink():
                try:
                    self._journal.open_syslog(message.sink, message.facility, message.level)
                except EdgeError as error:
                    self._journal.tell(_dropped(str(error)))
            case SinkGone():
                self._journal.close_sink(message.sink)
            case Handed():
                self.audience.take_file(message.request, message.number, self._files.popleft())
            case InForce():
                self.audience.enact(message.request)
            case _ if isinstance(message, ANSWERS):
                self.questions.answered(message)
            case Greeting():
                self._journal.introduce(message.ident, message.pid)
                self._observer = replace(self._observer, ident=message.ident, pid=message.pid)
            case Obeyed():
                self.orders.obeyed(message)
            case Farewell():
                self._over = True

    def _due(self) -> bool:
        """Whether a store that failed should be tried again now."""
        return time.monotonic() >= self._keeper.retry_at

    async def _pause(self) -> None:
        """Wait until the guard says something, or something that failed can be tried again."""
        woken = self._woken = self._loop.create_future()
        pause = self._keeper.retry_at - time.monotonic()
        self._loop.add_reader(self._channel.fileno(), _wake, woken)
        writable = []
        for log in self._journal.waiting():
            number = log.fileno()
            if number is None:
                pause = min(pause, SYSLOG_PAUSE)
            else:
                writable.append(number)
                self._loop.add_writer(number, _wake, woken)
        timer = None if math.isinf(pause) else self._loop.call_later(pause, _wake, woken)
        try:
            await woken
        finally:
            self._woken = None
            self._loop.remove_reader(self._channel.fileno())
            for number in writable:
                self._loop.remove_writer(number)
            if timer is not None:
                timer.cancel()
        if self._journal.waiting():
            self._journal.flush()

    async def _send(self, message: Any) -> None:
        """Send *message*, when the guard has room for it. A guard that is gone misses nothing."""
        async with self._sending:  # whoever waits for room is the only one
            self._sent += 1
            try:
                while not self._channel.send(self._sent, [message]):
                    room = self._loop.create_future()
                    self._loop.add_writer(self._channel.fileno(), _wake, room)
                    try:
                        await room
                    finally:
                        self._loop.remove_writer(self._channel.fileno())
            except ChannelClosed:
                return  # what it had sent before is still to be read, and then the end


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _sort(message: Any) -> type[Event] | type[TripTable] | None:
    """As what *message* is told; None: it is for us."""
    if type(message) is TripTable:
        return TripTable
    return Event if isinstance(message, Event) else None


def _change(message: Any) -> Change | None:
    """What *message* means for the store; None: nothing."""
    kind = type(message)
    if kind is TripTable:
        return message  # type: ignore[no-any-return]
    if kind is BanLengthened and message.who == ESCALATION:
        return Extended(message.network, message.until, message.note)
    if kind is BanImposed or kind is BanLengthened:
        at, until = message.at, message.until
        return Ban(message.network, at, until, message.sensor, message.origin, message.who, message.note)
    change = CHANGES.get(kind)
    return None if change is None else change(message)


CHANGES: dict[type[Event], Callable[[Any], Change]] = {
    BanLifted: lambda event: Lifted(event.network, event.at, event.who),
    BanEvicted: lambda event: event.network,
    BansCleared: lambda event: Cleared(event.at, event.who),
    ExemptionAdded: lambda event: Exemption(event.network, event.at, event.until, event.who, event.note),
    ExemptionEnded: lambda event: ExemptionOver(event.network),
}
"""What kinds of events mean for the store, beside new and lengthened bans."""


def _dropped(why: str) -> Notice:
    return Notice(time.time(), Level.ERROR, f"a message of the guard was dropped: {why}")
