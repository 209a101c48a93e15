"""Waiting servers behind the guard: every connection and every datagram is judged, one server answers them all."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Dialogue, Post, converse
from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for
from rig.entries import SIX, defaults, dgram, sensor, service
from rig.network import Lab, command_in

Maker = Callable[..., Daemon]

FIVE, SEVEN = "192.168.1.5", "192.168.1.7"
A, B, C = "192.168.1.20", "192.168.1.21", "192.168.1.22"
DECOY = sensor("decoy", 7002)

SERVER = """\
#!@PYTHON@ -IS
import os, socket, sys, threading
shared = socket.socket(fileno=0)
stream = shared.type == socket.SOCK_STREAM
def answer(data, peer):
    word = data.split()[0] if data.split() else b""
    if word == b"who":
        shown = (os.getpid(), shared.family.value, shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
                 peer[0], os.environ["REMOTE_HOST"])
        return " ".join(map(str, shown)).encode()
    return data
def serve(one, peer):
    with one, one.makefile("rwb", buffering=0) as file:
        for line in file:
            if line == b"end\\n":
                os._exit(3)
            if line.startswith(b"send "):
                one.sendall(bytes(int(line[5:])))
            elif line == b"all\\n":
                size = 0
                while part := one.recv(65536):
                    size += len(part)
                one.sendall(b"%d\\n" % size)
            else:
                one.sendall(answer(line.strip(), peer) + b"\\n")
while True:
    if stream:
        threading.Thread(target=serve, args=shared.accept()).start()
        continue
    data, peer = shared.recvfrom(65536)
    if data == b"end":
        os._exit(3)
    shared.sendto(answer(data, peer), peer)
