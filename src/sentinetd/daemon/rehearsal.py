"""What the courier would object to, found out without one: for a check of the configuration, which changes nothing."""

from __future__ import annotations

import asyncio
import os
import tempfile

from sentinetd.config.load import Loaded
from sentinetd.daemon.instructions import as_diagnostic, open_file
from sentinetd.errors import EdgeError
from sentinetd.model.diagnostic import Diagnostic
from sentinetd.model.observer import Observer
from sentinetd.model.settings import FileUse, FileWanted, Mistake
from sentinetd.report.alerts import Alerts


def rehearse(loaded: Loaded) -> list[Diagnostic]:
    """Every mistake in the courier's part of *loaded*."""
    descriptors: dict[int, int] = {}
    told: list[Diagnostic] = []
    try:
        for number, file in enumerate(loaded.settings.files):
            try:
                descriptors[number] = _open(file)
            except EdgeError as error:
                way_out = "mend the name or the permissions"
                told.append(as_diagnostic(loaded, Mistake(file.table, file.number, file.key, str(error), way_out)))
        if not told:
            told += (as_diagnostic(loaded, one) for one in asyncio.run(_prepare(loaded, descriptors)))
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)
    return told


async def _prepare(loaded: Loaded, files: dict[int, int]) -> list[Mistake]:
    async def full(number: int) -> None:
        return None

    observer = Observer(host=os.uname().nodename, ident="sentinetd", pid=os.getpid(), version="")
    with tempfile.TemporaryDirectory() as state:  # spools and keys of a check are nobody's
        alerts = Alerts(state, lambda event: None, full, lambda: observer, lambda error: None)
        try:
            return list(await alerts.prepare(loaded.settings.courier, files))
        finally:
            await alerts.close()


def _open(file: FileWanted) -> int:
    """A descriptor to try things with; a file that would be made is not made. EdgeError if it could not be."""
    if file.use is FileUse.READ or os.path.exists(file.path):
        return open_file(file)
    directory = os.path.dirname(file.path)
    if not os.path.isdir(directory):
        raise EdgeError(f"{file.path}: No such file or directory")
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
