"""Diagnostics on standard error: a table on a terminal, a line each for whatever else reads them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sentinetd.model.diagnostic import Diagnostic, Level, printable

COLOURS = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTICE: "dim"}


def tell(told: Sequence[Diagnostic]) -> None:
    """Print all of *told*."""
    if not told:
        return
    if sys.stderr.isatty():
        _draw(told)
        return
    for one in told:
        print(f"{one.level.value}: {one}", file=sys.stderr)


def _draw(told: Sequence[Diagnostic]) -> None:
    from rich.console import Console  # it takes as long to load as all the rest
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "where", "attribute", "what", "way out"):
        table.add_column(title, overflow="fold")
    for one in told:
        words = (str(one.place), one.attribute, one.text, one.way_out)
        table.add_row(Text(one.level.value, COLOURS[one.level]), *(Text(printable(word)) for word in words))
    Console(stderr=True).print(table)
