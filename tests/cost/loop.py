"""Accepts, decides and hangs up: what a program in Python takes to refuse that knows what to look at, and nothing else.

``loop.py PORT`` does so at 127.0.0.1 until it is ended, and says when it is ready. What it decides is of no use: it is
as much for the interpreter to do as a refusal of the guard was once (900 instructions, in functions and small objects),
so that a machine on which system calls cost more, or less, changes both alike.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable

CHECKS = 29


class Visitor:
    """Who has come."""

    __slots__ = ("number", "port", "source")

    def __init__(self, number: int, source: str, port: int) -> None:
        self.number = number
        self.source = int.from_bytes(socket.inet_aton(source), "big")
        self.port = port


class Check:
    """Objects to sources of a network."""

    __slots__ = ("known", "shift")

    def __init__(self, length: int) -> None:
        self.shift = 32 - length
        self.known = dict.fromkeys(range(length), "seen")

    def __call__(self, visitor: Visitor) -> str | None:
        prefix = visitor.source >> self.shift
        found = self.known.get(prefix)
        if found is not None and visitor.port:
            return found
        return None


def decide(checks: list[Check], visitor: Visitor) -> tuple[int, str]:
    """The first objection."""
    for number, check in enumerate(checks):
        if (objection := check(visitor)) is not None:
            return number, objection
    return visitor.number, ""


def main() -> None:
    """As the guard does it: bare descriptors, many at a turn."""
    checks = [Check(32 - number) for number in range(CHECKS)]
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024) as listener, select.epoll() as epoll:
        listener.setblocking(False)
        epoll.register(listener.fileno(), select.EPOLLIN)
        print("ready", flush=True)
        accept: Callable[[], tuple[int, tuple[str, int]]] = listener._accept  # type: ignore[attr-defined]
        while True:
            epoll.poll()
            for number in range(64):
                try:
                    descriptor, where = accept()
                except BlockingIOError:
                    break
                decide(checks, Visitor(number, *where))
                os.close(descriptor)


if __name__ == "__main__":
    main()
