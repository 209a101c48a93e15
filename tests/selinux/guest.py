"""Process 1 of the machine that ``run.py`` boots: turns SELinux and NetLabel on, and plays the guard and its clients.

Tells on the console, a line a case: ``PASS`` or ``FAIL``, what, and what was seen; ``DONE`` at the end.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rig.deadline import wait_for
from sentinetd.spawn.protocol import SETUP_STATUS, Part, SetupFailed, Step
from sentinetd.spawn.recipe import Recipe
from sentinetd.spawn.spawner import Backend
from spawn.guard import WITHIN, Guard

CURRENT = Path("/proc/self/attr/current")
SELINUX = Path("/sys/fs/selinux")
GUARD = "system_u:system_r:guard_t:s0-s2:c0.c5"
"""What the daemon runs as."""

PROBE, SECRET = "/srv/probe", "/srv/secret"
ARGV = ("cat", str(CURRENT))
"""Servers say what context they run in: copies of cat(1), each with a label of its own."""


@dataclass(frozen=True, slots=True)
class Case:
    """A client's context, or none on a network without labels, and what becomes of the server."""

    name: str
    client: str
    recipe: Recipe
    seen: str = ""
    failed: SetupFailed | None = None


LABELED = Recipe(PROBE, ARGV, labeled=True)
CASES = (
    Case("its client's range", "system_u:system_r:client_t:s1:c3,c5", LABELED, "system_u:system_r:probe_t:s1:c3,c5"),
    Case("a range of two levels", "system_u:system_r:client_t:s0-s2:c1", LABELED, "system_u:system_r:probe_t:s0-s2:c1"),
    Case("as another user", "wide_u:system_r:client_t:s1:c0", LABELED, "system_u:system_r:probe_t:s1:c0"),
    Case(
        "with a user and few files of its own",
        "system_u:system_r:client_t:s2:c0.c2",
        Recipe(PROBE, ARGV, uid=4711, gid=4711, groups=(), limits=((7, 4),), labeled=True),
        "system_u:system_r:probe_t:s2:c0.c2",
    ),
    Case(
        "without the flag the daemon's range",
        "system_u:system_r:client_t:s1:c3",
        Recipe(PROBE, ARGV),
        "system_u:system_r:probe_t:s0-s2:c0.c5",
    ),
    Case(
        "a client without a label",
        "",
        LABELED,
        failed=SetupFailed(1, Step.LABEL, 92, Part.PEER),
    ),
    Case(
        "no such program",
        "system_u:system_r:client_t:s1",
        Recipe("/srv/none", ARGV, labeled=True),
        failed=SetupFailed(1, Step.LABEL, 2, Part.PROGRAM),
    ),
    Case(
        "a range that our user may not have",
        "wide_u:system_r:client_t:s3:c7",
        LABELED,
        failed=SetupFailed(1, Step.LABEL, 22, Part.COMPUTE),
    ),
    Case(
        "a transition that policy forbids",
        "system_u:system_r:client_t:s1",
        Recipe(SECRET, ARGV, labeled=True),
        failed=SetupFailed(1, Step.EXEC, 13),
    ),
)


def mount(kind: str, where: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs(where, exist_ok=True)
    if libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None) < 0:
        raise OSError(ctypes.get_errno(), f"mount {where}")


def begin() -> None:
    """Mount, load the policy and enforce it, label programs, bring loopback up and label what crosses it."""
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("selinuxfs", str(SELINUX)), ("devtmpfs", "/dev")):
        mount(kind, where)
    (SELINUX / "load").write_bytes(Path("/policy").read_bytes())
    (SELINUX / "enforce").write_text("1")
    for where in ("/srv", "/run", "/tmp", "/var"):
        mount("tmpfs", where)
    for path, kind in ((PROBE, "probe_exec_t"), (SECRET, "secret_exec_t")):
        shutil.copy("/bin/cat", path)
        os.setxattr(path, "security.selinux", f"system_u:object_r:{kind}:s0".encode())
    with socket.socket() as any_socket:
        up = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    for words in (
        "cipsov4 add local doi:1",
        "map del default",
        "map add default address:0.0.0.0/0 protocol:cipsov4,1",
        "map add default address:::/0 protocol:unlbl",
    ):
        subprocess.run(["/usr/sbin/netlabelctl", *words.split()], check=True)


@contextmanager
def sockets_in(context: str) -> Iterator[None]:
    """Sockets that are made meanwhile are of that context, as setsockcreatecon(3) does it; of none: of our own."""
    sockcreate = Path("/proc/thread-self/attr/sockcreate")
    sockcreate.write_text(context)
    try:
        yield
    finally:
        sockcreate.write_text("\n")  # none any more


