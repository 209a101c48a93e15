"""Which directories a daemon of a configuration uses, for root and for an ordinary user. Names only: nothing is made.

The daemon asks, and so do the tools that look for its socket.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

DEFAULT_CONFIG = "/etc/xinetd.conf"
STATE = "/var/lib/sentinetd"
RUN = "/run/sentinetd"
CONTROL = "control.sock"
"""Name of the control socket in the run directory."""


def state_directory(option: str, config: str, environment: Mapping[str, str], uid: int) -> str:
    """Where bans are kept: *option* (--state) if given; else one directory per configuration file, so that several
    daemons run beside each other. *config* is absolute."""
    if option:
        return os.path.abspath(option)
    if uid == 0:
        return STATE if config == DEFAULT_CONFIG else os.path.join(STATE, name_of(config))
    home = environment.get("XDG_STATE_HOME") or os.path.join(environment.get("HOME", "/"), ".local/state")
    return os.path.join(home, "sentinetd", name_of(config))


def lock_directory(environment: Mapping[str, str], uid: int) -> str:
    """Where locks of state directories lie: one place for all configurations, since two may name the same state."""
    if uid == 0:
        return RUN
    return os.path.join(environment.get("XDG_RUNTIME_DIR") or os.path.join("/tmp", f"sentinetd-{uid}"), "sentinetd")


def run_directory(config: str, environment: Mapping[str, str], uid: int) -> str:
    """Where sockets and dumps of the running daemon go."""
    below = lock_directory(environment, uid)
    return below if uid == 0 and config == DEFAULT_CONFIG else os.path.join(below, name_of(config))


def control_socket(config: str, environment: Mapping[str, str], uid: int) -> str:
    """The control socket of the daemon that user *uid* runs with *config*."""
    return os.path.join(run_directory(config, environment, uid), CONTROL)


def name_of(path: str) -> str:
    """A file's name for *path*: its FNV-1a hash, 64 bits, in hexadecimal."""
    value = 0xCBF29CE484222325
    for byte in os.fsencode(path):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
