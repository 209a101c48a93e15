"""What the spawner has to know of a service to start its servers."""

from __future__ import annotations

import resource

from sentinetd.model.service import Service
from sentinetd.model.values import Credentials, Flag
from sentinetd.spawn.recipe import Recipe

LIMITS = {
    "rlimit_files": resource.RLIMIT_NOFILE,
    "rlimit_as": resource.RLIMIT_AS,
    "rlimit_cpu": resource.RLIMIT_CPU,
    "rlimit_data": resource.RLIMIT_DATA,
    "rlimit_rss": resource.RLIMIT_RSS,
    "rlimit_stack": resource.RLIMIT_STACK,
}
"""Which resource each attribute limits, in the order in which they are set."""

BEYOND = float(1 << 63)
"""Limits from here on are none: more than this nobody can use up."""
NO_ADDRESS = "<no address>"
"""REMOTE_HOST of a server whose client is not known: it accepts by itself (xinetd's words)."""


def recipe_of(service: Service, files: int) -> Recipe:
    """The recipe of *service*; *files* is the number of open files that a server gets where rlimit_files is silent."""
    given = dict(service.rlimits)
    given.setdefault("rlimit_files", files)
    limits = tuple(
        (which, -1 if given[name] >= BEYOND else int(given[name])) for name, which in LIMITS.items() if name in given
    )
    credentials = service.credentials
    return Recipe(
        server=service.server,
        argv=service.argv,
        environment=service.environment,
        uid=credentials.uid,
        gid=credentials.gid,
        groups=credentials.groups,
        umask=service.umask,
        nice=max(-40, min(40, service.nice)),
        limits=limits,
        labeled=Flag.LABELED in service.flags,
    )


def recipe_of_program(command: tuple[str, ...], credentials: Credentials) -> Recipe:
    """The recipe of a program of the daemon's own: *command* and whom it runs as, with little more than a PATH."""
    return Recipe(
        server=command[0],
        argv=command,
        environment=("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"),
        uid=credentials.uid,
        gid=credentials.gid,
        groups=credentials.groups,
    )
