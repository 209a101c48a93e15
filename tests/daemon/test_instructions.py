"""The guard's side of the courier's settings: nothing in force without its yes, every mistake at its place."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sentinetd.config.load import Loaded
from sentinetd.config.toml import Written
from sentinetd.daemon import instructions as module
from sentinetd.daemon.channel import Channel
from sentinetd.daemon.instructions import Instructions
from sentinetd.daemon.link import Link
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import TO_COURIER, Agreed, Disagreed, Greeting, Handed, InForce, Instructed
from sentinetd.daemon.newborn import channel_pair
from sentinetd.daemon.sockets import Sockets
from sentinetd.model.address import Network
from sentinetd.model.diagnostic import Diagnostic
from sentinetd.model.settings import CourierSettings, FileUse, FileWanted, Mistake, Settings

WRITTEN = Written("s.toml", ("[[alert]]", 'type = "file"', "", "[[alert]]", 'type = "file"', 'path = "/x"'))
SETTINGS = CourierSettings()


class Bench:
    """Instructions with a loop and a link, and the courier's end of it, played."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.loop = Loop()
        self.link = Link(lambda: 1.0)
        self.objections: list[str] = []
        self.answers: list[list[str]] = []
        self.notices: list[str] = []
        self.instructions = Instructions(
            self.loop,
            self.link,
            lambda settings: None,
            lambda fault: self.objections.append(str(fault)),
            lambda level, text: self.notices.append(text),
        )
        self._channels: list[Channel] = []
        self.attach()

    def attach(self) -> None:
        """A new courier."""
        ours, theirs = channel_pair()
        self._channels += [Channel(theirs, TO_COURIER), Channel(ours, ())]
        self.link.attach(self._channels[-1], Greeting("x", 1))

    def propose(self, *paths: str, use: FileUse = FileUse.APPEND) -> None:
        files = tuple(FileWanted(str(self.directory / path), use, "alert", 1, "path") for path in paths)
        loaded = Loaded((), Settings(courier=SETTINGS, files=files), (), frozenset(), WRITTEN)
        self.instructions.propose(loaded, self._answered)

    def _answered(self, faults: Sequence[Diagnostic]) -> None:
        self.answers.append([str(fault) for fault in faults])

    def heard(self) -> list[Any]:
        """What the courier was told since the last time, files by what their names are."""
        self.link.pump()
        said: list[Any] = []
        while (packet := self._channels[-2].receive()) is not None:
            said += packet[1]
            for descriptor in packet[2]:
                said.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
                os.close(descriptor)
        return [one for one in said if type(one) is not Greeting]

    def close(self) -> None:
        self.link.close()
        self.loop.close()
        for channel in self._channels:
            channel.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    gc.collect()  # what earlier tests left behind is not ours
    before = set(os.listdir("/proc/self/fd"))
    made = Bench(tmp_path)
    yield made
    made.close()
    assert set(os.listdir("/proc/self/fd")) == before, "a descriptor has no owner"


def test_settings_without_anything_for_the_courier_ask_nothing(bench: Bench) -> None:
    bench.propose()
    bench.instructions.enact()
    assert bench.answers == [[]]
    assert bench.heard() == []


def test_a_proposal_is_in_force_after_the_yes_and_told_a_successor(bench: Bench) -> None:
    bench.propose("log")
    proposed = [Handed(1, 0), "log", Instructed(1, SETTINGS)]
    assert bench.heard() == proposed
    assert bench.answers == []
    bench.instructions.heard(Agreed(1))
    assert bench.answers == [[]]
    bench.instructions.enact()
    assert bench.heard() == [InForce(1)]
    bench.attach()
    assert bench.heard() == [*proposed, InForce(1)]
    bench.propose("other")
    bench.link.replace_file(0, os.open(bench.directory / "log", os.O_RDONLY))
    assert bench.heard() == [Handed(2, 0), "other", Instructed(2, SETTINGS), Handed(1, 0), "log"]
    bench.attach()
    assert bench.heard() == [*proposed, InForce(1), Handed(2, 0), "other", Instructed(2, SETTINGS)]
    bench.instructions.heard(Agreed(2))
    bench.instructions.enact()
    bench.propose()
    assert bench.heard() == [InForce(2), Instructed(3, SETTINGS)]


