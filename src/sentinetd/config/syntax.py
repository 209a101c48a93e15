"""The grammar of xinetd.conf(5): bytes in, entries with places out. Never raises; every oddity is a diagnostic.

What an attribute means is not known here, only lines, braces, operators and words. A mistake inside an entry is kept
with the entry, because a disabled one is not complained about. An entry whose extent is unclear is left out, and
reading goes on at the next keyword.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.noun import dataclass
from sentinetd.model.values import Place

LONGEST = 64 * 1024
"""Bytes of one line; xinetd itself managed between 8 and 16 KiB."""

OPERATORS = ("=", "+=", "-=")
_KEYWORDS = frozenset({"service", "defaults", "include", "includedir"})
KEEP_OUT = frozenset({"only_from", "no_access", "enabled", "disabled", "bind", "interface"})
"""Attributes of defaults that keep somebody out: without one of them more would be served than was meant."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Of UTF-8, as some editors write it in front of a text."""
_ODD_BLANKS = "\r\v\f\x1c\x1d\x1e\x1f"
"""White space of ASCII, beside the newline, that does not separate words."""
_SHOWN = 60
"""Characters of a line that a diagnostic quotes."""


@dataclass(frozen=True, slots=True)
class Line:
    """One attribute line; *name* in lower case."""

    place: Place
    name: str
    operator: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A service, or with an empty *name* a defaults entry.

    *diagnostics*: what is wrong with its text. Not *whole*: its extent is unclear, or its block, so lines are missing.
    """

    place: Place
    name: str
    lines: tuple[Line, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Include:
    """An ``include`` or, with *directory*, an ``includedir`` line."""

    place: Place
    path: str
    directory: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A file as parsed: its statements in order, and what is wrong outside of its entries."""

    statements: tuple[Entry | Include, ...]
    diagnostics: tuple[Diagnostic, ...]


def parse(data: bytes, file: str, first: int = 1) -> Text:
    """The statements of *data*; *file* is its name in places, *first* the number of its first line."""
    return _Parser(data, file, first).text()


@dataclass(frozen=True, slots=True)
class Row:
    """A line that says something, as words: *wrong* tells why its words cannot be believed, empty if they can."""

    place: Place
    words: tuple[str, ...]
    wrong: str = ""


def rows(data: bytes, file: str, first: int = 1) -> Iterator[Row]:
    """The lines of *data* other than blank ones and comments; *first* is the number of the first line."""
    text = data.decode("utf-8", "surrogateescape")
    words_of: Callable[[str], list[str]] = _words
    if text.isascii() and not any(odd in text for odd in _ODD_BLANKS):
        words_of = str.split  # the same, faster
    for number, line in enumerate(text.split("\n"), first):
        if len(line) > LONGEST // 4 and len(line.encode("utf-8", "surrogateescape")) > LONGEST:
            words = words_of(line[:_SHOWN])[:1]
            if not words or words[0][0] != "#":
                wrong = f"a line of {len(line.encode('utf-8', 'surrogateescape'))} bytes is longer than {LONGEST}"
                yield Row(Place(file, number), tuple(words), wrong)
            continue
        words = words_of(line)
        if words and words[0][0] != "#":
            yield Row(Place(file, number), tuple(words), "a NUL byte in the line" if "\0" in line else "")


def _words(line: str) -> list[str]:
    """What stands between spaces and tabs; none if there is nothing but white space of any kind."""
    line = line.removesuffix("\r")
    return [word for word in line.replace("\t", " ").split(" ") if word] if line.strip() else []


