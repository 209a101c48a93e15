"""The tables of the store, what each version of them was, and the statements that change them."""

from __future__ import annotations

import sqlite3
from functools import cache

SCHEMA = 2
"""Version of the tables below, kept in the file (PRAGMA user_version)."""

NETWORK = "version INTEGER NOT NULL, value BLOB NOT NULL, length INTEGER NOT NULL, scope TEXT NOT NULL"
KEY = "PRIMARY KEY (version, value, length, scope)"
CHECK = """
CHECK (version IN (4, 6) AND length(value) = iif(version = 4, 4, 16) AND length BETWEEN 0 AND 8 * length(value))
"""

BANS = f"""
CREATE TABLE bans (
    {NETWORK},
    sensor TEXT NOT NULL, origin TEXT NOT NULL,
    since REAL NOT NULL, last REAL NOT NULL, until REAL, trips INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '',
    who TEXT NOT NULL DEFAULT '', offences INTEGER NOT NULL DEFAULT 1, first REAL NOT NULL DEFAULT 0,
    {KEY}, {CHECK}
) WITHOUT ROWID
"""
"""*first* the first trip that is remembered, *since* the first of this ban, *last* the latest, *until* the end or NULL.
*offences*: bans that trips began, each after the end of the one before, as far as that is not forgiven."""

EXEMPTIONS = f"""
CREATE TABLE exemptions (
    {NETWORK}, since REAL NOT NULL, until REAL, who TEXT NOT NULL, note TEXT NOT NULL, {KEY}, {CHECK}
) WITHOUT ROWID
"""

HISTORY = f"""
CREATE TABLE history (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, what TEXT NOT NULL, by TEXT NOT NULL,
    {NETWORK}, sensor TEXT NOT NULL, origin TEXT NOT NULL, since REAL NOT NULL, until REAL, trips INTEGER NOT NULL,
    note TEXT NOT NULL, who TEXT NOT NULL
)
"""
"""Bans that are no longer the current one of their network: *what* became of them at *at*: `ended` (and another began),
`lifted` *by* somebody. What has ended and was followed by nothing is still in the table of bans, until it is purged."""

REMEMBER = """
CREATE TRIGGER remember BEFORE UPDATE ON bans
WHEN new.first = old.first AND (new.offences > old.offences OR new.since > old.since) BEGIN
    INSERT INTO history (at, what, by, version, value, length, scope, sensor, origin, since, until, trips, note, who)
    VALUES (new.since, 'ended', '', old.version, old.value, old.length, old.scope, old.sensor, old.origin, old.since,
        old.until, old.trips, old.note, old.who);
END
"""

CLOCK = "CREATE TABLE clock (boot TEXT NOT NULL, ahead REAL NOT NULL)"
"""One row: in which life of the machine the file was last written, and how far Unix time was ahead of its uptime."""

STEPS: dict[int, tuple[str, ...]] = {
    0: (BANS, EXEMPTIONS, HISTORY, REMEMBER, CLOCK),
    1: (
        "ALTER TABLE bans ADD COLUMN who TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE bans ADD COLUMN offences INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE bans ADD COLUMN first REAL NOT NULL DEFAULT 0",
        "UPDATE bans SET first = since, offences = (origin = 'sensor')",
        EXEMPTIONS,
        HISTORY,
        REMEMBER,
        CLOCK,
    ),
}
"""What makes a file of each version one of the present version; 0: a new file."""


def migrate(database: sqlite3.Connection, version: int) -> None:
    """Make the tables of *version* those of today, all or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[version]:
            database.execute(step)
        database.execute(f"PRAGMA user_version = {SCHEMA}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


IS_THIS = "version = ?1 AND value = ?2 AND length = ?3 AND scope = ?4"

_COLUMNS = "version, value, length, scope, sensor, origin, since, first, last, until, trips, offences, who, note"
INSERT = f"""
INSERT INTO bans ({_COLUMNS})
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7, ?8, ?9, ?9, ?10, ?11)
ON CONFLICT DO UPDATE SET """

_NEW = "(excluded.last > last AND until IS NOT NULL AND excluded.last >= until)"  # the one before has ended
_LATER = "excluded.until > until OR (excluded.until IS NULL AND until IS NOT NULL)"
_TAKES = f"({_NEW} OR excluded.origin = 'operator' OR (origin <> 'operator' AND ({_LATER})))"

_MERGE = f"""
    sensor = CASE WHEN {_TAKES} THEN excluded.sensor ELSE sensor END,
    origin = CASE WHEN {_TAKES} THEN excluded.origin ELSE origin END,
    who = CASE WHEN {_TAKES} THEN excluded.who ELSE who END,
    note = CASE WHEN {_TAKES} THEN excluded.note ELSE note END,
    offences = CASE WHEN NOT {_NEW} THEN offences WHEN excluded.last - until > :forget THEN excluded.offences
        ELSE offences + excluded.offences END,
    since = CASE WHEN {_NEW} THEN excluded.since ELSE since END,
    trips = trips + (excluded.last > last AND excluded.trips),
    last = CASE WHEN excluded.until > until THEN excluded.last ELSE max(last, excluded.last) END,
    until = CASE WHEN until IS NULL OR excluded.until IS NULL THEN NULL ELSE max(until, excluded.until) END
