"""How a log file is opened: by the guard, which may. The courier writes."""

from __future__ import annotations

import fcntl
import os

from sentinetd.errors import EdgeError

STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
"""Descriptors by the names of files that lead to them."""


def open_log(path: str) -> int:
    """A descriptor that appends to the file *path*, which is made if need be. EdgeError if it cannot be had.

    Never waits, nor does who writes to it: a FIFO without a reader is an error, not a daemon that hangs at start, and
    one whose reader hangs is none that hangs with it. A standard descriptor by its name may be a socket, which cannot
    be opened (open(2), ENXIO), or of somebody else: it is copied then.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        try:
            return os.open(path, flags, 0o644)
        except OSError:
            if path not in STANDARD:
                raise
            return fcntl.fcntl(STANDARD[path], fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error
