"""What the courier says to the guard, and what is done about it.

It is begun here, too, and waited for at a start: it knows the bans of before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sentinetd.daemon.channel import Channel
from sentinetd.daemon.companion import Companion
from sentinetd.daemon.dawn import COURIER
from sentinetd.daemon.messages import (
    FROM_COURIER,
    ORDERS,
    Agreed,
    Curious,
    Disagreed,
    Full,
    Greeting,
    LongerBans,
    OrderReload,
    Query,
    Ready,
    Restored,
    RestoredExemptions,
    Written,
)
from sentinetd.daemon.messages import Obeyed as ObeyedMessage
from sentinetd.daemon.newborn import Newborn
from sentinetd.daemon.pulse import Pulse
from sentinetd.daemon.recall import Recall
from sentinetd.errors import EdgeError
from sentinetd.model.events import ON_REQUEST, ROUTINE, Heartbeat, Level, ProcessFailed, ProcessMended
from sentinetd.model.settings import CourierSettings
from sentinetd.policy.inputs import Escalated, Heeded, LoggedIn, Ordered

if TYPE_CHECKING:
    from sentinetd.daemon.guard import Guard

RESTORE_SILENCE = 20.0
"""Seconds without a word of the courier after which the start goes on without the bans of before."""
START_DEATHS = 5
"""So often in a row the courier may die before the daemon works."""


class Hearing:
    """Hears the courier for *guard*; *arguments* are what it is started with, *greeting* what it is told first."""

    def __init__(self, guard: Guard, arguments: list[str], greeting: Greeting) -> None:
        self._guard = guard
        self._greeting = greeting
        self._born = guard.loop.now()
        self._pulse = Pulse(guard.loop, self._beat)
        self._equipped: frozenset[str] = frozenset()  # types of alert that the courier has loaded what they need
        self._failed = False
        self._last_word = 0.0
        self._last_death = ""
        self.courier = Companion(
            guard.loop,
            COURIER,
            arguments,
            FROM_COURIER,
            begun=self._begun,
            said=self._said,
            died=self._died,
            garbled=self._garbled,
        )
        self._recall = Recall(guard.handle, lambda: len(guard.engine.bans.ledger), guard.tell, self._garbled)

    def _begun(self, channel: Channel) -> None:
        self._heed(())  # until it says otherwise
        self._guard.link.attach(channel, self._greeting)

    def ended(self, how: str) -> None:
        """The courier's process has ended."""
        self._guard.link.detach()
        self.courier.reaped(how)

    def _said(self, message: Any) -> None:
        self._last_word = self._guard.loop.now()
        if isinstance(message, Written):
            self._guard.link.answered(message.sequence)
        elif isinstance(message, Restored | RestoredExemptions):
            self._recall.restored(message)
        elif isinstance(message, LongerBans):
            self._guard.handle(Escalated(message.bans))
        elif isinstance(message, Agreed | Disagreed):
            self._guard.instructions.heard(message)
        elif isinstance(message, Full):
            self._guard.instructions.rotate(message)
        elif isinstance(message, Curious):
            self._heed(message.kinds)
        elif isinstance(message, OrderReload):
            self._reload_ordered(message)
        elif isinstance(message, ORDERS):
            self._guard.handle(Ordered(message.request, message.order, message.who))
        elif isinstance(message, Query):
            for answer in self._guard.inquiries.answer(message):
                self._guard.link.say(answer)
        elif isinstance(message, Ready):
            self._mended()
            self._recall.ready(message, self.courier)

    def equip(self, settings: CourierSettings) -> None:
        """Have a courier that has loaded what the alerts of *settings* need: it does so before it gives up its rights,
        since it may be unable to read where that is afterwards."""
        types = frozenset(alert.type for alert in settings.alerts)
        if not types <= self._equipped:
            self._equipped |= types
            self.courier.add_argument("--alerts")  # the last one counts
            self.courier.add_argument(",".join(sorted(self._equipped)))
            self.courier.renew()

    def _heed(self, kinds: Collection[str]) -> None:
        """Listeners in the courier want to hear of these *kinds* of event, which are not told otherwise."""
        self._guard.handle(Heeded(frozenset(kind for kind in (*ON_REQUEST, *ROUTINE) if kind.kind in kinds)))
        self._pulse.want(Heartbeat.kind in kinds)

    def _beat(self) -> None:
        """Tell that we live."""
        wall, uptime = time.time(), self._guard.loop.now() - self._born
        servers, bans = len(self._guard.engine.servers()), len(self._guard.engine.bans.ledger)
        self._guard.tell(Heartbeat(wall, uptime, self._guard.doors.open_count, servers, bans))

    def _reload_ordered(self, message: OrderReload) -> None:
        """Read the configuration again once the loop is done with what it is at; the engine decides nothing in it."""

        def answer(why_not: str) -> None:
            self._guard.link.say(ObeyedMessage(message.request, not why_not, why_not or "reloaded", 0, ()))

        def reload() -> None:
            self._guard.notice(Level.NOTICE, f"reload ordered by {message.who}")
            if message.order.source is not None:
                self._guard.handle(LoggedIn(message.order.source))
            if self._guard.reload is None:
                answer("the daemon has not begun yet")
            else:
                self._guard.reload(answer)

        self._guard.loop.after(0.0, reload)

    def restore(self, newborn: Newborn | None, ending: Callable[[], bool]) -> str:
        """Have a courier, *newborn* if that is one, and wait until the bans of before are in force, or we are *ending*.
        What is wrong with the store, or "". EdgeError if there can be no courier."""
        self.courier.start(self._guard.loop.now(), newborn)
        self._last_word = self._guard.loop.now()
        self._guard.settle()
        while self._recall.outcome is None and not ending():
            if self._guard.loop.now() - self._last_word > RESTORE_SILENCE:
                return f"the courier said nothing for {RESTORE_SILENCE:.0f} seconds"
            self.await_courier()
        return self._recall.outcome or ""

    def await_courier(self) -> None:
        """One turn of a start that waits for the courier. EdgeError if that dies again and again: what this daemon does
        could not be written down, so the start fails."""
        self._guard.turn(1.0)
        if self.courier.failures >= START_DEATHS:
            raise EdgeError(f"process courier: {self._last_death}, {START_DEATHS} times")

    def _died(self, why: str, pause: float) -> None:
        self._failed = True
        self._last_death = why
        self._guard.tell(ProcessFailed(time.time(), "courier", why, pause))

    def _mended(self) -> None:
        if self._failed:
            self._failed = False
            self._guard.tell(ProcessMended(time.time(), "courier"))

    def _garbled(self, why: str) -> None:
        self._guard.notice(Level.ERROR, f"a message of the courier was dropped: {why}")
