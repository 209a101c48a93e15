"""The options of a rule, after its second colon (hosts_options(5)): do they admit, refuse, or leave it at the match?

Nothing is carried out here. What only logs or tunes the connection is passed over. What would run a command to decide,
or change what the server may do, refuses: to go on as if it were not there would admit more than was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """*admit* None: as the table says. *why*: what made the options refuse, if they did not say so. *spawns*: a shell
    command would have been run on the way."""

    admit: bool | None = None
    why: str = ""
    spawns: bool = False


_SEVERITIES = frozenset(
    {b"emerg", b"alert", b"crit", b"err", b"error", b"warning", b"warn", b"notice", b"info", b"debug"}
)
_FACILITIES = frozenset(
    {b"kern", b"user", b"mail", b"daemon", b"auth", b"authpriv", b"lpr", b"news", b"uucp", b"cron", b"ftp"}
    | {b"local%d" % number for number in range(8)}
)


def _severity(value: bytes) -> bool:
    facility, dot, level = value.rpartition(b".")
    return level in _SEVERITIES and (not dot or facility in _FACILITIES)


def _whole(value: bytes) -> bool:
    return value.lstrip(b"+-").isdigit() and len(value) < 10


def _above_zero(value: bytes) -> bool:
    return _whole(value) and int(value) > 0


def _not_below_zero(value: bytes) -> bool:
    return _whole(value) and int(value) >= 0


PASSED_OVER: dict[bytes, tuple[bool, Callable[[bytes], bool]]] = {
    b"severity": (True, _severity),
    b"rfc931": (False, _above_zero),
    b"nice": (False, _whole),
    b"linger": (True, _not_below_zero),
    b"banners": (True, lambda value: True),
}
"""Options that change nothing of the verdict: whether they need a value, and what is a good one."""

NOT_CARRIED_OUT = frozenset({b"user", b"group", b"umask", b"setenv", b"aclexec", b"twist"})
"""Options that refuse, whatever they say."""


def outcome(text: bytes) -> Outcome:
    """What the options *text* do, in their order; the first that decides or is wrong ends them."""
    fields = list(_fields(text))
    spawns = False
    for number, field in enumerate(fields, 1):
        key, value = _split(field)
        said = key.decode("ascii", "backslashreplace")
        if not key:
            return Outcome(False, "missing option name", spawns)
        if key in (b"allow", b"deny"):
            if value:
                return Outcome(False, f"option {said} requires no value", spawns)
            if number < len(fields):
                return Outcome(False, f"option {said} must be at the end", spawns)
            return Outcome(key == b"allow", "", spawns)
        if key == b"spawn":
            if not value:
                return Outcome(False, "option spawn requires a value", spawns)
            spawns = True
        elif key == b"keepalive":
            if value:
                return Outcome(False, "option keepalive requires no value", spawns)
        elif key in PASSED_OVER:
            needed, good = PASSED_OVER[key]
            if (needed and not value) or (value and not good(value)):
                return Outcome(False, f"option {said} has a bad value", spawns)
        elif key in NOT_CARRIED_OUT:
            return Outcome(False, f"option {said} is not carried out", spawns)
        else:
            return Outcome(False, f"bad option name: {said}", spawns)
    return Outcome(spawns=spawns)


def _fields(text: bytes) -> Iterator[bytes]:
    r"""The parts of *text* between colons; ``\:`` is a colon within one."""
    field = bytearray()
    place, begun = 0, bool(text)
    while place < len(text):
        if text[place : place + 1] == b":":
            yield bytes(field)
            field.clear()
            begun = place + 1 < len(text)
        else:
            place += text[place : place + 2] == b"\\:"
            field += text[place : place + 1]
        place += 1
    if begun:
        yield bytes(field)


def _split(field: bytes) -> tuple[bytes, bytes]:
    """Keyword in lower case and value; blanks or one ``=`` between them."""
    field = field.strip(b" \t\n\v\f\r")
    end = next((place for place, byte in enumerate(field) if byte in b"= \t\r\n"), len(field))
    key, rest = field[:end], field[end:]
    if not rest.startswith(b"="):
        rest = rest[1:].lstrip(b" \t\r\n")
    if rest.startswith(b"="):
        rest = rest[1:].lstrip(b" \t\r\n")
    return key.lower(), rest
