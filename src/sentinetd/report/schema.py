"""What the canonical form may hold: a JSON Schema and a page for people, both made from the classes of the events.

``python -m sentinetd.report.schema DIRECTORY`` writes ``events.schema.json`` and ``events.md`` there (`make
reference`).
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sentinetd.model.address import Address, Network
from sentinetd.model.events import EVENTS, ON_REQUEST, VERSION, Diagnosed, Event, Level, Notice
from sentinetd.model.noun import fields
from sentinetd.report.formats.json_line import ENDLESS, LEFT_OUT, is_date, key_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA, PAGE = "events.schema.json", "events.md"

DATE = {"type": "string", "format": "date-time"}
ENVELOPE: dict[str, dict[str, Any]] = {
    "v": {"const": VERSION, "description": "Version of this set of kinds and of what their members mean."},
    "kind": {"type": "string", "description": "What happened; the name never changes its meaning."},
    "time": {**DATE, "description": "When, in UTC with microseconds."},
    "level": {"enum": [level.value.lower() for level in Level], "description": "How grave it is."},
    "host": {"type": "string", "description": "The host that tells it."},
}

MEANINGS: dict[str, str] = {
    "attempts": "How often it was tried so far.",
    "ban_seconds": "How long the source is banned for it; 0: it is not, null: until the ban is lifted.",
    "bans": "Bans in force.",
    "bytes_in": "Bytes that came from the client; null where a program served it, which tells nobody.",
    "bytes_out": "Bytes that went to the client; null as above.",
    "connection": "Number of the connection, the same in all that happens to it and never used again while the daemon "
    "lives; 0: not known.",
    "count": "How many.",
    "data": "What the client said in ASCII: other bytes as `\\x1b`, `\\r`, `\\n`, `\\t`, a backslash doubled.",
    "dropped": "Services that are no longer configured.",
    "duration_seconds": "From start to end.",
    "ended": "How many bans ended.",
    "errno": "Number of the system's error (errno(3)).",
    "fatal": "Whether the server ended for it.",
    "final": "Whether it is not tried again.",
    "follower": "Who keeps bans outside memory: store, source filter, firewall ...",
    "left": "Bans that are still in force.",
    "local_address": "The address that the client came to; null: not known.",
    "local_port": "The port that the client came to; 0: not known.",
    "network": "Who is banned or exempt: an address, or address/bits.",
    "new": "Services that were begun.",
    "note": "What for, in the words of whoever ordered it.",
    "not_banned_because": "Why there is no ban; empty where there is one. `exempt`: the source never gets banned.",
    "of_many": "Whether the sensor has more ports than the one that was touched.",
    "old": "Services that go on.",
    "origin": "Who ordered the ban.",
    "path": "The file.",
    "pid": "Process number of the server; 0: the daemon itself served.",
    "process": "Which of the daemon's processes.",
    "protocol": "Transport: tcp, udp ...; empty: not known.",
    "reason": "Why it was refused.",
    "repeated": "Kind of the event that came again.",
    "retry_seconds": "When it is tried again; 0 or null: it is not.",
    "seconds": "For how long.",
    "sensor": "Id of the sensor that was touched; empty for other origins.",
    "servers": "Servers that run.",
    "service": "Id of the service.",
    "service_number": "Number of the running service: ids need not be unique.",
    "services": "Services that are available.",
    "signal": "Number of the signal; 0: none.",
    "sink": "Name of the alert in `sentinetd.toml`.",
    "source": "Address of the client; null where the kernel does not tell it (a waiting stream service).",
    "source_port": "Port of the client; 0: not known.",
    "spawner": "What starts servers.",
    "status": "Exit status; -1 where a signal ended it.",
    "step": "What could not be done: execve, setuid ...",
    "text": "The message.",
    "truncated": "Whether it said more than was to be kept.",
    "until": "When the ban or the exemption ends; null: when that is ordered.",
    "uptime_seconds": "Since the daemon's start.",
    "user": "Who owns the connection, as the client's host claims.",
    "version": "Version of the daemon.",
    "waiting": "Events that are on their way.",
    "what": "What it is about.",
    "who": "Who ordered it; empty: nobody.",
    "why": "Why, in words.",
}
"""What each member means, wherever it occurs."""


def schema() -> dict[str, Any]:
    """The JSON Schema of one event. A kind may get more members within a version; what is there keeps its meaning."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:sentinetd:events:{VERSION}",
        "title": "Events of sentinetd",
        "description": "One JSON object on each line. Kinds and members may be added within a version: ignore what you "
        "do not know.",
        "oneOf": [{"$ref": f"#/$defs/{kind.kind}"} for kind in EVENTS],
        "$defs": {kind.kind: _object(kind) for kind in EVENTS},
    }


