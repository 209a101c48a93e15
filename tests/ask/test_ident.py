"""RFC 1413: the reply's reading, fuzzed and as xinetd 2.3.15 was seen to do it; the talk with real servers."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.resolver import Resolver
from sentinetd.ask import ident
from sentinetd.ask.ident import Identity, owner, read_reply
from sentinetd.model.address import Address

HERE = Address.parse("127.0.0.1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(b"40000 , 21 : USERID : UNIX : joe", "UNIX : joe", id="RFC 1413's spacing"),
        pytest.param(b"40000,21:USERID:UNIX,US-ASCII:  joe  ", "UNIX,US-ASCII:  joe  ", id="no spacing, a charset"),
        pytest.param(b"40000,21:USERID: joe", "joe", id="no system"),
        pytest.param(b"40000,21:USERID:UNIX:a:b c", "UNIX:a:b c", id="colons and blanks in the user"),
        pytest.param(b"40000,21:USERID:UNIX:j\xff\x1b[1m", "UNIX:j\\xff\x1b[1m", id="bytes beyond ASCII"),
        pytest.param(b"040000,21:USERID:OTHER:x", None, id="a port of six digits"),
        pytest.param(b"40000,21:userid:UNIX:joe", None, id="small letters"),
        pytest.param(b"40000,21:USERIDX:UNIX:joe", None, id="another word"),
        pytest.param(b"40000,21:ERROR:NO-USER", None, id="an error"),
        pytest.param(b"40000,21:USERID", None, id="no second colon"),
        pytest.param(b"21,40000:USERID:UNIX:joe", None, id="ports the wrong way round"),
        pytest.param(b"40000,21 x:USERID:UNIX:joe", None, id="junk after the ports"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_read_reply(line: bytes, said: str | None) -> None:
    if said is None:
        with pytest.raises(ValueError, match="the reply"):
            read_reply(line, 40000, 21)
    else:
        assert read_reply(line, 40000, 21) == said


@given(st.binary(max_size=1100), st.integers(0, 65535), st.integers(0, 65535))
def test_any_bytes_are_read_or_refused(line: bytes, source_port: int, local_port: int) -> None:
    for text in (
        line,
        b"%d,%d" % (source_port, local_port) + line,
        b"%d,%d:USERID:" % (source_port, local_port) + line,
    ):
        try:
            said = read_reply(text, source_port, local_port)
        except ValueError:
            continue
        assert said.isascii()
        Identity(said).user  # noqa: B018  whatever it is, it has a user or none


@pytest.mark.parametrize(
    ("said", "user"),
    [("UNIX : joe", "joe"), ("UNIX,US-ASCII:  joe x ", "joe"), ("joe", None), ("UNIX : ", None), (None, None)],
)
def test_user(said: str | None, user: str | None) -> None:
    assert Identity(said).user == user


class Server:
    """An ident server in a namespace; *talk* is called with each connection, which it closes."""

    def __init__(self, resolver: Resolver, talk: Callable[[socket.socket], None]) -> None:
        self.asked: list[bytes] = []
        self._listener = resolver.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 113))
        self._listener.listen()
        self._talk = talk
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, peer = self._listener.accept()
        with connection:
            self.asked.append(connection.recv(100))
            self._talk(connection)
            self.peer = peer

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    if os.geteuid():
        pytest.skip("makes a network namespace: run as root")
    made = Resolver({})
    try:
        yield made
    finally:
        made.close()


def ask(resolver: Resolver, seconds: float = 5.0, local: Address = HERE) -> Identity:
    """What `owner` finds out in the namespace."""
    with resolver.namespace.entered():
        return asyncio.run(owner(HERE, 40000, local, 21, seconds))


def reply(*parts: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.send(part)

    return talk


def hang(connection: socket.socket) -> None:
    connection.settimeout(10)
    connection.recv(1)


def hang_up(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))


@pytest.mark.parametrize(
    ("talk", "identity"),
    [
        pytest.param(reply(b"40000, 21 : USERID : UNIX : joe\r\n"), Identity("UNIX : joe"), id="a user"),
        pytest.param(
            reply(*(b"%c" % one for one in b"40000,21:USERID:UNIX:joe\r\n")), Identity("UNIX:joe"), id="in pieces"
        ),
        pytest.param(reply(b"40000,21:USERID:UNIX:joe\r\nmore"), Identity("UNIX:joe"), id="only the first line counts"),
        pytest.param(reply(b"40000,21:ERROR:NO-USER\r\n"), Identity(None, ident.BAD_RESPONSE), id="an error"),
        pytest.param(reply(b"\x16\x03\x01\x00\xff" * 20 + b"\r\n"), Identity(None, ident.BAD_RESPONSE), id="garbage"),
        pytest.param(reply(b"40000,21:USERID:UNIX:joe\n"), Identity(None, ident.NO_RESPONSE), id="no CR"),
        pytest.param(reply(b"40000,21:USERID:UNIX:joe"), Identity(None, ident.NO_RESPONSE), id="no end"),
        pytest.param(reply(), Identity(None, ident.NO_RESPONSE), id="nothing"),
        pytest.param(reply(b"x" * 100_000), Identity(None, ident.NO_RESPONSE), id="a flood"),
        pytest.param(hang_up, Identity(None, ident.NO_RESPONSE), id="a reset"),
    ],
)
def test_owner(resolver: Resolver, talk: Callable[[socket.socket], None], identity: Identity) -> None:
    server = Server(resolver, talk)
    try:
        assert ask(resolver) == identity
        assert server.asked == [b"40000,21\r\n"]
    finally:
        server.close()


def test_it_asks_from_the_address_that_the_client_came_to(resolver: Resolver) -> None:
    server = Server(resolver, reply(b"40000,21:USERID:UNIX:joe\r\n"))
    ask(resolver, local=Address.parse("127.0.0.9"))
    server.close()
    assert server.peer[0] == "127.0.0.9"


def test_silence_ends_in_time(resolver: Resolver) -> None:
    server = Server(resolver, hang)
    assert ask(resolver, seconds=0.2) == Identity(None, ident.TIMEOUT)
    server.close()


def test_no_server(resolver: Resolver) -> None:
    assert ask(resolver) == Identity(None, ident.NO_SERVER)


def test_an_address_that_is_not_ours(resolver: Resolver) -> None:
    assert ask(resolver, local=Address.parse("192.0.2.1")) == Identity(None, ident.SYSTEM_ERROR)
