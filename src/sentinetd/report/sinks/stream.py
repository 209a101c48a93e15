"""A connection to a server that only listens: opened when it is needed, noticed when it ends, dropped when it fails."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from sentinetd.errors import EdgeError

Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Stream:
    """To *port* of *host*, by TLS with *context*; the certificate has to bear *server_name*, empty: *host*. *greet*
    does what comes first on every connection."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, server_name: str = "", greet: Greet | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._server_name = (server_name or host) if context is not None else None
        self._greet = greet
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes) -> None:
        """Hand *data* over to the other end's machine, as far as TCP tells. EdgeError if it cannot be done."""
        try:
            writer = await self._connected()
            writer.write(data)
            await writer.drain()
        except BaseException as error:  # cancelled or failed: what was sent is not known, the connection is of no use
            self.drop()
            if isinstance(error, OSError | EOFError | ssl.CertificateError):
                raise EdgeError(f"{self._host}:{self._port}: {_reason(error)}") from error
            raise

    async def _connected(self) -> asyncio.StreamWriter:
        """The connection, a new one if the other end has closed the one there was."""
        if self._writer is not None and self._reader is not None and not self._reader.at_eof():
            return self._writer
        self.drop()
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._context, server_hostname=self._server_name
        )
        if self._greet is not None:
            await self._greet(self._reader, self._writer)
        return self._writer

    def drop(self) -> None:
        """Close the connection at once."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def close(self) -> None:
        """Close the connection when what was sent is on its way."""
        writer = self._writer
        self._reader = self._writer = None
        if writer is not None:
            writer.close()
            try:
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
            except (OSError, TimeoutError):
                writer.transport.abort()


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or "it hung up"
