"""A million conversations over a mixed configuration, with reloads under way: nothing may be left of them.

``make soak [COUNT=1000000]``, as root: it runs in namespaces of its own. Told are, after a twentieth and at the end,
memory, descriptors and threads of each of the daemon's processes. It fails if a conversation went otherwise than it had
to, if a descriptor, a child, a connection or a server is left over, or if memory grew by more than it may.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
WARM = 0.05
"""Part of all conversations after which the first figures are taken: until then caches fill."""
BATCHES = 10
RELOADS_EVERY = 1.0  # seconds
ROOM = 1024
"""KiB by which a process may be larger at the end."""
START_WITHIN, QUIET_WITHIN, STOP_WITHIN = 30.0, 60.0, 20.0  # seconds
LOOK_EVERY = 0.05  # seconds between two looks at what sends no signal


@dataclass(frozen=True, slots=True)
class Door:
    """How clients use a service: see clients.c. *net* is the second byte of their addresses."""

    name: str
    kind: str
    port: int
    clients: int
    size: int
    net: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.kind}:{self.port}:{self.clients}:{self.size}:{self.net}:{self.text}"


NEVER, BANNED = 3, 4
"""Networks 127.N that no_access names, and whose first address is banned."""
BANNER = "you may not\n"

DOORS = (
    Door("nowait", "read", 5001, 6, 6, 1),
    Door("refused", "read", 5001, 8, 0, NEVER),
    Door("banned!", "read", 5001, 8, 0, BANNED),
    Door("refused with a banner", "read", 5002, 4, len(BANNER), NEVER),
    Door("echo", "send", 5004, 8, 6, 5, "ping"),
    Door("echo, given up", "abort", 5004, 4, 0, 6, "ping"),
    Door("time", "read", 5005, 6, 4, 7),
    Door("redirect", "send", 5006, 6, 6, 8, "ping"),
    Door("redirect, given up", "abort", 5006, 2, 0, 9, "ping"),
    Door("dgram, waiting", "dgram", 5007, 3, 4, 10),
    Door("tcpmux", "send", 5008, 4, 6, 11, "inner"),
    Door("tcpmux, nothing by that name", "send", 5008, 2, 25, 12, "outer"),
    Door("nowait, given up", "abort", 5001, 1, 0, 13, "?"),
)
SENSOR_PORT = 5003
TURNING_PORT = 5020


def configuration(work: Path, turn: int) -> str:
    """The configuration; each *turn* one service gets another port, others change what they do."""
    answer = work / "answer"
    internal = "type = INTERNAL UNLISTED"
    entries = {
        "hello": ("port = 5001", f"server = {answer}", "server_args = hello", f"nice = {turn % 2}"),
        "bannered": ("port = 5002", f"server = {answer}", f"banner_fail = {work / 'banner'}"),
        "decoy": (f"port = {SENSOR_PORT}", internal, "flags = SENSOR", "deny_time = FOREVER"),
        "echo": ("port = 5004", internal),
        "time": ("port = 5005", internal),
        "relay": ("port = 5006", "redirect = 127.0.0.1 5004", "log_on_success += TRAFFIC"),
        "answer": (
            "port = 5007",
            "socket_type = dgram",
            "protocol = udp",
            "wait = yes",
            f"server = {answer}",
            "server_args = dgram",
        ),
        "tcpmux": ("port = 5008", internal),
        "inner": ("type = TCPMUX UNLISTED", f"server = {answer}", "server_args = hello"),
        "turning": (f"port = {TURNING_PORT + turn % 2}", f"server = {answer}", f"umask = 0{turn % 8}"),
    }
    lists = ("cps = 0 0", f"no_access = 127.{NEVER}.0.0/16", "log_on_success = PID HOST EXIT", "log_on_failure = HOST")
    text = _entry("defaults", *lists, f"log_type = FILE {work / 'service.log'}")
    return text + "".join(_entry(f"service {name}", *_usual(lines), *lines) for name, lines in entries.items())


def _usual(lines: tuple[str, ...]) -> list[str]:
    given = {line.split()[0] for line in lines}
    usual = ("type = UNLISTED", "socket_type = stream", "protocol = tcp", "wait = no", "user = nobody")
    bind = ("bind = 127.0.0.1",) if "port" in given else ()
    return [line for line in (*usual, *bind) if line.split()[0] not in given]


def _entry(head: str, *lines: str) -> str:
    return "\n".join([head, "{", *(f"\t{line}" for line in lines), "}", ""])


@dataclass(frozen=True, slots=True)
class Figures:
    """What one process of the daemon has. *memory*: KiB of its own, which no file backs."""

    memory: int
    descriptors: int
    threads: int


def figures(pid: int) -> Figures:
    """What *pid* has now (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    size = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))
    return Figures(size, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")))


class Soak:
    """The daemon at work in *work*, and what is asked of it."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.log = work / "daemon.log"
        self.turn = 0
        self.faults: list[str] = []
        self.done: Counter[str] = Counter()
        (work / "banner").write_text(BANNER)
        self.config = work / "xinetd.conf"
        self.config.write_text(configuration(work, 0))
        settings = work / "sentinetd.toml"
        settings.touch(mode=0o600)
        settings.write_text("[bans]\nexempt_own = false\n")
        program = Path(sys.executable).with_name("sentinetd")
        words = [str(program), "-dontfork", "-f", str(self.config), "-filelog", str(self.log)]
        with (work / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*words, "--state", str(work / "state")], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._await(lambda: "Started working: 9" in self._said(), "a start", START_WITHIN)
        self.roles = self._roles()

    def _said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _await(self, condition: Callable[[], object], what: str, within: float) -> None:
        end = time.monotonic() + within
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"soak: no {what}; the daemon said:\n{self._said()[-4000:]}{self._output()}")
            time.sleep(LOOK_EVERY)

    def _output(self) -> str:
        return (self.work / "output").read_text(errors="replace")

    def _roles(self) -> dict[int, str]:
        """The daemon's own processes by number; the guard is the first."""
        roles = {self.process.pid: "guard"}
        for pid in children(self.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            found = re.search(r"spawner|courier|porter|herald|interceptor", words)
            if found:
                roles[pid] = found[0]
        return roles

    def ban(self) -> None:
        """Have the first address of `BANNED` touch the sensor."""
        self._run(1, [Door("sensor!", "read", SENSOR_PORT, 1, 0, BANNED)])
        self._await(lambda: f"Adding 127.{BANNED}.0.1" in self._said(), "ban", START_WITHIN)

    def batch(self, count: int) -> None:
        """So many conversations, with a reload every second."""
        over = threading.Event()
        reloading = threading.Thread(target=self._reload_until, args=(over,))
        reloading.start()
        try:
            self._run(count, DOORS)
        finally:
            over.set()
            reloading.join()

    def _run(self, count: int, doors: tuple[Door, ...] | list[Door]) -> None:
        words = [str(self.work / "clients"), "-n", str(count), *map(str, doors)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"soak: the clients failed: {done.stderr}")
        for name, seen in json.loads(done.stdout).items():
            self.done[name] += seen["good"]
            self.done["sent again"] += seen["again"]
            if seen["bad"]:
                self.faults.append(f"{name}: {seen['bad']} went wrong, the first by: {seen['first']}")

    def _reload_until(self, over: threading.Event) -> None:
        """A reload at once, and one a second until it is *over*."""
        while True:
            self.turn += 1
            self.config.write_text(configuration(self.work, self.turn))
            before = self._reloads()
            self.process.send_signal(signal.SIGHUP)
            while self._reloads() == before and self.process.poll() is None:
                time.sleep(LOOK_EVERY)
            if over.wait(RELOADS_EVERY):
                return

    def _reloads(self) -> int:
        return self._said().count("Reconfigured: new=1 old=9 dropped=1")

    def rest(self) -> dict[str, Figures]:
        """Wait until nobody is served any more, and give what each process has."""
        self._await(
            lambda: set(children(self.process.pid)) == set(self.roles) - {self.process.pid}, "rest", QUIET_WITHIN
        )
        self._await(lambda: not connections(), "end of connections", QUIET_WITHIN)
        seen: list[dict[str, Figures]] = []
        self._await(lambda: self._still(seen), "still figures", QUIET_WITHIN)
        return seen[-1]

    def _still(self, seen: list[dict[str, Figures]]) -> bool:
        """Whether descriptors are what they were a moment ago."""
        seen.append({role: figures(pid) for pid, role in self.roles.items()})
        time.sleep(2 * LOOK_EVERY)
        return len(seen) > 3 and len({tuple(one.descriptors for one in each.values()) for each in seen[-3:]}) == 1

    def story(self) -> str:
        """What the daemon says of itself (SIGUSR1, SIGABRT)."""
        self.process.send_signal(signal.SIGUSR1)
        self._await(lambda: "dump" in self._said().lower(), "dump", START_WITHIN)
        self.process.send_signal(signal.SIGABRT)
        self._await(lambda: "onsistency check" in self._said(), "consistency check", START_WITHIN)
        return self._said()

    def stop(self) -> None:
        """End the daemon."""
        self.process.terminate()
        try:
            if self.process.wait(STOP_WITHIN):
                self.faults.append(f"the daemon ended with status {self.process.returncode}")
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.faults.append(f"the daemon did not end within {STOP_WITHIN:.0f} seconds")


def children(pid: int) -> list[int]:
    """The processes that *pid* has begun."""
    return [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]


def connections() -> int:
    """TCP connections of this namespace that one of the daemon's processes still has: not those in TIME_WAIT (06),
    listeners (0A), or what the kernel alone keeps (no inode)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] not in ("06", "0A") and row[9] != "0" for row in rows)


def compare(first: dict[str, Figures], last: dict[str, Figures]) -> list[str]:
    """Print both, and say what grew."""
    grown = []
    print(f"{'':<12}{'memory KiB':>22}{'descriptors':>18}{'threads':>14}")
    for role, was in first.items():
        now = last[role]
        pairs = zip((was.memory, was.descriptors, was.threads), (now.memory, now.descriptors, now.threads), strict=True)
        cells = [f"{one} -> {other}" for one, other in pairs]
        print(f"{role:<12}{cells[0]:>22}{cells[1]:>18}{cells[2]:>14}")
        if now.memory > was.memory + ROOM:
            grown.append(f"{role}: memory grew by {now.memory - was.memory} KiB")
        if now.descriptors > was.descriptors:
            grown.append(f"{role}: {now.descriptors - was.descriptors} more descriptors")
    return grown


def build(work: Path) -> None:
    """Compile clients and servers."""
    for name, flags in (("clients", ["-O2"]), ("answer", ["-O2", "-static"])):
        done = subprocess.run(
            ["cc", *flags, "-o", str(work / name), str(HERE / f"{name}.c")], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"soak: {name}.c cannot be compiled (Debian: apt install gcc libc6-dev):\n{done.stderr}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="A soak test of sentinetd; must be run as root.")
    parser.add_argument("count", nargs="?", type=int, default=1_000_000, help="conversations (1000000)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("soak: must be run as root, for a network of its own. Try: sudo make soak")
    if not options.inside:
        spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", ["unshare", *spaces, sys.executable, __file__, "--inside", *sys.argv[1:]])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # the daemon's sockets and locks
    work = Path(tempfile.mkdtemp(prefix="sentinetd-soak-"))
    work.chmod(0o755)
    try:
        return _soak(work, options.count)
    finally:
        shutil.rmtree(work)


def _soak(work: Path, count: int) -> int:
    build(work)
    soak = Soak(work)
    try:
        soak.ban()
        began = time.monotonic()
        warm = max(1, int(count * WARM))
        soak.batch(warm)
        first = last = soak.rest()
        for _ in range(BATCHES):
            soak.batch((count - warm) // BATCHES)
            last = soak.rest()
            memory = ", ".join(f"{role} {one.memory}" for role, one in last.items())
            print(f"{sum(soak.done.values()):>9,} of {count:,}, {soak.turn} reloads; KiB: {memory}", flush=True)
        seconds = time.monotonic() - began
        said = soak.story()
    finally:
        soak.stop()
    print()
    faults = compare(first, last) + soak.faults
    for name, times in soak.done.items():
        print(f"{name:<32}{times:>10,}")
    print(f"in {seconds:.0f} s, {soak.turn} reloads")
    wrong = re.compile(r"process (spawner|courier|porter|herald)|: (ERROR|CRITICAL): (?!\d+ \{process_sensor\})")
    faults += [line for line in said.splitlines() if wrong.search(line)][:20]
    print("\n".join(f"FAULT {fault}" for fault in faults) or "nothing is left")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
