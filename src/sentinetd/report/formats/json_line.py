"""An event as one JSON object on one line: the canonical form, from which every other dialect could be made."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from typing import Any

from sentinetd.model.events import Event
from sentinetd.model.wire import pack
from sentinetd.report.formats.text import level


def json_line(event: Event) -> str:
    """``kind``, ``level``, ``at`` (Unix time in seconds), then the event's own fields by their names.

    Addresses and networks are text, what lasts for ever is "inf". The line is ASCII and holds no control character.
    """
    value: dict[str, object] = {"kind": event.kind, "level": level(event).value}
    kind: Any = type(event)
    value.update(zip(_names(kind), pack(event), strict=True))
    value.pop("grade", None)  # told as the level
    return json.dumps(value, separators=(",", ":"))


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
