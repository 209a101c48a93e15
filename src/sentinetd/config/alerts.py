"""The `[[alert]]` tables of sentinetd.toml: one sink each. Which keys there are follows from its `type`.

Loaded only where there is such a table. What only the courier can know (certificates, formats, libraries) it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from sentinetd.config.toml_values import (
    Reader,
    choice,
    endpoint,
    path,
    secret,
    size,
    span,
    text,
    whole,
    words,
)
from sentinetd.model.alert import (
    TYPES,
    Alert,
    Body,
    FileTarget,
    HpfeedsTarget,
    JournalTarget,
    MailTarget,
    Option,
    PluginTarget,
    ProgramTarget,
    Security,
    Shown,
    SyslogTarget,
    Target,
    Tls,
    Transport,
    WebhookTarget,
)
from sentinetd.model.attribute import BadValue
from sentinetd.model.events import EVENTS, Level
from sentinetd.model.noun import dataclass, field
from sentinetd.model.readers import nearest
from sentinetd.model.settings import FileUse, FileWanted

TABLE = "alert"
MOST = 32
"""Alerts in one file."""
FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "security", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    *(f"local{number}" for number in range(8)),
)  # fmt: skip
"""syslog(3)."""
KINDS = tuple(kind.kind for kind in EVENTS)

Wrong = Callable[[int, str, str, str], None]
"""Told of a mistake: number of the table, key, what is wrong, a way out."""


@dataclass(slots=True)
class _Table:
    """One table as it is read: values by their keys, and the files it names, which get the numbers from *first* on."""

    number: int
    first: int
    values: dict[str, Any]
    files: list[FileWanted] = field(default_factory=list)

    def pop(self, *names: str) -> dict[str, Any]:
        """The values of *names*, as far as they are written."""
        return {name: self.values.pop(name) for name in names if name in self.values}

    def file(self, key: str, use: FileUse, rotate: int = 0, keep: int = 0) -> int | None:
        """The number of the file that *key* names; None if there is no such key."""
        name = self.values.pop(key, None)
        if name is None:
            return None
        self.files.append(FileWanted(name, use, TABLE, self.number, key, rotate, keep))
        return self.first + len(self.files) - 1

    def tls(self) -> Tls:
        """The keys about encryption."""
        ca, certificate, key = (self.file(name, FileUse.READ) for name in ("ca", "certificate", "key"))
        return Tls(ca=ca, certificate=certificate, key=key, **self.pop("server_name"))


def _kinds(value: Any) -> tuple[str, ...]:
    found = words(value)
    for pattern in found:
        if not any(fnmatchcase(kind, pattern) for kind in KINDS):
            raise BadValue(
                f"{pattern} is no kind of event", nearest(pattern, KINDS) + "write kinds, or patterns as in sensor.*"
            )
    return found


def _name(value: Any) -> str:
    found = text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", found):
        raise BadValue(f"{found} is no name for an alert", "write letters, digits, and - _ . inside, at most 63")
    return found


def _unix(value: Any) -> tuple[Transport, str, int]:
    """``unix:PATH`` or an endpoint of the network."""
    if isinstance(value, str) and value.startswith("unix:"):
        return Transport.UNIX, path(value.removeprefix("unix:")), 0
    found: tuple[Transport, str, int] = endpoint(
        {"udp": (Transport.UDP, 514), "tcp": (Transport.TCP, 601), "tls": (Transport.TLS, 6514)}
    )(value)
    return found


def _url(value: Any) -> str:
    """A URL is as secret as what it holds: many services put their token there."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value) or not value.isascii():
        raise BadValue("this is no URL of a webhook", "write https://HOST/PATH")
    return secret(value)


def _header(value: Any) -> tuple[str, ...]:
    found = words(value)
    if not all(re.fullmatch(r"[A-Za-z0-9-]+: [\x20-\x7e]+", one) for one in found):
        raise BadValue("this is no list of header lines", 'write ["Authorization: Bearer ..."]')
    return found


