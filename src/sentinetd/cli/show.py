"""How the tools print: tables in colour on a terminal, plain columns for whatever else reads them, JSON when asked.

Whatever a stranger could have chosen the bytes of is made printable first.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from sentinetd.model.diagnostic import printable
from sentinetd.model.noun import dataclass

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Drawn

MINUTE, HOUR, DAY = 60, 3_600, 86_400
GOOD, BAD, NOTED, FAINT, STRONG = "green", "red", "yellow", "dim", "bold"
"""What colours mean; all of them are among the eight of any terminal, readable on light and dark."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text, and how it looks where there are colours."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its *title*. *right*: numbers. *wide*: left out of a terminal narrower than that. *folds*: may take
    several lines."""

    title: str
    right: bool = False
    wide: int = 0
    folds: bool = False


def on_terminal() -> bool:
    """Whether somebody looks at standard output."""
    return sys.stdout.isatty()


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]], nothing: str) -> None:
    """Print *rows*; *nothing* says that there are none."""
    cells = [[one if isinstance(one, Cell) else Cell(one) for one in row] for row in rows]
    if not cells:
        if on_terminal():
            click.echo(nothing)
        return
    if on_terminal():
        console = make_console()
        console.print(drawn(columns, cells, console.width))
    else:
        plain(columns, cells)


def plain(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """Columns by spaces: for grep, awk, and files."""
    texts = [[column.title for column in columns], *([printable(one.text) or "-" for one in row] for row in rows)]
    widths = [max(len(text[at]) for text in texts) for at in range(len(columns))]
    for text in texts:
        cells = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(text, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def drawn(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> Drawn:
    """The table for a terminal of *width* columns."""
    from rich.table import Table as Drawn
    from rich.text import Text

    shown = [at for at, column in enumerate(columns) if column.wide <= width]
    made = Drawn(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", expand=False)
    for at in shown:
        column = columns[at]
        made.add_column(
            column.title, justify="right" if column.right else "left", no_wrap=not column.folds,
            overflow="fold" if column.folds else "ellipsis",
        )  # fmt: skip
    for row in rows:
        made.add_row(*(Text(printable(row[at].text), row[at].style) for at in shown))
    return made


def make_console() -> Console:
    """The terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False, no_color=bool(os.environ.get("NO_COLOR")) or None)


def lines(told: Iterable[Sequence[Cell | str]]) -> None:
    """Print lines made of pieces, in colour on a terminal."""
    for line in told:
        cells = [one if isinstance(one, Cell) else Cell(one) for one in line]
        click.echo("".join(_styled(one) for one in cells))


def _styled(cell: Cell) -> str:
    text = printable(cell.text)
    if not cell.style or not on_terminal() or os.environ.get("NO_COLOR"):
        return text
    words = cell.style.split()
    colour = next((word for word in words if word in (GOOD, BAD, NOTED)), None)
    return click.style(text, fg=colour, bold="bold" in words or None, dim="dim" in words or None)


def as_json(value: Any) -> None:
    """Print *value*, for a person if one looks."""
    click.echo(json.dumps(value, indent=2 if on_terminal() else None, ensure_ascii=True))


def span(seconds: float) -> str:
    """*seconds* in one or two units: 12 s, 5 min, 3 h 20 min, 6 d 4 h."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        hours, minutes = divmod(whole // MINUTE, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(whole // HOUR, 24)
    return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"


def ago(at: float, now: float) -> str:
    """How long *at* is past."""
    return f"{span(now - at)} ago" if now - at >= 1 else "now"


def ahead(until: float | None, now: float) -> str:
    """How long it is to *until*; None: it never comes."""
    if until is None:
        return "never"
    if until <= now:
        return "ended"
    left = until - now
    return f"in {span(left if left < MINUTE else math.ceil(left / MINUTE) * MINUTE)}"


def clock(at: float) -> str:
    """A Unix time in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def number(count: int) -> str:
    """*count* with its thousands apart, for a person."""
    return f"{count:,}" if on_terminal() else str(count)


def plural(count: int, noun: str) -> str:
    return f"{number(count)} {noun}" + ("" if count == 1 else "s")