def page() -> str:
    """The reference of all kinds, in Markdown."""
    lines = [
        "# Events",
        "",
        "<!-- Made by `make reference`; change src/sentinetd/model/events.py or report/schema.py instead. -->",
        "",
        "Whatever happens is told once, as an event of one of the kinds below; formats and sinks make it visible. The "
        "canonical form is one JSON object a line (`format = \"json\"`), described by "
        f"[{SCHEMA}]({SCHEMA}) (JSON Schema 2020-12). Kinds and members keep their names and meanings within version "
        f"{VERSION}; more may be added, so ignore what you do not know. After a crash of one of the daemon's processes "
        "an event may come twice: the line is the same, byte for byte.",
        "",
        "Every event has:",
        "",
        *_table((name, _type(rule), rule["description"]) for name, rule in ENVELOPE.items()),
    ]  # fmt: skip
    for kind in EVENTS:
        level = "level as the message's" if kind in (Notice, Diagnosed) else kind.level.value.lower()
        asked = "; made only where a sink or a listener wants it" if kind in ON_REQUEST else ""
        lines += ["", f"## `{kind.kind}`", "", f"{_told(kind)} ({level}{asked})"]
        rows = [(key, _type(rule), rule["description"]) for key, rule in _members(kind)]
        if rows:
            lines += ["", *_table(iter(rows))]
    return "\n".join(lines) + "\n"


def write(directory: Path) -> None:
    """Put both into *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / SCHEMA).write_text(json.dumps(schema(), indent=2) + "\n")
    (directory / PAGE).write_text(page())


def _object(kind: type[Event]) -> dict[str, Any]:
    properties = {**ENVELOPE, "kind": {"const": kind.kind}, **dict(_members(kind))}
    return {"type": "object", "description": _told(kind), "properties": properties, "required": list(properties)}


def _members(kind: type[Event]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The keys that a *kind* of event has of its own, and the rule for each."""
    hints = get_type_hints(kind)
    for name in (field.name for field in fields(kind)):
        if name in LEFT_OUT:
            continue
        key = key_of(kind, name)
        rule = DATE if is_date(kind, name) else _rule(hints[name])
        if name in ENDLESS:
            rule = {**rule, "type": [rule["type"], "null"]}
        yield key, {**rule, "description": MEANINGS[key]}
        if hints[name] is bytes:
            yield f"{key}_text", {"type": "string", "description": f"`{key}` for people: what does not print as \\x1b."}


def _rule(hint: Any) -> dict[str, Any]:
    """The rule for a value of type *hint*."""
    if get_origin(hint) in (Union, UnionType):
        rule = _rule(next(one for one in get_args(hint) if one is not type(None)))
        return {**rule, "type": [rule["type"], "null"]}
    if issubclass(hint, Enum):
        return {"enum": [one.value for one in hint]}
    return dict(RULES[hint])


RULES: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    Address: {"type": "string"},
    Network: {"type": "string"},
}


def _told(kind: type[Event]) -> str:
    """What the class says of itself, its fields by the names that others see."""
    words = " ".join((inspect.getdoc(kind) or "").split())
    names = {field.name: key_of(kind, field.name) for field in fields(kind)}
    return re.sub(r"\*(\w+)\*", lambda found: f"`{names.get(found[1], found[1])}`", words)


def _type(rule: dict[str, Any]) -> str:
    """The type of a member in a word or two."""
    if "const" in rule:
        return json.dumps(rule["const"])
    if "enum" in rule:
        return ", ".join(f"`{word}`" for word in rule["enum"])
    known = rule["type"]
    words = [known] if isinstance(known, str) else list(known)
    return " or ".join([rule.get("format", rule.get("contentEncoding", words[0])), *words[1:]])


def _table(rows: Iterator[tuple[str, str, str]]) -> list[str]:
    return ["| Member | Type | Meaning |", "|---|---|---|", *(f"| `{a}` | {b} | {c} |" for a, b, c in rows)]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
