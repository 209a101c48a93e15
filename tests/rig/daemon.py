"""One daemon under test, xinetd or sentinetd, started in the foreground in a lab's host namespace.

Its files live in one directory that everybody may enter (servers and helpers of the daemon run as other users),
and it sees that directory's ``run`` as ``/run`` and, where the test put them there, its ``loadavg`` as
``/proc/loadavg``, its ``mail`` as ``/var/mail``, its ``syslog`` as ``/dev/log``, and the files of its ``etc`` in
``/etc``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rig.deadline import wait_for
from rig.network import Lab, temporary

ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "RIG_ONE": "1",
    "RIG_TWO": "two",
}
"""What the daemon is started with, and so what its servers inherit."""

_ENTER = """\
work=$1; shift
mount --bind "$work/run" /run || exit 70
if [ -e "$work/loadavg" ]; then mount --bind "$work/loadavg" /proc/loadavg || exit 70; fi
if [ -e "$work/mail" ]; then mount --bind "$work/mail" /var/mail || exit 70; fi
if [ -e "$work/etc" ]; then
    # Not netns: namespaces of other tests come and go there.
    mkdir "$work/all-etc" && mount -t tmpfs none "$work/all-etc" &&
        find /etc -mindepth 1 -maxdepth 1 -not -name netns -exec cp -a -t "$work/all-etc" {} + &&
        cp -a "$work/etc/." "$work/all-etc" && mount --bind "$work/all-etc" /etc || exit 70
fi
if [ -S "$work/syslog" ]; then
    mkdir "$work/dev" && mount -t tmpfs none "$work/dev" && cd "$work/dev" && touch log null zero random urandom tty &&
        for node in null zero random urandom tty; do mount --bind /dev/$node $node || exit 70; done &&
        ln -s /proc/self/fd fd && mount --bind ../syslog log && mount --rbind . /dev && cd ../d || exit 70
fi
exec "$@"
"""

STAMP = r"\d\d/[1-9]\d?/[1-9]\d?@[0-2]\d:[0-5]\d:[0-5]\d"
"""Date and time as xinetd writes them (xinetd.log(5)): no leading zeros in month and day."""

_MESSAGE = re.compile(rf"{STAMP} (?P<program>\S+)\[(?P<pid>\d+)\]: (?P<level>[A-Z]+): (?P<text>.*)")


class Kind(Enum):
    XINETD = "xinetd"
    SENTINETD = "sentinetd"

    @property
    def program(self) -> str:
        """The program that is run: Debian's xinetd, or the sentinetd of the environment that runs the tests."""
        if self is Kind.XINETD:
            return "/usr/sbin/xinetd"
        return str(Path(sys.executable).with_name("sentinetd"))


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the daemon's own log."""

    level: str
    text: str


class Work:
    """A directory for one daemon: its configuration, logs, state. *keep* is what survives from run to run."""

    def __init__(self) -> None:
        self.path = temporary("rig")
        (self.path / "run").mkdir()
        (self.path / "d").mkdir()

    def write(self, name: str, text: str | bytes) -> Path:
        """Put *text* into a file of this directory."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def listen_to_syslog(self) -> socket.socket:
        """A socket that receives what the daemon and its servers send to syslog(3)."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(self.path / "syslog"))
        (self.path / "syslog").chmod(0o666)
        return listener

    def close(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.path, ignore_errors=True)


