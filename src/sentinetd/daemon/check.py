"""Reads the configuration that the command line names, and prints what is wrong with it."""

from __future__ import annotations

from sentinetd.config.host import Host
from sentinetd.config.load import Loaded, load
from sentinetd.config.recall import Recall
from sentinetd.daemon.options import Options
from sentinetd.model.diagnostic import Level

INETD_CONF = "/etc/inetd.conf"


def read(options: Options, host: Host, recall: Recall | None = None) -> Loaded:
    """Read the configuration that *options* name, by absolute paths. *recall* knows what the last reading came to."""
    inetd_conf = INETD_CONF if options.inetd_compat else None
    return load(options.config, host, settings=options.settings, inetd_conf=inetd_conf, recall=recall)


def check(program: str, loaded: Loaded) -> int:
    """Print every mistake; 1 if there is one that keeps something from running as written."""
    told = list(loaded.diagnostics)
    if loaded.settings.courier.alerts:
        from sentinetd.daemon.rehearsal import rehearse  # what the guard never loads

        told += rehearse(loaded)
    for one in told:
        print(f"{one.level.value}: {one}")
    errors = sum(1 for one in told if one.level is Level.ERROR)
    names = f"{len(loaded.services)} service{'' if len(loaded.services) == 1 else 's'}"
    print(f"{program}: {names}, {errors} error{'' if errors == 1 else 's'}, {len(told) - errors} remarks")
    return 1 if errors else 0
