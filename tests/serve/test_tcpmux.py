"""The multiplexer's line, fuzzed, and its talk over real connections."""

from __future__ import annotations

import os
import queue
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.carrier import NUMBER, Carrier, Ended, read_all, reset, tcp_pair
from sentinetd.model.routine import Ending
from sentinetd.serve.tcpmux import LONGEST_NAME, NOT_FOUND, Line, Multiplexer, listing, read_line

NAMES = frozenset({"finger", "mux+plus"})


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(b"finger\r\n", Line("finger", 8), id="CR LF"),
        pytest.param(b"finger\n", Line("finger", 7), id="a bare LF"),
        pytest.param(b"finger\r\nGET /\r\n", Line("finger", 8), id="what follows is left alone"),
        pytest.param(b"\r\n", Line("", 2), id="an empty name"),
        pytest.param(b"fing", None, id="not all of it"),
        pytest.param(b"finger\r", None, id="its end is half there"),
        pytest.param(b"a" * LONGEST_NAME + b"\r\n", Line("a" * LONGEST_NAME, LONGEST_NAME + 2), id="the longest name"),
        pytest.param(b"a" * LONGEST_NAME + b"\r", None, id="the longest name, half ended"),
    ],
)
def test_read_line(data: bytes, line: Line | None) -> None:
    assert read_line(data) == line


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"a" * (LONGEST_NAME + 1), id="too long before its end"),
        pytest.param(b"a" * (LONGEST_NAME + 1) + b"\n", id="too long"),
        pytest.param(b"fin\0ger\r\n", id="a NUL"),
        pytest.param(b"\xff\xfb\x01", id="telnet's first bytes"),
        pytest.param(b"a\rb\r\n", id="a CR inside"),
    ],
)
def test_read_line_refuses(data: bytes) -> None:
    with pytest.raises(ValueError, match="a name"):
        read_line(data)


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_a_line_reads_the_same_in_pieces(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    said = b""
    for piece in pieces:
        said += piece
        try:
            line = read_line(said)
        except ValueError:
            with pytest.raises(ValueError, match="a name"):
                read_line(whole)
            return
        if line is not None:
            assert line == read_line(whole)
            assert whole[: line.length].endswith(b"\n")
            assert len(line.name) <= LONGEST_NAME
            assert line.name.isprintable() or not line.name
            return


def test_listing() -> None:
    assert listing(NAMES) == b"finger\r\nmux+plus\r\n"


def choose(
    carrier: Carrier, seconds: float = 5.0, names: frozenset[str] = NAMES
) -> tuple[socket.socket, socket.socket, queue.SimpleQueue[tuple[int, str]]]:
    """The client, what the guard keeps of its connection, and what it is told."""
    client, accepted = tcp_pair()
    kept = accepted.dup()
    told: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    carrier.do(lambda: Multiplexer(carrier.sessions, NUMBER, accepted, seconds, names, lambda *one: told.put(one)))
    return client, kept, told


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"finger\r\nrest"], id="in one piece"),
        pytest.param([b"fin", b"GER\r", b"\nrest"], id="in pieces, in any case"),
        pytest.param([b"f", b"i", b"n", b"g", b"e", b"r", b"\n", b"rest"], id="byte by byte, a bare LF"),
    ],
)
def test_a_name_goes_to_the_guard_and_the_rest_stays(carrier: Carrier, pieces: list[bytes]) -> None:
    client, kept, told = choose(carrier)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        client.send(piece)
    assert told.get(timeout=5) == (NUMBER, "finger")
    assert os.get_blocking(kept.fileno())
    client.shutdown(socket.SHUT_WR)
    assert read_all(kept) == b"rest"
    kept.sendall(b"+Go\r\n")
    assert client.recv(10) == b"+Go\r\n"
    assert len(carrier.sessions) == 0
    assert carrier.told.empty()
    client.close()
    kept.close()


@pytest.mark.parametrize(
    ("said", "names", "answer", "ending"),
    [
        pytest.param(b"nonesuch\r\n", NAMES, NOT_FOUND, Ending.REFUSED, id="unknown"),
        pytest.param(b"\r\n", NAMES, NOT_FOUND, Ending.REFUSED, id="empty"),
        pytest.param(b"HELP\r\n", NAMES, b"finger\r\nmux+plus\r\n", Ending.CLOSED, id="help"),
        pytest.param(b"help\n", frozenset[str](), b"", Ending.CLOSED, id="help where there is nothing"),
        pytest.param(
            b"help\r\nrest of a chatty client",
            frozenset(f"service-{number:06}" for number in range(100_000)),
            b"".join(b"service-%06d\r\n" % number for number in range(100_000)),
            Ending.CLOSED,
            id="more help than a socket takes at once",
        ),
    ],
)
def test_what_it_answers_itself(
    carrier: Carrier, said: bytes, names: frozenset[str], answer: bytes, ending: Ending
) -> None:
    client, kept, told = choose(carrier, names=names)
    kept.close()
    client.sendall(said)
    assert read_all(client) == answer
    client.close()
    assert carrier.ended() == Ended(NUMBER, len(said), len(answer), ending, "")
    assert told.empty()


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        pytest.param(b"a" * 5000, Ending.REFUSED, id="an endless name"),
        pytest.param(b"\x16\x03\x01\x02\x00", Ending.REFUSED, id="garbage"),
    ],
)
def test_what_is_cut_off(carrier: Carrier, said: bytes, ending: Ending) -> None:
    client, kept, told = choose(carrier)
    kept.close()
    client.sendall(said)
    assert carrier.ended().ending is ending
    assert told.empty()
    client.close()


@pytest.mark.parametrize("said", [pytest.param(b"", id="silence"), pytest.param(b"fing", id="half a name")])
def test_the_deadline(carrier: Carrier, said: bytes) -> None:
    client, kept, _ = choose(carrier, seconds=0.1)
    client.sendall(said)
    assert carrier.ended().ending is Ending.TIMEOUT
    client.close()
    kept.close()


def test_a_client_that_leaves(carrier: Carrier) -> None:
    client, kept, _ = choose(carrier)
    client.sendall(b"fing")
    client.close()
    assert carrier.ended() == Ended(NUMBER, 4, 0, Ending.CLOSED, "")
    kept.close()
    client, kept, _ = choose(carrier)
    reset(client)
    assert carrier.ended().ending is Ending.RESET
    kept.close()
