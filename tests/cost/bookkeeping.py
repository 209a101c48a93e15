"""Counts the steps of a courier in this very process, for one record of each kind that it is told: from the channel to
the store, the log, and those who count. Who wants events of their own, such as alerts, is not there."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cost.steps import Steps, steps
from rig.trips import AT, flood
from sentinetd.control.server import Control
from sentinetd.daemon.channel import Channel
from sentinetd.daemon.clerk import Clerk
from sentinetd.daemon.desk import GuardDesk
from sentinetd.daemon.messages import DAEMON_LOG, TO_COURIER, Farewell, FileSink, Greeting, ServiceLog
from sentinetd.daemon.newborn import channel_pair
from sentinetd.model.address import Address
from sentinetd.model.events import ConnectionRefused
from sentinetd.model.noun import replace
from sentinetd.model.service import OnFailure
from sentinetd.model.verdict import Reason
from sentinetd.report.journal import Journal
from sentinetd.store.keeper import Keeper
from sentinetd.store.listing import Listing
from sentinetd.store.sqlite import Store

AT_ONCE = 128
"""Records in one packet, as the guard sends them."""
FEW, MANY = 512, 2_048
"""Records of two lives, whose difference is the records' own."""

T = TypeVar("T")


def trips(count: int) -> list[Any]:
    """Trips with their bans, 10,000 a second."""
    return [replace(one, at=AT + number / 10_000) for number, one in enumerate(flood(count))]


def refusals(count: int) -> list[Any]:
    """Connections that a service refused and logs."""
    source = Address.parse("192.0.2.7")
    return [ConnectionRefused(time.time(), 7, "ssh", source, 4711, Reason.ADDRESS, one) for one in range(count)]


def each(directory: Path, records: Callable[[int], list[Any]], functions: Counter[str] | None = None) -> Steps:
    """The steps for one of *records*; each courier has a state of its own in *directory*."""
    few, many = (
        _steps_of_a_life(directory / f"{records.__name__}-{count}", records(count), functions) for count in (FEW, MANY)
    )
    return Steps(many.instructions - few.instructions, many.calls - few.calls).each(MANY - FEW)


def _steps_of_a_life(directory: Path, records: Sequence[Any], functions: Counter[str] | None) -> Steps:
    """Of a courier that finds *records* in its channel when it begins, and then a farewell."""
    directory.mkdir()
    ours, theirs = channel_pair()
    guard, channel = Channel(ours, ()), Channel(theirs, TO_COURIER)
    try:
        log = os.open(directory / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        guard.send(1, [FileSink(DAEMON_LOG, "daemon", 0, 0)], [log])
        guard.send(2, [FileSink(1, "service", 0, 0)], [log])
        os.close(log)
        guard.send(4, [Greeting("sentinetd", 5), ServiceLog(7, 1, (), (OnFailure.HOST,))])
        for first in range(0, len(records), AT_ONCE):
            if not guard.send(4 + first + AT_ONCE, records[first : first + AT_ONCE]):
                raise ValueError(f"{len(records)} records do not go into the channel at once")
        guard.send(5 + len(records), [Farewell()])
        return steps(lambda: asyncio.run(_lived(directory, channel)), functions)
    finally:
        guard.close()
        channel.close()


async def _lived(directory: Path, channel: Channel) -> None:
    keeper = Keeper(Store(str(directory)), _at_once, time.time, time.monotonic)
    clerk = Clerk(channel, keeper, Journal(DAEMON_LOG, time.time, "sentinetd", 5))
    desk = GuardDesk(clerk.questions, clerk.orders, Listing(str(directory)), _at_once, keeper, list)
    control = Control(desk, str, time.time, clerk.audience.stir, clerk.audience.note)
    clerk.audience.seat((), (control, clerk.escalator))
    await clerk.run()


def _at_once(call: Callable[[], T]) -> Awaitable[T]:
    async def called() -> T:
        return call()

    return called()
