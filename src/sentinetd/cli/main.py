"""The command `sentinetctl`: its words, its exit statuses, and the one place that prints what went wrong.

Exit statuses: 0 done, 1 done but for what was told as an error, 2 not done. A mistake is one line that says what to do.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sentinetd import __version__
from sentinetd.errors import SentinetdError

if TYPE_CHECKING:
    from sentinetd.cli.convert.source import Source
    from sentinetd.config.host import Host

PROGRAM = "sentinetctl"
DONE, PARTLY, NOT_DONE = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT
CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def commands() -> None:
    """The tools of sentinetd, the extended Internet services daemon with sensors.

    Exit status: 0 done, 1 done but for what was told as an error, 2 not done.
    """


@commands.command()
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
    from sentinetd.cli.convert import job
    from sentinetd.cli.convert.write import encoded, write
    from sentinetd.cli.told import tell
    from sentinetd.config.host import Host

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
    from sentinetd.cli.convert.source import STANDARD_INPUT, Source

    if file != "-":
        try:
            return Source(file, host.read(file))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise click.UsageError(f"{file} cannot be read: {why}; name another file") from None
    if sys.stdin.isatty():
        raise click.UsageError("no FILE; name one, or give it on standard input")
    return Source(STANDARD_INPUT, sys.stdin.buffer.read())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with *arguments* (default: the process's own). The exit status."""
    try:
        status = commands.main(arguments, PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else PROGRAM
        return _failed(f"{error.format_message().rstrip('.')}; see {path} --help")
    except SentinetdError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"the output cannot be written: {error.strerror}; give it another place")
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return status if isinstance(status, int) else DONE


def _failed(text: str) -> int:
    from sentinetd.model.diagnostic import printable

    print(f"{PROGRAM}: {printable(' '.join(text.split()))}", file=sys.stderr)
    return NOT_DONE


if __name__ == "__main__":
    sys.exit(main())
