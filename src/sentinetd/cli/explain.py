"""Would an address be admitted, and why not: `sentinetctl explain`."""

from __future__ import annotations

import time
from typing import Any

import click

from sentinetd.cli.exits import DONE
from sentinetd.cli.reach import daemon, daemon_options, json_option
from sentinetd.cli.show import (
    BAD,
    FAINT,
    GOOD,
    NOTED,
    STRONG,
    Cell,
    Column,
    ago,
    ahead,
    as_json,
    clock,
    lines,
    plural,
    table,
)

REASONS = {
    "sensor": "it is a sensor: whoever comes is banned",
    "exempt": "it is a sensor; a touch is told, and bans nobody who is exempt",
    "banned": "banned",
    "connections-per-second": "the service takes no more connections at present",
    "connections-per-second-of-source": "this source begins too many connections",
    "load": "the machine's load is too high",
    "time": "not at this time of the day",
    "service-limit": "as many servers run as may",
    "per-source-limit": "as many servers run for this source as may",
    "process-limit": "as many servers run in all as may",
}
ASKED = {
    "name": "its host name would be looked up",
    "tables": "hosts.allow and hosts.deny would be asked",
    "user": "its ident server would be asked",
}


@click.command()
@click.argument("address", metavar="ADDRESS")
@json_option
@daemon_options
def explain(address: str, socket: str | None, config: str, **given: Any) -> int:
    """Would ADDRESS be admitted to each service, and by which line of which file not?

    Nothing is counted, no name is looked up; what would have to be asked first is said.
    """
    with daemon(socket, config) as client:
        answer = client.get("/v1/explain", {"address": address})
    if given["as_json"]:
        as_json(answer)
        return DONE
    now = time.time()
    lines(_standing(answer, now))
    columns = [Column("SERVICE"), Column("PORT", right=True), Column("ADMITTED"), Column("WHY", folds=True)]
    rows: list[list[Cell | str]] = [
        [Cell(one["service"], STRONG), str(one["port"] or ""), _admitted(one), _why(one)] for one in answer["services"]
    ]
    table(columns, rows, "No service is configured.")
    return DONE


def _standing(answer: dict[str, Any], now: float) -> list[list[Cell | str]]:
    stands = answer["standing"]
    told: list[list[Cell | str]] = []
    if stands["exempt"]:
        told.append([Cell(stands["address"], STRONG), " is ", Cell("exempt", GOOD), ": it is never refused as banned"])
    if stands["network"]:
        told.append([Cell(stands["address"], STRONG), " is ", Cell("banned", BAD), _ends(stands, now)])
    for one in answer["ban"]["bans"]:
        by = f"sensor {one['sensor']}" if one["sensor"] else ", ".join(filter(None, (one["origin"], one["who"])))
        trips = plural(one["trips"], "trip")
        told.append(
            [
                Cell(f"  {one['network']}", STRONG),
                f" by {by}, {trips}, first {ago(one['since'], now)}, last {ago(one['last'], now)}",
                Cell(f"  {one['note']}" if one["note"] else "", FAINT),
            ]
        )
    for one in answer["past"][:5]:
        end = f"{one['what']} {clock(one['at'])}"
        told.append([Cell(f"  before: {one['network']} from {clock(one['since'])}, {end}", FAINT)])
    if not told:
        told.append([Cell(stands["address"], STRONG), " is neither banned nor exempt"])
    return told


def _ends(stands: dict[str, Any], now: float) -> str:
    if stands["until"] is None:
        return f" with {stands['network']}, until lifted"
    return f" with {stands['network']}, ends {ahead(stands['until'], now)} ({clock(stands['until'])})"


def _admitted(one: dict[str, Any]) -> Cell:
    if not one["admitted"]:
        return Cell("no", BAD)
    return Cell("depends", NOTED) if one["asks"] else Cell("yes", GOOD)


def _why(one: dict[str, Any]) -> str:
    if one["admitted"]:
        return "; ".join(ASKED[word] for word in one["asks"].split())
    place = f", {one['file']}:{one['line']}" if one["file"] else ""
    if one["attribute"] in ("only_from", "no_access"):
        if one["attribute"] == "only_from" and not one["word"]:
            return f"not in only_from{place}"
        return f"{one['attribute']} {one['word']}".rstrip() + place
    told = REASONS.get(one["reason"], str(one["reason"]))
    return told + (place if one["attribute"] and one["reason"] != "sensor" else "")
