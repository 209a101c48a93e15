"""rpcbind in the daemon's place, and what it has; the questions of rpcinfo(8)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from rig.daemon import Daemon
from rig.deadline import wait_for

OTHER = 400_077
"""Another program than rpcbind's own; nobody has it in rpc(5)."""


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One registration as rpcinfo(8) lists it."""

    program: int
    version: int
    netid: str
    address: str
    owner: str

    @property
    def key(self) -> tuple[int, int, str]:
        return self.program, self.version, self.netid


class Rpcbind:
    """A running rpcbind; the daemon's host namespace and /run are its own as well."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        (daemon.work.path / "run" / "rpcbind").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            daemon.enter("rpcbind", "-f"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: self.answers, "rpcbind")

    @property
    def answers(self) -> bool:
        return self._daemon.run("rpcinfo").returncode == 0

    def rows(self) -> list[Row]:
        """What is registered, but for rpcbind itself."""
        done = self._daemon.run("rpcinfo")
        assert done.returncode == 0, done.stderr
        rows = [line.split() for line in done.stdout.splitlines()[1:]]
        found = (Row(int(row[0]), int(row[1]), row[2], row[3], row[-1]) for row in rows)
        return sorted(row for row in found if row.program != 100_000)

    def keys(self) -> set[tuple[int, int, str]]:
        return {row.key for row in self.rows()}

    def await_keys(self, *keys: tuple[int, int, str], within: float = 10.0) -> None:
        """Wait until exactly *keys* are registered."""
        wait_for(lambda: self.keys() == set(keys), lambda: f"{keys}, not {self.rows()}: {self._daemon.story()}", within)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def ask(daemon: Daemon, host: str, netid: str, program: int, version: int) -> subprocess.CompletedProcess[bytes]:
    """Call procedure 0 of the program from host .20, by what rpcbind there says of it."""
    words = ("rpcinfo", "-T", netid, host, str(program), str(version))
    return subprocess.run(daemon.lab.clients[20].command(*words), capture_output=True, timeout=30, check=False)
