"""The command `sentinetctl convert`."""

from __future__ import annotations

import os
import sys

import click

from sentinetd.cli.convert import job
from sentinetd.cli.convert.source import STANDARD_INPUT, Source
from sentinetd.cli.convert.write import encoded, write
from sentinetd.cli.exits import DONE, NOT_DONE, PARTLY
from sentinetd.cli.told import tell
from sentinetd.config.host import Host


@click.command()
@click.option(
    "--to",
    type=click.Choice(["xinetd", "systemd"]),
    default="xinetd",
    show_default=True,
    help="xinetd: entries of xinetd.conf, from an inetd.conf. systemd: socket and service units, from either.",
)
@click.option("-o", "--output", metavar="DIR", help="Write files into DIR, never over one; without it: print them.")
@click.option(
    "--daemon-dir", metavar="DIR", default="/usr/sbin", show_default=True, help="Where tcpd finds its servers."
)
@click.argument("file", default="-", metavar="[FILE]")
def convert(to: str, output: str | None, daemon_dir: str, file: str) -> int:
    """Convert the configuration FILE (without it: standard input) of a super-server for another one.

    What is lost on the way is told on standard error, each thing with its place. A service whose rules of admission
    the other one cannot keep is left out.

    Exit status: 0 all services converted, 1 some left out, 2 nothing done.
    """
    host = Host(os.environ)
    source = _read(file, host)
    outcome = (job.to_xinetd if to == "xinetd" else job.to_systemd)(source, host, daemon_dir)
    tell(outcome.told)
    if outcome.files and output is not None:
        write(output, outcome.files)
    elif outcome.files:
        try:
            with open(sys.stdout.fileno(), "wb", closefd=False) as out:  # Python's own writes a part when unbuffered
                out.write(encoded(job.whole_text(outcome, source, to)))
        except BrokenPipeError:
            return NOT_DONE  # whoever read it has had enough
    elif outcome.whole:
        raise click.UsageError(f"{source.file} configures no service; name an inetd.conf or xinetd.conf")
    return DONE if outcome.whole else PARTLY if outcome.files else NOT_DONE


def _read(file: str, host: Host) -> Source:
    """The configuration *file*; ``-`` is standard input."""
    if file != "-":
        try:
            return Source(file, host.read(file))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise click.UsageError(f"{file} cannot be read: {why}; name another file") from None
    if sys.stdin.isatty():
        raise click.UsageError("no FILE; name one, or give it on standard input")
    return Source(STANDARD_INPUT, sys.stdin.buffer.read())
