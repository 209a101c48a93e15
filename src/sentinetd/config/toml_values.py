"""Readers of single values of sentinetd.toml. BadValue says what is wrong and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from sentinetd.model.attribute import BadValue
from sentinetd.model.readers import nearest

Reader = Callable[[Any], Any]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
LONGEST_SPAN = 3650 * 86_400.0
LONGEST_TEXT = 4096
"""Characters that a text may have."""
MOST_TEXTS = 256
"""Texts that a list may have."""


def whole(low: int, high: int) -> Reader:
    """A whole number of *low* to *high*."""

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise BadValue(f"{value!r} is not a whole number of {low} to {high}", f"write a number of {low} to {high}")
        return value

    return read


def truth(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadValue(f"{value!r} is neither true nor false", "write true or false, without quotes")
    return value


def strings(value: Any) -> list[str]:
    """A list of texts that are not empty."""
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise BadValue(f"{value!r} is not a list of strings", 'write ["192.0.2.0/24", "2001:db8::/32"]')
    return value


def words(value: Any) -> tuple[str, ...]:
    """A list of texts, or a single text for a list of one."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given or not all(isinstance(one, str) and one for one in given):
        raise BadValue(f"{value!r} is not a list of strings", 'write ["one", "two"]')
    if len(given) > MOST_TEXTS:
        raise BadValue(f"{len(given)} strings are too many", f"write at most {MOST_TEXTS}")
    return tuple(text(one) for one in given)


def text(value: Any) -> str:
    """A text of printable characters that is not empty."""
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > LONGEST_TEXT:
        raise BadValue(f"{value!r:.80} is not a line of text", f'write "...", at most {LONGEST_TEXT} characters')
    return value


def secret(value: Any) -> str:
    """As `text`, but never repeated in a message."""
    try:
        return text(value)
    except BadValue as bad:
        raise BadValue("this is not a line of text", bad.way_out) from None


def path(value: Any) -> str:
    """An absolute path."""
    found = text(value)
    if not found.startswith("/"):
        raise BadValue(f"{found} is no absolute path", f"write /.../{found}")
    return found


def choice(names: Mapping[str, Any] | type[Enum]) -> Reader:
    """One of *names*, as what it stands for."""
    table = {one.value: one for one in names} if isinstance(names, type) else names

    def read(value: Any) -> Any:
        if not isinstance(value, str) or value.lower() not in table:
            known = " ".join(table)
            raise BadValue(f"{value!r} is none of {known}", nearest(str(value), table) + f"write one of {known}")
        return table[value.lower()]

    return read


def span(low: float, high: float = LONGEST_SPAN) -> Reader:
    """Seconds, *low* to *high*: a number, or one with a unit as in "5m"."""

    def read(value: Any) -> float:
        seconds: float | None = None
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        elif isinstance(value, str) and (match := re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])", value)):
            seconds = float(match[1]) * UNITS[match[2]]
        if seconds is None or not low <= seconds <= high:
            way_out = 'write 30, "30s", "5m", "2h" or "7d"'
            raise BadValue(f"{value!r} is no span of {low:g} to {high:g} seconds", way_out)
        return seconds

    return read


def size(low: int, high: int) -> Reader:
    """Bytes, *low* to *high*: a number, or one with a unit as in "64M"."""

    def read(value: Any) -> int:
        count: int | None = None
        if isinstance(value, int) and not isinstance(value, bool):
            count = value
        elif isinstance(value, str) and (match := re.fullmatch(r"(\d{1,15})\s*([KMG]?)", value.upper())):
            count = int(match[1]) * SIZES[match[2]]
        if count is None or not low <= count <= high:
            raise BadValue(f"{value!r} is no size of {low} to {high} bytes", 'write 1048576, "512K", "64M" or "1G"')
        return count

    return read


def endpoint(schemes: Mapping[str, tuple[Any, int]]) -> Reader:
    """``SCHEME://HOST[:PORT]`` as what the scheme stands for, host and port. *schemes* maps each to that and to its
    usual port, 0: there is none."""

    def read(value: Any) -> tuple[Any, str, int]:
        known = " or ".join(f"{scheme}://HOST{'' if port else ':PORT'}" for scheme, (_, port) in schemes.items())
        match = re.fullmatch(r"([a-z+]+)://(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?/?", text(value))
        if match is None or match[1] not in schemes:
            raise BadValue(f"{value!r} is no address of this kind", f"write {known}")
        meant, usual = schemes[match[1]]
        port = int(match[3]) if match[3] else usual
        if not 0 < port < 65536:
            raise BadValue(f"{value!r} has no port" if not match[3] else f"{match[3]} is no port", f"write {known}")
        return meant, match[2].strip("[]"), port

    return read
