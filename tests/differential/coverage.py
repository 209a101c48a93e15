"""Which case shows what: every attribute, option of an attribute, internal service and command-line option, one by one.

What there is comes from the daemon's own tables. A case shows a thing when its configuration asks for it on purpose,
that is otherwise than the entry that most cases share; among several the one that asks for least else is named.

``python -m differential.coverage`` in ``tests`` prints the table; `proof` plays the cases with the thing taken out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from differential.stage import Case
from differential.table import CASES
from rig.entries import USUAL
from sentinetd.config.in_force import NOT_YET_IN_FORCE
from sentinetd.config.syntax import Entry, Line, parse
from sentinetd.config.table import DEFAULTS_ONLY, attributes, by_name
from sentinetd.daemon.options import OLD, TABLE
from sentinetd.model.attribute import Attribute, Kind
from sentinetd.model.manner import CARRIED, DATAGRAM, MULTIPLEXER, SAID_AT_ONCE
from sentinetd.model.service import Service


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """What is to be shown: *what* of the attribute (or with an empty *name*: of the command line) *name*."""

    kind: str
    name: str
    what: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {' '.join(word for word in (self.name, self.what) if word)}"


ATTRIBUTE, OPTION, OPERATOR, DEFAULT, INTERNAL, SWITCH = (
    "attribute",
    "option",
    "operator",
    "in defaults",
    "internal service",
    "command line",
)

LITERALS: Mapping[str, tuple[str, ...]] = {
    "log_type": ("FILE", "SYSLOG"),
    "instances": ("UNLIMITED",),
    "per_source": ("UNLIMITED",),
    "deny_time": ("FOREVER", "NEVER"),
    "rlimit_rss": ("UNLIMITED",),
    "ports": ("unused",),
}
"""Words with a meaning of their own that stand in an attribute's values without being an enumeration."""

OURS = frozenset(option.short or option.long for option in TABLE if option.field in ("ident", "settings", "state"))
"""Options that xinetd has not, beside those with which sentinetd alone can be asked something."""

IN_EVERY_CASE = frozenset({"-f", "-dontfork", "-filelog", "-pidfile"})
"""What the rig starts every daemon with; that it works is what every case shows."""

NOT_COMPARED: Mapping[Thing, str] = {
    Thing(OPTION, "flags", "LABELED"): "needs SELinux: `make selinux` boots it; its refusal elsewhere: tests/config",
    Thing(SWITCH, "", "-check"): "ours; tests/e2e/test_life.py",
    Thing(SWITCH, "", "-help"): "ours; xinetd passes over what it does not know",
    Thing(SWITCH, "", "--settings"): "ours; tests/config/test_toml.py",
    Thing(SWITCH, "", "--state"): "ours; every case of sentinetd is started with it",
    Thing(SWITCH, "", "--ident"): "ours; tests/daemon/test_options.py",
    Thing(SWITCH, "", "--spawner"): "ours; test_the_fallback_without_a_compiler_serves_the_same",
}
"""What no case shows, and why."""


def things() -> list[Thing]:
    """Everything that there is."""
    return sorted({*_of_attributes(), *_of_internal(), *_of_command_line()} - set(_not_in_force()))


def _of_attributes() -> Iterator[Thing]:
    for row in attributes():
        for name in (row.name, *row.aliases):
            yield Thing(ATTRIBUTE, name)
        yield from (Thing(OPTION, row.name, word) for word in options_of(row))
        if row.defaults and row.name not in DEFAULTS_ONLY:
            yield Thing(DEFAULT, row.name)
        if row.kind is Kind.MODIFIABLE and row.merge is not None and not row.extension:
            yield Thing(OPERATOR, row.name, "+=")
            if row.merge.less is not None:
                yield Thing(OPERATOR, row.name, "-=")


def options_of(row: Attribute) -> tuple[str, ...]:
    """The words of which each means something else, as they are written."""
    kinds = [hint for hint in _flat(_hints().get(row.field)) if isinstance(hint, type)]
    words = [str(one.value) for kind in kinds if issubclass(kind, Enum) for one in kind]
    if bool in kinds or row.values == "yes|no":
        words += ["yes", "no"]
    return (*words, *LITERALS.get(row.name, ()))


@cache
def _hints() -> Mapping[str, Any]:
    return get_type_hints(Service)


