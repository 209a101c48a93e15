"""Where it all happens: namespaces of our own, the compiled programs, and what the figures depend on."""

from __future__ import annotations

import compileall
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parent
SOURCES = TREE / "src"
CACHE = TREE / ".cache" / "bench"
"""Where scripts/install-bench-needs unpacks what Debian does not let stand side by side."""
sys.path.insert(0, str(SOURCES))  # what we import of sentinetd is what we measure
FLAGS = {"hello": ["-static"]}
INSIDE = "--inside"
"""The option with which a command of ours is begun again in its namespaces."""
NETWORK = "198.18.0.0/15"
"""Set apart for benchmarks (RFC 2544), here all of it on loopback: the inetds answer no datagram from 127.0.0.0/8."""
LOCAL_PORTS = "10000 65535"
"""Ports of clients: above those of the daemons, and enough of them."""
ENOUGH = {resource.RLIMIT_NOFILE: 65_536, resource.RLIMIT_NPROC: 65_536}
"""Descriptors and processes for 10,000 connections at once, some of them with two ends."""


class BenchError(Exception):
    """The benchmark cannot go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place: the compiled *programs*, and a directory for *work* that everybody may enter."""

    programs: Path
    work: Path

    def program(self, name: str) -> str:
        """Path of a compiled program."""
        return str(self.programs / name)


def enter_namespaces() -> None:
    """Begin the command again in network, mount and process namespaces; whatever is left there ends with us.

    Returns inside of them, with loopback up and a /run of our own. Exits where that is not allowed.
    """
    if INSIDE in sys.argv:
        sys.argv.remove(INSIDE)
        _furnish()
        return
    if os.geteuid() != 0:
        sys.exit("bench: must be run as root: it makes namespaces of its own and servers change to nobody; sudo helps")
    spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        os.execvp("unshare", ["unshare", *spaces, sys.executable, *sys.argv, INSIDE])
    except FileNotFoundError:
        sys.exit("bench: unshare is not there; on Debian: apt install util-linux")


def _furnish() -> None:
    """Loopback, a place for sockets, ports and descriptors enough. The first process of a namespace has to say that it
    ends by SIGTERM: the kernel passes over what it does not handle (pid_namespaces(7))."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", NETWORK, "dev", "lo"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # the daemons' sockets and locks
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(LOCAL_PORTS)
    # With cookies, a client whose last ACK finds the queue full is never told: it would wait for ever (tcp(7)).
    Path("/proc/sys/net/ipv4/tcp_syncookies").write_text("0")
    for kind, wanted in ENOUGH.items():
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY and hard < wanted:
            with suppress(ValueError, OSError):  # without CAP_SYS_RESOURCE: what is held open is then fewer
                resource.setrlimit(kind, (wanted, wanted))
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(hard, wanted), hard))


def built(work: Path) -> Path:
    """The directory with the compiled programs, below *work*."""
    programs = work / "programs"
    programs.mkdir(mode=0o755)
    for source in sorted((HERE / "programs").glob("*.c")):
        flags = FLAGS.get(source.stem, [])
        command = ["cc", "-O2", "-Wall", *flags, "-o", str(programs / source.stem), str(source)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise BenchError("no C compiler; on Debian: apt install gcc libc6-dev") from None
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{done.stderr}")
    compileall.compile_dir(SOURCES / "sentinetd", quiet=1)  # as pip does: a start is not to compile what it imports
    return programs


def facts(work: Path) -> dict[str, str]:
    """What the figures depend on, but for the versions of those who are compared."""
    from sentinetd.daemon.privileges import closed_above

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    filesystem = subprocess.run(["df", "--output=fstype", work], capture_output=True, text=True, check=False)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = model[0] if model else platform.machine()
    closed = closed_above(os.__file__)
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": f"{processor}, {len(os.sched_getaffinity(0))} CPUs, {memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "C library": " ".join(platform.libc_ver()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}"
        + (f", below {closed}, which only its owner may enter" if closed else ""),
        "files on": filesystem.stdout.split()[-1] if filesystem.stdout else "?",
    }
