"""Writes events without the courier: mistakes at the start, its own failure, and what it left unwritten at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable

from sentinetd.model.events import Event, Level
from sentinetd.report.formats.text import critical, file_line, level, messages
from sentinetd.report.sinks.syslog import SystemLog


def write_directly(events: Iterable[Event], ident: str, descriptor: int | None, facility: str) -> None:
    """Append *events* to the open log *descriptor*; None: send them to syslog as *facility*. A log that cannot be
    written is no reason to fail: whoever asks is about to end, or says it again later."""
    pid = os.getpid()
    lines = [(event, level(event), text) for event in events for text in messages(event)]
    dressed = [
        (event.at, grade, critical(event, pid, text) if grade is Level.CRITICAL else text)
        for event, grade, text in lines
    ]
    if descriptor is None:
        log = SystemLog(ident, pid, facility)
        for at, grade, text in dressed:
            log.put(at, grade, text)
        log.flush()
        log.close()
        return
    text = "".join(file_line(at, ident, pid, grade, text) + "\n" for at, grade, text in dressed)
    try:
        os.write(descriptor, text.encode("ascii", "backslashreplace"))
    except OSError:
        return
