"""PROXY headers, versions 1 and 2: who a load balancer says is at the other end of a connection that it began.

The specification is haproxy's doc/proxy-protocol.txt, whose sections are named here. A header is taken off to its last
byte and not one byte more: what follows belongs to the service. Whatever is no header is refused as soon as it cannot
become one.
"""

from __future__ import annotations

import asyncio
import re
import socket

from sentinetd.model.address import Address
from sentinetd.model.connection import Announced
from sentinetd.model.noun import dataclass

LONGEST_LINE = 107
"""Bytes of a header of version 1, its end included (section 2.1)."""
LONGEST = 4096
"""Bytes of a header of version 2. The specification allows 65,551; what is sent, certificates' names included, has a
few hundred, and nginx takes no more than this either."""
WORD = b"PROXY "
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""How versions 1 and 2 begin (sections 2.1, 2.2)."""
FIXED = 16
"""Bytes of version 2 before the addresses."""

DECIMAL = rb"(?:0|[1-9][0-9]{0,4})"
IPV4 = re.compile(rb"%b(?:\.%b){3}" % (DECIMAL, DECIMAL))
IPV6 = re.compile(rb"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
PORT = re.compile(DECIMAL)
"""No leading zeros (section 2.1); what is too large, and colons in the wrong place, `Address` finds."""
FAMILIES = {b"TCP4": IPV4, b"TCP6": IPV6}

LOCAL, PROXY = 0, 1
"""Commands of version 2."""
INET, INET6 = 1, 2
STREAM = 1
BLOCKS = {0: 0, INET: 12, INET6: 36, 3: 216}
"""Bytes of the addresses and ports, by family; 3 is AF_UNIX."""
PROTOCOLS = 3
"""UNSPEC, STREAM and DGRAM are 0, 1 and 2."""

OURS = Announced(None, 0)
"""The connection's own ends are meant: LOCAL, UNKNOWN, and whatever has no address that could be judged."""


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header of *length* bytes."""

    announced: Announced
    length: int


def read(data: bytes) -> Header | None:
    """The header at the beginning of *data*; None while it is not all there. ValueError if it can no longer be one."""
    if data.startswith(WORD[: len(data)]):
        return _line(data)
    if data.startswith(SIGNATURE[: len(data)]):
        return _binary(data)
    raise ValueError("no PROXY header, but something else")


def _line(data: bytes) -> Header | None:
    """Version 1: one line."""
    end = data.find(b"\n")
    if (end if end >= 0 else len(data)) >= LONGEST_LINE:
        raise ValueError(f"a PROXY line of more than {LONGEST_LINE} bytes")
    if end < 0:
        return None
    if data[end - 1 : end] != b"\r":
        raise ValueError("a PROXY line that does not end with CR LF")
    words = data[: end - 1].split(b" ")
    if words[1] == b"UNKNOWN":
        return Header(OURS, end + 1)  # whatever follows the word is to be ignored
    if len(words) != 6 or words[1] not in FAMILIES:
        raise ValueError("a PROXY line that is not TCP4 or TCP6, two addresses and two ports, or UNKNOWN")
    source, _ = _address(words[1], words[2]), _address(words[1], words[3])
    port, _ = _port(words[4]), _port(words[5])
    return Header(Announced(source, port), end + 1)


def _address(family: bytes, word: bytes) -> Address:
    if not FAMILIES[family].fullmatch(word):
        raise ValueError(f"a PROXY line whose address is not of {family.decode()}")
    try:
        return Address.parse(word.decode("ascii"))
    except ValueError:
        raise ValueError("a PROXY line with an address that is none") from None


def _port(word: bytes) -> int:
    if not PORT.fullmatch(word) or int(word) > 65535:
        raise ValueError("a PROXY line with a port that is none")
    return int(word)


def _binary(data: bytes) -> Header | None:
    """Version 2. What follows the addresses (TLVs, section 2.2) is skipped unread."""
    if len(data) < FIXED:
        return None
    version, command = data[12] >> 4, data[12] & 15
    family, protocol = data[13] >> 4, data[13] & 15
    size = int.from_bytes(data[14:16], "big")
    if version != 2 or command not in (LOCAL, PROXY):
        raise ValueError(f"a PROXY header of version {version}, command {command}")
    if FIXED + size > LONGEST:
        raise ValueError(f"a PROXY header of more than {LONGEST} bytes")
    if command == PROXY and (family not in BLOCKS or protocol >= PROTOCOLS):
        raise ValueError(f"a PROXY header of address family {family}, protocol {protocol}")
    if command == PROXY and protocol and size < BLOCKS[family]:
        raise ValueError("a PROXY header too short for its addresses")
    if len(data) < FIXED + size:
        return None
    if command == LOCAL or protocol != STREAM or family not in (INET, INET6):
        return Header(OURS, FIXED + size)
    length = 4 if family == INET else 16
    kind = socket.AF_INET if family == INET else socket.AF_INET6
    source = Address.parse(socket.inet_ntop(kind, data[FIXED : FIXED + length]))
    at = FIXED + 2 * length
    return Header(Announced(source, int.from_bytes(data[at : at + 2], "big")), FIXED + size)


async def announced(client: socket.socket, seconds: float) -> Announced:
    """Who the header that *client* begins with announces. It is taken off, and nothing of what follows.

    ValueError, with why in words, if it is none or does not come within *seconds*. The socket's mode is left alone: the
    guard, and before long the server, have the same open file.
    """
    said = b""
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    data = client.recv(LONGEST - len(said), socket.MSG_PEEK | socket.MSG_DONTWAIT)
                except BlockingIOError:
                    await _readable(client)
                    continue
                if not data:
                    raise ValueError("the end of the connection in place of a PROXY header")
                header = read(said + data)
                said += client.recv(len(data) if header is None else header.length - len(said), socket.MSG_DONTWAIT)
                if header is not None:
                    return header.announced
    except TimeoutError:
        raise ValueError(f"no PROXY header within {seconds:g} seconds") from None
    except OSError as error:
        raise ValueError(f"no PROXY header: {error.strerror}") from None


async def _readable(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(client.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(client.fileno())