@contextmanager
def connected(context: str, port: int) -> Iterator[socket.socket]:
    """A connection of a client in that context; with none, by IPv6, where nothing is labelled."""
    with sockets_in(context or GUARD):
        client = socket.socket(socket.AF_INET if context else socket.AF_INET6)
    with client:
        client.settimeout(WITHIN)
        client.connect(("127.0.0.1" if context else "::1", port))
        yield client


def listening(context: str) -> socket.socket:
    """Where such a client may connect to: of a user of any range, since a connection is in the range of its client."""
    with sockets_in("wide_u:system_r:guard_t:s0"):
        if context:
            return socket.create_server(("127.0.0.1", 0))
        return socket.create_server(("::1", 0), family=socket.AF_INET6)


def said(client: socket.socket) -> str:
    """All that the server says."""
    pieces = []
    while piece := client.recv(4096):
        pieces.append(piece)
    return b"".join(pieces).decode().strip("\0\n")


def play(backend: Backend, case: Case) -> str:
    """What was seen that should not have been; empty if all is well."""
    with (
        Guard(backend) as guard,
        listening(case.client) as listener,
        connected(case.client, listener.getsockname()[1]) as client,
    ):
        served, _ = listener.accept()
        guard.spawner.teach(1, case.recipe)
        with served:
            guard.spawner.launch(1, 1, served.fileno(), "")
        text = said(client)
        status = guard.exit(1)
        failures = [reply for reply in guard.replies if isinstance(reply, SetupFailed)]
    expected = [] if case.failed is None else [case.failed]
    right = text == case.seen and failures == expected
    if case.failed is not None and case.failed.step is Step.LABEL:
        right = right and status == SETUP_STATUS
    return "" if right else f"said {text!r}, exit {status}, {failures}"


CONFIGURATION = """\
defaults
{
	log_type = FILE /tmp/services
}
service labeled
{
	type = UNLISTED
	port = 4001
	socket_type = stream
	wait = no
	user = nobody
	server = /srv/probe
	server_args = /proc/self/attr/current
	flags = LABELED
}
service bare
{
	type = UNLISTED
	port = 4002
	socket_type = stream
	wait = no
	user = nobody
	server = /srv/probe
	server_args = /proc/self/attr/current
	flags = LABELED IPv6
}
"""
STARTED = 90.0  # seconds: it imports much, on an emulated machine
DAEMON = "import sys; from sentinetd.daemon.main import main; sys.exit(main())"
REFUSED = "Changing process context failed for bare: the client's context: Protocol not available (errno = 92)"


def play_daemon() -> str:
    """The whole daemon: its file is in force, a client gets its range, one without a label is told of in the log."""
    Path("/tmp/conf").write_text(CONFIGURATION)
    log = Path("/tmp/log")
    log.touch()
    options = ["-dontfork", "-f", "/tmp/conf", "-filelog", str(log), "--state", "/tmp/state", "-pidfile", "/tmp/pid"]
    daemon = subprocess.Popen([sys.executable, "-I", "-c", DAEMON, *options])
    try:
        wait_for(lambda: "Started working: 2" in log.read_text(), "the daemon's start", STARTED)
        with connected("system_u:system_r:client_t:s1:c3,c5", 4001) as client:
            seen = said(client)
        with connected("", 4002) as client:
            unlabelled = said(client)
        wait_for(lambda: REFUSED in log.read_text(), "the failure in the log", WITHIN)
    except AssertionError as error:
        return f"{error}\n{log.read_text()}"
    finally:
        daemon.terminate()
        daemon.wait()
    return "" if (seen, unlabelled) == ("system_u:system_r:probe_t:s1:c3,c5", "") else repr((seen, unlabelled))


def judge(name: str, ask: Callable[[], str]) -> None:
    try:
        wrong = ask()
    except (OSError, AssertionError):
        wrong = traceback.format_exc()
    print("FAIL" if wrong else "PASS", name, wrong, flush=True)


def main() -> None:
    begin()
    CURRENT.write_text(GUARD)
    for backend in (Backend.C, Backend.PYTHON):
        for case in CASES:
            judge(f"{backend.value}: {case.name}", partial(play, backend, case))
    judge("the daemon", play_daemon)
    print("DONE", flush=True)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # the kernel panics when its first process ends, and why would not be told
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os.sync()
        ctypes.CDLL(None).reboot(0x4321FEDC)  # LINUX_REBOOT_CMD_POWER_OFF; does not return
