"""Tells a service manager how we are: sd_notify(3), a datagram to the socket named in NOTIFY_SOCKET."""

from __future__ import annotations

import socket
from collections.abc import Mapping


def notify(environment: Mapping[str, str], state: str) -> None:
    """Send *state* (READY=1, RELOADING=1, STOPPING=1 ...). Nothing happens without a manager; one that does not listen
    is no trouble of ours."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        return
