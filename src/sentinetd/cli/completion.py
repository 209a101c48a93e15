"""Completion of commands and options by the shell: `sentinetctl completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sentinetd.cli.exits import DONE

VARIABLE = "_SENTINETCTL_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print what has SHELL complete the commands and options of sentinetctl.

    \b
    bash:  sentinetctl completion bash >/etc/bash_completion.d/sentinetctl
    zsh:   sentinetctl completion zsh >/usr/local/share/zsh/site-functions/_sentinetctl
    fish:  sentinetctl completion fish >/etc/fish/completions/sentinetctl.fish
    """
    from sentinetd.cli.main import PROGRAM, commands

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(commands, {}, PROGRAM, VARIABLE).source())
    return DONE
