"""Bans in an SQLite file: what is committed here is in force again after any death of any process.

One file, ``bans.sqlite`` in the state directory, one row a network. Blocking: whoever cannot wait for a disk calls it
from a thread. Times are Unix time. Every failure of the world is an EdgeError.
"""

from __future__ import annotations

import fcntl
import math
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import cast

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin

FILE = "bans.sqlite"
LOCK = "lock"
SCHEMA = 1
"""Version of the table below, kept in the file (PRAGMA user_version)."""
CHUNK = 400
"""Bans that `load` gives at once."""
KEEP_ENDED = 86_400.0
"""Seconds for which a ban that ended is remembered."""
LOCK_PAUSE = 0.02

TABLE = """
CREATE TABLE bans (
    version INTEGER NOT NULL, value BLOB NOT NULL, length INTEGER NOT NULL, scope TEXT NOT NULL,
    sensor TEXT NOT NULL, origin TEXT NOT NULL,
    since REAL NOT NULL, last REAL NOT NULL, until REAL, trips INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (version, value, length, scope),
    CHECK (version IN (4, 6) AND length(value) = iif(version = 4, 4, 16) AND length BETWEEN 0 AND 8 * length(value))
) WITHOUT ROWID
"""
"""*since* the first trip, *last* the latest, *until* the end, NULL for ever."""

INSERT = """
INSERT INTO bans (version, value, length, scope, sensor, origin, since, last, until, trips)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)
ON CONFLICT DO UPDATE SET """
UPSERT = f"""{INSERT}
    last = CASE WHEN excluded.until > until THEN excluded.last ELSE max(last, excluded.last) END,
    trips = trips + (excluded.last > last AND excluded.trips),
    until = CASE WHEN until IS NULL OR excluded.until IS NULL THEN NULL ELSE max(until, excluded.until) END
"""
"""The later end stays. A record that comes twice changes nothing. *last* belongs to the end it gave, also when the
clock was set back in between: `until - last` is never longer than a span that somebody ordered."""

SET = f"{INSERT} last = excluded.last, until = excluded.until"
CLAMP = "UPDATE bans SET until = ?1 + (until - last), last = ?1, since = min(since, ?1) WHERE last > ?1"
LOAD = "SELECT version, value, length, scope, last, until, sensor, origin FROM bans WHERE until IS NULL OR until > ?"
DELETE = "DELETE FROM bans WHERE version = ? AND value = ? AND length = ? AND scope = ?"


class BrokenStore(EdgeError):
    """The file is no database, or damaged."""


class NewerStore(EdgeError):
    """The file was written by a later version of ours; it is left as it is."""


class Store:
    """The bans of the state directory *directory*, which must exist. `open` comes first, `close` last."""

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, FILE)
        self._lock_path = os.path.join(directory, LOCK)
        self._lock: int | None = None
        self._database: sqlite3.Connection | None = None

    def open(self, patience: float = 5.0) -> None:
        """Take the lock, waiting at most *patience* seconds for a predecessor that is dying, and open the file.

        BrokenStore or NewerStore if it is not one of ours; then, and after any EdgeError, `open` may be tried again.
        """
        self._close_database()
        if self._lock is None:
            self._lock = _locked(self._lock_path, patience)
        with _told(self.path):
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

    def close(self) -> None:
        """Close the file and give up the lock. May be called at any time."""
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

    def load(self, now: float) -> Iterator[list[Ban]]:
        """The bans in force at *now*, some hundred at a time.

        Where the clock was set back since a ban was kept, the ban lasts as long from *now* as it did from its last
        trip, not longer; the file is corrected. `Ban.since` is the last trip. Bans ended long ago are forgotten.
        """
        with self._transaction() as database:
            database.execute(CLAMP, (now,))
        self.purge(now)
        with _told(self.path):
            rows = self._open_database().execute(LOAD, (now,))
            while chunk := rows.fetchmany(CHUNK):
                yield [_ban(*row) for row in chunk]

    def write(self, changes: Iterable[Ban | Network]) -> None:
        """Commit *changes* in order: a ban is kept (the later end counts), a network alone is banned no longer."""
        with self._transaction() as database:
            for kind, run in groupby(changes, type):
                if kind is Ban:
                    database.executemany(UPSERT, map(_row, cast("Iterator[Ban]", run)))
                else:
                    database.executemany(DELETE, map(_key, cast("Iterator[Network]", run)))

    def rewrite(self, bans: Collection[Ban]) -> None:
        """Commit: exactly *bans* are kept, with their ends. What else is known of those that stay is not lost."""
        with self._transaction() as database:
            staying = {_key(ban.network) for ban in bans}
            known = database.execute("SELECT version, value, length, scope FROM bans").fetchall()
            database.executemany(DELETE, [key for key in known if key not in staying])
            database.executemany(SET, map(_row, bans))

    def purge(self, now: float) -> None:
        """Forget the bans that ended more than a day before *now*."""
        with self._transaction() as database:
            database.execute("DELETE FROM bans WHERE until < ?", (now - KEEP_ENDED,))

    def _close_database(self) -> None:
        if self._database is not None:
            database, self._database = self._database, None
            with _told(self.path):
                database.close()

    def _open_database(self) -> sqlite3.Connection:
        if self._database is None:
            raise EdgeError(f"{self.path}: not open")
        return self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what the block does."""
        database = self._open_database()
        with _told(self.path):
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
    if version == SCHEMA:
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise BrokenStore(f"{path}: {found}")
        return
    database.execute("BEGIN IMMEDIATE")
    database.execute(TABLE)
    database.execute(f"PRAGMA user_version = {SCHEMA}")
    database.execute("COMMIT")


BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Errors of SQLite become ours, with the place."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more than we act on (sqlite.org, rescode)
        kind = BrokenStore if code in BROKEN else EdgeError
        raise kind(f"{path}: {error}") from error


def _locked(path: str, patience: float) -> int:
    """A descriptor that holds the lock file *path*, with our process number in it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(LOCK_PAUSE)
                continue
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise EdgeError(f"{path} is held by process {holder}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return descriptor


def _key(network: Network) -> tuple[int, bytes, int, str]:
    """A network as the columns of the primary key."""
    return (
        network.version,
        network.value.to_bytes(4 if network.version == 4 else 16, "big"),
        network.length,
        _storable(network.scope),
    )


def _row(ban: Ban) -> tuple[object, ...]:
    """A ban as the parameters of UPSERT."""
    network = ban.network
    return (
        network.version,
        network.value.to_bytes(4 if network.version == 4 else 16, "big"),
        network.length,
        _storable(network.scope),
        _storable(ban.sensor),
        ban.origin.value,
        ban.since,
        None if ban.until == math.inf else ban.until,
        1 if ban.origin is Origin.SENSOR else 0,
    )


def _storable(text: str) -> str:
    """*text* without lone surrogates, which are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _ban(
    version: int, value: bytes, length: int, scope: str, last: float, until: float | None, sensor: str, origin: str
) -> Ban:
    network = Network(version, int.from_bytes(value, "big"), length, scope)
    return Ban(network, last, math.inf if until is None else until, sensor, _ORIGINS.get(origin, Origin.SENSOR))


_ORIGINS = {origin.value: origin for origin in Origin}
