"""Places that lack what a daemon finds elsewhere: it starts all the same, or says why it does not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.network import Lab

Maker = Callable[..., Daemon]

FIVE, A, B = "192.168.1.5", "192.168.1.20", "192.168.1.21"
CONFIG = sensor("decoy", 7002) + "".join(
    service(name, port, "type = UNLISTED INTERNAL", without=("server",))
    for name, port in (("time", 7001), ("echo", 7003))
)

PLACES = {
    "standard descriptors are closed": 'exec "$@" <&- >&- 2>&-',
    "the directory it starts in is gone": 'mkdir "$0/gone"; cd "$0/gone"; rmdir "$0/gone"; exec "$@"',
    "nobody but root has a name": 'grep ^root: /etc/passwd >"$0/names"; mount --bind "$0/names" /etc/passwd; exec "$@"',
    "/run cannot be written": 'mount -t tmpfs -o ro none /run; exec "$@"',
    "the user cannot be changed": 'exec setpriv --bounding-set=-all --inh-caps=-all "$@"',
    "a user namespace with one user": 'exec unshare -Ur "$@"',
    "every signal is blocked": 'exec env --block-signal "$@"',
    "no /proc": 'mount -t tmpfs none /proc; exec "$@"',
    "a state directory below one that is not there, and a mask that closes": 'umask 077; exec "$@"',
}
"""By name: how a shell gets there; it has a directory to write to as $0."""
SECRET_RULES = f"""\
umask 077
echo 'echo: {A}' >"$0/allow"
echo 'ALL: ALL' >"$0/deny"
mount --bind "$0/allow" /etc/hosts.allow
mount --bind "$0/deny" /etc/hosts.deny
umask 022
exec "$@"
"""
OWN_STATE = 'mount --bind "$0/lib" /var/lib; exec "$@"'


@pytest.fixture
def place(make_daemon: Maker, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Daemon]:
    """Makes a sentinetd that starts in one of `PLACES`."""

    def make(how: str) -> Daemon:
        daemon = make_daemon(Kind.SENTINETD, CONFIG)
        enter = daemon.enter
        monkeypatch.setattr(daemon, "enter", lambda *words: enter("sh", "-c", how, str(daemon.work.path), *words))
        return daemon

    return make


@pytest.mark.parametrize("how", [pytest.param(how, id=name) for name, how in PLACES.items()])
def test_it_works_and_leaves_nothing(how: str, lab: Lab, place: Callable[[str], Daemon]) -> None:
    daemon = place(how)
    daemon.start("--state", str(daemon.work.path / "deep" / "er" / "state"))
    assert len(converse(lab, SIX, 7001, A)) == 4
    assert converse(lab, SIX, 7003, A, b"so") == "so"
    assert converse(lab, FIVE, 7002, B) == "closed"
    daemon.await_message(f"Adding {B} to the global_no_access list")
    assert converse(lab, SIX, 7001, B) == "closed"
    if "umask" in how:
        assert not daemon.find("bans of before are not in force")
        assert list(daemon.work.path.glob("deep/er/state/*.sqlite"))
    assert daemon.stop() == 0
    assert lab.host.processes() == []


def test_the_same_configuration_in_two_networks(
    lab: Lab, place: Callable[[str], Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own bans. In one network the second is refused."""
    daemon = place(OWN_STATE)
    (daemon.work.path / "lib").mkdir()
    daemon.start("--state", "")
    other = Daemon(Kind.SENTINETD, lab, daemon.work)
    other.log, other.pidfile = daemon.work.path / "other.log", daemon.work.path / "other.pid"
    try:
        monkeypatch.setattr(other, "enter", daemon.enter)
        other.launch("--state", "")
        assert other.exit_status() == 1
        monkeypatch.setattr(other, "enter", lambda *words: daemon.enter("unshare", "-n", *words))
        other.start("--state", "")
        assert f"(process {daemon.pid})" in other.find("it is in another network namespace")[0].text
        assert other.stop() == 0
    finally:
        other.close()


def test_rules_that_only_root_may_read(lab: Lab, place: Callable[[str], Daemon]) -> None:
    """The porter, which judges by them, gets them open; and the next porter, too."""
    daemon = place(SECRET_RULES)
    daemon.start()
    assert converse(lab, SIX, 7003, A, b"so") == "so"
    assert converse(lab, SIX, 7003, B, b"so") == "closed"
    (daemon.work.path / "allow").write_text(f"echo: {B}\n")
    assert converse(lab, SIX, 7003, A, b"so") == "closed"
    assert converse(lab, SIX, 7003, B, b"so") == "so"
    porter = next(pid for pid in children_of(daemon.pid) if "porter" in command_line(pid))
    os.kill(porter, signal.SIGKILL)
    daemon.await_message("process porter: works again")
    assert converse(lab, SIX, 7003, A, b"so") == "closed"
    assert converse(lab, SIX, 7003, B, b"so") == "so"


def test_a_state_directory_out_of_the_couriers_reach(make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    (daemon.work.path / "closed").mkdir(mode=0o700)
    daemon.start("--state", str(daemon.work.path / "closed" / "state"))
    assert f"let everybody pass {daemon.work.path}/closed (chmod o+x)" in daemon.find("cannot reach")[0].text


@pytest.fixture
def crippled(make_daemon: Maker) -> Daemon:
    """A sentinetd whose courier ends as soon as it begins."""
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.work.write("broken/sqlite3.py", "raise SystemExit(9)\n")
    paths = [str(daemon.work.path / "broken"), os.environ.get("PYTHONPATH", "")]
    daemon.extra["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return daemon


def test_a_courier_that_cannot_start_is_no_start(crippled: Daemon) -> None:
    crippled.launch()
    assert crippled.exit_status(60.0) == 1
    assert crippled.find("process courier: exit status 9, 5 times. Exiting...")
    assert len(crippled.find("process courier: exit status 9; trying again in")) == 5


def test_a_courier_that_ends_before_the_guard_is_ready_is_reaped(crippled: Daemon) -> None:
    """It is started first of all, and its end could be before anybody listens for it."""
    crippled.work.write(
        "broken/sitecustomize.py",
        "import os, sys\nif 'daemon.courier' in ' '.join(sys.orig_argv):\n    os._exit(7)\n",
    )
    crippled.launch()
    assert crippled.exit_status(60.0) == 1
    assert crippled.find("process courier: exit status 7, 5 times. Exiting...")


def test_a_start_that_waits_can_be_ended(crippled: Daemon) -> None:
    crippled.launch()
    wait_for(crippled.log.exists, crippled.story, 20.0)
    crippled.send(signal.SIGTERM)
    assert crippled.exit_status() == 0
