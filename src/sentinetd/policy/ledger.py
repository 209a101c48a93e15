"""The bans in force: which networks are refused, and until when. Nothing else of a ban is kept here.

One dictionary per prefix length in use, keyed by the prefix as a number: a look-up costs one probe per length, however
many bans there are. Ends are exact, since a look-up compares; a bucket per second finds what has ended, to forget it.
A ban that is lengthened stays in its bucket until that is looked at, and moves on then: however often a source touches
a sensor, it takes one place.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Iterator

from sentinetd.model.address import BITS, Address, Network

_Key = int | tuple[int, str]  # the prefix; with the interface for a link-local one


class _Table:
    """The bans of one IP version and prefix length."""

    __slots__ = ("buckets", "ends", "length", "seconds", "shift", "version")

    def __init__(self, version: int, length: int) -> None:
        self.version = version
        self.length = length
        self.shift = BITS[version] - length
        self.ends: dict[_Key, float] = {}
        self.buckets: dict[int, list[_Key] | array[int]] = {}  # second in which they are due -> keys
        self.seconds: list[int] = []  # heap of the buckets' seconds

    def key(self, value: int, scope: str) -> _Key:
        prefix = value >> self.shift
        return (prefix, scope) if scope else prefix

    def network(self, key: _Key) -> Network:
        prefix, scope = key if isinstance(key, tuple) else (key, "")
        return Network(self.version, prefix << self.shift, self.length, scope)

    def file(self, key: _Key, until: float) -> None:
        """Remember to look at *key* when *until* has come."""
        if math.isinf(until):
            return
        second = math.ceil(until)
        bucket = self.buckets.get(second)
        if bucket is None:
            bucket = self.buckets[second] = array("I") if self.version == 4 else []  # half of what a list would take
            heapq.heappush(self.seconds, second)
        bucket.append(key)  # type: ignore[arg-type]  # no IPv4 address has a scope


class Ledger:
    """At most *maximum* bans. Times are seconds on the engine's clock."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._tables: dict[tuple[int, int], _Table] = {}
        self._by_version: dict[int, tuple[_Table, ...]] = {4: (), 6: ()}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def holds(self, source: Address, now: float) -> bool:
        """Whether *source* is banned at *now*."""
        for table in self._by_version[source.version]:
            until = table.ends.get(source.value >> table.shift)
            if until is not None and until > now:
                return True
            if source.scope:
                until = table.ends.get((source.value >> table.shift, source.scope))
                if until is not None and until > now:
                    return True
        return False

    def until(self, network: Network) -> float | None:
        """When the ban of exactly *network* ends; None if there is none."""
        table = self._tables.get((network.version, network.length))
        return None if table is None else table.ends.get(table.key(network.value, network.scope))

    def covering(self, network: Network, now: float) -> Network | None:
        """The narrowest network that is banned at *now* and holds all of *network*; None if none does."""
        tables = [one for one in self._by_version[network.version] if one.length <= network.length]
        for table in sorted(tables, key=lambda one: -one.length):
            for scope in dict.fromkeys(("", network.scope)):
                key = table.key(network.value, scope)
                until = table.ends.get(key)
                if until is not None and until > now:
                    return table.network(key)
        return None

    def impose(self, network: Network, until: float) -> bool:
        """Ban *network* until *until*, or later if it is banned for longer; whether that changed anything."""
        table = self._table(network.version, network.length)
        key = table.key(network.value, network.scope)
        standing = table.ends.get(key)
        if standing is None:
            self._count += 1
            table.file(key, until)
        elif standing >= until:
            return False
        table.ends[key] = until
        return True

    def lift(self, network: Network) -> bool:
        """End the ban of exactly *network*; whether there was one."""
        table = self._tables.get((network.version, network.length))
        if table is None or table.ends.pop(table.key(network.value, network.scope), None) is None:
            return False
        self._count -= 1
        return True

    def clear(self) -> None:
        """End all bans."""
        self._tables.clear()
        self._by_version = {4: (), 6: ()}
        self._count = 0

    def overflow(self) -> Iterator[Network]:
        """Forget and give the bans that end soonest until no more than the maximum are left; endless ones go last.

        Those that end within the same second go in any order.
        """
        while self._count > self.maximum:
            due = [table for table in self._tables.values() if table.seconds]
            if due:
                table = min(due, key=lambda one: one.seconds[0])
                yield from self._take(table, self._count - self.maximum)
            else:
                table = max(self._tables.values(), key=lambda one: len(one.ends))
                key = next(iter(table.ends))  # of those that never end, the oldest
                del table.ends[key]
                self._count -= 1
                yield table.network(key)

    def expire(self, now: float) -> list[Network]:
        """Forget the bans that have ended at *now*, and say which they were."""
        ended: list[Network] = []
        for table in self._tables.values():
            while table.seconds and table.seconds[0] <= now:
                ended += self._take(table, math.inf)
        return ended

    def deadline(self) -> float | None:
        """When `expire` has something to look at; None if no ban ends."""
        return min((table.seconds[0] for table in self._tables.values() if table.seconds), default=None)

    def bans(self) -> Iterator[tuple[Network, float]]:
        """Every ban and its end."""
        for table in self._tables.values():
            for key, until in table.ends.items():
                yield table.network(key), until

    def _take(self, table: _Table, most: float) -> list[Network]:
        """Empty the earliest bucket of *table*: forget up to *most* bans that end in its second."""
        second = heapq.heappop(table.seconds)
        keys = table.buckets.pop(second)
        gone: list[Network] = []
        while keys and len(gone) < most:
            key = keys.pop()
            until = table.ends.get(key)
            if until is None:
                continue  # it was lifted
            if until > second:
                table.file(key, until)  # it was lengthened
                continue
            del table.ends[key]
            self._count -= 1
            gone.append(table.network(key))
        if keys:
            table.buckets[second] = keys
            heapq.heappush(table.seconds, second)
        return gone

    def _table(self, version: int, length: int) -> _Table:
        table = self._tables.get((version, length))
        if table is None:
            table = self._tables[version, length] = _Table(version, length)
            self._by_version[version] = (*self._by_version[version], table)
        return table
