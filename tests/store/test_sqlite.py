"""The SQLite file: what is kept, what comes back, and what a damaged, newer or locked one leads to."""

from __future__ import annotations

import math
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

import pytest

from rig.trips import tables
from sentinetd.errors import EdgeError
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import Ban, BanRun, Lifted, Origin
from sentinetd.model.exemption import Exemption
from sentinetd.model.trip_run import TripTable
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


@pytest.mark.parametrize("trips", [pytest.param(one, id=what) for what, one in tables().items()])
def test_the_bans_of_trips_are_kept_like_each_alone(tmp_path: Path, trips: TripTable) -> None:
    kept = []
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
        with closing(Store(str(tmp_path / name))) as store:
            store.open()
            for _ in range(2):  # told again to a successor
                store.write(list(trips.bans()) if name == "alone" else [trips])
            with closing(sqlite3.connect(store.path)) as database:
                kept.append(database.execute("SELECT * FROM bans").fetchall())
    assert kept[0] == kept[1]
    assert len(kept[1]) == len({one.network for one in trips.bans()})


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
    found = row(store)
    assert (found["until"], found["last"], found["trips"]) == (until, last, trips)
    assert (found["since"], found["first"], found["offences"]) == (first.since, first.since, 1)
    taken = second.origin is Origin.OPERATOR
    assert (found["origin"], found["sensor"]) == (("operator", "") if taken else ("sensor", "irc"))


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
        database.execute("PRAGMA user_version = 3")
    database.close()
    before = path.read_bytes()
    store = Store(str(tmp_path))
    with pytest.raises(NewerStore, match="has version 3, this program knows 2"):
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


VERSION_1 = """
CREATE TABLE bans (
    version INTEGER NOT NULL, value BLOB NOT NULL, length INTEGER NOT NULL, scope TEXT NOT NULL,
    sensor TEXT NOT NULL, origin TEXT NOT NULL,
    since REAL NOT NULL, last REAL NOT NULL, until REAL, trips INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (version, value, length, scope),
    CHECK (version IN (4, 6) AND length(value) = iif(version = 4, 4, 16) AND length BETWEEN 0 AND 8 * length(value))
) WITHOUT ROWID
"""
"""The table as the first version of the program made it."""


def test_a_file_of_the_first_version_becomes_one_of_today(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "bans.sqlite") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(VERSION_1)
        database.execute(
            "INSERT INTO bans VALUES (4, x'c0000207', 32, '', 'irc', 'sensor', ?, ?, ?, 3, '')",
            (NOW - 50, NOW, NOW + 60),
        )
        database.execute(
            "INSERT INTO bans VALUES (4, x'c0000208', 32, '', '', 'operator', ?, ?, NULL, 0, '')", (NOW, NOW)
        )
        database.execute("PRAGMA user_version = 1")
    database.close()
    for _ in range(2):  # and is one from then on
        store = Store(str(tmp_path))
        store.open()
        other = Network.parse("192.0.2.8")
        assert loaded(store) == [ban(60), Ban(other, NOW, math.inf, "", Origin.OPERATOR)]
        store.close()
    with sqlite3.connect(tmp_path / "bans.sqlite") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert database.execute("SELECT first, trips, offences FROM bans").fetchall() == [(NOW - 50, 3, 1), (NOW, 0, 0)]
    database.close()


def test_both_ways_to_the_tables_of_today_lead_to_the_same(tmp_path: Path) -> None:
    columns = []
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        if name == "old":
            with sqlite3.connect(tmp_path / name / "bans.sqlite") as database:
                database.execute(VERSION_1)
                database.execute("PRAGMA user_version = 1")
            database.close()
        store = Store(str(tmp_path / name))
        store.open()
        store.write([ban()])
        store.close()
        with sqlite3.connect(tmp_path / name / "bans.sqlite") as database:
            tables = database.execute("SELECT type, name FROM sqlite_schema ORDER BY name").fetchall()
            columns.append((tables, database.execute("PRAGMA table_info(bans)").fetchall()))
        database.close()
    assert [row[1:] for row in columns[0][1]] == [row[1:] for row in columns[1][1]]
    assert columns[0][0] == columns[1][0]


