"""What the processes that run as root have loaded when they have done all that they do: every module is listed here.

Each is memory that an idle host pays, and code that an attacker would find in the process that owns the machine.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sentinetd
from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.network import Lab

Maker = Callable[..., Daemon]

A, B = "192.168.1.20", "192.168.1.21"

LIBRARY = {
    # What every Python has.
    "__future__", "__main__", "_abc", "_codecs", "_collections", "_collections_abc", "_distutils_hack",
    "_frozen_importlib", "_frozen_importlib_external", "_functools", "_imp", "_io", "_operator", "_signal", "gc",
    "_sitebuiltins", "_sre", "_stat", "_thread", "_typing", "_warnings", "_weakref", "abc", "builtins", "codecs",
    "collections", "copyreg", "encodings", "functools", "genericpath", "io", "itertools", "keyword", "marshal",
    "operator", "os", "posix", "posixpath", "re", "reprlib", "site", "stat", "sys", "time", "types", "typing",
    "warnings", "zipimport",
    # Values and texts.
    "_bisect", "_datetime", "_heapq", "_json", "_string", "_struct", "array", "base64", "binascii", "bisect",
    "contextlib", "datetime", "enum", "fnmatch", "heapq", "ipaddress", "json", "math", "string", "struct", "tomllib",
    # The machine.
    "_ctypes", "_socket", "ctypes", "errno", "fcntl", "grp", "mmap", "pwd", "resource", "select", "selectors", "signal",
    "socket",
    # What this test adds.
    "atexit", "sitecustomize",
}  # fmt: skip
"""Of the standard library, packages with all that they hold. Never among them: asyncio, ssl, sqlite3, logging,
subprocess, threading, http; dataclasses and inspect (`model.noun` says why)."""

ROOMS = {"errors", "model", "ports", "config", "policy", "net", "spawn", "firewall"}
"""Of ours, with all that they hold."""

GUARD = {
    *(f"daemon.{name}" for name in (
        "aims", "asking", "carrier", "catching", "channel", "check", "clock", "companion", "dawn", "direct", "door",
        "doors", "dump", "enforcement", "entrance", "following", "guard", "haste", "hearing", "hostnames", "inquiries",
        "instructions", "launcher", "life", "link", "log_file", "logs", "loop", "main", "messages", "needs", "newborn",
        "notify", "offers", "options", "orders", "outflow", "paths", "perform", "privileges", "pulse", "reaping",
        "recall", "recipes", "reload", "replies", "shadows", "sieve", "sockets", "spool", "stops", "usage",
        "whereabouts",
    )),
    # Its own words, where the courier cannot write them.
    "report", "report.escape", "report.formats", "report.formats.text", "report.sinks", "report.sinks.syslog",
    # Internal services that read nothing, and the names of the others.
    "serve", "serve.flow", "serve.sessions", "serve.tcpmux", "serve.internal",
    *(f"serve.internal.{name}" for name in (
        "chargen", "daytime", "discard", "echo", "restraint", "servers", "services", "table", "time",
    )),
}  # fmt: skip
"""Of ours, by name."""

FALLBACK = {"spawn", "spawn.fallback", "spawn.label", "spawn.protocol", "spawn.recipe", "model", "model.noun", "errors"}

TELL = """\
import atexit, os, sys

path = os.path.join(os.environ["RIG_MODULES"], str(os.getpid()))

def tell():
    with open(path, "w") as file:
        file.write(" ".join(sys.modules))

