"""Everything that the operator has written, read at once: the way into this room for start, reload and check."""

from __future__ import annotations

import os
from collections.abc import Set

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
        return not any(one.scope is Scope.FILE and one.level is Level.ERROR for one in self.diagnostics)

    @property
    def unread(self) -> frozenset[tuple[str, str]]:
        """What of the configuration was not read: file and mistake. Lines are left out, since they move."""
        return frozenset(
            (one.place.file, one.text)
            for one in self.diagnostics
            if one.scope is Scope.PART and one.level is Level.ERROR
        )

    def usable_after(self, unread: Set[tuple[str, str]] = frozenset()) -> bool:
        """Whether a reload may put it in force in place of one of which *unread* was not read either; else nothing
        changes. What was never running cannot be lost."""
        return self.startable and self.unread <= unread

    def place(self, table: str, number: int, key: str) -> Place:
        """Where *key* of the *number*th table *table* of the settings is written."""
        return self.written.place(table, key, number)

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
    recall = recall or Recall()
    recall.cutter.begin()
    gathered = gather(path, host, recall.cutter)
    if inetd_conf is not None:
        gather_inetd(inetd_conf, host, gathered)
    resolved = resolve(gathered, host, recall)
    told = list(resolved.diagnostics)
    told += warnings(resolved.services)
    beside = os.path.join(os.path.dirname(path), SETTINGS)
    own = read_settings(beside if settings is None else settings, host, required=settings is not None)
    told += unadvertised(resolved.services, own.settings)
    return Loaded(resolved.services, own.settings, in_order((*told, *own.diagnostics)), resolved.faulty, own.written)
