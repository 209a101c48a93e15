"""An event as one JSON object on one line: the canonical form, from which every other dialect could be made.

`report.schema` says what it may hold. The names are those of the schema, whatever the classes call their fields; the
order of the keys is fixed, and an event that is written twice is the same line twice.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Callable
from enum import Enum
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sentinetd.model.address import Address, Network
from sentinetd.model.events import VERSION, BanImposed, Event, ExemptionAdded, ServicePaused, ServiceResumed
from sentinetd.model.noun import fields
from sentinetd.model.observer import Observer
from sentinetd.report.dates import rfc3339
from sentinetd.report.escape import escape, unicode_text
from sentinetd.report.formats.text import level

NAMES: dict[str, str] = {
    "number": "service_number",
    "port": "source_port",
    "retry_in": "retry_seconds",
    "duration": "duration_seconds",
    "uptime": "uptime_seconds",
    "ban_span": "ban_seconds",
    "why_not": "not_banned_because",
    "local": "local_address",
    "file": "path",
}
"""Keys of the fields that are not called as the classes have it."""
NAMES_OF_KIND: dict[type[Event], dict[str, str]] = {
    ServicePaused: {"name": "service"},
    ServiceResumed: {"name": "service"},
}
LEFT_OUT = frozenset({"at", "grade"})
"""Fields that every object tells by another key: the time and the level."""
ENDLESS = frozenset({"until", "ban_span", "retry_in"})
"""Fields that may be infinite, which is told as null."""
DATES = frozenset({(BanImposed, "until"), (ExemptionAdded, "until")})
"""Fields that are Unix time; other numbers are as they are."""

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def json_line(event: Event, observer: Observer) -> str:
    """``v``, ``kind``, ``time`` (RFC 3339, UTC), ``level``, ``host``, then what the kind has to say.

    Addresses and networks are text, null is what is not known or never ends. The line is ASCII and holds no control
    character.
    """
    return _encode(json_object(event, observer))


def json_object(event: Event, observer: Observer) -> dict[str, Any]:
    """What `json_line` writes, as values of JSON."""
    told: dict[str, Any] = {
        "v": VERSION,
        "kind": event.kind,
        "time": rfc3339(event.at),
        "level": level(event).value.lower(),
        "host": unicode_text(observer.host),
    }
    kind: Any = type(event)
    for key, value in members(kind):
        told[key] = value(event)
    return told


@cache
def members(kind: Any) -> tuple[tuple[str, Callable[[Event], Any]], ...]:
    """The keys that a *kind* of event has of its own, and what gives the value of each."""
    hints = get_type_hints(kind)
    found: list[tuple[str, Callable[[Event], Any]]] = []
    for name in (field.name for field in fields(kind)):
        if name in LEFT_OUT:
            continue
        key = key_of(kind, name)
        if is_date(kind, name):
            found.append((key, _then(name, _date)))
        elif hints[name] is bytes:
            found += [(key, _then(name, _base64)), (f"{key}_text", _then(name, _readable))]
        else:
            found.append((key, _then(name, _converter(hints[name]))))
    return tuple(found)


def key_of(kind: type[Event], name: str) -> str:
    """What the field *name* of a *kind* of event is called."""
    return NAMES_OF_KIND.get(kind, NAMES).get(name, name)


def is_date(kind: type[Event], name: str) -> bool:
    """Whether the field *name* of a *kind* of event is Unix time."""
    return any(issubclass(kind, one) and name == field for one, field in DATES)


def _then(name: str, convert: Callable[[Any], Any] | None) -> Callable[[Event], Any]:
    get = attrgetter(name)
    return get if convert is None else lambda event: convert(get(event))


def _converter(hint: Any) -> Callable[[Any], Any] | None:
    """What makes a value of JSON of one of type *hint*; None where it is one."""
    if hint in (int, bool):
        return None
    if get_origin(hint) in (Union, UnionType):
        inner = _converter(next(one for one in get_args(hint) if one is not type(None)))
        return inner and (lambda value: None if value is None else inner(value))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value: value.value
    return _CONVERTERS[hint]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _date(value: float) -> str | None:
    return rfc3339(value) if math.isfinite(value) else None


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _readable(value: bytes) -> str:
    r"""*value* for people: printable ASCII as it is, the rest as ``\x1b``."""
    return escape(value.decode("ascii", "backslashreplace"))


_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    str: unicode_text,
    float: _number,
    Address: lambda value: unicode_text(value.text),
    Network: lambda value: unicode_text(str(value)),
}
