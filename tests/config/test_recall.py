"""A file is cut where the parser would, and what is recalled is what would be read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.machine import Machine, entry
from sentinetd.config.host import Host
from sentinetd.config.load import Loaded, load
from sentinetd.config.pieces import LONGEST, Piece, cut
from sentinetd.config.recall import Recall
from sentinetd.config.syntax import Text, parse

USUAL = "service a\n{\n wait = no\n port\t+= 1\n}\n"
LINES = [
    "service a", "service a b", "service", "service #a", " service b\t", "SERVICE c", "service {", "service x{",
    "defaults", "include f", "includedir d", "include f g", "include", "{", "}", " }", "} x", "} # x", "{ # x",
    " x = 1", "\tx\t=1 2", "x -= ", "x=1", "x 1", "x", "service = 1", "service b = 1", "= 1", "x= = 1", "# c",
    " #{", "", "  ", "caf\u00e9 = 1", "x = \u00a0", "x = 1\r", "x = \0", "x = \x0c", "junk", "include = y",
    "defaults = 1", "\ufeffservice a", "\ufeff# c",
]  # fmt: skip
"""Lines of every sort that the grammar tells apart."""


NEARLY_USUAL = st.lists(st.sampled_from([*LINES, " x = 1", " x = 1"]), max_size=3).map(
    lambda body: "\n".join(["service a", "{", *body, "}"])
)


def parsed(data: bytes) -> Text:
    """*data* by way of its pieces."""
    pieces = cut(data, "f")
    return Text(tuple(one.entry() if isinstance(one, Piece) else one for one in pieces.statements), pieces.diagnostics)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.one_of(st.just(USUAL.rstrip()), NEARLY_USUAL, st.sampled_from(LINES)), max_size=8), st.booleans())
def test_a_file_is_cut_where_the_parser_would(lines: list[str], ended: bool) -> None:
    data = ("\n".join(lines) + "\n" * ended).encode()
    assert parsed(data) == parse(data, "f")


BLOCKS = st.lists(
    st.sampled_from(
        [USUAL, USUAL.replace("a", "bb"), "# c\n", "\n", "defaults\n{\n x = 1\n}\n", "include y\n", "junk\n"]
    ),
    max_size=5,
)


@settings(deadline=None, max_examples=400)
@given(BLOCKS, BLOCKS, BLOCKS, BLOCKS)
def test_a_file_that_changed_is_cut_as_if_for_the_first_time(
    first: list[str], gone: list[str], come: list[str], last: list[str]
) -> None:
    before, after = ("".join([*first, *middle, *last]).encode() for middle in (gone, come))
    assert cut(after, "f", cut(before, "f")) == cut(after, "f")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(USUAL * 4, USUAL.replace("1", "2") + USUAL + USUAL.replace("1", "2") + USUAL, id="two, in place"),
        pytest.param(USUAL * 2, USUAL[:-1] + "#\n" + USUAL, id="the last byte of an entry"),
        pytest.param(USUAL * 2, USUAL, id="one less"),
        pytest.param(USUAL * 2, USUAL * 3, id="one more"),
        pytest.param(USUAL, "", id="all gone"),
        pytest.param("", USUAL, id="all new"),
        pytest.param(USUAL, USUAL, id="nothing"),
    ],
)
def test_each_sort_of_change(before: str, after: str) -> None:
    assert cut(after.encode(), "f", cut(before.encode(), "f")) == cut(after.encode(), "f")


def test_what_is_before_and_behind_a_change_is_not_cut_again() -> None:
    parts = [entry(f"s{number}", f"port = {number}") for number in range(10, 20)]
    before = cut("".join(parts).encode(), "f")
    parts[4] = parts[4].replace("port = 14", "port = 144")
    after = cut("".join(parts).encode(), "f", before)
    same = [one is other for one, other in zip(before.statements, after.statements, strict=True)]
    assert same == [True] * 4 + [False] + [True] * 5


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("body", ["{}", " x = 1\n{}\n y = 2"], ids=["alone", "amid others"])
def test_each_sort_of_line_in_an_entry(body: str, line: str) -> None:
    data = f"{USUAL}service b\n{{\n{body.format(line)}\n}}\n{USUAL}".encode()
    assert parsed(data) == parse(data, "f")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        pytest.param(USUAL, 1, id="one"),
        pytest.param(f"# c\n\n{USUAL}\n \n# d\n{USUAL}", 2, id="between comments"),
        pytest.param(f"defaults\n{{\n x = 1\n}}\ninclude y\nincludedir z\n{USUAL}", 1, id="after other statements"),
        pytest.param("service a\n{\n x =\n Y =1 2\n z +=3\n w -= \n v == 4\n u =+ 5\n}\n", 1, id="operators"),
        pytest.param(f"{USUAL}junk\n{USUAL}", 1, id="none after what is odd"),
        pytest.param(USUAL.replace("port", "port=1\n x"), 0, id="none with a mistake"),
        pytest.param(USUAL.replace("no", "n" * LONGEST), 0, id="none that is long"),
        pytest.param(USUAL.rstrip(), 0, id="none without an end of line"),
    ],
)
def test_what_is_usual_is_a_piece(text: str, pieces: int) -> None:
    assert sum(isinstance(one, Piece) for one in cut(text.encode(), "f").statements) == pieces
    assert parsed(text.encode()) == parse(text.encode(), "f")


def everything(result: Loaded) -> object:
    """All that *result* says, places too, which take no part in a service's comparison."""
    return result, [service.places for service in result.services]


