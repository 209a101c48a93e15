"""The bans in force: which networks are refused, and until when. Nothing else of a ban is kept here.

One dictionary per prefix length in use, keyed by the prefix as a number: a look-up costs one probe per length, however
many bans there are. Ends are exact, since a look-up compares; a bucket per second finds what has ended, to forget it.
A ban that is lengthened stays in its bucket until that is looked at, and moves on then: however often a source touches
a sensor, it takes one place.

The number of an end takes as much as the rest of a ban: bans that end at the same time share one. Who gives ends makes
them coincide (`shared_end`); they come close together where bans are many.

An operator's ban is the last to go when there are too many. That it is one is told by the sign of its end: negative
ends cost nothing, and a second table would cost as much as the bans.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import deque
from collections.abc import Iterable, Iterator

from sentinetd.model.address import BITS, Address, Network

_Key = int | tuple[int, str]  # the prefix, see `_Table.flip`; with the interface for a link-local one


class _Calendar:
    """When to look at which keys of a table: a bucket for each second, and those that never end."""

    __slots__ = ("buckets", "endless", "narrow", "seconds")

    def __init__(self, narrow: bool) -> None:
        self.narrow = narrow  # keys are numbers of 32 bits
        self.buckets: dict[int, list[_Key] | array[int]] = {}  # second in which they are due -> keys
        self.seconds: list[int] = []  # heap of the buckets' seconds
        self.endless: deque[_Key] = deque()  # the oldest first; some may have been lifted meanwhile

    def file(self, key: _Key, until: float) -> None:
        """Remember to look at *key* when *until* has come."""
        if until == math.inf:
            self.endless.append(key)
            return
        second = math.ceil(until)
        bucket = self.buckets.get(second)
        if bucket is None:
            bucket = self.buckets[second] = array("I") if self.narrow else []  # half of what a list would take
            heapq.heappush(self.seconds, second)
        bucket.append(key)  # type: ignore[arg-type]  # no IPv4 address has a scope


class _Table:
    """The bans of one IP version and prefix length. *ends*: by key, negative for an operator's.

    The public IPv6 addresses of today begin with the bits 0010 (2000::/4). Keys are prefixes with these bits turned
    (*flip*): then a /64 is a number of 60 bits, which takes the interpreter 32 bytes and not 48. A number as it comes
    from `^` has room for more; the one that a shift gives, if only by 0, has not, and is what is kept.
    """

    __slots__ = ("ends", "flip", "kept", "length", "passing", "shift", "version")

    def __init__(self, version: int, length: int) -> None:
        self.version = version
        self.length = length
        self.shift = BITS[version] - length
        self.flip = 2 << length - 4 if version == 6 and length >= 4 else 0
        self.ends: dict[_Key, float] = {}
        self.passing = _Calendar(version == 4)
        self.kept = _Calendar(version == 4)  # an operator's

    def key(self, value: int, scope: str) -> _Key:
        prefix = (value >> self.shift ^ self.flip) >> 0
        return (prefix, scope) if scope else prefix

    def network(self, key: _Key) -> Network:
        prefix, scope = key if isinstance(key, tuple) else (key, "")
        return Network(self.version, (prefix ^ self.flip) << self.shift, self.length, scope)

    def calendar(self, kept: bool) -> _Calendar:
        return self.kept if kept else self.passing

    def file(self, key: _Key, end: float) -> None:
        """Remember to look at *key*, which has *end* in the table, when its time has come."""
        self.calendar(end < 0).file(key, abs(end))


class Ledger:
    """At most *maximum* bans. Times are seconds on the engine's clock, greater than zero."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._tables: dict[tuple[int, int], _Table] = {}
        self._by_version: dict[int, tuple[_Table, ...]] = {4: (), 6: ()}
        self._count = 0
        self._lately: dict[float, float] = {}  # ends, each by itself

    def __len__(self) -> int:
        return self._count

    def holds(self, source: Address, now: float) -> bool:
        """Whether *source* is banned at *now*."""
        for table in self._by_version[source.version]:
            key = source.value >> table.shift ^ table.flip
            end = table.ends.get(key)
            if end is not None and abs(end) > now:
                return True
            if source.scope:
                end = table.ends.get((key, source.scope))
                if end is not None and abs(end) > now:
                    return True
        return False

    def until(self, network: Network) -> float | None:
        """When the ban of exactly *network* ends; None if there is none."""
        table = self._tables.get((network.version, network.length))
        end = None if table is None else table.ends.get(table.key(network.value, network.scope))
        return None if end is None else abs(end)

    def covering(self, network: Network, now: float) -> Network | None:
        """The narrowest network that is banned at *now* and holds all of *network*; None if none does."""
        tables = [one for one in self._by_version[network.version] if one.length <= network.length]
        for table in sorted(tables, key=lambda one: -one.length):
            for scope in dict.fromkeys((network.scope, "")):
                key = table.key(network.value, scope)
                end = table.ends.get(key)
                if end is not None and abs(end) > now:
                    return table.network(key)
        return None

    def impose(self, network: Network, until: float, *, kept: bool = False) -> bool:
        """Ban *network* until *until*, or later if it is banned for longer; whether that changed anything. *kept*: it
        is an operator's, and stays one until it is lifted or has ended."""
        table = self._tables.get((network.version, network.length)) or self._table(network.version, network.length)
        prefix = (network.value >> table.shift ^ table.flip) >> 0  # as `_Table.key`: each trip comes by here
        key: _Key = (prefix, network.scope) if network.scope else prefix
        standing = table.ends.get(key)
        if standing is None:
            self._count += 1
            end = -until if kept else until
            table.ends[key] = self._lately.setdefault(end, end)
            (table.kept if kept else table.passing).file(key, until)
            if len(self._lately) > SHARED_MOST:
                self._lately.clear()
            return True
        later, keep = until > abs(standing), kept and standing > 0
        if not later and not keep:
            return False
        table.ends[key] = math.copysign(until if later else standing, -1 if kept or standing < 0 else 1)
        return True

    def recall(self, version: int, length: int, scope: str, rows: Iterable[tuple[int, float]], *, kept: bool) -> int:
        """`impose` for many networks at once: their prefixes as numbers, and their ends. How many are new."""
        table = self._table(version, length)
        ends, flip, before = table.ends, table.flip, len(table.ends)
        known = self._lately.setdefault
        for prefix, until in rows:
            key = (prefix ^ flip, scope) if scope else (prefix ^ flip) >> 0
            if key in ends:
                self.impose(table.network(key), until, kept=kept)
            else:
                end = -until if kept else until
                ends[key] = end = known(end, end)
                table.file(key, end)
        self._count += len(ends) - before
        self._forget_some()
        return len(ends) - before

    def lift(self, network: Network) -> bool:
        """End the ban of exactly *network*; whether there was one."""
        table = self._tables.get((network.version, network.length))
        if table is None or table.ends.pop(table.key(network.value, network.scope), None) is None:
            return False
        self._count -= 1
        self._tidy(table)
        return True

    def clear(self) -> None:
        """End all bans."""
        self._tables.clear()
        self._by_version = {4: (), 6: ()}
        self._count = 0
        self._lately.clear()

    def overflow(self) -> Iterator[Network]:
        """Forget and give the bans that end soonest until no more than the maximum are left; endless ones go after
        those, the oldest first, and an operator's last of all.

        Those that end within the same second go in any order.
        """
        for kept in (False, True):
            while self._count > self.maximum:
                due = [table for table in self._tables.values() if table.calendar(kept).seconds]
                if due:
                    table = min(due, key=lambda one: one.calendar(kept).seconds[0])
                    yield from self._take(table, kept, self._count - self.maximum)
                elif (network := self._drop_endless(kept)) is not None:
                    yield network
                else:
                    break

    def expire(self, now: float) -> list[Network]:
        """Forget the bans that have ended at *now*, and say which they were."""
        ended: list[Network] = []
        for table in self._tables.values():
            for kept in (False, True):
                seconds = table.calendar(kept).seconds
                while seconds and seconds[0] <= now:
                    ended += self._take(table, kept, math.inf)
        return ended

    def deadline(self) -> float | None:
        """When `expire` has something to look at; None if no ban ends."""
        first = None
        for table in self._tables.values():
            for calendar in (table.passing, table.kept):
                if calendar.seconds and (first is None or calendar.seconds[0] < first):
                    first = calendar.seconds[0]
        return first

    def bans(self) -> Iterator[tuple[Network, float]]:
        """Every ban and its end. Bans may come and go meanwhile: of those, some are among what is given, some not."""
        for table in list(self._tables.values()):
            for key in list(table.ends):
                end = table.ends.get(key)
                if end is not None:
                    yield table.network(key), abs(end)

    def _take(self, table: _Table, kept: bool, most: float) -> list[Network]:
        """Empty the earliest bucket of a calendar of *table*: forget up to *most* bans that end in its second."""
        calendar = table.calendar(kept)
        second = heapq.heappop(calendar.seconds)
        keys = calendar.buckets.pop(second)
        gone: list[Network] = []
        while keys and len(gone) < most:
            key = keys.pop()
            end = table.ends.get(key)
            if end is None:
                continue  # it was lifted
            if abs(end) > second or (end < 0) is not kept:
                table.file(key, end)  # it was lengthened, or became an operator's
                continue
            del table.ends[key]
            self._count -= 1
            gone.append(table.network(key))
        if keys:
            calendar.buckets[second] = keys
            heapq.heappush(calendar.seconds, second)
        return gone

    def _drop_endless(self, kept: bool) -> Network | None:
        """Forget the oldest of the bans that never end, of the table that has most of them; None if there is none."""
        while True:
            table = max(self._tables.values(), key=lambda one: len(one.calendar(kept).endless), default=None)
            if table is None or not table.calendar(kept).endless:
                return None
            key = table.calendar(kept).endless.popleft()
            end = table.ends.get(key)
            if end is None or abs(end) != math.inf:
                continue  # it was lifted, and maybe imposed again for a time
            if (end < 0) is not kept:
                table.file(key, end)  # it became an operator's
                continue
            del table.ends[key]
            self._count -= 1
            return table.network(key)

    @staticmethod
    def _tidy(table: _Table) -> None:
        """Keep the lists of what never ends from growing by bans that are lifted and imposed again and again."""
        if len(table.passing.endless) + len(table.kept.endless) > 2 * len(table.ends) + ENDLESS_IDLE:
            table.passing.endless.clear()
            table.kept.endless.clear()
            for key, end in table.ends.items():
                if math.isinf(end):
                    table.file(key, end)

    def _forget_some(self) -> None:
        if len(self._lately) > SHARED_MOST:
            self._lately.clear()

    def _table(self, version: int, length: int) -> _Table:
        table = self._tables.get((version, length))
        if table is None:
            table = self._tables[version, length] = _Table(version, length)
            self._by_version[version] = (*self._by_version[version], table)
        return table


def shared_end(until: float) -> float:
    """*until*, or up to a quarter of a second after it: an end that other bans have, too. No ban is shorter than it was
    told."""
    return until if until == math.inf else math.ceil(until * PARTS) / PARTS


PARTS = 4
"""Of a second: a million bans that end within an hour have 14,400 ends."""
SHARED_MOST = 20_000
"""Ends that are remembered, for others to share them; about."""
ENDLESS_IDLE = 1_000
"""Lifted bans that the list of endless ones may still hold."""
