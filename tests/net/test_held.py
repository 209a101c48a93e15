from __future__ import annotations

import os
import resource
import socket

import pytest

from sentinetd.net.held import Held, Spare


def pipe_into(held: Held, number: int) -> int:
    reader, writer = os.pipe()
    held.put(number, writer)
    return reader


def hung_up(reader: int) -> bool:
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 1) == b""
    except BlockingIOError:
        return False


def test_take_hands_over_and_forgets() -> None:
    held = Held()
    reader = pipe_into(held, 7)
    taken = held.take(7)
    assert held.count == 0
    held.close_all()
    assert not hung_up(reader)
    os.close(taken)
    assert hung_up(reader)
    os.close(reader)


def test_close_hangs_up_one() -> None:
    held = Held()
    first, second = pipe_into(held, 1), pipe_into(held, 2)
    assert held.peek(1) != held.peek(2)
    held.close(1)
    assert hung_up(first)
    assert not hung_up(second)
    assert 1 not in held
    assert 2 in held
    assert held.count == 1
    held.close_all()
    assert hung_up(second)
    assert held.count == 0
    os.close(first)
    os.close(second)


def test_unknown_numbers_are_our_own_mistake() -> None:
    held = Held()
    reader = pipe_into(held, 1)
    for ask in (held.take, held.peek, held.close):
        with pytest.raises(KeyError):
            ask(2)
    with pytest.raises(KeyError):
        held.put(1, reader)
    assert held.count == 1
    held.close_all()
    os.close(reader)


def test_spare_gives_room_to_refuse_when_descriptors_are_out() -> None:
    spare = Spare()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]

    def refuse() -> bool:
        try:
            listener.accept()[0].close()
        except OSError:
            return False
        return True

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        assert not refuse()
        assert spare.shed(refuse, 2) == 2
        assert not refuse(), "the spare is kept again"
        assert spare.shed(refuse, 64) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(client.recv(1) == b"" for client in clients)
    for one in (*clients, listener, spare):
        one.close()
    spare.close()


def test_the_spare_is_kept_again_after_an_error() -> None:
    spare = Spare()
    before = set(os.listdir("/proc/self/fd"))

    def refuse() -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        spare.shed(refuse, 1)
    assert set(os.listdir("/proc/self/fd")) == before
    spare.close()
    assert len(set(os.listdir("/proc/self/fd"))) == len(before) - 1