FILES = [
    *(entry(f"echo{number}", f"type = UNLISTED;port = {number}") for number in range(1, 4)),
    entry("echo1", "type = UNLISTED;port = 9"),
    entry("ftp", ""),
    entry("ftp", "disable = yes"),
    entry("ftp", "id = other;port = 21;bind = 192.0.2.1"),
    entry("named", "type = UNLISTED;port = 30;only_from = loopback 192.0.2.0/24 one.example;no_access += 192.0.2.1"),
    entry("told", "type = UNLISTED;port = 31;nice = 3;nice = 4"),
    entry("wrong", "type = UNLISTED;port = 32", user="nobody-at-all"),
    entry("touched", "type = UNLISTED;port = 33;flags = SENSOR;deny_time = 5", server="", user=""),
    "# a comment\n",
    "\n",
    "stray line\n",
    "defaults\n{\n nice = 5\n no_access = 198.51.100.0/24\n}\n",
    "defaults\n{\n disabled = ftp echo1\n}\n",
    "include more.conf\n",
]
"""Parts of a file: such as collide with each other, have mistakes, are remarked on, move others or change them all."""


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.sampled_from(FILES), max_size=9), min_size=2, max_size=4))
def test_what_is_recalled_is_what_would_be_read(readings: Sequence[Sequence[str]]) -> None:
    recall = Recall()
    for parts in readings:
        files: Mapping[str, bytes] = {"main.conf": "".join(parts).encode(), "more.conf": FILES[1].encode()}
        assert everything(load("main.conf", Machine(files), recall=recall)) == everything(
            load("main.conf", Machine(files))
        )


def reading(recall: Recall, text: str) -> Loaded:
    return load("main.conf", Machine({"main.conf": text.encode()}), recall=recall)


def test_what_did_not_change_is_the_same_object() -> None:
    recall = Recall()
    ten = [entry(f"s{number}", f"type = UNLISTED;port = {number}") for number in range(1, 11)]
    before = reading(recall, "".join(ten)).services
    ten[4] = entry("s5", "type = UNLISTED;port = 55")
    after = reading(recall, "".join(ten)).services
    assert [one is other for one, other in zip(before, after, strict=True)] == [True] * 4 + [False] + [True] * 5


def test_what_moved_is_told_of_where_it_is() -> None:
    recall = Recall()
    text = entry("a", "type = UNLISTED;port = 1") + entry("b", "type = UNLISTED;port = 2")
    first = reading(recall, text).services[1]
    moved = reading(recall, "# one\n# more\n" + text).services[1]
    assert moved == first
    assert {name: place.line - 2 for name, place in moved.places.items()} == {
        name: place.line for name, place in first.places.items()
    }


def test_what_moved_to_another_file_is_read_there() -> None:
    recall, text = Recall(), entry("a", "type = UNLISTED;port = 1").encode()
    load("main.conf", Machine({"main.conf": text}), recall=recall)
    (moved,) = load("main.conf", Machine({"main.conf": b"include b\n", "b": text}), recall=recall).services
    assert {place.file for place in moved.places.values()} == {"b"}


@pytest.mark.parametrize(
    ("path", "change"),
    [
        pytest.param("/etc/services", lambda data: data.replace(b"21/tcp", b"2121/tcp"), id="a port"),
        pytest.param("/etc/protocols", lambda data: data.replace(b"tcp 6", b"tcp 106"), id="a protocol"),
    ],
)
def test_another_answer_of_a_table_is_another_service(path: str, change: object) -> None:
    recall, text = Recall(), entry("ftp", "protocol = tcp").encode()
    changed = change(Machine.TABLES[path])  # type: ignore[operator]
    assert changed != Machine.TABLES[path]
    before = load("main.conf", Machine({"main.conf": text}), recall=recall)
    machine = Machine({"main.conf": text, path: changed})
    after = load("main.conf", machine, recall=recall)
    assert everything(after) == everything(load("main.conf", machine))
    assert everything(after) != everything(before)


def test_each_answer_of_the_machine_counts(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.touch(0o755)
    conf = tmp_path / "main.conf"
    conf.write_text(entry("a", "type = UNLISTED;port = 1;protocol = tcp;bind = localhost", server=str(program)))
    recall = Recall()
    environment = dict(os.environ)
    first, second = (load(str(conf), Host(environment), recall=recall) for _ in "12")
    assert not first.diagnostics
    assert first.services[0] is second.services[0]
    program.chmod(0o644)
    third = load(str(conf), Host(environment), recall=recall)
    assert not third.services
    assert third.faulty == {"a"}
    program.chmod(0o755)
    assert load(str(conf), Host(environment), recall=recall).services == first.services


QUESTIONS = [
    ("user", ("root",)),
    ("user_of", (0,)),
    ("group", ("root",)),
    ("groups", ("root", 0)),
    ("addresses", ("localhost",)),
    ("not_executable", ("/bin/sh",)),
    ("port", ("ftp", "tcp")),
]


@pytest.mark.parametrize(("question", "words"), QUESTIONS, ids=[name for name, _ in QUESTIONS])
def test_a_machine_is_as_before_until_it_says_something_else(question: str, words: tuple[object, ...]) -> None:
    before, same, other = (Host({}) for _ in "123")
    getattr(before, question)(*words)
    assert same.as_before(before)
    for remembered in vars(before).values():
        if isinstance(remembered, dict):
            for key in remembered:
                remembered[key] = "another answer"
    assert not other.as_before(before)
