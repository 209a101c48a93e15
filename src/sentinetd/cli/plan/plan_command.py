"""The command `sentinetctl plan`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from sentinetd.cli.exits import DONE, NOT_DONE
from sentinetd.cli.plan.data import table_data
from sentinetd.cli.plan.drafting import Drafted, draft_plan
from sentinetd.cli.plan.draw import drawn, legend, paper, sentences
from sentinetd.cli.plan.draw_plan import proposals, refusals
from sentinetd.cli.plan.ground import look
from sentinetd.cli.plan.keep import keep
from sentinetd.cli.plan.propose import USUAL, Wish
from sentinetd.cli.plan.remarks import everywhere
from sentinetd.cli.plan.result import place
from sentinetd.cli.plan.survey import CONFIGURATION, Survey, read_addresses, read_ports, survey
from sentinetd.cli.plan.table import State, Table, draw_up, rows
from sentinetd.cli.told import tell
from sentinetd.config.in_force import NOT_YET_IN_FORCE
from sentinetd.errors import EdgeError, UsageError
from sentinetd.model.address import Address
from sentinetd.model.attribute import BadValue
from sentinetd.model.readers import ban_span
from sentinetd.net.host_addresses import exempt_own


@click.command("plan")
@click.option("-f", "--config", metavar="FILE", help=f"The daemon's configuration.  [default: {CONFIGURATION}]")
@click.option("--settings", metavar="FILE", help="Its settings; else sentinetd.toml beside the configuration.")
@click.option("--addresses", metavar="LIST", help="Sensors at these addresses only, as 192.0.2.5,2001:db8::5.")
@click.option("--ports", metavar="LIST", help="Sensors at these ports only, as 23,3306,ftp,161/udp.")
@click.option("--most", metavar="N", type=click.IntRange(0, 200), default=USUAL, show_default=True,
              help="So many ports at which nobody listens, besides those that some addresses use.")  # fmt: skip
@click.option("--deny-time", metavar="TIME", default="120", show_default=True,
              help="How long a touch bans: minutes, FOREVER, or NEVER to be told only.")  # fmt: skip
@click.option("--catch-all", is_flag=True, help="And one sensor for every port that nobody listens on.")
@click.option("--write", is_flag=False, flag_value="", metavar="[FILE]",
              help="Write the entries to FILE below an includedir of the configuration.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def draft(
    config: str | None,
    settings: str | None,
    addresses: str | None,
    ports: str | None,
    most: int,
    deny_time: str,
    catch_all: bool,
    write: str | None,
    as_json: bool,
) -> int:
    """Propose sensors for what is free on this host, and write them down if asked.

    Services that some addresses use become sensors at the others; ports that attackers love and nobody here uses
    become sensors everywhere. Nothing is proposed where a program listens, nor in the range of ports that the kernel
    hands out. With --write the entries go to a new file, never over one, after the whole configuration was read with
    it.

    Exit status: 0 planned, and written if asked, 2 not.
    """
    found = survey(config, settings)
    shown = read_addresses(addresses) if addresses else rows(found.ground, found.services)
    wish = Wish(read_ports(ports, found.host) if ports else (), bool(addresses), most, _rest(catch_all))
    _check_span(deny_time)
    drafted, wrong = draft_plan(found, shown, wish, deny_time, place(found, write), settings)
    if wrong:
        raise EdgeError(f"the planned entries do not fit into {found.path}: {'; '.join(wrong)}")
    written = write is not None and bool(drafted.planned)
    if written:
        _check_free(drafted, shown)
        keep(drafted.where.path, drafted.text)
    if as_json:
        click.echo(json.dumps(_data(drafted, written), indent=1))
    else:
        tell(found.told)
        _print(drafted, written)
    return DONE if drafted.planned or write is None else NOT_DONE


def _rest(catch_all: bool) -> bool:
    if catch_all and ("ports", "unused") in NOT_YET_IN_FORCE:
        raise UsageError("--catch-all needs ports = unused, which is not in force in this version; leave it out")
    return catch_all


def _check_span(text: str) -> None:
    try:
        ban_span([text])
    except BadValue as error:
        raise UsageError(f"--deny-time: {error}") from None


def _check_free(drafted: Drafted, shown: Sequence[Address]) -> None:
    """Nobody has begun to listen where a sensor is planned since the host was looked at."""
    ports = [one.port for one in drafted.plan.proposals if not one.rest]
    now = draw_up(look(), drafted.survey.services, shown, ports)
    for one in drafted.plan.proposals:
        for address in one.addresses or shown:
            if not one.rest and now.cells[address, one.port].state is not State.FREE:
                raise EdgeError(f"something listens at {address} port {one.port} by now; run it again")


def _cautions(found: Survey) -> Iterator[str]:
    """What to think of before the first sensor is open."""
    exempt = found.settings.bans.exempt
    own = exempt_own() if found.settings.bans.exempt_own else None
    client = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    try:
        source = Address.parse(client)
    except ValueError:
        source = None
    if source is not None and source not in exempt and (own is None or source not in own):
        yield f"You are logged in from {source}, which is not exempt. {_FIRST}"
    elif not exempt:
        yield f"No source is exempt. {_FIRST}"
    if found.settings.bans.dry_run:
        yield "[bans] dry_run is on: touches are told, and nobody is banned."


_FIRST = "Write the addresses you administer from to [bans] exempt in sentinetd.toml first."


def _print(drafted: Drafted, written: bool) -> None:
    console = paper()
    found, plan = drafted.survey, drafted.plan
    ids = frozenset(one.id for one in drafted.planned)
    _table(console, "Before", drafted.before, found, frozenset())
    console.print(sentences(everywhere(found.ground)))
    if plan.proposals:
        console.print(Text("\nProposed", "bold underline"))
        console.print(proposals(plan))
    else:
        console.print("\nNothing is free for a sensor here.")
    if plan.refusals:
        console.print(Text("\nNot proposed", "bold underline"))
        console.print(refusals(plan.refusals))
    if plan.left:
        console.print(Text(f"- {plan.left} more ports of the list: --most {plan.left + len(plan.proposals)}.", "dim"))
    if plan.proposals:
        console.print()
        _table(console, "After", drafted.after, found, ids)
        console.print(sentences(_cautions(found)))
        console.print()
        console.print(Text.assemble(*_next(drafted, written)))


def _table(console: Console, title: str, table: Table, found: Survey, ids: frozenset[str]) -> None:
    console.print(Text(title, "bold underline"))
    if not table.columns:
        console.print("Nothing listens here, and nothing is configured.")
        return
    console.print(drawn(table, found.name, console, ids))
    console.print()
    console.print(legend(table, console, bool(ids)))


def _next(drafted: Drafted, written: bool) -> Iterator[str | tuple[str, str]]:
    count = f"{len(drafted.planned)} entr{'y' if len(drafted.planned) == 1 else 'ies'}"
    if written:
        yield f"{count} written to "
        yield drafted.where.path, "bold"
        yield "; they count after `sentinetctl reload`."
    else:
        yield f"{count}, not written. To write them below an includedir of {drafted.survey.path}: "
        yield shlex.join(["sentinetctl", *sys.argv[1:], "--write"]), "bold"


def _data(drafted: Drafted, written: bool) -> dict[str, Any]:
    name = drafted.survey.name
    return {
        "configuration": drafted.survey.path,
        "proposals": [
            {
                "protocol": one.port.transport,
                "port": one.port.number,
                "name": one.name,
                "addresses": [str(address) for address in one.addresses],
                "kind": one.kind.name.lower(),
                "why": one.why,
                "beware": one.beware,
                "sources": [
                    {"key": source.key, "title": source.title, "url": source.url} for source in one.sources
                ],
                "ids": [planned.id for planned in drafted.planned if planned.proposal is one],
            }
            for one in drafted.plan.proposals
        ],
        "refusals": [
            {"protocol": one.port.transport, "port": one.port.number, "name": one.name, "why": one.why}
            for one in drafted.plan.refusals
        ],
        "left": drafted.plan.left,
        "before": table_data(drafted.before, name),
        "after": table_data(drafted.after, name),
        "entries": drafted.text,
        "cautions": [*everywhere(drafted.survey.ground), *_cautions(drafted.survey)],
        "written": drafted.where.path if written else None,
    }
