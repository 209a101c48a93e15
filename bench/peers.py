"""Who is compared: a table of the super-servers, where they are found, and which services each can offer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from doors import Door
from machine import CACHE, SOURCES, BenchError


class Kind(Enum):
    XINETD = "xinetd"
    SENTINETD = "sentinetd"
    OPENBSD = "openbsd-inetd"
    INETUTILS = "inetutils-inetd"
    RLINETD = "rlinetd"
    TCPSERVER = "tcpserver"
    TCPSVD = "tcpsvd"
    SYSTEMD = "systemd-socket-activate"
    LIMIT = "C loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One of those who are compared.

    *package* is Debian's. *users*: it changes to another user; *limits*: it sets resource limits and nice;
    *denies*: it refuses by address; *counts_sources*: it limits the servers of one source. *inside* are the stream
    services it carries out itself, *datagrams* those over UDP; *waits*: it starts a server for a datagram and waits.
    *most_clients*: with more of them, some never get an answer; *most_services*: it does not start with more.
    """

    kind: Kind
    package: str = ""
    program: str = ""
    users: bool = True
    limits: bool = False
    denies: bool = False
    counts_sources: bool = False
    inside: frozenset[str] = frozenset()
    datagrams: frozenset[str] = frozenset()
    waits: bool = False
    redirects: bool = False
    sensors: bool = False
    most_clients: int = 4096
    most_services: int = 60_000


ALL_INSIDE = frozenset({"echo", "daytime", "chargen"})
SELECTED = 1_000
"""Services of those who wait in select(2), which has room for 1,024 descriptors."""
PEERS = {
    peer.kind: peer
    for peer in (
        Peer(
            kind=Kind.XINETD,
            package="xinetd",
            program="xinetd",
            limits=True,
            denies=True,
            counts_sources=True,
            inside=ALL_INSIDE,
            datagrams=ALL_INSIDE,
            waits=True,
            redirects=True,
            sensors=True,
        ),
        Peer(
            kind=Kind.SENTINETD,
            limits=True,
            denies=True,
            counts_sources=True,
            inside=ALL_INSIDE,
            datagrams=ALL_INSIDE,
            waits=True,
            redirects=True,
            sensors=True,
        ),
        Peer(
            kind=Kind.OPENBSD,
            package="openbsd-inetd",
            program="inetd",
            inside=ALL_INSIDE,
            datagrams=ALL_INSIDE,
            waits=True,
        ),
        Peer(
            kind=Kind.INETUTILS,
            package="inetutils-inetd",
            program="inetutils-inetd",
            inside=ALL_INSIDE,
            datagrams=ALL_INSIDE,
            waits=True,
            most_services=SELECTED,
            most_clients=1,  # it listens with a queue of 10, and sleeps for a second when a child ends while it waits
        ),
        Peer(
            kind=Kind.RLINETD,  # its own daytime waits until another client comes, its own chargen does not load
            package="rlinetd",
            program="rlinetd",
            limits=True,
            waits=True,
            most_services=SELECTED,
        ),
        Peer(kind=Kind.TCPSERVER, package="ucspi-tcp", program="tcpserver", denies=True),
        Peer(kind=Kind.TCPSVD, package="ipsvd", program="tcpsvd", denies=True, counts_sources=True),
        Peer(kind=Kind.SYSTEMD, package="systemd", program="systemd-socket-activate", users=False),
        Peer(
            kind=Kind.LIMIT,
            limits=True,
            denies=True,
            counts_sources=True,
            inside=ALL_INSIDE,
            datagrams=frozenset({"echo"}),
        ),
    )
}


def offers(kind: Kind, door: Door) -> bool:
    """Whether *kind* can offer *door*."""
    peer = PEERS[kind]
    extended = kind in (Kind.XINETD, Kind.SENTINETD)
    return (
        (peer.users or door.user == "root")
        and (peer.limits or not door.limited)
        and (peer.denies or not door.denied)
        and (peer.counts_sources or door.per_source is None)
        and (peer.redirects or not door.redirect)
        and (peer.sensors or not door.sensor)
        and (not door.internal or door.internal in (peer.datagrams if door.datagram else peer.inside))
        and (peer.waits or not door.wait)
        and (extended or not door.lines)
        and (kind is Kind.SENTINETD or not door.own_lines)
    )


def program(kind: Kind) -> str | None:
    """Path of the program of *kind*; None if it is not on this machine.

    What scripts/install-bench-needs has unpacked goes first. `inetd` alone is a name that many programs have: it is
    taken from elsewhere only where the package is installed.
    """
    peer = PEERS[kind]
    for directory in ("usr/sbin", "usr/bin"):
        path = CACHE / peer.package / directory / peer.program
        if peer.package and path.exists():
            return str(path)
    if peer.program == "inetd" and not _package_version(peer.package):
        return None
    return shutil.which(peer.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def present(kind: Kind) -> bool:
    """Whether *kind* can take part."""
    return not PEERS[kind].program or program(kind) is not None


def missing() -> list[str]:
    """A line for each who is not on this machine, with the way to get it."""
    return [
        f"{kind.value} is not there and does not take part; on Debian: apt install {peer.package}, "
        "or scripts/install-bench-needs for all of them"
        for kind, peer in PEERS.items()
        if not present(kind)
    ]


def version(kind: Kind) -> str:
    """What is compared: Debian's version where there is one. BenchError if sentinetd does not run."""
    if kind is Kind.LIMIT:
        return "bench/programs/limit.c and loops.c"
    if kind is Kind.SENTINETD:
        environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
        command = [*sentinetd_command(), "-version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise BenchError(f"{' '.join(command)} does not run:\n{done.stderr}")
        return (done.stdout + done.stderr).strip()
    package = PEERS[kind].package
    control = CACHE / package / "DEBIAN" / "control"
    if control.exists():
        fields = dict(line.split(": ", 1) for line in control.read_text().splitlines() if ": " in line)
        return f"{package} {fields['Version']}"
    return f"{package} {_package_version(package) or 'of unknown version'}"


def sentinetd_command() -> list[str]:
    """How the sentinetd of this source tree is started; PYTHONPATH has to name `SOURCES`."""
    return [sys.executable, "-m", "sentinetd.daemon.main"]


def _package_version(package: str) -> str:
    """Debian's version of an installed package; empty if it is not, or if this is no Debian."""
    if not shutil.which("dpkg-query"):
        return ""
    words = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    status, _, found = done.stdout.partition(" ")
    return found if status == "installed" else ""


def debian(path: str) -> str:
    """Package and version of a file; empty where nobody knows. For servers and clients that take part."""
    if not Path(path).exists() or not shutil.which("dpkg-query"):
        return ""
    done = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False)
    package = done.stdout.partition(":")[0]
    return f"{package} {_package_version(package)}" if package else ""