def _addresses(value: Any) -> tuple[str, ...]:
    found = words(value)
    for one in found:
        _mailbox(one)
    return found


def _mailbox(value: Any) -> str:
    found = text(value)
    if not re.fullmatch(r"[^\s<>@,;]+@[^\s<>@,;]+", found) or not found.isascii():
        raise BadValue(f"{found} is no mail address", "write user@example.org")
    return found


def _command(value: Any) -> tuple[str, ...]:
    found = words(value)
    path(found[0])
    return found


def _short(value: Any) -> str:
    """A text whose length fits into one byte, as hpfeeds has it."""
    found = text(value)
    if len(found.encode()) > 255:
        raise BadValue(f"{found:.40}... is too long", "write at most 255 bytes")
    return found


def _options(value: Any) -> tuple[Option, ...]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise BadValue("this is no table of texts", 'write { key = "value" }')
    return tuple(Option(text(key), one) for key, one in value.items())


COMMON: Mapping[str, Reader] = {
    "type": choice({name: name for name in TYPES}),
    "name": _name,
    "format": text,
    "kinds": _kinds,
    "level": choice({level.value.lower(): level for level in Level}),
    "services": words,
    "addresses": choice(Shown),
    "queue": whole(1, 1_000_000),
    "timeout": span(0.1, 600),
    "merge": span(0, 86_400),
    "spool": size(0, 1 << 40),
}
"""Keys of every alert."""
TLS: Mapping[str, Reader] = {"ca": path, "certificate": path, "key": path, "server_name": text}

