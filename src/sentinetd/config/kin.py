"""Entries that are written alike but for their names, ports and programs: what one comes to, the others come to.

Thousands of services are generated, or copied from a first one. What is not in the entry's own words is the same for
all of them within one reading: the defaults and the answers of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sentinetd.config import table
from sentinetd.config.host import Host
from sentinetd.config.lookup import looked_up
from sentinetd.config.moved import Moved
from sentinetd.config.pieces import Piece
from sentinetd.config.validate import IDENT_PORT
from sentinetd.model.attribute import BadValue, Kind
from sentinetd.model.noun import dataclass
from sentinetd.model.service import Service
from sentinetd.model.values import Flag, Place, Type

OF_NAME = frozenset({Type.RPC, Type.INTERNAL, Type.TCPMUX, Type.TCPMUXPLUS})
"""Types of service for which it matters what it is called, beside those that are looked up in services(5)."""


@dataclass(frozen=True, slots=True)
class _First:
    """The one of its kin that was read first: where it begins, and what it came to."""

    place: Place
    lines: int
    values: Mapping[str, Any]
    places: Mapping[str, Place]


@cache
def _own() -> re.Pattern[bytes]:
    """What may differ among kin: the line up to its words, the attribute, and the words. Nothing else follows from any
    of them, in an entry that has nothing to be remarked on (`complete`, `validate`), but for the ports that `Kin`
    leaves alone."""
    return re.compile(rb"^([ \t]*(port|server|server_args)[ \t]+=)([\t -~]*)$", re.MULTILINE)


class Kin:
    """Of one reading. *host* says what there is."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._first: dict[tuple[bytes | str, ...], _First] = {}  # by what they have in common

    def learn(self, piece: Piece, values: Mapping[str, Any], service: Service) -> None:
        """*piece* comes to *service* by *values*, its own and those of the defaults; there was nothing to remark."""
        named = Flag.SENSOR not in service.flags and not OF_NAME.isdisjoint(service.type)
        if named or Type.UNLISTED not in service.type or service.ports is not None or _odd(service.port):
            return
        common, _ = _parted(piece)
        if common not in self._first:
            self._first[common] = _First(piece.place, piece.text.count(b"\n"), values, service.places)

    def like(self, piece: Piece) -> Service | None:
        """What *piece*, which has its name for an id, comes to; None if that has to be found out."""
        common, own = _parted(piece)
        first = self._first.get(common)
        if first is None:
            return None
        values = dict(first.values)
        for attribute, text in own:
            row = table.by_name()[attribute.decode()]
            words = tuple(text.decode().split())
            if row.kind is Kind.FIXED and len(words) not in row.counts:
                return None
            try:
                values[row.field] = looked_up(row.name, row.read(words), self._host)
            except BadValue:
                return None
            if row.remarks and any(row.remarks(words)):
                return None
        if _odd(values["port"]):
            return None
        places = Moved(first.places, first.place, first.lines, piece.place)
        return Service(name=piece.name, id=piece.name, places=places, **values)


def _parted(piece: Piece) -> tuple[tuple[bytes | str, ...], Iterable[tuple[bytes, bytes]]]:
    """What *piece* may have in common with others, its file and all its lines without what may differ; and that, by
    attribute."""
    text = piece.text
    parts = _own().split(text[text.index(b"\n") :])
    return (piece.place.file, *parts[0::4], *parts[1::4]), zip(parts[2::4], parts[3::4], strict=True)


def _odd(port: int) -> bool:
    """Whether something follows from a *port*: none, or that of those who are asked who their users are."""
    return port in (0, IDENT_PORT)
