"""One keeper of bans kept in step with the ledger: what a turn of the loop changed goes over in one piece.

A keeper that failed is begun again from the whole truth, after a pause that grows; until then changes need not be kept,
since the whole truth has them. Nothing here waits: a whole truth goes over in steps, one for each turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from sentinetd.daemon.loop import Loop, Moment
from sentinetd.errors import EdgeError
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.events import Event, FollowerFailed, FollowerMended
from sentinetd.model.guarded import GuardedPort
from sentinetd.ports import Enforcer

PAUSES = (0.05, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds before a keeper that failed is begun again; the last for ever."""
STEADY_AFTER = 60.0
"""Seconds without a failure after which the next counts as the first again."""
PATIENCE = 30.0
"""Seconds for which a keeper's far end may read nothing while something waits for it."""
AT_ONCE = 2000
"""Changes that go over in one turn: some milliseconds of the kernel's work."""
MOST = 100_000
"""Changes that wait while a whole truth goes over; beyond them another one follows it."""


class Following:
    """*truth* gives every ban in force, *exemptions* who is never refused, *ports* which are ours; *report* is told of
    failures and of their end."""

    def __init__(
        self,
        keeper: Enforcer,
        loop: Loop,
        truth: Callable[[], Iterator[tuple[Network, float]]],
        exemptions: Callable[[], AddressSet],
        ports: Callable[[], Collection[GuardedPort]],
        report: Callable[[Event], None],
    ) -> None:
        self.keeper = keeper
        self._loop = loop
        self._truth = truth
        self._exemptions = exemptions
        self._ports = ports
        self._report = report
        self._imposed: dict[Network, float] = {}
        self._lifted: dict[Network, None] = {}
        self._ended: dict[Network, None] = {}
        self._steps: Iterator[None] | None = None
        self._again = False  # another whole truth is to follow the one that goes over
        self._retry: Moment | None = None
        self._hurried: Moment | None = None
        self._watched = -1
        self._stalled: Moment | None = None  # when the keeper's far end counts as stuck, while something waits for it
        self._failures = 0
        self._mended_at = 0.0
        self._told = False
        self.down = False  # it failed, and does not hold the whole truth again yet

    def begin(self) -> None:
        """Begin with the whole truth, which goes over in the following turns. EdgeError if it cannot be begun."""
        self.rest()
        self.keeper.open()
        self.keeper.exempt(self._exemptions())
        self.keeper.guard(self._ports())
        self._steps = self.keeper.replace(self._truth())
        self._watched = self.keeper.fileno()
        if self._watched >= 0:
            self._loop.read(self._watched, self._stirred)
        self._hurry()

    def finish(self) -> None:
        """Have the whole truth in force when this returns, or its failure told; a program need not have read it."""
        while self._steps is not None and not self.keeper.wants_write:
            self._step()

    def begin_or_retry(self) -> None:
        """`begin`; a failure is told, and it is tried again."""
        try:
            self.begin()
        except EdgeError as error:
            self.failed(error)

    def impose(self, network: Network, until: float) -> None:
        """*network* is banned until *until*."""
        self._imposed[network] = until

    def lift(self, network: Network) -> None:
        """*network* is banned no longer."""
        self._imposed.pop(network, None)
        self._lifted[network] = None

    def expire(self, network: Network) -> None:
        """The ban of *network* has come to its end."""
        self._imposed.pop(network, None)
        self._ended[network] = None

    def restate(self) -> None:
        """The truth changed as a whole."""
        if self._retry is None:
            self._clear()
            if self._steps is not None:
                self._again = True
            else:
                self._steps = self.keeper.replace(self._truth())
                self._hurry()

    def exempt(self) -> None:
        """Who is exempt changed."""
        self._do(lambda: self.keeper.exempt(self._exemptions()))

    def guard(self) -> None:
        """Which ports are ours changed."""
        self._do(lambda: self.keeper.guard(self._ports()))

    def settle(self) -> None:
        """Hand over what the turn changed, or the next step of a whole truth."""
        if self._steps is not None:
            if not self.keeper.wants_write:
                self._step()
            if len(self._imposed) + len(self._lifted) + len(self._ended) > MOST:
                self._clear()
                self._again = True
        elif self._retry is not None:
            self._clear()
        elif self._imposed or self._lifted or self._ended:
            self._do(self._apply)
        if self.keeper.wants_write != (self._stalled is not None):
            self._watch_write()

    def close(self) -> None:
        """Let go of the keeper. EdgeError if it cannot leave things as it should."""
        self.rest()
        self.keeper.close()

    def rest(self) -> None:
        """Do nothing more with the keeper, which stays as it is."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self._watched >= 0:
            self._loop.forget(self._watched)
            self._watched = -1
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._steps = None
        self._again = False
        self._clear()

    def failed(self, error: EdgeError) -> None:
        """Tell of *error*, and begin again after a pause."""
        self.rest()
        if not self.down and self._loop.now() - self._mended_at > STEADY_AFTER:
            self._failures = 0
        self.down = True
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        # What was only busy is tried again at once, and told of when that is of no use.
        if self._failures > 1 or not getattr(error, "transient", False):
            self._report(FollowerFailed(time.time(), self.keeper.name, str(error), pause))
            self._told = True
        self._retry = self._loop.after(pause, self._retried)

    def _apply(self) -> None:
        """What can go over at once; the rest in the next turn. Lifts come first, in the order in which they arose."""
        imposed, lifted, ended = self._imposed, self._lifted, self._ended
        if len(imposed) + len(lifted) + len(ended) > AT_ONCE:
            lifted = dict.fromkeys(islice(lifted, AT_ONCE))
            ended = dict.fromkeys(islice(ended, AT_ONCE - len(lifted)))
            imposed = dict(islice(imposed.items(), AT_ONCE - len(lifted) - len(ended)))
            for done, whole in ((imposed, self._imposed), (lifted, self._lifted), (ended, self._ended)):
                for network in done:
                    del whole[network]
            self._hurry()
        else:
            self._clear()
        self.keeper.apply(imposed, lifted, ended)

    def _step(self) -> None:
        steps = self._steps
        if steps is None:
            return
        try:
            next(steps)
        except StopIteration:
            self._stepped()
        except EdgeError as error:
            self.failed(error)
        self._hurry()

    def _stepped(self) -> None:
        """A whole truth is in force."""
        self._steps = None
        if self._again:
            self._again = False
            self._steps = self.keeper.replace(self._truth())
            return
        self._mended_at = self._loop.now()
        self.down = False
        if self._told:
            self._told = False
            self._report(FollowerMended(time.time(), self.keeper.name))

    def _watch_write(self) -> None:
        """Have sent what waits for the keeper's far end, and bear with it for so long."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
            self._loop.write(self._watched, None)
        if self.keeper.wants_write and self._watched >= 0:
            self._loop.write(self._watched, self._flush)
            why = EdgeError(f"nothing was read for {PATIENCE:.0f} seconds")
            self._stalled = self._loop.after(PATIENCE, lambda: self.failed(why))

    def _flush(self) -> None:
        self._do(self.keeper.flush)
        if self._stalled is not None:
            self._watch_write()  # something was read: the patience begins anew

    def _do(self, change: Callable[[], None]) -> None:
        if self._retry is not None:
            return  # the whole truth will have it
        try:
            change()
        except EdgeError as error:
            self.failed(error)

    def _stirred(self) -> None:
        """Something happened to the keeper behind our back, maybe."""
        try:
            trouble = self.keeper.trouble()
        except EdgeError as error:
            trouble = str(error)
        if trouble:
            self.failed(EdgeError(trouble))

    def _retried(self) -> None:
        self._retry = None
        self.begin_or_retry()

    def _hurry(self) -> None:
        """Let the next turn come at once, as long as there is something to hand over and somebody takes it."""
        waits = self._steps is not None or self._imposed or self._lifted or self._ended
        if waits and self._hurried is None and not self.keeper.wants_write:
            self._hurried = self._loop.after(0.0, self._came)

    def _came(self) -> None:
        self._hurried = None

    def _clear(self) -> None:
        self._imposed, self._lifted, self._ended = {}, {}, {}
