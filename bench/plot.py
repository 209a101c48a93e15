"""Draws the curves of curves.py: what a connection costs, against what there is much of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

COLOURS = {"sentinetd": "#0b6e99", "xinetd": "#c4511d", "openbsd-inetd": "#7a7a7a"}
"""Apart for those, too, who see no difference between red and green."""
MARKS = {"sentinetd": "o", "xinetd": "s", "openbsd-inetd": "^"}
ROWS = {"served": "a connection served", "refused": "a connection refused"}
SHOWN_AS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sentinetd",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
HEADROOM = 1.6
"""The ends of an axis, to the points that are next to them."""


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a report of curves.py, as SVG."""
    curves = report["curves"]
    with mpl.rc_context(SHOWN_AS):
        figure = Figure(figsize=(2.75 * len(curves) + 0.4, 5.2), layout="constrained")
        grid = figure.subplots(len(ROWS), len(curves), squeeze=False, sharey="row", sharex="col")
        for row, (workload, text) in enumerate(ROWS.items()):
            drawn = []
            for axes, name in zip(grid[row], curves, strict=True):
                for who, points in curves[name].get(workload, {}).items():
                    drawn += _line(axes, who, points)
                _furnish(axes)
            if drawn:
                grid[row][0].set_ylim(min(drawn) / HEADROOM, max(drawn) * HEADROOM)
            grid[row][0].set_ylabel(f"CPU of {text}, µs")
        for axes, name in zip(grid[-1], curves, strict=True):
            axes.set_xlabel(report["titles"][name])
        handles = {line.get_label(): line for axes in grid.flat for line in axes.get_lines()}
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _line(axes: Axes, who: str, points: Mapping[str, Mapping[str, float]]) -> list[float]:
    """One contender: medians, which it gives, with the least and the greatest behind them."""
    sizes = sorted(map(int, points))
    low, middle, high = ([points[str(size)][which] * 1e6 for size in sizes] for which in ("low", "median", "high"))
    axes.fill_between(sizes, low, high, color=COLOURS[who], alpha=0.15, linewidth=0)
    axes.plot(sizes, middle, color=COLOURS[who], marker=MARKS[who], markersize=4, linewidth=1.6, label=who)
    return middle


def _furnish(axes: Axes) -> None:
    """Both axes are logarithmic: what grows does so by powers of ten, and who is flat is flat."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, numticks=8))
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_short))
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _short(value: float, _position: int | None = None) -> str:
    """1, 10, 1k, 1M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
