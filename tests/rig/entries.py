"""Entries of a configuration, as text: the usual attributes, and what a test wants different."""

from __future__ import annotations

SIX = "192.168.1.6"

USUAL = {
    "type": "UNLISTED",
    "socket_type": "stream",
    "protocol": "tcp",
    "wait": "no",
    "user": "root",
    "bind": SIX,
    "server": "@PROBE@",
    "log_type": "FILE @WORK@/service.log",
    "log_on_success": "PID HOST EXIT",
    "log_on_failure": "HOST",
}
"""A service as most cases want it."""


def service(name: str, port: int | None, *lines: str, without: tuple[str, ...] = ()) -> str:
    """An entry: the usual attributes but for *without* and those that *lines* give, then *lines*."""
    given = {line.split()[0] for line in lines} | set(without)
    usual = [f"{key} = {value}" for key, value in USUAL.items() if key not in given]
    if port is not None and "port" not in given:
        usual.append(f"port = {port}")
    return "\n".join([f"service {name}", "{", *(f"\t{line}" for line in (*usual, *lines)), "}", ""])


def dgram(name: str, port: int, *lines: str) -> str:
    """An entry of a waiting datagram service."""
    given = {line.split()[0] for line in lines}
    kind = [line for line in ("socket_type = dgram", "protocol = udp", "wait = yes") if line.split()[0] not in given]
    return service(name, port, *kind, *lines)


def sensor(name: str, port: int, *lines: str) -> str:
    """An entry of a sensor on 192.168.1.5."""
    given = {line.split()[0] for line in lines}
    usual = ("type = UNLISTED INTERNAL", "flags = SENSOR", "bind = 192.168.1.5", "deny_time = 60")
    return service(
        name, port, *(line for line in usual if line.split()[0] not in given), *lines, without=("server", "user")
    )


def defaults(*lines: str) -> str:
    """A defaults entry."""
    return "\n".join(["defaults", "{", *(f"\t{line}" for line in lines), "}", ""])
