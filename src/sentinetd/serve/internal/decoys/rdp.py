"""A Windows host's remote desktop ([MS-RDPBCGR]) as far as the connection confirm: then it would be TLS."""

from __future__ import annotations

import re

from sentinetd.serve.internal.decoys.dialogue import Answer, Scene

LONGEST = 512
"""Bytes of the connection request."""
TPKT = 3
"""Version of the packets that carry X.224 over TCP (RFC 1006 section 6)."""
REQUEST, CONFIRM = 0xE0, 0xD0
"""X.224's connection request and its confirm (ITU-T X.224 sections 13.3, 13.4)."""
NEGOTIATES = re.compile(rb"\x01.\x08\0(....)\Z", re.DOTALL)
"""RDP_NEG_REQ at the end of a request: which security the client knows ([MS-RDPBCGR] section 2.2.1.1.1)."""
CREDSSP = 2
"""The bit of a client that knows CredSSP (PROTOCOL_HYBRID)."""
FLAGS = 0x1F
"""What Windows 10 and Server 2016 say that they support."""


def confirm(request: bytes) -> tuple[bytes, bool]:
    """The answer to a connection *request* (X.224's part alone), and whether the client is to go on after it."""
    asked = NEGOTIATES.search(request)
    if asked is None:
        return _packet(bytes([CONFIRM]) + b"\0\0\x12\x34\0"), True
    known = int.from_bytes(asked[1], "little")
    if known & CREDSSP:
        chosen = b"\x02" + bytes([FLAGS]) + b"\x08\0" + CREDSSP.to_bytes(4, "little")
    else:  # RDP_NEG_FAILURE: HYBRID_REQUIRED_BY_SERVER, as where network level authentication is required
        chosen = b"\x03\0\x08\0" + (5).to_bytes(4, "little")
    return _packet(bytes([CONFIRM]) + b"\0\0\x12\x34\0" + chosen), chosen[0] == 2


def _packet(code: bytes) -> bytes:
    return bytes([TPKT, 0]) + (5 + len(code)).to_bytes(2, "big") + bytes([len(code)]) + code


class Rdp:
    greeting = b""

    def __init__(self, scene: Scene) -> None:
        self._rest = b""
        self._confirmed = False

    def hear(self, data: bytes) -> Answer:
        if self._confirmed:
            return Answer(over=bool(data))  # the TLS handshake begins, and here this ends
        self._rest += data
        if any(one != wanted for one, wanted in zip(self._rest, (TPKT, 0), strict=False)):
            return Answer(over=True)
        if len(self._rest) < 4:
            return Answer()
        length = int.from_bytes(self._rest[2:4], "big")
        if not 11 <= length <= LONGEST:
            return Answer(over=True)
        if len(self._rest) < length:
            return Answer()
        request, more = self._rest[4:length], self._rest[length:]
        self._rest = b""
        if request[1] & 0xF0 != REQUEST:
            return Answer(over=True)
        said, goes_on = confirm(request)
        self._confirmed = True
        return Answer(said, over=not goes_on or bool(more))
