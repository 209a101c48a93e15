"""What a line of a list comes to: a network to ban, or what is wrong with it. And the words of such lines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime

from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """*network*, in line *line*, is to be banned for *span* seconds (`math.inf`: for ever; None: the list does not
    say), because of *note*."""

    line: int
    network: Network
    span: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Line *line* is of no use: *text* says why."""

    line: int
    text: str


Item = Entry | Fault


class NoEntry(ValueError):
    """A word is not what it should be; the text says why."""


SHOWN = 60
"""Characters of a bad word that a fault shows."""


def shown(word: str) -> str:
    """*word* as a fault names it."""
    return repr(word if len(word) <= SHOWN else f"{word[:SHOWN]}...")


def networks(word: str) -> Iterator[Network]:
    """The networks that *word* spells: ``address``, ``address/bits`` or ``first-last``. NoEntry if it spells none.

    Host bits must be zero: who writes 192.0.2.9/24 means one of two things, and a ban is not for guessing.
    """
    first, dash, last = word.partition("-")
    try:
        ends = (Address.parse(first), Address.parse(last)) if dash else None
        network = Network.parse(first if dash else word)
        whole = Address.parse(first.partition("/")[0])
    except ValueError as error:
        raise NoEntry(f"{shown(word)} is no address and no network") from error
    if ends is not None:
        yield from _range(*ends)
        return
    if network.scope:
        raise NoEntry(f"{shown(word)} is an address of one interface only")
    if network.value != whole.value:
        raise NoEntry(f"{shown(word)} has host bits set; {network} or {whole}?")
    yield network


def _range(first: Address, last: Address) -> Iterator[Network]:
    """The fewest networks that hold exactly *first* to *last*."""
    if first.version != last.version or first.value > last.value or first.scope or last.scope:
        raise NoEntry(f"{first}-{last} is no range")
    bits, value = BITS[first.version], first.value
    while value <= last.value:
        size = min(value & -value if value else 1 << bits, 1 << (last.value - value + 1).bit_length() - 1)
        yield Network(first.version, value, bits - size.bit_length() + 1)
        value += size


_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(ms|us|ns|[wdhms])")


def duration(word: str) -> float:
    """Seconds: a number of them, or as Go and nft write it (``3h59m51s``); -1 and ``forever`` are for ever. NoEntry if
    it is neither. What is over already is less than zero."""
    text = word.strip().lower().replace("\u00b5s", "us").replace("\u03bcs", "us")
    if text in ("-1", "forever", "inf", "never", "permanent"):
        return math.inf
    sign, text = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    if text.replace(".", "", 1).isdigit() and text.isascii() and len(text) < 20:
        return sign * float(text)
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise NoEntry(f"{shown(word)} is no duration")
    return sign * sum(float(part[1]) * _UNITS[part[2]] for part in parts)


def until(word: str, now: float) -> float:
    """Seconds from Unix time *now* to the date *word*: Unix time, or ISO 8601 (local time where it does not say); an
    empty one is for ever. NoEntry if it is none of these."""
    text = word.strip()
    if text.lower() in ("", "null", "inf", "never", "forever"):
        return math.inf
    try:
        if text.replace(".", "", 1).isdigit() and text.isascii():
            return float(text) - now
        return datetime.fromisoformat(text).timestamp() - now
    except (ValueError, OverflowError, OSError) as error:
        raise NoEntry(f"{shown(word)} is no date") from error
