"""An entry on its way to a `Service`: what its lines say, merged with the defaults, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from sentinetd.config import table
from sentinetd.config.host import Host
from sentinetd.config.lookup import looked_up, words_looked_up
from sentinetd.config.syntax import Line
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.attribute import Attribute, BadValue, Kind, UnreadWord
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.noun import dataclass, field, replace
from sentinetd.model.readers import nearest
from sentinetd.model.values import FileLog, Place

PASSED_OVER = ("mdns",)
"""Attributes of ours that most builds of xinetd do not know, and so pass over whatever their value."""


@dataclass(slots=True)
class Draft:
    """*values* by field of `Service`: what the entry's own lines give, and after `inherit` the defaults as well.

    With an empty *name* it is the defaults themselves. *places*: see `Service.places`. *unlabeled*: why a server of it
    cannot have its client's SELinux range on this machine, if the entry asks for it. Not *whole*: lines may be missing.
    """

    name: str
    id: str
    place: Place
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    told: list[Diagnostic] = field(default_factory=list)
    unlabeled: str = ""
    whole: bool = True

    def wrong(self, text: str, way_out: str, attribute: str = "", place: Place | None = None) -> None:
        """The entry cannot be used; in the defaults: nothing can."""
        scope = Scope.ENTRY if self.name else Scope.FILE
        self.told.append(Diagnostic(scope, place or self.where(attribute), text, way_out, attribute, self.id))

    def warn(
        self, text: str, way_out: str, attribute: str = "", place: Place | None = None, level: Level = Level.WARNING
    ) -> None:
        where = place or self.where(attribute)
        self.told.append(Diagnostic(Scope.LINE, where, text, way_out, attribute, self.id, level))

    def where(self, attribute: str) -> Place:
        """Where *attribute* is written; the entry's own place if it is not."""
        return self.places.get(attribute, self.place)

    @property
    def usable(self) -> bool:
        return self.whole and all(one.scope is Scope.LINE for one in self.told)

    def inherit(self, defaults: Draft) -> None:
        """Take from *defaults* what no line of the entry gives."""
        for row in table.inherited():
            if row.field not in self.values and row.field in defaults.values:
                self.values[row.field] = defaults.values[row.field]
        self.places = {**defaults.places, **self.places}


def read_lines(draft: Draft, lines: Sequence[Line], defaults: Draft | None, host: Host) -> None:
    """Fill *draft* from *lines*; modifiable attributes begin with *defaults*, None for the defaults themselves."""
    given: set[str] = set()
    for line in lines:
        row = table.by_name().get(line.name)
        if row is None or (not row.defaults if defaults is None else row.name in table.DEFAULTS_ONLY):
            _not_an_attribute(draft, line, defaults is None)
        elif _shaped(draft, line, row, given):
            given.add(row.name)
            draft.places[row.name] = line.place
            try:
                _take(draft, line, row, defaults, host)
            except BadValue as bad:
                if row.name in PASSED_OVER:
                    draft.warn(bad.text, f"{bad.way_out}; the line is ignored", line.name, line.place)
                else:
                    draft.wrong(bad.text, bad.way_out, line.name, line.place)


def _not_an_attribute(draft: Draft, line: Line, in_defaults: bool) -> None:
    if line.name in table.RESERVED:
        draft.wrong(f"{line.name} is reserved for a later version", "delete the line", line.name, line.place)
    elif in_defaults:
        known = line.name in table.by_name()
        way_out = "write it in each service" if known else nearest(line.name, _allowed(True)) + "the line is ignored"
        draft.warn(f"attribute: {line.name} should not be in default section", way_out, line.name, line.place)
    else:
        known = line.name in table.DEFAULTS_ONLY
        way_out = (
            "move it to the defaults entry" if known else nearest(line.name, _allowed(False)) + "the line is ignored"
        )
        draft.warn(f"bad service attribute: {line.name}", way_out, line.name, line.place)


def _allowed(in_defaults: bool) -> list[str]:
    return [name for name, row in table.by_name().items() if row.defaults or not in_defaults]


def _shaped(draft: Draft, line: Line, row: Attribute, given: set[str]) -> bool:
    """Whether the line may stand here in this form; what is not read for its form is told and ignored, as in xinetd."""
    kind = _kind(row, draft)
    if kind is Kind.MODIFIABLE:
        return True
    who = draft.name or "(null)"
    if row.name in given:
        text = f"Service {who}: attribute already set: {line.name}"
        draft.warn(text, f"delete this line, or the one at {draft.places[row.name]}", line.name, line.place)
        return False
    if line.operator != "=" and not (row.name == "log_type" and not draft.name):
        text = f"Service {who}: operator '{line.operator}' cannot be used for attribute '{line.name}'"
        draft.warn(text, "write =; the line is ignored", line.name, line.place)
        return False
    if kind is Kind.FIXED and len(line.words) not in row.counts:
        wanted = " or ".join(map(str, row.counts))
        text = f"attribute {line.name} expects {wanted} values and {len(line.words)} values were specified"
        way_out = f"write {row.name} = {row.values}"
        if row.name == "disable" and not _enables(line):
            draft.wrong(text, way_out, line.name, line.place)
        else:
            draft.warn(text, f"{way_out}; the line is ignored", line.name, line.place)
        return False
    return True


