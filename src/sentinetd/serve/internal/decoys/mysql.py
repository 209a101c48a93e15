"""A MySQL server (its client/server protocol, version 10) where every password is wrong."""

from __future__ import annotations

from sentinetd.serve.internal.decoys.dialogue import Answer, Scene, printable

VERSION = b"8.0.36"
CAPABILITIES = 0xDFFF_F7FF
"""What the server says it can: everything that 8.0 can but TLS (CLIENT_SSL)."""
PROTOCOL_41 = 0x0200
"""What a client since MySQL 4.1 says that it can (CLIENT_PROTOCOL_41)."""
UTF8MB4 = 255
LONGEST_PACKET = 4096
"""Bytes of the client's answer; a real one has a few hundred."""
LONGEST_USER = 32
"""Characters that a user's name has at most."""
DENIED = 1045
"""ER_ACCESS_DENIED_ERROR."""


def packet(number: int, payload: bytes) -> bytes:
    """*payload* with its header: length in 3 bytes, little-endian, and the packet's *number*."""
    return len(payload).to_bytes(3, "little") + bytes([number & 0xFF]) + payload


def handshake(noise: bytes) -> bytes:
    """The greeting; *noise* gives the thread's number (2 bytes) and the challenge (20 bytes without a zero)."""
    challenge = bytes(byte % 127 or 1 for byte in noise[2:22])
    return packet(
        0,
        b"\x0a%b\0" % VERSION
        + (8 + int.from_bytes(noise[:2], "little")).to_bytes(4, "little")
        + challenge[:8]
        + b"\0"
        + (CAPABILITIES & 0xFFFF).to_bytes(2, "little")
        + bytes([UTF8MB4])
        + (2).to_bytes(2, "little")  # SERVER_STATUS_AUTOCOMMIT
        + (CAPABILITIES >> 16).to_bytes(2, "little")
        + bytes([21])
        + bytes(10)
        + challenge[8:]
        + b"\0caching_sha2_password\0",
    )


def failure(number: int, code: int, state: bytes, text: bytes) -> bytes:
    """An error as packet *number*."""
    return packet(number, b"\xff" + code.to_bytes(2, "little") + b"#" + state + text)


class Mysql:
    def __init__(self, scene: Scene) -> None:
        self.greeting = handshake(scene.noise)
        self._source = printable(scene.source.encode("ascii", "replace"), 64)
        self._rest = b""

    def hear(self, data: bytes) -> Answer:
        self._rest += data
        if len(self._rest) < 4:
            return Answer()
        length, number = int.from_bytes(self._rest[:3], "little"), self._rest[3]
        if number != 1 or length > LONGEST_PACKET:
            return self._end(failure(number + 1, 1156, b"08S01", b"Got packets out of order"))
        if len(self._rest) < 4 + length:
            return Answer()
        user, with_password = login(self._rest[4 : 4 + length])
        text = b"Access denied for user '%b'@'%b' (using password: %b)" % (
            printable(user, LONGEST_USER),
            self._source,
            b"YES" if with_password else b"NO",
        )
        return self._end(failure(number + 1, DENIED, b"28000", text))

    def _end(self, said: bytes) -> Answer:
        self._rest = b""
        return Answer(said, over=True)


def login(payload: bytes) -> tuple[bytes, bool]:
    """Who wants in, and whether a password comes with it, as far as *payload* (HandshakeResponse41) tells."""
    flags = int.from_bytes(payload[:4], "little")
    if not flags & PROTOCOL_41 or len(payload) < 33:
        return b"", False
    user, end, rest = payload[32:].partition(b"\0")
    return user, bool(end and rest and rest[0])
