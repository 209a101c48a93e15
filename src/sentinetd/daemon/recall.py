"""What the store kept, taken over by the guard: once, from the first courier that could read all of it.

From then on the guard knows better than any store: a ban that was lifted may still be in there when a courier dies, and
must not come back with its successor.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sentinetd.daemon.companion import Companion
from sentinetd.daemon.messages import Ready, Restored, RestoredExemptions
from sentinetd.model.events import BansRestored, Event, FollowerFailed
from sentinetd.policy.inputs import Input, Recalled, RecalledExemptions

WARM = "--warm"
"""The courier's option that says that the guard knows all bans already."""


class Recall:
    """Takes the courier's part of it. *handle* takes inputs of the engine, *count* says how many bans there are, *tell*
    takes events, *garbled* what was wrong with a message."""

    def __init__(
        self,
        handle: Callable[[Input], None],
        count: Callable[[], int],
        tell: Callable[[Event], None],
        garbled: Callable[[str], None],
    ) -> None:
        self._handle = handle
        self._count = count
        self._tell = tell
        self._garbled = garbled
        self._whole = False
        self.outcome: str | None = None
        """Once a courier was ready: what was wrong with the store, or ""."""

    def restored(self, message: Restored | RestoredExemptions) -> None:
        """The store kept this."""
        if self._whole:
            return
        if isinstance(message, RestoredExemptions):
            self._handle(RecalledExemptions(message.exemptions))
            return
        try:
            rows = tuple(message.run.rows())
        except ValueError as error:
            self._garbled(str(error))
            return
        run = message.run
        self._handle(Recalled(run.version, run.length, run.scope, run.kept, rows))

    def ready(self, message: Ready, courier: Companion) -> None:
        """The store holds no more than what was sent."""
        if self.outcome is None and (count := self._count()):
            self._tell(BansRestored(time.time(), count))
        self.outcome = message.trouble
        if message.trouble:
            self._tell(FollowerFailed(time.time(), "store", message.trouble, 0.0))
        elif not self._whole:
            self._whole = True
            courier.add_argument(WARM)
