"""The command `sentinetd`: from its words to a running guard, and back to an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from sentinetd import __version__
from sentinetd.config.host import Host
from sentinetd.config.load import Loaded, load
from sentinetd.daemon.options import Options, help_text, parse
from sentinetd.errors import EdgeError, UsageError
from sentinetd.spawn.spawner import Backend, available

INETD_CONF = "/etc/inetd.conf"
BACKENDS = {"c": Backend.C, "python": Backend.PYTHON, "": None}


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
    config = os.path.abspath(options.config)
    if options.settings is not None:
        options = replace(options, settings=os.path.abspath(options.settings))
    host = Host(os.environ)
    if options.check:
        return check(program, read(options, config, host))
    from sentinetd.daemon.life import Life  # the daemon's own weight, which --check and --version do without

    try:
        return Life(options, config, host, program).run()
    except EdgeError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1


def version_text() -> str:
    """What -version prints: the version, then what it stands on, as xinetd lists its build options."""
    return f"sentinetd {__version__} loadavg sensors, {available().value}"


def read(options: Options, config: str, host: Host) -> Loaded:
    """Read the configuration that *options* name; *config* is its absolute path."""
    return load(config, host, settings=options.settings, inetd_conf=INETD_CONF if options.inetd_compat else None)


def check(program: str, loaded: Loaded) -> int:
    """Print every mistake; 1 if there is one that keeps something from running as written."""
    from sentinetd.model.diagnostic import Level

    for one in loaded.diagnostics:
        print(f"{one.level.value}: {one}")
    errors = sum(1 for one in loaded.diagnostics if one.level is Level.ERROR)
    names = f"{len(loaded.services)} service{'' if len(loaded.services) == 1 else 's'}"
    print(f"{program}: {names}, {errors} error{'' if errors == 1 else 's'}, {len(loaded.diagnostics) - errors} remarks")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
