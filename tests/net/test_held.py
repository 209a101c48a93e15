from __future__ import annotations

import os

import pytest

from sentinetd.net.held import Held


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


def test_what_is_lent_is_not_ours() -> None:
    held = Held()
    reader = pipe_into(held, 1)
    held.lend(1)
    assert hung_up(reader)
    assert 1 in held
    with pytest.raises(KeyError):
        held.peek(1)
    with pytest.raises(KeyError):
        held.find(1)
    held.close(1)
    assert 1 not in held
    pipe_into(held, 2)
    held.lend(2)
    held.close_all()
    assert held.count == 0
    os.close(reader)


def test_what_is_released_is_closed_unless_it_is_lent() -> None:
    held = Held()
    first, second = pipe_into(held, 1), pipe_into(held, 2)
    held.lend(2)
    held.release(1)
    held.release(2)
    assert held.count == 0
    for one in (first, second):
        assert hung_up(one)
        os.close(one)


def test_what_comes_back_is_held_again() -> None:
    held = Held()
    os.close(pipe_into(held, 1))
    held.lend(1)
    reader, writer = os.pipe()
    held.give_back(1, writer)
    assert held.peek(1) == writer
    held.close(1)
    assert hung_up(reader)
    os.close(reader)


@pytest.mark.parametrize("held_too", [False, True], ids=["nobody waits for it", "there is another"])
def test_what_comes_back_too_late_is_closed(held_too: bool) -> None:
    held = Held()
    others = [pipe_into(held, 1)] if held_too else []
    reader, writer = os.pipe()
    held.give_back(1, writer)
    assert hung_up(reader)
    assert not any(map(hung_up, others))
    held.close_all()
    for one in (reader, *others):
        os.close(one)


def test_unknown_numbers_are_our_own_mistake() -> None:
    held = Held()
    reader = pipe_into(held, 1)
    for ask in (held.take, held.peek, held.close):
        with pytest.raises(KeyError):
            ask(2)
    assert held.find(2) is None
    held.lend(2)
    held.release(2)
    assert 2 not in held
    with pytest.raises(KeyError):
        held.put(1, reader)
    assert held.count == 1
    held.close_all()
    os.close(reader)
