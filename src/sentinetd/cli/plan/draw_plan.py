"""A plan as people read it: what is proposed and why, what is not, and what to think of first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from sentinetd.cli.plan.draw import sentences
from sentinetd.cli.plan.ground import Port
from sentinetd.cli.plan.propose import Kind, Plan, Proposal, Refusal
from sentinetd.model.diagnostic import printable

NAMED = 4
"""Addresses that the head of a proposal names."""


def proposals(plan: Plan) -> RenderableType:
    """Each sensor with its reasons and whoever says so, under the thought that it follows."""
    kinds = [(kind, [one for one in plan.proposals if one.kind is kind]) for kind in Kind]
    return Group(*(part for kind, some in kinds if some for part in _some(kind, some)))


def _some(kind: Kind, some: Iterable[Proposal]) -> Iterator[RenderableType]:
    yield Text(kind.value, "italic")
    grid = Grid(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    for one in some:
        number = "" if one.rest else str(one.port)
        grid.add_row(Text("+", "bold red"), Text(printable(one.name), "bold"), Text(number, "bold"), _reasons(one))
    yield grid


def _reasons(one: Proposal) -> Text:
    text = Text("" if one.rest or not one.addresses else f"At {where(one)}. ")
    text.append(printable(" ".join(one.facts)))
    if one.cited:
        text.append(f" [{one.cited}]", "dim")
    if one.beware:
        text.append(" " if text else "").append("Beware: ", "bold").append(printable(one.beware))
    return text


def where(one: Proposal) -> str:
    """The addresses of a proposal in words."""
    named = [str(address) for address in one.addresses[:NAMED]]
    more = len(one.addresses) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def refusals(some: Iterable[Refusal]) -> RenderableType:
    """What is not proposed; ports with the same reason share a line."""
    by_reason: dict[str, list[str]] = {}
    for one in some:
        by_reason.setdefault(one.why, []).append(_label(one.port, one.name))
    return sentences(f"{', '.join(ports)}: {why}." for why, ports in by_reason.items())


def _label(port: Port, name: str) -> str:
    return f"{name} {port}"
