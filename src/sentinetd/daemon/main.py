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
from sentinetd.daemon.haste import make_haste
from sentinetd.daemon.options import Options, help_text, parse
from sentinetd.errors import EdgeError, UsageError
from sentinetd.model.noun import replace

ANSWERED = (
    signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT,
    signal.SIGCHLD,
)  # fmt: skip
"""Signals that wait from our first moment on until the daemon can answer them: a courier may end before."""
STDERR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with *arguments* (default: the process's own). The exit status: 0 done, 1 not."""
    _hold_standard()
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
    # A name given relative to where we were started must mean the same from "/", and at every reload.
    options = replace(
        options,
        config=_from_start(options.config),
        settings=options.settings and _from_start(options.settings),
        log_file=options.log_file and _from_start(options.log_file),
        pid_file=options.pid_file and _from_start(options.pid_file),
        state=options.state and _from_start(options.state),
    )
    if options.check:
        from sentinetd.config.host import Host
        from sentinetd.daemon.check import check, read

        return check(program, read(options, Host(os.environ, start_directory())))
    return live(options, program)


def live(options: Options, program: str) -> int:
    """Be the daemon; its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started us may have it ignored, and nobody could be reaped
    signal.pthread_sigmask(signal.SIG_SETMASK, ANSWERED)  # and none that whoever started us may have blocked
    make_haste()
    from sentinetd.daemon.dawn import Dawn

    try:
        dawn = Dawn(options)
        if not (options.foreground or options.debug) and (status := dawn.detach()) is not None:
            return status
        dawn.start_courier()
        from sentinetd.config.host import Host
        from sentinetd.daemon.life import Life

        return Life(dawn, options, Host(os.environ, start_directory()), program).run()
    except EdgeError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1


def _hold_standard() -> None:
    """Have /dev/null where a standard descriptor is closed: a socket or a log would take its number otherwise."""
    while (descriptor := os.open("/dev/null", os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def start_directory() -> str:
    """Where we were started; the root if that is gone or out of reach."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def _from_start(path: str) -> str:
    return os.path.abspath(os.path.join(start_directory(), path))


def version_text() -> str:
    """What -version prints: the version, then what it stands on, as xinetd lists its build options."""
    from sentinetd.spawn.spawner import available

    return f"sentinetd {__version__} libwrap loadavg sensors, {available().value}"


if __name__ == "__main__":
    sys.exit(main())