"""


@pytest.fixture
def make(make_daemon: Maker) -> Maker:
    """Makes a sentinetd whose intercepted services are served by the script above."""

    def make(config: str) -> Daemon:
        daemon = make_daemon(Kind.SENTINETD, config)
        daemon.work.write("server.py", SERVER.replace("@PYTHON@", sys.executable)).chmod(0o755)
        return daemon

    return make


BEHIND = ("server = @WORK@/server.py", "flags = INTERCEPT", "cps = 0 1")


def stream(name: str, port: int, *lines: str) -> str:
    return service(name, port, "wait = yes", *(line for line in BEHIND if not _given(line, lines)), *lines)


def datagrams(name: str, port: int, *lines: str) -> str:
    return dgram(name, port, *(line for line in BEHIND if not _given(line, lines)), *lines)


def _given(line: str, lines: tuple[str, ...]) -> bool:
    return any(line.split()[0] == other.split()[0] for other in lines)


def say(dialogue: Dialogue, line: str) -> str:
    """What the server answers to a line."""
    dialogue.send(line.encode() + b"\n")
    return answer(dialogue)


def answer(dialogue: Dialogue) -> str:
    text = b""
    while not text.endswith(b"\n"):
        part = dialogue.receive(1)
        if not part:
            break
        text += part
    return text.decode().strip()


def ask(lab: Lab, source: str, line: str, port: int = 7001, host: str = SIX) -> str:
    """What the server answers to a line; nothing if it, or the guard, hangs up."""
    with Dialogue(lab, host, port, source) as dialogue:
        try:
            return say(dialogue, line)
        except (ConnectionResetError, BrokenPipeError):
            return ""


def pid_of(answered: str) -> int:
    return int(answered.split()[0])


def started(daemon: Daemon) -> list[tuple[int, str]]:
    """Process id and client of every START."""
    lines = [re.search(r"START: \S+ pid=(\d+) from=(\S+)", line) for line in daemon.service_log()]
    return [(int(line[1]), line[2]) for line in lines if line]


def ended(daemon: Daemon) -> list[str]:
    return [line.partition(" EXIT: ")[2] for line in daemon.service_log() if " EXIT: " in line]


def failed(daemon: Daemon) -> list[str]:
    return [line.partition(" FAIL: ")[2] for line in daemon.service_log() if " FAIL: " in line]


def helper(daemon: Daemon, word: str) -> int:
    return wait_for(
        lambda: next((pid for pid in children_of(daemon.pid) if word in command_line(pid)), 0), f"a child called {word}"
    )


def trip(lab: Lab, daemon: Daemon, source: str) -> None:
    assert converse(lab, FIVE, 7002, source) == "closed"
    daemon.await_message(f"Adding {source} ")


# Streams.


@pytest.mark.parametrize(
    ("bind", "family", "peer"),
    [
        pytest.param(f"bind = {SIX}", socket.AF_INET, "127.", id="IPv4"),
        pytest.param("bind = ::", socket.AF_INET6, "::ffff:127.", id="both families"),
    ],
)
def test_one_server_for_all(bind: str, family: int, peer: str, lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001, bind))
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as first, Dialogue(lab, SIX, 7001, B) as second:
        shown = [say(one, "who").split() for one in (first, second)]
        assert say(first, "still here") == "still here"
    assert shown[0][0] == shown[1][0]
    assert [one[1:3] for one in shown] == [[str(int(family)), "1"]] * 2
    assert all(one[3].startswith(peer) and one[4] == "<no" for one in shown)
    pid = int(shown[0][0])
    wait_for(lambda: started(daemon) == [(pid, A), (pid, B)], daemon.story)
    assert not ended(daemon)


def test_a_banned_client_is_refused_while_another_is_served(lab: Lab, make: Maker) -> None:
    daemon = make(DECOY + stream("behind", 7001))
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as banned, Dialogue(lab, SIX, 7001, B) as other:
        pid = pid_of(say(other, "who"))
        assert pid_of(say(banned, "who")) == pid
        trip(lab, daemon, A)
        assert ask(lab, A, "who") == ""
        assert pid_of(say(other, "who")) == pid
        assert pid_of(ask(lab, B, "who")) == pid
        assert say(banned, "x") == "x"  # a session that is open is no new connection
    wait_for(lambda: any("from=" + A in line for line in failed(daemon)), daemon.story)


def test_lists_of_names(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001, "only_from = client20.example.test .other.test"))
    daemon.start()
    assert ask(lab, B, "who") == ""
    assert pid_of(ask(lab, A, "who")) == pid_of(ask(lab, C, "who"))
    wait_for(lambda: failed(daemon), daemon.story)
    wait_for(lambda: [client for _, client in started(daemon)] == [A, C], daemon.story)


def test_limits_hold_for_each_connection(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001, "per_source = 1", "instances = 1"))
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as first:
        pid = pid_of(say(first, "who"))
        assert ask(lab, A, "who") == ""
        assert pid_of(ask(lab, B, "who")) == pid
    wait_for(lambda: failed(daemon) == [f"behind per_source_limit from={A}"], daemon.story)
    wait_for(lambda: ask(lab, A, "who").startswith(f"{pid} "), daemon.story)


def test_connections_per_second(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001, "cps = 2 600"))
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as first:
        pid = pid_of(say(first, "who"))
        # Two a second come into the bucket: slow clients do not empty it at once.
        wait_for(lambda: converse(lab, SIX, 7001, B) == "refused", daemon.story, pause=0)
        assert pid_of(say(first, "who")) == pid  # who was admitted goes on


def test_much_both_ways(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001))
    daemon.start()
    size = 5_000_000
    with Dialogue(lab, SIX, 7001, A) as first, Dialogue(lab, SIX, 7001, B) as second:
        first.send(b"send %d\n" % size)
        second.send(b"all\n")
        sender = threading.Thread(target=lambda: (second.send(bytes(size)), second.finish()))
        sender.start()
        assert len(first.receive(size)) == size
        sender.join()
        assert answer(second) == str(size)


def test_a_server_that_ended_is_started_again(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001))
    daemon.start()
    first = pid_of(ask(lab, A, "who"))
    assert ask(lab, A, "end") == ""
    second = pid_of(ask(lab, B, "who"))
    assert second != first
    wait_for(lambda: len(ended(daemon)) == 1, daemon.story)
    assert f"status=3 pid={first}" in ended(daemon)[0]
    # Whoever comes before the end is known is served by the next one all the same; its START may name either.
    wait_for(lambda: started(daemon)[-1][0] == second, daemon.story)


def test_a_server_that_serves_nobody_is_not_started_for_ever(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001, "server = /bin/true", "cps = 5 600"))
    daemon.start()
    with Dialogue(lab, SIX, 7001, A):
        daemon.await_message("Deactivating service behind due to its server ending too often")
        wait_for(lambda: len(ended(daemon)) == 5, daemon.story)
    assert converse(lab, SIX, 7001, B) == "refused"


def test_nobody_else_on_the_host_reaches_the_server(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001, "only_from = " + A) + datagrams("post", 7003, "only_from = " + A))
    daemon.start()
    pid = pid_of(ask(lab, A, "who"))
    with Post(lab, A) as post:
        post.send(b"who", SIX, 7003)
        mail = pid_of(post.receive().decode())
    for server, kind in ((pid, socket.SOCK_STREAM), (mail, socket.SOCK_DGRAM)):
        port = private_port(server, kind)
        with lab.host.socket(socket.AF_INET, kind) as stranger:
            stranger.settimeout(0.3)
            assert unanswered(stranger, port)
    assert pid_of(ask(lab, A, "who")) == pid


def unanswered(stranger: socket.socket, port: int) -> bool:
    try:
        stranger.connect(("127.0.0.1", port))
        stranger.send(b"who")
        stranger.recv(100)
    except TimeoutError:
        return True
    return False


def private_port(pid: int, kind: int) -> int:
    """The port that the server *pid* has as its descriptor 0."""
    inode = os.readlink(f"/proc/{pid}/fd/0").removeprefix("socket:[").removesuffix("]")
    table = "tcp" if kind == socket.SOCK_STREAM else "udp"
    lines = [line for name in (table, f"{table}6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()]
    return next(int(row[1].rpartition(":")[2], 16) for row in map(str.split, lines) if row[9] == inode)


def test_nothing_is_left(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001) + datagrams("post", 7003))
    daemon.start()
    porter = helper(daemon, "porter")

    def load() -> None:
        for _ in range(100):
            ask(lab, A, "hello")
            with Post(lab, A) as post:
                post.send(b"hello", SIX, 7003)
                assert post.receive() == b"hello"
        # Who is not admitted any more is let go; the rest goes by itself.
        text = daemon.config.read_text()
        for config in (text.replace("cps = 0 1", f"cps = 0 1\n\tno_access = {A}"), text):
            daemon.reload(config)

    load()
    wait_for(lambda: descriptors(porter) < 50, lambda: f"clients let go: {descriptors(porter)}")
    before = descriptors(daemon.pid), descriptors(porter)
    load()
    # Some of the first load may still have been on their way out when that was counted.
    wait_for(
        lambda: descriptors(daemon.pid) <= before[0] and descriptors(porter) <= before[1],
        lambda: f"no more descriptors than {before}: {descriptors(daemon.pid), descriptors(porter)}",
    )
    daemon.send(signal.SIGABRT)
    daemon.await_message("Consistency check passed")


def descriptors(pid: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


# What becomes of the daemon's parts.


def test_a_reload_ends_who_is_not_admitted_any_more(lab: Lab, make: Maker) -> None:
    text = stream("behind", 7001) + datagrams("post", 7003)
    daemon = make(text)
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as goes, Dialogue(lab, SIX, 7001, B) as stays, Post(lab, A) as post:
        pid = pid_of(say(stays, "who"))
        assert pid_of(say(goes, "who")) == pid
        post.send(b"hello", SIX, 7003)
        assert post.receive() == b"hello"
        daemon.config.write_text(daemon.config.read_text().replace("cps = 0 1", f"cps = 0 1\n\tno_access = {A}"))
        daemon.reload()
        assert goes.rest() == b""
        assert pid_of(say(stays, "who")) == pid
        wait_for(lambda: silent(post, 7003), daemon.story)
    assert pid_of(ask(lab, B, "who")) == pid


def silent(post: Post, port: int) -> bool:
    post.send(b"hello", SIX, port)
    try:
        post.receive(0.2)
    except TimeoutError:
        return True
    return False


def test_a_service_loses_the_flag_and_gets_it_back(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001))
    daemon.start()
    first = pid_of(ask(lab, A, "who"))
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("flags = INTERCEPT\n", ""))
    daemon.reload()
    wait_for(lambda: "status=" in " ".join(ended(daemon)) or "signal=" in " ".join(ended(daemon)), daemon.story)
    alone = ask(lab, A, "who").split()
    assert alone[3] == A
    daemon.config.write_text(text)
    daemon.reload()

    def behind_again() -> list[list[str]]:
        try:
            words = ask(lab, A, "who").split()
        except ConnectionRefusedError:  # the server that had the port itself was told to end, and has not yet
            return []
        return [words] if words and words[3] != A else []

    again = wait_for(behind_again, daemon.story)
    assert again[0][0] not in (str(first), alone[0])


def test_the_end_of_the_daemon_is_the_servers_end(lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001) + datagrams("post", 7003))
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as open_one, Post(lab, A) as post:
        pid = pid_of(say(open_one, "who"))
        post.send(b"who", SIX, 7003)
        mail = pid_of(post.receive().decode())
        assert daemon.stop() == 0
        assert open_one.rest() == b""
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{mail}").exists()


@pytest.mark.parametrize("word", ["porter", "spawner"])
def test_the_death_of_a_helper(word: str, lab: Lab, make: Maker) -> None:
    daemon = make(stream("behind", 7001) + datagrams("post", 7003))
    daemon.start()
    with Post(lab, A) as post:
        pid = pid_of(ask(lab, A, "who"))
        post.send(b"who", SIX, 7003)
        mail = pid_of(post.receive().decode())
        os.kill(helper(daemon, word), signal.SIGKILL)
        daemon.await_message(f"process {word}: works again")
        assert pid_of(ask_again(lab, A)) == pid
        post.send(b"who", SIX, 7003)
        assert pid_of(post.receive().decode()) == mail
    ask(lab, A, "end")
    assert pid_of(ask_again(lab, B)) != pid


def ask_again(lab: Lab, source: str) -> str:
    """What the server says as soon as there is one."""
    return wait_for(lambda: ask(lab, source, "who"), "an answer", 20.0)


# Datagrams.


def test_answers_reach_who_asked(lab: Lab, make: Maker) -> None:
    daemon = make(datagrams("post", 7003, "bind = ::"))
    daemon.start()
    posts = [Post(lab, A), Post(lab, A), Post(lab, B), Post(lab, "fd00::20")]
    hosts = [SIX, SEVEN, SEVEN, "fd00::7"]
    try:
        for turn in range(3):
            for number, (post, host) in enumerate(zip(posts, hosts, strict=True)):
                post.send(b"%d/%d" % (turn, number), host, 7003)
            for number, (post, host) in enumerate(zip(posts, hosts, strict=True)):
                data, where = post.receive_from()
                assert (data, where[0]) == (b"%d/%d" % (turn, number), host)
    finally:
        for post in posts:
            post.close()
    wait_for(lambda: len(started(daemon)) == 4, daemon.story)
    assert len({pid for pid, _ in started(daemon)}) == 1


def test_a_ban_holds_from_the_next_datagram_on(lab: Lab, make: Maker) -> None:
    daemon = make(DECOY + datagrams("post", 7003))
    daemon.start()
    with Post(lab, A) as banned, Post(lab, B) as other:
        for post in (banned, other):
            post.send(b"one", SIX, 7003)
            assert post.receive() == b"one"
        trip(lab, daemon, A)
        banned.send(b"two", SIX, 7003)
        other.send(b"two", SIX, 7003)
        assert other.receive() == b"two"
        other.send(b"three", SIX, 7003)
        assert other.receive() == b"three"  # and by then the other would have been answered
        assert not banned.waiting()
    wait_for(lambda: any(f"from={A}" in line for line in failed(daemon)), daemon.story)


def test_datagrams_by_name(lab: Lab, make: Maker) -> None:
    daemon = make(datagrams("post", 7003, "no_access = client21.example.test", "only_from = 192.168.1.0/24"))
    daemon.start()
    with Post(lab, B) as refused, Post(lab, A) as other:
        for data in (b"one", b"two"):
            refused.send(data, SIX, 7003)
            other.send(data, SIX, 7003)
        assert [other.receive(), other.receive()] == [b"one", b"two"]
        wait_for(lambda: failed(daemon), daemon.story)
        assert not refused.waiting()
    wait_for(lambda: started(daemon), daemon.story)
    assert [client for _, client in started(daemon)] == [A]


def test_who_is_refused_starts_no_server(lab: Lab, make: Maker) -> None:
    daemon = make(datagrams("post", 7003, f"only_from = {B}"))
    daemon.start()
    with Post(lab, A) as refused:
        for _ in range(10):
            refused.send(b"who", SIX, 7003)
        wait_for(lambda: failed(daemon), daemon.story)
    assert not started(daemon)


def test_big_and_many_datagrams(lab: Lab, make: Maker) -> None:
    daemon = make(datagrams("post", 7003))
    daemon.start()
    with Post(lab, A) as post:
        big = os.urandom(60_000)
        post.send(big, SIX, 7003)
        assert post.receive() == big
        post.send(b"", SIX, 7003)
        assert post.receive() == b""
        for start in range(0, 2000, 20):
            for number in range(start, start + 20):
                post.send(b"%d" % number, SIX, 7003)
            assert [post.receive() for _ in range(20)] == [b"%d" % number for number in range(start, start + 20)]
    assert len(started(daemon)) == 1


def test_a_datagram_server_that_ended_is_started_again(lab: Lab, make: Maker) -> None:
    daemon = make(datagrams("post", 7003))
    daemon.start()
    with Post(lab, A) as post:
        post.send(b"who", SIX, 7003)
        first = pid_of(post.receive().decode())
        post.send(b"end", SIX, 7003)
        post.send(b"who", SIX, 7003)
        second = pid_of(post.receive().decode())
    assert second != first
    wait_for(lambda: len(ended(daemon)) == 1, daemon.story)


@pytest.mark.parametrize("bind", [f"bind = {SIX}", "bind = ::"])
def test_tftpd(bind: str, lab: Lab, make: Maker, tmp_path: Path) -> None:
    daemon = make(
        DECOY
        + datagrams("tftp", 69, bind, "server = /usr/sbin/in.tftpd", "server_args = -t 1 -c -p -u root -s @WORK@/tftp")
    )
    root = daemon.work.path / "tftp"
    root.mkdir()
    root.chmod(0o777)
    content = bytes(range(256)) * 100
    (root / "down").write_bytes(content)
    (tmp_path / "up").write_bytes(content[::-1])
    daemon.start()
    transfer(lab, A, "get", "down", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == content
    transfer(lab, B, "put", str(tmp_path / "up"), "up")
    wait_for(lambda: (root / "up").exists() and (root / "up").read_bytes() == content[::-1], daemon.story)
    wait_for(lambda: ended(daemon), daemon.story)  # it waits a second for more work
    trip(lab, daemon, B)
    transfer(lab, A, "get", "down", str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == content
    with Post(lab, B) as refused:
        refused.send(b"\0\1down\0octet\0", SIX, 69)
        wait_for(lambda: failed(daemon), daemon.story)
        assert not refused.waiting()


def transfer(lab: Lab, source: str, *words: str) -> None:
    done = command_in(lab.namespace_of(source), ("tftp", "-m", "binary", SIX, "-c", *words))
    assert (done.returncode, done.stdout) == (0, b""), done


def test_defaults_do_not_disturb(lab: Lab, make: Maker) -> None:
    """What an operator's defaults entry usually has means nothing bad for a server with many clients."""
    usual = defaults("instances = 1", "cps = 50 10", "banner_fail = /nonexistent")
    daemon = make(usual + stream("behind", 7001, "cps = 50 10"))
    daemon.start()
    with Dialogue(lab, SIX, 7001, A) as first, Dialogue(lab, SIX, 7001, B) as second:
        assert pid_of(say(first, "who")) == pid_of(say(second, "who"))
