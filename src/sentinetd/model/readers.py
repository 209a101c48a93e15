"""Readers of attribute values: words of the configuration in, a typed value out, `BadValue` for what cannot be used.

They are pure: whatever the machine must be asked for (users, port names, files) stays a name here. Numbers are read as
strtol(3) in base 10 does. Texts keep the words that xinetd used, so that who searches for them finds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import TypeVar

from sentinetd.model.address_words import is_host
from sentinetd.model.attribute import BadValue, Remark, Words
from sentinetd.model.values import (
    CAPTURE_MOST,
    Capture,
    Cps,
    DenyPrefix,
    FileLog,
    Interval,
    Protocol,
    Redirect,
    SourceRate,
    SyslogLog,
)

Choice = TypeVar("Choice", bound=Enum)
T = TypeVar("T")

MINUTE = 60.0
DAY = 24 * 60
"""Minutes."""

FACILITIES = (
    *("daemon", "auth", "authpriv", "user", "mail", "lpr", "news", "uucp", "ftp"),
    *(f"local{number}" for number in range(8)),
)
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Names of syslog(3) that xinetd knows."""

_LONG = 1 << 63
_SUFFIXES = {"k": 1 << 10, "m": 1 << 20}


def one(read: Callable[[str], T]) -> Callable[[Words], T]:
    """A reader of exactly one word."""
    return lambda words: read(words[0])


def is_number(word: str) -> bool:
    """Whether *word* is made of the digits 0 to 9 and nothing else."""
    return word.isascii() and word.isdigit()


def integer(word: str) -> int:
    """A whole number that fits 64 bits; a sign is allowed. ValueError otherwise."""
    digits = word[1:] if word[:1] in ("+", "-") else word
    if not is_number(digits) or len(digits) > 24:
        raise ValueError(word)
    number = int(word)
    if not -_LONG <= number < _LONG:
        raise ValueError(word)
    return number


def number(said: str, way_out: str, low: int, high: int = _LONG - 1) -> Callable[[Words], int]:
    """A reader of one whole number of *low* to *high*; *said* is what it says of others, before the word."""

    def read(words: Words) -> int:
        try:
            value = integer(words[0])
        except ValueError:
            raise BadValue(f"{said}: {words[0]}", way_out) from None
        if not low <= value <= high:
            raise BadValue(f"{said}: {words[0]}", way_out)
        return value

    return read


def count_or_unlimited(said: str) -> Callable[[Words], int | None]:
    """A reader of a count of 0 or more; None for UNLIMITED."""
    count = number(said, "write a whole number of 0 or more, or UNLIMITED", 0)
    return lambda words: None if words[0].upper() == "UNLIMITED" else count(words)


def yes_or_no(said: str) -> Callable[[Words], bool]:
    def read(words: Words) -> bool:
        word = words[0].lower()
        if word not in ("yes", "no"):
            raise BadValue(f"{said}: {words[0]}", "write yes or no")
        return word == "yes"

    return read


def choice(noun: type[Choice], said: str) -> Callable[[Words], Choice]:
    """A reader of one of the values of *noun*, in any case."""
    table = {one.value.lower(): one for one in noun}
    return lambda words: _chosen(table, words[0], said)


def choices(noun: type[Choice], said: str, *, at_least_one: str = "") -> Callable[[Words], frozenset[Choice]]:
    """A reader of any number of the values of *noun*; *at_least_one* names the attribute if one is needed."""
    table = {one.value.lower(): one for one in noun}

    def read(words: Words) -> frozenset[Choice]:
        if at_least_one:
            need_one(at_least_one, words)
        return frozenset(_chosen(table, word, said) for word in words)

    return read


def need_one(name: str, words: Words) -> None:
    """BadValue unless there is a word."""
    if not words:
        raise BadValue(
            f"attribute {name} expects at least 1 value and none was given.", "write a value, or delete the line"
        )


