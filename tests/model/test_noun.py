"""Our nouns are what the library's dataclasses are, to whoever makes, compares, hashes, shows or changes one: one suite
over both."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from functools import cached_property
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest

from sentinetd.model import noun as ours


def nouns(maker: Any) -> SimpleNamespace:
    """One of each sort that the tree has, made by `maker.dataclass`."""
    dataclass, field = maker.dataclass, maker.field

    @dataclass(frozen=True, slots=True)
    class Base:
        kind: ClassVar[str] = "base"
        at: float

    @dataclass(frozen=True, slots=True)
    class Told(Base):
        kind: ClassVar[str] = "told"
        who: str
        secret: str = field(default="", repr=False)
        aside: int = field(default=0, compare=False)

    @dataclass(frozen=True, slots=True)
    class Other(Base):
        who: str

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        name: str
        many: list[int] = field(default_factory=list, metadata={"doc": "numbers"})
        last: int = 3

    @dataclass(slots=True)
    class Count:
        number: int
        seen: dict[str, int] = field(default_factory=dict)

    @dataclass(frozen=True, slots=True, order=True)
    class Version:
        major: int
        minor: int = 0

    @dataclass(frozen=True)
    class Remembering:
        word: str = "ab"
        more: list[int] = field(default_factory=list)

        @cached_property
        def upper(self) -> str:
            return self.word.upper()

    @dataclass(frozen=True, slots=True)
    class Keyed:
        word: str
        rest: int

        def __hash__(self) -> int:
            return hash(self.word)

        def __repr__(self) -> str:
            return f"<{self.word}>"

    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    return SimpleNamespace(**{name: kind for name, kind in locals().items() if isinstance(kind, type)})


@pytest.fixture(params=[ours, dataclasses], ids=["ours", "library"])
def maker(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def made(maker: Any) -> SimpleNamespace:
    return nouns(maker)


CALLS: list[Any] = [
    pytest.param("Told", (1.0, "a"), {}, "(at=1.0, who='a', aside=0)", id="defaults"),
    pytest.param("Told", (1.0, "a", "s", 4), {}, "(at=1.0, who='a', aside=4)", id="by place"),
    pytest.param("Told", (1.0,), {"aside": 7, "who": "b"}, "(at=1.0, who='b', aside=7)", id="by name"),
    pytest.param("Named", (), {"name": "n"}, "(name='n', many=[], last=3)", id="by name only"),
    pytest.param("Count", (1,), {"seen": {"x": 2}}, "(number=1, seen={'x': 2})", id="mutable"),
    pytest.param("Remembering", (), {}, "(word='ab', more=[])", id="with a dictionary"),
    pytest.param("Nothing", (), {}, "()", id="no field"),
]


@pytest.mark.parametrize(("name", "places", "names", "shown"), CALLS)
def test_it_is_made_and_shown(made: Any, name: str, places: Any, names: Any, shown: str) -> None:
    kind = getattr(made, name)
    for _ in "twice":
        assert repr(kind(*places, **names)) == f"nouns.<locals>.{name}{shown}"


REFUSALS: list[Any] = [
    pytest.param((), {}, "missing 2 required positional arguments: 'at' and 'who'", id="too few"),
    pytest.param((1.0, "a", "s", 4, 5), {}, "takes from 3 to 5 positional arguments but 6 were given", id="too many"),
    pytest.param((1.0, "a"), {"who": "b"}, "got multiple values for argument 'who'", id="twice"),
    pytest.param((1.0, "a"), {"nobody": "b"}, "got an unexpected keyword argument 'nobody'", id="unknown"),
]


@pytest.mark.parametrize(("places", "names", "why"), REFUSALS)
def test_what_is_no_call_of_it_is_refused(made: Any, places: Any, names: Any, why: str) -> None:
    with pytest.raises(TypeError) as refusal:
        made.Told(*places, **names)
    assert str(refusal.value) == f"nouns.<locals>.Told.__init__() {why}"


def test_what_has_only_names_takes_no_places(made: Any) -> None:
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        made.Named("n")


def test_it_is_compared_by_value_and_by_kind(made: Any) -> None:
    told = made.Told(1.0, "a")
    assert told == made.Told(1.0, "a", aside=9)
    assert told != made.Told(1.0, "b")
    assert made.Base(1.0) != told != made.Other(1.0, "a")
    assert told.__eq__("a") is NotImplemented
    assert made.Nothing() == made.Nothing()


def test_what_is_ordered_is_ordered_by_its_fields(made: Any) -> None:
    one, two = made.Version(1, 9), made.Version(2)
    assert [one < two, one <= two, one > two, one >= two] == [True, True, False, False]
    assert [two < two, two <= two, two > two, two >= two] == [False, True, False, True]
    with pytest.raises(TypeError):
        one < (1, 0)  # noqa: B015 - it is the comparison that is refused


def test_equal_ones_hash_alike_and_what_may_change_has_no_hash(made: Any) -> None:
    assert {made.Told(1.0, "a", aside=1): 1}[made.Told(1.0, "a", aside=2)] == 1
    assert len({made.Told(1.0, "a"), made.Told(1.0, "b"), made.Base(1.0)}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(made.Count(1))


def test_its_own_methods_stay(made: Any) -> None:
    assert hash(made.Keyed("x", 1)) == hash("x")
    assert repr(made.Keyed("x", 1)) == "<x>"
    assert made.Keyed("x", 1) != made.Keyed("x", 2)


def test_each_has_fields_of_its_own_and_no_others(made: Any) -> None:
    assert made.Count(1).seen is not made.Count(1).seen
    assert not hasattr(made.Told(1.0, "a"), "__dict__")
    changed = made.Count(1)
    changed.number += 1
    assert changed == made.Count(2)
    with pytest.raises(AttributeError):
        changed.stranger = 1


def test_a_class_with_a_dictionary_keeps_what_it_worked_out(made: Any) -> None:
    known = made.Remembering()
    assert known.upper is known.upper
    assert known == made.Remembering("ab")
    assert made.Remembering("x").upper == "X"


def test_it_is_changed_into_another(made: Any, maker: Any) -> None:
    told = made.Told(1.0, "a", "s", 4)
    for replace in (maker.replace, dataclasses.replace):
        changed = replace(told, who="b")
        assert (changed.at, changed.who, changed.secret, changed.aside) == (1.0, "b", "s", 4)
        with pytest.raises(TypeError, match="nobody"):
            replace(told, nobody=1)


def test_it_is_copied_whole(made: Any) -> None:
    for one in (made.Told(1.0, "a", "s"), made.Named(name="n", many=[1]), made.Remembering("x")):
        assert copy.deepcopy(one) == one


def test_its_fields_are_known(made: Any, maker: Any) -> None:
    for fields in (maker.fields, dataclasses.fields):
        assert [one.name for one in fields(made.Told)] == ["at", "who", "secret", "aside"]
        assert [one.name for one in fields(made.Told(1.0, "a"))] == ["at", "who", "secret", "aside"]
        assert fields(made.Named)[1].metadata == {"doc": "numbers"}
        assert [one.kw_only for one in fields(made.Named)] == [True] * 3
        assert [one.default for one in fields(made.Told)][2:] == ["", 0]
    for is_dataclass in (maker.is_dataclass, dataclasses.is_dataclass):
        assert [is_dataclass(thing) for thing in (made.Told, made.Nothing(), int, 1)] == [True, True, False, False]
    assert made.Told.__match_args__ == ("at", "who", "secret", "aside")
    assert made.Named.__match_args__ == ()


def test_others_who_know_dataclasses_know_it(made: Any) -> None:
    assert dataclasses.asdict(made.Told(1.0, "a")) == {"at": 1.0, "who": "a", "secret": "", "aside": 0}
    assert msgspec.json.encode(made.Named(name="n", many=[1])) == b'{"name":"n","many":[1],"last":3}'


def test_a_class_of_it_that_makes_itself_leaves_it_as_it_is(made: Any) -> None:
    class Special(made.Told):  # type: ignore[misc]
        __slots__ = ()

        def __init__(self, who: str) -> None:
            super().__init__(2.0, who)

    assert (Special("a").at, Special("a").who) == (2.0, "a")
    assert made.Told(1.0, "a").at == 1.0
    assert Special("a") == Special("a") != made.Told(2.0, "a")


def test_a_method_that_was_fetched_early_works(made: Any) -> None:
    init, equal, hashed = made.Told.__init__, made.Told.__eq__, made.Told.__hash__
    for _ in "twice":
        told = made.Told.__new__(made.Told)
        init(told, 1.0, "a")
        assert equal(told, made.Told(1.0, "a"))
        assert hashed(told) == hash(made.Told(1.0, "a"))


def test_it_loads_nothing_of_what_makes_the_librarys_dear() -> None:
    script = "import sys, sentinetd.daemon.messages as m; m.Written(1) == m.Written(1); print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "sentinetd.model.noun" in loaded
    assert not {"dataclasses", "inspect"} & set(loaded)
