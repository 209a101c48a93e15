"""Any format as a syslog message: the header of RFC 5424 before it, for whoever reads the rest by itself."""

from __future__ import annotations

from sentinetd.model.events import Event
from sentinetd.model.observer import Observer
from sentinetd.ports import Format
from sentinetd.report.dates import rfc3339
from sentinetd.report.formats.rfc5424 import header
from sentinetd.report.formats.text import level
from sentinetd.report.sinks.syslog import FACILITIES, SEVERITY_OF


def enveloped(inner: Format) -> Format:
    """*inner* behind ``<PRI>1 TIME HOST APP PROCID MSGID -`` (RFC 5424 section 6)."""

    def line(event: Event, observer: Observer) -> str | None:
        told = inner(event, observer)
        if told is None:
            return None
        priority = FACILITIES[observer.facility] << 3 | SEVERITY_OF[level(event)]
        host, ident = header(observer.host, 255), header(observer.ident, 48)
        return f"<{priority}>1 {rfc3339(event.at)} {host} {ident} {observer.pid} {event.kind} - {told}"

    return line
