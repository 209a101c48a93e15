"""Accepts and hangs up, and no more: the least that a program in Python can do to refuse. ``loop.py PORT`` does so at
127.0.0.1 until it is ended, and says when it is ready."""

from __future__ import annotations

import os
import select
import socket
import sys


def main() -> None:
    """As the guard does it: bare descriptors, many at a turn."""
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024) as listener, select.epoll() as epoll:
        listener.setblocking(False)
        epoll.register(listener.fileno(), select.EPOLLIN)
        print("ready", flush=True)
        accept = listener._accept  # type: ignore[attr-defined]  # what socket.accept is made of
        while True:
            epoll.poll()
            for _ in range(64):
                try:
                    descriptor, _where = accept()
                except BlockingIOError:
                    break
                os.close(descriptor)


if __name__ == "__main__":
    main()