class Daemon:
    """A running daemon. `start` returns when it says that it works; `stop` when it is gone."""

    def __init__(self, kind: Kind, lab: Lab, work: Work) -> None:
        self.kind = kind
        self.lab = lab
        self.work = work
        self.config = work.path / "xinetd.conf"
        self.log = work.path / "daemon.log"
        self.pidfile = work.path / "daemon.pid"
        self.errors = work.path / "stderr"
        self.extra: dict[str, str] = {}  # further environment
        self.before: tuple[str, ...] = ()  # words of a command that is to run the daemon
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *options: str) -> list[str]:
        """The command line of the daemon, inside the host namespace. `-syslog` takes the place of its log file."""
        state = ("--state", str(self.work.path / "state")) if self.kind is Kind.SENTINETD else ()
        usual = ("-dontfork", "-f", str(self.config), "-pidfile", str(self.pidfile))
        log = () if "-syslog" in options else ("-filelog", str(self.log))
        return self.enter(*self.before, self.kind.program, *usual, *log, *state, *options)

    def enter(self, *words: str) -> list[str]:
        """*words* as a command that sees what the daemon sees."""
        return self.lab.host.command("sh", "-c", _ENTER, "sh", str(self.work.path), *words)

    def run(self, *words: str, within: float = 20.0) -> subprocess.CompletedProcess[str]:
        """Run *words* to their end in the daemon's place."""
        return subprocess.run(
            self.enter(*words), capture_output=True, text=True, timeout=within, check=False, env=self.environment()
        )

    def environment(self) -> dict[str, str]:
        """What the daemon is started with."""
        path = os.environ.get("PYTHONPATH")
        ours = {"PYTHONPATH": path} if path and self.kind is Kind.SENTINETD else {}
        return {**ENVIRONMENT, **ours, **self.extra}

    def launch(self, *options: str) -> None:
        """Start the daemon without waiting for anything."""
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                self.command(*options),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=self.work.path / "d",
                env=self.environment(),
            )

    def start(self, *options: str, within: float = 20.0) -> None:
        """Start the daemon and wait until its log says ``Started working``."""
        before = len(self.find("Started working"))
        self.launch(*options)
        wait_for(lambda: len(self.find("Started working")) > before or self.ended, self.story, within)
        if self.ended:
            raise AssertionError(f"{self.kind.value} did not stay: {self.story()}")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the daemon."""
        assert not self.ended, f"{self.kind.value} has ended: {self.story()}"
        os.kill(self.pid, number)

    def exit_status(self, within: float = 15.0) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        assert self.process is not None
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.kind.value} did not end: {self.story()}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the daemon by a signal; the exit status."""
        if not self.ended:
            self.send(number)
        return self.exit_status()

    def reload(self, config: str | None = None, until: str = "Reconfigured: ", within: float = 10.0) -> Message:
        """Write *config*, send SIGHUP, wait for a new message that holds *until*."""
        if config is not None:
            self.config.write_text(config)
        before = len(self.find(until))
        self.send(signal.SIGHUP)
        wait_for(lambda: len(self.find(until)) > before or self.ended, self.story, within)
        return self.find(until)[-1]

    def messages(self) -> list[Message]:
        """The daemon's own log, line by line; a line that is not of the documented form is an error."""
        if not self.log.exists():
            return []
        found = []
        for line in self.log.read_text(errors="surrogateescape").split("\n")[:-1]:
            match = _MESSAGE.fullmatch(line)
            found.append(Message(match["level"], match["text"]) if match else Message("?", line))
        return found

    def find(self, part: str) -> list[Message]:
        """The messages whose text holds *part*."""
        return [message for message in self.messages() if part in message.text]

    def await_message(self, part: str, within: float = 10.0) -> Message:
        """The first message whose text holds *part*, waited for."""
        wait_for(lambda: self.find(part), lambda: f"a message with {part!r}: {self.story()}", within)
        return self.find(part)[0]

    def service_log(self, name: str = "service.log") -> list[str]:
        """The lines of a service log so far."""
        path = self.work.path / name
        return path.read_text(errors="surrogateescape").splitlines() if path.exists() else []

    def story(self) -> str:
        """All that the daemon said, for the report of a failure."""
        status = None if self.process is None else self.process.poll()
        parts = [f"{self.kind.value} (status {status})"]
        for path in (self.config, self.log, self.errors, self.work.path / "service.log"):
            text = path.read_text(errors="replace")[-4000:] if path.exists() else "-"
            parts.append(f"--- {path.name}\n{text}")
        return "\n".join(parts)

    def close(self) -> None:
        """End the daemon, however it is."""
        if not self.ended:
            assert self.process is not None
            self.process.kill()
            self.process.wait()


def children_of(pid: int) -> list[int]:
    """All processes below *pid*, at any depth; none if it is gone."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for word in (task / "children").read_text().split():
                found += [int(word), *children_of(int(word))]
    return found


def command_line(pid: int) -> str:
    """The words of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
