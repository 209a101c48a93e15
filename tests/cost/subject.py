"""What is measured: a whole daemon on loopback of the lab's host, its processes by what they are for; its clients."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.network import Lab

HERE = "127.0.0.1"
PEACEFUL = "127.0.0.2"
OUTSIDER = "127.0.0.3"
"""The source that `no_access` names."""
BANNED = "127.0.0.4"
"""The source that has touched the sensor already."""
SERVE, REFUSE, SENSOR, ECHO, DAYTIME, REDIRECT = range(4500, 4506)
"""Ports of the services."""
ROLES = ("spawner", "courier", "porter", "herald")
WITHIN = 30.0  # seconds
IP_BIND_ADDRESS_NO_PORT = 24  # of <linux/in.h>: the port is chosen at connect(2), when it need not be free for all

Maker = Callable[..., Daemon]


def configuration(server: Path) -> str:
    """Six services without logs of their own; those that have a server run *server*."""
    entries = {
        "serve": (SERVE, f"type = UNLISTED\nuser = nobody\nserver = {server}"),
        "refuse": (REFUSE, f"type = UNLISTED\nuser = nobody\nserver = {server}\nno_access = {OUTSIDER}"),
        "sensor": (SENSOR, "type = UNLISTED INTERNAL\nflags = SENSOR\ndeny_time = 600"),
        "echo": (ECHO, "type = UNLISTED INTERNAL"),
        "daytime": (DAYTIME, "type = UNLISTED INTERNAL"),
        "redirect": (REDIRECT, f"type = UNLISTED\nuser = nobody\nredirect = {HERE} {DAYTIME}"),
    }
    return "".join(_entry(name, port, text) for name, (port, text) in entries.items())


def _entry(name: str, port: int, text: str) -> str:
    """A service that no limit closes, and that asks nobody."""
    lines = [
        "socket_type = stream",
        "protocol = tcp",
        "wait = no",
        f"bind = {HERE}",
        f"port = {port}",
        "cps = 1000000 1",
        "instances = UNLIMITED",
        "per_source = UNLIMITED",
        *text.splitlines(),
    ]
    if name != "sensor":
        lines.append("flags = NOLIBWRAP")
    body = "".join(f"\t{line}\n" for line in lines)
    return f"service {name}\n{{\n{body}}}\n"


def begun(make_daemon: Maker, lab: Lab, server: Path) -> Daemon:
    """A running daemon with these services, in which loopback may be banned, and none of whose processes still does
    what it does once."""
    daemon = make_daemon(Kind.SENTINETD, configuration(server))
    daemon.work.write("sentinetd.toml", "[bans]\nexempt_own = false\n").chmod(0o600)
    daemon.start(within=WITHIN)
    assert visit(lab, ECHO, say=b"?") == b"?"  # the porter is there
    visit(lab, SENSOR, BANNED)
    await_bans(daemon, 1)
    return daemon


def roles(daemon: Daemon) -> dict[str, int]:
    """The process ids of the daemon's own processes by what they are for; the first is the guard."""
    found = {"guard": daemon.pid}
    for pid in children_of(daemon.pid):
        words = command_line(pid)
        found |= {role: pid for role in ROLES if role in words}
    return found


def visit(lab: Lab, port: int, source: str = PEACEFUL, say: bytes = b"") -> bytes:
    """Connect, *say* something, hear the other side out, hang up; what came."""
    with connected(lab, port, source) as client:
        if say:
            client.sendall(say)
            client.shutdown(socket.SHUT_WR)
        return rest(client)


def connected(lab: Lab, port: int, source: str) -> socket.socket:
    """A client's connection, which the kernel makes though nobody accepts it yet."""
    client = lab.host.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        client.settimeout(WITHIN)
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((source, 0))
        client.connect((HERE, port))
    except BaseException:
        client.close()
        raise
    return client


def rest(client: socket.socket) -> bytes:
    """All that comes until the other side hangs up."""
    data = b""
    try:
        while piece := client.recv(4096):
            data += piece
    except ConnectionResetError:
        pass  # refused
    return data


class Queue:
    """Clients that wait at a port while *pid*, whose port it is, stands still: how many it finds at once does not
    depend on who else runs. `serve` lets it go on and hears all of them out."""

    def __init__(self, lab: Lab, pid: int, port: int, sources: Iterable[str]) -> None:
        self._pid = pid
        self._clients: list[socket.socket] = []
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_for(lambda: status(pid, "State") == "T (stopped)", f"process {pid} to stop", WITHIN)
            for source in sources:
                self._clients.append(connected(lab, port, source))
        except BaseException:
            self.serve()
            raise

    def serve(self) -> list[bytes]:
        """What came to each."""
        os.kill(self._pid, signal.SIGCONT)
        try:
            return [rest(client) for client in self._clients]
        finally:
            for client in self._clients:
                client.close()


def status(pid: int, key: str) -> str:
    """A line of /proc/PID/status (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:"))


def intruders(count: int) -> Iterator[str]:
    """So many sources, none of them twice."""
    for number in range(count):
        yield f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


def await_bans(daemon: Daemon, count: int) -> None:
    """Wait until so many bans are logged, which is after they are stored."""
    wait_for(lambda: daemon.log.read_bytes().count(b" Adding ") >= count, daemon.story, WITHIN)
