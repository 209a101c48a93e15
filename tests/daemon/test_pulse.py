"""Signs of life, on a real loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sentinetd.daemon.loop import Loop
from sentinetd.daemon.pulse import Pulse


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def test_it_beats_at_once_and_again_until_it_is_not_wanted(loop: Loop) -> None:
    beats: list[int] = []
    pulse = Pulse(loop, lambda: beats.append(1), 0.001)
    loop.turn(0)
    assert beats == []
    pulse.want(True)
    pulse.want(True)
    assert beats == [1]
    while len(beats) < 3:  # the test's own time-out bounds it
        loop.turn(1)
    pulse.want(False)
    seen = len(beats)
    loop.after(0.01, lambda: None)
    loop.turn(1)
    assert len(beats) == seen
