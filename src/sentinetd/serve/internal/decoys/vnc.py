"""A VNC server (RFC 6143) that wants a password, and every password is wrong."""

from __future__ import annotations

from enum import Enum

from sentinetd.serve.internal.decoys.dialogue import Answer, Scene

VERSION = b"RFB 003.008\n"
VERSIONS = {b"RFB 003.003\n": 3, b"RFB 003.005\n": 3, b"RFB 003.007\n": 7, b"RFB 003.008\n": 8}
"""What clients say (RFC 6143 section 7.1.1: 3.5 is to be taken for 3.3), and the minor version that is spoken then."""
PASSWORD = 2
"""The security type that asks for a password (RFC 6143 section 7.2.2)."""


class Step(Enum):
    """What is waited for; the value is how many bytes it has."""

    VERSION = 12
    TYPE = 1
    RESPONSE = 16


def _reason(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


class Vnc:
    greeting = VERSION

    def __init__(self, scene: Scene) -> None:
        self._challenge = scene.noise[:16]
        self._step = Step.VERSION
        self._minor = 8
        self._rest = b""
        self._over = False

    def hear(self, data: bytes) -> Answer:
        said = b""
        self._rest += data
        while not self._over and len(self._rest) >= self._step.value:
            size = self._step.value
            part, self._rest = self._rest[:size], self._rest[size:]
            answer = self._reply(part)
            said += answer.data
            self._over = answer.over
        if self._over:
            self._rest = b""
        return Answer(said, over=self._over)

    def _reply(self, part: bytes) -> Answer:
        if self._step is Step.VERSION:
            if part not in VERSIONS:
                return Answer(over=True)
            self._minor = VERSIONS[part]
            self._step = Step.RESPONSE if self._minor == 3 else Step.TYPE
            if self._minor == 3:
                return Answer(PASSWORD.to_bytes(4, "big") + self._challenge)
            return Answer(bytes([1, PASSWORD]))
        if self._step is Step.TYPE:
            if part[0] != PASSWORD:
                return Answer(self._failed(b"Security type not supported"), over=True)
            self._step = Step.RESPONSE
            return Answer(self._challenge)
        return Answer(self._failed(b"Authentication failure"), over=True)

    def _failed(self, why: bytes) -> bytes:
        """SecurityResult (RFC 6143 section 7.1.3); before 3.8 it comes without a reason."""
        return (1).to_bytes(4, "big") + (_reason(why) if self._minor == 8 else b"")