def some_words(name: str) -> Callable[[Words], tuple[str, ...]]:
    """A reader of one or more words, kept as they are."""

    def read(words: Words) -> tuple[str, ...]:
        need_one(name, words)
        return tuple(words)

    return read


def user_word(kind: str) -> Callable[[Words], str]:
    """A reader of a user or group: a name, or a number of 32 bits."""

    def read(words: Words) -> str:
        word = words[0]
        if is_number(word) and (len(word) > 10 or int(word) >= (1 << 32) - 1):
            raise BadValue(f"Error parsing {kind} as a number: {word}", "write a number below 4294967295, or a name")
        return word

    return read


def relative_remarks(words: Words) -> Iterator[Remark]:
    """A server starts in the root directory, so a relative path begins there."""
    if not words[0].startswith("/"):
        yield Remark(f"{words[0]} is relative to /", f"write /{words[0]} if it is meant")


def protocol(words: Words) -> Protocol:
    """A name of protocols(5), not yet looked up."""
    return Protocol(words[0], -1)


def environment(words: Words) -> tuple[str, ...]:
    """``NAME=value`` words."""
    for word in words:
        if word.find("=") < 1:
            raise BadValue(f"{word} has no '='" if "=" not in word else f"{word} has no name", "write NAME=value")
    return tuple(words)


def cps(words: Words) -> Cps:
    """A rate below 0 is a huge one to xinetd, which reads it by strtoull(3): no check, as with 0."""
    way_out = "write two whole numbers: connections a second, seconds of pause"
    rate = number("cps argument not a number", way_out, -_LONG)
    wait = number("cps time argument not a number", way_out, 0)
    return Cps(max(0, rate(words[:1])), wait(words[1:]))


def source_rate(words: Words) -> SourceRate:
    way_out = "write RATE SPAN: connections of one source, and in how many seconds"
    rate = number("cps_source rate is invalid", way_out, 1)(words[:1])
    return SourceRate(rate, _seconds(words[1], "cps_source span is invalid", way_out, low=0.001))


def load(words: Words) -> float:
    """A load average, not zero. What stands after the number is passed over, as by sscanf(3) in xinetd."""
    try:
        value = float(_numeral(words[0]))
    except ValueError:
        raise BadValue(f"error reading max_load argument: {words[0]}", "write a number such as 2.5") from None
    if not value or not math.isfinite(value):
        raise BadValue(
            f"error parsing max_load argument: {words[0]}", "write a number other than 0, or delete the line"
        )
    return value


def load_remarks(words: Words) -> Iterator[Remark]:
    """Text after the number may have been meant to say something."""
    read = _numeral(words[0])
    if read != words[0]:
        yield Remark(f"max_load argument {words[0]} is read as {read}", f"write {read}")


def _numeral(word: str) -> str:
    """The longest beginning of *word* that is a number; "" if there is none."""
    for end in range(len(word), 0, -1):
        with suppress(ValueError):
            float(word[:end])
            return word[:end]
    return ""


def octal(words: Words) -> int:
    word = words[0].removeprefix("+")
    if not word or len(word) > 6 or any(digit not in "01234567" for digit in word) or int(word, 8) > 0o777:
        raise BadValue(f"umask argument is invalid: {word}", "write an octal number of 0 to 777, as 022")
    return int(word, 8)


def rpc_version(words: Words) -> tuple[int, int]:
    low, dash, high = words[0].partition("-")
    try:
        first, last = integer(low), integer(high) if dash else integer(low)
    except ValueError:
        first, last = 1, 0
    if not 0 <= first <= last < 1 << 32:
        raise BadValue(f"bad version range: {words[0]}", "write a version, or LOW-HIGH")
    return first, last


def size_limit(name: str, said: str) -> Callable[[Words], tuple[tuple[str, float], ...]]:
    """A reader of one resource limit in bytes (k and m: 1024 and 1024 times 1024), UNLIMITED, or 0 for unchanged."""
    return _limit(name, said, _SUFFIXES, "write a number, optionally with k or m, or UNLIMITED")


