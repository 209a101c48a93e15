"""A webhook: POST to an address, in a body that the service at the other end understands, signed if there is a secret.

The signature is of the moment and the body: ``X-Sentinetd-Signature: t=<Unix time>,v1=<HMAC-SHA256 of "<t>.<body>">``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sentinetd import __version__
from sentinetd.errors import EdgeError
from sentinetd.model.alert import Body, WebhookTarget
from sentinetd.model.events import Level
from sentinetd.ports import Message, Rejected
from sentinetd.report.sinks.making import Making, Unusable, client_context

LONGEST_TEXT = 3000
"""Characters of a text for people: Slack takes 3,000, Telegram 4,096."""
COLOURS = {Level.CRITICAL: "attention", Level.ERROR: "attention", Level.WARNING: "warning"}
"""Of an adaptive card."""
WILL_NEVER_DO = frozenset({400, 413, 415, 422})
"""Status codes by which a server that works says that it does not want this body."""


KINDS_OF_TEXT = {"{": "application/json", "<": "text/xml"}
"""Media types, by what a text begins with."""


class Webhook:
    """Owns an HTTP client; connections are kept for the next message."""

    def __init__(self, target: WebhookTarget, making: Making) -> None:
        try:
            import httpx
        except ImportError as error:
            raise Unusable("type", "webhooks need httpx", "pip install 'sentinetd[alerts]'") from error
        self._errors = (httpx.HTTPError, httpx.InvalidURL)
        try:
            self._url = httpx.URL(target.url)
            headers = dict(line.split(": ", 1) for line in target.headers)
            headers |= {"User-Agent": f"sentinetd/{__version__}"}
            self._client = httpx.AsyncClient(
                headers=headers, verify=client_context(target.tls, making), timeout=None, trust_env=False
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise Unusable("url", "this is no URL that can be asked for", "write https://HOST/PATH") from error
        self._secret = target.secret.encode()
        self._body = BODIES.get(target.body)
        self._chat = target.chat
        self.most = 200 if self._body is not None else 1

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Post *messages* in one body. A 2xx is a yes."""
        if self._body is None:
            text = messages[0].text
            kind = KINDS_OF_TEXT.get(text[:1], "text/plain; charset=utf-8")
        else:
            text = json.dumps(self._body(messages, self._chat))
            kind = "application/json"
        body = text.encode()
        try:
            headers = {"Content-Type": kind, **self._signature(body)}
            answer = await self._client.post(self._url, content=body, headers=headers)
        except self._errors as error:
            raise EdgeError(f"{self._url.host}: {error or type(error).__name__}") from error
        if answer.is_success:
            return
        what = f"{self._url.host} answered {answer.status_code} {answer.reason_phrase}"
        raise Rejected(what) if answer.status_code in WILL_NEVER_DO else EdgeError(what)

    def _signature(self, body: bytes) -> dict[str, str]:
        if not self._secret:
            return {}
        moment = str(int(time.time()))
        digest = hmac.new(self._secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        return {"X-Sentinetd-Signature": f"t={moment},v1={digest}"}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _generic(messages: Sequence[Message], chat: str) -> Mapping[str, Any]:
    return {"version": 1, "events": [_parsed(message.text) for message in messages]}


def _parsed(text: str) -> Any:
    """*text* as the JSON it is, else as text."""
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _slack(messages: Sequence[Message], chat: str) -> Mapping[str, Any]:
    """https://api.slack.com/messaging/webhooks; the three characters are Slack's own."""
    text = _lines(messages).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": text, "mrkdwn": False}


def _telegram(messages: Sequence[Message], chat: str) -> Mapping[str, Any]:
    """https://core.telegram.org/bots/api#sendmessage; plain text, in which nothing is obeyed."""
    return {"chat_id": chat, "text": _lines(messages), "link_preview_options": {"is_disabled": True}}


def _teams(messages: Sequence[Message], chat: str) -> Mapping[str, Any]:
    """An adaptive card, as the workflows of Teams take it."""
    blocks = [
        {"type": "TextBlock", "wrap": True, "color": COLOURS.get(message.level, "default"), "text": _escaped(line)}
        for message, line in zip(messages, _lines(messages).split("\n"), strict=False)
    ]
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": {**card, "body": blocks}}
    return {"type": "message", "attachments": [content]}


def _escaped(text: str) -> str:
    r"""*text* without what Markdown would obey."""
    return "".join(f"\\{one}" if one in r"\`*_{}[]()#+-!|<>~" else one for one in text)


def _lines(messages: Sequence[Message]) -> str:
    """*messages* as lines, as many as fit."""
    kept: list[str] = []
    room = LONGEST_TEXT - 40
    for place, message in enumerate(messages):
        line = message.text[:1000]
        if len(line) + 1 > room:
            return "\n".join([*kept, f"... and {len(messages) - place} more"])
        room -= len(line) + 1
        kept.append(line)
    return "\n".join(kept)


BODIES: Mapping[Body, Callable[[Sequence[Message], str], Mapping[str, Any]]] = {  # a bare one is the text itself
    Body.GENERIC: _generic,
    Body.SLACK: _slack,
    Body.TEAMS: _teams,
    Body.TELEGRAM: _telegram,
}
