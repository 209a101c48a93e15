"""What an attribute of the configuration is: how its words are read, how lines of it add up, what the manual says.

A row is attached to a field of `Service` by `attribute`; parsing, merging and the manual follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

from sentinetd.model.noun import dataclass, field, fields

Words = Sequence[str]
Reader = Callable[[Words], Any]
Remarks = Callable[[Words], Iterable["Remark"]]


class BadValue(ValueError):
    """A value that cannot be used: *text* says what is wrong with which word, *way_out* what would be right."""

    def __init__(self, text: str, way_out: str) -> None:
        super().__init__(text, way_out)
        self.text = text
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.text}; {self.way_out}"


class UnreadWord(BadValue):
    """A word of a list that is of none of its forms, where the other words can be used. *instead*: what xinetd takes it
    for, if for anything."""

    def __init__(self, text: str, way_out: str, instead: object = None) -> None:
        super().__init__(text, way_out)
        self.instead = instead


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a usable value that its writer should know."""

    text: str
    way_out: str = ""


class Kind(Enum):
    """How often an attribute may stand in an entry, and with which operators (xinetd.conf(5))."""

    FIXED = "fixed"
    """A set number of values, ``=`` only, once."""
    LIST = "list"
    """One value or more, ``=`` only, once."""
    MODIFIABLE = "modifiable"
    """Any number of values, ``=``, ``+=`` and ``-=``, repeatable."""


@dataclass(frozen=True, slots=True)
class Merge:
    """How a modifiable attribute adds up: *empty* is nothing yet; *less* is None where ``-=`` is not supported."""

    empty: Any
    join: Callable[[Any, Any], Any]
    less: Callable[[Any, Any], Any] | None


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of the table. *counts*: how many values a FIXED attribute may have; *default* as in the field.

    *defaults*: allowed in a defaults entry, from where a service without a line of its own gets it. *aliases*: other
    names. *extension*: xinetd does not know it.
    """

    name: str
    field: str
    read: Reader
    values: str
    doc: str
    kind: Kind = Kind.FIXED
    counts: tuple[int, ...] = (1,)
    defaults: bool = False
    merge: Merge | None = None
    remarks: Remarks | None = None
    aliases: tuple[str, ...] = ()
    extension: bool = False
    default: Any = None


_ROWS = "sentinetd.rows"


def attribute(read: Reader, *, default: Any, values: str, doc: str, **row: Any) -> Any:
    """A dataclass field that an attribute of the same name fills.

    *read* turns words into the value and raises `BadValue`; *values* and *doc* are manual text: the form of the
    value, and what it means. The remaining keywords are those of `Attribute`.
    """
    return field(default=default, metadata={_ROWS: (dict(read=read, values=values, doc=doc, default=default, **row),)})


def attributes(rows: Iterable[dict[str, Any]], *, default: tuple[Any, ...]) -> Any:
    """A dataclass field, a tuple, to which several attributes contribute: each reader returns a tuple to append."""
    return field(default=default, metadata={_ROWS: tuple({"default": default, **row} for row in rows)})


def rows_of(noun: type) -> tuple[Attribute, ...]:
    """The rows attached to the fields of the dataclass *noun*, in the order of the fields."""
    return tuple(
        Attribute(**{"name": one.name, "field": one.name, **row})
        for one in fields(noun)
        for row in one.metadata.get(_ROWS, ())
    )
