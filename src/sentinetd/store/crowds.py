"""Whole neighbourhoods of banned sources: what somebody who thinks of banning wider would want to see first.

A view, and nothing more: no ban is widened by it. Blocking, like the store.
"""

from __future__ import annotations

import sqlite3

from sentinetd.model.address import BITS, Network
from sentinetd.model.noun import dataclass
from sentinetd.store.sqlite import told

MOST = 1_000
"""Networks that one look gives."""
LENGTHS = {4: (8, 16, 24), 6: (16, 32, 48, 56)}
"""Lengths of the neighbourhoods, by IP version: whole bytes, since the store keeps addresses as bytes."""

QUERY = """
SELECT substr(value, 1, ?1), count(*), count(DISTINCT sensor), sum(trips) FROM bans
WHERE version = ?2 AND length > 8 * ?1 AND scope = '' AND (until IS NULL OR until > ?3)
GROUP BY 1 HAVING count(*) >= ?4 ORDER BY 2 DESC, 1 LIMIT ?5
"""


@dataclass(frozen=True, slots=True)
class Crowd:
    """In *network* so many *bans* are in force, of so many different *sensors*, begun or lengthened by *trips*."""

    network: Network
    bans: int
    sensors: int
    trips: int


def crowds(path: str, now: float, version: int, length: int, least: int, most: int = 100) -> list[Crowd]:
    """The networks of that *version* and *length* with at least *least* narrower bans within, in force at Unix time
    *now*; the fullest first, *most* of them. EdgeError if the file *path* cannot be read, ValueError for a length that
    is none of `LENGTHS`."""
    if length not in LENGTHS[version]:
        raise ValueError(f"IPv{version} neighbourhoods have {', '.join(map(str, LENGTHS[version]))} bits, not {length}")
    size = length // 8
    with told(path):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)
        try:
            rows = database.execute(QUERY, (size, version, now, max(2, least), min(most, MOST))).fetchall()
        finally:
            database.close()
    shift = BITS[version] - length
    return [
        Crowd(Network(version, int.from_bytes(value, "big") << shift, length), bans, sensors, trips)
        for value, bans, sensors, trips in rows
    ]
