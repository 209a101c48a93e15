"""What sentinetd lives through: ends and kills, mistakes, other programs in its place, other users, many services."""

from __future__ import annotations

import functools
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind, Work, children_of, command_line
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.network import Lab, run

Maker = Callable[..., Daemon]

FIVE, A, B = "192.168.1.5", "192.168.1.20", "192.168.1.21"
DECOY = sensor("decoy", 7002)
WORD = service("real", 7001, "server_args = do=word=hi", "cps = 0 10")
HI = "hi\n"
RELOADED = "Reconfigured: new={} old={} dropped=0 (services)"


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Maker:
    """Makes a sentinetd; the probe's path is filled in."""

    def make(config: str | bytes, work: Work | None = None) -> Daemon:
        text = config if isinstance(config, bytes) else config.replace("@PROBE@", str(probe))
        return make_daemon(Kind.SENTINETD, text, work)

    return make


def trip(lab: Lab, daemon: Daemon, source: str) -> None:
    """Touch the sensor; return when the ban has been told."""
    assert converse(lab, FIVE, 7002, source) == "closed"
    daemon.await_message(f"Adding {source} ")


def first_answer(lab: Lab, source: str) -> str:
    """What the service says to *source* as soon as it listens."""
    seen: list[str] = []

    def answered() -> bool:
        seen.append(converse(lab, SIX, 7001, source))
        return seen[-1] != "refused"

    wait_for(answered, "a listener", 20.0)
    return seen[-1]


