"""The command `sentinetctl simulate`."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import ExitStack
from typing import Any, BinaryIO

import click

from sentinetd.cli.exits import DONE, PARTLY
from sentinetd.cli.plan.drafting import draft_plan
from sentinetd.cli.plan.draw import paper
from sentinetd.cli.plan.propose import Wish
from sentinetd.cli.plan.result import place
from sentinetd.cli.plan.survey import CONFIGURATION, Survey, survey
from sentinetd.cli.plan.table import rows
from sentinetd.cli.simulate.draw import told
from sentinetd.cli.simulate.names import Names
from sentinetd.cli.simulate.nmap import Scan
from sentinetd.cli.simulate.record import Reading
from sentinetd.cli.simulate.replay import Outcome, Replay, Story
from sentinetd.cli.simulate.text_logs import TextLog
from sentinetd.cli.told import tell
from sentinetd.errors import EdgeError, UsageError
from sentinetd.model.address import Address, AddressSet
from sentinetd.model.service import Service
from sentinetd.net.host_addresses import exempt_own, on_link
from sentinetd.policy.inputs import Surroundings

SCANNER = "203.0.113.1"
"""Stands for whoever ran a scan: an address for documentation (RFC 5737)."""
LISTED = 20


@click.command("simulate")
@click.option("-f", "--config", metavar="FILE", help=f"The daemon's configuration.  [default: {CONFIGURATION}]")
@click.option("--settings", metavar="FILE", help="Its settings; else sentinetd.toml beside the configuration.")
@click.option("--planned", is_flag=True, help="With the sensors, too, that `sentinetctl plan` proposes now.")
@click.option("--as", "given", metavar="NAME=PORT", multiple=True,
              help="What the log calls NAME is PORT, if nobody else knows.")  # fmt: skip
@click.option("--scanner", metavar="ADDRESS", default=SCANNER, show_default=True, help="Who ran the scan.")
@click.option("--most", metavar="N", type=click.IntRange(0), default=LISTED, show_default=True,
              help="So many sources in each list.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, every source.")
@click.argument("logfile", metavar="LOGFILE")
def simulate(
    config: str | None,
    settings: str | None,
    planned: bool,
    given: tuple[str, ...],
    scanner: str,
    most: int,
    as_json: bool,
    logfile: str,
) -> int:
    """Tell who would have been banned by this host's sensors, from a LOGFILE (-: standard input).

    LOGFILE is a service log or the daemon's log (of sentinetd or xinetd, a file or by syslog), events of sentinetd as
    JSON lines, a log of fail2ban, or a result of nmap -oX. It is played against the daemon's own rules, but for longer
    bans of those who come again; nothing is changed. Look at who was served, too, before the sensors open.

    Exit status: 0 played, 1 played but for lines that could not be read, 2 not played.
    """
    found = survey(config, settings)
    services = _services(found, planned, settings)
    sensors = sum(1 for one in services if one.sensor)
    if not sensors:
        raise UsageError(f"{found.path} has no sensor; add --planned to play those that `sentinetctl plan` proposes")
    surroundings = Surroundings(exempt_own(), AddressSet(tuple(on_link())))
    replay = Replay(services, found.settings, surroundings, Names(found, given))
    with ExitStack() as opened:
        log = _reader(_open(logfile, opened), scanner)
        try:
            outcome = replay.play(log.records())
        except UsageError as error:
            raise UsageError(f"{logfile}: {error}") from None
        except OSError as error:
            raise EdgeError(f"{logfile} cannot be read: {error.strerror}; name another file") from None
    if as_json:
        click.echo(json.dumps(_data(outcome, log.reading, sensors), indent=1))
    else:
        tell(found.told)
        console = paper()
        if isinstance(log, Scan) and log.half_open:
            console.print("This scan completes no connections, so that sensors see only what it asked of open ports.")
        console.print(told(outcome, log.reading, sensors, most))
    return PARTLY if log.reading.unread else DONE


def _services(found: Survey, planned: bool, settings: str | None) -> tuple[Service, ...]:
    if not planned:
        return found.services
    shown = rows(found.ground, found.services)
    drafted, wrong = draft_plan(found, shown, Wish(), "120", place(found, None), settings)
    if wrong:
        raise EdgeError(f"the planned entries do not fit into {found.path}: {'; '.join(wrong)}")
    return drafted.result.services


def _open(logfile: str, opened: ExitStack) -> BinaryIO:
    if logfile == "-":
        return sys.stdin.buffer
    try:
        return opened.enter_context(open(logfile, "rb"))
    except OSError as error:
        raise EdgeError(f"{logfile} cannot be read: {error.strerror}; name another file") from None


def _reader(data: BinaryIO, scanner: str) -> TextLog | Scan:
    """Whoever reads *data*, which begins with ``<`` if it is XML."""
    try:
        source = Address.parse(scanner)
    except ValueError:
        raise UsageError(f"--scanner: {scanner} is no address; write numbers, as {SCANNER}") from None
    peek = getattr(data, "peek", None)
    first = peek(64) if peek is not None else b""
    if first.startswith(b"\x1f\x8b"):
        raise UsageError("the log is compressed; give it on standard input: zcat LOGFILE | sentinetctl simulate -")
    xml = first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") and not first.startswith(b"<1")
    return Scan(data, source) if xml else TextLog(data, time.time())


def _data(outcome: Outcome, reading: Reading, sensors: int) -> dict[str, Any]:
    return {
        "lines": reading.lines,
        "unread": reading.unread,
        "examples": [{"line": line, "why": why} for line, why in reading.examples],
        "connections": outcome.records,
        "began": _number(outcome.began),
        "ended": _number(outcome.ended),
        "sensors": sensors,
        "touched": outcome.by_sensor,
        "untold": outcome.untold,
        "evicted": outcome.evicted,
        "sources": [_story(one) for one in outcome.stories.values()],
    }


def _story(one: Story) -> dict[str, Any]:
    return {
        "source": str(one.source),
        "first_touch": one.first,
        "sensor": one.sensor,
        "touches": one.touches,
        "banned": one.banned,
        "bans": one.bans,
        "banned_until": _number(one.until) if one.banned else None,
        "not_banned_because": one.spared or None,
        "served": one.served,
        "served_but_would_be_refused": one.lost,
        "looks_honest": one.looks_honest,
    }


def _number(value: float) -> float | None:
    """What never ends, and what never was, is null."""
    return value if math.isfinite(value) else None