class _Parser:
    """Walks the rows of one file once, one row of look-ahead."""

    def __init__(self, data: bytes, file: str, first: int) -> None:
        marked = first == 1 and data.startswith(_BYTE_ORDER_MARK)
        self._rows = rows(data[len(_BYTE_ORDER_MARK) * marked :], file, first)
        self._row = next(self._rows, None)
        self._ahead: list[Row | None] = []  # the row after this one, where it was looked at
        self._statements: list[Entry | Include] = []
        self._told: list[Diagnostic] = []
        self._doubts = 0  # mistakes that leave the extent of an entry unclear
        if marked:
            self._tell(
                Scope.LINE,
                Place(file, first),
                "the file begins with a byte order mark, which is left out",
                "delete it with: sed -i '1s/^\\xef\\xbb\\xbf//' FILE",
                Level.WARNING,
            )
        if b"\r\n" in data:
            line = data[: data.index(b"\r\n")].count(b"\n") + first
            self._tell(
                Scope.LINE,
                Place(file, line),
                "lines end in carriage returns, which are left out",
                "convert the file with: sed -i 's/\\r$//' FILE",
                Level.WARNING,
            )

    def text(self) -> Text:
        while (row := self._row) is not None:
            keyword = row.words[0].lower() if row.words else ""
            if row.wrong:
                self._advance()
                # Nobody can say what such a line was meant to be, nor whether what follows it belongs to it.
                self._tell(Scope.PART, row.place, f"{row.wrong}: {_quoted(row)}", "delete or mend the line")
            elif keyword in ("service", "defaults"):
                self._advance()
                self._entry(row, keyword)
            elif keyword in ("include", "includedir"):
                self._advance()
                self._include(row, directory=keyword == "includedir")
            else:
                self._stray(row)
        return Text(tuple(self._statements), tuple(self._told))

    def _advance(self) -> None:
        self._row = self._ahead.pop() if self._ahead else next(self._rows, None)

    def _following(self) -> Row | None:
        """The row after the next."""
        if not self._ahead:
            self._ahead.append(next(self._rows, None))
        return self._ahead[0]

    def _tell(self, scope: Scope, place: Place, text: str, way_out: str, level: Level = Level.ERROR) -> None:
        self._told.append(Diagnostic(scope, place, text, way_out, level=level))
        self._doubts += scope is Scope.PART

    def _include(self, row: Row, *, directory: bool) -> None:
        if len(row.words) < 2:
            self._tell(
                Scope.PART, row.place, f"service name missing: {row.words[0]} names nothing", "write a path after it"
            )
            return
        if len(row.words) > 2:
            self._tell(
                Scope.LINE,
                row.place,
                f"words after {row.words[0]} {row.words[1]} are ignored: {' '.join(row.words[2:])}",
                "give each path a line of its own",
                Level.WARNING,
            )
        self._statements.append(Include(row.place, row.words[1], directory))

    def _stray(self, row: Row) -> None:
        """Text outside of an entry: a block with a misspelt keyword is an entry; an attribute or a brace has lost its
        own, and nobody can say which that was."""
        self._advance()
        opens = row.words[-1] == "{" or (self._row is not None and _is_open(self._row))
        if opens and len(row.words) >= 2 and row.words[0] not in "{}" and not _operator_in(row):
            self._entry(row, "")
        elif row.words[0][0] in "{}" or _operator_in(row):
            lost = row.words != ("}",)
            self._tell(
                Scope.PART if lost else Scope.LINE,
                row.place,
                f"missing service keyword: {_quoted(row)} belongs to no entry, and is left out",
                "look for a brace too many or too few in the lines before it",
            )
            if _is_open(row):
                self._attributes(row.place, "the block", "", Scope.PART, [], [])
        else:
            self._tell(
                Scope.LINE,
                row.place,
                f"missing service keyword: {_quoted(row)}",
                "write service NAME, defaults, include or includedir; the line is left out",
            )

    def _entry(self, row: Row, keyword: str) -> None:
        """An entry whose first row was *row*; an empty *keyword*: its first word is none, though a block follows."""
        told: list[Diagnostic] = []
        words = row.words[1:]
        name = "" if keyword == "defaults" or words[:1] in ((), ("{",)) else words[0]
        rest = words[1:] if name else words
        named = keyword == "defaults" or bool(name)
        wrong = Scope.PART if keyword == "defaults" else Scope.ENTRY
        header = f"service {name}".rstrip() if keyword != "defaults" else keyword
        if not named:
            self._tell(Scope.PART, row.place, "service name missing", "write service NAME; the entry is left out")
        if not keyword:
            text = f"missing service keyword: {row.words[0]} is none"
            told.append(Diagnostic(wrong, row.place, text, f"write {header}", service=name))
        lines: list[Line] = []
        doubts = self._doubts
        opened = self._opened(row, rest, header, name, wrong, told)
        if opened:
            self._attributes(row.place, header, name, wrong, lines, told)
        if named:
            lost = not opened and any(one.scope is wrong for one in told)
            whole = self._doubts == doubts and not lost
            self._statements.append(Entry(row.place, name, tuple(lines), tuple(told), whole))
        else:
            self._told.extend(told)

    def _opened(
        self, row: Row, rest: tuple[str, ...], header: str, name: str, wrong: Scope, told: list[Diagnostic]
    ) -> bool:
        """Take the opening brace, which should stand alone on the next row; whether attribute lines follow. Where it is
        missing, the closing one still says how far the entry goes."""

        def tell(scope: Scope, text: str, way_out: str, level: Level) -> None:
            told.append(Diagnostic(scope, row.place, text, way_out, service=name, level=level))

        following = self._row
        again = following is not None and following.words == ("{",)
        if rest[:1] == ("{",) and not again:
            tell(
                Scope.LINE,
                f"the brace stands on the line of {header}",
                "xinetd wants it on the next line",
                Level.WARNING,
            )
            if rest[1:] and not rest[1].startswith("#"):
                tell(wrong, "text behind the brace", "give each attribute its own line", Level.ERROR)
            return rest[-1] != "}"
        if rest:
            text = f"words after {header} are ignored: {' '.join(rest)}"
            tell(Scope.LINE, text, "delete them", Level.WARNING)
        if following is not None and _is_open(following):
            self._behind_brace(following, wrong, name, told)
            self._advance()
            return True
        text = f"Service {name or '(null)'}: missing '{{'"
        tell(wrong, text, f"write {{ alone on the line after {header}", Level.ERROR)
        return following is not None and (bool(following.wrong) or following.words[0].lower() not in _KEYWORDS)

    def _behind_brace(self, row: Row, wrong: Scope, name: str, told: list[Diagnostic]) -> None:
        if len(row.words[0]) == 1 and len(row.words) == 1:
            return
        comment = " ".join(row.words)[1:].lstrip().startswith("#")
        told.append(
            Diagnostic(
                Scope.LINE if comment else wrong,
                row.place,
                f"text behind the brace: {_quoted(row)}",
                "a brace stands alone on its line",
                service=name,
                level=Level.WARNING if comment else Level.ERROR,
            )
        )

    def _attributes(
        self, begin: Place, header: str, name: str, wrong: Scope, lines: list[Line], told: list[Diagnostic]
    ) -> None:
        """Lines up to the closing brace, or up to a keyword or the end of the file where there is none."""
        while (row := self._row) is not None:
            if not row.wrong and row.words[0][0] == "}":
                self._advance()
                self._behind_brace(row, wrong, name, told)
                return
            if not row.wrong and row.words[0].lower() in _KEYWORDS and not _operator_in(row):
                if self._goes_on_after(row):
                    told.append(_nested(row, header, wrong, name))
                    self._advance()
                    continue
                self._tell(
                    Scope.PART,
                    row.place,
                    f"missing }} in last service entry: {_quoted(row)} stands inside {header}",
                    f"close {header} with }} before it; {_consequence(header)}",
                )
                return
            self._advance()
            found = _line(row, wrong, name)
            if isinstance(found, Line):
                lines.append(found)
            else:
                told.append(found)
        way_out = f"close {header} with }}; {_consequence(header)}"
        self._tell(Scope.PART, begin, f"incomplete entry: the file ends inside {header}", way_out)

    def _goes_on_after(self, row: Row) -> bool:
        """Whether an ``include`` in an entry was meant to stand there: what follows it belongs to the entry still."""
        if row.words[0].lower() not in ("include", "includedir"):
            return False
        behind = self._following()
        return behind is not None and not behind.wrong and (behind.words == ("}",) or _operator_in(behind))


