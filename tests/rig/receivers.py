"""Who alerts are sent to: servers on sockets that the test makes, in whichever network, on a thread of their own.

What they understand by libraries of others where there are any (aiosmtpd, hpfeeds); what came is kept for the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, Self

from rig.network import run

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def listening(host: str = "127.0.0.1", make: Callable[[int, int], socket.socket] = socket.socket) -> socket.socket:
    """A listening TCP socket on a free port of *host*; *make* makes it in another network."""
    sock = make(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, 0))
    sock.listen(16)
    return sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


class Town:
    """A loop on a thread, in which the servers live."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self.transports: list[asyncio.BaseTransport] = []

    def call(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do *work* in the loop, and wait for it."""

        async def run_it() -> Any:
            return await work()

        return asyncio.run_coroutine_threadsafe(run_it(), self.loop).result(20)

    def serve(self, handle: Handle, sock: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Have *handle* serve every connection to *sock*."""

        async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.transports.append(writer.transport)
            try:
                with contextlib.suppress(ConnectionError, EOFError, ssl.SSLError, asyncio.CancelledError):
                    await handle(reader, writer)
            finally:
                writer.close()

        async def start() -> None:
            self._servers.append(await asyncio.start_server(quietly, sock=sock, ssl=context))

        self.call(start)

    def adopt(self, protocol: Callable[[], asyncio.Protocol], sock: socket.socket) -> None:
        """Have *protocol* serve every connection to *sock*."""

        async def start() -> None:
            self._servers.append(await asyncio.get_running_loop().create_server(protocol, sock=sock))

        self.call(start)

    def close(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            for transport in self.transports:
                transport.abort() if isinstance(transport, asyncio.WriteTransport) else transport.close()
            for _ in range(3):  # transports are gone a turn after they are told
                await asyncio.sleep(0)

        self.call(end)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Bytes:
    """Keeps what every connection brings. `silent` reads nothing more."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while data := await reader.read(65536):
            self.data += data


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the connection and never read."""
    await asyncio.Event().wait()


class Http:
    """Answers every POST with the next of *answers* (the last one for ever), and keeps headers and bodies."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers or (204,))
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("ascii"):
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append((first, headers, body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            writer.write(f"HTTP/1.1 {answer} Whatever\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()

    def events(self) -> list[Any]:
        """The events of all generic bodies."""
        return [event for _, _, body in self.requests for event in json.loads(body)["events"]]


class Mailbox:
    """A mail server by aiosmtpd; *context* offers STARTTLS, and then nothing is taken without it."""

    def __init__(self, town: Town, sock: socket.socket, context: ssl.SSLContext | None = None) -> None:
        from aiosmtpd.smtp import SMTP

        self.mails: list[tuple[str, list[str], Message]] = []
        self.answer = "250 OK"
        self.encrypted = context is not None

        class Server(SMTP):  # type: ignore[misc]
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                town.transports.append(transport)
                super().connection_made(transport)

        town.adopt(
            lambda: Server(self, tls_context=context, require_starttls=context is not None, loop=town.loop), sock
        )

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return self.answer


class Broker:
    """A broker of hpfeeds, by that project's own protocol module, that keeps what is published by *ident*."""

    def __init__(self, ident: str, secret: str) -> None:
        self.ident, self.secret = ident, secret
        self.published: list[tuple[str, str, bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from hpfeeds import protocol

        nonce = b"\x01\x02\x03\x04"
        writer.write(protocol.msginfo("broker", nonce))
        unpacker = protocol.Unpacker()
        admitted = False
        while data := await reader.read(65536):
            unpacker.feed(data)
            for kind, body in unpacker:
                if kind == protocol.OP_AUTH:
                    ident, digest = body[1 : 1 + body[0]].decode(), body[1 + body[0] :]
                    admitted = (ident, digest) == (self.ident, protocol.hashsecret(nonce, self.secret))
                    if not admitted:
                        writer.write(protocol.msgerror("accessfail"))
                        return
                elif kind == protocol.OP_PUBLISH and admitted:
                    self.published.append(protocol.readpublish(body))


class Authority:
    """A certificate authority and one certificate of it, made by openssl(1) in *directory*: for *name* and loopback."""

    def __init__(self, directory: Path, name: str = "logs.example.test") -> None:
        self.ca = directory / "ca.pem"
        self.certificate = directory / "server.pem"
        self.key = directory / "server.key"
        self.stranger = directory / "stranger.pem"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        ca_key, request = directory / "ca.key", directory / "server.csr"
        for path, key in ((self.ca, ca_key), (self.stranger, directory / "stranger.key")):
            run("openssl", "req", "-x509", *curve, "-keyout", str(key), "-out", str(path), "-subj", f"/CN={path.stem}")
        run("openssl", "req", *curve[:-2], "-keyout", str(self.key), "-out", str(request), "-subj", f"/CN={name}")
        extension = directory / "extension"
        extension.write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1,IP:192.168.1.6")
        run(
            "openssl", "x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(ca_key),
            "-CAcreateserial", "-days", "2", "-out", str(self.certificate), "-extfile", str(extension),
        )  # fmt: skip

    def server(self) -> ssl.SSLContext:
        """What a server of this certificate speaks by."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


def framed(data: bytes) -> Iterator[str]:
    """The messages of a stream in which each has its length before it (RFC 6587 section 3.4.1)."""
    place = 0
    while place < len(data):
        space = data.index(b" ", place)
        end = space + 1 + int(data[place:space])
        yield data[space + 1 : end].decode()
        place = end
