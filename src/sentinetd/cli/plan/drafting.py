"""A whole plan: from what is there to the entries, and to the table that they would make."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sentinetd import __version__
from sentinetd.cli.plan.entries import Planned, entries, file_text
from sentinetd.cli.plan.propose import Plan, Wish, candidates, propose
from sentinetd.cli.plan.result import Place, imagine, mistakes
from sentinetd.cli.plan.survey import Survey
from sentinetd.cli.plan.table import Table, columns, draw_up
from sentinetd.cli.plan.targets import targets
from sentinetd.config.load import Loaded
from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Drafted:
    """The tables before and after, the entries between them; *result*: the configuration as it would be."""

    survey: Survey
    plan: Plan
    planned: tuple[Planned, ...]
    text: str
    where: Place
    before: Table
    after: Table
    result: Loaded


def draft_plan(
    found: Survey, shown: Sequence[Address], wish: Wish, deny_time: str, where: Place, settings: str | None
) -> tuple[Drafted, list[str]]:
    """A plan for the addresses *shown*, and what is wrong with it, as sentences."""
    used = columns(found.ground, found.services, shown)
    known = targets()
    wide = draw_up(found.ground, found.services, shown, candidates(used, wish, known))
    plan = propose(wide, found.ground, found.services, wish, known, found.name)
    planned = tuple(entries(plan.proposals, deny_time, {one.id.lower() for one in found.services}))
    day = time.strftime("%Y-%m-%d")
    made = f"Planned by sentinetctl plan, sentinetd {__version__}, {day}. To undo it, delete this file."
    text = file_text(planned, made)
    after = imagine(found, where, text, settings)
    ports = tuple(sorted({*used, *(one.port for one in plan.proposals if not one.rest)}))
    drafted = Drafted(
        found, plan, planned, text, where,
        draw_up(found.ground, found.services, shown, ports), draw_up(found.ground, after.services, shown, ports), after,
    )  # fmt: skip
    return drafted, list(mistakes(found, after, planned))
