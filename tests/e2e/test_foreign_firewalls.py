"""Firewalls that are not ours: those that sentinetd feeds by a program, and those that it leaves alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind, Work
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.http import Browser, answered, page
from rig.network import Lab, run
from rig.programs import Programs

Maker = Callable[..., Daemon]

CONTRIB = Path(__file__).parents[2] / "contrib" / "firewall"
FIVE, SEVEN, SEVEN6 = "192.168.1.5", "192.168.1.7", "fd00::7"
ATTACKER, CUSTOMER, NEIGHBOUR = "192.168.1.20", "192.168.1.21", "192.168.1.22"
ATTACKER6 = "fd00::20"
WEB, OURS, TRAP = 8080, 7001, 194
SETTLED = 30.0
SERVICES = (
    service("hi", OURS, "server_args = do=word=hi") + sensor("irc", TRAP) + sensor("irc6", TRAP, "bind = fd00::5")
)


@pytest.fixture
def web(lab: Lab) -> Iterator[None]:
    """nginx, which knows nothing of us."""
    work = Work()
    programs = Programs(lab, work)
    try:
        programs.nginx(f"{SEVEN}:{WEB}", f"[{SEVEN6}]:{WEB}")
        yield
    finally:
        programs.close()
        work.close()


@pytest.fixture
def start(make_daemon: Maker, probe: Path, lab: Lab) -> Iterator[Maker]:
    """Starts a daemon with this sentinetd.toml. What it leaves in the kernel is gone in the end."""
    made: list[Daemon] = []

    def started(text: str, work: Work | None = None) -> Daemon:
        daemon = make_daemon(Kind.SENTINETD, SERVICES.replace("@PROBE@", str(probe)), work)
        daemon.work.write("sentinetd.toml", text).chmod(0o600)
        made.append(daemon)
        daemon.start()
        return daemon

    yield started
    for daemon in made:
        daemon.close()
    lab.host.sweep()
    run(*lab.host.command("nft", "flush", "ruleset"))


@pytest.fixture
def iptables(lab: Lab) -> Iterator[Callable[..., str]]:
    """Runs a tool in the host's namespace; rules and sets are gone in the end."""

    def tool(*words: str) -> str:
        return run(*lab.host.command(*words)).stdout

    yield tool
    tool("nft", "flush", "ruleset")
    tool("ipset", "destroy")


def fed(program: str, *more: str) -> str:
    words = ", ".join(f'"{word}"' for word in (str(CONTRIB / program), *more))
    return f'[firewall]\nenabled = true\nbackend = "command"\ncommand = [{words}]\n'


def touch(lab: Lab, daemon: Daemon, source: str, host: str = FIVE) -> None:
    assert converse(lab, host, TRAP, source) == "closed", daemon.story()


def refused(lab: Lab, daemon: Daemon, source: str, host: str = SEVEN) -> None:
    """Wait until *source* reaches nginx no more: a program takes its time."""
    wait_for(lambda: not answered(lab, host, WEB, source), daemon.story, SETTLED)


