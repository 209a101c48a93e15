"""The herald: a process without rights that tells others where our services are: rpcbind, and by mDNS the network.

Wiring only. What it told is taken back when the guard says so, and when the guard is gone, however that went.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from argparse import ArgumentParser
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from sentinetd.announce.rpcbind import Registrar
from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.lockdown import EXECUTE, change_no_files, forbid
from sentinetd.daemon.messages import (
    TO_HERALD,
    Advertise,
    Complaint,
    Hide,
    Mandate,
    Move,
    Offer,
    Reached,
    Removed,
    Taken,
    Withdraw,
)
from sentinetd.daemon.newborn import whole
from sentinetd.daemon.privileges import confine
from sentinetd.errors import MessageError

if TYPE_CHECKING:
    from sentinetd.announce.mdns import Advertiser

IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Meant for the guard, whoever else they reach; the end of the channel is our signal, and there is work to do then."""
FAREWELL = 3.0
"""Seconds for taking everything back when the guard is gone."""
LOCK_PAUSE = 0.05
"""Seconds until the mandate is tried for again, while an earlier herald has it."""
BATCH = 256
"""Messages in one packet."""


class Herald:
    """Does what comes over *channel*; `run` returns when the guard has closed its end and all is taken back.

    *advertiser* is the class that advertises by mDNS; None: that cannot be done, and *why*.
    """

    def __init__(self, channel: Channel, advertiser: type[Advertiser] | None, why: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._closed = self._loop.create_future()
        self._outgoing: deque[Any] = deque()
        self._mandate = self._loop.create_future()
        self._mandated = False
        self._registrar = Registrar(
            lambda what: self._tell(Removed(what)),
            lambda what, taken: self._tell(Taken(what, taken)),
            lambda why: self._tell(Reached(why)),
        )
        self._advertiser_class = advertiser
        self._advertiser: Advertiser | None = None
        self._unable = why  # to be told once
        self._told: dict[type[Any], Callable[[Any], None]] = {
            Offer: lambda order: self._registrar.offer(order.registration, order.address),
            Withdraw: lambda order: self._registrar.withdraw(order.registration),
            Advertise: self._advertise,
            Hide: lambda order: None if self._advertiser is None else self._advertiser.hide(order.number),
            Move: lambda order: None if self._advertiser is None else self._advertiser.move(),
        }
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the channel ends. Raises what one of the tasks raised: a mistake of ours ends the process."""
        self._loop.set_exception_handler(self._mistaken)
        self._loop.add_reader(self._channel.fileno(), self._read)
        self._start(self._registering())
        try:
            await self._closed
        finally:
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(FAREWELL):
                if self._mandated:
                    await self._registrar.leave()
                if self._advertiser is not None:
                    await self._advertiser.leave()
        except TimeoutError:
            return

    async def _registering(self) -> None:
        """Wait until no earlier herald may speak any more, which would take back what we register; then register."""
        lock = await self._mandate
        told = False
        while not _locked(lock):
            if not told:
                told = True
                self._tell(
                    Complaint("an earlier herald has not ended; nothing is registered with rpcbind until it has")
                )
            await asyncio.sleep(LOCK_PAUSE)
        self._mandated = True
        await self._registrar.run()

    def _advertise(self, order: Advertise) -> None:
        if self._advertiser_class is None:
            if self._unable:
                self._tell(Complaint(f"nothing is advertised by mDNS: {self._unable}"))
                self._unable = ""
            return
        if self._advertiser is None:
            self._advertiser = self._advertiser_class(lambda what: self._tell(Complaint(f"mDNS: {what}")))
            self._start(self._advertiser.run())
        self._advertiser.show(order.number, order.advertisement)

    # What comes in, and what goes out.

    def _read(self) -> None:
        while not self._closed.done():
            try:
                packet = self._channel.receive()
            except MessageError as error:
                self._tell(Complaint(f"message dropped: {error}"))
                continue
            except ChannelClosed:
                self._end(None)
                return
            if packet is None:
                return
            _, messages, descriptors = packet
            for message in messages:
                if not isinstance(message, Mandate):
                    self._told[type(message)](message)
                elif descriptors and not self._mandate.done():
                    self._mandate.set_result(descriptors.pop())
            for descriptor in descriptors:
                os.close(descriptor)

    def _tell(self, message: Any) -> None:
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(message)

    def _flush(self) -> None:
        while self._outgoing and not self._closed.done():
            batch = [self._outgoing[place] for place in range(min(BATCH, len(self._outgoing)))]
            try:
                sent = self._channel.send(0, batch)
            except ChannelClosed:
                self._end(None)
                return
            if not sent:
                self._loop.add_writer(self._channel.fileno(), self._flush)
                return
            for _ in batch:
                self._outgoing.popleft()
        self._loop.remove_writer(self._channel.fileno())

    # Tasks.

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    def _mistaken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback raised: a mistake of ours, or of the library's."""
        self._end(context.get("exception") or RuntimeError(context["message"]))

    def _end(self, error: BaseException | None) -> None:
        if self._closed.done():
            return
        if error is None:
            self._closed.set_result(None)
        else:
            self._closed.set_exception(error)


def _locked(descriptor: int) -> bool:
    """Whether the file is ours alone now (flock(2))."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(words: Sequence[str]) -> int:
    """Drop all rights, then serve the channel that *words* name (`newborn`). 0 when the guard is gone."""
    parser = ArgumentParser(prog="sentinetd-herald", allow_abbrev=False)
    parser.add_argument("--channel", type=int, required=True, metavar="FD", help="descriptor of the guard's channel")
    parser.add_argument("--user", help="user to run as; without it: unchanged")
    parser.add_argument("--mdns", action="store_true", help="be able to advertise by mDNS")
    command = whole(words)
    if command is None:
        return 0
    options = parser.parse_args(command)
    # Before rights are dropped: this user need not be able to read where we are installed.
    advertiser, why = able() if options.mdns else (None, "")
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    confine("sentinet-herald", [options.channel], options.user)
    forbid(EXECUTE)
    change_no_files()
    channel = Channel(socket.socket(fileno=options.channel), TO_HERALD)
    try:
        asyncio.run(serve(channel, advertiser, why))
    finally:
        channel.close()
    return 0


def able() -> tuple[type[Advertiser] | None, str]:
    """What advertises by mDNS, or why that cannot be: it stands on an extra that few have."""
    try:
        from sentinetd.announce.mdns import Advertiser
    except ImportError as error:
        return None, f"the Python package zeroconf is not installed; pip install 'sentinetd[mdns]' ({error})"
    return Advertiser, ""


async def serve(channel: Channel, advertiser: type[Advertiser] | None, why: str) -> None:
    """The herald's whole life on the running loop."""
    await Herald(channel, advertiser, why).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
