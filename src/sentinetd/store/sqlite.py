"""Bans and exemptions in an SQLite file: what is committed here is in force again after any death of any process.

One file, ``bans.sqlite`` in the state directory, one row a network. Blocking: whoever cannot wait for a disk calls it
from a thread. Times are Unix time. Every failure of the world is an EdgeError.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain, groupby
from typing import Any

from sentinetd.errors import EdgeError
from sentinetd.model.address import BITS, Network
from sentinetd.model.ban import Ban, BanRun, Cleared, Extended, Lifted, bytes_of
from sentinetd.model.exemption import Exemption, ExemptionOver
from sentinetd.model.settings import KEEP_HISTORY
from sentinetd.model.trip_run import TripTable
from sentinetd.store import rows
from sentinetd.store.place import file_at, locked
from sentinetd.store.schema import (
    CLAMP,
    EVICT,
    EXEMPT,
    EXEMPT_NO_MORE,
    EXTEND,
    LIFT_HISTORY,
    LOAD,
    LOAD_EXEMPTIONS,
    REPEATS,
    RUNS,
    SCHEMA,
    SET,
    SHIFT,
    TRIM_HISTORY,
    UPSERT,
    migrate,
    upsert_trips,
)

FILE = "bans.sqlite"
LOCK = "lock"
CHUNK = 400
"""Bans that `load` gives at once."""
RUN_MOST = 2_000
"""Bans in one run."""
PREFIX_BYTES = 8_000
"""Bytes of all prefixes in one run: a text of the length that may cross between processes."""
TRIPS_AT_ONCE = 32
"""Bans of trips in one statement; more would save nothing."""
KEEP_ENDED = 86_400.0
"""Seconds for which a ban that ended is remembered, at least."""
HISTORY_MOST = 100_000
"""Number of earlier bans of which it is remembered what they were."""
JUMP = 1.0
"""Seconds by which the clock must have been set for it to matter."""

Change = Ban | TripTable | Network | Extended | Lifted | Cleared | Exemption | ExemptionOver
"""A ban that is in force, or those that trips began; the network of one that is no longer; and so on."""


class BrokenStore(EdgeError):
    """The file is no database, or damaged."""


class NewerStore(EdgeError):
    """The file was written by a later version of ours; it is left as it is."""


def boot_name() -> str:
    """Which life of the machine this is, as the machine numbers them; empty where it cannot be found out, and the clock
    has to be believed. To be asked while we may still read what belongs to us in /proc.

    A time namespace may have a boot time of its own (time_namespaces(7)), so it is part of the name.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return f"{file.read(64).strip().decode()} {os.readlink('/proc/self/ns/time')}"
    except OSError:
        return ""


