"""uvicorn's protocol with our application behind it, on sockets that are given; no server of its own, no idle clock."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sentinetd.control.app import Api, Office
from sentinetd.control.peers import peer_of

CONNECTIONS_MOST = 128
"""Connections at once; of more, each is answered 503."""
HEADERS_MOST = 16_384
"""Bytes of a request's head."""
HEAD_WITHIN = 10.0
"""Seconds from a connection to its first request."""
PARTING = 2.0
"""Seconds that requests have to end when the site closes."""


class Visit(H11Protocol):
    """One connection; its peer's credentials go into the state of each request."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock.family == socket.AF_UNIX:
            try:
                self.app_state = {"peer": peer_of(sock)}
            except OSError:
                transport.abort()  # gone already: the kernel cannot say who it was
                return
        self._patience = self.loop.call_later(HEAD_WITHIN, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        """Nobody keeps a place without asking for anything."""
        if self.cycle is None:
            self.transport.abort()


class Faults(logging.Handler):
    """What uvicorn has to say of a fault of ours, for the daemon's log."""

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._told(f"control: {record.getMessage().strip()}" + (f": {error!r}" if error is not None else ""))


class Site:
    """Serves *office* on sockets, *limited* or not (`app.Api`). *faulty* is told of each fault of ours."""

    def __init__(self, office: Office, faulty: Callable[[str], None], *, limited: bool) -> None:
        self._office = office
        logger = logging.getLogger("uvicorn.error")
        logger.handlers[:] = [Faults(faulty)]
        logger.propagate = False
        self._config = Config(
            Api(office, limited=limited).app(),
            http=Visit,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=CONNECTIONS_MOST,
            h11_max_incomplete_event_size=HEADERS_MOST,
        )
        self._config.load()
        self._state = ServerState()
        self._servers: dict[tuple[int, int], asyncio.Server] = {}

    @property
    def office(self) -> Office:
        return self._office

    async def serve(self, key: tuple[int, int], sock: socket.socket) -> None:
        """Accept on *sock*, which becomes ours, until *key* is stopped."""
        self._servers[key] = await asyncio.get_running_loop().create_server(self._visit, sock=sock)

    async def stop(self, key: tuple[int, int]) -> None:
        """Accept no more on the socket of *key*; connections that are open go on."""
        server = self._servers.pop(key, None)
        if server is not None:
            server.close()

    def _visit(self) -> Any:
        return Visit(self._config, self._state, {})

    async def close(self) -> None:
        """Accept no more, and end what goes on."""
        for server in self._servers.values():
            server.close()
        for visit in list(self._state.connections):
            visit.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(self._state.tasks, timeout=PARTING)
            for task in late:
                task.cancel()
