"""The courier: a process without rights that remembers the bans and writes the logs. It opens nothing it is named.

Wiring only. What the guard told up to now is one batch: its bans are committed first, then its lines are written, then
it is answered. So a ban whose line is in a log is kept, whichever process dies at whichever instant. What a courier had
not answered comes again to its successor: a line may then be there twice, a ban is not.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from types import FrameType
from typing import Any, TypeVar

from sentinetd import __version__
from sentinetd.control.server import Control, load
from sentinetd.daemon.alerting import Alerting
from sentinetd.daemon.audience import Audience
from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.desk import GuardDesk, Questions
from sentinetd.daemon.escalation import Escalator
from sentinetd.daemon.messages import (
    ANSWERS,
    DAEMON_LOG,
    TO_COURIER,
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
from sentinetd.daemon.privileges import confine, out_of_reach
from sentinetd.daemon.retention import Retention
from sentinetd.errors import EdgeError, MessageError, UsageError
from sentinetd.feeds.publisher import Publisher
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
from sentinetd.model.noun import dataclass, replace
from sentinetd.model.observer import Observer
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.journal import Journal
from sentinetd.store.keeper import Keeper
from sentinetd.store.latest import Latest
from sentinetd.store.listing import Listing
from sentinetd.store.sqlite import Change, Store, boot_name

TITLE = "sentinetd-courier"
LONGER_AT_ONCE = 300
"""Bans of those who came back in one message."""
BATCH = 512
"""Records of one batch, about; the rest waits in the channel, and behind it in the guard, as bytes. Each is half a
kilobyte of small objects, and a process stays as large as its largest batch. Larger ones would save nothing: a record
costs the same at 256 to 4,096, one that is a ban 30 us, another 11."""
SYSLOG_PAUSE = 1.0
"""Seconds until a system log that is away is tried again."""
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Meant for the guard, whoever else they reach; the end of the channel is our signal."""

WITH_FILE = (FileSink, Handed)
"""Messages with which a descriptor comes."""

T = TypeVar("T")


class Thread:
    """One thread beside the loop, for calls that wait for a disk; they run in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1)

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        return self._loop.run_in_executor(self._pool, call)

    def close(self) -> None:
        """End the thread, after the call that it is at."""
        self._pool.shutdown()


class Courier:
    """Serves the guard at the other end of *channel*; `run` returns when it says farewell or is gone.

    *warm*: the guard knows all bans already.

    *audience* is told of each event after its ban is kept. `wake` has a pausing courier look what there is to do.
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
        while len(batch) < BATCH:
            try:
                packet = self._channel.receive()
            except MessageError as error:
                batch.append(_dropped(str(error)))
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
        longer = await self.escalator.longer([one for one in changes if isinstance(one, Ban)]) if changes else []
        for first in range(0, len(longer), LONGER_AT_ONCE):
            await self._send(LongerBans(tuple(longer[first : first + LONGER_AT_ONCE])))
        news = [*self._keeper.told(), *self.audience.news()]
        for are_events, messages in groupby(batch, lambda message: isinstance(message, Event)):
            if are_events:
                # News goes before the bans it concerns, but after the log was opened into which it goes.
                self._tell(*news, *messages)
                news = []
                continue
            for message in messages:
                if isinstance(message, Instructed):
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


def _change(message: Any) -> Change | None:
    """What *message* means for the store; None: nothing."""
    kind = type(message)
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


@dataclass(frozen=True, slots=True)
class Options:
    """The courier's command line; only the guard writes it."""

    channel: int
    state: str
    user: str | None
    group: str | None
    required: bool
    warm: bool = False
    alerts: tuple[str, ...] = ()


def read_options(words: Sequence[str]) -> Options:
    """``--channel FD --state DIR [--user USER] [--group GROUP] [--required] [--warm] [--alerts TYPE,...]``; UsageError
    for anything else.

    *required*: a damaged store is left where it is, since the guard will not go on without it. *warm*: the guard knows
    all bans already. *alerts*: types of alert that will be asked for.
    """
    values: dict[str, str] = {}
    flags = {"--required": False, "--warm": False}
    rest = iter(words)
    for word in rest:
        if word in flags:
            flags[word] = True
        elif word in ("--channel", "--state", "--user", "--group", "--alerts"):
            values[word] = next(rest, "")
        else:
            raise UsageError(f"{word}: no option of the courier")
    if not values.get("--channel", "").isdigit() or not values.get("--state"):
        raise UsageError("--channel FD and --state DIR are needed")
    state = os.path.abspath(values["--state"])
    user, group = values.get("--user"), values.get("--group")
    alerts = tuple(filter(None, values.get("--alerts", "").split(",")))
    return Options(int(values["--channel"]), state, user, group, flags["--required"], flags["--warm"], alerts)


async def serve(channel: Channel, options: Options, boot: str) -> None:
    """The courier's whole life on the running loop, in that life of the machine which is called *boot*."""
    thread, reader, writer = Thread(), Thread(), Thread()
    try:
        store = Store(options.state, boot)
        keeper = Keeper(store, thread, time.time, time.monotonic, leave_broken=options.required)
        journal = Journal(DAEMON_LOG, time.time, "sentinetd", os.getppid())
        courier = Courier(channel, keeper, journal, warm=options.warm)
        audience = courier.audience

        def line(event: Event) -> str:
            return json_line(event, courier.observer())

        alerting = Alerting(options.state, audience.note, courier.file_is_full, courier.observer, audience.fail)
        listing = Listing(options.state)
        desk = GuardDesk(courier.questions, courier.orders, listing, reader, keeper, alerting.states)
        control = Control(desk, line, time.time, audience.stir, audience.note)
        publisher = Publisher(Latest(options.state), courier.observer(), writer, time.time, audience.note)
        audience.seat((), (control, alerting, publisher, courier.escalator, Retention(keeper)))
        await courier.run()
    finally:
        thread.close()
        reader.close()
        writer.close()


def _unheard(number: int, frame: FrameType | None) -> None:
    """A signal that is meant for the guard."""


def main(words: Sequence[str]) -> int:
    """Give up all rights, then serve the channel that the command line names. 0 when the guard is gone."""
    for number in IGNORED:
        signal.signal(number, _unheard)  # not SIG_IGN, which the programs that we start would inherit
    try:
        options = read_options(words)
        if options.user is not None and out_of_reach((os.__file__, __file__)):
            load()  # after this it could not be found any more
        if options.alerts:
            from sentinetd.report.equipment import load as load_for

            load_for(options.alerts)
        boot = boot_name()
        confine(TITLE, (options.channel,), options.user, options.group)
        channel = Channel(socket.socket(fileno=options.channel), TO_COURIER)
    except (UsageError, EdgeError, OSError) as error:
        print(f"{TITLE}: {error}", file=sys.stderr)
        return 1
    try:
        asyncio.run(serve(channel, options, boot))
    finally:
        channel.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
