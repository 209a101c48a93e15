"""The command `sentinetctl`: its words, its exit statuses, and the one place that prints what went wrong.

Exit statuses: 0 done, 1 done but for what was told as an error, 2 not done, 3 no daemon answers, 4 not permitted. A
mistake is one line that says what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from sentinetd import __version__
from sentinetd.cli.exits import DONE, FORBIDDEN, INTERRUPTED, NOT_DONE, UNREACHABLE
from sentinetd.errors import SentinetdError

PROGRAM = "sentinetctl"
CONTEXT = {"help_option_names": ["-h", "--help"]}
ENDS = {"Unreachable": UNREACHABLE, "Forbidden": FORBIDDEN}
"""How the command ends after errors of `control.client`, by name: most commands never load it."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": ("sentinetd.cli.status:status", "What runs, since when, and what is wrong."),
    "services": ("sentinetd.cli.status:services", "The running services, their limits and counts."),
    "servers": ("sentinetd.cli.status:servers", "The running servers, and for whom they run."),
    "bans": ("sentinetd.cli.bans:bans", "Who is banned, and until when."),
    "ban": ("sentinetd.cli.orders:ban", "Ban addresses or networks."),
    "unban": ("sentinetd.cli.orders:unban", "End bans."),
    "exempt": ("sentinetd.cli.orders:exempt", "Who is never refused as banned; add to them, end it."),
    "explain": ("sentinetd.cli.explain:explain", "Would an address be admitted, and by which line not."),
    "top": ("sentinetd.cli.status:top", "Who tripped most: sources, networks, sensors."),
    "watch": ("sentinetd.cli.watch.command:watch", "What the daemon does, as it does it."),
    "map": ("sentinetd.cli.plan.map_command:show", "Show which port of which address is taken by whom."),
    "plan": ("sentinetd.cli.plan.plan_command:draft", "Propose sensors for what is free, and write them down."),
    "simulate": ("sentinetd.cli.simulate.command:simulate", "Tell from a log or scan who would have been banned."),
    "check": ("sentinetd.cli.check.command:check", "What is wrong with a configuration, and what differs from xinetd."),
    "reload": ("sentinetd.cli.orders:reload", "Read the configuration again."),
    "test-fire": ("sentinetd.cli.orders:test_fire", "A harmless trip, through everything that follows one."),
    "purge": ("sentinetd.cli.orders:purge", "Forget who was banned."),
    "import": ("sentinetd.cli.lists:import_list", "Ban what a list names."),
    "export": ("sentinetd.cli.lists:export", "Print the bans as a list for other programs."),
    "convert": ("sentinetd.cli.convert.command:convert", "Convert a super-server's configuration for another one."),
    "completion": ("sentinetd.cli.completion:completion", "What has a shell complete commands and options."),
}
"""Every command: where it is, and what it does in a few words. Only the one that is asked for is loaded."""


class Commands(click.Group):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, doc) for name, (_, doc) in COMMANDS.items()])


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def commands() -> None:
    """The tools of sentinetd, the extended Internet services daemon with sensors.

    Exit status: 0 done, 1 done but for what was told as an error, 2 not done, 3 no daemon answers, 4 not permitted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with *arguments* (default: the process's own). The exit status."""
    try:
        status = commands.main(arguments, PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else PROGRAM
        return _failed(f"{error.format_message().rstrip('.')}; see {path} --help")
    except SentinetdError as error:
        return _failed(str(error), ENDS.get(type(error).__name__, NOT_DONE))
    except OSError as error:
        return _failed(f"the output cannot be written: {error.strerror}; give it another place")
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return status if isinstance(status, int) else DONE


def _failed(text: str, status: int = NOT_DONE) -> int:
    from sentinetd.model.diagnostic import printable

    print(f"{PROGRAM}: {printable(' '.join(text.split()))}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
