"""A syslog server, on this host or another: datagrams, or a stream of framed messages (RFC 5424, 5425, 5426, 6587).

A message in one of the formats that are complete syslog messages goes as it is; any other gets the header of RFC 5424.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from sentinetd.errors import EdgeError
from sentinetd.model.alert import SyslogTarget, Transport
from sentinetd.ports import AlertSink, Message
from sentinetd.report.sinks.making import Making, client_context
from sentinetd.report.sinks.stream import Stream

LONGEST_DATAGRAM = 65_000
"""Bytes; what is longer is cut (RFC 5426 section 3.2 leaves it to us)."""


def make(target: SyslogTarget, making: Making) -> AlertSink:
    """The sink for *target*. Unusable if its certificates cannot be read."""
    if target.transport in (Transport.UNIX, Transport.UDP):
        return SyslogDatagrams(target)
    context = client_context(target.tls, making) if target.transport is Transport.TLS else None
    return SyslogStream(target, Stream(target.host, target.port, context, target.tls.server_name))


class SyslogDatagrams:
    """One datagram for each message. What the network loses is lost: UDP has no answer."""

    most = 100

    def __init__(self, target: SyslogTarget) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._sent = 0  # messages of the delivery under way that are gone: they are not sent again

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Send *messages* from where the last, failed delivery of the same ones had come to."""
        try:
            sock = await self._connected()
            for message in messages[self._sent :]:
                await asyncio.get_running_loop().sock_sendall(sock, encoded(message)[:LONGEST_DATAGRAM])
                self._sent += 1
        except OSError as error:
            self._drop()
            raise EdgeError(f"{self._target.host}: {error.strerror or error}") from error
        self._sent = 0

    async def _connected(self) -> socket.socket:
        if self._socket is None:
            loop = asyncio.get_running_loop()
            if self._target.transport is Transport.UNIX:
                family, address = socket.AF_UNIX, self._target.host
            else:
                found = await loop.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_DGRAM)
                family, _, _, _, address = found[0]  # type: ignore[assignment]
            fresh = socket.socket(family, socket.SOCK_DGRAM)
            fresh.setblocking(False)
            self._socket = fresh
            await loop.sock_connect(fresh, address)
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def close(self) -> None:
        """Close the socket."""
        self._drop()


class SyslogStream:
    """Many messages, one behind the other. What was under way when a connection broke may come twice, or be lost where
    the other end had taken it and did not write it: the protocol has no answer (RFC 5425 section 6.1)."""

    most = 200

    def __init__(self, target: SyslogTarget, stream: Stream) -> None:
        self._octets = target.octets or target.transport is Transport.TLS
        self._stream = stream

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Send *messages*."""
        await self._stream.send(b"".join(map(self._framed, messages)))

    def _framed(self, message: Message) -> bytes:
        data = encoded(message)
        return b"%d %s" % (len(data), data) if self._octets else data.replace(b"\n", b"\\n") + b"\n"

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.close()


def encoded(message: Message) -> bytes:
    """*message* as it travels."""
    return message.text.encode("utf-8", "backslashreplace")
