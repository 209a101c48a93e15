"""Shows where the CPU time of a workload goes: sorted tables, and flame graphs, of the daemon's processes.

``python bench/profiles.py refuse`` starts the sentinetd of this source tree in namespaces of its own, lets clients
come, and looks at each process that has something to do: with py-spy (functions in Python, and what they call in C) and
with perf (the interpreter, the spawner, the kernel), whichever is there. See README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import NoReturn

import processes

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "src"
RESULTS = HERE / "results" / "profiles"
INSIDE, CLIENTS = "--inside", "--clients"
ADDRESS = "127.0.0.1"
OUTSIDER, BANNED, PEACEFUL = "127.0.0.3", "127.0.0.4", "127.0.0.2"
AT_ONCE = 32
"""Clients."""
START_WITHIN = 30.0  # seconds
ROWS = 25
"""Lines of a table."""
RATE = 499
"""Samples in a second: no divisor of what a timer might do."""
WAITING = ("epoll_wait", "epoll_pwait", "poll", "ppoll", "select")
"""Where a process that has nothing to do stands, which py-spy takes for work."""
IP_BIND_ADDRESS_NO_PORT = 24  # of <linux/in.h>
RESET = struct.pack("ii", 1, 0)
"""struct linger: a client that hangs up leaves nothing behind that would use up ports."""


@dataclass(frozen=True, slots=True)
class Work:
    """Clients at *port* from *source*, empty: each from another one. *roles*: the processes that have to do with it."""

    port: int
    source: str
    roles: tuple[str, ...] = ("guard",)
    says: bytes = b""


SERVICES = {
    "serve": (4500, "type = UNLISTED\nuser = nobody\nserver = /bin/true"),
    "refuse": (4501, f"type = UNLISTED\nuser = nobody\nserver = /bin/true\nno_access = {OUTSIDER}"),
    "sensor": (4502, "type = UNLISTED INTERNAL\nflags = SENSOR\ndeny_time = 60"),
    "echo": (4503, "type = UNLISTED INTERNAL"),
    "daytime": (4504, "type = UNLISTED INTERNAL"),
}
"""Ports and attributes."""
WORKS = {
    "refuse": Work(4501, OUTSIDER),
    "banned": Work(4500, BANNED),
    "trip": Work(4502, "", ("guard", "courier")),
    "serve": Work(4500, PEACEFUL, ("guard", "spawner")),
    "daytime": Work(4504, PEACEFUL),
    "echo": Work(4503, PEACEFUL, ("guard", "porter"), b"hello\n"),
}


def main() -> int:
    """Profile what was asked for; 1 if there is nothing to do it with."""
    if CLIENTS in sys.argv:
        come(WORKS[sys.argv[-1]])
    options = _options()
    if not options.inside:
        _enter_namespaces()
    tools = Tools(_program("py-spy"), _program("perf"), options.seconds, options.results)
    for lack in tools.lacks():
        print(f"profile: {lack}", file=sys.stderr)
    if not (tools.py_spy or tools.perf):
        return 1
    _furnish()
    options.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sentinetd-profile-") as name:
        work = Path(name)
        work.chmod(0o755)  # the courier's user has to get at its state
        for what in WORKS if "all" in options.work else options.work:
            with daemon(work / what) as roles, clients(what):
                for role in WORKS[what].roles:
                    tools.look(f"{what}, {role}", roles[role])
    print(f"flame graphs and all else: {options.results}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show where the CPU time of a workload goes.")
    parser.add_argument("work", nargs="*", choices=["all", *WORKS], default="all", help="all if none is named")
    parser.add_argument("--seconds", type=float, default=5.0, help="of looking at a process, for each tool")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", default=HERE / "results" / "profiles", help="what is kept"
    )
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _program(name: str) -> str:
    """Where a tool is, empty if it is not there: beside this interpreter, or as a shell finds it."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}") or ""


def _enter_namespaces() -> None:
    """Begin again in namespaces of our own; whatever is left there ends with us."""
    if os.geteuid():
        sys.exit("profile: must be run as root: it makes namespaces and looks into processes that hide from others")
    spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        os.execvp("unshare", ["unshare", *spaces, sys.executable, __file__, INSIDE, *sys.argv[1:]])
    except FileNotFoundError:
        sys.exit("profile: unshare is not there; on Debian: apt install util-linux")