def helper(daemon: Daemon, word: str) -> int:
    """The process id of the daemon's child whose command line holds *word*."""
    return wait_for(
        lambda: next((pid for pid in children_of(daemon.pid) if word in command_line(pid)), 0),
        lambda: f"a child called {word}: {[command_line(pid) for pid in children_of(daemon.pid)]}",
    )


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(*pids: int) -> None:
    """End processes at once, without notice."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_it_runs_on_the_c_spawner(make: Maker) -> None:
    daemon = make(WORD)
    daemon.start()
    assert "spawner (C)" in daemon.await_message("started with").text, (
        "the C spawner was not built; is there a compiler?"
    )


def test_bans_are_in_force_before_the_first_accept(lab: Lab, make: Maker) -> None:
    daemon = make(DECOY + WORD)
    daemon.start()
    trip(lab, daemon, A)
    assert daemon.stop() == 0
    daemon.launch()
    assert first_answer(lab, A) == "closed"
    assert converse(lab, SIX, 7001, B) == HI


@pytest.mark.parametrize("victims", ["guard", "guard and courier", "guard, courier and spawner"])
def test_bans_survive_the_kill_of(victims: str, lab: Lab, make: Maker) -> None:
    daemon = make(DECOY + WORD)
    daemon.start()
    children = children_of(daemon.pid)
    words = [word for word in ("courier", "spawner") if word in victims]
    prey = [daemon.pid, *(helper(daemon, word) for word in words)]
    trip(lab, daemon, A)
    kill(*prey)
    assert daemon.exit_status() == -signal.SIGKILL
    wait_for(lambda: all(gone(pid) for pid in children), "the end of all its processes")
    daemon.launch()
    assert first_answer(lab, A) == "closed"
    assert converse(lab, SIX, 7001, B) == HI


def test_the_courier_is_killed(lab: Lab, make: Maker) -> None:
    daemon = make(DECOY + WORD)
    daemon.start()
    trip(lab, daemon, A)
    first = helper(daemon, "courier")
    kill(first)
    assert converse(lab, SIX, 7001, A) == "closed", "the guard keeps its bans"
    assert converse(lab, SIX, 7001, B) == HI, "and serves"
    trip(lab, daemon, "192.168.1.22")
    assert helper(daemon, "courier") != first
    daemon.stop()
    daemon.launch()
    assert first_answer(lab, "192.168.1.22") == "closed"
    assert converse(lab, SIX, 7001, A) == "closed"


def test_the_spawner_is_killed(lab: Lab, make: Maker) -> None:
    daemon = make(WORD)
    daemon.start()
    first = helper(daemon, "spawner")
    kill(first)
    wait_for(lambda: gone(first), "its end")
    assert helper(daemon, "spawner") != first
    assert converse(lab, SIX, 7001, A) == HI
    for _ in range(3):  # again and again: the next is started after a pause, and clients wait for it
        victim = helper(daemon, "spawner")
        kill(victim)
        wait_for(functools.partial(gone, victim), "its end")
        assert converse(lab, SIX, 7001, A) == HI
    assert not daemon.find("out of processes")


def test_what_a_dead_courier_left_is_written_at_the_end(lab: Lab, make: Maker) -> None:
    """Also where the next one would have to wait."""
    daemon = make(WORD)
    daemon.start()
    for _ in range(3):
        kill(helper(daemon, "courier"))
    assert [converse(lab, SIX, 7001, A) for _ in range(5)] == [HI] * 5
    assert daemon.stop() == 0
    assert len([line for line in daemon.service_log() if "START: real" in line]) == 5


def test_signals_that_mean_nothing_end_nothing(lab: Lab, make: Maker) -> None:
    """xinetd passes them over, too."""
    daemon = make(WORD)
    daemon.start()
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGSEGV, signal.SIGBUS}
    for number in signal.valid_signals() - ends - {signal.SIGKILL, signal.SIGSTOP}:
        os.kill(daemon.pid, number)
    daemon.await_message("Consistency check passed")
    assert converse(lab, SIX, 7001, A) == HI
    assert daemon.stop() == 0


def test_no_told_ban_is_lost(lab: Lab, make: Maker) -> None:
    """Many trip at once, everything is killed at the first word of it: whoever was told of is banned afterwards."""
    sources = [f"192.168.2.{last}" for last in range(100, 140)]
    for source in sources:
        lab.clients[23].ip("addr", "replace", f"{source}/32", "dev", "eth0")
    daemon = make(DECOY + WORD)
    told: set[str] = set()
    for part in (sources[:10], sources[10:20], sources[20:30], sources[30:]):
        daemon.start()
        courier = helper(daemon, "courier")
        before = len(daemon.find("Adding "))
        for source in part:
            converse(lab, FIVE, 7002, source)
        wait_for(lambda before=before: len(daemon.find("Adding ")) > before, daemon.story)  # type: ignore[misc]
        kill(courier, daemon.pid)
        daemon.exit_status()
        told |= {message.text.partition("Adding ")[2].split()[0] for message in daemon.find("Adding ")}
    daemon.launch()
    assert first_answer(lab, B) == HI
    assert len(told) >= 4
    assert {source: converse(lab, SIX, 7001, source) for source in told} == dict.fromkeys(told, "closed")


def test_a_ban_ends_on_time(lab: Lab, make: Maker) -> None:
    daemon = make(sensor("decoy", 7002, "deny_time = 1") + WORD)
    daemon.start()
    began = time.monotonic()
    trip(lab, daemon, A)
    wait_for(lambda: converse(lab, SIX, 7001, A) == HI, "the end of the ban", 75.0, pause=0.2)
    assert 59.5 < time.monotonic() - began < 62.0


def test_ten_thousand_services(lab: Lab, make: Maker) -> None:
    entries = [service(f"s{port}", port, "server_args = do=word=hi") for port in range(10_000, 20_000)]
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert files >= 11_000, f"this test opens 10,000 sockets; the limit here is {files}: raise it with ulimit -Hn"
    daemon = make("".join(entries))
    daemon.start(within=60.0)
    assert daemon.await_message("Started working").text == "Started working: 10000 available services"
    assert [converse(lab, SIX, port, A) for port in (10_000, 14_711, 19_999)] == [HI] * 3
    text = daemon.config.read_text()
    at = text.index("do=word=hi", text.index("service s14711"))
    changed = text[:at] + "do=word=new" + text[at + 10 :]
    assert daemon.reload(changed, within=60.0).text == RELOADED.format(0, 10_000)
    assert [converse(lab, SIX, port, A) for port in (10_000, 14_711, 19_999)] == [HI, "new\n", HI]
    assert daemon.stop() == 0


BAD = [
    pytest.param({"c.d/a": "includedir @WORK@/c.d\n"}, "includedir @WORK@/c.d\n", ["c.d/a:1"], id="a directory loop"),
    pytest.param({}, "include @WORK@/xinetd.conf\n", ["xinetd.conf:1"], id="a file that includes itself"),
    pytest.param({}, "include @WORK@\n", ["xinetd.conf:1"], id="a directory where a file should be"),
    pytest.param({}, "x" * 1_000_000 + "\n" + WORD, ["xinetd.conf:1"], id="a line of a megabyte"),
    pytest.param({}, "service a\n{\n\tserver = /bin/\0cat\n}\n" + WORD, ["xinetd.conf:3"], id="a NUL byte"),
    pytest.param({}, service("a", 7005, "user = nobody-at-all") + WORD, ["nobody-at-all", "xinetd.conf:"], id="a user"),
    pytest.param({}, service("a", 7005, without=("server",)) + WORD, ["server", "xinetd.conf:1"], id="no server"),
    pytest.param({}, "defaults\n{\n\tinstances = many\n}\n" + WORD, ["many", "xinetd.conf:3"], id="bad defaults"),
    pytest.param({}, service("a", 7005).rstrip("}\n") + "\n", ["xinetd.conf:"], id="an entry without end"),
    pytest.param({}, "\xff\xfe\x00s", ["xinetd.conf:1"], id="no text at all"),
]


@pytest.mark.parametrize(("files", "config", "parts"), BAD)
def test_a_mistake_is_told_with_its_place_and_what_runs_goes_on(
    files: dict[str, str], config: str, parts: list[str], lab: Lab, make: Maker, probe: Path
) -> None:
    daemon = make(DECOY + WORD)
    daemon.start()
    for name, text in files.items():
        daemon.work.write(name, text.replace("@WORK@", str(daemon.work.path)))
    good = daemon.config.read_bytes()
    bad = config.replace("@WORK@", str(daemon.work.path)).replace("@PROBE@", str(probe)).encode("latin-1")
    daemon.config.write_bytes(bad)

    done = daemon.run(daemon.kind.program, "-check", "-f", str(daemon.config))
    assert done.returncode != 0
    for part in parts:
        assert part in done.stdout + done.stderr

    before = len(daemon.messages())
    daemon.send(signal.SIGHUP)
    wait_for(lambda: all(any(part in one.text for one in daemon.messages()[before:]) for part in parts), daemon.story)
    assert converse(lab, SIX, 7001, A) == HI
    daemon.config.write_bytes(good)
    daemon.reload()
    assert converse(lab, SIX, 7001, B) == HI


def test_check_is_silent_about_a_good_file(make: Maker) -> None:
    daemon = make(DECOY + WORD)
    done = daemon.run(daemon.kind.program, "-check", "-f", str(daemon.config))
    assert (done.returncode, done.stderr) == (0, "")


def test_check_tells_all_mistakes_at_once(make: Maker) -> None:
    daemon = make(service("a", 7001, "user = nobody-at-all", "nice = kind") + service("b", 7002, "wait = perhaps"))
    done = daemon.run(daemon.kind.program, "-check", "-f", str(daemon.config))
    assert done.returncode != 0
    for part in ("nobody-at-all", "kind", "perhaps"):
        assert part in done.stdout + done.stderr


def test_an_address_in_use(lab: Lab, make: Maker) -> None:
    with lab.host.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((SIX, 7001))
        other.listen()
        daemon = make(WORD + service("second", 7003, "server_args = do=word=second"))
        daemon.start()
        told = daemon.await_message("7001").text
        assert str(os.getpid()) in told, f"who holds it, process {os.getpid()}: {told}"
        assert converse(lab, SIX, 7003, A) == "second\n"
    assert first_answer(lab, A) == HI, "taken over when it was free"


def test_nothing_leaks(lab: Lab, make: Maker) -> None:
    daemon = make(WORD + DECOY)
    daemon.start()

    def shape() -> tuple[dict[str, int], int]:
        """Descriptors of each process by its command line, and the number of zombies."""
        processes = [daemon.pid, *children_of(daemon.pid)]
        open_ones = {command_line(pid): len(os.listdir(f"/proc/{pid}/fd")) for pid in processes if command_line(pid)}
        return open_ones, sum(gone(pid) for pid in processes)

    trip(lab, daemon, "192.168.1.22")
    assert converse(lab, SIX, 7001, A) == HI
    wait_for(lambda: len(daemon.service_log()) == 3, daemon.story)
    before = shape()
    for number in range(2000):
        source = "192.168.1.22" if number % 10 == 0 else A
        assert converse(lab, SIX, 7001, source) == ("closed" if number % 10 == 0 else HI)
    wait_for(lambda: shape() == before, lambda: f"{before} again, not {shape()}")
    wait_for(lambda: sum("EXIT: real" in line for line in daemon.service_log()) == 1801, daemon.story)


def test_a_second_instance_with_the_same_state_refuses(lab: Lab, make: Maker) -> None:
    first = make(WORD)
    first.start()
    second = Daemon(Kind.SENTINETD, lab, first.work)
    second.log = first.work.path / "second.log"
    second.config = first.work.write("second.conf", service("other", 7009).replace("@PROBE@", "/bin/cat"))
    second.launch("--state", str(first.work.path / "state"))
    try:
        assert second.exit_status() == 1
        assert str(first.pid) in second.story()
    finally:
        second.close()
    assert converse(lab, SIX, 7001, A) == HI
    assert first.pidfile.read_text() == f"{first.pid}\n"


def test_a_server_that_stops_all_it_may_stops_nobody(lab: Lab, make: Maker) -> None:
    """Nothing of the daemon runs as a server's user, not even between fork and exec."""
    daemon = make(
        service("rude", 7003, "user = 4712", "server = @WORK@/rude", "cps = 0 1")
        + service("kin", 7004, "user = 4712", "server_args = do=word=kin")
        + WORD
    )
    daemon.work.write("rude", "#!/bin/sh\ntrap '' STOP\nkill -STOP $PPID 2>/dev/null\nkill -STOP -1\n").chmod(0o755)
    daemon.start()
    for _ in range(20):
        assert converse(lab, SIX, 7003, A) in ("closed", "silence")
        assert converse(lab, SIX, 7001, B) == HI
    assert daemon.stop() == 0


