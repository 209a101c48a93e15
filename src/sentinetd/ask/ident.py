"""The question of RFC 1413: which user of the client's host owns this connection? The answer is a claim, no proof."""

from __future__ import annotations

import asyncio
import socket

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass
from sentinetd.model.verdict import NO_SERVER

PORT = 113
LONGEST_REPLY = 1023
"""Bytes of a reply with its CR LF; RFC 1413 section 5 allows 1,000 characters before them."""

TIMEOUT = "timeout"
SYSTEM_ERROR = "system error"
NO_RESPONSE = "error while receiving response"
BAD_RESPONSE = "bad response"

_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Identity:
    """*said*: what followed USERID, as xinetd logs it (``UNIX : joe``); None: nothing useful, and *why*, in its words.

    Non-ASCII bytes are spelled out (``\\xff``); control characters are still in it.
    """

    said: str | None
    why: str = ""

    @property
    def user(self) -> str | None:
        """The user alone, as tcp wrappers read it: the first word after the system's name."""
        words = (self.said or "").partition(":")[2].split()
        return words[0] if words else None


def read_reply(line: bytes, source_port: int, local_port: int) -> str:
    """What follows USERID in the reply *line* (without CR LF) about these two ports. ValueError if it is no such reply.

    As xinetd reads it: the ports must be ours, USERID is in capitals, another colon follows.
    """
    ports, _, rest = line.partition(b":")
    if _pair(ports) != (source_port, local_port):
        raise ValueError("the reply is about other ports")
    word, colon, said = rest.partition(b":")
    if word.strip(_BLANKS) != b"USERID" or not colon:
        raise ValueError("the reply names no user")
    return said.lstrip(_BLANKS).decode("ascii", "backslashreplace")


_BLANKS = b" \t\n\v\f\r"  # isspace(3) in the C locale


def _pair(text: bytes) -> tuple[int, int] | None:
    words = [word.strip(_BLANKS) for word in text.split(b",")]
    if len(words) != 2 or not all(word.isdigit() and len(word) <= 5 for word in words):
        return None
    return int(words[0]), int(words[1])


async def owner(source: Address, source_port: int, local: Address, local_port: int, seconds: float) -> Identity:
    """Ask *source* who owns the connection from its *source_port* to our *local_port*, from the address it came to.

    Never fails: what goes wrong is in the answer.
    """
    try:
        sock = socket.socket(_FAMILY[source.version], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError:
        return Identity(None, SYSTEM_ERROR)
    with sock:
        try:
            async with asyncio.timeout(seconds):
                return await _talk(sock, source, source_port, local, local_port)
        except TimeoutError:
            return Identity(None, TIMEOUT)


async def _talk(sock: socket.socket, source: Address, source_port: int, local: Address, local_port: int) -> Identity:
    loop = asyncio.get_running_loop()
    try:
        sock.bind(_place(local, 0))
    except OSError:
        return Identity(None, SYSTEM_ERROR)
    try:
        await loop.sock_connect(sock, _place(source, PORT))
    except OSError:
        return Identity(None, NO_SERVER)
    reply = b""
    try:
        await loop.sock_sendall(sock, b"%d,%d\r\n" % (source_port, local_port))
        while b"\n" not in reply:
            part = await loop.sock_recv(sock, LONGEST_REPLY - len(reply))  # of a line too long, no bytes are left
            if not part:
                return Identity(None, NO_RESPONSE)
            reply += part
    except OSError:
        return Identity(None, NO_RESPONSE)
    line = reply.partition(b"\n")[0]
    if not line.endswith(b"\r"):
        return Identity(None, NO_RESPONSE)
    try:
        return Identity(read_reply(line[:-1], source_port, local_port))
    except ValueError:
        return Identity(None, BAD_RESPONSE)


def _place(address: Address, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    if address.version == 4:
        return address.text, port
    scope = socket.if_nametoindex(address.scope) if address.scope else 0
    return address.text.partition("%")[0], port, 0, scope
