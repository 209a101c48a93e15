"""How each of those who are compared is told what to offer: its configuration, or its command line."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from doors import BACKLOG, LIMITS, MANY, NICE, NO_LIMIT, OUTSIDER, Door
from machine import CACHE, Site
from peers import Kind, sentinetd_command

LOOPS = {"echo": "echo", "daytime": "say", "chargen": "pour"}
DAYTIME_LINE = "26"
"""Bytes of the daytime of the C loop: as many as ctime(3) has with its CR LF."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender is to work: its *program*, its *address*, a *directory* of its own."""

    program: str
    address: str
    directory: Path
    site: Site

    @property
    def config(self) -> Path:
        """What it reads."""
        return self.directory / "configuration"

    @property
    def log(self) -> Path:
        """What it writes, if it can be told to."""
        return self.directory / "daemon.log"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Of a daemon that reads a file: its *text* for some services, the *command* that starts it, and whether it goes
    into the background by itself."""

    text: Callable[[Sequence[Door], Place], str]
    command: Callable[[Place], list[str]]
    detaches: bool = False


def _xinetd_conf(doors: Sequence[Door], place: Place) -> str:
    return "defaults\n{\n}\n" + "".join(_entry(door, place, ()) for door in doors)


def _sentinetd_conf(doors: Sequence[Door], place: Place) -> str:
    return "defaults\n{\n}\n" + "".join(_entry(door, place, door.own_lines) for door in doors)


def _entry(door: Door, place: Place, more: Sequence[str]) -> str:
    """One service. NOLIBWRAP: reading hosts.allow at every connection is not what is measured."""
    lines = [
        f"socket_type = {'dgram' if door.datagram else 'stream'}",
        f"protocol = {door.protocol}",
        f"wait = {'yes' if door.wait or (door.datagram and door.internal) else 'no'}",
        f"bind = {place.address}",
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
    lines += [line.format(directory=place.directory) for line in (*door.lines, *more)]
    body = "".join(f"\t{line}\n" for line in lines)
    return f"service {door.internal or door.name}\n{{\n{body}}}\n"


def _inetd_conf(doors: Sequence[Door], place: Place) -> str:
    lines = []
    for door in doors:
        kind = "dgram" if door.datagram else "stream"
        wait = "wait" if door.datagram else "nowait"
        what = " ".join((door.server[0], *door.server)) if door.server else "internal"
        name = door.internal or door.port
        lines.append(f"{place.address}:{name} {kind} {door.protocol} {wait}.{NO_LIMIT} {door.user} {what}\n")
    return "".join(lines)


def _rlinetd_conf(doors: Sequence[Door], place: Place) -> str:
    text = ""
    for door in doors:
        lines = [
            f"port {door.port};",
            f"interface {place.address};",
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


def _usual(place: Place) -> list[str]:
    """Options of xinetd and sentinetd."""
    files = ["-f", str(place.config), "-filelog", str(place.log), "-pidfile", str(place.directory / "pid")]
    return ["-dontfork", *files]


def _xinetd(place: Place) -> list[str]:
    return [place.program, *_usual(place)]


def _sentinetd(place: Place) -> list[str]:
    return [*sentinetd_command(), *_usual(place), "--settings", str(place.directory / "sentinetd.toml")]


def _openbsd_inetd(place: Place) -> list[str]:
    return [place.program, "-i", "-q", BACKLOG, "-R", NO_LIMIT, str(place.config)]


def _inetutils_inetd(place: Place) -> list[str]:
    return [place.program, "-R", NO_LIMIT, f"--pidfile={place.directory / 'pid'}", str(place.config)]


def _rlinetd(place: Place) -> list[str]:
    """One that is only unpacked does not find its parser."""
    parser = next((CACHE / "rlinetd").glob("usr/lib/*/rlinetd/libparse.so"), None)
    return [place.program, *(["-p", str(parser)] if parser else []), "-f", str(place.config)]


DIALECTS: Mapping[Kind, Dialect] = {
    Kind.XINETD: Dialect(_xinetd_conf, _xinetd),
    Kind.SENTINETD: Dialect(_sentinetd_conf, _sentinetd),
    Kind.OPENBSD: Dialect(_inetd_conf, _openbsd_inetd),
    Kind.INETUTILS: Dialect(_inetd_conf, _inetutils_inetd, detaches=True),
    Kind.RLINETD: Dialect(_rlinetd_conf, _rlinetd, detaches=True),
}
"""Those that offer all services from one process."""


def _tcpserver(door: Door, place: Place) -> list[str]:
    user = pwd.getpwnam(door.user)
    change = [] if door.user == "root" else ["-u", str(user.pw_uid), "-g", str(user.pw_gid)]
    rules = []
    if door.denied:
        database = place.directory / f"{door.name}.cdb"
        compiler = str(Path(place.program).with_name("tcprules"))
        text = f"{OUTSIDER}:deny\n:allow\n"
        subprocess.run([compiler, database, place.directory / "rules.new"], input=text, text=True, check=True)
        rules = ["-x", str(database)]
    asks_nobody = ["-H", "-R", "-l", "0"]
    room = ["-c", MANY, "-b", BACKLOG]
    return [place.program, *asks_nobody, *room, *change, *rules, place.address, str(door.port), *door.server]


def _tcpsvd(door: Door, place: Place) -> list[str]:
    change = [] if door.user == "root" else ["-u", door.user]
    rules = []
    if door.denied:
        instructions = place.directory / f"{door.name}.instructions"
        instructions.mkdir()
        (instructions / OUTSIDER).touch(mode=0)
        rules = ["-i", str(instructions)]
    if door.per_source:
        rules += ["-C", str(door.per_source)]
    room = ["-c", MANY, "-b", BACKLOG]
    return [place.program, "-l", "0", *room, *change, *rules, place.address, str(door.port), *door.server]


def _socket_activate(door: Door, place: Place) -> list[str]:
    return [place.program, "-l", f"{place.address}:{door.port}", "--accept", "--inetd", *door.server]


def _loop(door: Door, place: Place) -> list[str]:
    where = [place.address, str(door.port)]
    if door.denied or door.per_source is not None:
        return [place.site.program("loops"), "refuse", *where]
    if door.internal:
        what = "reflect" if door.datagram else LOOPS[door.internal]
        return [place.site.program("loops"), what, *where, DAYTIME_LINE]
    user = pwd.getpwnam(door.user)
    limits = [*(value for _, value in LIMITS), NICE] if door.limited else [0] * (len(LIMITS) + 1)
    return [place.site.program("limit"), *where, *map(str, (user.pw_uid, user.pw_gid, *limits)), *door.server]


COMMANDS: Mapping[Kind, Callable[[Door, Place], list[str]]] = {
    Kind.TCPSERVER: _tcpserver,
    Kind.TCPSVD: _tcpsvd,
    Kind.SYSTEMD: _socket_activate,
    Kind.LIMIT: _loop,
}
"""Those that are started for each service."""
