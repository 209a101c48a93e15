"""A configuration with all that it includes: entries of every file in order, defaults apart.

Each file stands for itself as in xinetd: its own line numbers, its own one defaults entry. A file that includes
itself, over however many others, is an error that names both places.
"""

from __future__ import annotations

import os

from sentinetd.config.host import Host
from sentinetd.config.pieces import Cutter, Piece
from sentinetd.config.syntax import Entry, Include
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.noun import dataclass, field
from sentinetd.model.values import Place

DEEPEST = 64
"""Files included within one another."""


@dataclass(slots=True)
class Gathered:
    """*entries* in order; *defaults* likewise, each with how many entries were read before it. *cutter* cuts files."""

    entries: list[Piece | Entry] = field(default_factory=list)
    defaults: list[tuple[Entry, int]] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    cutter: Cutter = field(default_factory=Cutter, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Open:
    """A file that is being read: what it is, its name, and the line that named it."""

    key: tuple[int, int]
    path: str
    place: Place


def gather(path: str, host: Host, cutter: Cutter | None = None) -> Gathered:
    """All entries that the file *path* holds or includes. *cutter* knows how the files were cut at the last reading."""
    gathered = Gathered(cutter=cutter or Cutter())
    _file(path, Place(path, 0), host, gathered, ())
    return gathered


def _file(path: str, place: Place, host: Host, gathered: Gathered, above: tuple[_Open, ...]) -> None:
    def tell(scope: Scope, text: str, way_out: str) -> None:
        gathered.diagnostics.append(Diagnostic(scope, place, text, way_out))

    unread = Scope.PART if above else Scope.FILE
    failed = f"Unable to open included configuration file: {path}" if above else f"open( {path} ) failed"
    try:
        found = host.found(path)
        if found and found.directory:
            tell(unread, f"{failed}: it is a directory", f"write includedir {path}" if above else "name a file")
            return
        data = host.read(path)
    except (OSError, ValueError) as error:
        tell(unread, f"{failed}: {_why(error)}", "mend the name or the permissions")
        return
    key = found.key if found else (0, 0)
    for earlier in above:
        if earlier.key == key:
            tell(
                unread,
                f"{path} includes itself: it is being read since {earlier.place}",
                "delete one of both lines",
            )
            return
    if len(above) >= DEEPEST:
        tell(unread, f"{path} is included {DEEPEST} files deep", "include it from the main file")
        return
    text = gathered.cutter.cut(data, path)
    gathered.diagnostics.extend(text.diagnostics)
    here = (*above, _Open(key, path, place))
    first: Entry | None = None
    for statement in text.statements:
        if isinstance(statement, Include):
            follow = _directory if statement.directory else _file
            follow(statement.path, statement.place, host, gathered, here)
        elif isinstance(statement, Piece) or statement.name:
            gathered.entries.append(statement)
        elif first:
            gathered.diagnostics.append(
                Diagnostic(
                    Scope.LINE,
                    statement.place,
                    "only 1 defaults entry is allowed. This entry will be ignored",
                    f"move its lines to {first.place}",
                )
            )
        else:
            first = statement
            gathered.defaults.append((statement, len(gathered.entries)))


def _directory(path: str, place: Place, host: Host, gathered: Gathered, above: tuple[_Open, ...]) -> None:
    """Every regular file in the directory, in the order of bytes, but names with a dot or ending in ``~``."""

    def tell(scope: Scope, text: str, way_out: str) -> None:
        gathered.diagnostics.append(Diagnostic(scope, place, text, way_out))

    try:
        names = host.listing(path)
    except (OSError, ValueError) as error:
        text = f"Unable to read included directory: {path}: {_why(error)}"
        tell(Scope.PART, text, "mend the name or the permissions")
        return
    for name in sorted(names, key=os.fsencode):
        if "." in name or name.endswith("~"):
            continue
        inner = os.path.join(path, name)
        try:
            found = host.found(inner)
        except OSError as error:
            tell(Scope.PART, f"Unable to stat includedir file {inner}: {_why(error)}", "mend the permissions")
            continue
        if found is None:
            tell(Scope.LINE, f"Unable to stat includedir file {inner}: it leads nowhere", "mend or delete the link")
        elif not found.regular:
            gathered.diagnostics.append(
                Diagnostic(
                    Scope.LINE,
                    place,
                    f"{inner} is not a regular file. It is being skipped.",
                    f"write includedir {inner}" if found.directory else "move it elsewhere",
                    level=Level.WARNING,
                )
            )
        else:
            _file(inner, place, host, gathered, above)


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
