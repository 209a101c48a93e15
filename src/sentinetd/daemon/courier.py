"""The courier: a process without rights that remembers the bans and writes the logs. It opens nothing it is named.

How it starts, gives up its rights, and what it consists of. What it does with what the guard tells: `daemon.clerk`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TypeVar

from sentinetd.control.server import Control, load
from sentinetd.daemon.alerting import Alerting
from sentinetd.daemon.channel import Channel
from sentinetd.daemon.clerk import Clerk
from sentinetd.daemon.desk import GuardDesk
from sentinetd.daemon.messages import DAEMON_LOG, TO_COURIER
from sentinetd.daemon.newborn import whole
from sentinetd.daemon.privileges import confine, out_of_reach
from sentinetd.daemon.retention import Retention
from sentinetd.errors import EdgeError, UsageError
from sentinetd.feeds.publisher import Publisher
from sentinetd.model.events import Event
from sentinetd.model.noun import dataclass
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.journal import Journal
from sentinetd.store.keeper import Keeper
from sentinetd.store.latest import Latest
from sentinetd.store.listing import Listing
from sentinetd.store.sqlite import Store, boot_name

TITLE = "sentinetd-courier"
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Meant for the guard, whoever else they reach; the end of the channel is our signal."""

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
        clerk = Clerk(channel, keeper, journal, warm=options.warm)
        audience = clerk.audience

        def line(event: Event) -> str:
            return json_line(event, clerk.observer())

        alerting = Alerting(options.state, audience.note, clerk.file_is_full, clerk.observer, audience.fail)
        listing = Listing(options.state)
        desk = GuardDesk(clerk.questions, clerk.orders, listing, reader, keeper, alerting.states)
        control = Control(desk, line, time.time, audience.stir, audience.note)
        publisher = Publisher(Latest(options.state), clerk.observer(), writer, time.time, audience.note)
        audience.seat((), (control, alerting, publisher, clerk.escalator, Retention(keeper)))
        await clerk.run()
    finally:
        thread.close()
        reader.close()
        writer.close()


def _unheard(number: int, frame: FrameType | None) -> None:
    """A signal that is meant for the guard."""


def main(words: Sequence[str]) -> int:
    """Give up all rights, then serve the channel that *words* name (`newborn`). 0 when the guard is gone."""
    for number in IGNORED:
        signal.signal(number, _unheard)  # not SIG_IGN, which the programs that we start would inherit
    if os.geteuid() == 0 and out_of_reach((os.__file__, __file__)):
        load()  # once rights are given up it could not be found any more
    command = whole(words)
    if command is None:
        return 0
    try:
        options = read_options(command)
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
