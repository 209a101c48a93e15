"""Comma-separated values with a line of names (RFC 4180), all that a ban is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from sentinetd.lists.head import Head
from sentinetd.model.ban import Ban
from sentinetd.report.dates import rfc3339
from sentinetd.report.escape import escape

COLUMNS = ("network", "since", "until", "origin", "sensor", "who", "note")


def comma(bans: Iterable[Ban], head: Head) -> Iterator[str]:
    """A line a ban: dates by RFC 3339, an empty *until* where only a lift ends it."""
    yield ",".join(COLUMNS)
    for ban in bans:
        until = "" if math.isinf(ban.until) else rfc3339(ban.until)
        values = (str(ban.network), rfc3339(ban.since), until, ban.origin.value, ban.sensor, ban.who, ban.note)
        yield ",".join(map(field, values))


def field(text: str) -> str:
    """*text* as a field, in printable ASCII. One that a spreadsheet would take for a formula is none any more."""
    safe = escape(text)
    if safe[:1] in ("=", "+", "-", "@"):
        safe = f"'{safe}"
    return '"' + safe.replace('"', '""') + '"' if any(sign in safe for sign in ',"') else safe