def plain_limit(name: str, said: str) -> Callable[[Words], tuple[tuple[str, float], ...]]:
    """A reader of one resource limit without a unit suffix, UNLIMITED, or 0 for unchanged."""
    return _limit(name, said, {}, "write a whole number, or UNLIMITED")


def _limit(
    name: str, said: str, suffixes: Mapping[str, int], way_out: str
) -> Callable[[Words], tuple[tuple[str, float], ...]]:
    def read(words: Words) -> tuple[tuple[str, float], ...]:
        if words[0].upper() == "UNLIMITED":
            return ((name, math.inf),)
        value = _sized(words[0], said, suffixes, way_out)
        return ((name, value),) if value else ()

    return read


def _sized(word: str, said: str, suffixes: Mapping[str, int], way_out: str) -> float:
    """A size in bytes. One below 0 is no limit: xinetd reads it by strtoull(3), which makes a huge number of it."""
    factor = suffixes.get(word[-1:].lower(), 0)
    try:
        value = integer(word[:-1] if factor else word) * (factor or 1)
    except ValueError:
        value = _LONG
    if value >= _LONG:
        raise BadValue(f"{said}: {word}", way_out)
    return float(value) if value >= 0 else math.inf


def ban_span(words: Words) -> float:
    """Minutes as seconds; `math.inf` for FOREVER, 0.0 for NEVER and whatever is over before it begins."""
    word = words[0].upper()
    if word in ("FOREVER", "-1"):
        return math.inf
    if word == "NEVER":
        return 0.0
    try:
        return max(0, integer(word)) * MINUTE
    except ValueError:
        raise BadValue(f"Error parsing: {words[0]}", "write whole minutes, FOREVER or NEVER") from None


def ban_span_remarks(words: Words) -> Iterator[Remark]:
    """A negative number other than -1 ends the ban before it begins."""
    if words[0].startswith("-") and words[0] != "-1":
        yield Remark(f"{words[0]} minutes bans nobody", "write NEVER if that is meant")


def interval_list(words: Words) -> tuple[Interval, ...]:
    """``H:M-H:M`` words. One over midnight becomes two intervals; 24:00 is the end of the day."""
    need_one("access_times", words)
    found: list[Interval] = []
    for word in words:
        start, end = _bounds(word)
        if start < end:
            found.append(Interval(start, min(end, DAY - 1)))
        else:
            found += Interval(start, DAY - 1), Interval(0, end)
    return tuple(found)


def _bounds(word: str) -> tuple[int, int]:
    way_out = "write HOUR:MINUTE-HOUR:MINUTE, as 8:00-17:30"
    ends = word.split("-")
    clock = [part for end in ends for part in end.split(":")]
    if (
        len(ends) != 2
        or len(clock) != 4
        or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in clock)
    ):
        raise BadValue(f"incorrect time interval: {word}", way_out)
    numbers = [int(part) for part in clock]
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if numbers[1] > 59 or numbers[3] > 59 or start >= DAY or end > DAY:
        raise BadValue(
            f"invalid time interval: {word}", "hours go from 0 to 23 (24:00 as an end), minutes from 0 to 59"
        )
    if start == end:
        raise BadValue(f"invalid time interval: {word}: it ends where it starts", way_out)
    return start, end


def log_target(words: Words) -> FileLog | SyslogLog:
    """``SYSLOG facility [level]`` or ``FILE name [soft [hard]]``."""
    need_one("log_type", words)
    form = words[0].upper()
    if form == "SYSLOG":
        return _syslog(words[1:])
    if form == "FILE":
        return _file(words[1:])
    raise BadValue(f"Unknown log type: {words[0]}", "write SYSLOG facility [level], or FILE name [soft [hard]]")