def _enables(line: Line) -> bool:
    """Whether the line, which has not one word, says no and then what was meant as a remark."""
    return len(line.words) > 1 and line.words[0].lower() == "no" and line.words[1].startswith("#")


def _kind(row: Attribute, draft: Draft) -> Kind:
    """In a defaults entry a second log_type is an error of its own, so it is no list there."""
    return Kind.MODIFIABLE if row.name == "log_type" and not draft.name else row.kind


def _take(draft: Draft, line: Line, row: Attribute, defaults: Draft | None, host: Host) -> None:
    value = _value(draft, line, row, host)
    for remark in row.remarks(line.words) if row.remarks else ():
        draft.warn(remark.text, remark.way_out, line.name, line.place)
    known = draft.values
    if row.merge:
        start = known.get(row.field, defaults.values.get(row.field) if defaults else None)
        if start is None or (line.operator == "=" and defaults is not None):
            start = row.merge.empty
        if line.operator != "-=":
            value = row.merge.join(start, value)
        elif row.merge.less:
            value = row.merge.less(start, value)
        else:
            raise BadValue(f"operator '-=' not supported for {row.name} attribute", "write = with what shall remain")
    elif isinstance(row.default, tuple) and row.name != row.field:
        value = known.get(row.field, ()) + value
    elif row.name == "log_type" and defaults is None:
        if row.field in known:
            raise BadValue("Cannot set more than one log_type attribute", "delete one of the lines")
        value = replace(value, common=True) if isinstance(value, FileLog) else value
    known[row.field] = value


def _value(draft: Draft, line: Line, row: Attribute, host: Host) -> Any:
    """What the words mean; where each word of a list stands is noted on the way."""
    if isinstance(row.default, AddressSet):
        return _addresses(draft, line, row, host)
    value = looked_up(row.name, row.read(words_looked_up(row.name, line.words, host)), host)
    if isinstance(value, frozenset):
        for option in value:
            if isinstance(option, Enum):
                draft.places[f"{row.name} {option.value}"] = line.place
    elif row.name == "passenv":
        for word in line.words:
            if word not in host.environment and line.operator != "-=":
                draft.warn(
                    f"undefined environment variable: {word}",
                    "set it before the start, or delete it",
                    line.name,
                    line.place,
                )
    return value


def _addresses(draft: Draft, line: Line, row: Attribute, host: Host) -> AddressSet:
    """The set of all words; each bad one is told of, not only the first. Where words admit, one that cannot be read is
    left out, or is what xinetd takes it for; where they refuse, that would let somebody in. What was meant as a remark
    neither admits by a name nor makes the entry a mistake."""
    networks: list[Network] = []
    names: list[str] = []
    admits = row.name == "only_from" and line.operator != "-="
    remark = False
    for word in line.words:
        if word.startswith("#") and not remark:
            remark = True
            text = f"failed to parse {word}: a remark begins at the start of a line, and these words count as well"
            draft.warn(text, "write the remark on a line of its own", line.name, line.place, Level.ERROR)
        try:
            part: AddressSet = looked_up(row.name, row.read((word,)), host)
        except BadValue as bad:
            if isinstance(bad, UnreadWord) and remark:
                continue
            if isinstance(bad, UnreadWord) and admits:
                networks += [bad.instead] if isinstance(bad.instead, Network) else []
                whom = f"{bad.instead} alone, as in xinetd" if bad.instead else "nobody"
                draft.warn(bad.text, f"{bad.way_out}; the word admits {whom}", line.name, line.place, Level.ERROR)
            else:
                draft.wrong(bad.text, bad.way_out, line.name, line.place)
            continue
        if remark and admits and not part.networks:
            continue
        draft.places[f"{row.name} {word}"] = line.place
        for one in (*part.networks, *part.names):
            draft.places[f"{row.name} {one}"] = line.place
        networks += part.networks
        names += part.names
    return AddressSet(tuple(networks), tuple(names))


def first_line(lines: Sequence[Line], name: str) -> Line | None:
    """The line that decides *name*, an attribute of one value: the first of the right form."""
    return next((line for line in lines if line.name == name and line.operator == "=" and len(line.words) == 1), None)


def known_places(draft: Draft) -> Mapping[str, Place]:
    """What `Service.places` is for this draft."""
    return {"": draft.place, **draft.places}
