"""Look-ups that many ask and one makes: shared while they run, remembered for a while, bounded in time and number.

What is looked up, and how, is the caller's: a function that blocks. Nothing here reads a byte.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from sentinetd.ask.threads import Job, Threads
from sentinetd.model.noun import dataclass

V = TypeVar("V")

MOST_REMEMBERED = 4096
STALE_AFTER = 1.8
"""Seconds that a newer answer has before an old one is given (RFC 8767 section 5)."""


@dataclass(slots=True)
class _Running:
    job: Job
    askers: int = 0


class Lookups(Generic[V]):
    """Answers to one kind of question about a text.

    *find* blocks and gives None where it could not find out, which is never remembered; *life* says for how many
    seconds another value is. For *stale* seconds more it is the answer where no newer one comes in time (RFC 8767).
    """

    def __init__(
        self,
        threads: Threads,
        find: Callable[[str], V | None],
        life: Callable[[V], float],
        most_remembered: int = MOST_REMEMBERED,
        stale: float = 0.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = threads
        self._find = find
        self._life = life
        self._most = most_remembered
        self._stale = stale
        self._remembered: dict[str, tuple[float, V]] = {}  # text: (end on the loop's clock, value), oldest first
        self._running: dict[str, _Running] = {}

    async def answer(self, text: str, seconds: float) -> V | None:
        """What is known of *text*, or found out within *seconds*; None if it could not be."""
        now = self._loop.time()
        end, known = self._remembered.get(text, (-math.inf, None))
        if now < end:
            return known
        if known is None or now >= end + self._stale:
            return await self._found(text, seconds)
        found = await self._found(text, min(seconds, STALE_AFTER))
        return known if found is None else found

    async def _found(self, text: str, seconds: float) -> V | None:
        """What is found out about *text* within *seconds*; None if nothing was."""
        running = self._running.get(text)
        if running is None:
            job = self._threads.start(partial(self._find, text))
            if job is None:
                return None
            running = self._running[text] = _Running(job)
            job.outcome.add_done_callback(lambda outcome: self._ended(text, outcome))
        running.askers += 1
        try:
            done, _ = await asyncio.wait((running.job.outcome,), timeout=max(0.0, seconds))
            return running.job.outcome.result() if done else None
        finally:
            running.askers -= 1
            if not running.askers and not running.job.begun:
                running.job.outcome.cancel()  # nobody waits any more: no thread is spent on it

    def _ended(self, text: str, outcome: asyncio.Future[V | None]) -> None:
        del self._running[text]
        if outcome.cancelled() or outcome.exception() is not None:
            return
        value = outcome.result()
        if value is None:
            return
        self._remembered.pop(text, None)  # a newer memory goes to the end of the order
        while len(self._remembered) >= self._most:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[text] = (self._loop.time() + self._life(value), value)
