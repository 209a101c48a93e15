"""Those who are compared: xinetd, sentinetd, and a loop in C that shows what the kernel allows.

Both daemons run the same configuration, but for the ports and the paths of their logs.
"""

from __future__ import annotations

import os
import pwd
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path

import processes

XINETD = "/usr/sbin/xinetd"
SOURCES = Path(__file__).resolve().parent.parent / "src"
OUTSIDER = "127.0.0.3"
"""The source that `no_access` names."""
READY = "Started working"
BANNED = "Adding "
SERVICE_LOG = "service.log"
START_WITHIN = 30.0  # seconds
STOP_WITHIN = 10.0
QUIET_WITHIN = 30.0
QUIET = 0.1
"""Seconds in which a daemon that rests uses no CPU."""


class BenchError(Exception):
    """The benchmark cannot go on; the text says why and what to do."""


class Kind(Enum):
    XINETD = "xinetd"
    SENTINETD = "sentinetd"
    LIMIT = "C loop"


class Door(IntEnum):
    """The services; the value is added to the contender's first port."""

    SERVE = 0
    SERVE_LOGGED = 1
    REFUSE = 2
    REFUSE_LOGGED = 3
    SENSOR = 4
    SPARE_1 = 5  # the rest fill the configuration up to ten services
    SPARE_2 = 6
    SPARE_3 = 7
    SPARE_4 = 8
    SPARE_5 = 9


