"""What runs: `sentinetctl status`, `services`, `servers`, `top`."""

from __future__ import annotations

import time
from typing import Any

import click

from sentinetd.cli.exits import DONE, PARTLY
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
    as_json,
    clock,
    lines,
    number,
    plural,
    span,
    table,
)

LABEL = 17
"""Columns of a label."""


@click.command()
@json_option
@daemon_options
def status(socket: str | None, config: str, **given: Any) -> int:
    """What runs and since when, what happened today, what is wrong.

    Exit status: 0 all is well, 1 something is wrong, 3 no daemon answers, 4 not permitted.
    """
    with daemon(socket, config) as client:
        answer = client.get("/v1/status")
    if given["as_json"]:
        as_json(answer)
    else:
        lines(status_lines(answer, time.time()))
    return PARTLY if answer["troubles"] else DONE


def status_lines(answer: dict[str, Any], now: float) -> list[list[Cell | str]]:
    """The answer for a person."""
    state, today, troubles = answer["daemon"], answer["today"], answer["troubles"]
    well = not troubles
    helpers = ", ".join(f"{one['name']} {one['pid']}" for one in state["helpers"])
    told: list[list[Cell | str]] = [
        [
            Cell("● ", GOOD if well else NOTED),
            Cell("sentinetd", STRONG),
            f" {state['version']} runs",
            Cell(f" since {clock(state['started'])} ({span(now - state['started'])})", FAINT),
        ],
        _line("configuration", state["configuration"]),
        _line("processes", f"guard {state['pid']}, {helpers}"),
        _line("servers by", state["spawner"]),
        _line("services", _services(state)),
        _line("servers", f"{number(state['servers'])} running"),
        _line("bans", f"{number(state['bans'])} in force"),
        *_others(state["enforcers"], answer["sinks"]),
        _line(
            "today",
            f"{plural(today['trips'], 'trip')}, {plural(today['bans'], 'new ban')}, "
            f"{plural(today['refused'], 'refusal')}",
            Cell(f" since {time.strftime('%H:%M', time.localtime(today['since']))}", FAINT),
        ),
    ]
    if troubles:
        told += [[], [Cell("Something is wrong:", "bold yellow")]]
        told += [
            ["  ", Cell(one["what"], STRONG), f": {one['text']}", Cell(f" ({ago(one['since'], now)})", FAINT)]
            for one in troubles
        ]
    return told


def _others(enforcers: list[dict[str, Any]], sinks: list[dict[str, Any]]) -> list[list[Cell | str]]:
    """Lines on who else refuses, and who is told; none where nobody is."""
    told = []
    if enforcers:
        names = ", ".join(one["name"] + ("" if one["ok"] else " (not every ban)") for one in enforcers)
        told.append(_line("also refused by", names))
    if sinks:
        failing = [one["name"] for one in sinks if one["failing"]]
        waiting = sum(one["waiting"] for one in sinks)
        rest = [f"{', '.join(failing)} failing" if failing else ""]
        rest += [f"{plural(waiting, 'event')} wait" if waiting else ""]
        told.append(_line("sinks", ", ".join(filter(None, (number(len(sinks)), *rest)))))
    return told


def _line(label: str, text: str, *more: Cell) -> list[Cell | str]:
    return [Cell(f"  {label:<{LABEL}}", FAINT), text, *more]


def _services(state: dict[str, Any]) -> str:
    parts = [number(state["services"]), f"of them {plural(state['sensors'], 'sensor')}" if state["sensors"] else ""]
    parts += [f"{state['unbound']} without a listener" if state["unbound"] else ""]
    parts += [f"{state['paused']} paused" if state["paused"] else ""]
    return ", ".join(part for part in parts if part)


CONDITIONS = {"open": GOOD, "waiting": GOOD, "paused": NOTED, "unbound": BAD}


