"""The table as people read it: in the article's shape where it fits, turned on its side where it does not."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from sentinetd.cli.plan.ground import Port
from sentinetd.cli.plan.table import Cell, State, Table
from sentinetd.model.address import Address
from sentinetd.model.diagnostic import printable
from sentinetd.model.noun import dataclass

STYLES = {State.USED: "bold", State.SENSOR: "bold red", State.SERVICE: "bold green", State.FREE: "dim"}
MANY = 8
"""Addresses that are shown one by one; of more, those that look alike share a row."""
RUNS = 4
"""Runs of addresses that a shared row names."""
NARROWEST = 4
"""Columns of a terminal that a column of the table takes at least."""
WIDE = 100_000

Name = Callable[[Port], str]
Row = tuple[tuple[Address, ...], tuple[Cell, ...]]
"""Addresses that look alike, and their cells."""


@dataclass(frozen=True, slots=True)
class How:
    """How cells are drawn: what ports are called, which entries are only planned (None: none are, and every cell says
    whose it is), the mark of a free one."""

    name: Name
    planned: AbstractSet[str] | None
    free: str


def paper() -> Console:
    """Standard output, for drawing on. What its encoding does not have is escaped, never an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return Console(highlight=False, emoji=False, markup=False)


def _free(console: Console) -> str:
    """The mark of a free cell: a dot in the middle where there is one."""
    return "." if console.options.ascii_only else "\u00b7"


def drawn(table: Table, name: Name, console: Console, planned: AbstractSet[str] | None = None) -> RenderableType:
    """*table* for *console*; *name* gives a port's name, or nothing.

    *planned*: ids of entries that are not there yet; if given, cells have no more than the article's words, and those
    of planned entries a plus sign.

    Addresses stand at the left and ports above, as in the article; if that is too wide, ports at the left; if that is
    too wide as well, the ports are dealt out to several tables.
    """
    how = How(name, planned, _free(console))
    single: list[Row] = [((address,), table.row(address)) for address in table.rows]
    together = _alike(single)
    forms = (single, together) if len(single) <= MANY else (together,)
    for shape, breadth in ((_upright, len(table.columns)), (_turned, 0)):
        for rows in forms:
            if NARROWEST * (breadth or len(rows)) <= console.width:
                whole = shape(rows, table.columns, how)
                if _width(whole, console) <= console.width:
                    return whole
    return Group(*_dealt(together, table.columns, how, console))


def legend(table: Table, console: Console, planned: bool = False) -> Text:
    """What the words of *table* mean, for those that are in it; *planned*: and the plus sign."""
    there = {cell.state for cell in table.cells.values()}
    words = {
        State.USED: ("USED", " by a program"),
        State.SENSOR: ("SENSOR", " a decoy"),
        State.SERVICE: ("SERVICE", " by sentinetd"),
        State.FREE: (_free(console), " free"),
    }
    text = Text()
    for state, (word, meaning) in words.items():
        if state in there:
            text.append("   " if text else "").append(word, STYLES[state]).append(meaning, "dim")
    return text.append("   +", "bold").append(" planned", "dim") if planned else text


def sentences(said: Iterable[str]) -> RenderableType:
    """Remarks below one another."""
    grid = Grid(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    for one in said:
        grid.add_row(Text("-", "dim"), Text(printable(one)))
    return grid


def _width(grid: Grid, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=WIDE), grid).maximum


def _grid() -> Grid:
    return Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="", padding=(0, 1, 0, 0))


def _upright(rows: Iterable[Row], ports: Sequence[Port], how: How) -> Grid:
    """Addresses at the left, ports above, as the article has it."""
    grid = _grid()
    grid.add_column(Text("address", "dim"), no_wrap=True)
    for port in ports:
        grid.add_column(_head(port, how.name, "\n"), no_wrap=True)
    for addresses, cells in rows:
        grid.add_row(_addresses(addresses), *(_cell(cell, "\n", how) for cell in cells))
    return grid


def _turned(rows: Sequence[Row], ports: Sequence[Port], how: How) -> Grid:
    """Ports at the left, addresses above."""
    grid = _grid()
    grid.add_column(Text("port", "dim"), no_wrap=True, justify="right")
    grid.add_column("", no_wrap=True)
    for addresses, _ in rows:
        grid.add_column(_addresses(addresses), no_wrap=True)
    for number, port in enumerate(ports):
        cells = (_cell(cells[number], " ", how) for _, cells in rows)
        grid.add_row(Text(str(port), "bold"), printable(how.name(port)), *cells)
    return grid


def _dealt(rows: Sequence[Row], ports: Sequence[Port], how: How, console: Console) -> Iterable[RenderableType]:
    """As many upright tables as it takes, each as wide as fits; one column at least."""

    def part(first: int, last: int) -> Grid:
        return _upright([(addresses, cells[first:last]) for addresses, cells in rows], ports[first:last], how)

    stem = _width(part(0, 0), console)
    widths = [_width(part(number, number + 1), console) - stem for number in range(len(ports))]
    begin = 0
    while begin < len(ports):
        end, width = begin + 1, stem + widths[begin]
        while end < len(ports) and width + widths[end] <= console.width:
            width += widths[end]
            end += 1
        if begin:
            yield ""
        yield part(begin, end)
        begin = end


def _head(port: Port, name: Name, between: str) -> Text:
    return Text.assemble((f"{printable(name(port))}{between}", "bold"), (str(port), "dim"))


def _cell(cell: Cell, between: str, how: How) -> Text:
    if cell.state is State.FREE:
        return Text(how.free, STYLES[State.FREE])
    word = (cell.state.value.upper(), STYLES[cell.state])
    if how.planned is not None:
        return Text.assemble(word) if how.planned.isdisjoint(cell.services) else Text.assemble(("+", "bold"), word)
    text = Text.assemble(word)
    said = who(cell)
    if said:
        text.append(between).append(printable(said), "" if cell.open else "dim")
    if cell.clash:
        text.append(between).append(printable(f"not {', '.join(cell.services)}"), "red")
    return text


def who(cell: Cell) -> str:
    """Whose a cell is."""
    programs = ", ".join(cell.programs) or "?"
    return programs if cell.state is State.USED else ", ".join(cell.services) or programs


def _alike(rows: Sequence[Row]) -> list[Row]:
    """*rows* with those of the same cells made one, in the order of their first addresses."""
    found: dict[tuple[tuple[object, ...], ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple((cell.state, who(cell), cell.services, cell.open) for cell in row[1]), []).append(row)
    return [(tuple(address for one in same for address in one[0]), same[0][1]) for same in found.values()]


def _addresses(addresses: Sequence[Address]) -> Text:
    runs = list(_runs(addresses))
    said = [f"{first} - {last}" if first != last else str(first) for first, last in runs[:RUNS]]
    if len(runs) > RUNS:
        said[-1] = f"and {sum(last.value - first.value + 1 for first, last in runs[RUNS - 1 :])} more"
    return Text("\n".join(said), "bold")


def _runs(addresses: Sequence[Address]) -> Iterable[tuple[Address, Address]]:
    """First and last of each run of three or more that follow one another; others by themselves."""
    begin = 0
    while begin < len(addresses):
        end = begin
        while end + 1 < len(addresses) and _follows(addresses[end], addresses[end + 1]):
            end += 1
        if end - begin >= 2:
            yield addresses[begin], addresses[end]
            begin = end + 1
        else:
            yield addresses[begin], addresses[begin]
            begin += 1


def _follows(one: Address, other: Address) -> bool:
    return (one.version, one.scope, one.value + 1) == (other.version, other.scope, other.value)
