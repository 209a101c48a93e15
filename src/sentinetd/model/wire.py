"""Our own nouns as JSON values and back: what crosses between our processes is of a known form or is refused.

A dataclass becomes the list of its fields' values, an enum its value, an address or a network its text, bytes their
base64, infinity the text "inf". Reading checks every value's type and every length: the other end may have been taken
over.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sentinetd.errors import MessageError
from sentinetd.model.address import Address, Network
from sentinetd.model.noun import fields, is_dataclass

LONGEST_TEXT = 16_384
"""Characters that a text may have."""
LONGEST_LIST = 10_000
"""Elements that a list may have."""
LARGEST = 1 << 63
"""No number is as large as this, whatever its sign."""

T = TypeVar("T")
_Step = Callable[[Any], Any]


def pack(value: Any) -> list[Any]:
    """The fields of the dataclass instance *value* as a list that `json.dumps` takes."""
    return packer(type(value))(value)  # type: ignore[no-any-return]


def unpack(kind: type[T], packed: Any) -> T:
    """The instance of the dataclass *kind* that `pack` made *packed* of. MessageError if it is not of that form."""
    return reader(kind)(packed)  # type: ignore[no-any-return]


def packer(kind: type[Any]) -> _Step:
    """`pack` for instances of *kind*."""
    hint: Any = kind
    return _packer(hint)


def reader(kind: type[Any]) -> _Step:
    """`unpack` of *kind*."""
    hint: Any = kind
    return _reader(hint)


# Both are expressions that are compiled when the first of a kind crosses: a flood of trips is as many records as the
# two processes can write and read, and what is looked up for each field of each record is half of that.

_PLAIN = (int, str, bool)


@cache
def _packer(kind: Any) -> _Step:
    """How an instance of the dataclass *kind* becomes a list."""
    hints = get_type_hints(kind)
    names: dict[str, Any] = {"inf": math.inf}
    values: list[str] = []
    for place, field in enumerate(fields(kind)):
        value, step = f"noun.{field.name}", _writer(hints[field.name])
        if hints[field.name] is float:
            value = f'"inf" if {value} == inf else {value}'
        elif step is not None:
            names[f"step{place}"] = step
            value = f"step{place}({value})"
        values.append(value)
    return eval(f"lambda noun: [{', '.join(values)}]", names)  # type: ignore[no-any-return]


def _writer(hint: Any) -> _Step | None:
    """How a value of type *hint* becomes a JSON value; None where it is one already."""
    if hint in _PLAIN:
        return None
    if hint is float:
        return lambda value: "inf" if value == math.inf else value
    if hint is Address:
        return lambda value: value.text
    if hint is Network:
        return str
    if hint is bytes:
        return lambda value: b64encode(value).decode("ascii")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("_value_")  # `value` is a function of the library's
    if is_dataclass(hint):
        kind: Any = hint
        return _packer(kind)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        inner = _writer(_only(arguments))
        return None if inner is None else lambda value: None if value is None else inner(value)
    if origin is tuple:
        element = _writer(_each(arguments))
        return list if element is None else lambda value: [element(one) for one in value]
    raise TypeError(f"{hint} cannot cross between processes")


def _only(arguments: tuple[Any, ...]) -> Any:
    """The X of ``X | None``."""
    others = [one for one in arguments if one is not NoneType]
    if len(others) != 1:
        raise TypeError(f"{arguments}: only one type and None can cross between processes")
    return others[0]


def _each(arguments: tuple[Any, ...]) -> Any:
    """The X of ``tuple[X, ...]``."""
    if arguments[1:] != (Ellipsis,):
        raise TypeError(f"{arguments}: only a tuple of any length can cross between processes")
    return arguments[0]


@cache
def _reader(hint: Any) -> _Step:
    """How a JSON value becomes a value of type *hint*; the step raises MessageError."""
    if hint in _READERS:
        return _READERS[hint]
    if hint is Address or hint is Network:
        return _parsed_reader(hint.parse)
    if hint is bytes:
        return _parsed_reader(lambda text: b64decode(text, validate=True))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_reader(hint)
    if is_dataclass(hint):
        return _dataclass_reader(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        inner = _reader(_only(arguments))
        return lambda packed: None if packed is None else inner(packed)
    if origin is tuple:
        element = _reader(_each(arguments))
        return lambda packed: tuple(element(one) for one in _list(packed))
    raise TypeError(f"{hint} cannot cross between processes")


def _int(packed: Any) -> int:
    if type(packed) is not int or not -LARGEST < packed < LARGEST:
        raise MessageError(f"int expected, not {packed!r:.80}")
    return packed


def _str(packed: Any) -> str:
    if type(packed) is not str or len(packed) > LONGEST_TEXT:
        raise MessageError(f"str expected, not {packed!r:.80}")
    return packed


def _bool(packed: Any) -> bool:
    if type(packed) is not bool:
        raise MessageError(f"bool expected, not {packed!r:.80}")
    return packed


def _float(packed: Any) -> float:
    if type(packed) is float and -LARGEST < packed < LARGEST:
        return packed
    if packed == "inf":
        return math.inf
    if type(packed) not in (int, float) or not -LARGEST < packed < LARGEST:  # neither NaN nor an infinity passes
        raise MessageError(f"number expected, not {packed!r:.80}")
    return float(packed)


_READERS: dict[Any, _Step] = {int: _int, str: _str, bool: _bool, float: _float}


def _parsed_reader(parse: Callable[[Any], Any]) -> _Step:
    def reader(packed: Any) -> Any:
        if type(packed) is not str or len(packed) > LONGEST_TEXT:
            raise MessageError(f"text expected, not {packed!r:.80}")
        try:
            return parse(packed)
        except ValueError as error:
            raise MessageError(str(error)) from None

    return reader


def _enum_reader(kind: type[Enum]) -> _Step:
    by_value = {one.value: one for one in kind}

    def reader(packed: Any) -> Any:
        found = by_value.get(packed) if isinstance(packed, str) else None
        if found is None:
            raise MessageError(f"{packed!r:.80} is no {kind.__name__}")
        return found

    return reader


def _list(packed: Any) -> list[Any]:
    if not isinstance(packed, list) or len(packed) > LONGEST_LIST:
        raise MessageError(f"list expected, not {packed!r:.80}")
    return packed


_AT_ONCE = {
    int: "type({0}) is int and -LARGEST < {0} < LARGEST",
    float: "type({0}) is float and -LARGEST < {0} < LARGEST",
    str: "type({0}) is str and len({0}) <= LONGEST_TEXT",
    bool: "type({0}) is bool",
}
"""By which a value of the plain types passes as it is; any other is for the type's reader."""


def _dataclass_reader(kind: Any) -> _Step:
    """A reader of its fields in their places."""
    hints = get_type_hints(kind)
    names: dict[str, Any] = {"kind": kind, "LARGEST": LARGEST, "LONGEST_TEXT": LONGEST_TEXT}
    arguments: list[str] = []
    for place, field in enumerate(fields(kind)):
        hint, packed = hints[field.name], f"packed[{place}]"
        names[f"read{place}"] = _reader(hint)
        value = f"read{place}({packed})"
        if hint in _AT_ONCE:
            value = f"{packed} if {_AT_ONCE[hint].format(packed)} else {value}"
        arguments.append(f"{field.name}={value}" if field.kw_only else value)
    count = len(arguments)
    made = eval(f"lambda packed: kind({', '.join(arguments)})", names)

    def reader(packed: Any) -> Any:
        if type(packed) is not list or len(packed) != count:
            raise MessageError(f"{kind.__name__} is a list of {count} fields, not {packed!r:.80}")
        return made(packed)

    return reader
