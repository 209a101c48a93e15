"""The files that a conversion makes, in a directory; never over one that is there."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sentinetd.cli.convert.job import File
from sentinetd.errors import EdgeError

SHOWN = 3
"""Names that a message lists."""


def write(directory: str, files: Sequence[File]) -> None:
    """Make *files* in *directory*, which is made if it is not there. EdgeError if one exists, before any is written, or
    if one cannot be written."""
    try:
        os.makedirs(directory, exist_ok=True)
        there = [file.name for file in files if os.path.lexists(os.path.join(directory, file.name))]
        if there:
            more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
            raise EdgeError(
                f"{directory} has {', '.join(there[:SHOWN])}{more} already and nothing is overwritten; name another "
                "directory"
            )
        for file in files:
            path = os.path.join(directory, file.name)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with os.fdopen(descriptor, "wb") as out:
                out.write(encoded(file.text))
    except OSError as error:
        raise EdgeError(f"{error.filename or directory}: {error.strerror}; name another directory") from None


def encoded(text: str) -> bytes:
    """*text* as bytes; those of the source that were no text come out as they were."""
    return text.encode("utf-8", "surrogateescape")
