"""The SQLite file: what is kept, what comes back, and what a damaged, newer or locked one leads to."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.store.sqlite import BrokenStore, NewerStore, Store

NOW = 1_700_000_000.0
NET = Network.parse("192.0.2.7")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path))
    made.open()
    yield made
    made.close()


def ban(span: float = 3600.0, at: float = NOW, network: Network = NET, sensor: str = "irc") -> Ban:
    return Ban(network, at, at + span, sensor)


def loaded(store: Store, now: float = NOW) -> list[Ban]:
    return [one for chunk in store.load(now) for one in chunk]


def row(store: Store) -> dict[str, object]:
    """The only row, by column."""
    with sqlite3.connect(store.path) as database:
        database.row_factory = sqlite3.Row
        (only,) = database.execute("SELECT * FROM bans").fetchall()
    database.close()
    return dict(only)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(Ban(Network.parse("192.0.2.7"), NOW, NOW + 60, "irc"), id="IPv4"),
        pytest.param(Ban(Network.parse("0.0.0.0/0"), NOW, NOW + 60, "irc"), id="a short prefix"),
        pytest.param(Ban(Network.parse("2001:db8:1::/64"), NOW, NOW + 60, "irc"), id="IPv6"),
        pytest.param(Ban(Network.parse("fe80::1%eth0"), NOW, NOW + 60, "irc"), id="link-local"),
        pytest.param(Ban(NET, NOW, math.inf, "irc"), id="for ever"),
        pytest.param(Ban(NET, NOW, NOW + 60, "", Origin.OPERATOR), id="by the operator"),
        pytest.param(Ban(NET, NOW, NOW + 60, "", Origin.FLEET), id="from the fleet"),
        pytest.param(Ban(NET, NOW, NOW + 60, "sensor-\xe9\0x", Origin.FEED), id="a strange name"),
        pytest.param(Ban(NET, NOW + 0.125, NOW + 0.5, "irc"), id="fractions of a second"),
    ],
)
def test_what_is_kept_comes_back(tmp_path: Path, kept: Ban) -> None:
    store = Store(str(tmp_path))
    store.open()
    store.write([kept])
    store.close()
    again = Store(str(tmp_path))
    again.open()
    assert loaded(again, NOW + 0.25) == [kept]
    again.close()


def test_name_that_is_no_text_is_kept_escaped(store: Store) -> None:
    store.write([ban(sensor="a\udcff")])
    assert [one.sensor for one in loaded(store)] == ["a\\udcff"]


@pytest.mark.parametrize(
    ("first", "second", "until", "last", "trips"),
    [
        pytest.param(ban(3600), ban(3600, NOW + 60), NOW + 3660, NOW + 60, 2, id="a later end replaces an earlier one"),
        pytest.param(ban(3600), ban(60, NOW + 60), NOW + 3600, NOW + 60, 2, id="an earlier one does not"),
        pytest.param(ban(3600), ban(math.inf, NOW + 60), None, NOW + 60, 2, id="for ever replaces any"),
        pytest.param(ban(math.inf), ban(60, NOW + 60), None, NOW + 60, 2, id="for ever stays"),
        pytest.param(ban(3600), ban(3600), NOW + 3600, NOW, 1, id="told twice is no second trip"),
        pytest.param(
            ban(3600, NOW + 60), ban(3600), NOW + 3660, NOW + 60, 1, id="an old one told again shortens nothing"
        ),
        pytest.param(
            ban(60, NOW + 9000), ban(36000), NOW + 36000, NOW, 1, id="clock set back: the end keeps its beginning"
        ),
        pytest.param(
            ban(3600), Ban(NET, NOW + 60, NOW + 7200, "", Origin.OPERATOR), NOW + 7200, NOW + 60, 1, id="no trip"
        ),
    ],
)
def test_same_network_again(
    store: Store, first: Ban, second: Ban, until: float | None, last: float, trips: int
) -> None:
    store.write([first])
    store.write([second])
    assert row(store) == {
        "version": 4,
        "value": bytes([192, 0, 2, 7]),
        "length": 32,
        "scope": "",
        "sensor": "irc",
        "origin": "sensor",
        "since": first.since,
        "last": last,
        "until": until,
        "trips": trips,
        "note": "",
    }


def test_changes_are_committed_in_their_order(store: Store) -> None:
    other = Network.parse("192.0.2.8")
    store.write([ban(), NET, ban(60), ban(60, network=other), other])
    assert loaded(store) == [ban(60)]


def test_all_or_nothing(store: Store) -> None:
    with pytest.raises(EdgeError):
        store.write([ban(), ban(network=Network(4, 1, 99))])
    assert loaded(store) == []


def test_ended_bans_do_not_come_back(store: Store) -> None:
    store.write([ban(60)])
    assert loaded(store, NOW + 59.9) == [ban(60)]
    assert loaded(store, NOW + 60) == []


@pytest.mark.parametrize(
    ("age", "rows"),
    [
        pytest.param(86_399.0, 1, id="ended within a day: remembered"),
        pytest.param(86_401.0, 0, id="ended longer ago: forgotten"),
    ],
)
def test_purge(store: Store, age: float, rows: int) -> None:
    store.write([ban(60), ban(math.inf, network=Network.parse("192.0.2.8"))])
    store.purge(NOW + 60 + age)
    with sqlite3.connect(store.path) as database:
        assert database.execute("SELECT count(*) FROM bans").fetchone() == (rows + 1,)
    database.close()


def test_clock_set_back_does_not_lengthen_a_ban(store: Store) -> None:
    store.write([ban(3600)])
    back = NOW - 1_000_000
    assert loaded(store, back) == [ban(3600, back)]
    assert loaded(store, back + 600) == [ban(3600, back)], "the file was corrected: its time runs"


def test_chunks(store: Store) -> None:
    bans = {ban(network=Network(4, number, 32)) for number in range(1001)}
    store.write(bans)
    chunks = list(store.load(NOW))
    assert [len(chunk) for chunk in chunks] == [400, 400, 201]
    assert {one for chunk in chunks for one in chunk} == bans


def test_rewrite_keeps_details_and_sets_ends(store: Store) -> None:
    other = Network.parse("192.0.2.8")
    store.write([ban(3600, NOW - 50), ban(network=other)])
    store.write([ban(3600)])
    store.rewrite([Ban(NET, NOW, NOW + 60, "")])
    found = row(store)
    assert (found["sensor"], found["since"], found["trips"], found["until"]) == ("irc", NOW - 50, 2, NOW + 60)


def test_file_is_ours_alone(store: Store, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "bans.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not a database" * 500, id="something else"),
        pytest.param(None, id="damaged in the middle"),
    ],
)
def test_broken_file_is_moved_aside(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bans.sqlite"
    if content is None:
        full = Store(str(tmp_path))
        full.open()
        full.write([ban(network=Network(4, number, 32)) for number in range(5000)])
        full.close()
        data = bytearray(path.read_bytes())
        data[8192:20000] = bytes(11808)
        content = bytes(data)
    path.write_bytes(content)
    store = Store(str(tmp_path))
    with pytest.raises(BrokenStore, match=r"bans\.sqlite: "):
        store.open()
    assert store.move_aside(NOW) == f"{path}.broken-1700000000"
    store.open()
    store.write([ban()])
    assert loaded(store) == [ban()]
    store.close()
    assert (tmp_path / "bans.sqlite.broken-1700000000").read_bytes() == content


def test_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bans.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE future (x)")
        database.execute("PRAGMA user_version = 2")
    database.close()
    before = path.read_bytes()
    store = Store(str(tmp_path))
    with pytest.raises(NewerStore, match="has version 2, this program knows 1"):
        store.open()
    store.close()
    assert path.read_bytes() == before


def test_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="No such file or directory"):
        Store(str(tmp_path / "none")).open()


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "bans.sqlite").symlink_to(tmp_path / "elsewhere")
    store = Store(str(tmp_path))
    with pytest.raises(EdgeError, match="symbolic links"):
        store.open()
    store.close()


def test_file_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="not open"):
        Store(str(tmp_path)).write([ban()])


HOLDER = """
import signal, sys
from sentinetd.store.sqlite import Store
store = Store(sys.argv[1])
store.open()
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the store open."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_process_has_the_store(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(EdgeError, match=f"lock is held by process {holder.pid}"):
        store.open(patience=0.05)
    store.close()


def test_dying_predecessor_is_waited_for(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGSTOP)
    successor = os.fork()
    if successor == 0:
        status = 1
        try:
            Store(str(tmp_path)).open(patience=20.0)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(successor, os.WNOHANG) == (0, 0), "it waits"
    holder.kill()
    assert os.waitpid(successor, 0) == (successor, 0)
