"""PROXY headers of a real load balancer (haproxy), and of peers that send something else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind, Work
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.network import Lab, run
from sentinetd.policy.announcing import MOST

FIVE = "192.168.1.5"
CLIENT, OTHER, PEER = "192.168.1.20", "192.168.1.21", "192.168.1.22"
Maker = Callable[..., Daemon]

PROXIED = f"proxy_protocol = {PEER}"
HELLO, ECHO, CARRIED, MUX, TRAP, TARGET, BEHIND, TIME = range(7000, 7008)
CONFIG = (
    service("hello", HELLO, PROXIED, "server = /usr/bin/env", f"no_access = {PEER}")
    + service("echo", ECHO, PROXIED, "type = INTERNAL UNLISTED", without=("server",))
    + service("carried", CARRIED, PROXIED, f"redirect = {SIX} {TARGET}", without=("server",))
    + service("target", TARGET, "server = /bin/cat")
    + service("tcpmux", MUX, PROXIED, "type = INTERNAL UNLISTED", without=("server",))
    + service("finger", None, "type = TCPMUX UNLISTED", "server = /usr/bin/env", without=("bind",))
    + service("daytime", TIME, PROXIED, "type = INTERNAL UNLISTED", without=("server",))
    + sensor("irc", TRAP, PROXIED, "decoy = ftp", "capture = 100")
)
BEFORE = {HELLO: SIX, ECHO: SIX, CARRIED: SIX, MUX: SIX, TRAP: FIVE, TIME: SIX}
"""The host's address of each port that the load balancer leads to."""


@pytest.fixture
def running(make_daemon: Maker) -> Daemon:
    made = make_daemon(Kind.SENTINETD, CONFIG)
    made.start()
    return made


def hello(lab: Lab, host: str, source: str) -> str:
    """The server's environment. The client keeps its side open: haproxy gives up on one that leaves before it has
    reached the server."""
    return converse(lab, host, HELLO, source, finish=False)


def logged(daemon: Daemon, what: str, source: str) -> None:
    """Wait for a line of the service log that tells *what* of *source*."""

    def there() -> bool:
        return any(what in line and line.endswith(f" from={source}") for line in daemon.service_log())

    wait_for(there, lambda: f"{what} of {source}: {daemon.story()}", 20)


@pytest.fixture
def balancer(lab: Lab) -> Iterator[Callable[[str], None]]:
    """Starts haproxy on host .22, which carries its port on to the same one of ours, each server with some words."""
    with ExitStack() as stack:

        def start(words: str) -> None:
            work = Work()
            stack.callback(work.close)
            listens = "".join(
                f"listen l{port}\n bind {PEER}:{port}\n server s {host}:{port} {words}\n"
                for port, host in BEFORE.items()
            )
            timeouts = "".join(f" timeout {what} 20s\n" for what in ("connect", "client", "server"))
            file = work.write("haproxy.cfg", f"global\n maxconn 200\ndefaults\n mode tcp\n{timeouts}{listens}")
            namespace = lab.namespace_of(PEER)
            process = subprocess.Popen(namespace.command("haproxy", "-db", "-q", "-f", str(file)))
            stack.callback(process.wait)
            stack.callback(process.kill)
            ready = namespace.command("ss", "-Hltn", f"sport = :{max(BEFORE)}")
            wait_for(lambda: run(*ready).stdout or process.poll() is not None, "haproxy listens", 20)
            assert process.poll() is None

        yield start


VERSIONS = pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id"])


@VERSIONS
def test_every_kind_of_service(words: str, lab: Lab, running: Daemon, balancer: Callable[[str], None]) -> None:
    balancer(words)
    assert f"REMOTE_HOST={CLIENT}\n" in hello(lab, PEER, CLIENT)
    text = "x" * 100_000
    assert converse(lab, PEER, ECHO, CLIENT, text.encode()) == text
    assert converse(lab, PEER, CARRIED, CLIENT, b"to the target") == "to the target"
    assert f"REMOTE_HOST={OTHER}\n" in converse(lab, PEER, MUX, OTHER, b"finger\r\n")
    assert " UTC\r\n" in converse(lab, PEER, TIME, CLIENT, finish=False)
    for name in ("hello", "echo", "carried"):
        logged(running, f"START: {name} pid=", CLIENT)
    logged(running, "START: finger pid=", OTHER)
    assert not any(PEER in line for line in running.service_log())


