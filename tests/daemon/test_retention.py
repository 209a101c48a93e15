"""How long the store remembers: what is too old goes though nothing happens, and a failing store hinders nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from sentinetd.daemon import retention as module
from sentinetd.daemon.retention import Retention
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban
from sentinetd.model.settings import CourierSettings
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Store

NOW = 1_700_000_000.0
T = TypeVar("T")


async def at_once(call: Callable[[], T]) -> T:
    return call()


def run_at_once(call: Callable[[], T]) -> Awaitable[T]:
    return at_once(call)


def rows(directory: Path) -> int:
    with sqlite3.connect(directory / "bans.sqlite") as database:
        count: int = database.execute("SELECT count(*) FROM history").fetchone()[0]
    database.close()
    return count


@pytest.mark.parametrize("locked", [False, True], ids=["works", "locked at first"])
def test_old_history_goes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: bool) -> None:
    monkeypatch.setattr(module, "PURGE_EVERY", 0.001)
    wall = [NOW]

    async def play() -> None:
        keeper = Keeper(Store(str(tmp_path)), run_at_once, lambda: wall[0], lambda: wall[0] - NOW)
        async for _ in keeper.restore():
            pass
        network = Network(4, 1, 32)
        keeper.remember_offences(1e9)
        await keeper.keep([Ban(network, NOW, NOW + 60, "irc"), Ban(network, NOW + 100, NOW + 160, "irc")])
        assert rows(tmp_path) == 1
        wall[0] += 10 * 86_400
        retention = Retention(keeper)
        assert await retention.prepare(CourierSettings(keep_history=7 * 86_400.0), {}) == ()
        other = sqlite3.connect(tmp_path / "bans.sqlite", isolation_level=None)
        if locked:
            other.execute("BEGIN IMMEDIATE")
        retention.enact()
        await asyncio.sleep(0)
        other.close()
        async with asyncio.timeout(20):
            while rows(tmp_path):
                wall[0] += 60
                await keeper.keep([])
                await asyncio.sleep(0.001)
        await retention.close()
        await keeper.close()

    asyncio.run(play())
