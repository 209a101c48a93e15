"""Mail: what was gathered for a while goes as one message, by a server of the operator's (RFC 5321)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from sentinetd.errors import EdgeError
from sentinetd.model.alert import MailTarget, Security
from sentinetd.model.events import Level
from sentinetd.ports import Message, Rejected
from sentinetd.report.selection import GRAVITY
from sentinetd.report.sinks.making import Making, Unusable, client_context

REFUSALS = range(552, 555)
"""Answers to the text of a message that will be the same next time (RFC 5321 section 4.2.2)."""


class Mail:
    """One connection for each message: mail is seldom."""

    most = 1000

    def __init__(self, target: MailTarget, making: Making) -> None:
        try:
            import aiosmtplib
        except ImportError as error:
            raise Unusable("type", "mail needs aiosmtplib", "pip install 'sentinetd[alerts]'") from error
        self._library = aiosmtplib
        self._target = target
        self._host = os.uname().nodename
        self._context: ssl.SSLContext | None = None
        if target.security is not Security.NONE:
            self._context = client_context(target.tls, making)

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Send *messages* as one mail, each a line of it. Every recipient has to be taken."""
        target, library = self._target, self._library
        try:
            refused, _ = await library.send(
                self._mail(messages),
                sender=target.sender,
                recipients=list(target.recipients),
                hostname=target.host,
                port=target.port,
                username=target.user or None,
                password=target.password or None,
                use_tls=target.security is Security.TLS,
                start_tls=target.security is Security.STARTTLS,
                tls_context=self._context,
                timeout=None,
            )
        except library.SMTPDataError as error:
            text = f"{target.host} answered {error.code} {error.message}"
            raise Rejected(text) if error.code in REFUSALS else EdgeError(text) from error
        except (library.SMTPException, OSError) as error:
            raise EdgeError(f"{target.host}: {error or type(error).__name__}") from error
        if refused:
            who, answer = next(iter(refused.items()))
            raise EdgeError(f"{target.host} does not take mail for {who}: {answer.code} {answer.message}")

    def _mail(self, messages: Sequence[Message]) -> EmailMessage:
        worst = max((message.level for message in messages), key=GRAVITY.__getitem__)
        count = f"{len(messages)} events" if len(messages) > 1 else messages[0].text[:120]
        mail = EmailMessage()
        mail["From"] = self._target.sender
        mail["To"] = ", ".join(self._target.recipients)
        mail["Subject"] = self._target.subject or f"sentinetd on {self._host}: {count}"
        mail["Date"] = formatdate(localtime=True)
        mail["Message-ID"] = make_msgid(domain=self._target.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation programs answer it
        if worst in (Level.CRITICAL, Level.ERROR):
            mail["X-Priority"] = "1"
        mail.set_content("".join(f"{message.text}\n" for message in messages), charset="utf-8")
        return mail

    async def close(self) -> None:
        """Nothing is held between two messages."""
