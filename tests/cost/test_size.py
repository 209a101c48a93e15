"""How much memory and how many descriptors the daemon takes.

Memory is compared with that of a bare interpreter beside it: what is anonymous, for that is a process's own, while its
share of the pages of libraries falls with every other Python on the machine. The sum for all processes is the kernel's
PSS, which can only fall by that. Bytes of a ban are as the interpreter counts them: the same each time. To measure
anew: ``pytest -s -n 0 tests/cost/test_size.py`` prints all.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

import sentinetd
from cost.subject import Maker, begun, configuration, roles
from rig.daemon import Daemon
from rig.network import Lab
from sentinetd.policy.ledger import Ledger, shared_end

BARE = "import signal, sys; print(flush=True); signal.pause()"
MEASURED = {"guard": 3.35, "courier": 6.5, "porter": 4.4}
"""Times the anonymous memory of a bare interpreter, with CPython 3.11."""
MARGIN = 1.3
ALL = 64 << 20
"""Bytes of all processes without the porter, at rest."""
BAN = 90
"""Bytes of a ban in the ledger, with..."""
BANS = 170_000
"""...so many that end within an `HOUR`, half of IPv4 hosts, half of IPv6 /64s: both tables are nearly full then. In one
that has just grown each takes up to 35 more."""
HOUR = 3600.0
SERVICES = 100


def memory(pid: int, key: str) -> int:
    """Bytes of a line of /proc/PID/smaps_rollup (proc(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{key}:"))


@pytest.fixture
def bare() -> Iterator[int]:
    """The process id of an interpreter that waits, and has loaded next to nothing."""
    command = [sys.executable, "-I", "-S", "-c", BARE]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
            yield process.pid
        finally:
            process.kill()


def test_memory_at_rest(lab: Lab, make_daemon: Maker, hello: Path, bare: int) -> None:
    compileall.compile_dir(Path(sentinetd.__file__).parent, quiet=1)  # whoever compiles at its start is larger
    found = roles(begun(make_daemon, lab, hello))
    least = memory(bare, "Anonymous")
    sizes = {role: memory(pid, "Anonymous") / least for role, pid in found.items()}
    whole = sum(memory(pid, "Pss") for role, pid in found.items() if role != "porter")
    print(f"bare {least / 1e6:.1f} MB; of that {sizes}; all without the porter {whole / (1 << 20):.1f} MiB")
    for role, measured in MEASURED.items():
        assert sizes[role] <= MARGIN * measured, f"{role}: {sizes[role]:.1f} times a bare interpreter"
    assert whole <= ALL


def test_bytes_of_a_ban() -> None:
    ledger = Ledger(2 * BANS)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for version, length, first in ((4, 32, 11 << 24), (6, 64, 2 << 60)):
            rows = ((first + number, shared_end(1e6 + HOUR * number / BANS)) for number in range(BANS // 2))
            ledger.recall(version, length, "", rows, kept=False)
        taken = (tracemalloc.get_traced_memory()[0] - before) / len(ledger)
    finally:
        tracemalloc.stop()
    print(f"{taken:.1f} bytes a ban")
    assert len(ledger) == BANS
    assert taken <= BAN


def test_a_service_takes_one_descriptor(lab: Lab, make_daemon: Maker, hello: Path) -> None:
    daemon = begun(make_daemon, lab, hello)
    found = roles(daemon)
    few = {role: descriptors(pid) for role, pid in found.items()}
    daemon.reload(configuration(hello) + "".join(beside(daemon, hello, number) for number in range(SERVICES)))
    many = {role: descriptors(pid) for role, pid in found.items()}
    print(few, many)
    # One more: the log that all of them write to.
    assert {role: many[role] - few[role] for role in found} == {
        "guard": SERVICES + 1, "courier": 1, "spawner": 0, "porter": 0
    }  # fmt: skip


def beside(daemon: Daemon, server: Path, number: int) -> str:
    """A service more."""
    return f"""\
service beside-{number}
{{
	type = UNLISTED
	socket_type = stream
	protocol = tcp
	wait = no
	user = nobody
	bind = 127.0.0.1
	port = {5000 + number}
	server = {server}
	log_type = FILE {daemon.work.path}/service.log
	log_on_success = HOST
	flags = NOLIBWRAP
}}
"""


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
