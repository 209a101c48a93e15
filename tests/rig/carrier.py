"""A loop in a thread that carries real connections, as the porter's does; the test is client, target and guard."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from sentinetd.model.routine import Ending
from sentinetd.serve.sessions import Sessions

NUMBER = 7


@dataclass(frozen=True)
class Ended:
    number: int
    bytes_in: int
    bytes_out: int
    ending: Ending
    error: str


class Carrier:
    """*sessions* belongs to the loop's thread: `do` calls there and gives what came out."""

    def __init__(self, most: int = 100) -> None:
        self.loop = asyncio.new_event_loop()
        self.told: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self.mistakes: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.mistakes.append(context))
        self.sessions = Sessions(self.loop, lambda *told: self.told.put(Ended(*told)), most)
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def do(self, call: Callable[[], Any]) -> Any:
        async def inside() -> Any:
            made = call()
            return await made if asyncio.iscoroutine(made) else made

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(20)

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let *work* run by itself."""
        asyncio.run_coroutine_threadsafe(work, self.loop)

    def ended(self, within: float = 10.0) -> Ended:
        """The next end of a session."""
        return self.told.get(timeout=within)

    def close(self) -> None:
        self.do(self.sessions.stop_all)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        watched = len(self.loop._selector.get_map()) - 1  # type: ignore[attr-defined]  # less the loop's own bell
        self.loop.close()
        assert not watched, "descriptors are still watched"
        assert not self.mistakes, self.mistakes


def tcp_pair(family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    """A client and the accepted end of its connection."""
    with socket.create_server(("127.0.0.1" if family == socket.AF_INET else "::1", 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2], timeout=10)
        return client, listener.accept()[0]


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other end says no more."""
    sock.settimeout(10)
    data = bytearray()
    while part := sock.recv(65536):
        data += part
    return bytes(data)


def reset(sock: socket.socket) -> None:
    """Close *sock* with a reset (SO_LINGER of 0 seconds)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
    sock.close()
