"""The command `sentinetctl map`."""

from __future__ import annotations

import json
import os
import socket

import click
from rich.text import Text

from sentinetd.cli.exits import DONE, PARTLY
from sentinetd.cli.plan.data import table_data
from sentinetd.cli.plan.draw import drawn, legend, paper, sentences
from sentinetd.cli.plan.remarks import remarks
from sentinetd.cli.plan.survey import CONFIGURATION, Survey, read_addresses, read_ports, survey
from sentinetd.cli.plan.table import Table, columns, draw_up, rows
from sentinetd.cli.told import tell
from sentinetd.model.diagnostic import printable


@click.command("map")
@click.option("-f", "--config", metavar="FILE", help=f"The daemon's configuration.  [default: {CONFIGURATION}]")
@click.option("--settings", metavar="FILE", help="Its settings; else sentinetd.toml beside the configuration.")
@click.option("--addresses", metavar="LIST", help="Show these addresses only, as 192.0.2.5,2001:db8::5.")
@click.option("--ports", metavar="LIST", help="Show these ports, as 21,8000-8010,ftp,69/udp, used or not.")
@click.option("--all", "everything", is_flag=True, help="Show loopback and link-local addresses too.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(
    config: str | None,
    settings: str | None,
    addresses: str | None,
    ports: str | None,
    everything: bool,
    as_json: bool,
) -> int:
    """Show which port of which address of this host is taken by whom.

    USED by a program, SENSOR or SERVICE of sentinetd's configuration, or free. The daemon need not run: what is shown
    is what the configuration and the kernel say. As root, programs of all users are named.

    Exit status: 0 shown, 1 shown but for entries of the configuration that have mistakes, 2 not shown.
    """
    found = survey(config, settings)
    shown = read_addresses(addresses) if addresses else rows(found.ground, found.services, everything)
    listed = read_ports(ports, found.host) if ports else columns(found.ground, found.services, shown)
    table = draw_up(found.ground, found.services, shown, listed)
    said = [*found.unread, *remarks(found.ground, found.services, table, os.geteuid() == 0)]
    if as_json:
        told = [str(one) for one in found.told]
        data = {"configuration": found.path, **table_data(table, found.name), "remarks": said, "mistakes": told}
        click.echo(json.dumps(data, indent=1))
    else:
        tell(found.told)
        _print(found, table, said)
    return PARTLY if found.told else DONE


def _print(found: Survey, table: Table, said: list[str]) -> None:
    console = paper()
    console.print(Text.assemble((printable(socket.gethostname()), "bold"), (f"  {printable(found.path)}", "dim")))
    console.print()
    if table.columns:
        console.print(drawn(table, found.name, console))
        console.print()
        console.print(legend(table, console))
    else:
        console.print("Nothing listens here, and nothing is configured.")
    console.print(sentences(said))
