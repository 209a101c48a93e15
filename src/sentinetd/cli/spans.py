"""Spans of time as people write them: 90, 15m, 2h30m, 7d, forever."""

from __future__ import annotations

import re
from typing import Any

import click

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
FOREVER = "forever"
MOST = 100 * 365 * 86_400
_SPAN = re.compile(r"(?:\d+(?:min|[smhdw]))+|\d+")
_PART = re.compile(r"(\d+)(min|[smhdw]|$)")


def seconds_of(text: str) -> float | None:
    """What *text* says, in seconds; None for `forever`. ValueError if it is no span."""
    lowered = text.strip().lower()
    if lowered == FOREVER:
        return None
    if not _SPAN.fullmatch(lowered):
        raise ValueError(text)
    total = sum(int(count) * UNITS[unit or "s"] for count, unit in _PART.findall(lowered))
    if not 1 <= total <= MOST:
        raise ValueError(text)
    return float(total)


class Span(click.ParamType["Written"]):
    """An option's value that is a span."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Written:
        if isinstance(value, Written):
            return value
        try:
            return Written(seconds_of(value))
        except ValueError:
            self.fail(f"{value!r} is no span; write 90s, 15m, 2h30m, 7d or forever", param, ctx)


class Written:
    """A span that was written; *seconds* None: for ever."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
