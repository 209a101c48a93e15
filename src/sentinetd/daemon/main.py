"""The command `sentinetd`: from its words to a running guard, and back to an exit status.

What is heavy is imported when it is needed, and not before signals are held: one that comes while a daemon starts must
not end it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from sentinetd import __version__
from sentinetd.daemon.options import Options, help_text, parse
from sentinetd.errors import EdgeError, UsageError
from sentinetd.model.noun import replace

ANSWERED = (
    signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT,
)  # fmt: skip
"""Signals that wait from our first moment on until the daemon can answer them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with *arguments* (default: the process's own). The exit status: 0 done, 1 not."""
    program = os.path.basename(sys.argv[0]).removesuffix("main.py") or "sentinetd"
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        print(f"{program}: {error}\nUsage: {program} [OPTION]...; see {program} --help", file=sys.stderr)
        return 1
    if options.help:
        print(help_text(program))
        return 0
    if options.version:
        print(version_text(), file=sys.stderr if options.version == "-version" else sys.stdout)
        return 0
    # A name given relative to where we were started must mean the same at every reload, from "/".
    options = replace(options, config=os.path.abspath(options.config))
    if options.settings is not None:
        options = replace(options, settings=os.path.abspath(options.settings))
    if options.check:
        from sentinetd.config.host import Host
        from sentinetd.daemon.check import check, read

        return check(program, read(options, Host(os.environ)))
    return live(options, program)


def live(options: Options, program: str) -> int:
    """Be the daemon; its exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ANSWERED)
    from sentinetd.config.host import Host
    from sentinetd.daemon.life import Life

    try:
        return Life(options, Host(os.environ), program).run()
    except EdgeError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1


def version_text() -> str:
    """What -version prints: the version, then what it stands on, as xinetd lists its build options."""
    from sentinetd.spawn.spawner import available

    return f"sentinetd {__version__} loadavg sensors, {available().value}"


if __name__ == "__main__":
    sys.exit(main())
