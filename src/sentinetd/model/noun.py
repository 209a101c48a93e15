"""How nouns are made: `dataclass`, `field`, `fields` and `replace` as the standard library's, made in a fiftieth of its
time.

A process begins with a few hundred nouns, most of which it never meets. The library's decorator compiles four to eight
functions for each, through inspect, ast and dis; with it, nine tenths of what a start cost went there. Here a method is
compiled when it is first called, and to make a noun is as fast as by hand.

A type checker sees the library's names, and so refuses to assign to a field of what is frozen. At run time nothing
does: the library's guard is paid for by every field of every noun that is made. Whoever asks in the library's own way
(`dataclasses.fields`, `asdict`; msgspec) is answered. What we do not use, this does not know.
"""

from __future__ import annotations

TYPE_CHECKING = False
"""For checkers of types it is true. The library's is in a module that would be a third of what is loaded before the
daemon starts its courier."""
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")


class _Missing:
    """There is no default."""

    def __repr__(self) -> str:
        return "MISSING"


_MISSING: Any = _Missing()


class _Field:
    """One field of a noun; the names are those of `dataclasses.Field`."""

    __slots__ = ("compare", "default", "default_factory", "kw_only", "metadata", "name", "repr")

    def __init__(
        self,
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        repr: bool = True,
        compare: bool = True,
        metadata: Mapping[Any, Any] | None = None,
    ) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare
        self.metadata: Mapping[Any, Any] = {} if metadata is None else metadata
        self.kw_only = False


def _dataclass(
    kind: type[Any] | None = None, /, *, frozen: bool = False, slots: bool = False, kw_only: bool = False,
    order: bool = False,
) -> Any:
    """*kind*, or a decorator of it, with a field for each annotated name; what each argument means: dataclasses(3)."""
    if kind is None:
        return lambda kind: _made(kind, frozen, slots, kw_only, order)
    return _made(kind, frozen, slots, kw_only, order)


def _made(kind: type[Any], frozen: bool, slots: bool, kw_only: bool, order: bool) -> type[Any]:
    own = _own_fields(kind, kw_only)
    known: dict[str, _Field] = {}
    for base in reversed(kind.__mro__):
        known.update(base.__dict__.get("__noun__", ()))
    known.update(own)
    given = kind.__dict__
    methods: dict[str, Any] = {
        "__noun__": known,
        "__dataclass_fields__": _LIBRARY_FIELDS,
        "__match_args__": tuple(one.name for one in known.values() if not one.kw_only),
        "__init__": given.get("__init__", _first_init),
        "__repr__": given.get("__repr__", _repr),
        "__eq__": given.get("__eq__", _first_eq),
        "__hash__": given.get("__hash__") or (_first_hash if frozen else None),
    }
    if order:
        methods.update(__lt__=_less, __le__=_less_or_equal, __gt__=_greater, __ge__=_greater_or_equal)
    if not slots:
        for name, value in methods.items():
            setattr(kind, name, value)
        for one in own.values():
            if one.default is not _MISSING:
                setattr(kind, one.name, one.default)
            elif one.default_factory is not _MISSING:
                delattr(kind, one.name)
        return kind
    body = {name: value for name, value in given.items() if name not in own}
    body.pop("__dict__", None)
    body.pop("__weakref__", None)
    body |= methods
    body["__slots__"] = tuple(own)
    body["__qualname__"] = kind.__qualname__
    return type(kind.__name__, kind.__bases__, body)


def _own_fields(kind: type[Any], kw_only: bool) -> dict[str, _Field]:
    """The fields that the body of *kind* names, by name."""
    own: dict[str, _Field] = {}
    for name, hint in kind.__annotations__.items():
        if str(hint).startswith(("ClassVar", "typing.ClassVar")):
            continue
        value = kind.__dict__.get(name, _MISSING)
        one = value if type(value) is _Field else _Field(default=value)
        one.name = name
        one.kw_only = kw_only
        own[name] = one
    return own


_COMPILED = "<noun>"
"""The file that a method of ours names as its source."""

# Methods that are compiled when they are first called. Until then the class has one of these, which finds out whose it
# is: that of the class itself or of a base.


def _first_init(self: Any, /, *arguments: Any, **named: Any) -> None:
    _compiled(type(self), "__init__", _first_init, _init_text)(self, *arguments, **named)


def _first_eq(self: Any, other: object, /) -> Any:
    return _compiled(type(self), "__eq__", _first_eq, _eq_text)(self, other)


def _first_hash(self: Any, /) -> Any:
    return _compiled(type(self), "__hash__", _first_hash, _hash_text)(self)


