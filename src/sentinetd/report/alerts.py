"""All alerts together: made ready for new settings beside those that run, changed over at once, told of every event."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache

from sentinetd.errors import EdgeError
from sentinetd.model.alert import Alert, Shown, SyslogTarget, WebhookTarget
from sentinetd.model.alert import Body as WebhookBody
from sentinetd.model.events import Event
from sentinetd.model.noun import dataclass, replace
from sentinetd.model.observer import Observer
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.ports import Format
from sentinetd.report.backlog import Backlog, Memory, Spool
from sentinetd.report.delivery import Delivery, Parts, Tally
from sentinetd.report.enveloped import enveloped
from sentinetd.report.formats.outline import outline
from sentinetd.report.formats.table import FORMATS
from sentinetd.report.privacy import veil
from sentinetd.report.sinks.alert_file import AlertFile
from sentinetd.report.sinks.making import Making, Unusable
from sentinetd.report.sinks.table import make_sink

TABLE = "alert"
USUAL_FORMAT = {"file": "json", "syslog": "rfc5424", "program": "json", "hpfeeds": "json", "plugin": "json"}
"""The format of an alert that names none, by its type; of the others: text."""
COMPLETE = frozenset({"rfc5424"})
"""Formats that are syslog messages as they are."""
KEY_FILE = "address.key"
KEY_BYTES = 32
SPOOL_TRIES = 30
SPOOL_PAUSE = 0.1
"""A courier that ends still has its spools for a moment."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one alert does, for whoever asks: how many events wait, and what is wrong (empty: nothing)."""

    name: str
    type: str
    waiting: int
    failing: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class _Ready:
    """An alert that could be put in force: what it works with, and the spool, where a new one is needed."""

    parts: Parts
    spool: Spool | None


