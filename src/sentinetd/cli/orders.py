"""What changes something: `sentinetctl ban`, `unban`, `exempt`, `reload`, `purge`, `test-fire`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from sentinetd.cli.exits import DONE, NOT_DONE, PARTLY
from sentinetd.cli.reach import daemon, daemon_options, json_option
from sentinetd.cli.show import BAD, FAINT, GOOD, STRONG, Cell, Column, ago, ahead, as_json, lines, table
from sentinetd.cli.spans import Span, Written
from sentinetd.control.client import Client, ControlError
from sentinetd.net.logins import operator_source

F = TypeVar("F", bound=Callable[..., Any])

AT_ONCE = 1_000
"""Networks in one request."""

note_option = click.option("--note", default="", metavar="TEXT", help="Why; it is kept with it.")


def span_option(default: str, text: str) -> Callable[[F], F]:
    """The option --for."""
    return click.option("--for", "span", type=Span(), default=default, show_default=True, metavar="SPAN",
                        help=text)  # fmt: skip


@click.command()
@click.argument("networks", nargs=-1, required=True, metavar="NETWORK...")
@span_option("1h", "How long: 90s, 15m, 2h30m, 7d or forever.")
@note_option
@json_option
@daemon_options
def ban(networks: Sequence[str], span: Written, note: str, socket: str | None, config: str, **given: Any) -> int:
    """Ban each NETWORK, an address or ADDRESS/BITS, from every service; - reads them from standard input.

    Exit status: 0 all banned, 1 some refused (exempt ones ...), 2 none.
    """
    wanted = list(_words(networks))
    done, refused, text = 0, [], ""
    with daemon(socket, config) as client:
        for at in range(0, len(wanted), AT_ONCE):
            order = {"networks": wanted[at : at + AT_ONCE], "seconds": span.seconds, "note": note}
            answer = client.post("/v1/bans", order)
            done, text = done + answer["done"], answer["text"]
            refused += answer["refused"]
    return _report({"text": text, "done": done, "refused": refused}, given["as_json"], "banned")


@click.command()
@click.argument("networks", nargs=-1, metavar="NETWORK...")
@click.option("--all", "everybody", is_flag=True, help="End every ban there is.")
@json_option
@daemon_options
def unban(networks: Sequence[str], everybody: bool, socket: str | None, config: str, **given: Any) -> int:
    """End the ban of each NETWORK; of an address that is banned with others in a network, that network's.

    Exit status: 0 all lifted, 1 some were not banned, 2 none was.
    """
    if everybody == bool(networks):
        raise click.UsageError("name what is to be lifted, or --all, and not both")
    done, refused = 0, []
    with daemon(socket, config) as client:
        if everybody:
            return _report(client.delete("/v1/bans", {"all": True}), given["as_json"], "lifted")
        for word in _words(networks):
            exact = _covering(client, word)
            if not exact:
                refused.append({"network": word, "why": "it is not banned"})
            for network in exact:
                done += client.delete("/v1/bans", {"network": network})["done"]
    return _report({"text": "", "done": done, "refused": refused}, given["as_json"], "lifted")


def _covering(client: Client, word: str) -> list[str]:
    """The banned networks that *word* means: itself, or those that cover it."""
    key = "network" if "/" in word else "address"
    found = [one["network"] for one in client.get("/v1/bans", {key: word, "limit": 1_000})["bans"]]
    if key == "address":
        return found
    return [one for one in found if one == word] or found


@click.group(invoke_without_command=True)
@json_option
@daemon_options
@click.pass_context
def exempt(ctx: click.Context, /, socket: str | None, config: str, **given: Any) -> int:
    """Who is never refused as banned, by order; without a command: list them.

    What sentinetd.toml exempts, and the host's own addresses, are not in the list; `explain` tells of those too.
    """
    if ctx.invoked_subcommand is not None:
        return DONE
    with daemon(socket, config) as client:
        answer = client.get("/v1/exemptions")
    if given["as_json"]:
        as_json(answer)
        return DONE
    now = time.time()
    columns = [Column("NETWORK"), Column("SINCE"), Column("ENDS"), Column("BY", wide=60), Column("NOTE", folds=True)]
    rows: list[list[Cell | str]] = [
        [Cell(one["network"], STRONG), ago(one["since"], now), ahead(one["until"], now), one["who"], one["note"]]
        for one in answer["exemptions"]
    ]
    table(columns, rows, "Nobody is exempt by order.")
    return DONE


@exempt.command("add")
@click.argument("network", metavar="NETWORK")
@span_option("forever", "How long: 15m, 2h30m, 7d or forever.")
@note_option
@json_option
@daemon_options
def exempt_add(network: str, span: Written, note: str, socket: str | None, config: str, **given: Any) -> int:
    """Never refuse NETWORK as banned."""
    with daemon(socket, config) as client:
        answer = client.post("/v1/exemptions", {"network": network, "seconds": span.seconds, "note": note})
    return _report(answer, given["as_json"], "exempt")


@exempt.command("end")
@click.argument("network", metavar="NETWORK")
@json_option
@daemon_options
def exempt_end(network: str, socket: str | None, config: str, **given: Any) -> int:
    """End the exemption of NETWORK that was ordered."""
    with daemon(socket, config) as client:
        answer = client.delete("/v1/exemptions", {"network": network})
    return _report(answer, given["as_json"], "ended")


@click.command()
@json_option
@daemon_options
def reload(socket: str | None, config: str, **given: Any) -> int:
    """Have the daemon read its configuration again, as SIGHUP does. One with mistakes changes nothing.

    The address that you are logged in from by ssh is never banned from then on.
    """
    source = operator_source(os.environ, os.getpid())
    with daemon(socket, config) as client:
        answer = client.post("/v1/reload", {} if source is None else {"source": source.text})
    if given["as_json"]:
        as_json(answer)
    else:
        lines([[Cell("✓ ", GOOD), answer["text"]]])
    return DONE


@click.command()
@click.option("--older-than", "age", type=Span(), metavar="SPAN", help="Only bans that ended so long ago.")
@click.option("--network", metavar="NETWORK", help="Only bans of it and of what lies in it.")
@json_option
@daemon_options
def purge(age: Written | None, network: str | None, socket: str | None, config: str, **given: Any) -> int:
    """Forget who was banned: bans that have ended, and who was seen lately. Bans in force stay, and so do log files."""
    order = {"older_than": 0 if age is None or age.seconds is None else age.seconds, "network": network}
    with daemon(socket, config) as client:
        answer = client.post("/v1/purge", order)
    if given["as_json"]:
        as_json(answer)
    else:
        lines([[Cell("✓ ", GOOD), answer["text"]]])
    return DONE


@click.command("test-fire")
@json_option
@daemon_options
def test_fire(socket: str | None, config: str, **given: Any) -> int:
    """Send a harmless trip through everything that follows one, and tell how far it came.

    192.0.2.1, an address that nobody has, is banned for a moment: by the guard, in the store, in the kernel where that
    refuses for us; a trip is told to the log and to every sink; and the ban is lifted.

    Exit status: 0 all went well, 1 something did not.
    """
    with daemon(socket, config) as client:
        answer = client.post("/v1/test-fire", {})
    if given["as_json"]:
        as_json(answer)
    else:
        lines(
            [
                Cell("✓ " if one["ok"] else "✗ ", GOOD if one["ok"] else BAD),
                Cell(f"{one['name']:<10}", STRONG),
                one["text"],
                Cell(f"  {1000 * one['seconds']:.0f} ms", FAINT),
            ]
            for one in answer["steps"]
        )
    return DONE if answer["ok"] else PARTLY


def _words(networks: Sequence[str]) -> list[str]:
    """*networks*, with ``-`` replaced by the words of standard input."""
    words: list[str] = []
    for one in networks:
        if one == "-":
            words += [word for line in sys.stdin for word in line.partition("#")[0].split()]
        else:
            words.append(one)
    if not words:
        raise ControlError("standard input names no network")
    return words


def _report(answer: dict[str, Any], wanted_json: bool, verb: str) -> int:
    """Tell what was done and what not; the exit status."""
    if wanted_json:
        as_json(answer)
    else:
        mark = Cell("✓ ", GOOD) if answer["done"] or not answer["refused"] else Cell("✗ ", BAD)
        lines([[mark, f"{answer['done']} {verb}"]])
        lines([[Cell("✗ ", BAD), Cell(one["network"], STRONG), f": {one['why']}"] for one in answer["refused"]])
    if not answer["refused"]:
        return DONE
    return PARTLY if answer["done"] else NOT_DONE
