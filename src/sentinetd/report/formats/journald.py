"""An event as the fields of a journal entry, in the journal's native protocol: one datagram (systemd's
Native Journal Protocol). `journalctl SENTINETD_EVENT=sensor.tripped` finds trips."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from typing import Any

from sentinetd.model.events import Event
from sentinetd.model.observer import Observer
from sentinetd.report.formats.outline import NAMESPACE, outline
from sentinetd.report.sinks.syslog import FACILITIES, SEVERITY_OF


def journal_entry(event: Event, observer: Observer) -> bytes:
    """The datagram. Values are UTF-8 and may hold anything; one with a line end goes in the form that tells its length.

    MESSAGE is a sentence in printable ASCII, MESSAGE_ID the same for all events of a kind.
    """
    return b"".join(_field(name, value) for name, value in _fields(event, observer))


def _fields(event: Event, observer: Observer) -> Iterator[tuple[str, Any]]:
    told = outline(event, observer)
    yield "MESSAGE", told.summary
    yield "MESSAGE_ID", uuid.uuid5(NAMESPACE, event.kind).hex
    yield "PRIORITY", SEVERITY_OF[told.level]
    yield "SYSLOG_FACILITY", FACILITIES[observer.facility]
    yield "SYSLOG_IDENTIFIER", observer.ident
    yield "SYSLOG_PID", observer.pid
    yield "SENTINETD_EVENT", event.kind
    for key, value in told.members.items():
        if value not in (None, ""):
            yield f"SENTINETD_{key.upper()}", value


def _field(name: str, value: Any) -> bytes:
    data = str(value).encode("utf-8", "backslashreplace")
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
