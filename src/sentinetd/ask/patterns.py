"""The patterns of hosts_access(5): which daemons, hosts and users a word of hosts.allow or hosts.deny means.

They mean what the C library of tcp wrappers (7.6.q with Debian's patches) takes them for, with its limits: an address
mask must be a dotted quad other than 255.255.255.255 or a number from 1 to 32, a network with host bits set matches
nothing. What is not known yet, or can never be, is neither a match nor none: `Unsure` says what is lacking.

Differences: a name and an address are never confused (a word of digits, dots and wildcards means addresses only), and
netgroups are not asked.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Self

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass

UNKNOWN = b"unknown"
"""Stands for a name or user that there is not; UNKNOWN matches it."""
PARANOID = b"paranoid"
"""Stands for a host name that does not lead back to its address; PARANOID matches it."""
DEEPEST = 8
"""Files of patterns that may name each other in a row."""


class Fact(Enum):
    """What a pattern may need that must be found out first."""

    CLIENT_NAME = "the client's host name"
    SERVER_NAME = "the server's host name"
    USER = "the client's user"


@dataclass(frozen=True, slots=True)
class Unsure:
    """Neither a match nor none: *facts* would help, or *why* says why nothing does."""

    facts: frozenset[Fact] = frozenset()
    why: str = ""


LACKING = {fact: Unsure(frozenset((fact,))) for fact in Fact}
"""What is said when just one fact is lacking."""

Truth = bool | Unsure


def negation(truth: Truth) -> Truth:
    """What is not *truth*."""
    return truth if isinstance(truth, Unsure) else not truth


def any_of(truths: Iterable[Truth]) -> Truth:
    """Whether one of *truths* holds."""
    unsure: Truth = False
    for truth in truths:
        if truth is True:
            return True
        if isinstance(truth, Unsure):
            unsure = truth if unsure is False else merged(unsure, truth)
    return unsure


def both(first: Truth, second: Truth) -> Truth:
    """Whether *first* and *second* hold."""
    return negation(any_of((negation(first), negation(second))))


def merged(first: Truth, second: Truth) -> Unsure:
    """Everything that two lack."""
    lacking = [one for one in (first, second) if isinstance(one, Unsure)]
    return Unsure(
        frozenset(fact for one in lacking for fact in one.facts), next((one.why for one in lacking if one.why), "")
    )


@dataclass(frozen=True, slots=True)
class Host:
    """One end of a connection: its address, its text as the patterns see it, and which fact its name is."""

    address: Address
    text: bytes
    name: Fact

    @classmethod
    def at(cls, address: Address, name: Fact) -> Self:
        """The end that has this *address*."""
        return cls(address, address.text.encode().lower(), name)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known so far, in small letters.

    *patterns_in* gives the patterns of a file: empty where there is none, None where it cannot be read.
    """

    facts: Mapping[Fact, bytes]
    patterns_in: Callable[[bytes], tuple[HostPattern, ...] | None]


HostPattern = Callable[[Host, Known, int], Truth]
"""Whether a host is meant, as far as is known, so many files deep."""


TextPattern = Callable[[bytes], bool]
"""Whether a text, in small letters, is meant."""


def text_pattern(word: bytes) -> TextPattern:
    """What *word* means of a text: ALL, KNOWN, a suffix, a prefix, with wildcards, or the whole of it."""
    word = word.lower()
    if b"*" in word or b"?" in word:
        return lambda text: glob_matches(word, text)
    if word.startswith(b"."):
        return lambda text: len(text) > len(word) and text.endswith(word)
    if word == b"all":
        return lambda text: True
    if word == b"known":
        return lambda text: text != UNKNOWN
    if word.endswith(b"."):
        return lambda text: text.startswith(word)
    return lambda text: text == word


def glob_matches(pattern: bytes, text: bytes) -> bool:
    """Whether *pattern* with ``*`` and ``?`` means all of *text*. Never slower than the product of both lengths."""
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == 0x2A:
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in (0x3F, text[at]):
            place += 1
            at += 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return not pattern[place:].strip(b"*")


