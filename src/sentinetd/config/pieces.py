"""A file cut into pieces: entries that are written the usual way stay text, all else is parsed at once.

The text of an entry says what it was when it was last read, long before anything of it is parsed (`recall`). Only what
nobody can take for anything else is cut: a header, a brace, lines with an operator each, a brace, and nothing odd in
between. From the first line that is none of this on, the rest of the file goes to the parser as it is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from typing import NamedTuple

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


class Cut(NamedTuple):
    """A file has been cut up to here: so many bytes, the number of the next line, so many statements and diagnostics.
    """

    end: int
    line: int
    statements: int
    diagnostics: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """As `syntax.Text`, with entries that are still text. *cuts*: where *data* was cut; the rest was parsed."""

    statements: tuple[Piece | Entry | Include, ...]
    diagnostics: tuple[Diagnostic, ...]
    data: bytes = b""
    cuts: tuple[Cut, ...] = ()


@cache
def _steered() -> re.Pattern[bytes]:
    """A line that may say under which id an entry counts, or that it does not."""
    return re.compile(rb"\n[ \t]*(?:id|disable)[ \t]", re.IGNORECASE)


@cache
def _usual() -> re.Pattern[bytes]:
    """What stands before a statement; then a service, or another statement, or none of the usual form."""
    return re.compile(b"(" + _BETWEEN + b")(?:(" + _NAMED + _BODY + b")|(" + _OTHER + b"))?")


NONE = Pieces((), ())


class Cutter:
    """Cuts files, and remembers the last reading: what is written before and behind a change is cut already."""

    def __init__(self) -> None:
        self._before: dict[str, Pieces] = {}
        self._now: dict[str, Pieces] = {}

    def begin(self) -> None:
        """Another reading begins."""
        self._before, self._now = self._now, {}

    def cut(self, data: bytes, file: str) -> Pieces:
        """See `cut`."""
        pieces = self._now[file] = cut(data, file, self._before.get(file, NONE))
        return pieces


def cut(data: bytes, file: str, before: Pieces = NONE) -> Pieces:
    """The statements of *data*; *file* is its name in places. The same as `syntax.parse`, once each piece is parsed.
    *before* is what the file was cut into before it was changed."""
    return _Cutting(data, file, before).pieces()


class _Cutting:
    """What a cut comes to follows from the bytes up to it, and what comes behind it from the number of its line and the
    bytes from there on: where those are as before, so is the rest."""

    def __init__(self, data: bytes, file: str, before: Pieces) -> None:
        self._data = data
        self._file = file
        self._before = before
        kept = bisect_right(before.cuts, _begin_alike(data, before.data), key=lambda one: one.end)
        self._cuts = list(before.cuts[:kept])
        self._at, self._line, count, remarks = self._cuts[-1] if kept else Cut(0, 1, 0, 0)
        self._statements = list(before.statements[:count])
        self._told = list(before.diagnostics[:remarks])
        self._shift = len(data) - len(before.data)
        self._again = {one.end + self._shift: number for number, one in enumerate(before.cuts[kept:], kept)}
        self._tail = len(data) - _end_alike(data, before.data)  # where what is as before begins

    def pieces(self) -> Pieces:
        while not self._rejoins():
            if not self._cut_one():
                rest = parse(self._data[self._at :], self._file, self._line)
                self._statements += rest.statements
                self._told += rest.diagnostics
                break
        return Pieces(tuple(self._statements), tuple(self._told), self._data, tuple(self._cuts))

    def _cut_one(self) -> bool:
        """Cut off the next statement; False if it is none of the usual form."""
        found = _usual().match(self._data, self._at)
        assert found is not None  # it matches nothing as well
        blank, service, other = found.groups()
        self._line += blank.count(b"\n")
        self._at = found.end(1)
        text = service or other
        if text is None or len(text) > LONGEST:
            return False
        if service:
            self._statements.append(Piece(Place(self._file, self._line), text))
        else:
            parsed = parse(text, self._file, self._line)
            self._statements += parsed.statements
            self._told += parsed.diagnostics
        self._line += text.count(b"\n")
        self._at = found.end()
        self._cuts.append(Cut(self._at, self._line, len(self._statements), len(self._told)))
        return True

    def _rejoins(self) -> bool:
        """Whether all that follows is as before; then it is taken over."""
        number = self._again.get(self._at) if self._at >= self._tail else None
        if number is None or self._before.cuts[number].line != self._line:
            return False
        _, _, count, remarks = self._before.cuts[number]
        more, said = len(self._statements) - count, len(self._told) - remarks
        self._cuts += [
            Cut(one.end + self._shift, one.line, one.statements + more, one.diagnostics + said)
            for one in self._before.cuts[number + 1 :]
        ]
        self._statements += self._before.statements[count:]
        self._told += self._before.diagnostics[remarks:]
        return True


def _begin_alike(one: bytes, other: bytes) -> int:
    """How many bytes both begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _end_alike(one: bytes, other: bytes) -> int:
    """How many bytes both end with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
