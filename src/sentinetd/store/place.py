"""Where the store lies: who may have it, and whether it is still there."""

from __future__ import annotations

import fcntl
import os
import time

from sentinetd.errors import EdgeError

LOCK_PAUSE = 0.02
"""Seconds between two looks at a lock that somebody else holds."""


def locked(path: str, patience: float) -> int:
    """A descriptor that holds the lock file *path*, with our process number in it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(LOCK_PAUSE)
                continue
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise EdgeError(f"{path} is held by process {holder}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return descriptor


def file_at(path: str) -> tuple[int, int] | None:
    """Which file is at *path*: its device and inode; None if there is none."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error
    return found.st_dev, found.st_ino