KEYS: Mapping[str, Mapping[str, Reader]] = {
    "file": {"path": path, "rotate": size(4096, 1 << 40), "keep": whole(1, 1000)},
    "syslog": {
        "address": _unix,
        "facility": choice({name: name for name in FACILITIES}),
        "framing": choice({"octets": True, "lines": False}),
        **TLS,
    },
    "journal": {"socket": path},
    "webhook": {
        "url": _url,
        "body": choice(Body),
        "secret": secret,
        "chat": text,
        "headers": _header,
        "digest": span(0, 86_400),
        **TLS,
    },
    "mail": {
        "server": endpoint({"smtp": (False, 25), "submission": (False, 587), "smtps": (True, 465)}),
        "security": choice(Security),
        "from": _mailbox,
        "to": _addresses,
        "subject": text,
        "user": text,
        "password": secret,
        "digest": span(0, 86_400),
        **TLS,
    },
    "program": {"command": _command},
    "hpfeeds": {
        "address": endpoint({"hpfeeds": (False, 10_000), "hpfeeds+tls": (True, 10_000)}),
        "ident": _short,
        "secret": secret,
        "channel": _short,
        **TLS,
    },
    "plugin": {"plugin": text, "options": _options},
}
"""Further keys, by type."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "file": ("path",),
    "syslog": ("address",),
    "journal": (),
    "webhook": ("url",),
    "mail": ("server", "from", "to"),
    "program": ("command",),
    "hpfeeds": ("address", "ident", "secret", "channel"),
    "plugin": ("plugin",),
}
"""Keys that must be there, by type."""


def read_alerts(content: Any, first_file: int, wrong: Wrong) -> tuple[tuple[Alert, ...], tuple[FileWanted, ...]]:
    """The alerts of the array of tables *content*, and the files they name, numbered from *first_file* on. *wrong* is
    told of every mistake; a table with one is left out."""
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        wrong(0, "", f"{TABLE} is no array of tables", f"write [[{TABLE}]] on a line of its own")
        return (), ()
    if len(content) > MOST:
        wrong(MOST, "", f"{len(content)} alerts are too many", f"write at most {MOST}")
        return (), ()
    alerts: list[Alert] = []
    files: list[FileWanted] = []
    for number, table in enumerate(content):
        alert = _read(_Table(number, first_file + len(files), dict(table)), files, wrong)
        if alert is None:
            continue
        if any(alert.name == other.name for other in alerts):
            wrong(number, "name" if "name" in table else "", f"two alerts are called {alert.name}", "name them apart")
            continue
        alerts.append(alert)
    return tuple(alerts), tuple(files)


def _read(table: _Table, files: list[FileWanted], wrong: Wrong) -> Alert | None:
    number, written = table.number, table.values
    kind = written.get("type")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        known = " ".join(TYPES)
        wrong(number, "type", "an alert needs a type" if kind is None else f"{kind!r} is no type", f"one of {known}")
        return None
    kind = kind.lower()
    readers = {**COMMON, **KEYS[kind]}
    table.values = {}
    sound = True
    for key, value in written.items():
        if key not in readers:
            way_out = nearest(key, readers) + f"write one of {' '.join(sorted(readers))}"
            wrong(number, key, f"unknown key {key} for type {kind}", way_out)
            sound = False
            continue
        try:
            table.values[key] = readers[key](value)
        except BadValue as bad:
            wrong(number, key, bad.text, bad.way_out)
            sound = False
    for key in NEEDED[kind]:
        if key not in written:
            wrong(number, "", f"an alert of type {kind} needs {key}", f"write {key} = ...")
            sound = False
    if not sound:
        return None
    try:
        target = BUILD[kind](table)
    except BadValue as bad:
        wrong(number, "", bad.text, bad.way_out)
        return None
    files += table.files
    table.values.pop("type")
    name = table.values.pop("name", f"{kind}-{number + 1}")
    table.values[kind] = target
    return Alert(name=name, **table.values)


def _file(table: _Table) -> Target:
    rotate = table.values.pop("rotate", 0)
    number = table.file("path", FileUse.APPEND, rotate, table.values.pop("keep", 5))
    assert number is not None
    return FileTarget(file=number, rotate=rotate)


def _syslog(table: _Table) -> Target:
    transport, host, port = table.values.pop("address")
    octets = table.values.pop("framing", True)
    own = table.pop("facility")
    return SyslogTarget(transport=transport, host=host, port=port, octets=octets, tls=table.tls(), **own)


def _webhook(table: _Table) -> Target:
    target = WebhookTarget(**table.pop("url", "body", "secret", "chat", "headers"), tls=table.tls())
    if target.body is Body.TELEGRAM and not target.chat:
        raise BadValue("Telegram needs to know the chat", 'write chat = "..."')
    return target


def _mail(table: _Table) -> Target:
    encrypted, host, port = table.values.pop("server")
    security = table.values.pop("security", Security.TLS if encrypted else Security.STARTTLS)
    if encrypted and security is not Security.TLS:
        raise BadValue(f"smtps:// is not spoken with security {security.value}", "leave security out, or write smtp://")
    read = table.pop("subject", "user", "password")
    if "password" in read and security is Security.NONE:
        raise BadValue("a password would go over the network unencrypted", 'write security = "starttls"')
    sender, recipients = table.values.pop("from"), table.values.pop("to")
    table.values.setdefault("digest", 60.0)
    return MailTarget(
        host=host, port=port, security=security, sender=sender, recipients=recipients, tls=table.tls(), **read
    )


def _hpfeeds(table: _Table) -> Target:
    encrypted, host, port = table.values.pop("address")
    return HpfeedsTarget(
        host=host, port=port, encrypted=encrypted, tls=table.tls(), **table.pop("ident", "secret", "channel")
    )


BUILD: Mapping[str, Callable[[_Table], Target]] = {
    "file": _file,
    "syslog": _syslog,
    "journal": lambda table: JournalTarget(**table.pop("socket")),
    "webhook": _webhook,
    "mail": _mail,
    "program": lambda table: ProgramTarget(**table.pop("command")),
    "hpfeeds": _hpfeeds,
    "plugin": lambda table: PluginTarget(**table.pop("plugin", "options")),
}
"""What makes a target of a table's values; it takes those out that are the target's own."""