def ahead_of_boot() -> float:
    """Seconds by which Unix time is ahead of CLOCK_BOOTTIME."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class Store:
    """The bans of the state directory *directory*, which must exist. `open` comes first, `close` last. *boot* is what
    `boot_name` said; *ahead* is `ahead_of_boot` or what a test puts in its place.

    Somebody may remove the file while it is open. What it held is still there then, and is put in its place again
    before the next change is written, and at the end.
    """

    def __init__(self, directory: str, boot: str = "", ahead: Callable[[], float] = ahead_of_boot) -> None:
        self.path = os.path.join(directory, FILE)
        self.forget_after = 0.0
        self.keep_history = KEEP_HISTORY
        """Seconds without a ban after which a source's former offences count no longer."""
        self._boot = boot
        self._ahead_now = ahead
        self._ahead: float | None = None  # of Unix time, when the file was last written
        self._lock_path = os.path.join(directory, LOCK)
        self._lock: int | None = None
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # what is open
        self._moved = False  # it was put back, and is to be opened there

    def open(self, patience: float = 5.0) -> None:
        """Take the lock, waiting at most *patience* seconds for a predecessor that is dying, and open the file.

        BrokenStore or NewerStore if it is not one of ours; then, and after any EdgeError, `open` may be tried again.
        """
        self._close_database()
        self._ahead = None
        if self._lock is None:
            self._lock = locked(self._lock_path, patience)
        with told(self.path):
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
                database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=1.0)
            except OSError as error:
                raise EdgeError(f"{self.path}: {error.strerror}") from error
            try:
                _prepare(database, self.path)
            except BaseException:
                database.close()
                raise
            self._database = database
            self._file = file_at(self.path)

    def _put_back(self) -> None:
        """Put the file that is open in its place again, if somebody has removed it. EdgeError if that cannot be done,
        or another one is there."""
        if self._moved:
            self.open()  # which failed the last time
            self._moved = False
        if self._database is None or (found := file_at(self.path)) == self._file:
            return
        if found is not None:
            raise EdgeError(f"{self.path} is another file than the one that is in use; stop the daemon to replace it")
        fresh = f"{self.path}.new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(fresh)
            os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            with told(fresh), closing(sqlite3.connect(fresh)) as copy:
                self._database.backup(copy)
            os.rename(fresh, self.path)
        except OSError as error:
            why = f"{self.path} was removed, and cannot be put back: {error.strerror}"
            raise EdgeError(f"{why}; make its directory again, or have a reload make it") from error
        if self._lock is not None:  # it went the same way
            os.close(self._lock)
            self._lock = None
        # The old one is closed first: SQLite removes its write-ahead log then, by name.
        self._moved = True
        self._put_back()

    def close(self) -> None:
        """Close the file and give up the lock. May be called at any time."""
        with suppress(EdgeError):
            self._put_back()
        self._close_database()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def move_aside(self, now: float) -> str:
        """Put the file out of the way, under a name with *now* in it, which is returned. The lock stays ours."""
        self._close_database()
        aside = f"{self.path}.broken-{int(now)}"
        try:
            for suffix in ("-wal", "-shm", ""):
                if os.path.exists(self.path + suffix):
                    os.rename(self.path + suffix, aside + suffix)
        except OSError as error:
            raise EdgeError(f"{self.path} cannot be moved to {aside}: {error.strerror}") from error
        return aside

    def settle(self, now: float) -> None:
        """Make the file fit the time *now*, before anything is loaded.

        If the clock was set since, and the machine still lives, everything ends when it would have ended. Else, where
        it was set back, a ban lasts as long from *now* as it did from its last trip, not longer. What ended long ago is
        forgotten.
        """
        with self._transaction() as database:
            self._follow_clock(database)
            for statement in CLAMP:
                database.execute(statement, (now,))
        self.purge(now)

    def load(self, now: float) -> Iterator[list[Ban]]:
        """The bans in force at *now*, some hundred at a time. `Ban.since` is the last trip."""
        self.settle(now)
        with told(self.path):
            found = self._open_database().execute(LOAD, (now,))
            while chunk := found.fetchmany(CHUNK):
                yield [rows.ban(*row) for row in chunk]

    def runs(self, now: float) -> Iterator[BanRun]:
        """The bans in force at *now* as columns, up to `RUN_MOST` at a time; `settle` comes before."""
        with told(self.path):
            found = self._open_database().execute(RUNS, (now,))
            while chunk := found.fetchmany(RUN_MOST):
                for key, alike in groupby(chunk, lambda row: row[:4]):
                    yield from _runs(key, list(alike))

    def exemptions(self, now: float) -> list[Exemption]:
        """The exemptions by order that have not ended at *now*."""
        with told(self.path):
            return [rows.exemption(*row) for row in self._open_database().execute(LOAD_EXEMPTIONS, (now,))]

    def write(self, changes: Iterable[Change]) -> None:
        """Commit *changes* in order: a ban is kept (the later end counts), a network alone is banned no longer."""
        with self._transaction() as database:
            self._follow_clock(database)
            for kind, run in groupby(changes, type):
                self._write(database, kind, run)

    def _write(self, database: sqlite3.Connection, kind: type[Any], run: Iterator[Any]) -> None:
        """Carry out a *run* of changes of one *kind*."""
        if kind is Ban:
            forget = self.forget_after
            database.executemany(UPSERT, ((*rows.of_ban(one), forget) for one in run))
        elif kind is TripTable:
            for one in run:
                self._write_trips(database, one)
        elif kind is Network:
            database.executemany(EVICT, map(rows.key, run))
        elif kind is Lifted:
            for one in run:
                key = rows.key(one.network)
                database.execute(LIFT_HISTORY, (*key, one.at, rows.storable(one.who)))
                database.execute(EVICT, key)
        elif kind is Extended:
            database.executemany(EXTEND, ((*rows.key(one.network), one.until, one.note) for one in run))
        elif kind is Cleared:
            database.execute("DELETE FROM bans")
        elif kind is Exemption:
            database.executemany(EXEMPT, map(rows.of_exemption, run))
        else:
            database.executemany(EXEMPT_NO_MORE, (rows.key(one.network) for one in run))

    def _write_trips(self, database: sqlite3.Connection, trips: TripTable) -> None:
        """Keep the bans that *trips* began: many with one statement, the rest in halves, so that few statements have to
        be compiled and kept."""
        common = (*rows.of_run(trips), self.forget_after)
        left = list(rows.of_trips(trips))
        size = TRIPS_AT_ONCE
        while left:
            while size > len(left):
                size //= 2
            some, left = left[:size], left[size:]
            database.execute(upsert_trips(size), (*common, *chain.from_iterable(some)))

    def repeats(self, networks: Iterable[Network]) -> dict[Network, int]:
        """Those of *networks* whose present ban is not their first, and which it is."""
        with told(self.path):
            database = self._open_database()
            found = ((one, database.execute(REPEATS, rows.key(one)).fetchone()) for one in networks)
            return {one: row[0] for one, row in found if row is not None}

    def rewrite(self, bans: Collection[Ban]) -> None:
        """Commit: exactly *bans* are kept, with their ends. What else is known of those that stay is not lost."""
        with self._transaction() as database:
            staying = {rows.key(ban.network) for ban in bans}
            known = database.execute("SELECT version, value, length, scope FROM bans").fetchall()
            database.executemany(EVICT, [key for key in known if key not in staying])
            database.executemany(SET, map(rows.of_ban, bans))

    def purge(self, now: float) -> None:
        """Forget what ended more than a day before *now*, or so long ago that no offence counts any more; and what is
        long past or too much of history."""
        with self._transaction() as database:
            database.execute("DELETE FROM bans WHERE until < ?", (now - max(KEEP_ENDED, self.forget_after),))
            database.execute("DELETE FROM exemptions WHERE until < ?", (now,))
            database.execute("DELETE FROM history WHERE at < ?", (now - self.keep_history,))
            database.execute(TRIM_HISTORY, (HISTORY_MOST,))

    def forget(self, before: float, network: Network | None) -> int:
        """Forget the bans that had ended before *before*, history and all; with *network*, only of what lies in it. How
        many rows were there."""
        where = "1"
        values: tuple[object, ...] = ()
        if network is not None:
            last = network.value | ((1 << (BITS[network.version] - network.length)) - 1)
            first, end = (rows.blob(network.version, value) for value in (network.value, last))
            where = "version = ? AND length >= ? AND value BETWEEN ? AND ?"
            values = (network.version, network.length, first, end)
        with self._transaction() as database:
            gone = database.execute(f"DELETE FROM bans WHERE until < ? AND {where}", (before, *values)).rowcount
            return gone + database.execute(f"DELETE FROM history WHERE at < ? AND {where}", (before, *values)).rowcount

    def _follow_clock(self, database: sqlite3.Connection) -> None:
        """If Unix time was set since the file was last written, in this life of the machine: set what is kept, too."""
        ahead = self._ahead_now()
        if self._ahead is None:
            row = database.execute("SELECT boot, ahead FROM clock").fetchone()
            self._ahead = row[1] if row and self._boot and row[0] == self._boot else ahead
            database.execute("DELETE FROM clock")
            database.execute("INSERT INTO clock VALUES (?, ?)", (self._boot, self._ahead))
        if abs(ahead - self._ahead) > JUMP:
            for statement in SHIFT:
                database.execute(statement, (ahead - self._ahead,))
            database.execute("UPDATE clock SET ahead = ?", (ahead,))
            self._ahead = ahead

    def _close_database(self) -> None:
        if self._database is not None:
            database, self._database = self._database, None
            with told(self.path):
                database.close()

    def _open_database(self) -> sqlite3.Connection:
        if self._database is None:
            raise EdgeError(f"{self.path}: not open")
        return self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what the block does."""
        self._put_back()
        database = self._open_database()
        with told(self.path):
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


def _prepare(database: sqlite3.Connection, path: str) -> None:
    """Set up the connection, and the table in a new file."""
    database.execute("PRAGMA synchronous = NORMAL")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise NewerStore(f"{path} has version {version}, this program knows {SCHEMA}: it was written by a newer one")
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise EdgeError(f"{path}: no write-ahead log here, journal mode is {mode}")
    if version:
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise BrokenStore(f"{path}: {found}")
    if version < SCHEMA:
        migrate(database, version)


BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def told(path: str) -> Iterator[None]:
    """Errors of SQLite become ours, with the place."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more than we act on (sqlite.org, rescode)
        kind = BrokenStore if code in BROKEN else EdgeError
        raise kind(f"{path}: {error}") from error


def _runs(alike: tuple[Any, ...], found: Sequence[tuple[Any, ...]]) -> Iterator[BanRun]:
    """The *found* rows of RUNS, *alike* in their first columns, as columns, in as many runs as it takes."""
    version, length, scope, kept = alike
    size = bytes_of(length)
    most = PREFIX_BYTES // max(size, 1)
    for at in range(0, len(found), most):
        part = found[at : at + most]
        prefixes = b"".join([row[4][:size] for row in part]).hex()
        yield BanRun(version, length, scope, bool(kept), prefixes, tuple(rows.end(row[5]) for row in part))
