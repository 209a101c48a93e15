"""Datagrams between clients and a server behind a private socket, all of them real; the test is the guard."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator

import pytest

from rig.carrier import NUMBER, Carrier, Ended
from rig.deadline import wait_for
from sentinetd.model.routine import Ending
from sentinetd.serve import intercept
from sentinetd.serve.intercept import Front, Where

SERVICE = 3


class Stage:
    """A front with its public socket, and a server's private one."""

    def __init__(self, carrier: Carrier, family: int = socket.AF_INET) -> None:
        self.carrier = carrier
        self.met: queue.SimpleQueue[tuple[int, Where]] = queue.SimpleQueue()
        self.server = udp()
        self.server.bind(("127.0.0.1", 0))
        public = socket.socket(family, socket.SOCK_DGRAM)
        public.bind(("", 0))
        self.port: int = public.getsockname()[1]
        self.trusted: set[Where] = set()
        home = self.server.getsockname()[1]
        self.front: Front = carrier.do(
            lambda: Front(carrier.sessions, SERVICE, public, home, self._meet, self.trusted.__contains__)
        )

    def _meet(self, service: int, token: int, where: Where) -> None:
        assert service == SERVICE
        self.met.put((token, where))

    def stranger(self) -> int:
        """What the next client that nobody knows is called."""
        return self.met.get(timeout=10)[0]

    def admit(self, token: int, number: int = NUMBER, idle: float = 60.0) -> None:
        way = udp()
        way.bind(("127.0.0.1", 0))
        self.carrier.do(lambda: self.front.admit(number, token, way, idle))

    def serve(self) -> tuple[bytes, Where]:
        data, where = self.server.recvfrom(70_000)
        return data, where

    def close(self) -> None:
        self.carrier.do(self.front.close)
        self.server.close()


def udp(address: str = "") -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(10)
    if address:
        made.bind((address, 0))
    return made


@pytest.fixture
def stage(carrier: Carrier) -> Iterator[Stage]:
    made = Stage(carrier)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def client(stage: Stage) -> Iterator[socket.socket]:
    with udp("127.0.0.1") as made:
        made.connect(("127.0.0.1", stage.port))
        yield made


def admitted(stage: Stage, client: socket.socket, number: int = NUMBER) -> Where:
    """Have *client* carried; where the server sees it."""
    client.send(b"hello")
    stage.admit(stage.stranger(), number)
    data, where = stage.serve()
    assert data == b"hello"
    return where


def test_what_came_before_the_verdict_is_carried_in_order_and_once(stage: Stage, client: socket.socket) -> None:
    for number in range(intercept.KEPT_OF_STRANGER + 3):
        client.send(b"%d" % number)
    token = stage.stranger()
    wait_for(lambda: len(kept(stage)) == intercept.KEPT_OF_STRANGER, "what is kept")
    stage.admit(token)
    assert [stage.serve()[0] for _ in range(intercept.KEPT_OF_STRANGER)] == [
        b"%d" % number for number in range(intercept.KEPT_OF_STRANGER)
    ]
    client.send(b"last")
    assert stage.serve()[0] == b"last"
    assert stage.met.empty()
    assert stage.front._kept == 0


def kept(stage: Stage) -> list[bytes]:
    (stranger,) = stage.front._strangers.values()
    return stranger.kept


def test_nothing_of_a_refused_client_is_carried(stage: Stage, client: socket.socket) -> None:
    client.send(b"one")
    token = stage.stranger()
    stage.carrier.do(lambda: stage.front.shun(token))
    client.send(b"two")
    with udp("127.0.0.1") as other:
        other.connect(("127.0.0.1", stage.port))
        admitted(stage, other)
    assert stage.met.empty()
    assert stage.front._kept == 0
    assert stage.front._tokens == {}


def test_a_refused_client_is_judged_again_after_a_moment(
    stage: Stage, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intercept, "SHUNNED_FOR", 0.0)
    client.send(b"one")
    token = stage.stranger()
    stage.carrier.do(lambda: stage.front.shun(token))
    assert admitted(stage, client)


@pytest.mark.parametrize("size", [0, 1, 1472, 60_000])
def test_sizes(stage: Stage, client: socket.socket, size: int) -> None:
    where = admitted(stage, client)
    client.send(bytes(size))
    assert len(stage.serve()[0]) == size
    stage.server.sendto(bytes(size), where)
    assert len(client.recv(70_000)) == size


