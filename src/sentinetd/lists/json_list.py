"""One JSON object with all bans, each on a line of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator

from sentinetd.lists.head import Head
from sentinetd.model.ban import Ban
from sentinetd.model.events import VERSION
from sentinetd.report.dates import rfc3339
from sentinetd.report.escape import unicode_text

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def json_list(bans: Iterable[Ban], head: Head) -> Iterator[str]:
    """``v``, ``host``, ``made``, ``expires`` and ``bans``, whose ends are null where only a lift ends them."""
    envelope = {
        "v": VERSION,
        "host": unicode_text(head.observer.host),
        "made": rfc3339(head.at),
        "expires": rfc3339(head.expires),
    }
    yield _encode(envelope)[:-1] + ',"bans":['
    before = ""
    for ban in bans:
        yield before + _encode(
            {
                "network": unicode_text(str(ban.network)),
                "since": rfc3339(ban.since),
                "until": None if math.isinf(ban.until) else rfc3339(ban.until),
                "origin": ban.origin.value,
                "sensor": unicode_text(ban.sensor),
                "who": unicode_text(ban.who),
                "note": unicode_text(ban.note),
            }
        )
        before = ","
    yield "]}"
