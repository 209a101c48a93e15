"""Contenders at work: started with the services they are to offer, watched, ended."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import peers
import processes
from dialects import COMMANDS, DIALECTS, Place
from doors import SERVICE_LOG, Door
from machine import SOURCES, BenchError, Site
from peers import Kind

BANNED = b"Adding "
SETTINGS = "[bans]\nexempt_own = false\n"
START_WITHIN = 120.0  # seconds
STOP_WITHIN = 60.0
QUIET_WITHIN = 60.0
QUIET = 0.1
"""Seconds in which a daemon that rests uses no CPU."""
SETTLED = 0.05
"""Seconds in which no process of a daemon has gone, and no other come."""
RESTS = 0.002
"""CPU seconds in that time which a clock or a heartbeat may use."""


def address_of(kind: Kind) -> str:
    """Where a contender is: each has an address of its own, so that all have the same ports."""
    return f"198.18.5.{list(Kind).index(kind) + 1}"


class Running:
    """A contender at work in *directory*, which is its own and has to be new. `stop` ends it."""

    def __init__(
        self,
        kind: Kind,
        wanted: Sequence[Door],
        site: Site,
        directory: Path,
        *,
        name: str = "",
        address: str = "",
        settings: str = "",
        state: Path | None = None,
        awaited: Callable[[], bool] | None = None,
    ) -> None:
        """Of *wanted* it offers what it can. *name*: what it is called in reports, if there are several of its kind.

        *settings*: more of sentinetd.toml; *state*: sentinetd's state directory, where it is not a new one; *awaited*:
        a quicker way to see that every service is there.
        """
        self.kind = kind
        self.name = name or kind.value
        self.address = address or address_of(kind)
        self.doors = tuple(door for door in wanted if peers.offers(kind, door))
        self.directory = directory
        self._place = Place(peers.program(kind) or "", self.address, directory, site)
        self._settings = SETTINGS + settings
        self._state = directory / "state" if state is None else state
        self._log = self._place.log
        self._processes: list[int] = []
        self._children: list[subprocess.Popen[bytes]] = []
        directory.mkdir(mode=0o755)
        self.begun = time.monotonic()
        try:
            self._start()
            self._await_ready(awaited or self._offers_all)
            self.ready = time.monotonic()
            if not self._processes:
                self._processes += self._settled()
        except BaseException:
            self.stop()
            raise
        self.roles = self._roles()
        """What the daemon's processes are for, by their numbers; its servers are not among them."""

    def await_quiet(self) -> None:
        """Wait until the daemon has done what it put off. BenchError if it never rests."""
        deadline = time.monotonic() + QUIET_WITHIN
        used, before = self.used(), -1.0
        while used - before > RESTS or before < 0:
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} does not rest")
            time.sleep(QUIET)
            used, before = self.used(), used

    def used(self) -> float:
        """CPU seconds up to now, with those of its servers that have ended."""
        cpu = processes.cpu(self.roles)
        return sum(cpu.own.values()) + cpu.children

    def write_configuration(self, wanted: Sequence[Door]) -> None:
        """What it reads at its start and at a reload."""
        self._place.config.write_text(DIALECTS[self.kind].text(wanted, self._place))

    def reload(self) -> None:
        """Tell it that its configuration has changed."""
        os.kill(self._processes[0], signal.SIGHUP)

    def logged(self, word: str) -> int:
        """How often *word* stands in the service log."""
        path = self.directory / SERVICE_LOG
        return path.read_bytes().count(word.encode()) if path.exists() else 0

    def bans_kept(self) -> int:
        """Bans that are logged, and stored by whoever has a store."""
        logged = self._log.read_bytes().count(BANNED)
        return min(logged, self._stored()) if self.kind is Kind.SENTINETD else logged

    def sizes(self) -> Mapping[str, int]:
        """Memory of the daemon's processes by their roles, in bytes (PSS)."""
        found: dict[str, int] = {}
        for pid, role in self.roles.items():
            found[role] = found.get(role, 0) + processes.proportional_size(pid)
        return found

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        for pid in self._processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN
        for child in self._children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        while any(_lives(pid) for pid in self._processes):
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} does not end")
            time.sleep(0.01)
        self._processes.clear()

    def _start(self) -> None:
        if self.kind not in DIALECTS:
            for door in self.doors:
                self._run(COMMANDS[self.kind](door, self._place), door.name)
            return
        dialect = DIALECTS[self.kind]
        self.write_configuration(self.doors)
        command = dialect.command(self._place)
        if self.kind is Kind.SENTINETD:
            settings = self.directory / "sentinetd.toml"
            settings.touch(mode=0o600)
            settings.write_text(self._settings)
            command += ["--state", str(self._state)]
        if dialect.detaches:
            self._detached(command)
        else:
            self._run(command)

    def _run(self, command: Sequence[str], name: str = "output") -> None:
        """Start a process that stays where it is."""
        environment = {**os.environ, "PYTHONPATH": str(SOURCES)} if self.kind is Kind.SENTINETD else None
        with (self.directory / f"{name}.out").open("wb") as file:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, cwd="/"
            )
        self._children.append(child)
        self._processes.append(child.pid)

    def _detached(self, command: Sequence[str]) -> None:
        """Start a daemon that goes into the background."""
        with (self.directory / "output.out").open("wb") as file:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd="/", check=False, timeout=START_WITHIN
            )
        if done.returncode:
            raise BenchError(f"{self.name} did not start; it said:\n{self._said()}")

    def _await_ready(self, awaited: Callable[[], bool]) -> None:
        """Wait until every service is there. sentinetd has to say so, too: until then its courier is on its way."""
        deadline = time.monotonic() + START_WITHIN
        for there in (awaited, self._says_so):
            while not there():
                if any(child.poll() is not None for child in self._children) or time.monotonic() > deadline:
                    raise BenchError(f"{self.name} does not offer all of its services; it said:\n{self._said()}")
                time.sleep(0.005)

    def _settled(self) -> list[int]:
        """A daemon that went into the background, by way of several processes: the one that stays."""
        deadline = time.monotonic() + START_WITHIN
        found, before = processes.with_word(str(self._place.config)), [-1]
        while len(found) != 1 or found != before:
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} is not to be seen; it said:\n{self._said()}")
            time.sleep(SETTLED)
            found, before = processes.with_word(str(self._place.config)), found
        return found

    def _offers_all(self) -> bool:
        return {(door.protocol, door.port) for door in self.doors} <= processes.listening(self.address)

    def _says_so(self) -> bool:
        if self.kind is not Kind.SENTINETD:
            return True
        return self._log.exists() and b"Started working" in self._log.read_bytes()

    def _roles(self) -> dict[int, str]:
        if self.kind is not Kind.SENTINETD:
            return dict.fromkeys(self._processes, self.kind.value)
        roles = {}
        for pid in processes.family(self._processes[0]):
            words = processes.command_line(pid)
            roles[pid] = next((role for role in ("courier", "porter", "spawner") if role in words), "guard")
        return roles

    def _said(self) -> str:
        paths = [self._log, *sorted(self.directory.glob("*.out"))]
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())[-4000:]

    def _stored(self) -> int:
        """Bans in sentinetd's store, as another process sees them: those that are committed."""
        database = sqlite3.connect(f"file:{self._state}/bans.sqlite?mode=ro", uri=True, timeout=5.0)
        try:
            (count,) = database.execute("SELECT count(*) FROM bans").fetchone()
        finally:
            database.close()
        return int(count)


def _lives(pid: int) -> bool:
    """Whether a process is there; one that detached itself is reaped, for inside we are everybody's parent."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return Path(f"/proc/{pid}").exists()
