"""An event in the Common Event Format: a header of seven fields between bars, then keys of ArcSight's dictionary.

Source: Micro Focus ArcSight Common Event Format, Implementation Standard (version 25). Consumers of version 0 take IPv4
alone in `src` and `dst`; IPv6 addresses go where the dictionary has a place for them, c6a2 and c6a3.
"""

from __future__ import annotations

from collections.abc import Iterator

from sentinetd.model.address import Address
from sentinetd.model.events import Event, Level
from sentinetd.model.observer import Observer
from sentinetd.report.dates import bounded
from sentinetd.report.escape import escape
from sentinetd.report.formats.outline import Outcome, Outline, bare, outline

SEVERITIES = {
    Level.DEBUG: 0,
    Level.INFO: 1,
    Level.NOTICE: 3,
    Level.WARNING: 5,
    Level.ERROR: 7,
    Level.CRITICAL: 9,
}
"""0 to 3 are low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high."""
LONGEST = 1023
"""Characters of a value: what the dictionary allows msg and reason."""
LABELLED = {
    "cs1": ("service", "service"),
    "cs2": ("network", "network"),
    "cs3": ("origin", "origin"),
    "cs4": ("sensor", "sensor"),
    "cs5": ("until", "until"),
    "cs6": ("what", "what"),
    "cn1": ("banSeconds", "ban_seconds"),
    "cn2": ("exitStatus", "status"),
    "cn3": ("signal", "signal"),
}
"""Members that the dictionary has no key for: where they go, and under which label."""

_HEADER = str.maketrans({"\\": "\\\\", "|": "\\|"})
_VALUE = str.maketrans({"\\": "\\\\", "=": "\\="})


def cef(event: Event, observer: Observer) -> str:
    """``CEF:0|sentinetd|sentinetd|VERSION|KIND|TITLE|SEVERITY|key=value ...``, printable ASCII."""
    told = outline(event, observer)
    header = "|".join(
        escape(word).translate(_HEADER)
        for word in ("CEF:0", "sentinetd", "sentinetd", observer.version, event.kind, told.title)
    )
    extension = " ".join(f"{key}={value}" for key, value in _extension(event, observer, told) if value)
    return f"{header}|{SEVERITIES[told.level]}|{extension}"


def _extension(event: Event, observer: Observer, told: Outline) -> Iterator[tuple[str, str]]:
    yield "rt", str(int(bounded(event.at) * 1000))
    yield "dvchost", _value(observer.host, 100)
    yield "dvcpid", str(observer.pid)
    yield "externalId", _number(told.members.get("connection"))
    yield from _addressed("src", "c6a2", "Source IPv6 Address", told.source)
    yield "spt", _number(told.source_port)
    yield from _addressed("dst", "c6a3", "Destination IPv6 Address", told.local)
    yield "dpt", _number(told.local_port)
    yield "proto", _value(told.protocol.upper(), 31)
    yield "dpid", _number(told.pid)
    yield "suser", _value(str(told.members.get("user", "")))
    yield "in", _number(told.members.get("bytes_in"))
    yield "out", _number(told.members.get("bytes_out"))
    yield "act", "" if told.outcome is Outcome.NONE else told.outcome.value
    yield "reason", _value(told.reason)
    for key, (label, member) in LABELLED.items():
        value = told.members.get(member)
        if value not in (None, ""):
            yield f"{key}Label", label
            yield key, _value(str(int(value) if isinstance(value, float) else value))
    yield "msg", _value(told.summary)


def _addressed(key: str, key6: str, label: str, address: Address | None) -> Iterator[tuple[str, str]]:
    if address is None:
        return
    if address.version == 4:
        yield key, _value(bare(address))
    else:
        yield f"{key6}Label", label
        yield key6, _value(bare(address))


def _number(value: int | None) -> str:
    return str(value) if value else ""


def _value(text: str, most: int = LONGEST) -> str:
    """*text* as the value of a key: an end of a line was made ``\\x0a`` of, so that none is left to be written."""
    return escape(text)[:most].strip().translate(_VALUE)
