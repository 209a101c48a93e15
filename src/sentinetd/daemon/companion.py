"""A process of ours beside the guard, without rights: started, listened to, started again when it dies.

It is a fresh interpreter, not a fork: it inherits nothing of the guard's memory, and starts as fast however many bans
the guard holds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.daemon.newborn import Newborn, born
from sentinetd.errors import EdgeError, MessageError

PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a dead companion is started again; the last for ever."""
PACKETS_AT_ONCE = 64
"""Packets read before the loop's other work gets its turn."""
STEADY_AFTER = 5.0
"""Seconds of life after which a death counts as the first again: somebody killed it, it did not fail to begin."""


class Companion:
    """*module* is what it runs; *accepts* what it may say. The owner is told by the callbacks:

    *begun* with the new channel, *said* with each message, *died* with why and the pause before the next start,
    *garbled* with what was wrong with a message.
    """

    def __init__(
        self,
        loop: Loop,
        module: str,
        arguments: Iterable[str],
        accepts: Iterable[type[Any]],
        *,
        begun: Callable[[Channel], None],
        said: Callable[[Any], None],
        died: Callable[[str, float], None],
        garbled: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._module = module
        self._arguments = list(arguments)
        self._accepts = tuple(accepts)
        self._begun = begun
        self._said = said
        self._died = died
        self._garbled = garbled
        self._channel: Channel | None = None
        self.awaits_room = False
        """The loop wakes when there is room in the channel."""
        self.failures = 0
        """Deaths in a row."""
        self._since = 0.0
        self._waits: Moment | None = None  # for the next start
        self._leaving = False
        self._renewing = False
        self.pid = 0

    def start(self, now: float, newborn: Newborn | None = None) -> None:
        """Start it, or have *newborn* be it, which runs its module. EdgeError if no process can be had."""
        started = newborn or born(self._module)
        started.tell(self._arguments)
        self.pid = started.pid
        self._since = now
        self._channel = Channel(started.channel, self._accepts)
        self._loop.read(self._channel.fileno(), self._readable)
        self._begun(self._channel)

    def watch_room(self, wanted: bool) -> None:
        """Have the loop wake when there is room in the channel, or not any more. Who writes does so after each turn."""
        if wanted is not self.awaits_room and self._channel is not None:
            self.awaits_room = wanted
            self._loop.write(self._channel.fileno(), _nothing if wanted else None)

    def add_argument(self, word: str) -> None:
        """Start it with *word*, too, when it is started again."""
        self._arguments.append(word)

    def hasten(self) -> None:
        """Where it waits to be started again, start it now."""
        if self._waits is not None:
            self._waits.cancel()
            self._again()

    def leave(self) -> None:
        """Its end is wanted from now on: do not start it again."""
        self._leaving = True

    def dismiss(self) -> None:
        """Have it end, as if we had; it is not started again."""
        self._leaving = True
        self._drop_channel()

    def renew(self, arguments: Iterable[str] | None = None) -> None:
        """Have it end, as if we had, and start it again, with these *arguments* if they are given."""
        if arguments is not None:
            self._arguments = list(arguments)
        if self.pid:
            self._renewing = True
            self._drop_channel()

    def reaped(self, what: str) -> None:
        """Its process has ended; *what* says how."""
        self.pid = 0  # from now on the number may be another's
        self._readable()  # its last words
        self._lost(what)

    def _readable(self) -> None:
        for _ in range(PACKETS_AT_ONCE):
            if self._channel is None:
                return
            try:
                packet = self._channel.receive()
            except MessageError as error:
                self._garbled(str(error))
                continue
            except ChannelClosed:
                self._drop_channel()
                self._end()
                return
            if packet is None:
                return
            for descriptor in packet[2]:
                os.close(descriptor)  # nobody sends us any
            for message in packet[1]:
                self._said(message)

    def _drop_channel(self) -> None:
        if self._channel is not None:
            self._loop.read(self._channel.fileno(), None)
            self._loop.write(self._channel.fileno(), None)
            self._channel.close()
            self._channel = None
            self.awaits_room = False

    def _end(self) -> None:
        """It has nothing to say any more: let it be reaped."""
        if self.pid:
            with suppress(PermissionError):  # a guard without CAP_KILL: it ends of its own accord, as its channel did
                os.kill(self.pid, signal.SIGKILL)

    def _lost(self, what: str) -> None:
        self._drop_channel()
        if self._leaving:
            return
        if self._renewing:
            self._renewing = False
            self._again()
            return
        now = self._loop.now()
        if now - self._since > STEADY_AFTER:
            self.failures = 0
        pause = PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures += 1
        self._died(what, pause)
        self._waits = self._loop.after(pause, self._again)

    def _again(self) -> None:
        self._waits = None
        if self._leaving or self.pid:
            return
        try:
            self.start(self._loop.now())
        except EdgeError as error:
            self._lost(str(error))


def _nothing() -> None:
    """There is room; what waits goes out after the turn."""