"""
"""The later end stays, and who ordered it; an operator's ban stays his while it lasts. A record that comes twice
changes nothing. *last* belongs to the end it gave, also when the clock was set back in between: `until - last` is never
longer than a span that somebody ordered."""
UPSERT = INSERT + _MERGE.replace(":forget", "?12")
"""?12: seconds without a ban after which former offences count no longer."""


@cache
def upsert_trips(count: int) -> str:
    """UPSERT for the bans that *count* trips began, at once: what they have in common (IP version, length, scope,
    sensor, and ?12 of UPSERT) is bound once, then value, beginning and end of each. One by one it takes twice as long.
    """
    places = ((first, first + 1, first + 2) for first in range(6, 6 + 3 * count, 3))
    values = (
        f"(?1, ?{value}, ?2, ?3, ?4, 'sensor', ?{at}, ?{at}, ?{at}, ?{until}, 1, 1, '', '')"
        for value, at, until in places
    )
    return f"INSERT INTO bans ({_COLUMNS}) VALUES {', '.join(values)} ON CONFLICT DO UPDATE SET " + _MERGE.replace(
        ":forget", "?5"
    )


SET = f"{INSERT} last = excluded.last, until = excluded.until"
EXTEND = f"UPDATE bans SET until = max(until, ?5), note = ?6 WHERE {IS_THIS}"
EVICT = f"DELETE FROM bans WHERE {IS_THIS}"
LIFT_HISTORY = f"""
INSERT INTO history (at, what, by, version, value, length, scope, sensor, origin, since, until, trips, note, who)
SELECT ?5, 'lifted', ?6, version, value, length, scope, sensor, origin, since, until, trips, note, who
FROM bans WHERE {IS_THIS} AND (until IS NULL OR until > ?5)
"""
EXEMPT = """
INSERT INTO exemptions (version, value, length, scope, since, until, who, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT DO UPDATE SET since = excluded.since, until = excluded.until, who = excluded.who, note = excluded.note
"""
EXEMPT_NO_MORE = f"DELETE FROM exemptions WHERE {IS_THIS}"

TRIM_HISTORY = "DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?"

CLAMP = (
    "UPDATE bans SET until = ?1 + (until - last), last = ?1, since = min(since, ?1), first = min(first, ?1) "
    "WHERE last > ?1",
    "UPDATE exemptions SET until = ?1 + (until - since), since = ?1 WHERE since > ?1",
)
"""Where the clock was set back since: what was kept lasts as long from now as it did from its beginning."""
SHIFT = (
    "UPDATE bans SET first = first + ?1, since = since + ?1, last = last + ?1, until = until + ?1",
    "UPDATE exemptions SET since = since + ?1, until = until + ?1",
    "UPDATE history SET at = at + ?1, since = since + ?1, until = until + ?1",
)
"""The clock was set by ?1 seconds in one life of the machine: everything ends when it would have ended."""

RUNS = """
SELECT version, length, scope, origin = 'operator', value, until FROM bans WHERE until IS NULL OR until > ?
"""
LOAD = """
SELECT version, value, length, scope, last, until, sensor, origin, who, note FROM bans WHERE until IS NULL OR until > ?
"""
LOAD_EXEMPTIONS = """
SELECT version, value, length, scope, since, until, who, note FROM exemptions WHERE until IS NULL OR until > ?
"""
REPEATS = f"SELECT offences, since, until FROM bans WHERE {IS_THIS} AND offences > 1"