def split_at(text: bytes, mark: bytes, start: int = 0) -> tuple[bytes, bytes | None]:
    """*text* before and after the first *mark* from *start* on that stands outside brackets; None if there is none."""
    if b"[" not in text and b"]" not in text:
        place = text.find(mark, start)
        return (text, None) if place < 0 else (text[:place], text[place + 1 :])
    depth = 0
    for place in range(start, len(text)):
        byte = text[place : place + 1]
        if byte == b"[":
            depth += 1
        elif byte == b"]":
            depth -= 1
        elif depth == 0 and byte == mark:
            return text[:place], text[place + 1 :]
    return text, None


def host_pattern(word: bytes) -> HostPattern:
    """The host pattern that *word* is."""
    if word.startswith(b"@"):
        return _netgroup(word)
    if word.startswith(b"/"):
        return _file(word)
    if word.lower() == b"known":
        return lambda host, known, depth: _of_name(host, known, lambda name: name not in (UNKNOWN, PARANOID))
    if word.lower() == b"local":
        return lambda host, known, depth: _of_name(
            host, known, lambda name: b"." not in name and name not in (UNKNOWN, PARANOID)
        )
    net, mask = split_at(word, b"/")
    if mask is not None:
        return _network(net, mask)
    if word.startswith(b"[") and word.endswith(b"]"):
        return _network(word, b"128")
    return _plain(word)


def _of_name(host: Host, known: Known, holds: Callable[[bytes], bool]) -> Truth:
    name = known.facts.get(host.name)
    return LACKING[host.name] if name is None else holds(name)


def _netgroup(word: bytes) -> HostPattern:
    why = f"netgroups are not asked ({word.decode('ascii', 'backslashreplace')})"
    return lambda host, known, depth: Unsure(why=why)


def _file(path: bytes) -> HostPattern:
    said = path.decode("ascii", "backslashreplace")

    def matches(host: Host, known: Known, depth: int) -> Truth:
        if depth == DEEPEST:
            return Unsure(why=f"{said}: files of patterns name each other too often")
        patterns = known.patterns_in(path)
        if patterns is None:
            return Unsure(why=f"{said} cannot be read")
        return any_of(pattern(host, known, depth + 1) for pattern in patterns)

    return matches


def _plain(word: bytes) -> HostPattern:
    means = text_pattern(word)
    if not word.strip(b"0123456789./*?"):
        return lambda host, known, depth: means(host.text)

    def matches(host: Host, known: Known, depth: int) -> Truth:
        return means(host.text) or _of_name(host, known, means)

    return matches


def _network(net: bytes, mask: bytes) -> HostPattern:
    """``net/mask`` or ``[net]/length``; what is not well-formed matches nothing, as in the C library."""
    if net.startswith(b"[") and net.endswith(b"]"):
        base6, bits = _ipv6(net[1:-1]), _leading_number(mask)
        if base6 is None or not 0 <= bits <= 128:
            return _never
        shift = 128 - bits
        return lambda host, known, depth: host.address.version == 6 and host.address.value >> shift == base6 >> shift
    base4, mask4 = _quad(net), _quad(mask)
    if mask4 is None:
        bits = _leading_number(mask)
        mask4 = (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF if 1 <= bits <= 32 else None
    if base4 is None or mask4 is None:
        return _never
    return lambda host, known, depth: host.address.version == 4 and host.address.value & mask4 == base4


def _never(host: Host, known: Known, depth: int) -> Truth:
    return False


def _ipv6(text: bytes) -> int | None:
    try:
        return int(ipaddress.IPv6Address(text.decode("ascii").partition("%")[0]))
    except ValueError:
        return None


def _quad(text: bytes) -> int | None:
    """Four numbers as inet_addr(3) reads them, octal and hexadecimal included; all ones is its error, hence none."""
    if len([run for run in text.split(b".") if run]) != 4:
        return None
    try:
        value = int.from_bytes(socket.inet_aton(text.decode("ascii")), "big")
    except (OSError, ValueError):
        return None
    return None if value == 0xFFFFFFFF else value


def _leading_number(text: bytes) -> int:
    """What atoi(3) makes of *text*: the number it begins with, or 0."""
    text = text.lstrip(b" \t\n\v\f\r")
    sign = -1 if text.startswith(b"-") else 1
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    count = len(digits) - len(digits.lstrip(b"0123456789"))
    return sign * int(digits[: min(count, 20)] or b"0")
