"""Bans out and in as lists: `sentinetctl export`, `import`."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from sentinetd import __version__
from sentinetd.cli.bans import fetch
from sentinetd.cli.exits import DONE, NOT_DONE, PARTLY
from sentinetd.cli.reach import daemon, daemon_options, json_option
from sentinetd.cli.show import BAD, FAINT, GOOD, Cell, as_json, lines
from sentinetd.cli.spans import Span, Written
from sentinetd.control.client import Client, ControlError
from sentinetd.lists.head import Head
from sentinetd.lists.intake import Batch, Intake, Limits
from sentinetd.lists.readers import READERS, guessed
from sentinetd.lists.table import WRITERS
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.observer import Observer
from sentinetd.model.order import Refusal

FRESH = 86_400.0
"""Seconds for which a list says that it may be used."""
PIECE = 65_536
LONGEST = 256 << 20
"""Bytes of a list; more is no list."""


@click.command("export")
@click.argument("format", type=click.Choice(sorted(WRITERS)), default="plain", metavar="[FORMAT]")
@click.option("--sensor", metavar="SERVICE", help="Only bans imposed by this sensor.")
@click.option("--network", metavar="NETWORK", help="Only bans of it and of what lies in it.")
@daemon_options
def export(format: str, sensor: str | None, network: str | None, socket: str | None, config: str) -> int:
    """Print the bans in force as a list for other programs: plain (the default), csv, json, nft, ipset or stix."""
    now = time.time()
    with daemon(socket, config) as client:
        query = {"sort": "network", "ascending": True, "sensor": sensor, "network": network}
        found = fetch(client, query, None)["bans"]
    observer = Observer(host=os.uname().nodename, ident="sentinetctl", pid=os.getpid(), version=__version__)
    for text in WRITERS[format](map(_ban, found), Head(observer, now, now + FRESH)):
        click.echo(text)
    return DONE


def _ban(one: dict[str, Any]) -> Ban:
    until = math.inf if one["until"] is None else one["until"]
    network, origin = Network.parse(one["network"]), Origin(one["origin"])
    return Ban(network, one["since"], until, one["sensor"], origin, one["who"], one["note"])


@click.command("import")
@click.argument("file", default="-", metavar="[FILE]")
@click.option("--format", "name", type=click.Choice(sorted(READERS)), help="Default: as the list begins.")
@click.option("--for", "span", type=Span(), default="1d", show_default=True, metavar="SPAN",
              help="How long, for entries that do not say: 2h30m, 7d or forever.")  # fmt: skip
@click.option("--note", default="", metavar="TEXT", help="Why, for entries that do not say.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be banned.")
@json_option
@daemon_options
def import_list(
    file: str, name: str | None, span: Written, note: str, dry_run: bool, socket: str | None, config: str, **given: Any
) -> int:
    """Ban what the list FILE (without it: standard input) names: addresses one a line, CSV, JSON, an nft or ipset
    listing, or what fail2ban-client and cscli print.

    Exit status: 0 all taken, 1 some lines were of no use or declined, 2 nothing was taken.
    """
    chunks = _pieces(sys.stdin.buffer) if file == "-" else _file(file)
    first = next(chunks, b"")
    reader = READERS[name or guessed(first)]
    limits = Limits(span=math.inf if span.seconds is None else span.seconds, note=note)
    intake = Intake(reader, limits)
    with daemon(socket, config) as client:
        for batch in intake.batches(_after(first, chunks), time.time()):
            if not dry_run:
                _order(client, intake, batch)
    tally = intake.tally
    done = tally.asked - tally.declined
    if given["as_json"]:
        as_json({"entries": tally.entries, "done": done, "faulty": tally.faulty, "declined": tally.declined,
                 "faults": [{"line": one.line, "text": one.text} for one in tally.faults]})  # fmt: skip
    else:
        told = tally.told() + (" (nothing was ordered)" if dry_run else "")
        lines([[Cell("✓ ", GOOD) if done else Cell("✗ ", BAD), told]])
        lines([[Cell(f"  line {one.line}: ", FAINT), one.text] for one in tally.faults])
    if not done:
        return NOT_DONE
    return PARTLY if tally.faulty or tally.declined or tally.wide or tally.beyond else DONE


def _order(client: Client, intake: Intake, batch: Batch) -> None:
    """Have the bans of *batch* imposed: those of the same span and note in one order."""
    alike: dict[tuple[float, str], list[str]] = {}
    for one in batch.bans:
        alike.setdefault((one.span, one.note), []).append(str(one.network))
    done = 0
    refused: list[Refusal] = []
    for (seconds, note), networks in alike.items():
        order = {"networks": networks, "seconds": None if math.isinf(seconds) else max(1.0, seconds), "note": note}
        try:
            answer = client.post("/v1/bans", order)
        except ControlError as error:
            if type(error) is not ControlError:
                raise
            refused += [Refusal(Network.parse(networks[0]), str(error))]  # none of them
            continue
        done += answer["done"]
        refused += [Refusal(Network.parse(one["network"]), one["why"]) for one in answer["refused"]]
    intake.refused(batch, done, refused)


def _file(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            yield from _pieces(file)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}; name another file") from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    total = 0
    while data := file.read(PIECE):
        total += len(data)
        if total > LONGEST:
            raise click.UsageError(f"the list is longer than {LONGEST >> 20} MiB; split it")
        yield data


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
