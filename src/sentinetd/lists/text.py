"""Bytes as they come, made lines, words or JSON values of a bounded size, each with the number of its line."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from sentinetd.lists.entry import Fault
from sentinetd.model.noun import dataclass

LONGEST_LINE = 8_192
"""Characters of a line; what is longer is a fault."""
LONGEST_VALUE = 16 << 20
"""Characters of one JSON value."""

Chunks = Iterable[bytes]


def decoded(chunks: Chunks) -> Iterator[str]:
    """The text of *chunks*; what is no UTF-8 becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for number, chunk in enumerate(chunks):
        text = decoder.decode(chunk)
        yield text if number else text.removeprefix("\ufeff")
    yield decoder.decode(b"", True)


def lines(chunks: Chunks) -> Iterator[tuple[int, str] | Fault]:
    """Each line that is not empty, and its number. One that is too long is a fault, and passed over."""
    number, rest, long = 1, "", False
    for text in decoded(chunks):
        pieces = (rest + text).split("\n")
        rest = pieces.pop()
        for piece in pieces:
            if long or len(piece) > LONGEST_LINE:
                yield Fault(number, f"a line of more than {LONGEST_LINE} characters")
            elif line := piece.strip():
                yield number, line
            number, long = number + 1, False
        if len(rest) > LONGEST_LINE:
            rest, long = "", True
    if long or len(rest) > LONGEST_LINE:
        yield Fault(number, f"a line of more than {LONGEST_LINE} characters")
    elif line := rest.strip():
        yield number, line


@dataclass(frozen=True, slots=True)
class Shape:
    """What text is made of whose lines may have any length: *word* matches each of its words; *quoted* those in quotes
    and, as its group, a quote that is not closed or the beginning of a comment, which ends with its line; outside of
    these, words end at *delimiters*."""

    word: re.Pattern[str]
    quoted: re.Pattern[str]
    delimiters: str

    def complete(self, text: str) -> int:
        """How much of the beginning of *text* ends with a whole word: none that goes on beyond it."""
        last, opening = text.rfind("\n") + 1, len(text)
        for quoted in self.quoted.finditer(text, last):
            if quoted[1] is not None:
                opening = quoted.start()  # quotes after it may be part of what it opens
                break
            last = quoted.end()
        return max(last, *(text.rfind(delimiter, last, opening) + 1 for delimiter in self.delimiters))


def words(chunks: Chunks, shape: Shape) -> Iterator[tuple[int, str] | Fault]:
    """Each word of text of that *shape*, and the number of its line. One that is too long is a fault."""
    number, rest, long = 1, "", False
    for text in decoded(chunks):
        buffer = rest + text
        if long:  # nothing of that line is to be taken for something else
            _, newline, buffer = buffer.partition("\n")
            if not newline:
                continue
            number, long = number + 1, False
        end = shape.complete(buffer)
        complete, rest = buffer[:end], buffer[end:]
        yield from _matches(complete, number, shape.word)
        number += complete.count("\n")
        if len(rest) > LONGEST_LINE:
            yield Fault(number, f"a word of more than {LONGEST_LINE} characters")
            rest, long = "", True
    yield from _matches(rest, number, shape.word)


def _matches(text: str, number: int, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    at = 0
    for match in pattern.finditer(text):
        number += text.count("\n", at, match.start())
        at = match.start()
        yield number, match[0]


def values(chunks: Chunks) -> Iterator[tuple[int, Any] | Fault]:
    """The JSON values of *chunks*, which are a list of them, or one after the other, as on lines of their own."""
    scanner = _Values(decoded(chunks))
    while (item := scanner.next()) is not None:
        yield item
        if isinstance(item, Fault):
            return  # where the next value would begin is not known


class _Values:
    """Reads value by value from a buffer that holds a little more than one."""

    _GAP = re.compile(r"[\s,]*")
    _OF_NUMBER = re.compile(r"[-+.0-9eE]*")

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self._buffer = ""
        self._number = 1
        self._listed: bool | None = None  # whether all are elements of one list
        self._decoder = json.JSONDecoder()

    def next(self) -> tuple[int, Any] | Fault | None:
        """The next value; None at the end."""
        self._skip()
        if self._listed is None:
            self._listed = self._buffer.startswith("[")
            if self._listed:
                self._buffer = self._buffer[1:]
                self._skip()
        if not self._buffer or (self._listed and self._buffer.startswith("]")):
            return (
                Fault(self._number, "the list is not closed: cut off?") if self._listed and not self._buffer else None
            )
        enough = len(self._buffer)
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer)
            except (ValueError, RecursionError) as error:
                if len(self._buffer) > LONGEST_VALUE or not self._more(enough):
                    return Fault(self._number, f"no JSON from here on: {getattr(error, 'msg', 'nested too deeply')}")
                enough *= 2  # so that a long value is not begun from its beginning with each chunk
                continue
            if isinstance(value, int | float) and self._OF_NUMBER.fullmatch(self._buffer, end) and self._more(enough):
                continue  # a number may go on in the next piece
            number = self._number
            self._number += self._buffer.count("\n", 0, end)
            self._buffer = self._buffer[end:]
            return number, value

    def _more(self, least: int) -> bool:
        """Read *least* further characters, or what there is; whether there was anything."""
        parts, size = [self._buffer], 0
        for text in self._texts:
            parts.append(text)
            size += len(text)
            if size >= least:
                break
        self._buffer = "".join(parts)
        return size > 0

    def _skip(self) -> None:
        """Go to the beginning of the next value, or to the end."""
        while True:
            gap = self._GAP.match(self._buffer)
            end = gap.end() if gap else 0
            self._number += self._buffer.count("\n", 0, end)
            self._buffer = self._buffer[end:]
            if self._buffer or not self._more(1):
                return
