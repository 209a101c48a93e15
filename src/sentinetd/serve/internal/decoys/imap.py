"""An IMAP server (RFC 3501) as Dovecot is, where nobody may log in."""

from __future__ import annotations

import re

from sentinetd.serve.internal.decoys.dialogue import Answer, Lines, Scene, verb

FAULTS = 3
"""Lines that are no command after which Dovecot hangs up."""
ATTEMPTS = 5
"""Logins that fail before this one hangs up; Dovecot goes on for three minutes."""
PAUSE = 2.0
"""Seconds that Dovecot takes over one (its auth_failure_delay)."""

CAPABILITIES = b"IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN"
TAG = re.compile(rb"[!#$&',-.0-\[\]^-z|}~]{1,32}")
"""What a tag is made of (RFC 3501 section 9); so long may one be."""
LITERAL = re.compile(rb"\{(\d{1,4})(\+?)\}\Z")
BAD = b"BAD Error in IMAP command received by server.\r\n"
FAILED = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"


class Imap(Lines):
    greeting = b"* OK [CAPABILITY %b] Dovecot ready.\r\n" % CAPABILITIES
    LONGEST = 4096
    TOO_LONG = b"* BYE Input buffer full, aborting\r\n"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._tag = b""
        self._continues = 0  # lines that still belong to the command of that tag
        self._failed = 0
        self._faults = 0

    def reply(self, line: bytes) -> Answer:
        if self._continues:
            return self._continued(line)
        self._tag, _, rest = line.partition(b" ")
        word, rest = verb(rest)
        if not TAG.fullmatch(self._tag) or not word:
            return self._bad(b"*")
        if word == b"CAPABILITY":
            told = b"OK Pre-login capabilities listed, post-login capabilities have more.\r\n"
            return Answer(b"* CAPABILITY %b\r\n%b %b" % (CAPABILITIES, self._tag, told))
        if word == b"NOOP":
            return Answer(b"%b OK NOOP completed.\r\n" % self._tag)
        if word == b"LOGOUT":
            return Answer(b"* BYE Logging out\r\n%b OK Logout completed.\r\n" % self._tag, over=True)
        if word == b"LOGIN" and rest:
            return self._login(rest)
        if word == b"AUTHENTICATE":
            return self._authenticate(rest)
        return self._bad(self._tag)

    def _bad(self, tag: bytes) -> Answer:
        self._faults += 1
        if self._faults < FAULTS:
            return Answer(b"%b %b" % (tag, BAD))
        return Answer(b"* BYE Too many invalid IMAP commands.\r\n", over=True)

    def _login(self, rest: bytes) -> Answer:
        literal = LITERAL.search(rest)
        if literal is None:
            return self._no()
        self._continues = 1  # a literal is taken for a line, which a name or a password is in practice
        return Answer() if literal[2] else Answer(b"+ OK\r\n")

    def _authenticate(self, rest: bytes) -> Answer:
        mechanism, first = verb(rest)
        if mechanism == b"PLAIN" and first:
            return self._no()
        if mechanism == b"PLAIN":
            self._continues = 1
            return Answer(b"+ \r\n")
        if mechanism == b"LOGIN":
            self._continues = 2
            return Answer(b"+ VXNlcm5hbWU6\r\n")
        return Answer(b"%b NO Unsupported authentication mechanism.\r\n" % self._tag)

    def _continued(self, line: bytes) -> Answer:
        self._continues -= 1
        if self._continues:
            return Answer(b"+ UGFzc3dvcmQ6\r\n")
        return self._login(line)

    def _no(self) -> Answer:
        self._failed += 1
        return Answer(b"%b %b" % (self._tag, FAILED), self._failed >= ATTEMPTS, PAUSE)
