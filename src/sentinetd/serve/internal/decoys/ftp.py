"""An FTP server (RFC 959) as vsftpd 3.0.3 is, where nobody may log in."""

from __future__ import annotations

from sentinetd.serve.internal.decoys.dialogue import Answer, Lines, Scene, verb

ATTEMPTS = 3
"""Logins that fail before vsftpd hangs up (vsftpd.conf(5), max_login_fails)."""
PAUSE = 1.0
"""Seconds that it takes over one (vsftpd.conf(5), delay_failed_login)."""

FEATURES = b"211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n211 End\r\n"


class Ftp(Lines):
    greeting = b"220 (vsFTPd 3.0.3)\r\n"
    LONGEST = 4096
    TOO_LONG = b"500 Input line too long.\r\n"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._named = False
        self._failed = 0

    def reply(self, line: bytes) -> Answer:
        word, _ = verb(line)
        if word == b"USER":
            self._named = True
            return Answer(b"331 Please specify the password.\r\n")
        if word == b"PASS":
            return self._password()
        if word == b"QUIT":
            return Answer(b"221 Goodbye.\r\n", over=True)
        if word == b"FEAT":
            return Answer(FEATURES)
        if word == b"OPTS":
            return Answer(b"501 Option not understood.\r\n")
        return Answer(b"530 Please login with USER and PASS.\r\n")

    def _password(self) -> Answer:
        if not self._named:
            return Answer(b"503 Login with USER first.\r\n")
        self._named = False
        self._failed += 1
        return Answer(b"530 Login incorrect.\r\n", self._failed >= ATTEMPTS, PAUSE)
