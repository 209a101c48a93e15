"""A sensor's part over real connections: what is kept, how it ends, and that everything has a bound."""

from __future__ import annotations

import queue
import socket
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.carrier import NUMBER, Carrier, read_all, reset, tcp_pair
from rig.deadline import wait_for
from sentinetd.model.values import Decoy
from sentinetd.serve import play
from sentinetd.serve.internal.decoys.dialogue import NOISE, Scene
from sentinetd.serve.internal.decoys.table import DECOYS
from sentinetd.serve.play import Heard, Part, Playing, escaped

SCENE = Scene("gw", "192.0.2.9", 0.0, bytes(NOISE))
FTP = b"220 (vsFTPd 3.0.3)\r\n"


def part(
    decoy: Decoy | None = None, greeting: bytes | None = None, keep: int = 0, listen: float = 20.0, tarpit: float = 0.0
) -> Part:
    return Part(None if decoy is None else DECOYS[decoy](SCENE), greeting, keep, listen, tarpit)


def begin(carrier: Carrier, one: Part) -> tuple[socket.socket, queue.SimpleQueue[tuple[int, Heard]]]:
    """The client, and what is told."""
    client, accepted = tcp_pair()
    told: queue.SimpleQueue[tuple[int, Heard]] = queue.SimpleQueue()
    carrier.do(lambda: Playing(carrier.sessions, NUMBER, accepted, one, lambda *what: told.put(what)))
    client.settimeout(20)
    return client, told


def heard(carrier: Carrier, told: queue.SimpleQueue[tuple[int, Heard]]) -> Heard:
    """What was told, once and of our connection; nothing is told by the session itself."""
    number, what = told.get(timeout=20)
    assert number == NUMBER
    assert told.empty()
    assert carrier.told.empty()
    assert len(carrier.sessions) == 0
    return what


@given(st.binary(max_size=300))
def test_what_is_escaped_can_be_read_back(data: bytes) -> None:
    text = escaped(data)
    assert text.isascii()
    assert text.isprintable()
    assert text.encode("ascii").decode("unicode_escape").encode("latin-1") == data
    assert len(text) <= 4 * len(data)


def test_a_decoy_talks_and_all_is_kept(carrier: Carrier) -> None:
    client, told = begin(carrier, part(Decoy.FTP, keep=100))
    assert client.recv(100) == FTP
    client.sendall(b"USER root\r\n")
    assert client.recv(100) == b"331 Please specify the password.\r\n"
    client.sendall(b"PASS toor\r\nQUIT\r\nand more")
    assert read_all(client) == b"530 Login incorrect.\r\n221 Goodbye.\r\n"
    client.close()
    what = heard(carrier, told)
    assert (what.kept, what.more) == (b"USER root\r\nPASS toor\r\nQUIT\r\nand more", False)
    assert 0 <= what.seconds < 20


def test_a_wrong_password_takes_its_time(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "JITTER", (0.4, 0.4))
    client, told = begin(carrier, part(Decoy.FTP, keep=100))
    client.recv(100)
    client.sendall(b"USER root\r\n")
    client.recv(100)
    began = time.monotonic()
    client.sendall(b"PASS toor\r\n")
    client.sendall(b"QUIT\r\n")
    client.shutdown(socket.SHUT_WR)
    first = client.recv(1)
    assert time.monotonic() - began >= 0.4
    assert first + read_all(client) == b"530 Login incorrect.\r\n221 Goodbye.\r\n"
    client.close()
    assert heard(carrier, told).kept == b"USER root\r\nPASS toor\r\nQUIT\r\n"


def test_whoever_leaves_meanwhile_is_let_go_of(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "JITTER", (0.2, 0.2))
    client, told = begin(carrier, part(Decoy.FTP, keep=100))
    client.sendall(b"USER root\r\nPASS toor\r\n")
    reset(client)
    heard(carrier, told)
    client, told = begin(carrier, part(Decoy.FTP))
    client.sendall(b"USER root\r\nPASS toor\r\n")
    wait_for(
        lambda: carrier.do(lambda: [one.moved()[0] for one in carrier.sessions._table.values()]) == [22], "22 bytes"
    )
    carrier.do(carrier.sessions.stop_all)
    heard(carrier, told)
    client.close()


def test_a_banner_greets_in_its_place(carrier: Carrier) -> None:
    client, told = begin(carrier, part(Decoy.FTP, greeting=b"220 ours\r\n"))
    assert client.recv(100) == b"220 ours\r\n"
    client.sendall(b"QUIT\r\n")
    assert read_all(client) == b"221 Goodbye.\r\n"
    client.close()
    assert heard(carrier, told).kept == b""


def test_no_more_is_kept_than_was_asked_for(carrier: Carrier) -> None:
    client, told = begin(carrier, part(keep=4))
    client.sendall(b"12")
    client.sendall(b"345678")
    assert read_all(client) == b""
    client.close()
    what = heard(carrier, told)
    assert (what.kept, what.more) == (b"1234", True)