def test_an_ordinary_user_in_the_foreground(lab: Lab, make: Maker) -> None:
    daemon = make(
        sensor("decoy", 7002, "bind = 192.168.1.5") + service("real", 7001, "user = nobody", "server_args = do=word=hi")
    )
    path = daemon.work.path
    daemon.extra = {"XDG_RUNTIME_DIR": str(path / "mine"), "HOME": str(path / "mine")}
    for name in ("mine", "d"):
        (path / name).mkdir(exist_ok=True)
    for name in ("mine", "d", "."):
        os.chown(path / name, 65534, 65534)
    drop = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--inh-caps=-all")
    command = daemon.command()
    at = command.index(daemon.kind.program)
    opened = open_way(path)
    words = [*command[:at], "sh", "-c", opened, "sh", *drop, *command[at:]]
    with daemon.errors.open("wb") as errors:
        daemon.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stderr=errors, cwd=path / "d", env=daemon.environment()
        )
    wait_for(lambda: daemon.find("Started working") or daemon.ended, daemon.story, 20.0)
    assert not daemon.ended, daemon.story()
    assert Path(f"/proc/{daemon.pid}").stat().st_uid == 65534
    assert converse(lab, SIX, 7001, B) == HI
    trip(lab, daemon, A)
    assert converse(lab, SIX, 7001, A) == "closed"
    assert daemon.stop() == 0


