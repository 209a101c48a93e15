"""The guard's loop with real pipes, a real clock and real signals."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from sentinetd.daemon.loop import Loop, boottime


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)


def test_a_readable_descriptor_is_told_until_it_is_forgotten(loop: Loop) -> None:
    ours, theirs = os.pipe()
    told: list[bytes] = []
    loop.read(ours, lambda: told.append(os.read(ours, 10)))
    os.write(theirs, b"one")
    loop.turn(1)
    loop.read(ours, None)
    os.write(theirs, b"two")
    loop.turn(0)
    assert told == [b"one"]
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("days", [25.0, 1e9, 1e300, math.inf])
def test_a_moment_may_be_as_far_away_as_can_be(loop: Loop, days: float) -> None:
    """More than 24.8 days is more than the kernel counts."""
    ours, theirs = os.pipe()
    loop.at(boottime() + days * 86_400.0, lambda: pytest.fail("not today"))
    told: list[bytes] = []
    loop.read(ours, lambda: told.append(os.read(ours, 10)))
    os.write(theirs, b"now")
    loop.turn(None)
    assert told == [b"now"]
    os.close(ours)
    os.close(theirs)


def test_a_callback_that_forgets_another_descriptor_is_obeyed_in_the_same_turn(loop: Loop) -> None:
    first, second = os.pipe(), os.pipe()
    told: list[int] = []

    def once(mine: int, other: int) -> None:
        told.append(mine)
        loop.read(other, None)
        loop.read(mine, None)

    loop.read(first[0], lambda: once(first[0], second[0]))
    loop.read(second[0], lambda: once(second[0], first[0]))
    for _, theirs in (first, second):
        os.write(theirs, b"x")
    loop.turn(1)
    assert len(told) == 1
    for descriptor in (*first, *second):
        os.close(descriptor)


def test_moments_come_in_their_order_and_not_when_cancelled(loop: Loop) -> None:
    told: list[str] = []
    now = boottime()
    loop.at(now + 0.002, lambda: told.append("second"))
    loop.at(now + 0.001, lambda: told.append("first"))
    loop.at(now, lambda: told.append("never")).cancel()
    loop.after(0.003, loop.stop)
    loop.run()
    assert told == ["first", "second"]


def test_signals_are_told_in_the_loop_each_kind_once(loop: Loop) -> None:
    told: list[int] = []
    loop.on_signals({signal.SIGUSR1: lambda: told.append(signal.SIGUSR1), signal.SIGUSR2: loop.stop})
    for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(os.getpid(), number)
    assert told == []
    loop.run()
    assert told == [signal.SIGUSR1]


def test_a_signal_that_is_held_is_told_when_it_is_released(loop: Loop) -> None:
    told: list[int] = []
    loop.on_signals({signal.SIGUSR1: lambda: told.append(signal.SIGUSR1)})
    loop.hold(signal.SIGUSR1)
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        loop.turn(0)
        assert told == []
    finally:
        loop.release(signal.SIGUSR1)
    loop.turn(1)
    assert told == [signal.SIGUSR1]


def test_a_signal_that_is_held_can_be_passed_over(loop: Loop) -> None:
    told: list[int] = []
    loop.on_signals({signal.SIGUSR1: lambda: told.append(signal.SIGUSR1)})
    loop.hold(signal.SIGUSR1)
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        loop.pass_over(signal.SIGUSR1)
        loop.pass_over(signal.SIGUSR1)  # there is none any more
    finally:
        loop.release(signal.SIGUSR1)
    loop.turn(0)
    assert told == []
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    loop.turn(1)
    assert told == [signal.SIGUSR1]


def test_an_ignored_signal_does_not_end_us(loop: Loop) -> None:
    loop.on_signals({}, [signal.SIGUSR1])
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.turn(0)
