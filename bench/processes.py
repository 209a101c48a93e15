"""What the kernel says of running processes (proc(5)): who they are, what they have used."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # per second; the unit of the times in /proc/PID/stat


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds, user and system: *own* of processes by their roles, as exact as the kernel counts; *children* of
    those of their children that have ended and were reaped, to within 2 / TICKS a process."""

    own: Mapping[str, float]
    children: float

    def __sub__(self, before: Cpu) -> Cpu:
        own = {role: seconds - before.own[role] for role, seconds in self.own.items()}
        return Cpu(own, self.children - before.children)


def cpu(roles: Mapping[int, str]) -> Cpu:
    """CPU time that processes have used up to now. *roles*: what each process is for, by its number."""
    own: dict[str, float] = {}
    children = 0.0
    for pid, role in roles.items():
        fields = _stat(pid)
        own[role] = own.get(role, 0.0) + max(_ran(pid), (int(fields[11]) + int(fields[12])) / TICKS)
        children += (int(fields[13]) + int(fields[14])) / TICKS
    return Cpu(own, children)


def _ran(pid: int) -> float:
    """CPU seconds of the threads of *pid* that live, to the nanosecond; 0 where the kernel does not say (proc(5))."""
    try:
        return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def family(pid: int) -> list[int]:
    """*pid* and every process below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended since
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def parent(pid: int) -> int:
    """Who has made *pid*."""
    return int(_stat(pid)[1])


def proportional_size(pid: int) -> int:
    """Memory of *pid* in bytes, each shared page divided by the number of processes that have it (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss in /proc/{pid}/smaps_rollup")


def with_word(word: str) -> list[int]:
    """Processes that have *word* in their command lines, without ourselves."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if word in command_line(int(entry.name)):
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended since
    return found


def listening(address: str) -> set[tuple[str, int]]:
    """Where somebody waits at an IPv4 *address*: protocol (tcp, udp) and port."""
    wanted = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    found = set()
    for protocol, waits in (("tcp", "0A"), ("udp", "07")):
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == waits and fields[1].startswith(wanted):
                found.add((protocol, int(fields[1].partition(":")[2], 16)))
    return found


def command_line(pid: int) -> str:
    """The words of *pid*, with blanks between them."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def idle_share(seconds: float) -> float:
    """What part of all CPUs has nothing to do in the next *seconds*, from 0 to 1."""
    before = _cpu_times()
    time.sleep(seconds)
    passed = [now - then for now, then in zip(_cpu_times(), before, strict=True)]
    return (passed[3] + passed[4]) / max(1, sum(passed))  # idle, and waiting for a disk


def _cpu_times() -> list[int]:
    """User, nice, system, idle, iowait, irq, softirq, steal of all CPUs, in ticks; what guests use is in user."""
    return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: what is before may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()
