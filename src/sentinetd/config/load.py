"""Everything that the operator has written, read at once: the way into this room for start, reload and check."""

from __future__ import annotations

import os

from sentinetd.config.files import gather
from sentinetd.config.host import Host
from sentinetd.config.in_force import unadvertised, warnings
from sentinetd.config.inetd import gather_inetd
from sentinetd.config.recall import Recall
from sentinetd.config.resolve import in_order, resolve
from sentinetd.config.toml import NOTHING, Written, read_settings
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.noun import dataclass
from sentinetd.model.service import Service
from sentinetd.model.settings import Settings
from sentinetd.model.values import Place

SETTINGS = "sentinetd.toml"
"""Name of the settings file beside the configuration."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """*faulty*: lower-case ids of entries left out for a mistake; on a reload their running versions stay. *written*:
    the text that *settings* were read from."""

    services: tuple[Service, ...]
    settings: Settings
    diagnostics: tuple[Diagnostic, ...]
    faulty: frozenset[str]
    written: Written = NOTHING

    @property
    def startable(self) -> bool:
        """Whether a daemon may start with it: no mistake reaches as far as the whole configuration."""
        return not self._reaches(Scope.FILE)

    @property
    def usable(self) -> bool:
        """Whether a reload may put it in force; else nothing changes."""
        return not self._reaches(Scope.FILE, Scope.PART)

    def place(self, table: str, number: int, key: str) -> Place:
        """Where *key* of the *number*th table *table* of the settings is written."""
        return self.written.place(table, key, number)

    def _reaches(self, *scopes: Scope) -> bool:
        return any(one.scope in scopes and one.level is Level.ERROR for one in self.diagnostics)


def load(
    path: str,
    host: Host,
    *,
    settings: str | None = None,
    inetd_conf: str | None = None,
    recall: Recall | None = None,
) -> Loaded:
    """Read *path* and all that it includes, then *inetd_conf* if given, and the settings: *settings*, which must exist
    if given, or the file ``sentinetd.toml`` beside *path*, which need not. *recall* knows what the last
    load came to."""
    gathered = gather(path, host)
    if inetd_conf is not None:
        gather_inetd(inetd_conf, host, gathered)
    resolved = resolve(gathered, host, recall)
    told = list(resolved.diagnostics)
    told += (one for service in resolved.services for one in warnings(service))
    beside = os.path.join(os.path.dirname(path), SETTINGS)
    own = read_settings(beside if settings is None else settings, host, required=settings is not None)
    told += (one for service in resolved.services for one in unadvertised(service, own.settings))
    return Loaded(resolved.services, own.settings, in_order((*told, *own.diagnostics)), resolved.faulty, own.written)