def operator(span: float, at: float = NOW, note: str = "by hand") -> Ban:
    return Ban(NET, at, at + span, "", Origin.OPERATOR, "joe", note)


@pytest.mark.parametrize(
    ("steps", "whose", "until"),
    [
        pytest.param([ban(60), operator(90)], "joe", NOW + 90, id="a longer one takes over"),
        pytest.param([ban(90), operator(90)], "joe", NOW + 90, id="so does one that is not longer"),
        pytest.param([operator(90), ban(3600)], "joe", NOW + 3600, id="it stays his when it is lengthened"),
        pytest.param([operator(90), ban(3600, NOW + 91)], "", NOW + 3691, id="until it has ended"),
        pytest.param([ban(60), Ban(NET, NOW, NOW + 90, "", Origin.FEED, "f")], "f", NOW + 90, id="a feed's if longer"),
        pytest.param([ban(60), Ban(NET, NOW, NOW + 30, "", Origin.FEED, "f")], "", NOW + 60, id="and only then"),
    ],
)
def test_whose_a_ban_is(store: Store, steps: list[Ban], whose: str, until: float) -> None:
    store.write(steps)
    found = row(store)
    assert (found["who"], found["until"]) == (whose, until)


@pytest.mark.parametrize("at_once", [True, False])
def test_bans_that_begin_anew_are_counted_and_remembered(store: Store, at_once: bool) -> None:
    steps = [ban(60), ban(60), ban(60, NOW + 30), ban(60, NOW + 100), ban(60, NOW + 300)]
    store.forget_after = 1000.0
    for part in [steps] if at_once else [[one] for one in steps]:
        store.write(part)
        store.write(part)  # told again after a crash
    found = row(store)
    assert (found["offences"], found["trips"], found["first"], found["since"]) == (3, 4, NOW, NOW + 300)
    assert store.repeats([NET, Network.parse("192.0.2.8")]) == {NET: 3}
    assert history(store) == [("ended", NOW, NOW + 90), ("ended", NOW + 100, NOW + 160)]


def history(store: Store) -> list[tuple[object, ...]]:
    with sqlite3.connect(store.path) as database:
        found = database.execute("SELECT what, since, until FROM history ORDER BY number").fetchall()
    database.close()
    return found


def test_old_offences_are_forgiven(store: Store) -> None:
    store.forget_after = 1000.0
    store.write([ban(60), ban(60, NOW + 1060), ban(60, NOW + 2121)])
    assert (row(store)["offences"], len(history(store))) == (1, 2)
    store.purge(NOW + 2121 + 60 + 86_400)
    assert row(store)["offences"] == 1


def test_what_may_be_an_offence_is_remembered_as_long_as_it_counts(store: Store) -> None:
    store.forget_after = 10 * 86_400.0
    store.write([ban(60)])
    store.purge(NOW + 9 * 86_400)
    store.write([ban(60, NOW + 9 * 86_400)])
    assert row(store)["offences"] == 2


def test_who_lifted_a_ban_is_remembered_and_the_offence_is_not(store: Store) -> None:
    store.forget_after = 1000.0
    store.write([ban(60), Lifted(NET, NOW + 10, "joe"), Lifted(NET, NOW + 11, "jim")])
    assert loaded(store) == []
    with sqlite3.connect(store.path) as database:
        found = database.execute("SELECT at, what, by, since, until FROM history").fetchall()
    database.close()
    assert found == [(NOW + 10, "lifted", "joe", NOW, NOW + 60)]
    store.write([ban(60, NOW + 20)])
    assert row(store)["offences"] == 1


