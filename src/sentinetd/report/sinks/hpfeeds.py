"""hpfeeds: events published to a broker (https://hpfeeds.org/wire-protocol). The secret is never sent in clear."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Sequence

from sentinetd.errors import EdgeError
from sentinetd.model.alert import HpfeedsTarget
from sentinetd.ports import Message
from sentinetd.report.sinks.making import Making, client_context
from sentinetd.report.sinks.stream import Stream

ERROR, INFO, AUTH, PUBLISH = 0, 1, 2, 3
HEADER = struct.Struct("!iB")  # length of the whole frame, kind
LONGEST_FRAME = 1 << 20
REFUSAL_WITHIN = 0.3
"""Seconds in which a broker refuses, if it does."""


class Hpfeeds:
    """Publishes each message by itself. The broker answers nothing to that, but for what is wrong."""

    most = 100

    def __init__(self, target: HpfeedsTarget, making: Making) -> None:
        self._ident = target.ident.encode()
        self._secret = target.secret.encode()
        self._channel = target.channel.encode()
        context = client_context(target.tls, making) if target.encrypted else None
        self._stream = Stream(target.host, target.port, context, target.tls.server_name, self._log_in)

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Publish *messages*."""
        await self._stream.send(b"".join(self._frame(message.text.encode("utf-8", "replace")) for message in messages))

    def _frame(self, payload: bytes) -> bytes:
        return frame(PUBLISH, text(self._ident) + text(self._channel) + payload)

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, body = await read_frame(reader)
        if kind != INFO or not body or len(body) < 1 + body[0]:
            raise EdgeError("this is no broker of hpfeeds")
        nonce = body[1 + body[0] :]
        digest = hashlib.sha1(nonce + self._secret, usedforsecurity=False).digest()
        writer.write(frame(AUTH, text(self._ident) + digest))
        try:  # a broker says nothing to the right secret; only of a wrong one there is an answer
            async with asyncio.timeout(REFUSAL_WITHIN):
                kind, body = await read_frame(reader)
        except TimeoutError:
            return
        raise EdgeError(f"the broker refused us: {body.decode('utf-8', 'replace')}" if kind == ERROR else "no broker")

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.close()


def frame(kind: int, body: bytes) -> bytes:
    """One message of the protocol."""
    return HEADER.pack(HEADER.size + len(body), kind) + body


def text(value: bytes) -> bytes:
    """A string of the protocol: its length in one byte, then itself."""
    return bytes([len(value)]) + value


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Kind and body of the next message. EdgeError for one that is too long to be true."""
    length, kind = HEADER.unpack(await reader.readexactly(HEADER.size))
    if not HEADER.size <= length <= LONGEST_FRAME:
        raise EdgeError("the broker sent a message of an impossible length")
    return kind, await reader.readexactly(length - HEADER.size)
