"""What a program is told, line by line, and what happens when it does not listen."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from sentinetd.errors import EdgeError
from sentinetd.firewall import command
from sentinetd.firewall.command import Command
from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.guarded import GuardedPort
from sentinetd.model.settings import AtStop, FirewallSettings, Refusing

NOW = 1000.0


class Program:
    """The far end: *fault* as the guard may know it."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=os.dup(descriptor))
        self.socket.setblocking(False)
        self.fault = ""
        self.killed = False
        self._rest = b""

    def kill(self) -> None:
        self.killed = True

    def heard(self) -> list[dict[str, Any]]:
        data = self._rest
        with suppress(BlockingIOError):
            while part := self.socket.recv(1 << 16):
                data += part
        *lines, self._rest = data.split(b"\n")
        return [json.loads(line) for line in lines]


class Stage:
    def __init__(self, settings: FirewallSettings) -> None:
        self.programs: list[Program] = []
        self.keeper = Command(settings, self.start, lambda: NOW)

    def start(self, descriptor: int) -> Program:
        self.programs.append(Program(descriptor))
        return self.programs[-1]

    def told(self) -> list[dict[str, Any]]:
        self.keeper.flush()
        return self.programs[-1].heard()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(FirewallSettings(command=("/sbin/feed",), verdict=Refusing.REJECT, at_stop=AtStop.KEEP))
    yield made
    made.keeper.close()
    for program in made.programs:
        program.socket.close()


def net(text: str) -> Network:
    return Network.parse(text)


def test_the_whole_truth_comes_first(stage: Stage) -> None:
    stage.keeper.open()
    stage.keeper.exempt(AddressSet((net("192.0.2.0/24"), net("fe80::1%eth0"))))
    ports = [
        GuardedPort(17, 6, Address.parse("2001:db8::1"), 13),
        GuardedPort(6, 4, None, 80),
        GuardedPort(132, 4, None, 7),
    ]
    stage.keeper.guard(ports)
    list(
        stage.keeper.replace(
            [(net("198.51.100.1"), NOW + 1.5), (net("fe80::2%eth0"), math.inf), (net("::/0"), math.inf)]
        )
    )
    assert stage.told() == [
        {"do": "hello", "version": 1, "verdict": "reject", "ports": "all", "forwarded": False},
        {"do": "exempt", "networks": ["192.0.2.0/24"]},
        {
            "do": "ports",
            "ports": [
                {"protocol": "tcp", "version": 4, "address": None, "port": 80},
                {"protocol": "udp", "version": 6, "address": "2001:db8::1", "port": 13},
            ],
        },
        {"do": "replace"},
        {"do": "ban", "network": "198.51.100.1/32", "seconds": 1.5},
        {"do": "ban", "network": "::/0", "seconds": None},
        {"do": "done"},
    ]


def test_what_changes(stage: Stage) -> None:
    stage.keeper.open()
    stage.told()
    stage.keeper.apply(
        {net("192.0.2.1"): NOW + 60, net("192.0.2.2"): NOW - 1}, [net("192.0.2.3")], [net("2001:db8::/64")]
    )
    assert stage.told() == [
        {"do": "lift", "network": "192.0.2.3/32"},
        {"do": "end", "network": "2001:db8::/64"},
        {"do": "ban", "network": "192.0.2.1/32", "seconds": 60.0},
    ]
    stage.keeper.close()
    assert stage.programs[0].heard() == [{"do": "stop", "keep": True}]


def test_it_is_not_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole truth pauses while the program is behind, and goes on where it was."""
    stage.keeper.open()
    bans = [(Network(4, number, 32), math.inf) for number in range(20_000)]
    steps = stage.keeper.replace(bans)
    next(steps)
    assert stage.keeper.wants_write
    heard = stage.told()
    for _ in steps:
        heard += stage.told()
    while stage.keeper.wants_write:
        heard += stage.told()
    heard += stage.told()
    assert [one["do"] for one in heard] == ["hello", "replace", *["ban"] * 20_000, "done"]
    monkeypatch.setattr(command, "MOST", 1 << 19)
    with pytest.raises(EdgeError, match=r"/sbin/feed does not read: 5[0-9]{5} bytes wait"):
        stage.keeper.apply(dict(bans), (), ())


def test_its_last_words_are_told(stage: Stage) -> None:
    stage.keeper.open()
    program = stage.programs[0]
    program.socket.send(b"x" * 1000 + b" no such\n  set\n")
    assert stage.keeper.trouble() == ""
    program.fault = "exit status 2"
    program.socket.close()
    told = stage.keeper.trouble()
    assert told.startswith("/sbin/feed has ended: exit status 2: xxx")
    assert told.endswith("xxx no such set")
    assert len(told) < 500
    with pytest.raises(EdgeError, match="/sbin/feed has ended"):
        stage.keeper.flush()


def test_it_is_begun_again_from_nothing(stage: Stage) -> None:
    stage.keeper.open()
    stage.keeper.apply({net("192.0.2.1"): math.inf}, (), ())
    stage.keeper.open()
    assert stage.programs[0].killed
    assert [one["do"] for one in stage.told()] == ["hello"]


def test_one_that_cannot_be_ordered_leaves_nothing_open() -> None:
    def refuse(descriptor: int) -> Program:
        raise EdgeError("there is no spawner")

    keeper = Command(FirewallSettings(command=("/sbin/feed",)), refuse, lambda: NOW)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(EdgeError, match="no spawner"):
        keeper.open()
    assert os.listdir("/proc/self/fd") == before
    assert keeper.fileno() == -1
    assert keeper.trouble() == ""