def _compiled(
    kind: type[Any], name: str, first: Callable[..., Any], text: Callable[[dict[str, _Field]], str]
) -> Callable[..., Any]:
    """The method *name* of *kind*, from now on in the place of *first*."""
    for owner in kind.__mro__:
        method: Any = owner.__dict__.get(name)
        if method is first:
            break
        if getattr(getattr(method, "__code__", None), "co_filename", None) == _COMPILED:
            return method  # type: ignore[no-any-return]  # *first* was fetched before this took its place
    known: dict[str, _Field] = owner.__noun__  # type: ignore[attr-defined]
    names: dict[str, Any] = {"_missing": _MISSING, "__name__": owner.__module__}
    for one in known.values():
        names["_default_" + one.name] = one.default
        names["_make_" + one.name] = one.default_factory
    exec(compile(text(known), _COMPILED, "exec"), names)
    method = names[name]
    method.__qualname__ = f"{owner.__qualname__}.{name}"
    setattr(owner, name, method)
    return method  # type: ignore[no-any-return]


def _init_text(known: dict[str, _Field]) -> str:
    parameters = [_parameter(one) for one in known.values() if not one.kw_only]
    if named := [_parameter(one) for one in known.values() if one.kw_only]:
        parameters += ["*", *named]
    body = [f" self.{one.name} = {_value(one)}" for one in known.values()]
    return "\n".join([f"def __init__({', '.join(['self', *parameters])}):", *body, " return"])


def _parameter(one: _Field) -> str:
    if one.default is not _MISSING:
        return f"{one.name}=_default_{one.name}"
    return one.name if one.default_factory is _MISSING else f"{one.name}=_missing"


def _value(one: _Field) -> str:
    if one.default_factory is _MISSING:
        return one.name
    return f"_make_{one.name}() if {one.name} is _missing else {one.name}"


def _eq_text(known: dict[str, _Field]) -> str:
    return (
        "def __eq__(self, other):\n"
        " if other.__class__ is not self.__class__:\n"
        "  return NotImplemented\n"
        f" return {_compared('self', known)} == {_compared('other', known)}"
    )


def _hash_text(known: dict[str, _Field]) -> str:
    return f"def __hash__(self):\n return hash({_compared('self', known)})"


def _compared(whose: str, known: dict[str, _Field]) -> str:
    """The tuple of the values by which *whose* is compared, as text."""
    return "(" + "".join(f"{whose}.{one.name}, " for one in known.values() if one.compare) + ")"


def _values(noun: Any) -> tuple[Any, ...]:
    return tuple(getattr(noun, one.name) for one in noun.__noun__.values() if one.compare)


def _repr(self: Any, /) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in self.__noun__.values() if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _less(self: Any, other: Any, /) -> Any:
    return _values(self) < _values(other) if other.__class__ is self.__class__ else NotImplemented


def _less_or_equal(self: Any, other: Any, /) -> Any:
    return _values(self) <= _values(other) if other.__class__ is self.__class__ else NotImplemented


def _greater(self: Any, other: Any, /) -> Any:
    return _values(self) > _values(other) if other.__class__ is self.__class__ else NotImplemented


def _greater_or_equal(self: Any, other: Any, /) -> Any:
    return _values(self) >= _values(other) if other.__class__ is self.__class__ else NotImplemented


class _LibraryFields:
    """What the library and those who know it look for in a dataclass; made when it is asked for."""

    def __get__(self, noun: object, kind: type[Any]) -> dict[str, Any]:
        import dataclasses

        known: dict[str, _Field] = kind.__noun__
        hints: dict[str, Any] = {}
        for base in reversed(kind.__mro__[:-1]):
            hints.update(base.__annotations__)
        missing: Any = dataclasses.MISSING
        specified: list[tuple[str, Any, Any]] = [
            (
                one.name,
                hints[one.name],
                dataclasses.field(
                    default=missing if one.default is _MISSING else one.default,
                    default_factory=missing if one.default_factory is _MISSING else one.default_factory,
                    repr=one.repr,
                    compare=one.compare,
                    metadata=one.metadata,
                    kw_only=one.kw_only,
                ),
            )
            for one in known.values()
        ]
        twin: Any = dataclasses.make_dataclass(kind.__name__, specified)
        return twin.__dataclass_fields__  # type: ignore[no-any-return]


_LIBRARY_FIELDS = _LibraryFields()


def _fields(noun: Any) -> tuple[_Field, ...]:
    """The fields of a noun or of its class, in their order."""
    return tuple(noun.__noun__.values())


def _is_dataclass(thing: Any) -> bool:
    """Whether *thing* is a noun or the class of one."""
    return hasattr(thing, "__noun__")


def _replace(noun: T, /, **changes: Any) -> T:
    """*noun* with other values for some of its fields."""
    kind: Any = type(noun)
    for name in kind.__noun__:
        if name not in changes:
            changes[name] = getattr(noun, name)
    return kind(**changes)  # type: ignore[no-any-return]


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import fields as fields
    from dataclasses import is_dataclass as is_dataclass
    from dataclasses import replace as replace
else:
    dataclass, field, fields, is_dataclass, replace = _dataclass, _Field, _fields, _is_dataclass, _replace
