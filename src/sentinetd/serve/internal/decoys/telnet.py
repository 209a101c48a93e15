"""A login by telnet (RFC 854) as Debian's telnetd gives it; every password is wrong."""

from __future__ import annotations

from enum import Enum

from sentinetd.serve.internal.decoys.dialogue import Answer, Scene

SE, SB, WILL, DONT, IAC = 240, 250, 251, 254, 255
"""Telnet's commands (RFC 854); `WILL` to `DONT` are followed by an option."""
ASKED = b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27"
"""DO for terminal type, speed, X display and environment: what Linux's telnetd wants to know first."""
MUTE, LOUD = b"\xff\xfb\x01", b"\xff\xfc\x01"
"""WILL and WONT echo: the client shows nothing of what is typed, and does again."""

ATTEMPTS = 3
"""Logins that fail before login(1) gives up."""
PAUSE = 3.0
"""Seconds that it takes over one (login.defs(5), FAIL_DELAY)."""
LONGEST = 256
"""Bytes of a name or a password."""
MOST = 4096
"""Bytes that are listened to."""


class Part(Enum):
    """What the next byte is part of."""

    TEXT = 0
    COMMAND = 1
    OPTION = 2
    SUBNEGOTIATION = 3
    END = 4
    """An IAC within a subnegotiation."""


class Telnet:
    greeting = ASKED

    def __init__(self, scene: Scene) -> None:
        name = scene.name.encode("ascii", "replace")
        self._welcome = b"Debian GNU/Linux 12\r\n"
        self._prompt = b"%b login: " % name
        self._part = Part.TEXT
        self._line = b""
        self._ended = False  # by a CR, which may have an LF or a NUL with it
        self._heard = 0
        self._named = False
        self._failed = 0

    def hear(self, data: bytes) -> Answer:
        said, failed = b"", self._failed
        for byte in data:
            if not self._heard:
                said += self._welcome + self._prompt
            self._heard += 1
            if self._heard > MOST or self._failed >= ATTEMPTS:
                return Answer(said, True, PAUSE * (self._failed - failed))
            if self._text(byte):
                said += self._type(byte)
        over = self._heard >= MOST or self._failed >= ATTEMPTS
        return Answer(said, over, PAUSE * (self._failed - failed))

    def _text(self, byte: int) -> bool:
        """Whether *byte* was typed; else it belongs to a command."""
        part = self._part
        if part is Part.TEXT:
            if byte == IAC:
                self._part = Part.COMMAND
            return byte != IAC
        if part is Part.COMMAND:
            if byte == SB:
                self._part = Part.SUBNEGOTIATION
            else:
                self._part = Part.OPTION if WILL <= byte <= DONT else Part.TEXT
            return byte == IAC  # a byte 255 is sent as two
        if part is Part.OPTION:
            self._part = Part.TEXT
        elif part is Part.SUBNEGOTIATION:
            self._part = Part.END if byte == IAC else part
        else:
            self._part = Part.TEXT if byte == SE else Part.SUBNEGOTIATION
        return False

    def _type(self, byte: int) -> bytes:
        if self._ended and byte in b"\n\0":
            self._ended = False
            return b""
        self._ended = byte == 0x0D
        if byte in b"\r\n":
            return self._enter()
        if len(self._line) < LONGEST:
            self._line += bytes([byte])
        return b""

    def _enter(self) -> bytes:
        """A line was typed: a name, or what is never the password."""
        line, self._line = self._line, b""
        if not self._named:
            self._named = bool(line)
            return MUTE + b"Password: " if line else self._prompt
        self._named = False
        self._failed += 1
        return LOUD + b"\r\nLogin incorrect\r\n" + (self._prompt if self._failed < ATTEMPTS else b"")
