"""The `[[feed]]` tables of sentinetd.toml: lists of bans, and reports of trips, that are kept current in files.

Loaded only where there is such a table. Whether files can be made in a directory only the courier can say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from sentinetd.config.toml_values import Reader, choice, path, span, whole, words
from sentinetd.model.attribute import BadValue
from sentinetd.model.ban import Origin
from sentinetd.model.feed import Feed, FeedFormat
from sentinetd.model.readers import nearest
from sentinetd.model.settings import FileUse, FileWanted

TABLE = "feed"
MOST = 32
"""Feeds in one file."""
EVERY, DELAY, LIMIT = 3600.0, 5.0, 131_072
"""Where a table does not say: seconds between two writings, seconds after a change, networks of a list (which is what
common firewalls take)."""
OWN = (Origin.SENSOR, Origin.OPERATOR)
"""Bans of this host. To hand on those of others is for who knows that they do not come back."""

Wrong = Callable[[int, str, str, str], None]
"""Told of a mistake: number of the table, key, what is wrong, a way out."""


def _path(value: Any) -> str:
    found = path(value)
    name = os.path.basename(found)
    if name in ("", ".", ".."):
        raise BadValue(f"{found} names no file", f"write {found.rstrip('/')}/banned.txt")
    if len(os.fsencode(name)) > 200:
        raise BadValue(f"{name:.40}... is too long a name", "write at most 200 bytes after the last slash")
    return found


def _origins(value: Any) -> tuple[Origin, ...]:
    read = choice(Origin)
    return tuple(dict.fromkeys(read(word) for word in words(value)))


def _family(value: Any) -> tuple[int, ...]:
    if value not in (4, 6) or isinstance(value, bool):
        raise BadValue(f"{value!r} is no IP version", "write 4 or 6, or leave family out for both")
    return (value,)


READERS: Mapping[str, Reader] = {
    "path": _path,
    "format": choice(FeedFormat),
    "every": span(10.0),
    "delay": span(0.0),
    "origins": _origins,
    "family": _family,
    "limit": whole(1, 100_000_000),
    "user": whole(1, 1 << 31),
}
NEEDED = ("path", "format")
FOR_LISTS = frozenset({"delay", "origins", "limit"})
"""Keys that mean nothing to a report of trips."""


def read_feeds(content: Any, first_file: int, wrong: Wrong) -> tuple[tuple[Feed, ...], tuple[FileWanted, ...]]:
    """The feeds of the array of tables *content*, and the directories they name, numbered from *first_file* on. *wrong*
    is told of every mistake; a table with one is left out."""
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        wrong(0, "", f"{TABLE} is no array of tables", f"write [[{TABLE}]] on a line of its own")
        return (), ()
    if len(content) > MOST:
        wrong(MOST, "", f"{len(content)} feeds are too many", f"write at most {MOST}")
        return (), ()
    feeds: list[Feed] = []
    files: list[FileWanted] = []
    for number, table in enumerate(content):
        values = _values(number, table, wrong)
        if values is None:
            continue
        where = values["path"]
        if any(where == file.path for file in files):
            wrong(number, "path", f"two feeds are written to {where}", "name their files apart")
            continue
        feeds.append(_feed(values, first_file + len(files)))
        files.append(FileWanted(where, FileUse.DIRECTORY, TABLE, number, "path"))
    return tuple(feeds), tuple(files)


def _feed(values: Mapping[str, Any], directory: int) -> Feed:
    return Feed(
        directory=directory,
        name=os.path.basename(values["path"]),
        format=values["format"],
        every=values.get("every", EVERY),
        delay=values.get("delay", DELAY),
        origins=values.get("origins", OWN),
        versions=values.get("family", (4, 6)),
        most=values.get("limit", LIMIT),
        user=values.get("user", 0),
    )


def _values(number: int, table: Mapping[str, Any], wrong: Wrong) -> dict[str, Any] | None:
    """The values of a table; None if something is wrong with them, which is told."""
    values: dict[str, Any] = {}
    sound = True

    def object_(key: str, text: str, way_out: str) -> None:
        nonlocal sound
        sound = False
        wrong(number, key, text, way_out)

    for key, value in table.items():
        if key not in READERS:
            object_(key, f"unknown key {key}", nearest(key, READERS) + f"write one of {' '.join(sorted(READERS))}")
            continue
        try:
            values[key] = READERS[key](value)
        except BadValue as bad:
            object_(key, bad.text, bad.way_out)
    for key in NEEDED:
        if key not in table:
            object_("", f"a feed needs {key}", f"write {key} = ...")
    kind = values.get("format")
    if kind is not None:
        reports = kind.reports
        for key in sorted(FOR_LISTS & table.keys() if reports else ()):
            object_(key, f"{key} means nothing to a report of trips", f"leave {key} out")
        if kind is FeedFormat.DSHIELD and "user" not in table:
            object_("", "DShield needs to know who reports", "write user = NUMBER, which DShield gave you")
        if kind is not FeedFormat.DSHIELD and "user" in table:
            object_("user", f"user means nothing to format {kind.value}", "leave user out")
    return values if sound else None
