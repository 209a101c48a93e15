"""Events as they happen, to whoever subscribed: server-sent events (WHATWG HTML, section 9.2).

A subscriber that reads too slowly loses the oldest events that wait for it, and is told how many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from sentinetd.model.events import ON_REQUEST, ROUTINE, Event
from sentinetd.model.noun import dataclass
from sentinetd.model.trip_run import TripTable

WAITING_MOST = 1_000
"""Events that wait for one subscriber."""
RECENT = 500
"""Events that a new subscriber can have told again."""
SUBSCRIBERS_MOST = 64
BEAT = 15.0
"""Seconds of silence after which a comment shows that the stream lives."""

ROUTINE_KINDS = frozenset(kind.kind for kind in (*ROUTINE, *ON_REQUEST))


@dataclass(frozen=True, slots=True)
class Told:
    """One event: its *number* since the stream began, its *kind*, and itself as a line of JSON."""

    number: int
    kind: str
    line: str

    def frame(self) -> bytes:
        return f"id: {self.number}\nevent: {self.kind}\ndata: {self.line}\n\n".encode()


class Subscriber:
    """Wants events whose kind begins with one of *kinds*, all if there is none; the routine ones only if *routine*."""

    def __init__(self, kinds: tuple[str, ...], routine: bool) -> None:
        self._kinds = kinds
        self.routine = routine
        self._waiting: deque[Told] = deque()
        self._lost = 0
        self._stirred = asyncio.Event()
        self._over = False

    def wants(self, kind: str) -> bool:
        """Whether an event of *kind* is for this one."""
        return (self.routine or kind not in ROUTINE_KINDS) and (not self._kinds or kind.startswith(self._kinds))

    def put(self, told: Told) -> None:
        if len(self._waiting) >= WAITING_MOST:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(told)
        self._stirred.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._stirred.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """The stream's bytes, until the end."""
        yield b": sentinetd\n\n"
        while True:
            try:
                await asyncio.wait_for(self._stirred.wait(), BEAT)
            except TimeoutError:
                yield b": beat\n\n"
                continue
            self._stirred.clear()
            if self._lost:
                lost, self._lost = self._lost, 0
                yield b'event: stream.lost\ndata: {"kind":"stream.lost","count":%d}\n\n' % lost
            while self._waiting:
                yield self._waiting.popleft().frame()
            if self._over:
                return


class Stream:
    """All subscribers. *line* makes an event's JSON; *stir* is called when what they want may have changed."""

    def __init__(self, line: Callable[[Event], str], stir: Callable[[], None]) -> None:
        self._line = line
        self._stir = stir
        self._subscribers: set[Subscriber] = set()
        self._recent: deque[tuple[int, Callable[[], Sequence[Event]]]] = deque()  # what was told last: how many, which
        self._kept = 0  # how many these are
        self._number = 0

    @property
    def routine(self) -> frozenset[str]:
        """The routine kinds that somebody wants."""
        return frozenset(kind for kind in ROUTINE_KINDS if any(one.wants(kind) for one in self._subscribers))

    def __len__(self) -> int:
        return len(self._subscribers)

    def tell(self, *events: Event) -> None:
        """Pass *events* on."""
        if self._subscribers:
            for number, event in enumerate(events, self._number + 1):
                self._pass_on(number, event)
        self._keep(len(events), lambda: events)

    def tell_trips(self, trips: TripTable) -> None:
        """Pass on what *trips* stand for. While nobody subscribes, that is not made of them."""
        if self._subscribers:
            self.tell(*trips.events())
        else:
            self._keep(2 * len(trips), trips.events)

    def _keep(self, count: int, told: Callable[[], Sequence[Event]]) -> None:
        """Remember *count* events, which *told* gives, for those who subscribe later."""
        self._number += count
        self._recent.append((count, told))
        self._kept += count
        while self._kept - self._recent[0][0] >= RECENT:
            self._kept -= self._recent.popleft()[0]

    def _pass_on(self, number: int, event: Event) -> None:
        told: Told | None = None
        for one in self._subscribers:
            if one.wants(event.kind):
                if told is None:
                    told = Told(number, event.kind, self._line(event))
                one.put(told)

    def subscribe(self, kinds: tuple[str, ...], routine: bool, recent: int) -> Subscriber | None:
        """A new subscriber, who is told the *recent* last events first; None if there are too many."""
        if len(self._subscribers) >= SUBSCRIBERS_MOST:
            return None
        made = Subscriber(kinds, routine)
        recent_events = [event for _, told in self._recent for event in told()]
        numbered = enumerate(recent_events, self._number - self._kept + 1)
        fitting = [(number, event) for number, event in numbered if made.wants(event.kind)]
        for number, event in fitting[len(fitting) - recent :] if recent < len(fitting) else fitting:
            made.put(Told(number, event.kind, self._line(event)))
        self._subscribers.add(made)
        self._stir()
        return made

    def leave(self, subscriber: Subscriber) -> None:
        """*subscriber* wants no more."""
        self._subscribers.discard(subscriber)
        self._stir()

    def forget(self) -> None:
        """New subscribers are told nothing of before."""
        self._recent.clear()
        self._kept = 0

    def close(self) -> None:
        """End every subscription."""
        for one in self._subscribers:
            one.end()
