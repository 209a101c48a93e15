"""Our nouns as rows of the store's tables, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sentinetd.model.address import BITS, Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.exemption import Exemption
from sentinetd.model.trip_run import TripTable

Key = tuple[int, bytes, int, str]


def key(network: Network) -> Key:
    """A network as the columns of the primary key."""
    return (
        network.version,
        blob(network.version, network.value),
        network.length,
        storable(network.scope),
    )


def blob(version: int, value: int) -> bytes:
    """An address as the column `value`."""
    return value.to_bytes(BITS[version] // 8, "big")


def of_ban(ban: Ban) -> tuple[object, ...]:
    """A ban as the first parameters of UPSERT."""
    return (
        *key(ban.network),
        storable(ban.sensor),
        ban.origin.value,
        ban.since,
        None if ban.until == math.inf else ban.until,
        1 if ban.origin is Origin.SENSOR else 0,
        storable(ban.who),
        storable(ban.note),
    )


def of_run(trips: TripTable) -> tuple[object, ...]:
    """What the bans that *trips* began have in common: IP version, length, scope, sensor."""
    run = trips.run
    return run.version, run.length, storable(run.scope), storable(run.service)


def of_trips(trips: TripTable) -> Iterator[tuple[object, ...]]:
    """Of each of them the columns `value`, `since` and `until`."""
    version = trips.run.version
    fill = BITS[version] - trips.run.length
    for at, span, _, _, packed in trips.rows:
        value = packed if not fill else blob(version, int.from_bytes(packed, "big") >> fill << fill)
        yield value, at, None if span == math.inf else at + span


def of_exemption(one: Exemption) -> tuple[object, ...]:
    """An exemption as the parameters of EXEMPT."""
    until = None if one.until == math.inf else one.until
    return (*key(one.network), one.since, until, storable(one.who), storable(one.note))


def storable(text: str) -> str:
    """*text* without lone surrogates, which are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def end(until: float | None) -> float:
    """The column `until` as we know it."""
    return math.inf if until is None else until


def network(version: int, value: bytes, length: int, scope: str) -> Network:
    """The columns of the primary key as a network."""
    return Network(version, int.from_bytes(value, "big"), length, scope)


def ban(
    version: int, value: bytes, length: int, scope: str, last: float, until: float | None, sensor: str, origin: str,
    who: str, note: str,
) -> Ban:  # fmt: skip
    """A row of LOAD as a ban."""
    known = _ORIGINS.get(origin, Origin.SENSOR)
    return Ban(network(version, value, length, scope), last, end(until), sensor, known, who, note)


def exemption(
    version: int, value: bytes, length: int, scope: str, since: float, until: float | None, who: str, note: str
) -> Exemption:
    """A row of LOAD_EXEMPTIONS as an exemption."""
    return Exemption(network(version, value, length, scope), since, end(until), who, note)


_ORIGINS = {origin.value: origin for origin in Origin}