class Alerts:
    """`Instructable`. *state* is the directory for what outlives us. *note* is told what there is to tell, *full* of
    the number of a file that has its full size, *broken* of a mistake of ours; *observer* gives who we are."""

    def __init__(
        self,
        state: str,
        note: Callable[[Event], None],
        full: Callable[[int], Awaitable[None]],
        observer: Callable[[], Observer],
        broken: Callable[[BaseException], None],
    ) -> None:
        self._state = state
        self._note = note
        self._full = full
        self._observer = observer
        self._broken = broken
        self._ready: list[_Ready] = []
        self._running: dict[str, Delivery] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._routine: frozenset[str] = frozenset()

    @property
    def routine(self) -> frozenset[str]:
        """See `ports.Listener`."""
        return self._routine

    def tell(self, *events: Event) -> None:
        """See `ports.Listener`."""
        for delivery in self._running.values():
            for event in events:
                delivery.tell(event)

    def standings(self) -> list[Standing]:
        """How each alert does, in the order of the configuration."""
        return [
            Standing(name, one.alert.type, one.waiting, one.failing, replace(one.tally))
            for name, one in self._running.items()
        ]

    # New settings.

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """See `ports.Instructable`."""
        await self._discard()
        making = Making(files, self._full, self._observer)
        mistakes: list[Mistake] = []
        for number, alert in enumerate(settings.alerts):
            try:
                self._ready.append(await self._prepared(alert, settings, making))
            except Unusable as error:
                mistakes.append(Mistake(TABLE, number, error.key, error.text, error.way_out))
        return mistakes

    async def _prepared(self, alert: Alert, settings: CourierSettings, making: Making) -> _Ready:
        format = _format(alert)
        key = self._key(settings) if alert.addresses is Shown.HASHED else b""
        running = self._running.get(alert.name)
        spool = None
        if alert.spool and not (running is not None and running.alert.spool):
            spool = await self._spool(alert)
        try:
            sink = make_sink(alert, making)
        except Unusable:
            if spool is not None:
                spool.close()
            raise
        return _Ready(Parts(alert, sink, format, veil(alert.addresses, key)), spool)

    def _key(self, settings: CourierSettings) -> bytes:
        """What makes pseudonyms: the operator's, else one of our own, kept so that they stay the same."""
        if settings.address_key:
            return settings.address_key.encode()
        path = os.path.join(self._state, KEY_FILE)
        try:
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                key = os.pread(number, KEY_BYTES, 0)
                if len(key) < KEY_BYTES:
                    key = secrets.token_bytes(KEY_BYTES)
                    os.pwrite(number, key, 0)
            finally:
                os.close(number)
        except OSError as error:
            text = f"no key for pseudonyms can be kept: {path}: {error.strerror}"
            raise Unusable("addresses", text, "mend the state directory, or write address_key in [privacy]") from error
        return key

    async def _spool(self, alert: Alert) -> Spool:
        path = os.path.join(self._state, f"alert-{alert.name}.spool")
        for attempt in range(SPOOL_TRIES):
            try:
                return Spool(path, alert.spool)
            except EdgeError as error:
                if attempt + 1 == SPOOL_TRIES or not isinstance(error.__cause__, BlockingIOError):
                    raise Unusable("spool", str(error), "mend the state directory, or leave spool out") from error
            await asyncio.sleep(SPOOL_PAUSE)
        raise AssertionError("unreachable")

    async def _discard(self) -> None:
        """Let go of what was prepared and is not in force."""
        ready, self._ready = self._ready, []
        for one in ready:
            await one.parts.sink.close()
            if one.spool is not None:
                one.spool.close()

    def enact(self) -> None:
        """See `ports.Instructable`."""
        ready, self._ready = self._ready, []
        before, self._running = self._running, {}
        for one in ready:
            name = one.parts.alert.name
            running = before.get(name)
            if running is not None and bool(running.alert.spool) == bool(one.parts.alert.spool):
                del before[name]
                running.replace(one.parts)
                self._running[name] = running
            else:
                self._running[name] = self._begun(one)
        for delivery in before.values():
            leaving = asyncio.create_task(delivery.close(), name=f"end of alert {delivery.name}")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        self._routine = frozenset().union(*(one.selection.by_wish for one in self._running.values()))

    def _begun(self, one: _Ready) -> Delivery:
        alert = one.parts.alert
        backlog: Backlog = Memory(alert.queue) if one.spool is None else one.spool
        delivery = Delivery(one.parts, backlog, self._note, self._observer)
        delivery.task.add_done_callback(self._ended)
        return delivery

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A delivery raises nothing for a failing world: if it ended so, it is our mistake."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken(error)

    def replace_file(self, number: int, descriptor: int) -> None:
        """See `ports.Instructable`."""
        for delivery in self._running.values():
            if isinstance(delivery.sink, AlertFile):
                delivery.sink.reopen(number, descriptor)

    async def close(self) -> None:
        """See `ports.Listener`."""
        await self._discard()
        running, self._running = self._running, {}
        await asyncio.gather(*(one.close() for one in running.values()), *self._leaving)


def _format(alert: Alert) -> Format:
    """How the events of *alert* look. Unusable if there is no such format."""
    target = alert.target
    name = alert.format or USUAL_FORMAT.get(alert.type, "text")
    if not alert.format and isinstance(target, WebhookTarget):
        name = "json" if target.body in (WebhookBody.GENERIC, WebhookBody.BARE) else "text"
    format = FORMATS.get(name)
    if format is None:
        known = " ".join(FORMATS)
        raise Unusable("format", f"{name} is no format", f"write one of {known}")
    if name == "text" and alert.kinds:
        format = _always(format)
    if isinstance(target, SyslogTarget):
        return _of_facility(format if name in COMPLETE else enveloped(format), target.facility)
    return format


def _of_facility(format: Format, facility: str) -> Format:
    """*format* by an observer whose messages are of *facility*."""

    @lru_cache(maxsize=4)
    def so(observer: Observer) -> Observer:
        return replace(observer, facility=facility)

    return lambda event, observer: format(event, so(observer))


def _always(format: Format) -> Format:
    """*format*, and words for what it does not tell: these kinds were asked for by name."""
    return lambda event, observer: format(event, observer) or outline(event, observer).summary
