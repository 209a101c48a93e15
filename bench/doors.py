"""Services, and how each of those who are compared is told to offer them."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OUTSIDER = "198.18.0.3"
"""The source that a door with *denied* does not admit."""
SERVICE_LOG = "service.log"
NO_LIMIT = "1000000"
BACKLOG = "1024"
MANY = "65000"
"""Servers at once, where a number has to be given."""
INTERNAL_PORTS = {"echo": 7, "daytime": 13, "chargen": 19}
"""The inetds know their internal services by these numbers only."""
LIMITS = (("cpu", 20), ("data", 512 << 20), ("stack", 8 << 20))
"""Resource limits of a door with *limited*: those that every dialect has words for, in seconds and bytes."""
NICE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One service.

    *server* is a command, empty for what is done inside: then *internal* names it, unless it is a sensor or redirected.
    *user* is whom the server runs as; *limited*: with `LIMITS` and `NICE`; *denied*: `OUTSIDER` is not admitted;
    *per_source*: servers at once for one source; *redirect*: address and port where connections are carried.
    *lines* are more of xinetd's dialect, with {directory} for the contender's own, *own_lines* what only sentinetd
    understands; either makes the door one that the others have not.
    """

    name: str
    port: int
    server: tuple[str, ...] = ()
    internal: str = ""
    user: str = "root"
    limited: bool = False
    datagram: bool = False
    wait: bool = False
    denied: bool = False
    per_source: int | None = None
    redirect: str = ""
    sensor: bool = False
    lines: tuple[str, ...] = ()
    own_lines: tuple[str, ...] = ()

    @property
    def protocol(self) -> str:
        """tcp or udp."""
        return "udp" if self.datagram else "tcp"

    @property
    def spawned(self) -> bool:
        """Whether a program is started for each connection."""
        return bool(self.server) and not self.datagram and not self.wait


def xinetd_conf(doors: Sequence[Door], address: str, directory: Path, *, own: bool) -> str:
    """The configuration of xinetd, or with *own* of sentinetd."""
    return "defaults\n{\n}\n" + "".join(_entry(door, address, directory, own) for door in doors)


def _entry(door: Door, address: str, directory: Path, own: bool) -> str:
    """One service. NOLIBWRAP: reading hosts.allow at every connection is not what is measured."""
    lines = [
        f"socket_type = {'dgram' if door.datagram else 'stream'}",
        f"protocol = {door.protocol}",
        f"wait = {'yes' if door.wait or (door.datagram and door.internal) else 'no'}",
        f"bind = {address}",
        f"port = {door.port}",
        f"cps = {NO_LIMIT} 1",
        f"user = {door.user}",
        "instances = UNLIMITED",
        f"per_source = {door.per_source or 'UNLIMITED'}",
    ]
    if door.sensor:
        lines += ["type = INTERNAL UNLISTED", "flags = SENSOR", "deny_time = 60"]
    elif door.internal:
        lines += ["type = INTERNAL UNLISTED", f"id = {door.name}", "flags = NOLIBWRAP"]
    else:
        lines += ["type = UNLISTED", "flags = NOLIBWRAP"]
    if door.server:
        lines += [f"server = {door.server[0]}", f"server_args = {' '.join(door.server[1:])}"][: len(door.server)]
    if door.redirect:
        lines.append(f"redirect = {door.redirect}")
    if door.denied:
        lines.append(f"no_access = {OUTSIDER}")
    if door.limited:
        lines += [f"rlimit_{name} = {value}" for name, value in LIMITS] + [f"nice = {NICE}"]
    lines += [line.format(directory=directory) for line in (*door.lines, *(door.own_lines if own else ()))]
    body = "".join(f"\t{line}\n" for line in lines)
    return f"service {door.internal or door.name}\n{{\n{body}}}\n"


def inetd_conf(doors: Sequence[Door], address: str) -> str:
    """The configuration of the inetds."""
    lines = []
    for door in doors:
        kind = "dgram" if door.datagram else "stream"
        wait = "wait" if door.datagram else "nowait"
        what = " ".join((door.server[0], *door.server)) if door.server else "internal"
        place = door.internal or door.port
        lines.append(f"{address}:{place} {kind} {door.protocol} {wait}.{NO_LIMIT} {door.user} {what}\n")
    return "".join(lines)


def rlinetd_conf(doors: Sequence[Door], address: str) -> str:
    """The configuration of rlinetd."""
    text = ""
    for door in doors:
        lines = [
            f"port {door.port};",
            f"interface {address};",
            f"protocol {door.protocol};",
            f'user "{door.user}";',
            f"backlog {BACKLOG};",
            f"instances {MANY};",
            f'exec "{" ".join(door.server)}";',
        ]
        if door.wait:
            lines.append("wait yes;")
        if door.limited:
            lines += [f"rlimit {name} {value};" for name, value in LIMITS] + [f"nice {NICE};"]
        text += f'service "{door.name}" {{\n' + "".join(f"\t{line}\n" for line in lines) + "}\n"
    return text


def tcpserver_command(program: str, door: Door, address: str, directory: Path) -> list[str]:
    """How tcpserver is started for one service; its rules are compiled into *directory*."""
    user = pwd.getpwnam(door.user)
    change = [] if door.user == "root" else ["-u", str(user.pw_uid), "-g", str(user.pw_gid)]
    rules = []
    if door.denied:
        database = directory / f"{door.name}.cdb"
        compiler = str(Path(program).with_name("tcprules"))
        text = f"{OUTSIDER}:deny\n:allow\n"
        subprocess.run([compiler, database, directory / "rules.new"], input=text, text=True, check=True)
        rules = ["-x", str(database)]
    asks_nobody = ["-H", "-R", "-l", "0"]
    room = ["-c", MANY, "-b", BACKLOG]
    return [program, *asks_nobody, *room, *change, *rules, address, str(door.port), *door.server]


def tcpsvd_command(program: str, door: Door, address: str, directory: Path) -> list[str]:
    """How tcpsvd is started for one service; its instructions are written into *directory*."""
    change = [] if door.user == "root" else ["-u", door.user]
    rules = []
    if door.denied:
        instructions = directory / f"{door.name}.instructions"
        instructions.mkdir()
        (instructions / OUTSIDER).touch(mode=0)
        rules = ["-i", str(instructions)]
    if door.per_source:
        rules += ["-C", str(door.per_source)]
    room = ["-c", MANY, "-b", BACKLOG]
    return [program, "-l", "0", *room, *change, *rules, address, str(door.port), *door.server]


def activate_command(program: str, door: Door, address: str) -> list[str]:
    """How systemd-socket-activate is started for one service."""
    return [program, "-l", f"{address}:{door.port}", "--accept", "--inetd", *door.server]