atexit.register(tell)
"""
"""What makes a process that runs as we do write down at its end what it has loaded."""

EVERYTHING = "\n".join((
    service("word", 7001, "server_args = do=word=hi", "rlimit_as = 512M", "nice = 3", "log_type = SYSLOG daemon"),
    sensor("decoy", 7002, "decoy = ssh", "capture = 100 1"),
    service("daytime", 7003, "type = UNLISTED INTERNAL", "only_from = 192.168.1.0/24 some.example",
            without=("server", "user")),
    service("away", 7004, "redirect = 192.168.1.6 7001", without=("server",)),
    sensor("unused", None, "ports = unused", "bind = 192.168.1.7"),
))  # fmt: skip
SETTINGS = """\
[bans]
maximum = 1000
escalation = { factor = 3, ceiling = "7d", forget_after = "30d" }
[firewall]
enabled = true
[metrics]
listen = "127.0.0.1:7117"
[mdns]
enabled = true
[[alert]]
name = "hook"
type = "webhook"
url = "https://192.0.2.1/"
"""


def loaded(directory: Path, pid: int) -> set[str]:
    """The modules that process *pid*, which has ended or is about to, had loaded."""
    path = directory / str(pid)
    wait_for(lambda: path.exists() and path.read_text(), f"modules of {pid}", 30.0)
    return set(path.read_text().split())


def library(modules: set[str]) -> set[str]:
    """Of *modules*, what is not ours, without what it holds."""
    return {name.partition(".")[0] for name in modules} - {"sentinetd"}


def ours(modules: set[str]) -> set[str]:
    """Of *modules*, ours, as they are called within the package."""
    return {name.removeprefix("sentinetd.") for name in modules if name.startswith("sentinetd.")}


@pytest.fixture
def start(make_daemon: Maker, probe: Path) -> Callable[..., tuple[Daemon, Path]]:
    """Starts a daemon with everything on; it, and where its processes tell what they have loaded."""

    def start(*options: str) -> tuple[Daemon, Path]:
        daemon = make_daemon(Kind.SENTINETD, EVERYTHING.replace("@PROBE@", str(probe)))
        daemon.work.write("sentinetd.toml", SETTINGS).chmod(0o600)
        daemon.work.write("path/sitecustomize.py", TELL)
        told = daemon.work.path / "told"
        told.mkdir()
        daemon.extra = {"PYTHONPATH": str(daemon.work.path / "path"), "RIG_MODULES": str(told)}
        daemon.start(*options)
        return daemon, told

    return start


def test_the_guard(start: Callable[..., tuple[Daemon, Path]], lab: Lab) -> None:
    daemon, told = start()
    pid = daemon.pid
    assert converse(lab, SIX, 7001, A) == "hi\n"
    assert converse(lab, "192.168.1.5", 7002, B) != "refused"
    daemon.await_message(f"Adding {B} ")
    assert daemon.process is not None
    for number, done in (
        (signal.SIGHUP, "Reconfigured: "),
        (signal.SIGUSR1, "generated state dump"),
        (signal.SIGABRT, "Consistency check passed"),
    ):
        daemon.process.send_signal(number)
        daemon.await_message(done)
    daemon.stop()
    modules = loaded(told, pid)
    assert "sentinetd.daemon.guard" in modules
    assert library(modules) <= LIBRARY
    assert {name for name in ours(modules) if name.partition(".")[0] not in ROOMS} <= GUARD | {"daemon"}


def after(*words: str) -> set[str]:
    """What an interpreter with *words* on its command line has loaded."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_spawner_in_python() -> None:
    root = str(Path(sentinetd.__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {root!r}); import sentinetd.spawn.fallback; print(*sys.modules)"
    modules = after("-I", "-S", "-c", script)
    assert library(modules) <= LIBRARY - {"json", "ipaddress", "base64", "tomllib", "fnmatch"}
    assert ours(modules) == FALLBACK


def test_the_porter() -> None:
    """It has no rights and many clients: what it need not have is somebody else's."""
    modules = after("-P", "-c", "import sys, sentinetd.daemon.porter; print(*sys.modules)")
    assert "sentinetd.serve.redirect" in modules
    assert not library(modules) & {"sqlite3", "uvicorn", "starlette", "msgspec", "anyio", "http", "email", "httpx"}
    rooms = {name.partition(".")[0] for name in ours(modules)}
    assert not rooms & {"store", "control", "feeds", "lists", "firewall", "policy", "config", "web", "cli"}
