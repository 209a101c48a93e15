"""Questions to the store, over a connection of its own that reads only: they neither wait for a commit nor delay one.

Blocking, as the store is: whoever cannot wait for a disk calls it from a thread.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

from sentinetd.errors import EdgeError
from sentinetd.model.address import BITS, Network
from sentinetd.model.kept import BanPage, BanQuery, KeptBan, KeptExemption, Order, PastBan
from sentinetd.store.rows import blob, network
from sentinetd.store.sqlite import FILE

PATIENCE = 2.0
"""Seconds to wait for the file."""
COLUMNS = "version, value, length, scope, sensor, origin, since, last, until, trips, offences, who, note"
EXEMPTIONS = """
SELECT version, value, length, scope, since, until, who, note FROM exemptions WHERE until IS NULL OR until > ?
ORDER BY since DESC, version, value
"""
PAST = """
SELECT version, value, length, scope, at, what, by, sensor, origin, since, until, trips, who, note FROM history
"""
SORTED_BY = {
    Order.LAST: "last {0}",
    Order.SINCE: "since {0}",
    Order.UNTIL: "ifnull(until, 1e300) {0}",
    Order.TRIPS: "trips {0}, last DESC",
    Order.NETWORK: "version {0}, value {0}, length {0}",
    Order.SENSOR: "sensor {0}, last DESC",
}


class Listing:
    """Answers about the store in *directory*."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, FILE)

    def page(self, query: BanQuery) -> BanPage:
        """The bans that *query* asks for. EdgeError if the store cannot be read."""
        where, values = _condition(query)
        direction = "DESC" if query.descending else "ASC"
        order = SORTED_BY[query.order].format(direction)
        listed = f"SELECT {COLUMNS} FROM bans WHERE {where} ORDER BY {order}, version, value LIMIT ? OFFSET ?"
        with self._open() as database:
            (total,) = database.execute(f"SELECT count(*) FROM bans WHERE {where}", values).fetchone()
            rows = database.execute(listed, [*values, query.limit, query.offset]).fetchall()
        return BanPage(total, tuple(_kept(*row) for row in rows))

    def exemptions(self, at: float) -> tuple[KeptExemption, ...]:
        """The exemptions by order that are in force at Unix time *at*, the latest first."""
        with self._open() as database:
            rows = database.execute(EXEMPTIONS, (at,)).fetchall()
        return tuple(KeptExemption(str(network(*row[:4])), *row[4:]) for row in rows)

    def past(self, query: BanQuery) -> tuple[PastBan, ...]:
        """What is remembered of former bans of the address or network of *query*, the latest first."""
        where, values = _where(query)
        with self._open() as database:
            rows = database.execute(f"{PAST} WHERE {where} ORDER BY at DESC LIMIT ?", [*values, query.limit]).fetchall()
        return tuple(PastBan(str(network(*row[:4])), *row[4:]) for row in rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"file:{quote(self._path)}?mode=ro", uri=True, timeout=PATIENCE)) as database:
                database.execute("BEGIN")  # count and rows belong together
                yield database
        except sqlite3.Error as error:
            raise EdgeError(f"{self._path}: {error}") from error


def _condition(query: BanQuery) -> tuple[str, list[object]]:
    """*query* as the condition of a WHERE clause and its values."""
    parts: list[str] = ["1"]
    values: list[object] = []
    if query.active:
        parts.append("(until IS NULL OR until > ?)")
        values.append(query.at)
    if query.sensor is not None:
        parts.append("sensor = ?")
        values.append(query.sensor)
    if query.origin is not None:
        parts.append("origin = ?")
        values.append(query.origin)
    where, more = _where(query)
    return " AND ".join([*parts, where]), [*values, *more]


def _where(query: BanQuery) -> tuple[str, list[object]]:
    """The address and the network of *query* as a condition and its values."""
    parts: list[str] = ["1"]
    values: list[object] = []
    if query.network is not None:
        net = query.network
        last = net.value | ((1 << (BITS[net.version] - net.length)) - 1)
        parts.append("version = ? AND length >= ? AND value BETWEEN ? AND ?")
        values += [net.version, net.length, blob(net.version, net.value), blob(net.version, last)]
    if query.address is not None:
        source = query.address
        nets = [Network.of(source, length) for length in range(BITS[source.version] + 1)]
        pairs = ",".join(["(?,?)"] * len(nets))
        parts.append(f"version = ? AND scope IN ('', ?) AND (value, length) IN (VALUES {pairs})")
        values += [source.version, source.scope]
        for net in nets:
            values += [blob(net.version, net.value), net.length]
    return " AND ".join(parts), values


def _kept(
    version: int, value: bytes, length: int, scope: str, sensor: str, origin: str,
    since: float, last: float, until: float | None, trips: int, offences: int, who: str, note: str,
) -> KeptBan:  # fmt: skip
    net = network(version, value, length, scope)
    return KeptBan(str(net), sensor, origin, since, last, until, trips, offences, who, note)