def test_ipset_drops(lab: Lab, start: Maker, web: None, iptables: Callable[..., str]) -> None:
    iptables("iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
    before = iptables("iptables-save", "-t", "filter")
    daemon = start(fed("sentinetd-ipset"))
    with Browser(lab, SEVEN, WEB, ATTACKER) as session:
        assert session.get() == "nginx\n"
        touch(lab, daemon, ATTACKER)
        refused(lab, daemon, ATTACKER)
        assert session.get() == "nginx\n"
    assert page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"
    assert not answered(lab, SIX, OURS, ATTACKER)
    touch(lab, daemon, ATTACKER6, "fd00::5")
    refused(lab, daemon, ATTACKER6, SEVEN6)
    assert re.search(rf"^{ATTACKER} timeout 3[56]\d\d", iptables("ipset", "list", "sentinetd4"), re.M)
    assert re.sub(r"(?m)^#.*\n|\[.*\]", "", iptables("iptables-save", "-t", "filter")) == re.sub(
        r"(?m)^#.*\n|\[.*\]", "", before
    )
    assert daemon.stop() == 0
    wait_for(lambda: answered(lab, SEVEN, WEB, ATTACKER), daemon.story, SETTLED)
    wait_for(lambda: iptables("ipset", "list", "-n") == "", daemon.story, SETTLED)
    assert "SENTINETD" not in iptables("iptables-save")


def test_ipset_rejects_all_but_the_exempt(
    lab: Lab, start: Maker, web: None, iptables: Callable[..., str]
) -> None:
    bans = f'[bans]\nprefix = {{ v4 = 24 }}\nexempt = ["{CUSTOMER}"]\n'
    daemon = start(fed("sentinetd-ipset") + 'verdict = "reject"\n' + bans)
    touch(lab, daemon, ATTACKER)
    for source in (ATTACKER, NEIGHBOUR):
        wait_for(lambda source=source: page(lab, SEVEN, WEB, source) == "refused", daemon.story, SETTLED)  # type: ignore[misc]
    assert page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"


def test_ipset_only_our_own_ports_and_kept_at_stop(
    lab: Lab, start: Maker, web: None, iptables: Callable[..., str]
) -> None:
    daemon = start(fed("sentinetd-ipset", "--name", "another") + 'ports = "own"\nat_stop = "keep"\n')
    touch(lab, daemon, ATTACKER)
    wait_for(lambda: not answered(lab, SIX, OURS, ATTACKER), daemon.story, SETTLED)
    assert page(lab, SEVEN, WEB, ATTACKER) == "nginx\n"
    assert daemon.stop() == 0
    assert ATTACKER in iptables("ipset", "list", "another4")


def test_rules_that_somebody_removed_are_made_again(
    lab: Lab, start: Maker, web: None, iptables: Callable[..., str]
) -> None:
    daemon = start(fed("sentinetd-ipset", "--look", "1"))
    touch(lab, daemon, ATTACKER)
    refused(lab, daemon, ATTACKER)
    iptables("iptables", "-t", "raw", "-F")
    daemon.await_message("has ended: somebody removed the rules from raw PREROUTING", SETTLED)
    daemon.await_message("command: works again, all bans are kept", SETTLED)
    refused(lab, daemon, ATTACKER)


def test_a_program_that_ends_is_told_and_started_again_with_everything(lab: Lab, start: Maker) -> None:
    daemon = start(fed("sentinetd-ipset").replace(str(CONTRIB / "sentinetd-ipset"), "/bin/false"))
    daemon.await_message("command: /bin/false has ended", SETTLED)
    touch(lab, daemon, ATTACKER)
    assert converse(lab, SIX, OURS, CUSTOMER) == "hi\n"
    assert converse(lab, SIX, OURS, ATTACKER) == "closed"


def test_a_program_that_is_killed_misses_nothing(lab: Lab, start: Maker, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    script = tmp_path / "feed"
    script.write_text(f"#!/bin/sh\nid -un >>{heard}\necho $$ >{heard}.pid\nexec cat >>{heard}\n")
    script.chmod(0o755)
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    heard.touch()
    heard.chmod(0o666)
    tmp_path.chmod(0o777)
    text = f'[firewall]\nenabled = true\nbackend = "command"\ncommand = ["{script}"]\nuser = "nobody"\n'
    daemon = start(text)
    touch(lab, daemon, ATTACKER)
    ban = f'"do":"ban","network":"{ATTACKER}/32"'  # told once, or again if the whole was being told just then
    wait_for(lambda: ban in heard.read_text(), daemon.story, SETTLED)
    assert heard.read_text().startswith('nobody\n{"do":"hello","version":1,"verdict":"drop","ports":"all"')
    os.kill(int(Path(f"{heard}.pid").read_text()), signal.SIGKILL)
    daemon.await_message("has ended", SETTLED)
    daemon.await_message("command: works again", SETTLED)
    wait_for(lambda: heard.read_text().count('"do":"hello"') == 2, daemon.story, SETTLED)
    wait_for(lambda: ban in heard.read_text().rpartition('"do":"hello"')[2], daemon.story, SETTLED)


def test_ufw_is_left_alone(lab: Lab, start: Maker, web: None, iptables: Callable[..., str]) -> None:
    """Its rules, which are of the table filter of iptables, stay as they are, before and after it is reloaded."""
    etc = Work()
    try:
        shutil.copytree("/etc/ufw", etc.path / "etc" / "ufw")
        shutil.copytree("/etc/default", etc.path / "etc" / "default")

        def ufw(*words: str) -> None:
            mounted = f"mount --bind {etc.path}/etc/ufw /etc/ufw && mount --bind {etc.path}/etc/default /etc/default"
            script = f'{mounted} && mount -t tmpfs none /run && exec ufw "$@"'
            run(*lab.host.command("sh", "-c", script, "sh", *words))

        ufw("allow", f"{WEB}/tcp")
        ufw("allow", f"{TRAP}/tcp")
        ufw("--force", "enable")
        rules = iptables("iptables", "-S")
        assert f"--dport {WEB}" in rules
        daemon = start("[firewall]\nenabled = true\n")
        touch(lab, daemon, ATTACKER)
        refused(lab, daemon, ATTACKER)
        assert iptables("iptables", "-S") == rules
        ufw("reload")
        assert iptables("iptables", "-S") == rules
        refused(lab, daemon, ATTACKER)
        assert page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"
        ufw("disable")
        refused(lab, daemon, ATTACKER)
    finally:
        etc.close()




class Firewalld:
    """firewalld in the host's namespace, with a configuration of its own and a bus that *daemon* sees."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        work = daemon.work
        shutil.copytree("/etc/firewalld", work.path / "firewalld")
        (work.path / "run" / "dbus").mkdir()
        self._running: list[subprocess.Popen[bytes]] = []
        self._start("dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog")
        wait_for(lambda: (work.path / "run" / "dbus" / "system_bus_socket").exists(), "a bus", SETTLED)
        self._start("firewalld", "--nofork", "--nopid")
        wait_for(lambda: self._run("firewall-cmd", "--state").returncode == 0, self._log, SETTLED)

    def _inside(self, *words: str) -> list[str]:
        """*words* as a command that sees this configuration, and the daemon's /run."""
        path = self._daemon.work.path
        script = f'mount --bind {path}/run /run && mount --bind {path}/firewalld /etc/firewalld && exec "$@"'
        return self._daemon.lab.host.command("sh", "-c", script, "sh", *words)

    def _start(self, *words: str) -> None:
        with (self._daemon.work.path / "firewalld.log").open("ab") as log:
            self._running.append(
                subprocess.Popen(self._inside(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._inside(*words), capture_output=True, text=True, check=False, timeout=60)

    def _log(self) -> str:
        return (self._daemon.work.path / "firewalld.log").read_text()

    def command(self, *words: str) -> str:
        done = self._run(*words)
        assert done.returncode == 0, (done, self._log())
        return done.stdout

    def close(self) -> None:
        for process in reversed(self._running):
            process.terminate()
            process.wait(20)


@pytest.fixture
def firewalld(make_daemon: Maker, probe: Path, lab: Lab) -> Iterator[Callable[[str], tuple[Daemon, Firewalld]]]:
    """Makes a daemon with this sentinetd.toml, not yet started, beside a running firewalld that admits its ports."""
    made: list[Firewalld] = []

    def make(text: str) -> tuple[Daemon, Firewalld]:
        daemon = make_daemon(Kind.SENTINETD, SERVICES.replace("@PROBE@", str(probe)))
        daemon.work.write("sentinetd.toml", text).chmod(0o600)
        made.append(Firewalld(daemon))
        for port in (WEB, OURS, TRAP):
            made[-1].command("firewall-cmd", f"--add-port={port}/tcp")
        return daemon, made[-1]

    yield make
    lab.host.sweep()
    for one in made:
        one.close()
    run(*lab.host.command("nft", "flush", "ruleset"))


def test_firewalld_is_left_alone(
    lab: Lab, firewalld: Callable[[str], tuple[Daemon, Firewalld]], web: None
) -> None:
    daemon, wall = firewalld('[firewall]\nenabled = true\nverdict = "reject"\n')
    rules = run(*lab.host.command("nft", "list", "table", "inet", "firewalld")).stdout
    assert f"tcp dport {WEB}" in rules
    daemon.start()
    touch(lab, daemon, ATTACKER)
    wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "refused", daemon.story, SETTLED)
    assert page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"
    assert run(*lab.host.command("nft", "list", "table", "inet", "firewalld")).stdout == rules
    wall.command("firewall-cmd", "--complete-reload")
    assert page(lab, SEVEN, OURS, ATTACKER) == page(lab, SEVEN, WEB, ATTACKER) == "refused"
    assert not daemon.find("nftables")


def test_firewalld_is_fed(lab: Lab, firewalld: Callable[[str], tuple[Daemon, Firewalld]], web: None) -> None:
    bans = f'[bans]\nprefix = {{ v4 = 24 }}\nexempt = ["{CUSTOMER}"]\n'
    daemon, wall = firewalld(fed("sentinetd-firewalld", "--look", "1") + 'verdict = "reject"\n' + bans)
    wall.command(str(CONTRIB / "sentinetd-firewalld"), "--install")
    for port in (WEB, OURS, TRAP):
        wall.command("firewall-cmd", f"--add-port={port}/tcp")
    wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "nginx\n", "firewalld to let anybody in", SETTLED)
    daemon.start()
    with Browser(lab, SEVEN, WEB, ATTACKER) as session:
        assert session.get() == "nginx\n"
        touch(lab, daemon, ATTACKER)
        wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "refused", daemon.story, SETTLED)
        assert session.get() == "nginx\n"
    wait_for(lambda: page(lab, SEVEN, WEB, NEIGHBOUR) == "refused", daemon.story, SETTLED)
    assert page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"  # exempt, inside a banned network
    touch(lab, daemon, ATTACKER6, "fd00::5")
    wait_for(lambda: page(lab, SEVEN6, WEB, ATTACKER6) == "refused", daemon.story, SETTLED)
    entries = wall.command("firewall-cmd", "--ipset=sentinetd4", "--get-entries").split()
    assert "192.168.1.20/32" in entries or "192.168.1.20/31" in entries or "192.168.1.16/30" in entries, entries
    wall.command("firewall-cmd", "--reload")  # forgets all that is of the runtime
    for port in (WEB, OURS, TRAP):
        wall.command("firewall-cmd", f"--add-port={port}/tcp")
    daemon.await_message("has ended: firewalld was reloaded, or somebody changed what is ours", SETTLED)
    wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "refused", daemon.story, SETTLED)
    assert daemon.stop() == 0
    wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "nginx\n", daemon.story, SETTLED)