def open_way(work: Path) -> str:
    """A script that lets any user reach this Python, then runs its arguments.

    Root's home is closed to others, and Python may be installed there; in the daemon's own mount namespace a
    directory that all may enter, with nothing in it but this Python, is laid over the closed one.
    """
    base = Path(sys.base_prefix).resolve()
    closed = next((one for one in reversed(base.parents) if not one.stat().st_mode & 0o001), None)
    if closed is None:
        return 'exec "$@"'
    shell = work / "way"
    inner = shell / base.relative_to(closed)
    return f'mkdir -p {inner} && mount --bind {base} {inner} && mount --rbind {shell} {closed} && exec "$@"'


def test_the_service_manager_is_told(lab: Lab, make: Maker) -> None:
    daemon = make(WORD)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(daemon.work.path / "notify"))
        manager.settimeout(10)
        daemon.extra = {"NOTIFY_SOCKET": str(daemon.work.path / "notify")}
        daemon.start()
        assert b"READY=1" in manager.recv(4096)
        daemon.reload()
        assert b"RELOADING=1" in manager.recv(4096)
        assert b"READY=1" in manager.recv(4096)
        daemon.send(signal.SIGTERM)
        assert b"STOPPING=1" in manager.recv(4096)


def test_daemonized_it_is_up_when_the_command_returns(lab: Lab, make: Maker) -> None:
    daemon = make(WORD)
    command = [word for word in daemon.command() if word != "-dontfork"]
    # The pipe ends only when none of the daemon's processes holds it: whoever called by ssh or cron can go on.
    done = subprocess.run(command, capture_output=True, timeout=20, check=False, env=daemon.environment())
    assert done.returncode == 0, daemon.story()
    assert converse(lab, SIX, 7001, A) == HI
    pid = int(daemon.pidfile.read_text())
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not daemon.pidfile.exists(), daemon.story)