@VERSIONS
def test_a_sensor_behind_a_load_balancer(
    words: str, lab: Lab, running: Daemon, balancer: Callable[[str], None]
) -> None:
    balancer(words)
    assert "REMOTE_HOST" in hello(lab, PEER, CLIENT)
    assert converse(lab, PEER, TRAP, CLIENT, b"QUIT\r\n", finish=False) == "220 (vsFTPd 3.0.3)\r\n221 Goodbye.\r\n"
    running.await_message(f"Adding {CLIENT} to the global_no_access list for 60 minutes, sensor irc")
    assert running.await_message(f"Sensor irc held {CLIENT} for").text.endswith(r"said QUIT\r\n")
    for host in (PEER, SIX):
        assert hello(lab, host, CLIENT) == "closed"
        assert "REMOTE_HOST" in hello(lab, host, OTHER)
    assert not running.find(f"Adding {PEER}")
    logged(running, "FAIL: hello address", CLIENT)


def test_a_health_check_is_the_peer_s_own(lab: Lab, make_daemon: Maker, balancer: Callable[[str], None]) -> None:
    running = make_daemon(
        Kind.SENTINETD, service("echo", ECHO, PROXIED, "type = INTERNAL UNLISTED", without=("server",))
    )
    running.start()
    balancer("send-proxy-v2 check inter 100ms")
    logged(running, "START: echo", PEER)
    assert not any("FAIL" in line for line in running.service_log())


def test_a_header_of_somebody_else_is_his_own_words(lab: Lab, running: Daemon) -> None:
    forged = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello"
    assert converse(lab, SIX, ECHO, OTHER, forged.encode()) == forged
    logged(running, "START: echo", OTHER)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="another protocol"),
        pytest.param(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\n", id="malformed"),
        pytest.param(b"PROXY TCP4 192.0.2.1", id="half a header, then the end"),
        pytest.param(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", id="version 2, too long"),
        pytest.param(b"", id="nothing, then the end"),
    ],
)
def test_a_listed_peer_without_a_header_is_hung_up_on(said: bytes, lab: Lab, running: Daemon) -> None:
    assert converse(lab, SIX, ECHO, PEER, said) == "closed"
    wait_for(lambda: running.service_log(), "a line", 20)
    assert [line.partition(" ")[2] for line in running.service_log()] == [f"FAIL: echo proxy_header from={PEER}"]
    running.await_message(f"service echo: {PEER}, which proxy_protocol lists, sent ")
    assert converse(lab, SIX, ECHO, OTHER, b"still here") == "still here"


def test_silent_and_slow_peers_hold_nobody_up(lab: Lab, running: Daemon) -> None:
    with Dialogue(lab, SIX, ECHO, PEER) as silent, Dialogue(lab, SIX, ECHO, PEER) as slow:
        for byte in b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n":
            slow.send(bytes([byte]))
        slow.send(b"hello")
        assert slow.receive(5) == b"hello"
        for _ in range(40):
            assert converse(lab, SIX, ECHO, PEER, b"PROXY TCP4 192.0.2.9 192.0.2.2 1 2\r\nx") == "x"
        wait_for(lambda: not silent.silent(), "the end of its time", 20)
        assert silent.rest() == b""
    logged(running, "START: echo", "192.0.2.1")
    running.await_message("sent no PROXY header within 5 seconds", 20)


def test_a_flood_of_silence_from_a_listed_peer(lab: Lab, running: Daemon) -> None:
    header = b"PROXY TCP4 192.0.2.9 192.0.2.2 1 2\r\nx"
    held: list[Dialogue] = []
    try:
        for _ in range(MOST + 8):
            held.append(Dialogue(lab, SIX, ECHO, PEER))
        logged(running, "FAIL: echo waiting_limit", PEER)
        assert converse(lab, SIX, ECHO, OTHER, b"still here") == "still here"
        assert "REMOTE_HOST" in hello(lab, SIX, OTHER)
        wait_for(lambda: not any(one.silent() for one in held), "all are hung up on", 30)
        assert converse(lab, SIX, ECHO, PEER, header) == "x"
    finally:
        for one in held:
            one.close()


def test_an_intercepted_server_gets_none_of_the_header(lab: Lab, make_daemon: Maker) -> None:
    running = make_daemon(
        Kind.SENTINETD,
        service("behind", BEHIND, PROXIED, "wait = yes", "flags = INTERCEPT", "server = /usr/bin/python3",
                "server_args = @WORK@/echo.py", f"no_access = {CLIENT}"),
    )  # fmt: skip
    running.work.write(
        "echo.py",
        "import socket\n"
        "listener = socket.socket(fileno=0)\n"
        "listener.settimeout(30)\n"
        "while True:\n"
        "    client = listener.accept()[0]\n"
        "    client.sendall(client.recv(100))\n"
        "    client.close()\n",
    )
    running.start()

    def by_peer(source: str) -> str:
        return converse(lab, SIX, BEHIND, PEER, b"PROXY TCP4 %b 192.0.2.2 1 2\r\nhello" % source.encode(), finish=False)

    assert by_peer(OTHER) == "hello"
    assert by_peer(CLIENT) == "closed"
    logged(running, "FAIL: behind address", CLIENT)