def test_objections_name_their_place_and_nothing_changes(bench: Bench) -> None:
    bench.propose("log")
    bench.instructions.heard(Disagreed(1, (Mistake("alert", 1, "path", "too short", "write more"),)))
    assert bench.answers == [["s.toml:6: alert.path: too short; write more"]]
    bench.instructions.enact()
    assert InForce(1) not in bench.heard()


def test_objections_of_a_successor_are_told(bench: Bench) -> None:
    bench.propose("log")
    bench.instructions.heard(Agreed(1))
    bench.instructions.enact()
    bench.instructions.heard(Disagreed(1, (Mistake("alert", 0, "", "too short", ""),)))
    bench.instructions.heard(Disagreed(7, (Mistake("alert", 0, "", "of another", ""),)))
    assert bench.objections == ["s.toml:1: alert: too short"]
    assert bench.answers == [[]]


@pytest.mark.parametrize(
    ("path", "use", "told"),
    [
        pytest.param("no/log", FileUse.APPEND, "no/log: No such file or directory", id="no directory"),
        pytest.param("missing", FileUse.READ, "missing: No such file or directory", id="nothing to read"),
        pytest.param(".", FileUse.READ, "it is not a file", id="no file"),
        pytest.param("large", FileUse.READ, "it is larger than 1048576 bytes", id="too large"),
    ],
)
def test_a_file_that_cannot_be_had_is_a_mistake_at_its_place(bench: Bench, path: str, use: FileUse, told: str) -> None:
    (bench.directory / "large").write_bytes(bytes((1 << 20) + 1))
    bench.propose("log", path, use=use) if use is FileUse.APPEND else bench.propose(path, use=use)
    ((answer,),) = bench.answers
    assert answer.startswith("s.toml:6: alert.path: ")
    assert told in answer
    assert bench.heard() == []


def test_a_courier_that_says_nothing_is_no_yes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHIN", 0.01)
    bench.propose("log")
    while not bench.answers:
        bench.loop.turn(1.0)
    assert bench.answers == [
        ["s.toml: the courier said nothing for 0 seconds; see above what is wrong with it, and reload again"]
    ]
    bench.instructions.heard(Agreed(1))
    bench.instructions.enact()
    assert bench.heard()[-1:] != [InForce(1)]
    assert len(bench.answers) == 1


def test_what_is_abandoned_is_never_in_force(bench: Bench) -> None:
    bench.propose("log")
    bench.instructions.abandon()
    bench.instructions.heard(Agreed(1))
    bench.instructions.enact()
    assert bench.answers == []
    assert InForce(1) not in bench.heard()


@pytest.mark.parametrize(
    ("count", "why"),
    [
        pytest.param(12_000, "take ", id="bytes"),
        pytest.param(10_001, "are too much: list expected", id="elements"),
    ],
)
def test_settings_that_cannot_cross_are_a_mistake(bench: Bench, count: int, why: str) -> None:
    many = tuple(Network(4, (1 << 24) + number, 32) for number in range(count))
    loaded = Loaded((), Settings(courier=CourierSettings(unfed=many)), (), frozenset(), WRITTEN)
    answers: list[str] = []
    bench.instructions.propose(loaded, lambda faults: answers.extend(map(str, faults)))
    [answer] = answers
    assert answer.startswith("s.toml: alerts and feeds, with all that belongs to them, " + why)
    assert bench.heard() == []


def test_the_control_socket_alone_waits_for_nobody(tmp_path: Path) -> None:
    """A courier that cannot start must not keep the daemon from serving, where nobody wrote anything for it."""
    bench = Bench(tmp_path)
    sockets = Sockets(str(tmp_path / "control.sock"), bench.objections.append)
    instructions = Instructions(
        bench.loop, bench.link, lambda settings: None, lambda fault: bench.objections.append(str(fault)),
        lambda level, text: bench.notices.append(text), sockets,
    )  # fmt: skip
    try:
        instructions.propose(Loaded((), Settings(), (), frozenset(), WRITTEN), bench._answered)
        assert bench.answers == [[]]
        instructions.enact()
        kinds = [type(one) for one in bench.heard() if not isinstance(one, str)]
        assert kinds == [Handed, Instructed, InForce]
        instructions.heard(Disagreed(1, (Mistake("control", 0, "", "no", "again"),)))
        assert "no; again" in bench.objections[0]
    finally:
        sockets.close()
        bench.close()
