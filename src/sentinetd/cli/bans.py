"""Who is banned: `sentinetctl bans`."""

from __future__ import annotations

import csv
import sys
import time
from typing import Any

import click

from sentinetd.cli.exits import DONE
from sentinetd.cli.reach import daemon, daemon_options, json_option
from sentinetd.cli.show import BAD, FAINT, STRONG, Cell, Column, ago, ahead, as_json, number, on_terminal, table
from sentinetd.control.client import Client

PAGE = 1_000
"""Bans asked for at once."""
SORTS = ("last", "since", "until", "trips", "network", "sensor")
FIELDS = ("network", "sensor", "origin", "since", "last", "until", "trips", "offences", "who", "note")


@click.command()
@click.argument("network", required=False, metavar="[NETWORK]")
@click.option("--address", metavar="ADDRESS", help="Only bans that cover ADDRESS.")
@click.option("--sensor", metavar="SERVICE", help="Only bans imposed by this sensor.")
@click.option("--origin", type=click.Choice(["sensor", "operator", "fleet", "feed"]), help="Only bans of this origin.")
@click.option("--ended", is_flag=True, help="Also bans that ended within the last day.")
@click.option("--sort", type=click.Choice(SORTS), default="last", show_default=True, help="What to sort by.")
@click.option("--ascending", is_flag=True, help="The smallest, or oldest, first.")
@click.option("-n", "--limit", type=click.IntRange(1), help="At most so many. Default: 20 on a terminal, else all.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with times in seconds since 1970.")
@json_option
@daemon_options
def bans(socket: str | None, config: str, limit: int | None, as_csv: bool, **given: Any) -> int:
    """Who is banned, by which sensor and until when. With NETWORK, only it and what lies in it."""
    query = {name: given[name] for name in ("network", "address", "sensor", "origin", "ended", "sort", "ascending")}
    wanted_all = as_csv or given["as_json"] or not on_terminal()
    with daemon(socket, config) as client:
        answer = fetch(client, query, limit if limit is not None else None if wanted_all else 20)
    if given["as_json"]:
        as_json(answer)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([_csv_word(one[name]) for name in FIELDS] for one in answer["bans"])
    else:
        show_bans(answer["bans"], time.time())
        more = answer["total"] - len(answer["bans"])
        if more and on_terminal():
            click.echo(f"... and {number(more)} more; see them with -n {answer['total']}")
    return DONE


def fetch(client: Client, query: dict[str, Any], most: int | None) -> dict[str, Any]:
    """Up to *most* bans, page by page; None: all."""
    got: list[dict[str, Any]] = []
    while True:
        size = PAGE if most is None else min(PAGE, most - len(got))
        page = client.get("/v1/bans", {**query, "limit": size, "offset": len(got)})
        got += page["bans"]
        if len(page["bans"]) < size or len(got) == most:
            return {"total": page["total"], "bans": got}


def show_bans(rows: list[dict[str, Any]], now: float) -> None:
    """The table for a person."""
    columns = [
        Column("NETWORK"), Column("BY"), Column("ORIGIN", wide=90), Column("TRIPS", right=True),
        Column("FIRST", wide=110), Column("LAST"), Column("ENDS"), Column("NOTE", wide=100, folds=True),
    ]  # fmt: skip
    table(
        columns,
        [
            [
                Cell(one["network"], STRONG),
                one["sensor"] or one["who"] or one["origin"],
                Cell(one["origin"], FAINT),
                Cell(number(one["trips"]), BAD if one["trips"] > 1 else ""),
                Cell(ago(one["since"], now), FAINT),
                ago(one["last"], now),
                ahead(one["until"], now),
                Cell(one["note"], FAINT),
            ]
            for one in rows
        ],
        "Nobody is banned.",
    )


def _csv_word(value: Any) -> Any:
    """None is for ever; a text that a spreadsheet would take for a formula is quoted for it."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