@pytest.mark.parametrize("without", [(), ("-dontfork",)], ids=["in the foreground", "daemonized"])
@pytest.mark.parametrize("mistake", ["of the configuration", "of the settings", "a place that is taken"])
def test_a_start_that_fails_says_so_and_leaves_nobody(mistake: str, without: Sequence[str], make: Maker) -> None:
    daemon = make("defaults\n{\n\tinstances = many\n}\n" if mistake == "of the configuration" else WORD)
    said = {"of the configuration": "many", "of the settings": "nonsense", "a place that is taken": "another sentinetd"}
    daemon.extra = {"RIG_MARK": str(daemon.work.path)}
    if mistake == "of the settings":
        daemon.work.write("sentinetd.toml", "nonsense = 1\n").chmod(0o600)
    if mistake == "a place that is taken":
        daemon.start()
    before = marked(daemon)
    command = [word for word in daemon.command() if word not in without]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=daemon.environment())
    assert done.returncode == 1
    assert said[mistake] in done.stderr
    if without:  # else the process that we waited for was the last
        wait_for(lambda: marked(daemon) == before, "all that was started to be gone")
    assert marked(daemon) == before


def marked(daemon: Daemon) -> set[int]:
    """The processes that have what *daemon* has in its environment."""
    mark = f"RIG_MARK={daemon.work.path}\0".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.add(int(entry.name))
    return found


def test_the_namespaces_are_the_tests_own(lab: Lab) -> None:
    """The rig itself: what it makes bears the tag of this lab and is seen nowhere else."""
    names = {line.split()[0] for line in run("ip", "netns", "list").stdout.splitlines() if line}
    assert {lab.host.name, *(client.name for client in lab.clients.values())} <= names