FIRST_PORT = {Kind.XINETD: 4100, Kind.SENTINETD: 4200, Kind.LIMIT: 4300}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place: the compiled *programs*, a directory for *work*, and the *user* of the servers."""

    programs: Path
    work: Path
    user: str

    @property
    def hello(self) -> Path:
        return self.programs / "hello"


def configuration(kind: Kind, site: Site, directory: Path) -> str:
    """The xinetd.conf of *kind*, its service log in *directory*."""
    server = f"user = {site.user}\nserver = {site.hello}"
    log = f"log_type = FILE {directory / SERVICE_LOG}"
    entries = {
        Door.SERVE: server,
        Door.SERVE_LOGGED: f"{server}\n{log}\nlog_on_success = HOST PID DURATION EXIT",
        Door.REFUSE: f"{server}\nno_access = {OUTSIDER}",
        Door.REFUSE_LOGGED: f"{server}\nno_access = {OUTSIDER}\n{log}\nlog_on_failure = HOST",
        Door.SENSOR: f"user = {site.user}\ntype = INTERNAL UNLISTED\nflags = SENSOR\ndeny_time = 60",
    }
    return "defaults\n{\n}\n" + "".join(_entry(kind, door, entries.get(door, server)) for door in Door)


def _entry(kind: Kind, door: Door, text: str) -> str:
    """One service. NOLIBWRAP: reading hosts.allow at every connection is not what is measured."""
    lines = [
        "socket_type = stream",
        "protocol = tcp",
        "wait = no",
        "bind = 127.0.0.1",
        f"port = {FIRST_PORT[kind] + door}",
        "cps = 1000000 1",
        "instances = UNLIMITED",
        "per_source = UNLIMITED",
        *text.splitlines(),
    ]
    if door is not Door.SENSOR:
        lines += ["type = UNLISTED", "flags = NOLIBWRAP"]
    body = "".join(f"\t{line}\n" for line in lines)
    return f"service {door.name.lower().replace('_', '-')}\n{{\n{body}}}\n"


class Running:
    """A contender at work in *directory*, which is its own. `stop` ends it."""

    def __init__(self, kind: Kind, site: Site, directory: Path, settings: str = "", state: Path | None = None) -> None:
        """*settings*: more of sentinetd.toml; *state*: sentinetd's state directory, where it is not a new one."""
        self.kind = kind
        self._settings = settings
        self._directory = directory
        self._state = directory / "state" if state is None else state
        self._log = directory / "daemon.log"
        directory.mkdir(mode=0o755)
        self._process = self._start(site)
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        self.roles = self._roles()
        """What the daemon's processes are for, by their numbers; its servers are not among them."""

    def port(self, door: Door) -> int:
        """Where a service is."""
        return FIRST_PORT[self.kind] + door

    def await_quiet(self) -> None:
        """Wait until the daemon has done what it put off. BenchError if it never rests."""
        deadline = time.monotonic() + QUIET_WITHIN
        used, before = processes.cpu(self.roles), None
        while used != before:
            if time.monotonic() > deadline:
                raise BenchError(f"{self.kind.value} does not rest: {used}")
            time.sleep(QUIET)
            used, before = processes.cpu(self.roles), used

    def logged(self, word: str) -> int:
        """How often *word* stands in the service log."""
        path = self._directory / SERVICE_LOG
        return path.read_bytes().count(word.encode()) if path.exists() else 0

    def bans_kept(self) -> int:
        """Bans that are logged, and stored by whoever has a store."""
        logged = self._log.read_bytes().count(BANNED.encode())
        return min(logged, self._stored()) if self.kind is Kind.SENTINETD else logged

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self, site: Site) -> subprocess.Popen[bytes]:
        config = self._directory / "xinetd.conf"
        usual = ["-dontfork", "-f", str(config), "-filelog", str(self._log), "-pidfile", str(self._directory / "pid")]
        environment = dict(os.environ)
        output = self._directory / "output"
        if self.kind is Kind.LIMIT:
            user = pwd.getpwnam(site.user)
            command = [str(site.programs / "limit"), str(FIRST_PORT[self.kind]), str(user.pw_uid), str(user.pw_gid)]
            command.append(str(site.hello))
            output = self._log
        elif self.kind is Kind.XINETD:
            config.write_text(configuration(self.kind, site, self._directory))
            command = [XINETD, *usual]
        else:
            config.write_text(configuration(self.kind, site, self._directory))
            settings = self._directory / "sentinetd.toml"
            settings.touch(mode=0o600)
            settings.write_text(f"[bans]\nexempt_own = false\n{self._settings}")
            command = [*sentinetd_command(), *usual, "--state", str(self._state)]
            environment["PYTHONPATH"] = str(SOURCES)
        with output.open("wb") as file:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd="/"
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_WITHIN
        while True:
            said = self._log.read_text(errors="replace") if self._log.exists() else ""
            if READY in said:
                break
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{self.kind.value} did not start; it said:\n{said}{self._output()}")
            time.sleep(0.01)
        if self.kind is not Kind.LIMIT and f"{READY}: {len(Door)} available" not in said:
            raise BenchError(f"{self.kind.value} did not start all {len(Door)} services; it said:\n{said}")

    def _roles(self) -> dict[int, str]:
        roles = {}
        for pid in processes.family(self._process.pid):
            words = processes.command_line(pid)
            found = [role for role in ("courier", "porter", "spawner") if role in words]
            roles[pid] = found[0] if found else "guard" if self.kind is Kind.SENTINETD else self.kind.value
        return roles

    def _output(self) -> str:
        path = self._directory / "output"
        return path.read_text(errors="replace") if path.exists() else ""

    def _stored(self) -> int:
        """Bans in sentinetd's store, as another process sees them: those that are committed."""
        database = sqlite3.connect(f"file:{self._state}/bans.sqlite?mode=ro", uri=True, timeout=5.0)
        try:
            (count,) = database.execute("SELECT count(*) FROM bans").fetchone()
        finally:
            database.close()
        return int(count)


def sentinetd_command() -> list[str]:
    """How the sentinetd of this source tree is started; PYTHONPATH has to name `SOURCES`."""
    return [sys.executable, "-m", "sentinetd.daemon.main"]


def version(kind: Kind) -> str:
    """What *kind* says of itself; BenchError if it is not there."""
    if kind is Kind.LIMIT:
        return "bench/limit.c"
    command = [XINETD] if kind is Kind.XINETD else sentinetd_command()
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    try:
        done = subprocess.run([*command, "-version"], capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError:
        raise BenchError(f"{command[0]} is not there; on Debian: apt install xinetd") from None
    if done.returncode and kind is Kind.SENTINETD:
        raise BenchError(f"{' '.join(command)} does not run:\n{done.stderr}")
    return (done.stdout + done.stderr).strip()


def server_user() -> str:
    """Whom the servers run as: nobody, if we may choose, else ourselves."""
    return "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
