"""One new file on disk, whole or not at all, and never over another."""

from __future__ import annotations

import os

from sentinetd.errors import EdgeError


def keep(path: str, text: str) -> None:
    """Make the file *path* with *text*. It appears at once and whole, since a daemon may be told to read it at any
    time. `EdgeError` if it exists or cannot be made; then nothing is left behind."""
    directory, name = os.path.split(path)
    draft = os.path.join(directory, f".{name}.{os.getpid()}")  # includedir passes over names with a dot
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                file.flush()
                os.fsync(descriptor)
            os.link(draft, path)  # unlike rename(2) it takes no other file's place
        finally:
            os.unlink(draft)
    except FileExistsError:
        raise EdgeError(f"{path} exists, and nothing is overwritten; name another file: --write FILE") from None
    except OSError as error:
        raise EdgeError(f"{path} cannot be written: {error.strerror}; name another file, or run this as root") from None
