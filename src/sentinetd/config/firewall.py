"""The table [firewall] of sentinetd.toml."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from sentinetd.config.host import Host
from sentinetd.model.attribute import BadValue
from sentinetd.model.readers import nearest
from sentinetd.model.settings import AtStop, FirewallBackend, FirewallSettings, Guarded, Refusing
from sentinetd.model.values import Credentials

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
"""Of a table: what the nft program can be given without quotes."""

Reader = Callable[[Any], Any]
E = TypeVar("E", bound=StrEnum)


def readers(host: Host, truth: Reader, strings: Reader) -> dict[str, Reader]:
    """What reads which key; *truth* and *strings* are the readers of those kinds of value."""
    return {
        "enabled": truth,
        "backend": _choice(FirewallBackend),
        "verdict": _choice(Refusing),
        "ports": _choice(Guarded),
        "table": _table,
        "at_stop": _choice(AtStop),
        "forwarded": truth,
        "command": lambda value: _command(strings(value), host),
        "user": lambda value: _credentials(value, host),
    }


def settings(values: Mapping[str, Any]) -> FirewallSettings:
    """The settings that the values read by `readers` make. BadValue if they do not fit together."""
    named = {("credentials" if key == "user" else key): value for key, value in values.items()}
    made = FirewallSettings(**named)
    if made.enabled and made.backend is FirewallBackend.COMMAND and not made.command:
        raise BadValue(
            'backend = "command" without a command', 'write command = ["/usr/local/sbin/PROGRAM", "ARGUMENT"]'
        )
    return made


def _choice(kind: type[E]) -> Callable[[Any], E]:
    def read(value: Any) -> E:
        names = [one.value for one in kind]
        if not isinstance(value, str) or value not in names:
            near = nearest(value, names) if isinstance(value, str) else ""
            raise BadValue(f"{value!r} is none of the choices", f"{near}write one of {' '.join(names)}")
        return kind(value)

    return read


def _table(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadValue(f"{value!r} is no name for a table", "write a word of letters, digits and _ . - ")
    return value


def _command(words: list[str], host: Host) -> tuple[str, ...]:
    if not words or not words[0].startswith("/"):
        raise BadValue(
            f"{words!r} does not begin with the full path of a program", "no shell and no PATH look for it: write all"
        )
    why = host.not_executable(words[0])
    if why:
        raise BadValue(f"{words[0]} cannot be executed: {why}", "mend the path or its permissions")
    return tuple(words)


def _credentials(value: Any, host: Host) -> Credentials:
    found = host.user(value) if isinstance(value, str) else None
    if found is None:
        raise BadValue(f"unknown user {value!r}", "write the name of a user of this host")
    return Credentials(found.uid, found.gid, host.groups(found.name, found.gid))
