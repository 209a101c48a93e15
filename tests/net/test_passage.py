"""Private sockets, tried by those who may come and by those who may not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from sentinetd.model.service import Flag, Service, SocketType
from sentinetd.net.listener import Listener
from sentinetd.net.passage import Passage

FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
KINDS = pytest.mark.parametrize("kind", [SocketType.STREAM, SocketType.DGRAM], ids=lambda kind: kind.value)


@pytest.fixture
def passage() -> Iterator[Passage]:
    made = Passage()
    try:
        yield made
    finally:
        made.close()


def behind(passage: Passage, kind: SocketType, family: int = socket.AF_INET, *flags: Flag) -> Listener:
    return passage.listener(Service(name="x", id="x", socket_type=kind, wait=True, flags=frozenset(flags)), family)


def way(passage: Passage, kind: SocketType) -> socket.socket:
    made = socket.socket(fileno=passage.way(kind))
    made.settimeout(5)
    return made


@FAMILIES
def test_a_stream_comes_through(passage: Passage, family: int) -> None:
    listener = behind(passage, SocketType.STREAM, family)
    assert (listener.socket.family, listener.socket.getblocking()) == (family, True)
    with way(passage, SocketType.STREAM) as one, way(passage, SocketType.STREAM) as other:
        for client in (one, other):
            client.connect(("127.0.0.1", listener.port))
            accepted, _ = listener.socket.accept()
            with accepted:
                client.sendall(b"question")
                assert accepted.recv(100) == b"question"
                accepted.sendall(b"answer")
                assert client.recv(100) == b"answer"
    listener.close()


@FAMILIES
def test_a_datagram_comes_through(passage: Passage, family: int) -> None:
    listener = behind(passage, SocketType.DGRAM, family)
    with way(passage, SocketType.DGRAM) as one, way(passage, SocketType.DGRAM) as other:
        peers = []
        for client in (one, other):
            client.sendto(b"question", ("127.0.0.1", listener.port))
            data, where = listener.socket.recvfrom(100)
            assert data == b"question"
            peers.append(where)
        for where in peers:
            listener.socket.sendto(where[0].encode(), where)
        assert [one.recv(100), other.recv(100)] == [where[0].encode() for where in peers]
        assert peers[0] != peers[1]
    listener.close()


@FAMILIES
@KINDS
def test_a_stranger_does_not(passage: Passage, kind: SocketType, family: int) -> None:
    listener = behind(passage, kind, family)
    listener.socket.settimeout(0.2)
    stream = kind is SocketType.STREAM
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.connect_ex(("127.0.0.1", listener.port))
        if not stream:
            stranger.send(b"question")
        with pytest.raises(TimeoutError):
            _ = listener.socket.accept() if stream else listener.socket.recvfrom(100)
    listener.close()


REUSE = [
    pytest.param((), id="plainly"),
    pytest.param((socket.SO_REUSEADDR,), id="SO_REUSEADDR"),
    pytest.param((socket.SO_REUSEPORT,), id="SO_REUSEPORT"),
    pytest.param((socket.SO_REUSEADDR, socket.SO_REUSEPORT), id="both"),
]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: run as root")
@pytest.mark.parametrize("options", REUSE)
@KINDS
def test_no_other_user_gets_the_port(passage: Passage, kind: SocketType, options: tuple[int, ...]) -> None:
    with way(passage, kind) as one:
        port = one.getsockname()[1]
    os.seteuid(65534)
    try:
        taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind is SocketType.STREAM else socket.SOCK_DGRAM)
    finally:
        os.seteuid(0)
    with taken:
        for option in options:
            taken.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError, match="in use"):
            taken.bind(("127.3.3.3", port))


def test_nodelay_reaches_the_server(passage: Passage) -> None:
    listener = behind(passage, SocketType.STREAM, socket.AF_INET, Flag.NODELAY)
    assert listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    listener.close()
