"""The bans in force as they go into feeds, however many: read over a connection of its own, row by row.

Blocking, as the store is: whoever cannot wait for a disk calls it from a thread.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.store.rows import ban, network
from sentinetd.store.sqlite import FILE

PATIENCE = 2.0
"""Seconds to wait for the file."""
NEWEST = """
SELECT * FROM (
    SELECT version, value, length, scope, last, until, sensor, origin, who, note FROM bans
    WHERE (until IS NULL OR until > ?) AND origin IN ({0}) AND version IN ({1}) ORDER BY last DESC LIMIT ?
) ORDER BY version, value, length
"""
EXEMPTED = "SELECT version, value, length, scope FROM exemptions WHERE until IS NULL OR until > ?"


class Latest:
    """Reads the store in *directory*."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, FILE)

    def newest(self, at: float, most: int, origins: Collection[Origin], versions: Collection[int]) -> Iterator[Ban]:
        """Of the bans in force at Unix time *at* that one of *origins* ordered, for the IP *versions*, the *most* that
        were touched last, in the order of their networks; `Ban.since` is the last trip. EdgeError if they cannot be
        read, maybe only after some."""
        query = NEWEST.format(_places(origins), _places(versions))
        values = [at, *(one.value for one in origins), *versions, most]
        with self._open() as database:
            for row in database.execute(query, values):
                yield ban(*row)

    def exempted(self, at: float) -> tuple[Network, ...]:
        """The networks that an operator exempted, as of Unix time *at*. EdgeError if they cannot be read."""
        with self._open() as database:
            return tuple(network(*row) for row in database.execute(EXEMPTED, (at,)))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection that reads only, and neither waits for a commit nor delays one (sqlite.org, WAL)."""
        try:
            path = f"file:{quote(self._path)}?mode=ro"
            with closing(sqlite3.connect(path, uri=True, timeout=PATIENCE)) as database:
                yield database
        except sqlite3.Error as error:
            raise EdgeError(f"{self._path}: {error}") from error


def _places(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
