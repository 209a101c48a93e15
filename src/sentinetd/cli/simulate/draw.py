"""What a simulation found, as people read it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from sentinetd.cli.plan.draw import sentences
from sentinetd.cli.simulate.record import Reading
from sentinetd.cli.simulate.replay import Outcome, Story
from sentinetd.model.diagnostic import printable

YEAR, DAY = "%Y-%m-%d %H:%M", "%m-%d %H:%M"
Column = tuple[str, bool, Callable[[Story, str], str]]
"""Head, whether numbers stand in it, and the text for a source, given how times are written."""


def told(outcome: Outcome, reading: Reading, sensors: int, most: int) -> RenderableType:
    """Everything; at most *most* sources in each list."""
    form = DAY if clock(outcome.began, "%Y") == clock(outcome.ended, "%Y") else YEAR
    parts: list[RenderableType] = [sentences(_input(outcome, reading, sensors))]
    for title, style, stories, columns in (
        ("Would have been banned", "bold red", outcome.banned, BANNED),
        ("Look at these first: they touched a sensor, and look honest", "bold yellow", outcome.honest, HONEST),
        ("Touched a sensor, and would not have been banned", "bold", outcome.touched, SPARED),
    ):
        if stories:
            head = Text(f"{title}: {count(len(stories), 'source')}", style)
            parts += ["", head, _list(stories[:most], columns, form)]
            if len(stories) > most:
                parts.append(Text(f"and {len(stories) - most:,} more: --most {len(stories)}, or --json", "dim"))
    if not outcome.banned:
        parts += ["", "Nobody would have been banned."]
    return Group(*parts)


def _input(outcome: Outcome, reading: Reading, sensors: int) -> Iterator[str]:
    read = count(reading.lines, "line")
    if outcome.records:
        began, ended = clock(outcome.began), clock(outcome.ended)
        yield f"{read} read, in which {count(outcome.records, 'connection')} from {began} to {ended}."
    else:
        yield f"{read} read, in which nobody came to anything."
    if reading.unread:
        examples = "; ".join(f"line {line}: {why}" for line, why in reading.examples[:3])
        yield f"{count(reading.unread, 'line')} could not be read: {examples}{'; ...' if reading.unread > 3 else ''}."
    touched = sorted(outcome.by_sensor.items(), key=lambda row: (-row[1], row[0]))
    some = ", ".join(f"{name} {count(number, 'time')}" for name, number in touched[:4])
    yield f"{count(sensors, 'sensor')}, touched: {some or 'none'}{' ...' if len(touched) > 4 else ''}."
    lost = sum(one.lost for one in outcome.stories.values())
    if lost:
        yield f"Of those that were served, {count(lost, 'connection')} would have been refused."
    if outcome.untold:
        yield f"{count(outcome.untold, 'connection')} of further sources are played, and not told one by one."
    if outcome.evicted:
        yield f"{count(outcome.evicted, 'ban')} went before their time, since there were more than are kept at once."


def _list(stories: Sequence[Story], columns: Iterable[Column], form: str) -> Grid:
    columns = tuple(columns)
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for head, number, _ in columns:
        grid.add_column(head, justify="right" if number else "left", overflow="fold")
    for story in stories:
        grid.add_row(*(Text(printable(text(story, form))) for _, _, text in columns))
    return grid


def clock(at: float, form: str = YEAR) -> str:
    """Unix time *at* as local time; of what never ends, or never was, nothing."""
    return time.strftime(form, time.localtime(at)) if math.isfinite(at) else ""


def count(number: int, noun: str) -> str:
    """So many of it."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


BANNED: tuple[Column, ...] = (
    ("source", False, lambda one, form: str(one.source)),
    ("first touch", False, lambda one, form: clock(one.first, form)),
    ("sensor", False, lambda one, form: one.sensor),
    ("touches", True, lambda one, form: _number(one.touches)),
    ("banned until", False, lambda one, form: "lifted" if math.isinf(one.until) else clock(one.until, form)),
    ("bans", True, lambda one, form: _number(one.bans)),
    ("refused", True, lambda one, form: _number(one.refused)),
)
HONEST: tuple[Column, ...] = (
    ("source", False, lambda one, form: str(one.source)),
    ("served", True, lambda one, form: _number(one.served)),
    ("lost", True, lambda one, form: _number(one.lost)),
    ("lost at", False, lambda one, form: one.lost_at),
    ("first touch", False, lambda one, form: clock(one.first, form)),
    ("sensor", False, lambda one, form: one.sensor),
    ("not banned", False, lambda one, form: "" if one.banned else one.spared),
)
SPARED: tuple[Column, ...] = (
    ("source", False, lambda one, form: str(one.source)),
    ("first touch", False, lambda one, form: clock(one.first, form)),
    ("sensor", False, lambda one, form: one.sensor),
    ("touches", True, lambda one, form: _number(one.touches)),
    ("why", False, lambda one, form: one.spared),
)
