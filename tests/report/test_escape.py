"""Text from outside in a line of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinetd.report.escape import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("irc-sensor 192.0.2.1 (x=1)", "irc-sensor 192.0.2.1 (x=1)", id="plain text stays"),
        pytest.param("a\nb\r\tc", "a\\x0ab\\x0d\\x09c", id="line ends and tabs"),
        pytest.param("\x1b[2J\x07", "\\x1b[2J\\x07", id="terminal sequences"),
        pytest.param("a\x7fb\x85c\x9bd", "a\\x7fb\\x85c\\x9bd", id="delete and the C1 controls"),
        pytest.param("caf\xe9", "caf\\xe9", id="beyond ASCII"),
        pytest.param("a\u202eb\u2028c", "a\\u202eb\\u2028c", id="turned direction, foreign line end"),
        pytest.param("\U0001f980", "\\U0001f980", id="beyond the first plane"),
        pytest.param("a\udce9b\ud800", "a\\udce9b\\ud800", id="lone surrogates"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_comes_is_printable_ascii(text: str) -> None:
    shown = escape(text)
    assert shown.isascii()
    assert shown.isprintable()
