"""The full screen of a watcher, drawn line by line from what it knows; nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from sentinetd.cli.show import BAD, FAINT, GOOD, NOTED, STRONG, plural, span
from sentinetd.cli.watch.view import View
from sentinetd.cli.watch.words import Line
from sentinetd.model.diagnostic import printable

BARS = "▁▂▃▄▅▆▇█"
TOP_ROWS = 5
WIDE = 110
"""Columns from which the lists of the busiest stand beside the events."""
BESIDE = 42
"""Columns of those lists."""
TALL = 18
"""Lines from which a narrower screen has them below."""
TROUBLES = 3


def screen(view: View, width: int, height: int, now: float) -> Text:
    """All of it, in exactly *height* lines of *width* columns."""
    head = _head(view, width, now)
    room = max(1, height - len(head) - 1)
    if width >= WIDE:
        left = _events(view, width - BESIDE - 2, room)
        right = _beside(view, room)
        body = [_joined(one, other, width - BESIDE) for one, other in zip(left, right, strict=True)]
    else:
        below = _below(view, width) if room >= TALL else []
        body = _events(view, width, room - len(below)) + below
    lines = [*head, *body, _foot(view)][:height]
    return Text("\n", no_wrap=True).join(_fit(one, width) for one in lines)


def _head(view: View, width: int, now: float) -> list[Text]:
    rule = Text("─" * width, FAINT)
    if view.status is None:
        return [Text.assemble(("○ ", NOTED), printable(view.away or "asking the daemon ...")), rule]
    state, today, troubles = view.status["daemon"], view.status["today"], view.status["troubles"]
    first = Text.assemble(
        ("○ away", NOTED) if view.away else ("● live", GOOD),
        ("  sentinetd ", STRONG), state["version"], (f"  up {span(now - state['started'])}", FAINT),
        "   ", (f"{state['bans']:,}", f"bold {BAD}" if state["bans"] else STRONG), _noun(state["bans"], " ban"),
        "   ", (f"{state['servers']:,}", STRONG), _noun(state["servers"], " server"),
        "   ", (f"{state['services']:,}", STRONG), _noun(state["services"], " service"),
        (f", {plural(state['sensors'], 'sensor')}", FAINT),
    )  # fmt: skip
    second = Text.assemble(
        ("today ", FAINT), (f"{today['trips']:,}", STRONG), _noun(today["trips"], " trip"),
        "  ", (f"{today['bans']:,}", STRONG), _noun(today["bans"], " new ban"),
        "  ", (f"{today['refused']:,}", STRONG), _noun(today["refused"], " refusal"), "   ",
    )  # fmt: skip
    room = min(60, width - second.cell_len - len("trips  60 min "))
    if view.series is not None and room >= 10:
        second.append("trips ", FAINT)
        second.append(spark([0] * room + view.series["trips"], room), BAD)
        second.append(f" {room} min", FAINT)
    told = [first, second]
    if view.away:
        told.append(Text(printable(view.away), NOTED))
    for one in troubles[:TROUBLES]:
        what, text = printable(one["what"]), printable(f": {one['text']}")
        told.append(Text.assemble((" ! ", f"bold {NOTED}"), (what, STRONG), text))
    return [*told, rule]


def _events(view: View, width: int, rows: int) -> list[Text]:
    """The last events, the newest at the bottom, in exactly *rows* lines."""
    shown = list(view.lines)[-rows:]
    lines = [_event(one, 24 if width >= 100 else 18) for one in shown]
    if not lines:
        lines = [Text("Nothing has happened yet; `sentinetctl test-fire` makes something happen.", FAINT)]
    return lines + [Text("")] * (rows - len(lines))


def _event(one: Line, subject: int) -> Text:
    """*one*, its subject in *subject* columns, or more where it needs them."""
    return Text.assemble(
        (f"{one.clock:<8} ", FAINT), (f"{one.label:<6} ", one.style), (f"{printable(one.subject):<{subject}} ", STRONG),
        printable(one.text),
    )  # fmt: skip


def _below(view: View, width: int) -> list[Text]:
    """The lists of the busiest below the events, side by side."""
    half = width // 2
    sources = _ranking("sources", view.sources, TOP_ROWS)
    sensors = _ranking("sensors", view.sensors, TOP_ROWS)
    rows = [_joined(_fit(one, half - 2), other, half) for one, other in zip(sources, sensors, strict=True)]
    return [Text("─" * width, FAINT), *rows]


def _beside(view: View, rows: int) -> list[Text]:
    """The lists of the busiest beside the events, in exactly *rows* lines."""
    each = max(1, min(12, rows // 2 - 2))
    lists = [*_ranking("sources", view.sources, each), Text(""), *_ranking("sensors", view.sensors, each)]
    return (lists + [Text("")] * rows)[:rows]


def _ranking(title: str, ranked: Sequence[dict[str, Any]], rows: int) -> list[Text]:
    """A title and *rows* lines: a bar, the count, the name."""
    most = max((one["trips"] for one in ranked), default=1)
    bar = 8
    told = [Text.assemble(("busiest ", FAINT), (title, STRONG))]
    for one in ranked[:rows]:
        filled = max(1, round(bar * one["trips"] / most))
        told.append(
            Text.assemble(("▆" * filled, BAD), " " * (bar - filled), f" {one['trips']:>5,} ", printable(one["name"]))
        )
    return told + [Text("")] * (1 + rows - len(told))


def _foot(view: View) -> Text:
    held = f" ({len(view.held):,} wait)" if view.paused else ""
    return Text.assemble(
        (" q ", "reverse"), " end   ", (" p ", "reverse"), f" {'go on' if view.paused else 'pause'}{held}   ",
        (" r ", "reverse"), " every connection",
    )  # fmt: skip


def _noun(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def spark(numbers: Sequence[int], width: int) -> str:
    """The last *width* of *numbers* as bars, the highest as high as a line is."""
    shown = numbers[-width:]
    most = max(shown, default=0)
    top = len(BARS) - 1
    return "".join(BARS[-(-number * top // most) if most else 0] for number in shown)


def _joined(left: Text, right: Text, at: int) -> Text:
    """*left*, and *right* from column *at* on."""
    made = _fit(left, at - 2).copy()
    made.pad_right(at - made.cell_len)
    return made.append_text(right)


def _fit(text: Text, width: int) -> Text:
    text.no_wrap = True
    text.truncate(max(1, width), overflow="ellipsis")
    return text
