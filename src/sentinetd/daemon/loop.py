"""The guard's loop: descriptors that became ready, moments that have come, signals that arrived. Nothing else.

The guard awaits nothing: every edge of it is a descriptor and a callback, so this stands in the place of a framework
that would double the memory of the one process that runs as root.
"""

from __future__ import annotations

import heapq
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from types import FrameType

Callback = Callable[[], None]

EVENTS_AT_ONCE = 256
"""Descriptors served per turn, before moments and signals get theirs."""


LONGEST = 86_400.0
"""Seconds of one wait, at most: epoll_wait(2) counts milliseconds in 31 bits, and a ban may end in years."""


class Moment:
    """A callback that is due at a time; `cancel` makes it never happen."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callback | None) -> None:
        self.due = due
        self.callback = callback

    def cancel(self) -> None:
        """Do not call."""
        self.callback = None


boottime: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Seconds of CLOCK_BOOTTIME: goes on while the machine sleeps, and nobody can set it (clock_gettime(2))."""


class Loop:
    """Owns the epoll descriptor and the signal pipe. Callbacks run one after the other and must not wait."""

    def __init__(self) -> None:
        self._epoll = select.epoll(sizehint=EVENTS_AT_ONCE)
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._moments: list[tuple[float, int, Moment]] = []
        self._order = count()
        self._stopped = False
        self._signals: Mapping[int, Callable[[], object]] = {}
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.read(self._pipe[0], self._drain_signals)

    def read(self, descriptor: int, callback: Callback | None) -> None:
        """Call *callback* whenever *descriptor* is readable or at its end; None: no more."""
        self._watch(self._readers, descriptor, callback)

    def write(self, descriptor: int, callback: Callback | None) -> None:
        """Call *callback* whenever *descriptor* is writable; None: no more."""
        self._watch(self._writers, descriptor, callback)

    def _watch(self, table: dict[int, Callback], descriptor: int, callback: Callback | None) -> None:
        known = descriptor in self._readers or descriptor in self._writers
        if callback is None:
            table.pop(descriptor, None)
        else:
            table[descriptor] = callback
        mask = (select.EPOLLIN if descriptor in self._readers else 0) | (
            select.EPOLLOUT if descriptor in self._writers else 0
        )
        if not known:
            if mask:
                self._epoll.register(descriptor, mask)
        elif mask:
            self._epoll.modify(descriptor, mask)
        else:
            self._epoll.unregister(descriptor)

    def forget(self, descriptor: int) -> None:
        """Watch *descriptor* no more in either way; it may be closed already, since the kernel forgets it then."""
        known = self._readers.pop(descriptor, None), self._writers.pop(descriptor, None)
        if known != (None, None):
            with suppress(OSError):
                self._epoll.unregister(descriptor)

    def at(self, due: float, callback: Callback) -> Moment:
        """Call *callback* once when the clock (`boottime`) has reached *due*."""
        moment = Moment(due, callback)
        heapq.heappush(self._moments, (due, next(self._order), moment))
        return moment

    def after(self, seconds: float, callback: Callback) -> Moment:
        """Call *callback* once, *seconds* from now."""
        return self.at(boottime() + seconds, callback)

    def now(self) -> float:
        """The loop's clock."""
        return boottime()

    def on_signals(self, callbacks: Mapping[int, Callable[[], object]], ignored: Iterable[int] = ()) -> None:
        """Call the callbacks when their signals arrive, never in the midst of other work; ignore *ignored*."""
        self._signals = callbacks
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        for number in callbacks:
            signal.signal(number, _noted)
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)

    def hold(self, number: int) -> None:
        """Let the signal *number* wait when it arrives, from now on. So it waits in processes that are started without
        a mask of their own."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (number,))

    def pass_over(self, number: int) -> None:
        """Forget the signal *number* if it waits. What it is about is to be looked for after this."""
        signal.sigtimedwait((number,), 0)

    def release(self, number: int) -> None:
        """Have the signal *number* told again when it arrives; now, if it waits."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))

    def stop(self) -> None:
        """Let `run` return after the callback that is at work."""
        self._stopped = True

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopped:
            self.turn(None)

    def turn(self, most: float | None) -> None:
        """One round; waits at most *most* seconds for something to do, None: as long as it takes."""
        wait = self._pause(most)
        for descriptor, mask in self._epoll.poll(wait, EVENTS_AT_ONCE):
            # A callback may have ended the watch of a descriptor that this round still holds.
            if mask & ~select.EPOLLOUT and (reader := self._readers.get(descriptor)) is not None:
                reader()
            if mask & ~select.EPOLLIN and (writer := self._writers.get(descriptor)) is not None:
                writer()
            if self._stopped:
                return
        if self._moments and self._moments[0][0] <= (now := boottime()):
            self._call_due(now)

    def _pause(self, most: float | None) -> float | None:
        """Seconds until the next moment, at most *most*; None for no end."""
        while self._moments and self._moments[0][2].callback is None:
            heapq.heappop(self._moments)
        if not self._moments:
            return most
        pause = max(0.0, self._moments[0][0] - boottime())
        return min(pause, LONGEST if most is None else most)

    def _call_due(self, now: float) -> None:
        while self._moments and self._moments[0][0] <= now and not self._stopped:
            callback = heapq.heappop(self._moments)[2].callback
            if callback is not None:
                callback()

    def _drain_signals(self) -> None:
        try:
            numbers = os.read(self._pipe[0], 4096)
        except BlockingIOError:
            return
        for number in dict.fromkeys(numbers):  # each once: a hundred children may have ended with one SIGCHLD or ten
            callback = self._signals.get(number)
            if callback is not None:
                callback()

    def close(self) -> None:
        """Let go of the loop's own descriptors."""
        signal.set_wakeup_fd(-1)
        self._epoll.close()
        for descriptor in self._pipe:
            os.close(descriptor)


def _noted(number: int, frame: FrameType | None) -> None:
    """The interpreter has written the signal's number into the pipe; there is no more to do here."""
