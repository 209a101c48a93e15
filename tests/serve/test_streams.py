"""Echo, discard and chargen over real connections: floods, silence, slow reading, resets."""

from __future__ import annotations

import os
import select
import socket
import threading

import pytest

from rig.carrier import NUMBER, Carrier, Ended, read_all, reset, tcp_pair
from rig.deadline import wait_for
from sentinetd.model.routine import Ending, Routine
from sentinetd.serve.flow import State
from sentinetd.serve.internal import chargen
from sentinetd.serve.streams import STREAMS, Echo


def carry(
    carrier: Carrier, routine: Routine, idle: float = 0.0, position: int = 0, number: int = NUMBER
) -> socket.socket:
    client, accepted = tcp_pair()
    carrier.do(lambda: STREAMS[routine](carrier.sessions, number, accepted, idle, position))
    return client


def flood(sock: socket.socket) -> int:
    """Send until nothing more is taken for a while; how much was."""
    sock.setblocking(False)
    sent = 0
    while select.select([], [sock], [], 0.3)[1]:
        sent += sock.send(bytes(65536))
    sock.setblocking(True)
    return sent


@pytest.mark.parametrize("size", [1, 1024, 65_536, 3_000_001])
def test_echo_returns_everything_to_a_half_closed_client(carrier: Carrier, size: int) -> None:
    client = carry(carrier, Routine.ECHO)
    data = os.urandom(size)
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    assert read_all(client) == data
    sender.join()
    client.close()
    assert carrier.ended() == Ended(NUMBER, size, size, Ending.CLOSED, "")


def test_echo_answers_before_the_end(carrier: Carrier) -> None:
    with carry(carrier, Routine.ECHO) as client:
        for word in (b"one\r\n", b"two", b"\0"):
            client.sendall(word)
            assert client.recv(100) == word


def test_echo_presses_back_on_who_does_not_read(carrier: Carrier) -> None:
    client = carry(carrier, Routine.ECHO)
    sent = flood(client)
    assert 0 < sent < 64 << 20
    client.shutdown(socket.SHUT_WR)
    assert len(read_all(client)) == sent
    client.close()
    assert carrier.ended() == Ended(NUMBER, sent, sent, Ending.CLOSED, "")


def test_a_stalled_client_does_not_hold_up_another(carrier: Carrier) -> None:
    with carry(carrier, Routine.ECHO, number=1) as stalled, carry(carrier, Routine.ECHO, number=2) as lively:
        flood(stalled)
        (session,) = (one for one in carrier.sessions._table.values() if one.number == 1)
        assert isinstance(session, Echo)
        assert session._flow.state is State.WAITING  # and costs no turn of the loop
        lively.sendall(b"hello")
        assert lively.recv(100) == b"hello"


@pytest.mark.parametrize("routine", list(Routine))
def test_a_reset_ends_it(carrier: Carrier, routine: Routine) -> None:
    client = carry(carrier, routine)
    client.send(b"x")
    reset(client)
    assert carrier.ended().ending is Ending.RESET


def test_discard_takes_all_and_says_nothing(carrier: Carrier) -> None:
    client = carry(carrier, Routine.DISCARD)
    client.sendall(bytes(5_000_000))
    client.shutdown(socket.SHUT_WR)
    assert read_all(client) == b""
    client.close()
    assert carrier.ended() == Ended(NUMBER, 5_000_000, 0, Ending.CLOSED, "")


@pytest.mark.parametrize("position", [0, 14, 94])
def test_chargen_goes_round_and_round(carrier: Carrier, position: int) -> None:
    client = carry(carrier, Routine.CHARGEN, position=position)
    client.settimeout(10)
    pattern = chargen.pattern(position)
    wanted = pattern * 200
    data = b""
    while len(data) < len(wanted):
        data += client.recv(10_000)
    assert data[: len(wanted)] == wanted
    client.close()
    ended = carrier.ended()
    assert ended.bytes_in == 0
    assert ended.bytes_out >= len(wanted)


def test_chargen_waits_for_a_slow_reader(carrier: Carrier) -> None:
    client = carry(carrier, Routine.CHARGEN)
    (session,) = carrier.sessions._table.values()
    wait_for(lambda: carrier.do(session.stirred), "chargen to begin")
    wait_for(lambda: not carrier.do(session.stirred), "chargen to fill the connection")
    assert carrier.do(session.moved)[1] > 0
    client.close()


@pytest.mark.parametrize("routine", [Routine.ECHO, Routine.DISCARD])
def test_silence_ends_it_where_a_limit_is_set(carrier: Carrier, routine: Routine) -> None:
    with carry(carrier, routine, idle=0.2) as client:
        client.sendall(b"x")
        assert carrier.ended().ending is Ending.TIMEOUT
    assert len(carrier.sessions) == 0
    wait_for(lambda: not carrier.sessions._sweeping, "no more looks for idle sessions")


def test_traffic_puts_off_the_limit(carrier: Carrier) -> None:
    with carry(carrier, Routine.ECHO, idle=1.5) as client:
        (session,) = carrier.sessions._table.values()
        first = session.due
        client.sendall(b"x")
        wait_for(lambda: session.due > first, "a later end")
        assert client.recv(10) == b"x"


def test_the_guard_can_end_one(carrier: Carrier) -> None:
    with carry(carrier, Routine.ECHO, number=1) as ended, carry(carrier, Routine.ECHO, number=2) as kept:
        carrier.do(lambda: carrier.sessions.stop(1))
        carrier.do(lambda: carrier.sessions.stop(99))
        assert carrier.ended() == Ended(1, 0, 0, Ending.STOPPED, "")
        assert ended.recv(10) == b""
        kept.sendall(b"x")
        assert kept.recv(10) == b"x"


def test_the_table_is_bounded() -> None:
    carrier = Carrier(most=2)
    try:
        with carry(carrier, Routine.ECHO, number=1), carry(carrier, Routine.ECHO, number=2):
            assert carrier.sessions.full
            carrier.do(lambda: carrier.sessions.stop(1))
            assert not carrier.sessions.full
            assert not carrier.sessions.holds(1)
    finally:
        carrier.close()
