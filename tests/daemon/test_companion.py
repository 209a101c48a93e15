"""A process beside the guard: what is made of its end, in whichever order the guard hears of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.deadline import wait_for
from rig.shortage import no_descriptor
from sentinetd.daemon.channel import Channel
from sentinetd.daemon.companion import Companion
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import FROM_HERALD


class Owner:
    """Has a companion that runs the herald, and hears of it."""

    def __init__(self, *arguments: str) -> None:
        self.loop = Loop()
        self.begun: list[Channel] = []
        self.died: list[str] = []
        self.companion = Companion(
            self.loop,
            "sentinetd.daemon.herald",
            arguments,
            FROM_HERALD,
            begun=self.begun.append,
            said=lambda message: None,
            died=lambda why, pause: self.died.append(why),
            garbled=lambda why: None,
        )
        self.companion.start(self.loop.now())

    def reap(self) -> None:
        """Wait for its end, and tell the companion before the loop can."""
        _, status = os.waitpid(self.companion.pid, 0)
        self.companion.reaped(f"exit status {os.waitstatus_to_exitcode(status)}")

    def await_(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until *condition* holds."""

        def turned() -> bool:
            self.loop.turn(0.05)
            return condition()

        wait_for(turned, lambda: str(self.died), 20.0)

    def close(self) -> None:
        self.companion.leave()
        if self.companion.pid:
            self.companion.renew([])  # by the end of the channel
            self.reap()
        self.loop.close()


@pytest.fixture
def owners() -> Iterator[list[Owner]]:
    made: list[Owner] = []
    yield made
    for one in made:
        one.close()


def test_an_end_that_is_reaped_before_the_channel_is_read(owners: list[Owner]) -> None:
    """Its number may be another process's by then: nobody is killed."""
    owners.append(owner := Owner("--no-such-option"))
    owner.reap()
    assert owner.died == ["exit status 2"]
    assert owner.companion.pid == 0


def test_it_is_started_anew_with_other_arguments(owners: list[Owner]) -> None:
    owners.append(owner := Owner())
    before = owner.companion.pid
    owner.companion.renew(["--no-such-option"])
    owner.reap()  # of its own accord, since the channel ended
    assert owner.died == []
    assert len(owner.begun) == 2
    assert owner.companion.pid not in (0, before)
    owner.reap()
    assert owner.died == ["exit status 2"]


def test_one_that_dies_while_no_descriptor_is_to_be_had_is_tried_again(owners: list[Owner]) -> None:
    owners.append(owner := Owner())
    os.kill(owner.companion.pid, signal.SIGKILL)
    owner.reap()
    with no_descriptor():
        owner.await_(lambda: len(owner.died) > 1)
    assert owner.died[1] == "sentinetd.daemon.herald: no channel to it: Too many open files"
    owner.await_(lambda: owner.companion.pid > 0)


def test_no_signal_is_kept_from_it(owners: list[Owner]) -> None:
    """Though the guard lets those of its servers' ends wait at the moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        owners.append(owner := Owner())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    status = Path(f"/proc/{owner.companion.pid}/status").read_text()
    (blocked,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:")]
    assert int(blocked, 16) & 1 << signal.SIGCHLD - 1 == 0