def _flat(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (frozenset, Union) or hasattr(hint, "__args__"):
        for part in get_args(hint):
            yield from _flat(part)
    else:
        yield hint


def _of_internal() -> Iterator[Thing]:
    yield from (Thing(INTERNAL, name, "stream") for name in (*SAID_AT_ONCE, *CARRIED, MULTIPLEXER))
    yield from (Thing(INTERNAL, name, "dgram") for name in DATAGRAM)


def _of_command_line() -> Iterator[Thing]:
    yield from (Thing(SWITCH, "", option.short or option.long) for option in TABLE)
    yield from (Thing(SWITCH, "", word) for word in OLD)


def _not_in_force() -> Iterator[Thing]:
    """What has no effect yet, and so nothing to be shown."""
    for name, option in NOT_YET_IN_FORCE:
        if option:
            yield Thing(OPTION, name, option)
            continue
        row = by_name()[name]
        yield from (Thing(kind, name) for kind in (ATTRIBUTE, DEFAULT))
        yield from (Thing(OPTION, name, word) for word in options_of(row))


def asked(case: Case) -> frozenset[Thing]:
    """What *case* asks for on purpose."""
    found: set[Thing] = set()
    if case.id.startswith("mistake:"):
        return frozenset()  # the thing is written wrong
    texts = [case.config, *(text for name, text in case.files.items() if not name.startswith("etc/"))]
    for text in texts:
        for entry in parse(text.encode(), "").statements:
            if isinstance(entry, Entry):
                found.update(_of_entry(entry))
    words = {*case.options, *case.id.replace(":", " ").replace(",", " ").split()}
    found.update(thing for thing in _of_command_line() if thing.what in words)
    return frozenset(found)


def _of_entry(entry: Entry) -> Iterator[Thing]:
    types = {word.upper() for line in entry.lines if line.name == "type" for word in line.words}
    kinds = [line.words[0] for line in entry.lines if line.name == "socket_type" and line.words]
    flags = {word.upper() for line in entry.lines if line.name == "flags" for word in line.words}
    if "INTERNAL" in types and "SENSOR" not in flags:
        yield Thing(INTERNAL, entry.name.lower(), kinds[0] if kinds else "stream")
    for line in entry.lines:
        row = by_name().get(line.name)
        if row is not None and not (entry.name and _usual(line)):
            yield Thing(ATTRIBUTE, line.name)
            yield from _of_line(row, line)
            if not entry.name:
                yield Thing(DEFAULT, row.name)
            if line.operator != "=":
                yield Thing(OPERATOR, row.name, line.operator)


def _of_line(row: Attribute, line: Line) -> Iterator[Thing]:
    given = {word.lower() for word in line.words}
    usual = USUAL.get(row.name, "").lower().split() if row.name == "type" else ()
    for word in options_of(row):
        if word.lower() in given and word.lower() not in usual:
            yield Thing(OPTION, row.name, word)


def _usual(line: Line) -> bool:
    return line.operator == "=" and " ".join(line.words) == USUAL.get(line.name)


def shown(cases: Iterable[Case] = CASES) -> dict[Thing, list[Case]]:
    """The cases that show each thing, the one that asks for least else first."""
    found: dict[Thing, list[tuple[int, Case]]] = {thing: [] for thing in things()}
    for case in cases:
        wanted = asked(case)
        for thing in wanted & found.keys():
            word, said = (thing.what or thing.name).lower(), case.id.lower()
            found[thing].append((len(wanted) - 50 * (word in said) - 50 * said.startswith(word), case))
    return {thing: [case for _, case in sorted(rows, key=lambda row: row[0])] for thing, rows in found.items()}


def usual_things() -> frozenset[Thing]:
    """What every case shows: the attributes and words of the entry that most of them share, and the rig's options."""
    usual = "".join(f"\t{name} = {value}\n" for name, value in USUAL.items())
    entry = parse(f"service x\n{{\n{usual}\tport = 7001\n}}\n".encode(), "").statements[0]
    assert isinstance(entry, Entry)
    found: set[Thing] = {Thing(SWITCH, "", word) for word in IN_EVERY_CASE}
    for line in entry.lines:
        row = by_name()[line.name]
        found.add(Thing(ATTRIBUTE, line.name))
        given = {word.lower() for word in line.words}
        found.update(Thing(OPTION, row.name, word) for word in options_of(row) if word.lower() in given)
    return frozenset(found)


def missing() -> list[Thing]:
    """What no case shows though it could."""
    usual = usual_things()
    return [thing for thing, cases in shown().items() if not cases and thing not in NOT_COMPARED and thing not in usual]


def table() -> Iterator[str]:
    """The report, one line for each thing."""
    usual, all_shown = usual_things(), shown()
    for thing, cases in all_shown.items():
        if cases:
            more = f" (and {len(cases) - 1} more)" if len(cases) > 1 else ""
            yield f"{thing!s:<42} {cases[0].id}{more}"
        elif thing in NOT_COMPARED:
            yield f"{thing!s:<42} - {NOT_COMPARED[thing]}"
        elif thing in usual:
            yield f"{thing!s:<42} every case"
        else:
            yield f"{thing!s:<42} MISSING"
    yield f"{len(all_shown)} things, {sum(map(bool, all_shown.values()))} shown by {len(CASES)} cases"


if __name__ == "__main__":
    print("\n".join(table()))
    sys.exit(1 if missing() else 0)
