"""The store that fails: held, tried again, told once. Time is the test's."""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rig.trips import flood, table
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, BanRun
from sentinetd.model.events import Event, FollowerFailed, FollowerMended, Level, Notice
from sentinetd.store import keeper as keeper_module
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Change, Store

NOW = 1_700_000_000.0
T = TypeVar("T")


class Clock:
    """Two clocks that go together."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def wall(self) -> float:
        return NOW + self.seconds

    def now(self) -> float:
        return self.seconds


async def at_once(call: Callable[[], T]) -> T:
    return call()


def run_at_once(call: Callable[[], T]) -> Awaitable[T]:
    return at_once(call)


class Bench:
    """A keeper on a directory, its clock in hand."""

    def __init__(self, directory: Path, *, leave_broken: bool = False) -> None:
        self.clock = Clock()
        self.directory = directory
        self.keeper = Keeper(
            Store(str(directory)), run_at_once, self.clock.wall, self.clock.now, leave_broken=leave_broken
        )

    def restore(self, *, give: bool = True) -> list[Network]:
        async def collected() -> list[Any]:
            return [one async for chunk in self.keeper.restore(give=give) for one in chunk]

        runs = [one for one in asyncio.run(collected()) if isinstance(one, BanRun)]
        return [Network(run.version, prefix, run.length) for run in runs for prefix, _ in run.rows()]

    def keep(self, *changes: Change) -> list[Event]:
        asyncio.run(self.keeper.keep(changes))
        return self.keeper.told()

    def close(self) -> None:
        closing: Coroutine[Any, Any, None] = self.keeper.close()
        asyncio.run(closing)


def ban(number: int) -> Ban:
    return Ban(Network(4, number, 32), NOW, NOW + 3600, "irc")


class Locked:
    """Somebody else writes to the file, as sqlite3(1) might: nothing can be committed until `release`."""

    def __init__(self, directory: Path) -> None:
        self._database = sqlite3.connect(directory / "bans.sqlite", isolation_level=None)
        self._database.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._database.close()


def test_kept_bans_come_back(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    assert first.restore() == []
    assert (first.keeper.trouble, first.keeper.retry_at) == ("", math.inf)
    assert first.keep(ban(1), ban(2), ban(1).network) == []
    first.close()
    second = Bench(tmp_path)
    assert second.restore() == [ban(2).network]
    assert second.restore(give=False) == []
    assert second.keeper.ready
    second.close()


def test_failure_is_told_once_tried_with_longer_pauses_and_mended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.restore()
    locked = Locked(tmp_path)
    path = tmp_path / "bans.sqlite"
    assert bench.keep(ban(1)) == [FollowerFailed(NOW, "store", f"{path}: database is locked", 0.5)]
    assert bench.keeper.retry_at == 0.5
    assert bench.keep(ban(2)) == [], "not before its time"
    bench.clock.seconds = 0.5
    assert bench.keep() == []
    assert bench.keeper.retry_at == 1.5, "the next pause is twice as long"
    locked.release()
    assert bench.keep(ban(3)) == []
    bench.clock.seconds = 1.5
    assert bench.keep() == [FollowerMended(NOW + 1.5, "store")]
    assert bench.keeper.retry_at == math.inf
    bench.close()
    again = Bench(tmp_path)
    assert again.restore() == [ban(1).network, ban(2).network, ban(3).network]
    again.close()


def test_pauses_end_at_the_longest(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "none")
    pauses = []
    for _ in range(9):
        bench.restore()
        pauses.append(bench.keeper.retry_at - bench.clock.seconds)
        bench.clock.seconds = bench.keeper.retry_at
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_what_is_held_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "MOST_HELD", 3)
    bench = Bench(tmp_path)
    bench.restore()
    locked = Locked(tmp_path)
    bench.keep(ban(1), ban(2))
    bench.keep(ban(3), ban(4), ban(5))
    locked.release()
    bench.clock.seconds = 0.5
    assert bench.keep() == [
        Notice(NOW + 0.5, Level.CRITICAL, "store: 2 bans are not kept: too many"),
        FollowerMended(NOW + 0.5, "store"),
    ]
    bench.close()
    again = Bench(tmp_path)
    assert again.restore() == [ban(1).network, ban(2).network, ban(3).network]
    again.close()


def test_of_trips_that_are_held_each_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "MOST_HELD", 4)
    bench = Bench(tmp_path)
    bench.restore()
    locked = Locked(tmp_path)
    bench.keep(table(*flood(3)))
    bench.keep(table(*flood(2)), ban(1))
    locked.release()
    bench.clock.seconds = 0.5
    assert bench.keep() == [
        Notice(NOW + 0.5, Level.CRITICAL, "store: 2 bans are not kept: too many"),
        FollowerMended(NOW + 0.5, "store"),
    ]
    assert bench.keep(table(*flood(4))) == [], "nothing is held any more"
    bench.close()
    again = Bench(tmp_path)
    assert again.restore() == [ban(1).network, *(one.network for one in flood(4))]
    again.close()


def test_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    bench = Bench(directory)
    assert bench.restore() == []
    assert bench.keeper.trouble == f"{directory}/lock: No such file or directory"
    assert not bench.keeper.ready
    assert bench.keep(ban(1)) == [FollowerFailed(NOW, "store", bench.keeper.trouble, 0.5)]
    directory.mkdir()
    bench.clock.seconds = 0.5
    assert bench.restore() == []
    assert (bench.keeper.ready, bench.keeper.trouble) == (True, "")
    assert bench.keep() == [FollowerMended(NOW + 0.5, "store")]
    bench.close()
    again = Bench(directory)
    assert again.restore() == [ban(1).network]
    again.close()


def test_damaged_store_is_moved_aside_and_told(tmp_path: Path) -> None:
    (tmp_path / "bans.sqlite").write_bytes(b"x" * 5000)
    bench = Bench(tmp_path)
    assert bench.restore() == []
    assert bench.keeper.ready
    aside = tmp_path / "bans.sqlite.broken-1700000000"
    assert bench.keeper.trouble.startswith(f"damaged and moved to {aside}, a new one is begun")
    assert bench.keep(ban(1)) == [Notice(NOW, Level.CRITICAL, f"store: {bench.keeper.trouble}")]
    assert aside.read_bytes() == b"x" * 5000
    bench.close()


def test_required_store_that_is_damaged_stays(tmp_path: Path) -> None:
    (tmp_path / "bans.sqlite").write_bytes(b"x" * 5000)
    bench = Bench(tmp_path, leave_broken=True)
    assert bench.restore() == []
    assert "file is not a database" in bench.keeper.trouble
    assert bench.keeper.retry_at == math.inf
    assert bench.keep(ban(1)) == [FollowerFailed(NOW, "store", bench.keeper.trouble, math.inf)]
    assert sorted(os.listdir(tmp_path)) == ["bans.sqlite", "lock"]
    bench.close()


def test_newer_store_is_not_tried_again(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "bans.sqlite") as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    bench = Bench(tmp_path)
    bench.restore()
    assert bench.keeper.retry_at == math.inf
    assert bench.keep(ban(1)) == [FollowerFailed(NOW, "store", bench.keeper.trouble, math.inf)]
    assert bench.keep(ban(2)) == []
    bench.close()


def test_damage_while_in_use(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.restore()
    bench.keep(*(ban(number) for number in range(60_000)))  # more than SQLite keeps in memory
    bench.close()
    bench = Bench(tmp_path)
    bench.restore()
    with open(tmp_path / "bans.sqlite", "r+b") as file:
        file.truncate(4096 + 100)
    (failed,) = bench.keep(ban(10))
    assert isinstance(failed, FollowerFailed)
    assert not bench.keeper.ready
    bench.clock.seconds = 0.5
    assert bench.restore() == []
    moved, mended = bench.keep()
    assert isinstance(moved, Notice)
    assert "moved to" in moved.text
    assert mended == FollowerMended(NOW + 0.5, "store")
    bench.close()
    again = Bench(tmp_path)
    assert again.restore() == [ban(10).network], "what was held went into the new one"
    again.close()


def test_old_bans_are_purged_while_it_runs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.restore()
    bench.keep(ban(1))
    bench.clock.seconds = 3600 + 86_400 + 1
    bench.keep(Ban(Network(4, 2, 32), bench.clock.wall(), math.inf, "irc"))
    with sqlite3.connect(tmp_path / "bans.sqlite") as database:
        assert database.execute("SELECT count(*) FROM bans").fetchone() == (1,)
    database.close()
    bench.close()
