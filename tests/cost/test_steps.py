"""How many steps the guard takes for a connection, and the courier for what it is told; no state makes them more.

Steps are instructions of the interpreter (`cost.steps`): the same number each time, on any machine. Bounds are
`MEASURED` with `MARGIN`, which is for other versions of the interpreter and for what has to be added with good reason;
twice as many fail. ``PYTHONPATH=tests python -m cost.indoors 6`` counts anew, to lower what has become less; with the
kind of a connection it shows which functions take them.

What the interpreter does within one call in C (to look for a value in a list, say) is one step to it. So that growth is
found there, too, `GROWS` bounds the CPU time of many arrivals against that of as many with little state, the least of
`TIMES`: what grew with the state would be more by hundreds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cost.bookkeeping import each, refusals, trips
from cost.steps import Steps, least_time, steps
from policy.player import Player, addresses, sensor, service
from sentinetd.model.address import Network

MEASURED = {"refuse": 895, "banned": 880, "trip": 1370, "daytime": 768, "serve": 3438}
"""Instructions of CPython 3.11 for one connection, of the whole guard."""
BOOKED = {trips: 368, refusals: 779}
"""The same for one record that the courier is told, kept and written."""
MARGIN = 1.5
IDLE = (6, 300)
"""Services beside, few and many."""
AT_ONCE = 32
"""Arrivals that are looked at together."""
TIMES = 15
GROWS = 4.0
WITHIN = 100.0  # seconds


def counted(idle: int) -> dict[str, tuple[float, float, float]]:
    """Instructions, calls and CPU seconds by kind of connection, of a guard with *idle* services beside."""
    places = [str(Path(__file__).resolve().parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    command = [sys.executable, "-m", "cost.indoors", str(idle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return {kind: tuple(one) for kind, one in json.loads(done.stdout).items()}


def test_a_connection_takes_so_many_steps_however_many_services_there_are() -> None:
    few, many = (counted(idle) for idle in IDLE)
    print(f"with {IDLE[0]} services beside {few}, with {IDLE[1]} {many}")
    for kind, measured in MEASURED.items():
        assert few[kind][0] <= MARGIN * measured, f"{kind}: {few[kind][0]:.0f} instructions, {few[kind][1]:.0f} calls"
        assert many[kind][0] <= 1.05 * few[kind][0], f"{kind}: {few} with few services, {many} with many"
        assert many[kind][2] <= GROWS * few[kind][2], f"{kind}: {few} with few services, {many} with many"


@pytest.mark.parametrize("records", BOOKED, ids=lambda records: records.__name__)
def test_what_is_told_takes_so_many_steps_to_book(records: Callable[[int], list[Any]], tmp_path: Path) -> None:
    one = each(tmp_path, records)
    print(f"{records.__name__}: {one}")
    assert one.instructions <= MARGIN * BOOKED[records], one


def stage(*, bans: int = 1, listed: int = 1, exempt: int = 1, beside: int = 1, servers: int = 1) -> Player:
    """An engine in some state: service 1 refuses 192.0.2.1 by a list of *listed* addresses, 2 is a sensor, 3 serves and
    has *servers* running; *beside* more. Of *bans*, one is of 198.51.100.1."""
    refused = addresses("192.0.2.1", *_hosts("10.1", listed - 1))
    others = (service(f"beside-{number}") for number in range(beside))
    spared = addresses(*_hosts("10.2", exempt))
    player = Player(service("refuse", no_access=refused), sensor(), service(), *others, exempt=spared)
    ledger = player.engine.bans.ledger
    for number in range(bans - 1):
        ledger.impose(Network(4, (11 << 24) + number, 32), player.now + 3600.0 + number % 600)
    ledger.impose(Network.parse("198.51.100.1"), player.now + 3600.0)
    for source in _hosts("10.3", servers):
        player.serve(source, 3)
    return player


def _hosts(prefix: str, count: int) -> list[str]:
    return [f"{prefix}.{number >> 8}.{number & 255}" for number in range(count)]


Arrive = Callable[[Player, str], object]

ARRIVALS: dict[str, Arrive] = {
    "refused by its address": lambda player, fresh: player.arrive("192.0.2.1", 1),
    "refused as banned": lambda player, fresh: player.arrive("198.51.100.1", 3),
    "trip": lambda player, fresh: player.arrive(fresh, 2),
    "served": lambda player, fresh: player.end(player.serve("192.0.2.2", 3)),
}
"""What happens with a player; each may use a source that was never seen."""


@pytest.mark.parametrize(
    ("what", "count"),
    [
        pytest.param("bans", 100_000, id="bans"),
        pytest.param("listed", 2_000, id="addresses in no_access"),
        pytest.param("exempt", 2_000, id="exempt addresses"),
        pytest.param("beside", 1_000, id="services"),
        pytest.param("servers", 2_000, id="running servers"),
    ],
)
def test_an_arrival_takes_the_same_steps_in_any_state(what: str, count: int) -> None:
    small, large = stage(**{what: 10}), stage(**{what: count})
    fresh = (f"203.{number >> 8}.{number & 255}.1" for number in range(1 << 15))
    for kind, arrive in ARRIVALS.items():
        few, many = (_counted(arrive, player, fresh) for player in (small, large))
        fast, slow = (_timed(arrive, player, fresh) for player in (small, large))
        print(f"{kind}: {few} with 10 {what}, {many} with {count}; CPU {slow / fast:.2f} times")
        assert many.instructions <= 1.02 * few.instructions + 1, f"{kind}: {few} with 10 {what}, {many} with {count}"
        assert slow <= GROWS * fast, f"{kind}: {slow / fast:.1f} times the CPU time with {count} {what}"


def _counted(arrive: Arrive, player: Player, fresh: Iterator[str]) -> Steps:
    arrive(player, next(fresh))  # lists are put in order when they are first looked at
    return steps(lambda: [arrive(player, next(fresh)) for _ in range(AT_ONCE)]).each(AT_ONCE)


def _timed(arrive: Arrive, player: Player, fresh: Iterator[str]) -> float:
    return least_time(lambda: [arrive(player, next(fresh)) for _ in range(AT_ONCE)], TIMES)