def test_what_comes_too_late_is_not_kept(carrier: Carrier) -> None:
    client, told = begin(carrier, part(Decoy.FTP, keep=100, listen=0.0))
    client.recv(100)
    client.sendall(b"QUIT\r\n")
    read_all(client)
    client.close()
    what = heard(carrier, told)
    assert (what.kept, what.more) == (b"", True)


def test_silence_ends_when_its_time_is_up(carrier: Carrier) -> None:
    client, told = begin(carrier, part(keep=4, listen=0.1))
    assert read_all(client) == b""
    what = heard(carrier, told)
    assert (what.kept, what.more) == (b"", False)
    assert what.seconds >= 0.1
    client.close()


def test_a_decoy_s_silence_is_bounded(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "DECOY_WITHIN", 0.1)
    client, told = begin(carrier, part(Decoy.HTTP))
    assert read_all(client) == b""
    heard(carrier, told)
    client.close()


def test_a_client_that_says_its_all_and_no_more_is_answered(carrier: Carrier) -> None:
    client, told = begin(carrier, part(Decoy.HTTP, keep=20))
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    client.shutdown(socket.SHUT_WR)
    assert read_all(client).startswith(b"HTTP/1.1 200 OK\r\n")
    assert heard(carrier, told).kept == b"GET / HTTP/1.0\r\n\r\n"
    client.close()


@pytest.mark.parametrize("one", [pytest.param(part(Decoy.SSH), id="decoy"), pytest.param(part(keep=9), id="capture")])
def test_a_client_that_leaves(carrier: Carrier, one: Part) -> None:
    client, told = begin(carrier, one)
    client.close()
    assert heard(carrier, told).kept == b""


def test_a_client_that_breaks_off(carrier: Carrier) -> None:
    client, told = begin(carrier, part(keep=9))
    client.sendall(b"x")
    reset(client)
    heard(carrier, told)


def test_an_endless_talker_is_cut_off(carrier: Carrier) -> None:
    client, told = begin(carrier, part(keep=3, tarpit=0.0))
    block = bytes(65536)
    with suppress(ConnectionResetError, BrokenPipeError):
        while True:
            client.sendall(block)
    what = heard(carrier, told)
    assert (what.kept, what.more) == (bytes(3), True)
    client.close()


def test_a_client_that_does_not_read_holds_nothing_up(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "DECOY_WITHIN", 0.2)
    client, told = begin(carrier, part(Decoy.IMAP, greeting=bytes(1 << 20)))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    heard(carrier, told)
    assert len(read_all(client)) <= play.SAID_MOST
    client.close()


def test_a_tarpit_drips_and_holds(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "DRIP", 0.02)
    client, told = begin(carrier, part(Decoy.FTP, keep=100, tarpit=1.5))
    began = time.monotonic()
    client.sendall(b"QUIT\r\n")
    pieces = []
    while piece := client.recv(100):
        pieces.append(piece)
    assert time.monotonic() - began >= 1.4
    assert b"".join(pieces) == FTP + b"221 Goodbye.\r\n"
    assert len(pieces) > 10
    what = heard(carrier, told)
    assert (what.kept, what.more) == (b"QUIT\r\n", False)
    assert what.seconds >= 1.5
    client.close()


def test_a_tarpit_that_says_nothing_holds(carrier: Carrier) -> None:
    client, told = begin(carrier, part(tarpit=0.3))
    client.sendall(b"hello?")
    assert read_all(client) == b""
    assert heard(carrier, told).seconds >= 0.3
    client.close()


def test_a_tarpit_takes_no_more_than_its_bound(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "HEARD_MOST", 1000)
    client, told = begin(carrier, part(keep=10, tarpit=0.5))
    client.sendall(bytes(5000))
    what = heard(carrier, told)
    assert (what.kept, what.more) == (bytes(10), True)
    client.close()


def test_a_tarpit_lets_go_of_who_left(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "DRIP", 0.01)
    client, told = begin(carrier, part(Decoy.FTP, tarpit=600.0))
    client.close()
    heard(carrier, told)


def test_the_guard_may_end_it(carrier: Carrier) -> None:
    client, told = begin(carrier, part(Decoy.FTP, tarpit=600.0))
    carrier.do(lambda: carrier.sessions.stop(NUMBER))
    heard(carrier, told)
    assert read_all(client) == b""
    client.close()


def test_sessions_stop_altogether(carrier: Carrier) -> None:
    client, told = begin(carrier, part(keep=5))
    client.sendall(b"abc")
    wait_for(lambda: carrier.do(lambda: [one.moved()[0] for one in carrier.sessions._table.values()]) == [3], "3 bytes")
    carrier.do(carrier.sessions.stop_all)
    assert heard(carrier, told).kept == b"abc"
    client.close()