def _furnish() -> None:
    """Loopback, and a place for sockets."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)


# What is looked at.


def configuration() -> str:
    """The services, without limits."""
    text = ""
    for name, (port, lines) in SERVICES.items():
        usual = f"socket_type = stream\nprotocol = tcp\nwait = no\nbind = {ADDRESS}\nport = {port}"
        limits = "cps = 1000000 1\ninstances = UNLIMITED\nper_source = UNLIMITED"
        flags = "" if name == "sensor" else "flags = NOLIBWRAP\n"
        text += f"service {name}\n{{\n{usual}\n{limits}\n{lines}\n{flags}}}\n"
    return text


@contextmanager
def daemon(directory: Path) -> Iterator[dict[str, int]]:
    """A daemon at work, its processes by what they are for; one source has touched the sensor."""
    directory.mkdir(mode=0o755)
    (directory / "xinetd.conf").write_text(configuration())
    (directory / "sentinetd.toml").write_text("[bans]\nexempt_own = false\n")
    (directory / "sentinetd.toml").chmod(0o600)
    log = directory / "log"
    command = [sys.executable, "-m", "sentinetd.daemon.main", "-dontfork", "-f", str(directory / "xinetd.conf")]
    command += ["-filelog", str(log), "-pidfile", str(directory / "pid"), "--state", str(directory / "state")]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd="/")
    try:
        deadline = time.monotonic() + START_WITHIN
        while not (log.exists() and "Started working" in log.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"profile: sentinetd did not start; it said:\n{(directory / 'output').read_text()}")
            time.sleep(0.01)
        connection(SERVICES["sensor"][0], BANNED).close()
        yield {_role(pid): pid for pid in processes.family(process.pid)}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_WITHIN)


def _role(pid: int) -> str:
    words = processes.command_line(pid)
    return next((role for role in ("courier", "porter", "spawner") if role in words), "guard")


# Clients.


@contextmanager
def clients(what: str) -> Iterator[None]:
    """A process from which they come, until the block ends."""
    process = subprocess.Popen([sys.executable, __file__, CLIENTS, what])
    try:
        yield
        if process.poll() is not None:
            sys.exit("profile: the clients gave up; what they said is above")
    finally:
        process.kill()
        process.wait()


def come(work: Work) -> NoReturn:
    """Come again and again, many at once."""
    sources = cycle([work.source]) if work.source else strangers()
    while True:
        waiting = [connection(work.port, next(sources)) for _ in range(AT_ONCE)]
        for client in waiting:
            with client, suppress(ConnectionResetError):
                if work.says:
                    client.sendall(work.says)
                    client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass


def connection(port: int, source: str) -> socket.socket:
    """A client's."""
    client = socket.socket()
    client.settimeout(START_WITHIN)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    client.bind((source, 0))
    client.connect((ADDRESS, port))
    return client


def strangers() -> Iterator[str]:
    """Sources, none of them twice."""
    return (f"127.{a}.{b}.{c}" for a in range(1, 255) for b in range(255) for c in range(1, 255))


# Tools.


@dataclass(frozen=True, slots=True)
class Tools:
    """Where they are, empty if they are not; how many *seconds* each looks, and where it leaves what it saw."""

    py_spy: str
    perf: str
    seconds: float
    results: Path

    def lacks(self) -> Iterator[str]:
        """What is missing, and how to come by it."""
        if not self.py_spy:
            yield "py-spy is not there, so no functions in Python are shown: pip install 'sentinetd[bench]'"
        if not self.perf:
            yield "perf is not there, so neither spawner nor kernel are shown: on Debian, apt install linux-perf"

    def look(self, title: str, pid: int) -> None:
        """Look at a process, and print where its time goes."""
        stem = self.results / title.replace(", ", "-")
        if self.py_spy and not title.endswith("spawner"):
            self._spy(stem.with_suffix(".svg"), pid, "flamegraph")
            stacks = stem.with_suffix(".stacks")
            self._spy(stacks, pid, "raw")
            print(f"## {title}: functions\n\n{table(stacks.read_text())}\n", flush=True)
        if self.perf:
            print(f"## {title}: symbols\n\n{self._symbols(stem.with_suffix('.perf'), pid)}\n", flush=True)

    def _spy(self, path: Path, pid: int, form: str) -> None:
        _run(
            self.py_spy, "record", "--native", "--function", "--pid", str(pid), "--rate", str(RATE), "--format", form,
            "--duration", str(max(1, round(self.seconds))), "--output", str(path),
        )  # fmt: skip

    def _symbols(self, path: Path, pid: int) -> str:
        """By the clock, since not every machine counts cycles for its guests."""
        words = ["record", "-q", "-e", "cpu-clock", "-F", str(4 * RATE), "-o", str(path), "-p", str(pid)]
        _run(self.perf, *words, "--", "sleep", str(self.seconds))
        said = _run(self.perf, "report", "-q", "--stdio", "--sort", "dso,symbol", "-i", str(path))
        lines = [line.rstrip(" -") for line in said.splitlines() if line.strip() and not line.startswith("#")]
        return "\n".join(lines[:ROWS])


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"profile: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def table(stacks: str) -> str:
    """The functions of py-spy's stacks (``outermost;...;innermost COUNT``) by the time in themselves: their share of
    all samples there, the share with what they call, the name."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks.splitlines():
        names, _, count = line.rpartition(" ")
        frames = names.split(";")
        if not frames[-1].startswith(WAITING):
            own[frames[-1]] += int(count)
            whole.update(dict.fromkeys(frames, int(count)))
    every = max(1, own.total())
    rows = [
        f"{100 * count / every:6.1f} % {100 * whole[name] / every:6.1f} %  {name}"
        for name, count in own.most_common(ROWS)
    ]
    return "\n".join(["    self      with", *rows])


if __name__ == "__main__":
    sys.exit(main())
