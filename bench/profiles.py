"""Shows where the CPU time of a workload goes: sorted tables, and flame graphs, of the daemon's processes.

``python bench/profiles.py refuse`` starts the sentinetd of this source tree in namespaces of its own, lets clients
come, and looks at each process that has something to do: with py-spy (functions in Python, and what they call in C) and
with perf (the interpreter, the spawner, the kernel), whichever is there. See README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from contenders import Running
from load import Workload, target, trip_once
from machine import HERE, BenchError, Site, built, enter_namespaces
from peers import Kind
from stages.internal import DAYTIME, ECHO, STREAMS
from stages.refusing import BANNED, DOORS, REFUSALS, SENSOR, SERVE, TRIPS
from stages.spawning import HELLO, furnished

RESULTS = HERE / "results" / "profiles"
STRANGERS = "10.0.0.0/8"
"""More sources than `machine.NETWORK` has: here, too, all of it on loopback."""
ROWS = 25
"""Lines of a table."""
RATE = 499
"""py-spy's samples in a second: no divisor of what a timer might do."""
OFTEN = 1999
"""perf's, which stops nobody."""
WAITING = ("epoll_wait", "epoll_pwait", "poll", "ppoll", "select", "pthread_cond_", "PyThread_acquire_lock")
"""Where a thread stands that has nothing to do, or not the interpreter, at the end of its stack or just before it: the
tools take it for work."""


@dataclass(frozen=True, slots=True)
class Work:
    """Clients, and the daemon's processes that have to do with them."""

    load: Workload
    roles: tuple[str, ...] = ("guard",)


WORKS = {
    "refuse": Work(REFUSALS[0]),
    "banned": Work(BANNED),
    "trip": Work(replace(TRIPS, source="10.0.0.1", words=("distinct",)), ("guard", "courier")),
    "serve": Work(Workload(name="serve", door=SERVE, expected=HELLO), ("guard", "spawner")),
    "echo": Work(STREAMS[0], ("guard", "porter")),
    "daytime": Work(STREAMS[1]),
}


def main() -> int:
    """Profile what was asked for; 1 if that cannot be done."""
    options = _options()
    enter_namespaces()
    tools = Tools(_program("py-spy"), _program("perf"), options.seconds, options.results)
    for lack in tools.lacks():
        print(f"profile: {lack}", file=sys.stderr)
    if not (tools.py_spy or tools.perf):
        return 1
    options.results.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ip", "route", "add", "local", STRANGERS, "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory(prefix="sentinetd-profile-") as name:
        work = Path(name)
        work.chmod(0o755)  # the servers' user must get at the program
        try:
            site = Site(built(work), work)
            for what in WORKS if "all" in options.work else options.work:
                _profile(what, WORKS[what], site, tools)
        except BenchError as error:
            print(f"profile: {error}", file=sys.stderr)
            return 1
    print(f"flame graphs and all else: {options.results}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show where the CPU time of a workload goes.")
    parser.add_argument("work", nargs="*", choices=["all", *WORKS], default="all", help="all if none is named")
    parser.add_argument("--seconds", type=float, default=5.0, help="of looking at a process, for each tool")
    parser.add_argument("--results", type=Path, metavar="DIR", default=RESULTS, help="where what was seen is kept")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _program(name: str) -> str:
    """Where a tool is, empty if it is not there: beside this interpreter, or as a shell finds it."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}") or ""


def _profile(what: str, work: Work, site: Site, tools: Tools) -> None:
    """Start a daemon, let clients come, look at its processes."""
    doors = [furnished(door, site.programs) for door in (*DOORS, ECHO, DAYTIME)]
    running = Running(Kind.SENTINETD, doors, site, site.work / what)
    try:
        trip_once(Path(site.program("load")), SENSOR, running, BANNED.source)
        running.await_quiet()
        pids = {role: pid for pid, role in running.roles.items()}
        with _clients(work.load, running, site):
            for role in work.roles:
                tools.look(f"{what}, {role}", pids[role])
    finally:
        running.stop()


@contextmanager
def _clients(load: Workload, running: Running, site: Site) -> Iterator[None]:
    """They come until the block ends."""
    command = [site.program("load"), "-c", str(load.clients), "-t", "86400", target(load, running)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise BenchError("the load generator gave up; what it said is above")
        finally:
            process.kill()


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
        words = ["record", "-q", "--no-inherit", "-e", "cpu-clock", "-F", str(OFTEN), "-o", str(path), "-p", str(pid)]
        _run(self.perf, *words, "--", "sleep", str(self.seconds))
        said = _run(self.perf, "report", "-q", "--stdio", "--sort", "dso,symbol", "-i", str(path))
        lines = [line.rstrip(" -") for line in said.splitlines() if line.strip() and not line.startswith("#")]
        return "\n".join(lines[:ROWS])


def _run(*command: str) -> str:
    """What a tool prints. BenchError, with what it says, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def table(stacks: str) -> str:
    """The functions of py-spy's stacks (``outermost;...;innermost COUNT``) by the time in themselves: their share of
    all samples there, the share with what they call, the name."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks.splitlines():
        names, _, count = line.rpartition(" ")
        frames = names.split(";")
        if not any(name.startswith(WAITING) for name in frames[-3:]):
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
