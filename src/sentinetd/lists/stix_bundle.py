"""One STIX 2.1 bundle with an indicator for each ban, each on a line of its own: what a TAXII collection takes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator

from sentinetd.lists.head import Head
from sentinetd.model.ban import Ban
from sentinetd.report.dates import rfc3339
from sentinetd.report.escape import unicode_text
from sentinetd.report.formats.outline import NAMESPACE
from sentinetd.report.formats.stix import identity, indicator

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def stix_bundle(bans: Iterable[Ban], head: Head) -> Iterator[str]:
    """The bundle. An indicator has the same id as in the events of its ban; what has a scope is left out."""
    number = uuid.uuid5(NAMESPACE, unicode_text(f"{head.observer.host} {rfc3339(head.at)}"))
    yield f'{{"type":"bundle","id":"bundle--{number}","objects":['
    yield _encode(identity(head.observer))
    for ban in bans:
        if not ban.network.scope:
            yield "," + _encode(indicator(ban.network, ban.since, ban.until, head.observer))
    yield "]}"
