"""RPC services (xinetd.conf(5), type = RPC), with the real rpcbind, real servers and rpcinfo(8)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.entries import SIX, service
from rig.rpc import OTHER, Rpcbind, ask

Maker = Callable[..., Daemon]

RSTAT = 100_001

STUB = """\
#!/usr/bin/python3 -I
# Answers one call of procedure 0 on the connection it is started for.
import os
call = os.read(0, 4096)
os.write(0, b"\\x80\\0\\0\\x18" + call[4:8] + b"\\0\\0\\0\\x01" + bytes(16))
"""


def rstatd(*lines: str) -> str:
    """Debian's rpc.rstatd: a waiting datagram service."""
    given = {line.split()[0] for line in lines}
    usual = (
        "type = RPC",
        "socket_type = dgram",
        "protocol = udp",
        "wait = yes",
        "server = /usr/sbin/rpc.rstatd",
        "rpc_version = 1-3",
        "flags = IPv4",
    )
    return service("rstatd", None, *(line for line in usual if line.split()[0] not in given), *lines, without=("bind",))


def stub(*lines: str, name: str = "stub") -> str:
    """A server of our own over TCP, one process for each connection; its program has no name in rpc(5)."""
    given = {line.split()[0] for line in lines}
    usual = ("type = RPC UNLISTED", f"rpc_number = {OTHER}", "rpc_version = 1", "server = @WORK@/stub", "flags = IPv4")
    return service(name, None, *(line for line in usual if line.split()[0] not in given), *lines)


Starter = Callable[[Daemon], Rpcbind]


@pytest.fixture
def start_rpcbind() -> Iterator[Starter]:
    """Starts rpcbind in a daemon's place; it ends with the test."""
    started: list[Rpcbind] = []

    def start(daemon: Daemon) -> Rpcbind:
        started.append(Rpcbind(daemon))
        return started[-1]

    yield start
    for one in started:
        one.end()


def make(make_daemon: Maker, kind: Kind, config: str) -> Daemon:
    daemon = make_daemon(kind, config)
    daemon.work.write("stub", STUB).chmod(0o755)
    return daemon


def reload(daemon: Daemon, config: str) -> None:
    daemon.reload(config.replace("@WORK@", str(daemon.work.path)))


def processes(daemon: Daemon, title: str) -> list[int]:
    return [pid for pid in children_of(daemon.pid) if f"sentinetd.daemon.{title}" in command_line(pid)]


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
def test_a_client_finds_the_server_and_is_answered(kind: Kind, make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, kind, rstatd() + stub("bind = 192.168.1.6"))
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((RSTAT, 1, "udp"), (RSTAT, 2, "udp"), (RSTAT, 3, "udp"), (OTHER, 1, "tcp"))
    for version in (1, 3):
        done = ask(daemon, SIX, "udp", RSTAT, version)
        assert done.stdout == b"program %d version %d ready and waiting\n" % (RSTAT, version), done
    done = ask(daemon, SIX, "tcp", OTHER, 1)
    assert done.stdout == b"program %d version 1 ready and waiting\n" % OTHER, done
    for name in ("rstatd", "stub"):
        wait_for(lambda name=name: any(f"START: {name}" in line for line in daemon.service_log()), daemon.story)
    daemon.stop()
    assert rpcbind.rows() == []


def test_the_start_does_not_wait_for_rpcbind(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, rstatd() + stub())
    daemon.start()
    daemon.await_message("rpcbind cannot be reached")
    rpcbind = start_rpcbind(daemon)
    rpcbind.await_keys((RSTAT, 1, "udp"), (RSTAT, 2, "udp"), (RSTAT, 3, "udp"), (OTHER, 1, "tcp"))
    daemon.await_message("rpcbind can be reached again")
    assert len(daemon.find("rpcbind cannot be reached")) == 1


def test_what_runs_for_rpcbind_has_no_rights(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, stub())
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((OTHER, 1, "tcp"))
    (herald,) = processes(daemon, "herald")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{herald}/status").read_text().splitlines())
    assert "0" not in status["Uid"].split()
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert rpcbind.rows()[0].owner == status["Uid"].split()[0]


