"""An operator's mistake: where it is, what is wrong, a way out, and how far it reaches."""

from __future__ import annotations

from enum import Enum

from sentinetd.model.noun import dataclass
from sentinetd.model.values import Place


class Scope(Enum):
    """How far a mistake reaches."""

    FILE = "file"
    """The configuration as a whole cannot be trusted: a start ends, a reload changes nothing."""
    PART = "part"
    """A part of it was not read, a file that another one includes, or an entry of which nobody can tell where it ends:
    a start goes on without it, as xinetd's does; a reload, which would end the services in it, changes nothing."""
    ENTRY = "entry"
    """One service is left out; on reload its running version stays."""
    LINE = "line"
    """Told; what the line leaves standing is used."""


class Level(Enum):
    """ERROR: something written does not happen. WARNING: it may not mean what was meant. NOTICE: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake. *text* names the value and what is wrong; *way_out* what to write or do instead.

    *attribute* and *service* (an id) are empty where the mistake belongs to none.
    """

    scope: Scope
    place: Place
    text: str
    way_out: str = ""
    attribute: str = ""
    service: str = ""
    level: Level = Level.ERROR

    def __str__(self) -> str:
        """One line: ``main.conf:12: only_from: what is wrong; the way out``. What cannot be printed is escaped."""
        subject = f"{self.attribute}: " if self.attribute else ""
        way_out = f"; {self.way_out}" if self.way_out else ""
        return printable(f"{self.place}: {subject}{self.text}{way_out}")


def printable(text: str) -> str:
    r"""*text* with everything that a terminal or a log line might obey written as ``\xNN`` or ``\uNNNN``.

    Bytes that were no UTF-8 (kept as lone surrogates) come out as the ``\xNN`` they were.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    number = ord(one)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    return one.encode("unicode_escape").decode("ascii")