@click.command()
@json_option
@daemon_options
def services(socket: str | None, config: str, **given: Any) -> int:
    """The running services, with their limits and what they have counted."""
    with daemon(socket, config) as client:
        answer = client.get("/v1/services")
    if given["as_json"]:
        as_json(answer)
        return DONE
    columns = [
        Column("SERVICE"), Column("ROLE"), Column("STATE"), Column("LISTENS"), Column("SERVERS", right=True),
        Column("SERVED", right=True), Column("REFUSED", right=True), Column("TRIPS", right=True),
        Column("LIMITS", wide=110), Column("WRITTEN AT", wide=140),
    ]  # fmt: skip
    rows: list[list[Cell | str]] = [
        [
            Cell(one["id"], STRONG),
            Cell(one["role"], NOTED if one["role"] == "sensor" else ""),
            Cell(one["condition"], CONDITIONS[one["condition"]]),
            _listens(one),
            _servers(one),
            number(one["served"]),
            number(one["refused"]),
            Cell(number(one["trips"]), BAD if one["trips"] else ""),
            Cell(_limits(one), FAINT),
            Cell(f"{one['file']}:{one['line']}" if one["file"] else "", FAINT),
        ]
        for one in sorted(answer["services"], key=lambda one: (one["port"], one["id"]))
    ]
    table(columns, rows, "No service is configured.")
    return DONE


def _listens(one: dict[str, Any]) -> str:
    ports = one["port"] or one["ports"]
    if not ports:
        return str(one["protocol"])
    address = one["address"] or "*"
    return f"{one['protocol']} {f'[{address}]' if ':' in address else address}:{ports}"


def _servers(one: dict[str, Any]) -> str:
    most = one["instances"]
    return number(one["servers"]) if most is None else f"{number(one['servers'])}/{number(most)}"


def _limits(one: dict[str, Any]) -> str:
    if one["role"] == "sensor":
        if one["deny_time"] is None:
            return "bans for ever"
        return f"bans for {span(one['deny_time'])}" if one["deny_time"] else "only tells"
    limits = [f"{one['cps_rate']}/s" if one["cps_rate"] else ""]
    limits += [f"{one['per_source']} a source" if one["per_source"] is not None else ""]
    limits += [f"load {one['max_load']:g}" if one["max_load"] is not None else ""]
    return ", ".join(limit for limit in limits if limit)


@click.command()
@json_option
@daemon_options
def servers(socket: str | None, config: str, **given: Any) -> int:
    """The running servers, and for whom they run."""
    with daemon(socket, config) as client:
        answer = client.get("/v1/servers")
    if given["as_json"]:
        as_json(answer)
        return DONE
    now = time.time()
    columns = [
        Column("SERVICE"), Column("PID", right=True), Column("SOURCE"), Column("PORT", right=True), Column("FOR"),
    ]  # fmt: skip
    rows: list[list[Cell | str]] = [
        [
            Cell(one["service"], STRONG),
            Cell(str(one["pid"]), FAINT if one["carried"] else ""),
            one["source"],
            str(one["port"] or ""),
            span(now - one["started"]),
        ]
        for one in sorted(answer["servers"], key=lambda one: one["started"])
    ]
    table(columns, rows, "No server runs.")
    return DONE


@click.command()
@click.argument("of", type=click.Choice(["sources", "networks", "sensors"]), default="sources", metavar="[WHAT]")
@click.option("-n", "--limit", type=click.IntRange(1, 256), default=10, show_default=True, help="So many of them.")
@click.option("--hours", type=click.IntRange(1, 24), default=24, show_default=True, help="Of the last hours.")
@json_option
@daemon_options
def top(of: str, limit: int, hours: int, socket: str | None, config: str, **given: Any) -> int:
    """Who tripped most: WHAT is sources (the default), networks or sensors."""
    with daemon(socket, config) as client:
        answer = client.get("/v1/top", {"of": of, "limit": limit, "span": hours * 3600})
    if given["as_json"]:
        as_json(answer)
        return DONE
    most = max((one["trips"] for one in answer["ranked"]), default=1)
    columns = [Column(of[:-1].upper()), Column("TRIPS", right=True), Column("", wide=60)]
    rows: list[list[Cell | str]] = [
        [Cell(one["name"], STRONG), number(one["trips"]), Cell("▆" * max(1, 30 * one["trips"] // most), BAD)]
        for one in answer["ranked"]
    ]
    table(columns, rows, f"No trip since {clock(answer['since'])}.")
    return DONE
