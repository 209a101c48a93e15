"""A mail server (RFC 5321) as Debian's Postfix is, which relays nothing and whose users it is said not to know."""

from __future__ import annotations

from collections.abc import Callable

from sentinetd.serve.internal.decoys.dialogue import Answer, Lines, Scene, printable, verb

LONGEST_ADDRESS = 256
"""Bytes of a recipient that are said again."""
FAULTS = 20
"""Mistakes after which Postfix hangs up (postconf(5), smtpd_hard_error_limit)."""
PAUSE = 2.0
"""Seconds that the wrong password takes (Dovecot's auth_failure_delay, which Postfix asks on Debian)."""

RULES = frozenset({b"GET", b"POST", b"CONNECT"})
"""Words of other protocols, at which Postfix hangs up (postconf(5), smtpd_forbidden_commands)."""
USERNAME, PASSWORD = b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"
"""``Username:`` and ``Password:`` in base64, which AUTH LOGIN asks with."""
FAILED = b"535 5.7.8 Error: authentication failed: authentication failure\r\n"


class Smtp(Lines):
    LONGEST = 2048
    TOO_LONG = b"500 5.5.2 Error: line too long\r\n"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.greeting = b"220 %b ESMTP Postfix (Debian/GNU)\r\n" % self._name
        self._sender = False
        self._awaited = b""  # how the line after the next is asked for, while AUTH goes on
        self._authenticates = False
        self._faults = 0
        self._verbs: dict[bytes, Callable[[bytes], bytes]] = {
            b"HELO": lambda rest: b"250 %b\r\n" % self._name if rest else b"501 Syntax: HELO hostname\r\n",
            b"EHLO": self._hello,
            b"MAIL": self._mail,
            b"RCPT": self._recipient,
            b"DATA": self._data,
            b"AUTH": self._authenticate,
            b"RSET": self._reset,
            b"NOOP": lambda rest: b"250 2.0.0 Ok\r\n",
            b"VRFY": lambda rest: b"252 2.0.0 %b\r\n" % printable(rest, LONGEST_ADDRESS),
            b"STARTTLS": lambda rest: b"502 5.5.1 Error: command not implemented\r\n",
        }

    def reply(self, line: bytes) -> Answer:
        if self._authenticates:
            said, self._awaited = self._awaited or FAILED, b""
            self._authenticates = said is not FAILED
            return self._counted(said)
        word, rest = verb(line)
        if word == b"QUIT":
            return Answer(b"221 2.0.0 Bye\r\n", over=True)
        if word in RULES:
            return Answer(b"221 2.7.0 Error: I can break rules, too. Goodbye.\r\n", over=True)
        known = self._verbs.get(word)
        if known is not None:
            return self._counted(known(rest))
        text = b"command not recognized" if word else b"bad syntax"
        return self._counted(b"%b 5.5.2 Error: %b\r\n" % (b"502" if word else b"500", text))

    def _counted(self, said: bytes) -> Answer:
        """*said*, if it is not one mistake too many."""
        self._faults += said[:1] in (b"4", b"5")
        if self._faults < FAULTS:
            return Answer(said, pause=PAUSE if said is FAILED else 0.0)
        return Answer(b"421 4.7.0 %b Error: too many errors\r\n" % self._name, over=True)

    def _hello(self, rest: bytes) -> bytes:
        if not rest:
            return b"501 Syntax: EHLO hostname\r\n"
        can = (b"PIPELINING", b"SIZE 10240000", b"VRFY", b"ETRN", b"AUTH PLAIN LOGIN", b"ENHANCEDSTATUSCODES")
        listed = b"".join(b"250-%b\r\n" % one for one in (self._name, *can, b"8BITMIME", b"DSN", b"SMTPUTF8"))
        return listed + b"250 CHUNKING\r\n"

    def _mail(self, rest: bytes) -> bytes:
        if rest[:5].upper() != b"FROM:":
            return b"501 5.5.4 Syntax: MAIL FROM:<address>\r\n"
        if self._sender:
            return b"503 5.5.1 Error: nested MAIL command\r\n"
        self._sender = True
        return b"250 2.1.0 Ok\r\n"

    def _recipient(self, rest: bytes) -> bytes:
        if not self._sender:
            return b"503 5.5.1 Error: need MAIL command\r\n"
        if rest[:3].upper() != b"TO:":
            return b"501 5.5.4 Syntax: RCPT TO:<address>\r\n"
        address = printable(rest[3:].strip(b" <>"), LONGEST_ADDRESS)
        return b"454 4.7.1 <%b>: Relay access denied\r\n" % address

    def _data(self, rest: bytes) -> bytes:
        return (
            b"554 5.5.1 Error: no valid recipients\r\n" if self._sender else b"503 5.5.1 Error: need RCPT command\r\n"
        )

    def _reset(self, rest: bytes) -> bytes:
        self._sender = False
        return b"250 2.0.0 Ok\r\n"

    def _authenticate(self, rest: bytes) -> bytes:
        mechanism, first = verb(rest)
        if mechanism == b"PLAIN":
            if first:
                return FAILED
            self._authenticates = True
            return b"334 \r\n"
        if mechanism == b"LOGIN":
            self._authenticates = True
            self._awaited = b"" if first else PASSWORD
            return PASSWORD if first else USERNAME
        return b"535 5.7.8 Error: authentication failed: Invalid authentication mechanism\r\n"
