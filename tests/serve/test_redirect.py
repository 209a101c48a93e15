"""Connections carried on to real targets."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from rig.carrier import NUMBER, Carrier, Ended, read_all, reset, tcp_pair
from rig.deadline import wait_for
from sentinetd.model.address import Address
from sentinetd.model.routine import Ending
from sentinetd.serve.flow import State
from sentinetd.serve.redirect import Redirect

NAME = "target.example.test"
LOCALHOST = (Address.parse("127.0.0.1"),)


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


async def nothing_known(host: str, seconds: float) -> None:
    return None


def names(*addresses: str) -> Callable[[str, float], object]:
    async def resolve(host: str, seconds: float) -> tuple[Address, ...]:
        assert host == NAME
        return tuple(map(Address.parse, addresses))

    return resolve


def relay(
    carrier: Carrier,
    port: int,
    host: str = "127.0.0.1",
    *,
    family: int = socket.AF_INET,
    idle: float = 0.0,
    seconds: float = 5.0,
    keepalive: bool = False,
    resolve: Callable[[str, float], object] = nothing_known,
) -> socket.socket:
    client, accepted = tcp_pair(family)

    async def begin() -> None:
        session = Redirect(carrier.sessions, NUMBER, accepted, idle)
        if host == NAME:
            await session.find(host, port, keepalive, seconds, resolve)  # type: ignore[arg-type]
        else:
            session.reach((Address.parse(host),), port, keepalive, seconds)

    carrier.begin(begin())
    client.settimeout(10)
    return client


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def send(sock: socket.socket, data: bytes) -> threading.Thread:
    """Send *data*, then say no more, beside what the test does."""

    def work() -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_everything_arrives_both_ways(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    up, down = os.urandom(3_000_001), os.urandom(2_000_003)
    senders = [send(client, up), send(server, down)]
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read_all(server)))
    reader.start()
    assert read_all(client) == down
    reader.join()
    assert got == [up]
    for sender in senders:
        sender.join()
    client.close()
    server.close()
    assert carrier.ended() == Ended(NUMBER, len(up), len(down), Ending.CLOSED, "")


def test_a_client_that_says_no_more_still_gets_its_answer(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == b"question"
    server.sendall(b"answer")
    server.close()
    assert read_all(client) == b"answer"
    client.close()
    assert carrier.ended() == Ended(NUMBER, 8, 6, Ending.CLOSED, "")


def test_a_target_that_says_no_more_still_hears_the_client(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    server.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b""
    client.sendall(b"still here")
    client.close()
    assert read_all(server) == b"still here"
    server.close()
    assert carrier.ended() == Ended(NUMBER, 10, 0, Ending.CLOSED, "")


def test_the_last_words_of_a_target_that_hangs_up_on_a_talker_arrive(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    server.sendall(b"too much!")
    server.close()
    # The target is gone while the client goes on talking: a plain close would destroy what it has not read.
    client.settimeout(5)
    for _ in range(50):
        client.sendall(bytes(10_000))
    assert read_all(client) == b"too much!"
    ended = carrier.ended()  # even though the client holds on
    assert (ended.ending, ended.bytes_out) == (Ending.CLOSED, 9)
    client.close()


def test_what_a_broken_target_said_is_read_out_before_the_end(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    (session,) = carrier.sessions._table.values()
    assert isinstance(session, Redirect)
    wait_for(lambda: session._down, "both flows")
    up, down = session._up, session._down
    assert up is not None
    assert down is not None
    server.setblocking(False)
    while select.select([], [server], [], 0.3)[1]:
        server.send(bytes(65536))  # more than the client's connection holds
    assert down.state is State.WAITING
    reset(server)
    client.sendall(b"x")
    wait_for(lambda: up.sink_broken, "the broken target to be noticed")
    assert read_all(client).strip(b"\0") == b""
    for _ in range(5):
        client.sendall(b"still talking")  # and not reset for it
    client.close()
    assert carrier.ended().ending is Ending.CLOSED


def test_a_target_that_does_not_read_presses_back(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    data = os.urandom(30 << 20)
    sender = send(client, data)
    (session,) = carrier.sessions._table.values()
    seen = -1

    def stopped() -> bool:
        nonlocal seen
        before, seen = seen, session.moved()[0]
        return 0 < seen == before

    wait_for(stopped, "the flow to stop")
    assert seen < len(data)
    assert read_all(server) == data
    sender.join()
    client.close()
    server.close()


def test_a_target_does_not_go_on_for_a_client_that_is_gone(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    client.sendall(b"generate!")
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == b"generate!"
    client.close()
    server.settimeout(10)
    with pytest.raises(ConnectionError):
        server.sendall(bytes(200_000_000))
    server.close()
    assert carrier.ended().ending is Ending.RESET


@pytest.mark.parametrize("who", ["client", "target"])
def test_a_reset_ends_both(carrier: Carrier, target: socket.socket, who: str) -> None:
    client = relay(carrier, port_of(target))
    server, _ = target.accept()
    client.sendall(b"x")
    assert server.recv(10) == b"x"
    breaking, other = (client, server) if who == "client" else (server, client)
    reset(breaking)
    other.settimeout(10)
    assert other.recv(10) == b""
    other.close()
    ended = carrier.ended()
    assert (ended.ending, ended.error) == (Ending.RESET, os.strerror(104))


@pytest.mark.parametrize(
    ("host", "resolve", "error"),
    [
        pytest.param("127.0.0.1", nothing_known, os.strerror(111), id="nobody listens"),
        pytest.param(NAME, nothing_known, "the name could not be looked up", id="no answer"),
        pytest.param(NAME, names(), "the name has no address", id="no such name"),
    ],
)
def test_a_target_out_of_reach(
    carrier: Carrier, host: str, resolve: Callable[[str, float], object], error: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = port_of(listener)
    client = relay(carrier, port, host, resolve=resolve)
    assert carrier.ended() == Ended(NUMBER, 0, 0, Ending.UNREACHABLE, error)
    assert client.recv(10) == b""
    client.close()


@contextmanager
def crowded() -> Iterator[int]:
    """A port at which nobody gets an answer: as many connections wait there as may."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield port_of(listener)