def test_history_has_bounds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinetd.store.sqlite.HISTORY_MOST", 3)
    store.forget_after = 1e9
    store.write([ban(10, NOW + 100 * number) for number in range(10)])
    store.purge(NOW)
    assert [since for _, since, _ in history(store)] == [NOW + 600, NOW + 700, NOW + 800]
    store.purge(NOW + 801 + 90 * 86_400)
    assert [since for _, since, _ in history(store)] == [NOW + 800]
    store.keep_history = 10 * 86_400.0
    store.purge(NOW + 801 + 90 * 86_400)
    assert history(store) == []


@pytest.mark.parametrize("jump", [pytest.param(50 * 365 * 86_400.0, id="years ahead"), pytest.param(-9e8, id="back")])
@pytest.mark.parametrize("running", [True, False])
def test_a_clock_that_is_set_changes_no_end(tmp_path: Path, jump: float, running: bool) -> None:
    ahead = [1000.0]
    other = Exemption(Network.parse("192.0.2.8"), NOW, NOW + 3600, "joe", "")
    store = Store(str(tmp_path), "this life", lambda: ahead[0])
    store.open()
    store.settle(NOW)
    store.write([ban(), other])
    ahead[0] += jump
    if running:
        store.write([])
    else:
        store.close()
        store = Store(str(tmp_path), "this life", lambda: ahead[0])
        store.open()
    assert loaded(store, NOW + jump + 600) == [ban(3600, NOW + jump)]
    assert [one.until for one in store.exemptions(NOW + jump)] == [NOW + jump + 3600]
    assert loaded(store, NOW + jump + 3600) == []
    assert history(store) == []
    store.close()


def test_after_the_machine_was_started_again_its_clock_is_believed(tmp_path: Path) -> None:
    for life, ahead, found in (("one", 1000.0, [ban()]), ("two", 5000.0, [ban()]), ("", 9000.0, [ban()])):
        store = Store(str(tmp_path), life, lambda ahead=ahead: ahead)  # type: ignore[misc]
        store.open()
        store.write([ban()] if life == "one" else [])
        assert loaded(store) == found
        store.close()


def test_runs_say_the_same_as_bans(store: Store) -> None:
    dice = random.Random(3)
    bans = [
        Ban(
            Network.of(Address.parse(str(ip_address(dice.getrandbits(bits)))), length), NOW, NOW + dice.random() * 99,
            origin=dice.choice(list(Origin)),
        )
        for bits in (32, 128)
        for length in range(bits + 1)
        for _ in range(7)
    ]  # fmt: skip
    bans += [Ban(Network.parse(f"fe80::{number:x}%eth{number % 3}"), NOW, math.inf) for number in range(9)]
    store.write(bans)
    store.settle(NOW)
    found = {}
    for run in store.runs(NOW):
        assert len(run.prefixes) <= 16_000
        for prefix, until in run.rows():
            network = Network(run.version, prefix << BITS[run.version] - run.length, run.length, run.scope)
            found[network] = (until, run.kept)
    assert found == {one.network: (one.until, one.origin is Origin.OPERATOR) for one in loaded(store)}


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(BanRun(5, 32, "", False, "", ()), id="version"),
        pytest.param(BanRun(4, 33, "", False, "", ()), id="length"),
        pytest.param(BanRun(6, -1, "", False, "", ()), id="negative length"),
        pytest.param(BanRun(4, 32, "eth0", False, "", ()), id="IPv4 with a scope"),
        pytest.param(BanRun(4, 32, "", False, "c0000201", ()), id="no end"),
        pytest.param(BanRun(4, 32, "", False, "c00002", (NOW,)), id="short"),
        pytest.param(BanRun(4, 32, "", False, "xyzzyxyz", (NOW,)), id="no digits"),
    ],
)
def test_a_run_of_another_form_is_refused(run: BanRun) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(run.rows())
