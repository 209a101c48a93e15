"""Blocking calls of the C library, made in a bounded number of threads. Knows nothing of what it calls.

The threads are daemons: one that hangs in a resolver never keeps the process from ending. Everything but `_work` runs
in the loop's own thread, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

MOST_THREADS = 32
MOST_WAITING = 1024
"""Calls that may wait for a thread."""


class Job:
    """One call. *outcome* is set when it has returned; a cancelled outcome keeps a call that has not begun from it."""

    __slots__ = ("begun", "call", "outcome")

    def __init__(self, call: Callable[[], Any], outcome: asyncio.Future[Any]) -> None:
        self.call = call
        self.outcome = outcome
        self.begun = False


class Threads:
    """Runs calls, first come, first served; starts a thread only when all others are taken."""

    def __init__(self, most: int = MOST_THREADS, waiting: int = MOST_WAITING) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = most
        self._waiting = waiting
        self._threads = 0
        self._unsettled = 0
        self._jobs: SimpleQueue[Job] = SimpleQueue()

    def start(self, call: Callable[[], Any]) -> Job | None:
        """*call* in a thread as soon as one is free; None if too many wait already, or no thread can be had."""
        if self._unsettled >= self._most + self._waiting:
            return None
        if self._threads < min(self._most, self._unsettled + 1):
            try:
                threading.Thread(target=self._work, name=f"look-up {self._threads}", daemon=True).start()
                self._threads += 1
            except RuntimeError:  # no more processes, or no memory: those that there are have to do
                if not self._threads:
                    return None
        job = Job(call, self._loop.create_future())
        self._unsettled += 1
        self._jobs.put(job)
        return job

    def _work(self) -> None:
        """The life of a thread: a call, its outcome to the loop, the next call."""
        while True:
            job = self._jobs.get()
            value, error = None, None
            if not job.outcome.cancelled():
                job.begun = True
                try:
                    value = job.call()
                except BaseException as raised:
                    error = raised
            try:
                self._loop.call_soon_threadsafe(self._settle, job, value, error)
            except RuntimeError:  # the loop is closed: the process is ending
                return

    def _settle(self, job: Job, value: Any, error: BaseException | None) -> None:
        self._unsettled -= 1
        if job.outcome.cancelled():
            return
        if error is None:
            job.outcome.set_result(value)
        else:
            job.outcome.set_exception(error)