def test_a_target_that_never_accepts_is_given_up(carrier: Carrier) -> None:
    with crowded() as port:
        client = relay(carrier, port, seconds=0.2)
        assert carrier.ended() == Ended(NUMBER, 0, 0, Ending.UNREACHABLE, os.strerror(110))
        assert client.recv(10) == b""
        client.close()


def test_the_next_address_of_a_name_is_tried(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target), NAME, resolve=names("::1", "127.0.0.3", "127.0.0.1"))
    server, _ = target.accept()
    server.close()
    client.shutdown(socket.SHUT_WR)
    assert read_all(client) == b""
    client.close()


@pytest.mark.parametrize(
    ("family", "host"),
    [
        pytest.param(socket.AF_INET6, "127.0.0.1", id="IPv6 client, IPv4 target"),
        pytest.param(socket.AF_INET, "::1", id="IPv4 client, IPv6 target"),
    ],
)
def test_families_mix(carrier: Carrier, family: int, host: str) -> None:
    target_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=target_family) as listener:
        listener.settimeout(10)
        client = relay(carrier, port_of(listener), host, family=family)
        server, _ = listener.accept()
    client.sendall(b"x")
    assert server.recv(10) == b"x"
    client.close()
    server.close()


@pytest.mark.parametrize("keepalive", [False, True])
def test_options_of_the_sockets(carrier: Carrier, target: socket.socket, keepalive: bool) -> None:
    with relay(carrier, port_of(target), keepalive=keepalive) as client, target.accept()[0]:
        session = wait_for(lambda: next(iter(carrier.sessions._table.values()), None), "the session")
        assert isinstance(session, Redirect)
        wait_for(lambda: session._down, "both flows")
        far = session._target
        assert far is not None
        for one in (far, session.client):
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert bool(far.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is keepalive
        assert client.fileno() >= 0


def test_silence_ends_it_where_a_limit_is_set(carrier: Carrier, target: socket.socket) -> None:
    client = relay(carrier, port_of(target), idle=0.2)
    server, _ = target.accept()
    assert carrier.ended().ending is Ending.TIMEOUT
    assert client.recv(10) == server.recv(10) == b""
    client.close()
    server.close()


def test_the_guard_can_end_it_while_its_name_is_looked_up(carrier: Carrier, target: socket.socket) -> None:
    held = threading.Event()

    async def slow(host: str, seconds: float) -> tuple[Address, ...]:
        await carrier.loop.run_in_executor(None, held.wait, 10)
        return LOCALHOST

    client = relay(carrier, port_of(target), NAME, resolve=slow)
    wait_for(lambda: len(carrier.sessions), "the session")
    carrier.do(lambda: carrier.sessions.stop(NUMBER))
    assert carrier.ended() == Ended(NUMBER, 0, 0, Ending.STOPPED, "")
    assert client.recv(10) == b""
    held.set()
    carrier.do(carrier.loop.shutdown_default_executor)
    target.setblocking(False)
    with pytest.raises(BlockingIOError):
        target.accept()  # nobody came, for nobody waits any more
    client.close()


def test_the_guard_can_end_it_while_it_still_connects(carrier: Carrier) -> None:
    with crowded() as port:
        client = relay(carrier, port)
        wait_for(lambda: len(carrier.sessions), "the session")
        carrier.do(lambda: carrier.sessions.stop(NUMBER))
        assert carrier.ended() == Ended(NUMBER, 0, 0, Ending.STOPPED, "")
        assert client.recv(10) == b""
        client.close()


def test_reaching_takes_no_longer_than_it_may_whatever_the_silence_after_it(
    carrier: Carrier, target: socket.socket
) -> None:
    client = relay(carrier, port_of(target), seconds=0.1)  # no silence ends it
    server, _ = target.accept()
    (session,) = carrier.sessions._table.values()
    assert isinstance(session, Redirect)
    wait_for(lambda: session._down, "both flows")
    assert session.due == 0.0
    client.close()
    server.close()
    assert carrier.ended().ending is Ending.CLOSED
