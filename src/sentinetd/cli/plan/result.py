"""The configuration with the planned entries in it, before anything is written: loaded as the daemon would load it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from sentinetd.cli.plan.entries import Planned
from sentinetd.cli.plan.survey import Onlooker, Survey
from sentinetd.cli.plan.table import takes
from sentinetd.config.host import Found
from sentinetd.config.load import Loaded, load
from sentinetd.config.syntax import Include, parse
from sentinetd.errors import EdgeError, UsageError
from sentinetd.model.diagnostic import Level
from sentinetd.model.noun import dataclass
from sentinetd.model.service import Family, Service

NAME = "sentinetd-sensors"
"""The file that is written where no other is named."""


class Imagined(Onlooker):
    """The machine with one file more."""

    def __init__(self, survey: Survey, path: str, data: bytes) -> None:
        super().__init__(survey.host.environment, survey.path)
        self._path = path
        self._data = data

    def found(self, path: str) -> Found | None:
        return Found((0, 0), True, False, True) if path == self._path else super().found(path)

    def read(self, path: str) -> bytes:
        return self._data if path == self._path else super().read(path)

    def listing(self, directory: str) -> list[str]:
        names = super().listing(directory)
        here, name = os.path.split(self._path)
        return [*names, name] if os.path.normpath(directory) == here and name not in names else names


@dataclass(frozen=True, slots=True)
class Place:
    """Where entries go. *write*: to a file of their own, which an includedir line of the configuration names; else they
    are only imagined at the end of the configuration itself."""

    path: str
    write: bool


def place(survey: Survey, asked: str | None) -> Place:
    """Where to write the entries: the file *asked* for; empty: the usual one; None: nowhere.

    `UsageError` if the configuration would not read it, `EdgeError` if it is there already.
    """
    if asked is None:
        return Place(survey.path, write=False)
    directories = list(_directories(survey))
    if not directories:
        raise UsageError(
            f"{survey.path} has no includedir line, so no file beside it would be read; add `includedir DIRECTORY`, or "
            "leave out --write and paste the entries"
        )
    path = os.path.abspath(asked) if asked else os.path.join(directories[0], NAME)
    directory, name = os.path.split(path)
    if os.path.realpath(directory) not in map(os.path.realpath, directories):
        known = " and ".join(directories)
        raise UsageError(f"{path} would not be read: {survey.path} includes {known}; name a file there")
    if not name or "." in name or name.endswith("~"):
        raise UsageError(f"{path} would not be read: includedir passes over names with a dot or a ~; name another file")
    if os.path.lexists(path):
        raise EdgeError(f"{path} exists, and nothing is overwritten; name another file: --write FILE")
    return Place(path, write=True)


def _directories(survey: Survey) -> Iterator[str]:
    """What the configuration itself includes as directories, as they are named there."""
    if survey.loaded is not None:
        for statement in parse(survey.host.read(survey.path), survey.path).statements:
            if isinstance(statement, Include) and statement.directory:
                yield os.path.normpath(survey.host.absolute(statement.path))


def imagine(survey: Survey, where: Place, text: str, settings: str | None) -> Loaded:
    """The whole configuration as it will be with *text* in it."""
    data = text.encode("utf-8", "surrogateescape")
    if not where.write and survey.loaded is not None:
        data = survey.host.read(survey.path) + b"\n" + data
    return load(survey.path, Imagined(survey, where.path, data), settings=settings)


def mistakes(survey: Survey, after: Loaded, planned: Sequence[Planned]) -> Iterator[str]:
    """What would not come out as planned, as sentences; nothing if all is well."""
    before = {str(one) for one in survey.loaded.diagnostics} if survey.loaded else set()
    for told in after.diagnostics:
        if told.level is Level.ERROR and str(told) not in before:
            yield str(told)
    running = {one.id: one for one in after.services}
    for one in planned:
        service = running.get(one.id)
        if service is None:
            yield f"{one.id} would not run: enabled or disabled in defaults leave it out; name it there"
        elif not _as_planned(one, service):
            yield f"{one.id} would listen elsewhere: defaults have bind or v6only; write them into each entry instead"


def _as_planned(one: Planned, service: Service) -> bool:
    if one.proposal.rest:
        return service.sensor and service.ports is not None and service.ports.unused
    if one.address is None and (service.family is not Family.DUAL or service.v6only):
        return False
    return service.sensor and takes(service, one.proposal.port) and service.address == one.address
