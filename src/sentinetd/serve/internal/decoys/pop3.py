"""A POP3 server (RFC 1939) as Dovecot is, where nobody may log in."""

from __future__ import annotations

from sentinetd.serve.internal.decoys.dialogue import Answer, Lines, Scene, verb

FAULTS = 3
"""Unknown commands after which Dovecot hangs up."""
ATTEMPTS = 5
"""Logins that fail before this one hangs up; Dovecot goes on for three minutes."""
PAUSE = 2.0
"""Seconds that Dovecot takes over one (its auth_failure_delay)."""

CAPABILITIES = (
    b"+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n"
)
FAILED = b"-ERR [AUTH] Authentication failed.\r\n"


class Pop3(Lines):
    greeting = b"+OK Dovecot ready.\r\n"
    LONGEST = 1024
    TOO_LONG = b"-ERR Input buffer full, aborting\r\n"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._named = False
        self._awaited: list[bytes] = []  # what the next lines are answered, while AUTH goes on
        self._failed = 0
        self._faults = 0

    def reply(self, line: bytes) -> Answer:
        if self._awaited:
            return self._attempted(self._awaited.pop(0))
        word, rest = verb(line)
        if word == b"QUIT":
            return Answer(b"+OK Logging out\r\n", over=True)
        if word == b"CAPA":
            return Answer(CAPABILITIES)
        if word == b"USER" and rest:
            self._named = True
            return Answer(b"+OK\r\n")
        if word == b"PASS":
            return self._attempted(FAILED if self._named else b"-ERR No username given.\r\n")
        if word == b"AUTH":
            return self._authenticate(rest)
        self._faults += 1
        if self._faults < FAULTS:
            return Answer(b"-ERR Unknown command.\r\n")
        return Answer(b"-ERR Too many invalid bad commands.\r\n", over=True)

    def _attempted(self, said: bytes) -> Answer:
        self._named = False
        if said is not FAILED:
            return Answer(said)
        self._failed += 1
        return Answer(said, self._failed >= ATTEMPTS, PAUSE)

    def _authenticate(self, rest: bytes) -> Answer:
        mechanism, first = verb(rest)
        if not mechanism:
            return Answer(b"+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n")
        if mechanism == b"PLAIN":
            self._awaited = [] if first else [FAILED]
            return self._attempted(FAILED) if first else Answer(b"+ \r\n")
        if mechanism == b"LOGIN":
            self._awaited = [b"+ UGFzc3dvcmQ6\r\n", FAILED]
            return Answer(b"+ VXNlcm5hbWU6\r\n")
        return Answer(b"-ERR Unsupported authentication mechanism.\r\n")