def _syslog(words: Words) -> SyslogLog:
    if not 1 <= len(words) <= 2:
        raise BadValue(
            f"wrong number of arguments: SYSLOG takes 1 or 2, not {len(words)}", "write SYSLOG facility [level]"
        )
    facility, level = words[0].lower(), words[1].lower() if len(words) > 1 else "info"
    if facility not in FACILITIES:
        raise BadValue(f"Unknown syslog facility: {words[0]}", f"write one of {' '.join(FACILITIES)}")
    if level not in LEVELS:
        raise BadValue(f"Unknown syslog level: {words[1]}", f"write one of {' '.join(LEVELS)}")
    return SyslogLog(facility, level)


def _file(words: Words) -> FileLog:
    way_out = "write FILE name [soft [hard]], limits in bytes, optionally with k or m"
    if not 1 <= len(words) <= 3:
        raise BadValue(f"wrong number of arguments: FILE takes 1 to 3, not {len(words)}", way_out)
    soft = _sized(words[1], "soft limit is invalid", _SUFFIXES, way_out) if len(words) > 1 else 0
    if not soft or soft == math.inf:
        return FileLog(words[0])
    if len(words) == 2:
        return FileLog(words[0], int(soft), int(soft + min(max(soft // 100, 5120), 20480)))
    hard = min(_sized(words[2], "hard limit is invalid", _SUFFIXES, way_out), float(_LONG - 1024))
    if hard < soft:
        text = f"hard limit ({words[2]}) is less than soft limit ({words[1]})"
        raise BadValue(text, "make the second number the larger one")
    return FileLog(words[0], int(soft), int(hard))


def redirect(words: Words) -> Redirect:
    """A host, and a port by number; whoever has services(5) at hand turns a port's name into its number first."""
    host, port = words
    if not is_host(host):
        raise BadValue(f"bad address: {host}", "write an address or a host name, then a port")
    if not is_number(port) or not int(port[:9]):
        raise BadValue(f"port number invalid: {port}", "write a port of 1 to 65535, or a tcp name from /etc/services")
    if len(port) > 9 or int(port) > 65535:
        raise BadValue(f"port number too large: {port}", "write a port of 1 to 65535")
    return Redirect(host, int(port))


def deny_prefix(words: Words) -> DenyPrefix:
    way_out = "write V4LEN V6LEN: bits of an IPv4 address (8 to 32) and of an IPv6 address (16 to 128)"
    v4 = number("deny_prefix IPv4 length is invalid", way_out, 8, 32)(words[:1])
    v6 = number("deny_prefix IPv6 length is invalid", way_out, 16, 128)(words[1:])
    return DenyPrefix(v4, v6)


def capture(words: Words) -> Capture:
    way_out = f"write BYTES [SECONDS]: 1 to {CAPTURE_MOST} bytes, 0.1 to 60 seconds"
    size = number("capture size is invalid", way_out, 1, CAPTURE_MOST)(words[:1])
    seconds = _seconds(words[1], "capture time is invalid", way_out, 0.1, 60.0) if len(words) > 1 else 5.0
    return Capture(size, seconds)


def tarpit(words: Words) -> float:
    return _seconds(words[0], "tarpit time is invalid", "write seconds, from 0 to 3600", 0.0, 3600.0)


def _seconds(word: str, said: str, way_out: str, low: float, high: float = 86400.0) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadValue(f"{said}: {word}", way_out)
    return value


def _chosen(table: Mapping[str, Choice], word: str, said: str) -> Choice:
    found = table.get(word.lower())
    if found is None:
        known = " ".join(one.value for one in table.values())
        raise BadValue(f"{said}: {word}", f"{nearest(word, table)}write one of {known}")
    return found


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean X? `` where one of *known* is like *word*, else nothing."""
    from difflib import get_close_matches  # only where a mistake is told: it is slow to import

    near = get_close_matches(word.lower(), list(known), n=1)
    return f"did you mean {near[0]}? " if near else ""
