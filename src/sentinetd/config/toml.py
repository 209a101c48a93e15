"""sentinetd.toml: the daemon's own settings. An unknown name is an error, so that no limit goes missing by a slip.

Tables of features that are not in force yet are known by name and told of, not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinetd.config import bans, firewall
from sentinetd.config.host import Host
from sentinetd.config.toml_values import Reader, secret, span, strings, truth
from sentinetd.model.address import Address, Network
from sentinetd.model.address_words import address_remarks
from sentinetd.model.alert import Alert
from sentinetd.model.attribute import BadValue
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.feed import Feed
from sentinetd.model.noun import dataclass
from sentinetd.model.readers import nearest
from sentinetd.model.settings import (
    KEEP_HISTORY,
    ControlTable,
    CourierSettings,
    FileWanted,
    FirewallSettings,
    MdnsSettings,
    MetricsTable,
    PrivacyTable,
    Settings,
    StoreSettings,
)
from sentinetd.model.values import Place

NOT_YET_IN_FORCE: Mapping[str, frozenset[str]] = {}
"""Keys, by table, that are understood and have no effect in this version."""

ALERT = "alert"
"""An array of tables: one for each sink."""

TABLES_NOT_YET_IN_FORCE = frozenset({"fleet", "libwrap"})

FEED = "feed"
"""An array of tables: one for each list that is kept current for others."""

LOOPBACK = (Network.parse("127.0.0.0/8"), Network.parse("::1"))
SAMPLE_TOKEN = "(what `openssl rand -hex 20` prints)"


@dataclass(frozen=True, slots=True)
class Written:
    """The text of a settings file, by which a mistake finds its place."""

    path: str
    lines: tuple[str, ...]

    def place(self, table: str, key: str, number: int = 0) -> Place:
        """The line of *key* in *table*, of the table itself without a key; line 0 where it is not written plainly.
        *number*: which one of an array of tables (``[[table]]``), from 0."""
        if not table:
            return Place(self.path, 0)
        inside, line_of_table, seen = False, 0, -1
        for line_number, line in enumerate(self.lines, 1):
            bare = line.strip()
            if bare.startswith("["):
                inside = bare.strip("[] \t").partition(".")[0].strip().strip("]") == table
                seen += inside and bare.startswith("[[") and not _below(bare)
                inside = inside and (seen == number or seen < 0)
                line_of_table = line_of_table or (line_number if inside else 0)
            name = bare.partition("=")[0].strip()
            if (inside and key and name == key) or name in (f"{table}.{key}" if key else table,):
                return Place(self.path, line_number)
        return Place(self.path, line_of_table)


def _below(header: str) -> bool:
    """Whether *header* is of a table inside another one."""
    return "." in header.partition("]")[0]


NOTHING = Written("", ())
"""The text of no file."""


@dataclass(frozen=True, slots=True)
class Read:
    """The settings of a file, and what is wrong with it."""

    settings: Settings
    diagnostics: tuple[Diagnostic, ...] = ()
    written: Written = NOTHING


def read_settings(path: str, host: Host, *, required: bool) -> Read:
    """The settings in *path*; the built-in ones if it is not there, which is a mistake only where it is *required*."""
    try:
        found = host.found(path)
        if found is None and not required:
            return Read(Settings())
        data = host.read(path)
    except OSError as error:
        text = f"open( {path} ) failed: {error.strerror or error}"
        told = (Diagnostic(Scope.FILE, Place(path, 0), text, "mend the name or the permissions"),)
        return Read(Settings(), told)
    file = _File(path, data)
    if found and found.readable:
        file.warn("", "the file may hold secrets, and everyone can read it", f"chmod 600 {path}")
    return Read(file.settings(host), tuple(file.told), file.written)


class _File:
    """One settings file as it is read."""

    def __init__(self, path: str, data: bytes) -> None:
        self._path = path
        self.written = Written(path, tuple(data.decode("utf-8", "replace").split("\n")))
        self._data = data
        self.told: list[Diagnostic] = []
        self._found_alerts: tuple[Alert, ...] = ()
        self._files: list[FileWanted] = []

    def settings(self, host: Host) -> Settings:
        tables = self._tables()
        readers = _readers(host)
        known = {*readers, *TABLES_NOT_YET_IN_FORCE, ALERT, FEED}
        values: dict[str, dict[str, Any]] = {table: {} for table in readers}
        for table, content in tables.items():
            if table in TABLES_NOT_YET_IN_FORCE:
                self.warn(table, f"[{table}] is understood but not in force in this version", "it has no effect")
            elif table == FEED:
                continue
            elif table == ALERT:
                self._alerts(content)
            elif table not in readers:
                self._wrong(
                    table,
                    "",
                    f"unknown table {table}",
                    nearest(table, known) + f"write one of {' '.join(sorted(known))}",
                )
            elif not isinstance(content, dict):
                self._wrong(table, "", f"{table} is no table", f"write [{table}] on a line of its own")
            else:
                values[table] = self._values(table, content, readers[table])
        ban_settings = bans.settings(values["bans"])
        feeds = self._feeds(tables[FEED]) if FEED in tables else ()
        privacy = PrivacyTable(**values["privacy"])
        return Settings(
            bans=ban_settings,
            store=StoreSettings(**values["store"]),
            firewall=self._firewall(values["firewall"]),
            mdns=MdnsSettings(**values["mdns"]),
            control=self._control(values["control"]),
            metrics=MetricsTable(**values["metrics"]),
            courier=CourierSettings(
                alerts=self._found_alerts,
                address_key=privacy.address_key,
                feeds=feeds,
                unfed=ban_settings.exempt.networks if feeds else (),
                escalation=ban_settings.escalation,
                keep_history=values["store"].get("keep_history", KEEP_HISTORY),
            ),
            files=tuple(self._files),
        )

    def _feeds(self, content: Any) -> tuple[Feed, ...]:
        from sentinetd.config.feeds import read_feeds  # most installations have none

        def wrong(number: int, key: str, text: str, way_out: str) -> None:
            place = self.written.place(FEED, key, number)
            self.told.append(Diagnostic(Scope.FILE, place, text, way_out, _dotted(FEED, key)))

        feeds, files = read_feeds(content, len(self._files), wrong)
        self._files += files
        return feeds

    def _control(self, values: Mapping[str, Any]) -> ControlTable:
        table = ControlTable(**values)
        if table.listen and not table.token:
            self._wrong("control", "listen", "a listener on loopback needs a token", f'write token = "{SAMPLE_TOKEN}"')
        return table

    def _firewall(self, values: Mapping[str, Any]) -> FirewallSettings:
        try:
            return firewall.settings(values)
        except BadValue as bad:
            self._wrong("firewall", "backend", bad.text, bad.way_out)
            return FirewallSettings()

    def _alerts(self, content: Any) -> None:
        from sentinetd.config.alerts import read_alerts  # most installations have none

        def wrong(number: int, key: str, text: str, way_out: str) -> None:
            place = self.written.place(ALERT, key, number)
            self.told.append(Diagnostic(Scope.FILE, place, text, way_out, _dotted(ALERT, key)))

        self._found_alerts, files = read_alerts(content, len(self._files), wrong)
        self._files += files

    def _tables(self) -> dict[str, Any]:
        import tomllib  # most installations have no such file

        try:
            return tomllib.loads(self._data.decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            text = str(error) or "nested too deeply"
            _, _, behind = text.partition("at line ")
            digits = behind.partition(",")[0]
            line = int(digits) if digits.isdigit() else 0
            self.told.append(
                Diagnostic(Scope.FILE, Place(self._path, line), f"not TOML: {text}", "see https://toml.io")
            )
            return {}

    def _values(self, table: str, content: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        later = NOT_YET_IN_FORCE.get(table, frozenset())
        for key, value in content.items():
            if key in later:
                self.warn(table, f"{key} is understood but not in force in this version", "it has no effect", key)
            elif key not in readers:
                known = {*readers, *later}
                self._wrong(
                    table, key, f"unknown key {key}", nearest(key, known) + f"write one of {' '.join(sorted(known))}"
                )
            else:
                try:
                    values[key] = readers[key](value)
                except BadValue as bad:
                    self._wrong(table, key, bad.text, bad.way_out)
                for remark in address_remarks(value) if key == "exempt" and key in values else ():
                    self.warn(table, remark.text, remark.way_out, key)
        return values

    def _wrong(self, table: str, key: str, text: str, way_out: str) -> None:
        self.told.append(Diagnostic(Scope.FILE, self._place(table, key), text, way_out, _dotted(table, key)))

    def warn(self, table: str, text: str, way_out: str, key: str = "") -> None:
        """Tell of something that leaves the file usable."""
        self.told.append(
            Diagnostic(Scope.LINE, self._place(table, key), text, way_out, _dotted(table, key), level=Level.WARNING)
        )

    def _place(self, table: str, key: str, number: int = 0) -> Place:
        return self.written.place(table, key, number)


def _dotted(table: str, key: str) -> str:
    return f"{table}.{key}" if key else ""


def _readers(host: Host) -> dict[str, dict[str, Reader]]:
    """What reads which key of which table."""
    return {
        "bans": bans.readers(host),
        "store": {"required": truth, "keep_history": span(3600)},
        "firewall": firewall.readers(host, truth, strings),
        "mdns": {"enabled": truth},
        "control": {"enabled": truth, "admins": _group(host), "listen": _loopback, "token": _token},
        "metrics": {"listen": _loopback},
        "privacy": {"address_key": secret},
    }


def _group(host: Host) -> Reader:
    def read(value: Any) -> int:
        number = host.group(value) if isinstance(value, str) else None
        if number is None:
            raise BadValue(f"{value!r} is no group of this host", "write the name of a group, or groupadd it first")
        return number

    return read


def _loopback(value: Any) -> str:
    """ADDRESS:PORT with an address of loopback, as it is written."""
    address, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    try:
        source = Address.parse(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        source = None
    if source is None or not colon or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise BadValue(f"{value!r} is no ADDRESS:PORT", 'write one such as "127.0.0.1:9117" or "[::1]:9117"')
    if not any(net.holds(source) for net in LOOPBACK):
        raise BadValue(f"{value!r} is not on loopback", 'write "127.0.0.1:PORT"; a proxy may carry it further')
    return str(value)


def _token(value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not 20 <= len(value) <= 200:
        raise BadValue("that is no token of 20 to 200 printable characters", f'write one such as "{SAMPLE_TOKEN}"')
    return value
