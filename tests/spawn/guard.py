"""Plays the guard: owns a spawner, orders servers, reaps them; and asks the kernel what a server is (proc(5))."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sentinetd.spawn.protocol import Launched, LaunchFailed, Reply
from sentinetd.spawn.recipe import Recipe
from sentinetd.spawn.spawner import Backend, Spawner

WITHIN = 20.0  # seconds: far beyond what any of this takes
ECHO = Recipe("/bin/cat", ("cat",))
TRUE = Recipe("/bin/true", ("true",))


class Server:
    """A running server and our end of its connection."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.connection = connection

    def status(self, key: str) -> str:
        """One line of /proc/PID/status, its words separated by single spaces."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as lines:
            found = dict(line.split(":", 1) for line in lines)
        return " ".join(found[key].split())

    def strings(self, name: str) -> list[bytes]:
        """/proc/PID/*name*: cmdline or environ."""
        with open(f"/proc/{self.pid}/{name}", "rb") as file:
            return file.read().split(b"\0")[:-1]

    def limit(self, name: str) -> tuple[str, str]:
        """Soft and hard limit as in /proc/PID/limits."""
        with open(f"/proc/{self.pid}/limits", encoding="ascii") as lines:
            (line,) = (line for line in lines if line.startswith(name))
        soft, hard = line[len(name) :].split()[:2]
        return soft, hard


def descriptors(pid: int | str = "self") -> dict[int, str]:
    """What the descriptors of a process are, as /proc/PID/fd names them."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


class Guard:
    def __init__(self, backend: Backend | None) -> None:
        self.spawner = Spawner(backend)
        self.replies: list[Reply] = []
        self.returned: dict[int, int] = {}  # descriptor by order: of launches that failed
        self.exits: dict[int, int] = {}  # pid to status as os.waitstatus_to_exitcode gives it
        self.running: set[int] = {self.spawner.pid}
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything that was started here, and reap it."""
        self.spawner.close()
        for order in tuple(self.returned):
            self.drop(order)
        for connection in self._connections:
            connection.close()
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
        for pid in self.running:
            os.waitpid(pid, 0)

    def launch(self, order: int, number: int = 1, host: str = "") -> socket.socket:
        """Order a server; our end of the connection it serves."""
        ours, theirs = socket.socketpair()
        self._connections.append(ours)
        with theirs:
            self.spawner.launch(order, number, theirs.fileno(), host)
        ours.settimeout(WITHIN)
        return ours

    def drop(self, order: int) -> None:
        """Close the descriptor that a launch gave back, if it did."""
        descriptor = self.returned.pop(order)
        if descriptor >= 0:
            os.close(descriptor)

    def serve(self, recipe: Recipe, host: str = "", order: int = 1) -> Server:
        """A server that echoes, made by *recipe* and past its exec."""
        self.spawner.teach(1, recipe)
        connection = self.launch(order, 1, host)
        pid = self.pid(order)
        connection.sendall(b"?")
        assert connection.recv(1) == b"?", self.replies
        return Server(pid, connection)

    def pid(self, order: int) -> int:
        """The process of an order, once the spawner has named it."""
        self.until(lambda: order in self.pids(), f"a process for order {order}")
        return self.pids()[order]

    def pids(self) -> dict[int, int]:
        return {reply.order: reply.pid for reply in self.replies if isinstance(reply, Launched)}

    def exit(self, order: int) -> int:
        """How the server of an order ended."""
        pid = self.pid(order)
        self.until(lambda: pid in self.exits, f"the end of {pid}")
        return self.exits[pid]

    def until(self, condition: Callable[[], object], what: str, within: float = WITHIN) -> None:
        """Go round the loop until *condition* holds."""
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end, f"not within {within} s: {what}; heard: {self.replies[-5:]}"
            self.step(0.01)

    def heard(self, count: int) -> None:
        """Go on until *count* replies have come in all."""
        self.until(lambda: len(self.replies) >= count, f"{count} replies")

    def step(self, timeout: float) -> None:
        """Once round the loop: read, write, reap."""
        writers = [self.spawner] if self.spawner.wants_write else []
        readable, writable, _ = select.select([self.spawner], writers, [], timeout)
        if writable:
            self.spawner.flush()
        if readable:
            replies = self.spawner.receive()
            self.replies += replies
            self.running |= {reply.pid for reply in replies if isinstance(reply, Launched)}
            self.returned |= {reply.order: reply.descriptor for reply in replies if isinstance(reply, LaunchFailed)}
        self.reap()

    def reap(self) -> None:
        for pid in tuple(self.running - {self.spawner.pid}):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self.exits[pid] = os.waitstatus_to_exitcode(status)
                self.running.discard(pid)

    def end_servers(self) -> None:
        """Kill all servers and reap them."""
        for pid in self.running - {self.spawner.pid}:
            os.kill(pid, signal.SIGKILL)
        self.until(lambda: self.running <= {self.spawner.pid}, "the end of all servers")

    def stop_spawner(self) -> None:
        """Stop it, so that it reads nothing."""
        os.kill(self.spawner.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.spawner.pid, os.WSTOPPED)

    def end_spawner(self) -> None:
        """Kill the spawner and reap it."""
        os.kill(self.spawner.pid, signal.SIGKILL)
        os.waitpid(self.spawner.pid, 0)
        self.running.discard(self.spawner.pid)
