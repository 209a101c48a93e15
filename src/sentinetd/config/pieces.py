"""A file cut into pieces: entries that are written the usual way stay text, all else is parsed at once.

The text of an entry says what it was when it was last read, long before anything of it is parsed (`recall`). Only what
nobody can take for anything else is cut: a header, a brace, lines with an operator each, a brace, and nothing odd in
between. From the first line that is none of this on, the rest of the file goes to the parser as it is.
"""

from __future__ import annotations

import re
from functools import cache

from sentinetd.config.syntax import Entry, Include, Line, parse
from sentinetd.model.diagnostic import Diagnostic
from sentinetd.model.noun import dataclass
from sentinetd.model.values import Place

LONGEST = 16 * 1024
"""Bytes of a piece. A longer one is no usual entry, and may hold a line that the parser refuses for its length."""

_BETWEEN = rb"(?:[ \t]*(?:#[\t -~]*)?\n)*"
_NAMED = rb"[ \t]*service[ \t]+[!-\"$-z|~][!-z|~]*[ \t]*\n"
_BODY = rb"[ \t]*\{[ \t]*\n(?:[ \t]*(?:(?:#[\t -~]*)?|[a-zA-Z_]+[ \t]+[+-]?=[\t -~]*)\n)*[ \t]*\}[ \t]*\n"
_OTHER = rb"[ \t]*defaults[ \t]*\n" + _BODY + rb"|[ \t]*include(?:dir)?[ \t]+[!-~]+[ \t]*\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """The *text* of one entry, from its header at *place* on. The parser finds nothing wrong with its extent."""

    place: Place
    text: bytes

    @property
    def name(self) -> str:
        """The name of the service."""
        return self.text.split(None, 2)[1].decode("ascii")

    @property
    def plain(self) -> bool:
        """Whether it surely counts, under its name: it has neither an id nor is it disabled."""
        return _steered().search(self.text) is None

    def entry(self) -> Entry:
        """What the parser makes of it, and sooner: every line has its form already."""
        file, first = self.place.file, self.place.line
        rows = [
            (number, words)
            for number, line in enumerate(self.text.decode("ascii").split("\n"), first)
            if (words := line.split()) and words[0][0] != "#"
        ]
        lines = tuple(_line(Place(file, number), words) for number, words in rows[2:-1])
        return Entry(self.place, rows[0][1][1], lines)


def _line(place: Place, words: list[str]) -> Line:
    """An attribute line: a name, and an operator that its first value may be glued to."""
    second = words[1]
    operator = "=" if second[0] == "=" else second[:2]
    value = second[len(operator) :]
    return Line(place, words[0].lower(), operator, (value, *words[2:]) if value else tuple(words[2:]))


@dataclass(frozen=True, slots=True)
class Pieces:
    """As `syntax.Text`, with entries that are still text."""

    statements: tuple[Piece | Entry | Include, ...]
    diagnostics: tuple[Diagnostic, ...]


@cache
def _steered() -> re.Pattern[bytes]:
    """A line that may say under which id an entry counts, or that it does not."""
    return re.compile(rb"\n[ \t]*(?:id|disable)[ \t]", re.IGNORECASE)


@cache
def _usual() -> re.Pattern[bytes]:
    """What stands before a statement; then a service, or another statement, or none of the usual form."""
    return re.compile(b"(" + _BETWEEN + b")(?:(" + _NAMED + _BODY + b")|(" + _OTHER + b"))?")


def cut(data: bytes, file: str) -> Pieces:
    """The statements of *data*; *file* is its name in places. The same as `syntax.parse`, once each piece is parsed."""
    statements: list[Piece | Entry | Include] = []
    told: list[Diagnostic] = []
    usual = _usual().match
    at, line = 0, 1
    while (found := usual(data, at)) is not None:  # it matches nothing as well
        before, service, other = found.groups()
        line += before.count(b"\n")
        at = found.end(1)
        text = service or other
        if text is None or len(text) > LONGEST:
            break
        if service:
            statements.append(Piece(Place(file, line), text))
        else:
            parsed = parse(text, file, line)
            statements += parsed.statements
            told += parsed.diagnostics
        line += text.count(b"\n")
        at = found.end()
    rest = parse(data[at:], file, line)
    return Pieces((*statements, *rest.statements), (*told, *rest.diagnostics))
