"""The grammar: what lines become, where entries end, and that nothing whatever makes it raise."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentinetd.config.syntax import LONGEST, Entry, Include, Text, parse
from sentinetd.model.diagnostic import Scope


def shape(text: Text) -> str:
    """Statements in short: ``ftp[wait= no;env+= A B]``, ``<file>``, ``<dir/>``."""
    parts = []
    for one in text.statements:
        if isinstance(one, Include):
            parts.append(f"<{one.path}{'/' if one.directory else ''}>")
        else:
            lines = ";".join(f"{line.name}{line.operator} {' '.join(line.words)}".rstrip() for line in one.lines)
            parts.append(f"{one.name or 'DEFAULTS'}[{lines}]")
    return " ".join(parts)


def all_told(text: Text) -> list[str]:
    inside = [told for one in text.statements if isinstance(one, Entry) for told in one.diagnostics]
    return [f"{one.scope.value} {one.place.line} {one.text}" for one in (*text.diagnostics, *inside)]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        pytest.param("service a\n{\n\twait = no\n}\n", "a[wait= no]", id="an entry"),
        pytest.param("service a\n{\n\twait = no\n}", "a[wait= no]", id="no newline at the end"),
        pytest.param("SERVICE a\n{\n Wait = NO\n}\nDeFaults\n{\n}\n", "a[wait= NO] DEFAULTS[]", id="case of keywords"),
        pytest.param("service a\n\n# c\n  {  \n # c\n\n wait = no\n\t}\t\n", "a[wait= no]", id="blanks and comments"),
        pytest.param("service a\n{\n x = 1 # 2\n}\n", "a[x= 1 # 2]", id="a hash inside a line is a word"),
        pytest.param("service a\n{\n x =\n y =1 2\n z +=3\n w -= \n}\n", "a[x=;y= 1 2;z+= 3;w-=]", id="operators"),
        pytest.param("include x\nincludedir y\n", "<x> <y/>", id="includes"),
        pytest.param('service a\n{\n x = "c d"\n}\n', 'a[x= "c d"]', id="no quoting"),
        pytest.param(
            "service a\n{\n include = x\n}\n", "a[include= x]", id="a keyword with an operator is an attribute"
        ),
        pytest.param(
            "service a\n{\n x = caf\u00e9\u00a0b\n}\n", "a[x= caf\u00e9\u00a0b]", id="only space and tab separate"
        ),
    ],
)
def test_statements(text: str, statements: str) -> None:
    parsed = parse(text.encode(), "f")
    assert shape(parsed) == statements
    assert all_told(parsed) == []


@pytest.mark.parametrize(
    ("text", "statements", "told"),
    [
        pytest.param(
            "junk\nservice a\n{\n}\n", "a[]", ["line 1 missing service keyword: junk"], id="stray line swallows nothing"
        ),
        pytest.param("service a {\n x = 1\n}\n", "a[x= 1]", ["line 1 the brace stands"], id="brace on the same line"),
        pytest.param(
            "service a { x = 1 }\nservice b\n{\n}\n",
            "a[] b[]",
            ["line 1 the brace", "entry 1 text behind"],
            id="one line",
        ),
        pytest.param(
            "service a b\n{\n}\n", "a[]", ["line 1 words after service a are ignored: b"], id="trailing words"
        ),
        pytest.param(
            "service a\n{ # x\n} # y\n",
            "a[]",
            ["line 2 text behind", "line 3 text behind"],
            id="comments behind braces",
        ),
        pytest.param(
            "service a { x\n{\n x = 1\n}\n",
            "a[x= 1]",
            ["line 1 words after service a are ignored: { x"],
            id="a brace on the same line, and one on the next",
        ),
        pytest.param("service a\n{ x = 1\n}\n", "a[]", ["entry 2 text behind the brace"], id="text behind a brace"),
        pytest.param("service a\nx = 1\n}\n", "a[x= 1]", ["entry 1 Service a: missing '{'"], id="no opening brace"),
        pytest.param(
            "service a\nservice b\n{\n}\n", "a[] b[]", ["entry 1 Service a: missing '{'"], id="no block at all"
        ),
        pytest.param(
            "service a\n{\nservice b\n{\n}\n",
            "a[] b[]",
            ["part 3 missing } in last service entry"],
            id="no closing brace",
        ),
        pytest.param("service a\n{\n", "a[]", ["part 1 incomplete entry"], id="the file ends"),
        pytest.param("service\n{\n x = 1\n}\n", "", ["part 1 service name missing"], id="no name"),
        pytest.param(
            "servce a\n{\n x = 1\n}\n", "a[x= 1]", ["entry 1 missing service keyword: servce"], id="misspelt keyword"
        ),
        pytest.param(
            "}\nservice a\n{\n}\n", "a[]", ["line 1 missing service keyword: } belongs"], id="a brace too many"
        ),
        pytest.param("x = 1\n", "", ["part 1 missing service keyword: x = 1 belongs"], id="an attribute outside"),
        pytest.param("{\n x = 1\n}\n", "", ["part 1 missing service keyword: { belongs"], id="a block outside"),
        pytest.param("include\n", "", ["part 1 service name missing: include"], id="include of nothing"),
        pytest.param("include a b\n", "<a>", ["line 1 words after include a are ignored: b"], id="include of two"),
        pytest.param("service a\n{\n x\n}\n", "a[]", ["entry 3 Nothing after attribute: x"], id="no operator"),
        pytest.param("service a\n{\n x=1\n}\n", "a[]", ["entry 3 Attribute x=1 needs a space"], id="no space"),
        pytest.param(
            "service a\n{\n x ? 1\n}\n", "a[]", ["entry 3 Bad operator for attribute: x: ?"], id="bad operator"
        ),
        pytest.param("defaults\n{\n x=1\n}\n", "DEFAULTS[]", ["part 3 Attribute x=1 needs"], id="bad line in defaults"),
        pytest.param(
            "defaults\n{\n only_from=1\n}\n",
            "DEFAULTS[]",
            ["file 3 Attribute only_from=1 needs"],
            id="bad line in defaults that keeps out",
        ),
        pytest.param(
            "service a\n{\n x = 1\n include b\n y = 2\n}\nservice c\n{\n}\n",
            "a[x= 1;y= 2] c[]",
            ["entry 4 Bad operator for attribute: include b stands inside service a"],
            id="include inside an entry",
        ),
        pytest.param(
            "service a\n{\n includedir b\n}\ninclude d\n",
            "a[] <d>",
            ["entry 3 Bad operator for attribute: includedir b"],
            id="includedir as the last line of an entry",
        ),
        pytest.param(
            "service a\n{\n x = 1\nincludedir b\n",
            "a[x= 1] <b/>",
            ["part 4 missing } in last service entry: includedir b"],
            id="no closing brace before includedir",
        ),
        pytest.param(
            "\ufeff# x\nservice a\n{\n}\n",
            "a[]",
            ["line 1 the file begins with a byte order mark"],
            id="byte order mark",
        ),
        pytest.param("service a\n{\n x = \0\n}\n", "a[]", ["entry 3 a NUL byte"], id="NUL"),
        pytest.param(
            "service a\r\n{\r\n x = 1\r\n}\r\n", "a[x= 1]", ["line 1 lines end in carriage"], id="CRLF, told once"
        ),
    ],
)
def test_mistakes(text: str, statements: str, told: list[str]) -> None:
    parsed = parse(text.encode(), "f")
    assert shape(parsed) == statements
    said = all_told(parsed)
    assert len(said) == len(told)
    assert all(one.startswith(start) for one, start in zip(said, told, strict=True))


def test_a_line_of_a_megabyte() -> None:
    parsed = parse(b"service a\n{\n x = " + b"y" * 1_000_000 + b"\n}\nservice b\n{\n}\n", "f")
    assert shape(parsed) == "a[] b[]"
    assert all_told(parsed) == [f"entry 3 a line of 1000005 bytes is longer than {LONGEST}: x"]


def test_the_longest_line() -> None:
    words = b"y " * (LONGEST // 2 - 3)
    assert all_told(parse(b"service a\n{\nx = " + words + b"\n}\n", "f")) == []


def test_bytes_that_are_no_text_survive() -> None:
    entry = parse(b"service a\n{\n server = /bin/\xff\n}\n", "f").statements[0]
    assert isinstance(entry, Entry)
    assert entry.lines[0].words[0].encode("utf-8", "surrogateescape") == b"/bin/\xff"


PIECES = [
    "service",
    "defaults",
    "include",
    "includedir",
    "{",
    "}",
    "=",
    "+=",
    "-=",
    "#",
    "\n",
    "\n",
    " ",
    "\t",
    "\r",
    "\0",
]


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([*PIECES, "a", "b=c"]), max_size=60).map("".join)))
@example(b"{")
@example("service a\n{")
def test_anything_is_parsed(raw: bytes | str) -> None:
    data = raw.encode() if isinstance(raw, str) else raw
    parsed = parse(data, "f")
    lines = data.count(b"\n") + 1
    told = [*parsed.diagnostics]
    for one in parsed.statements:
        assert 1 <= one.place.line <= lines
        if isinstance(one, Entry):
            told += one.diagnostics
            assert all(1 <= line.place.line <= lines for line in one.lines)
            doubts = (*parsed.diagnostics, *one.diagnostics)
            assert one.whole or any(each.scope in (Scope.PART, Scope.ENTRY) for each in doubts)
    for each in told:
        assert each.place.file == "f"
        assert 1 <= each.place.line <= lines
        assert each.text
        assert each.way_out
        assert str(each).isprintable()


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=8))
def test_good_entries_survive_stray_lines(names: list[str]) -> None:
    """Junk between entries never costs an entry, whatever it is, as long as it is no brace and no attribute."""
    text = "".join(f"!! stray\nservice {name}\n{{\n wait = no\n}}\n" for name in names)
    assert shape(parse(text.encode(), "f")) == " ".join(f"{name}[wait= no]" for name in names)