def _consequence(header: str) -> str:
    """What becomes of an entry whose end is missing. Defaults that were read hold, as in xinetd: most keep out."""
    return "its lines so far count" if header == "defaults" else "it is left out"


def _nested(row: Row, header: str, wrong: Scope, service: str) -> Diagnostic:
    text = f"Bad operator for attribute: {_quoted(row)} stands inside {header}"
    return Diagnostic(wrong, row.place, text, "write it outside of entries; it is not read", service=service)


def _line(row: Row, wrong: Scope, service: str) -> Line | Diagnostic:
    def mistake(text: str, way_out: str, name: str = "") -> Diagnostic:
        scope = Scope.FILE if wrong is Scope.PART and name in KEEP_OUT else wrong
        return Diagnostic(scope, row.place, text, way_out, attribute=name, service=service)

    if row.wrong:
        return mistake(f"{row.wrong}: {_quoted(row)}", "mend the line", row.words[0].lower() if row.words else "")
    name = row.words[0].lower()
    if "=" in name:
        bare, _, value = row.words[0].partition("=")
        bare, sign = (bare[:-1], bare[-1]) if bare[-1:] in ("+", "-") else (bare, "")
        text = f"Attribute {row.words[0]} needs a space before operator"
        value = " ".join((value, *row.words[1:])).strip() or "VALUE"
        return mistake(text, f"write {bare or 'NAME'} {sign}= {value}", bare.lower())
    if len(row.words) == 1:
        return mistake(f"Nothing after attribute: {name}", f"write {name} = VALUE", name)
    for operator in OPERATORS:
        if row.words[1].startswith(operator):
            first = row.words[1][len(operator) :]
            return Line(row.place, name, operator, (first, *row.words[2:]) if first else row.words[2:])
    return mistake(f"Bad operator for attribute: {name}: {row.words[1]}", "write =, += or -=", name)


def _operator_in(row: Row) -> bool:
    """Whether *row* looks like an attribute line."""
    return "=" in row.words[0] or (len(row.words) > 1 and row.words[1].startswith(OPERATORS))


def _is_open(row: Row) -> bool:
    return not row.wrong and row.words[0][0] == "{"


def _quoted(row: Row) -> str:
    text = " ".join(row.words)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
