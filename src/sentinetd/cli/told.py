"""Diagnostics on standard error: a table in colour on a terminal, a line each for whatever else reads them."""

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

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for one in told:
        what = Text()
        if one.attribute:
            what.append(f"{printable(one.attribute)}: ", "bold")
        what.append(printable(one.text))
        if one.way_out:
            what.append(f"\n{printable(one.way_out)}", "dim")
        table.add_row(Text(one.level.value, COLOURS[one.level]), Text(printable(str(one.place))), what)
    Console(stderr=True).print(table)
