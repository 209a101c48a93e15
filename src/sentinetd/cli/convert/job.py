"""A whole configuration converted: the files that come out, and everything that is to be told of it."""

from __future__ import annotations

from sentinetd.cli.convert import inetd, units
from sentinetd.cli.convert.source import Form, Paper, Source
from sentinetd.cli.convert.text import entry_text
from sentinetd.config.files import Gathered, gather
from sentinetd.config.host import Host
from sentinetd.config.resolve import in_order, resolve
from sentinetd.config.syntax import rows
from sentinetd.errors import UsageError
from sentinetd.model.diagnostic import Diagnostic, Level, Scope, printable
from sentinetd.model.noun import dataclass

TABLES = ("/etc/hosts.allow", "/etc/hosts.deny")
DAEMON_DIR = "/usr/sbin"
"""Where Debian's tcpd looks for servers that are named without a directory."""


@dataclass(frozen=True, slots=True)
class File:
    """One file that comes out. *name* has no directory."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """*files* in order; *told*: what is lost, changed or left out."""

    files: tuple[File, ...]
    told: tuple[Diagnostic, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing of the configuration was left out."""
        return not any(one.level is Level.ERROR for one in self.told)


def to_xinetd(source: Source, host: Host, daemon_dir: str = DAEMON_DIR) -> Outcome:
    """*source*, an inetd.conf, as entries for xinetd, each in a file as for its includedir."""
    if source.form() is Form.XINETD:
        raise UsageError(f"{source.file} is an xinetd.conf already; --to systemd makes units of it")
    converted = inetd.convert(source, host, daemon_dir)
    taken: set[str] = set()
    files = []
    for entry in converted.entries:
        one = next((line.words[0] for line in entry.lines if line.name == "id"), entry.name)
        files.append(File(_file_name(one, taken), entry_text(entry)))
    return Outcome(tuple(files), in_order(converted.told))


def to_systemd(source: Source, host: Host, daemon_dir: str = DAEMON_DIR) -> Outcome:
    """*source*, an xinetd.conf with all that it includes, or an inetd.conf, as systemd units."""
    paper = Paper(host, source)
    if source.form() is Form.INETD:
        converted = inetd.convert(source, host, daemon_dir)
        gathered = Gathered(list(converted.entries), diagnostics=list(converted.told))
    else:
        gathered = gather(source.file, paper)
    resolved = resolve(gathered, paper)
    told = list(resolved.diagnostics)
    tables = any(_has_rules(path, host) for path in TABLES)
    taken: set[str] = set()
    files: list[File] = []
    if not any(one.scope in (Scope.FILE, Scope.PART) and one.level is Level.ERROR for one in told):
        for service in resolved.services:
            made = units.convert(service, source.file, tables, taken)
            files += (File(unit.name, unit.text) for unit in made.units)
            told += made.told
    return Outcome(tuple(files), in_order(told))


def _has_rules(path: str, host: Host) -> bool:
    """Whether the table *path* of hosts_access(5) says anything; one that cannot be read may."""
    try:
        return any(True for _ in rows(host.read(path), path))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _file_name(one: str, taken: set[str]) -> str:
    """*one* as the name of a file that includedir reads: without dots; with a number where it is taken."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "-" for char in one)[:200]
    name, number = plain, 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name.lower())
    return name


def whole_text(outcome: Outcome, source: Source, target: str) -> str:
    """All files after one another, as they are printed."""
    made = f"# made from {printable(source.file)} by sentinetctl convert\n\n" if target == "xinetd" else ""
    titles = [f"# --- {file.name}\n" if target == "systemd" else "" for file in outcome.files]
    return made + "\n".join(title + file.text for title, file in zip(titles, outcome.files, strict=True))
