"""How many system calls a connection takes: no more than are written down here, in any of our processes.

They are the greater part of what a connection costs, and their number does not depend on the machine. A process may
make fewer than it is allowed, so that an improvement breaks nothing; whoever makes one lowers the bound. One call more
for each connection, on purpose, raises it, and the commit says what for.

Work is exact: it was counted over `VISITS` connections, and `SPARE` calls are left for what happens beside (a timer, an
answer of the courier). Looks (see `Calls`) depend on who runs when; their bound is what the worst order of events asks
for. To count anew: ``pytest -s -n 0 tests/cost/test_system_calls.py`` prints what each process did per connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cost.subject import (
    BANNED,
    DAYTIME,
    ECHO,
    OUTSIDER,
    REFUSE,
    SENSOR,
    SERVE,
    Maker,
    Queue,
    await_bans,
    begun,
    intruders,
    roles,
    visit,
)
from cost.system_calls import Calls, births, traced
from rig.daemon import Daemon
from rig.network import Lab

VISITS = 100
SPARE = 6
"""Calls of one process that belong to no connection."""


@dataclass(frozen=True, slots=True)
class Most:
    """What a process may do per connection; what is not named is at rest."""

    work: float
    looks: float


REST = Most(0, 0)


def within(counted: dict[str, Calls], most: dict[str, Most]) -> None:
    """Each process keeps to its bound."""
    for role, calls in counted.items():
        bound = most.get(role, REST)
        told = ", ".join(f"{name} {count / VISITS:g}" for name, count in calls.work.most_common())
        looked = ", ".join(f"{name} {count / VISITS:g}" for name, count in calls.looks.most_common())
        print(f"{role}: work {calls.work.total() / VISITS:g} of {bound.work:g} ({told}), "
              f"looks {calls.looks.total() / VISITS:g} of {bound.looks:g} ({looked})")  # fmt: skip
        assert calls.work.total() <= bound.work * VISITS + SPARE, f"{role}, each connection: {told}"
        assert calls.looks.total() <= bound.looks * VISITS + SPARE, f"{role}, each connection: {looked}"


@pytest.fixture
def daemon(make_daemon: Maker, lab: Lab, hello: Path) -> Daemon:
    return begun(make_daemon, lab, hello)


def one_by_one(directory: Path, daemon: Daemon, answer: bytes, come: Callable[[], bytes]) -> dict[str, Calls]:
    """Count while clients *come*, each after the last."""
    assert come() == answer
    with traced(directory, roles(daemon)) as counted:
        for _ in range(VISITS):
            assert come() == answer
    return counted


@pytest.mark.parametrize("source", [pytest.param(OUTSIDER, id="no_access"), pytest.param(BANNED, id="banned")])
def test_whoever_is_refused_is_accepted_and_hung_up_on(lab: Lab, daemon: Daemon, tmp_path: Path, source: str) -> None:
    counted = one_by_one(tmp_path, daemon, b"", lambda: visit(lab, REFUSE, source))
    within(counted, {"guard": Most(work=2, looks=2)})
    assert set(counted["guard"].work) <= {"accept4", "close", "sendmsg", "recvmsg"}  # the latter two: once a minute


def test_whoever_is_served(lab: Lab, daemon: Daemon, tmp_path: Path) -> None:
    counted = one_by_one(tmp_path, daemon, b"hello\n", lambda: visit(lab, SERVE))
    # A turn of the guard's loop for the client and the server's end each, and one that SIGCHLD interrupts; each time it
    # may find that there is no more. The spawner's reply is read with the end; now and then before, under a deadline.
    within(counted, {"guard": Most(work=8, looks=6), "spawner": Most(work=5, looks=0)})


def test_a_process_becomes_the_server(lab: Lab, daemon: Daemon, tmp_path: Path) -> None:
    """What is done between clone and exec costs every server the same."""
    found = births(tmp_path, roles(daemon)["spawner"], lambda: [visit(lab, SERVE) for _ in range(5)])
    print([dict(calls.work) for calls in found])
    assert len(found) == 5
    for calls in found:  # a session, 0, 1 and 2, the number of open files, the signal mask, group, groups and user
        assert calls.work.total() <= 9, calls
        assert calls.looks.total() == 0, calls


def test_whom_the_guard_answers_itself(lab: Lab, daemon: Daemon, tmp_path: Path) -> None:
    counted = one_by_one(tmp_path, daemon, visit(lab, DAYTIME), lambda: visit(lab, DAYTIME))
    within(counted, {"guard": Most(work=6, looks=2)})


def test_whom_the_porter_answers(lab: Lab, daemon: Daemon, tmp_path: Path) -> None:
    counted = one_by_one(tmp_path, daemon, b"abc", lambda: visit(lab, ECHO, say=b"abc"))
    within(counted, {"guard": Most(work=6, looks=4), "porter": Most(work=15, looks=9)})


def test_whoever_touches_a_sensor(lab: Lab, daemon: Daemon, tmp_path: Path) -> None:
    """What is told goes over in packets of many, and is stored and written as many at once."""
    found = roles(daemon)
    queue = Queue(lab, found["guard"], SENSOR, intruders(VISITS))
    with traced(tmp_path, found) as counted:
        assert queue.serve() == [b""] * VISITS
        await_bans(daemon, VISITS + 1)
    within(counted, {"guard": Most(work=2.2, looks=1), "courier": Most(work=1, looks=1)})
