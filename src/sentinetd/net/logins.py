"""Where the operator who starts us is logged in from, so that he is not locked out by his own sensors.

sshd leaves it in the environment of the login (ssh(1), SSH_CONNECTION), and su and sudo may take it away: then it is
still there in one of the processes that we were started by (proc(5), environ), of which root may read all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from sentinetd.model.address import Address

GENERATIONS = 16
"""Parents that are looked at."""
LARGEST = 1 << 17
"""Bytes of an environment that are read."""


def operator_source(environment: Mapping[str, str], pid: int) -> Address | None:
    """The address that whoever started process *pid*, which has that *environment*, is logged in from; None if he is
    not, or it cannot be found out."""
    source = _source_in(environment)
    for _ in range(GENERATIONS):
        if source is not None:
            return source
        pid = _parent(pid)
        if pid <= 1:
            return None
        source = _source_in(_environment(pid))
    return source


def _source_in(environment: Mapping[str, str]) -> Address | None:
    for name in ("SSH_CONNECTION", "SSH_CLIENT"):
        words = environment.get(name, "").split()
        if words:
            try:
                return Address.parse(words[0])
            except ValueError:
                continue
    return None


def _parent(pid: int) -> int:
    """The parent of process *pid*; 0 if there is none to be found."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read(4096).rpartition(b")")[2].split()[1])  # a program's name may hold anything
    except (OSError, ValueError, IndexError):
        return 0


def _environment(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = (pair.partition(b"=") for pair in file.read(LARGEST).split(b"\0"))
            return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    except OSError:
        return {}
