"""Exempt host names: asked for, answered, asked again; told once when it fails."""

from __future__ import annotations

import time

import pytest

from sentinetd.daemon import hostnames as module
from sentinetd.daemon.hostnames import HostNames
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import AddressesAre, AskedAddresses
from sentinetd.errors import EdgeError
from sentinetd.model.address import Address
from sentinetd.model.events import Level
from sentinetd.policy.inputs import Found, Input

A = Address.parse("192.0.2.1")


class Bench:
    def __init__(self) -> None:
        self.loop = Loop()
        self.asked: list[str] = []
        self.inputs: list[Input] = []
        self.told: list[tuple[Level, str]] = []
        self.broken = False
        self.names = HostNames(self.loop, self._ask, self.inputs.append, self._notice)

    def _notice(self, level: Level, text: str) -> None:
        self.told.append((level, text))

    def _ask(self, message: AskedAddresses) -> None:
        if self.broken:
            raise EdgeError("no processes left")
        self.asked.append(message.name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_each_name_is_asked_for_and_its_answer_is_an_input(bench: Bench) -> None:
    bench.names.want(["b.example", "a.example"])
    assert (bench.asked, bench.names.settled) == (["a.example", "b.example"], False)
    bench.names.answered(AddressesAre("a.example", (A,)))
    assert not bench.names.settled
    bench.names.answered(AddressesAre("b.example", ()))
    assert bench.names.settled
    assert bench.inputs == [Found("a.example", (A,)), Found("b.example", ())]
    assert bench.told == [(Level.WARNING, "exempt host b.example: it has no address; whoever is there may get banned")]


def test_what_cannot_be_found_out_keeps_what_was_known_and_is_told_once(bench: Bench) -> None:
    bench.names.want(["a.example"])
    for _ in range(3):
        bench.names.answered(AddressesAre("a.example", None))
    assert bench.inputs == []
    assert len(bench.told) == 1
    bench.names.answered(AddressesAre("a.example", (A,)))
    assert bench.told[1:] == [(Level.NOTICE, "exempt host a.example: looked up again")]


def test_answers_for_what_nobody_wants_are_dropped(bench: Bench) -> None:
    bench.names.want(["a.example"])
    bench.names.want([])
    bench.names.answered(AddressesAre("a.example", (A,)))
    assert bench.inputs == []
    assert bench.names.settled


def test_without_a_porter_nothing_is_waited_for(bench: Bench) -> None:
    bench.broken = True
    bench.names.want(["a.example"])
    assert bench.names.settled
    assert "no processes left" in bench.told[0][1]


def test_they_are_asked_for_again_and_again_but_once_each_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    bench.names.want(["a.example"])
    bench.names.want(["b.example"])
    end = time.monotonic() + 20
    while len(bench.asked) < 5:
        bench.loop.turn(0.1)
        assert time.monotonic() < end
    assert bench.asked[:5] == ["a.example"] + ["b.example"] * 4, "of what is no longer wanted, no more"
    bench.loop.close()
