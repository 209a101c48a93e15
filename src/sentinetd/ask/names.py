"""Host names of addresses and addresses of host names, as the C library finds them. Every function here blocks.

A name counts only when it is confirmed: whoever rules the reverse zone of an address may put any name there, so the
name must lead back to the address (as in hosts_access(5), PARANOID). Whatever cannot be found out for now is None,
which is something else than knowing that there is nothing.

Names go to the C library as bytes: for text, Python loads its IDNA codec late, from files the porter may not read.
"""

from __future__ import annotations

import socket

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass

KNOWN_LIFE = 60.0
"""Seconds for which a name is remembered: the C library does not tell the record's own life."""
NONE_LIFE = 10.0
"""Seconds for which it is remembered that there is none."""
ADDRESSES_LIFE = 1.0
"""Seconds for which the addresses of a name are remembered. How long they hold the host's resolver knows, which is
asked again for the next connection; this bounds how often."""
ADDRESSES_STALE = 86_400.0
"""Seconds for which they serve where the resolver cannot be reached (RFC 8767 section 5: one to three days)."""

LONGEST_NAME = 253
"""Characters of a host name in text (RFC 1035 section 2.3.4)."""
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_THERE_IS_NONE = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class HostName:
    """What is known of an address's name: *text* is the confirmed name in the case it was given, or "".

    *liar*: there is a name, but it does not lead back (PARANOID of hosts_access(5)).
    """

    text: str
    liar: bool = False


UNNAMED = HostName("")
LIAR = HostName("", liar=True)


def name_of(source: str) -> HostName | None:
    """The host name of the address *source*; None where the resolver could not find out."""
    try:
        name = socket.getnameinfo((source, 0), socket.NI_NAMEREQD)[0].removesuffix(".")
    except OSError as error:  # gaierror, or the plain error of a look-up that lacked a descriptor
        return UNNAMED if error.errno in _THERE_IS_NONE else None
    except UnicodeDecodeError:
        return LIAR
    if not is_host_name(name):
        return LIAR
    wanted = Address.parse(source)
    found = addresses_of(name, wanted.version)
    if found is None:
        return None
    return HostName(name) if any((one.version, one.value) == (wanted.version, wanted.value) for one in found) else LIAR


def addresses_of(name: str, version: int = 0) -> tuple[Address, ...] | None:
    """The addresses of the host *name* in the order of gai.conf(5), of one IP *version* or (0) of both.

    Empty where it certainly has none; None where the resolver could not find out.
    """
    try:
        rows = socket.getaddrinfo(name.encode(), None, _FAMILY.get(version, socket.AF_UNSPEC), socket.SOCK_STREAM)
    except OSError as error:  # gaierror, or the plain error of a look-up that lacked a descriptor
        return () if error.errno in _THERE_IS_NONE else None
    return tuple(dict.fromkeys(Address.parse(str(row[4][0])) for row in rows))


def is_host_name(text: str) -> bool:
    """Whether *text* can name a host and is no address in disguise.

    An address of its own reverse zone's making (``127.0.0.1``, ``0x7f.1``) would confirm itself.
    """
    if not text or len(text) > LONGEST_NAME or not _CHARACTERS.issuperset(text):
        return False
    if not all(0 < len(label) < 64 for label in text.split(".")):
        return False
    try:
        socket.getaddrinfo(text.encode(), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return True
    return False


def name_life(name: HostName) -> float:
    """Seconds for which what `name_of` gave is remembered."""
    return KNOWN_LIFE if name.text else NONE_LIFE
