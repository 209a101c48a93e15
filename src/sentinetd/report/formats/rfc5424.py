"""An event as one syslog message of RFC 5424: the kind as MSGID, what it says as structured data, a sentence as MSG."""

from __future__ import annotations

from typing import Any

from sentinetd.model.events import Event
from sentinetd.model.observer import Observer
from sentinetd.report.dates import rfc3339
from sentinetd.report.escape import escape
from sentinetd.report.formats.outline import outline
from sentinetd.report.formats.text import level
from sentinetd.report.sinks.syslog import FACILITIES, SEVERITY_OF

LONGEST_VALUE = 1024
"""Characters of a value; receivers must take 480 octets of a message and should take 2048 (section 6.1)."""
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"', "]": "\\]"})


def rfc5424(event: Event, observer: Observer) -> str:
    """``<PRI>1 TIME HOST APP PROCID MSGID [origin ...][sentinetd@NUMBER ...] MSG``, printable ASCII.

    What is not known is left out of the structured data; a number after the @ is the observer's enterprise.
    """
    told = outline(event, observer)
    priority = FACILITIES[observer.facility] << 3 | SEVERITY_OF[level(event)]
    data = "".join(
        _parameter(key, value) for key, value in told.members.items() if value not in (None, "") and value is not False
    )
    origin = f'[origin software="sentinetd"{_parameter("swVersion", observer.version)}]'
    return (
        f"<{priority}>1 {rfc3339(event.at)} {header(observer.host, 255)} {header(observer.ident, 48)} {observer.pid} "
        f"{header(event.kind, 32)} {origin}[sentinetd@{observer.enterprise}{data}] {told.summary}"
    )


def header(text: str, most: int) -> str:
    """*text* as a field of the header: printable ASCII without spaces, at most so long; ``-`` for none."""
    return escape(text).replace(" ", "_")[:most] or "-"


def _parameter(key: str, value: Any) -> str:
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return f' {key}="{escape(text)[:LONGEST_VALUE].translate(_QUOTED)}"'