def test_a_reload_registers_what_is_new_and_removes_what_is_old(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, rstatd("rpc_version = 2-3") + stub())
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((RSTAT, 2, "udp"), (RSTAT, 3, "udp"), (OTHER, 1, "tcp"))
    before = {row.key: row.address for row in rpcbind.rows()}
    reload(daemon, rstatd("rpc_version = 3-4") + stub("instances = 7"))
    rpcbind.await_keys((RSTAT, 3, "udp"), (RSTAT, 4, "udp"), (OTHER, 1, "tcp"))
    after = {row.key: row.address for row in rpcbind.rows()}
    assert after[RSTAT, 3, "udp"] == before[RSTAT, 3, "udp"] == after[RSTAT, 4, "udp"]  # the same port
    assert after[OTHER, 1, "tcp"] == before[OTHER, 1, "tcp"]
    reload(daemon, rstatd("rpc_version = 3-4"))
    rpcbind.await_keys((RSTAT, 3, "udp"), (RSTAT, 4, "udp"))


def test_only_what_was_registered_is_removed(make_daemon: Maker, start_rpcbind: Starter) -> None:
    """xinetd takes the other transport's registration away with its own."""
    daemon = make(make_daemon, Kind.SENTINETD, rstatd("rpc_version = 3"))
    rpcbind = start_rpcbind(daemon)
    other = make(make_daemon, Kind.XINETD, stub("type = RPC", "rpc_version = 3", name="rstatd"))
    other.enter = daemon.enter  # type: ignore[method-assign]
    other.start()
    rpcbind.await_keys((RSTAT, 3, "tcp"))
    daemon.start()
    rpcbind.await_keys((RSTAT, 3, "tcp"), (RSTAT, 3, "udp"))
    daemon.stop()
    rpcbind.await_keys((RSTAT, 3, "tcp"))


def test_what_another_has_registered_is_left_to_it(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, stub() + rstatd("rpc_version = 3"))
    rpcbind = start_rpcbind(daemon)
    other = make(make_daemon, Kind.XINETD, stub(name="elder"))
    other.enter = daemon.enter  # type: ignore[method-assign]
    other.start()
    rpcbind.await_keys((OTHER, 1, "tcp"))
    theirs = rpcbind.rows()
    daemon.start()
    said = daemon.await_message("pmap_set failed").text
    assert f"service=stub program={OTHER} version=1" in said
    rpcbind.await_keys((OTHER, 1, "tcp"), (RSTAT, 3, "udp"))
    (noted,) = (daemon.work.path / "run").glob("sentinetd/*/registrations")
    wait_for(lambda: noted.read_text() == f"{RSTAT} 3 udp\n", noted.read_text)
    daemon.stop()
    assert rpcbind.rows() == theirs
    assert noted.read_text() == ""


def test_a_program_that_a_running_service_has_is_not_taken_from_it(make_daemon: Maker, start_rpcbind: Starter) -> None:
    """The entry of the elder has a mistake, so it runs on as it was; when it goes, the other has its place."""
    daemon = make(make_daemon, Kind.SENTINETD, stub())
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((OTHER, 1, "tcp"))
    second = stub("bind = 192.168.1.7", name="second")
    reload(daemon, stub("user = nobody-of-that-name") + second)
    said = daemon.await_message("pmap_set failed").text
    assert f"service=second program={OTHER} version=1 (tcp): service stub has it" in said
    assert rpcbind.rows()[0].address.startswith("192.168.1.6.")
    reload(daemon, second)
    wait_for(lambda: [row.address.rsplit(".", 2)[0] for row in rpcbind.rows()] == ["192.168.1.7"], daemon.story)
    assert len(daemon.find("pmap_set failed")) == 1


