"""A directory that was opened by somebody who may, in which files are replaced whole: no path is ever opened here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from sentinetd.errors import EdgeError

READABLE_BY_ALL = 0o644
BUFFER = 1 << 16
"""Bytes that are written at once."""


class Directory:
    """Owns *descriptor*; `close` closes it. Blocking: whoever cannot wait for a disk calls `replace` from a thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def replace(self, name: str, lines: Iterable[str]) -> None:
        """The file *name* holds *lines* from now on: readers see the old one or the new one, whole, also after a crash.
        EdgeError if that cannot be done; then the old one is as it was."""
        new = f".{name}.new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=self._descriptor)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.open(new, flags, 0o600, dir_fd=self._descriptor)
            try:
                with open(file, "wb", BUFFER) as out:
                    out.writelines(b"%b\n" % line.encode("ascii") for line in lines)
                    out.flush()
                    os.fchmod(out.fileno(), READABLE_BY_ALL)
                    os.fsync(out.fileno())
                os.rename(new, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except BaseException:
                with suppress(OSError):
                    os.unlink(new, dir_fd=self._descriptor)
                raise
        except OSError as error:
            raise EdgeError(f"{name} cannot be written: {error.strerror}") from error

    def try_out(self, name: str) -> None:
        """EdgeError if `replace` of *name* would fail for want of permission. Nothing is left behind."""
        new = f".{name}.new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=self._descriptor)
            os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._descriptor))
            os.unlink(new, dir_fd=self._descriptor)
        except OSError as error:
            raise EdgeError(f"no file can be made in the directory of {name}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)
