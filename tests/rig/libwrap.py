"""The system's libwrap.so.0 as an oracle, in a child process: its state is global, and it may open files and wait.

Run as a program it reads one JSON request a line and writes whether hosts_access(3) admits it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import socket
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

DAEMON, USER, CLIENT_NAME, CLIENT_ADDR, SERVER_NAME, SERVER_ADDR, SERVER_SIN = 2, 3, 4, 5, 7, 8, 9  # tcpd.h, RQ_*
LIBRARY = "libwrap.so.0"


@dataclass(frozen=True)
class Query:
    """Everything that a rule may look at; nothing is left to be looked up."""

    daemon: str
    name: str
    address: str
    user: str
    server_name: str
    server_address: str
    server_port: int


class Libwrap:
    """The child. The tables are the files ``hosts.allow`` and ``hosts.deny`` of *directory*."""

    def __init__(self, directory: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", __file__, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def admits(self, query: Query) -> bool:
        """What the library says."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(asdict(query)).encode() + b"\n")
        self._child.stdin.flush()
        return bool(json.loads(self._child.stdout.readline()))

    def close(self) -> None:
        """End the child."""
        self._child.communicate(timeout=10)


def present() -> bool:
    """Whether the library is here."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def main() -> None:
    """The life of the child."""
    library = ctypes.CDLL(LIBRARY)
    tables = [ctypes.create_string_buffer(f"{sys.argv[1]}/hosts.{kind}".encode()) for kind in ("allow", "deny")]
    for variable, path in zip(("hosts_allow_table", "hosts_deny_table"), tables, strict=True):
        ctypes.c_void_p.in_dll(library, variable).value = ctypes.addressof(path)
    ctypes.c_int.in_dll(library, "resident").value = 1
    for text in sys.stdin:
        query = Query(**json.loads(text))
        place = ctypes.create_string_buffer(
            struct.pack("=H", socket.AF_INET) + struct.pack("!H", query.server_port) + bytes(12), 16
        )
        request = ctypes.create_string_buffer(65536)
        arguments: list[object] = []
        for key, value in (
            (DAEMON, query.daemon),
            (USER, query.user),
            (CLIENT_NAME, query.name),
            (CLIENT_ADDR, query.address),
            (SERVER_NAME, query.server_name),
            (SERVER_ADDR, query.server_address),
        ):
            arguments += [ctypes.c_int(key), ctypes.c_char_p(value.encode())]
        library.request_init(request, *arguments, ctypes.c_int(SERVER_SIN), place, ctypes.c_int(0))
        print(library.hosts_access(request), flush=True)


if __name__ == "__main__":
    main()