@pytest.mark.parametrize(
    "dead",
    [
        pytest.param((), id="the guard alone"),
        pytest.param(("herald",), id="all that know of it"),
    ],
)
def test_a_crash_leaves_nothing_registered(dead: tuple[str, ...], make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, rstatd() + stub())
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((RSTAT, 1, "udp"), (RSTAT, 2, "udp"), (RSTAT, 3, "udp"), (OTHER, 1, "tcp"))
    killed = [pid for title in dead for pid in processes(daemon, title)]
    os.kill(daemon.pid, signal.SIGSTOP)  # so that it starts no other herald
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.exit_status()
    if dead:
        assert len(rpcbind.rows()) == 4  # nobody could
    else:
        rpcbind.await_keys()
    daemon.config.write_text(rstatd("rpc_version = 4").replace("@WORK@", str(daemon.work.path)))
    daemon.start()
    rpcbind.await_keys((RSTAT, 4, "udp"))
    assert not daemon.find("pmap_set failed")


def test_a_late_herald_takes_nothing_from_the_next_one(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, stub())
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((OTHER, 1, "tcp"))
    (late,) = processes(daemon, "herald")
    os.kill(late, signal.SIGSTOP)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.exit_status()
    before = rpcbind.rows()
    daemon.start()
    daemon.await_message("an earlier herald has not ended")
    assert rpcbind.rows() == before
    os.kill(late, signal.SIGCONT)
    wait_for(lambda: command_line(late) == "", daemon.story)
    rpcbind.await_keys((OTHER, 1, "tcp"))
    assert rpcbind.rows() != before


def test_a_dead_herald_is_replaced(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, stub() + rstatd())
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((RSTAT, 1, "udp"), (RSTAT, 2, "udp"), (RSTAT, 3, "udp"), (OTHER, 1, "tcp"))
    (herald,) = processes(daemon, "herald")
    os.kill(herald, signal.SIGKILL)
    reload(daemon, rstatd("rpc_version = 4"))
    daemon.await_message("herald")
    rpcbind.await_keys((RSTAT, 4, "udp"))


def test_a_service_closed_by_cps_is_not_offered_meanwhile(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, stub("cps = 1 2"))
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((OTHER, 1, "tcp"))
    ask(daemon, SIX, "tcp", OTHER, 1)
    ask(daemon, SIX, "tcp", OTHER, 1)
    rpcbind.await_keys()
    daemon.await_message("excessive incoming connections")
    rpcbind.await_keys((OTHER, 1, "tcp"))
    assert ask(daemon, SIX, "tcp", OTHER, 1).returncode == 0


@pytest.mark.parametrize(
    ("lines", "netids"),
    [
        pytest.param(("flags = IPv4",), {"udp": "0.0.0.0"}, id="IPv4"),
        pytest.param(("flags = IPv6", "v6only = yes"), {"udp6": "::"}, id="IPv6 alone"),
        pytest.param(("flags = NORETRY",), {"udp": "0.0.0.0", "udp6": "::"}, id="both"),
        pytest.param(("bind = 192.168.1.6",), {"udp": "192.168.1.6"}, id="one IPv4 address"),
        pytest.param(("flags = IPv6", "bind = fd00::6"), {"udp6": "fd00::6"}, id="one IPv6 address"),
    ],
)
def test_netids_are_those_of_the_socket(
    lines: tuple[str, ...], netids: dict[str, str], make_daemon: Maker, start_rpcbind: Starter
) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, rstatd("rpc_version = 3", *lines))
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys(*((RSTAT, 3, netid) for netid in netids))
    assert {row.netid: row.address.rsplit(".", 2)[0] for row in rpcbind.rows()} == netids
    for netid in netids:
        host = "fd00::6" if netid.endswith("6") else SIX
        assert ask(daemon, host, netid, RSTAT, 3).returncode == 0, daemon.story()


def test_hosts_deny_does_not_hold_for_rpc_over_tcp(make_daemon: Maker, start_rpcbind: Starter) -> None:
    daemon = make(make_daemon, Kind.SENTINETD, stub())
    daemon.lab.write_etc(hosts_allow="rpcbind: ALL\n", hosts_deny="ALL: ALL\n")
    rpcbind = start_rpcbind(daemon)
    daemon.start()
    rpcbind.await_keys((OTHER, 1, "tcp"))
    (row,) = rpcbind.rows()
    high, low = map(int, row.address.rsplit(".", 2)[1:])
    words = ("rpcinfo", "-a", f"{SIX}.{high}.{low}", "-T", "tcp", str(OTHER), "1")
    done = daemon.run(*words)
    assert done.returncode == 0, (done, daemon.story())
