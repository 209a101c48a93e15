"""The guard's end of a real courier: for what the guard could tell it faster than a guard can."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rig.deadline import wait_for
from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.messages import (
    DAEMON_LOG,
    FROM_COURIER,
    Agreed,
    Disagreed,
    Farewell,
    FileSink,
    Greeting,
    Handed,
    InForce,
    Instructed,
    Ready,
    Written,
)
from sentinetd.daemon.newborn import channel_pair, tell
from sentinetd.model.settings import CourierSettings

WITHIN = 60.0


class Seam:
    """A courier on *state* with the daemon's log in the file *log*."""

    def __init__(self, state: Path, log: Path, *types: str) -> None:
        self.log = log
        self.heard: list[Any] = []
        self._sequence = 0
        ours, theirs = channel_pair()
        self._raw = ours
        self._channel = Channel(ours, FROM_COURIER)
        words = ["--channel", str(theirs.fileno())]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sentinetd.daemon.courier", *words], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        tell(ours, ["--state", str(state), "--alerts", ",".join(types)])
        self.until(lambda: any(type(one) is Ready for one in self.heard), "a courier")
        self.tell(Greeting("sentinetd", 5))
        self.hand(FileSink(DAEMON_LOG, "daemon", 0, 0), log)

    def instruct(self, settings: CourierSettings, *files: Path) -> None:
        """Have *settings* in force, with *files* to append to."""
        for number, path in enumerate(files):
            self.hand(Handed(1, number), path)
        self.tell(Instructed(1, settings))
        self.until(lambda: any(type(one) in (Agreed, Disagreed) for one in self.heard), "an answer")
        assert Agreed(1) in self.heard, self.heard
        self.tell(InForce(1))

    def hand(self, message: Any, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.tell(message, descriptors=[descriptor])
        os.close(descriptor)

    def tell(self, *messages: Any, descriptors: Sequence[int] = ()) -> None:
        """Send *messages* in one packet, waiting for room."""
        self._sequence += len(messages)
        while not self._channel.send(self._sequence, messages, descriptors):
            select.select([self._raw], [self._raw], [], 1.0)
            self.listen()

    def listen(self) -> bool:
        """Hear what has come; False at the end."""
        try:
            while (packet := self._channel.receive()) is not None:
                self.heard += packet[1]
        except ChannelClosed:
            return False
        return True

    @property
    def behind(self) -> int:
        """Messages that the courier has not answered."""
        self.listen()
        answered = max((one.sequence for one in self.heard if type(one) is Written), default=0)
        self.heard = [one for one in self.heard if type(one) is not Written or one.sequence == answered]
        return self._sequence - answered

    def until(self, condition: Any, what: str) -> None:
        wait_for(lambda: self.listen() and condition(), f"{what}, heard {self.heard[-5:]}", WITHIN)

    def end(self) -> None:
        """Say farewell, and see the courier go."""
        self.tell(Farewell())
        assert self.process.wait(WITHIN) == 0

    def close(self) -> None:
        self._channel.close()
        self.process.kill()
        self.process.wait()
