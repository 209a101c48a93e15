"""The host names that are exempt: the porter is asked what they stand for, at the start, at a reload and every minute.

The guard never waits for an answer, but at the start a little: before the first accept it had better know who must not
be banned. What was last known holds until there is another answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import AddressesAre, AskedAddresses
from sentinetd.errors import EdgeError
from sentinetd.model.events import Level
from sentinetd.policy.inputs import Found, Input

EVERY = 60.0
"""Seconds between two questions for one name."""
WITHIN = 10.0
"""Seconds that the porter has for an answer."""
AT_START = 3.0
"""Seconds for which a start waits for the first answers."""


class HostNames:
    """*ask* has the porter asked, *handle* takes inputs of the engine, *notice* tells the operator."""

    def __init__(
        self,
        loop: Loop,
        ask: Callable[[AskedAddresses], None],
        handle: Callable[[Input], None],
        notice: Callable[[Level, str], None],
    ) -> None:
        self._loop = loop
        self._ask = ask
        self._handle = handle
        self._notice = notice
        self._wanted: frozenset[str] = frozenset()
        self._waiting: set[str] = set()
        self._failing: set[str] = set()
        self._round = 0

    def want(self, names: Iterable[str]) -> None:
        """From now on these are the names; all of them are asked for at once."""
        self._wanted = frozenset(names)
        self._failing &= self._wanted
        self._round += 1
        self._waiting = set()
        self._ask_all(self._round)

    @property
    def settled(self) -> bool:
        """Whether every name was answered since they were wanted."""
        return not self._waiting

    def _ask_all(self, number: int) -> None:
        """Ask for all names, and again in a while, unless others are wanted since this *number* of round."""
        if number != self._round or not self._wanted:
            return
        self._waiting = set(self._wanted)
        for name in sorted(self._wanted):
            try:
                self._ask(AskedAddresses(name, WITHIN))
            except EdgeError as error:
                self._unknown(name, f"no process can be had to look it up: {error}")
        self._loop.after(EVERY, lambda: self._ask_all(number))

    def answered(self, message: AddressesAre) -> None:
        """The porter found out, or could not."""
        if message.name not in self._wanted:
            return
        if message.addresses is None:
            self._unknown(message.name, "it cannot be looked up now")
            return
        self._waiting.discard(message.name)
        if not message.addresses:
            self._unknown(message.name, "it has no address")
        elif message.name in self._failing:
            self._failing.discard(message.name)
            self._notice(Level.NOTICE, f"exempt host {message.name}: looked up again")
        self._handle(Found(message.name, message.addresses))

    def _unknown(self, name: str, why: str) -> None:
        """Told once, until it is known again."""
        self._waiting.discard(name)
        if name not in self._failing:
            self._failing.add(name)
            self._notice(Level.WARNING, f"exempt host {name}: {why}; whoever is there may get banned")