def test_answers_reach_who_asked(stage: Stage) -> None:
    clients = [udp("127.0.0.1") for _ in range(20)]
    seen = {}
    for number, one in enumerate(clients):
        one.connect(("127.0.0.1", stage.port))
        seen[number] = admitted(stage, one, number)
    for number, where in seen.items():
        stage.server.sendto(b"%d" % number, where)
    assert [one.recv(100) for one in clients] == [b"%d" % number for number in range(len(clients))]
    for one in clients:
        one.close()


@pytest.mark.parametrize(
    ("family", "asked"),
    [
        pytest.param(socket.AF_INET, "127.9.9.9", id="IPv4"),
        pytest.param(socket.AF_INET6, "127.9.9.9", id="IPv4 at an IPv6 socket"),
        pytest.param(socket.AF_INET6, "::1", id="IPv6"),
    ],
)
def test_an_answer_comes_from_the_address_that_was_asked(carrier: Carrier, family: int, asked: str) -> None:
    stage = Stage(carrier, family)
    with udp("::1" if ":" in asked else "127.0.0.1") as client:
        client.sendto(b"hello", (asked, stage.port))
        stage.admit(stage.stranger())
        stage.server.sendto(b"answer", stage.serve()[1])
        data, where = client.recvfrom(100)
        assert (data, where[:2]) == (b"answer", (asked, stage.port))
    stage.close()


def test_a_server_may_go_on_from_another_socket(stage: Stage, client: socket.socket) -> None:
    where = admitted(stage, client)
    with udp("127.0.0.1") as child, udp("127.0.0.1") as stranger:
        stage.trusted.add(child.getsockname())
        stranger.sendto(b"not from the server", where)
        child.sendto(b"from the child", where)
        assert client.recv(100) == b"from the child"
        stranger.sendto(b"not from the server", where)
        client.send(b"to the child")
        assert child.recv(100) == b"to the child"
        child.sendto(b"again", where)
        assert client.recv(100) == b"again"
    # With the child gone the client is a stranger again: it lost one datagram, like by itself.
    client.send(b"lost")
    assert stage.carrier.ended().ending is Ending.RESET
    assert admitted(stage, client, 8)


def test_a_ban_ends_the_visit_and_the_next_datagram_is_a_strangers(stage: Stage, client: socket.socket) -> None:
    admitted(stage, client)
    stage.carrier.do(lambda: stage.carrier.sessions.stop(NUMBER))
    assert stage.carrier.ended() == Ended(NUMBER, 5, 0, Ending.STOPPED, "")
    client.send(b"more")
    assert stage.stranger()


def test_a_silent_client_is_let_go(stage: Stage, client: socket.socket) -> None:
    client.send(b"hello")
    stage.admit(stage.stranger(), idle=0.1)
    assert stage.carrier.ended().ending is Ending.TIMEOUT


def test_for_one_client_too_many_the_one_that_was_silent_longest_goes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intercept, "MOST_CLIENTS", 2)
    clients = [udp("127.0.0.1") for _ in range(3)]
    for number, one in enumerate(clients):
        one.connect(("127.0.0.1", stage.port))
        if number == 2:
            clients[0].send(b"stirs")
            assert stage.serve()[0] == b"stirs"
        admitted(stage, one, number)
    assert stage.carrier.ended().number == 1
    for one in clients:
        one.close()


def test_strangers_are_not_kept_without_bound(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intercept, "MOST_STRANGERS", 2)
    clients = [udp("127.0.0.1") for _ in range(3)]
    for one in clients:
        one.sendto(b"hello", ("127.0.0.1", stage.port))
    tokens = [stage.stranger(), stage.stranger()]
    stage.carrier.do(lambda: stage.front.shun(tokens[0]))
    clients[2].sendto(b"hello", ("127.0.0.1", stage.port))
    assert stage.stranger() not in tokens
    for one in clients:
        one.close()


def test_refused_ones_are_not_remembered_without_bound(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intercept, "MOST_SHUNNED", 2)
    for _ in range(4):
        with udp("127.0.0.1") as one:
            one.sendto(b"hello", ("127.0.0.1", stage.port))
            token = stage.stranger()
            stage.carrier.do(lambda token=token: stage.front.shun(token))
    assert len(stage.front._shunned) == 2


def test_a_verdict_on_nobody(stage: Stage) -> None:
    stage.carrier.do(lambda: stage.front.shun(99))
    stage.admit(99)
    assert stage.carrier.ended() == Ended(NUMBER, 0, 0, Ending.STOPPED, "")


def test_the_end_of_the_front_ends_its_visits(carrier: Carrier) -> None:
    stage = Stage(carrier)
    with udp("127.0.0.1") as client:
        client.connect(("127.0.0.1", stage.port))
        admitted(stage, client)
        stage.close()
    assert carrier.ended().ending is Ending.STOPPED
