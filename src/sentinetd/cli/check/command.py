"""The command `sentinetctl check`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import click

from sentinetd.cli.check.departures import departures
from sentinetd.cli.check.held import held
from sentinetd.cli.exits import DONE, NOT_DONE, PARTLY
from sentinetd.cli.plan.ground import look
from sentinetd.cli.show import BAD, FAINT, GOOD, NOTED, STRONG, Cell, lines, plural
from sentinetd.config.directories import DEFAULT_CONFIG
from sentinetd.config.host import Host
from sentinetd.config.load import load
from sentinetd.errors import EdgeError
from sentinetd.model.diagnostic import Diagnostic, Level

MARKS = {Level.ERROR: Cell("✗ ", BAD), Level.WARNING: Cell("! ", NOTED), Level.NOTICE: Cell("· ", FAINT)}


@click.command()
@click.argument("file", default=DEFAULT_CONFIG, metavar="[FILE]")
@click.option("--settings", metavar="FILE", help="Our own settings; else sentinetd.toml beside the configuration.")
@click.option("--inetd", metavar="FILE", help="Read an inetd.conf too, as -inetd_compat does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: str, settings: str | None, inetd: str | None, as_json: bool) -> int:
    """What is wrong with the configuration FILE, with a way out for each mistake; nothing is started.

    Beside mistakes: where an entry means something else than it did in xinetd, and which services want an address that
    another program on this host has already. As root, programs of all users are named.

    Exit status: 0 all well, 1 something does not run as it is written, 2 FILE cannot be used at all.
    """
    loaded = load(os.path.abspath(file), Host(os.environ), settings=settings, inetd_conf=inetd)
    try:
        in_the_way = list(held(loaded.services, look()))
    except EdgeError as error:
        raise click.ClickException(f"who listens on this host cannot be told: {error}") from None
    differs = list(departures(loaded.services))
    if as_json:
        click.echo(json.dumps({
            "services": len(loaded.services),
            "mistakes": [_data(one) for one in loaded.diagnostics],
            "held": [_data(one) for one in in_the_way],
            "departures": [_data(one) for one in differs],
        }, indent=1))  # fmt: skip
    else:
        _section("Mistakes and remarks", loaded.diagnostics)
        _section("Addresses that another program holds", in_the_way)
        _section("Other than in xinetd", differs)
        errors = sum(one.level is Level.ERROR for one in (*loaded.diagnostics, *in_the_way))
        mark = Cell("✗ ", BAD) if errors else Cell("✓ ", GOOD)
        lines([[mark, f"{plural(len(loaded.services), 'service')} can be used, {plural(errors, 'error')}"]])
    if not loaded.startable:
        return NOT_DONE
    return PARTLY if any(one.level is Level.ERROR for one in (*loaded.diagnostics, *in_the_way)) else DONE


def _section(title: str, told: Sequence[Diagnostic]) -> None:
    """*told* under a *title*; what is said of many places is said once."""
    if not told:
        return
    lines([[Cell(title, STRONG)]])
    for text, some in _alike(told):
        places = ", ".join(dict.fromkeys(str(one.place) for one in some))
        first = some[0]
        subject = f"{first.attribute}: " if first.attribute else ""
        lines([[MARKS[first.level], Cell(f"{places}: ", FAINT), Cell(subject, STRONG), text]])
        if first.way_out:
            lines([["    ", Cell(first.way_out, FAINT)]])
    lines([[]])


def _alike(told: Iterable[Diagnostic]) -> Iterable[tuple[str, list[Diagnostic]]]:
    groups: dict[tuple[str, str, str], list[Diagnostic]] = {}
    for one in told:
        groups.setdefault((one.attribute, one.text, one.way_out), []).append(one)
    return [(text, some) for (_, text, _), some in groups.items()]


def _data(one: Diagnostic) -> dict[str, Any]:
    return {
        "level": one.level.value, "file": one.place.file, "line": one.place.line, "service": one.service,
        "attribute": one.attribute, "text": one.text, "way_out": one.way_out,
    }  # fmt: skip
