"""The contract of every keeper of bans (`ports.BanFollower`): one suite over all of them."""

from __future__ import annotations

import asyncio
import ctypes
import json
import math
import os
import secrets
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol, TypeVar

import pytest

from rig.network import Namespace
from sentinetd.daemon.enforcement import ListenerFilter
from sentinetd.daemon.launcher import Aside
from sentinetd.firewall import tables as tb
from sentinetd.firewall.command import Command
from sentinetd.firewall.elements import times_in
from sentinetd.firewall.nftables import Nftables
from sentinetd.firewall.own_table import OwnTable
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban
from sentinetd.model.settings import FirewallSettings
from sentinetd.net.filter import FOR_EVER, VALUE, SourceFilter
from sentinetd.policy.ledger import Ledger
from sentinetd.ports import BanFollower, Enforcer
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Store

NOW = 1_700_000_000.0
T = TypeVar("T")


class Subject(Protocol):
    """A follower, and a look at what it keeps."""

    follower: BanFollower

    def kept(self) -> dict[Network, float]:
        """The networks in force with their ends, as a fresh process would find them."""

    def close(self) -> None:
        """Let go of everything."""


async def at_once(call: Callable[[], T]) -> T:
    return call()


class StoreSubject:
    def __init__(self, directory: Path) -> None:
        def run(call: Callable[[], T]) -> Awaitable[T]:
            return at_once(call)

        self._store = Store(str(directory))
        self._keeper = Keeper(self._store, run, lambda: NOW, time.monotonic)
        self.follower: BanFollower = self._keeper
        asyncio.run(self._opened())

    async def _opened(self) -> None:
        async for _ in self._keeper.restore():
            raise AssertionError("a new store holds no bans")

    def kept(self) -> dict[Network, float]:
        return {ban.network: ban.until for chunk in self._store.load(NOW) for ban in chunk}

    def close(self) -> None:
        self._store.close()


class Behind:
    """A keeper of the guard's as a follower: behind the ledger, which it is told of by the guard; and on its clock."""

    def __init__(self, keeper: Enforcer) -> None:
        self._keeper = keeper
        self._ledger = Ledger(1000)

    async def replace(self, bans: Collection[Ban]) -> None:
        self._ledger.clear()
        for ban in bans:
            self._ledger.impose(ban.network, ban.until)
        for _ in self._keeper.replace(self._ledger.bans()):
            pass

    async def apply(self, imposed: Collection[Ban], lifted: Collection[Network]) -> None:
        changed = {ban.network: ban.until for ban in imposed if self._ledger.impose(ban.network, ban.until)}
        gone = [network for network in lifted if self._ledger.lift(network)]
        self._keeper.apply(changed, gone, ())


class NftablesSubject:
    """The table in a network namespace of its own; the kernel tells the spans that elements were given."""

    updates = True

    def __init__(self, directory: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("a network namespace of one's own takes root")
        self._namespace = Namespace(f"fc{secrets.token_hex(4)}")
        with self._namespace.entered():
            self._table = OwnTable("sentinetd")
            keeper = Nftables(self._table, FirewallSettings(), 1000, lambda: NOW)
            keeper.open()
        if not self.updates:
            keeper._updates = False  # as on a kernel before 6.12
        list(keeper.replace(()))
        self.follower: BanFollower = Behind(keeper)

    def kept(self) -> dict[Network, float]:
        found = {}
        for name in self._table.sets():
            version, length = int(name[3]), int(name.split("_")[1])
            for answer in self._table.elements(name):
                for key, span in zip(tb.keys_in(answer), times_in(answer), strict=True):
                    network = Network(version, int.from_bytes(key, "big"), length)
                    found[network] = NOW + span if span else math.inf
        return found

    def close(self) -> None:
        self._table.close()
        self._namespace.close()


class OlderNftablesSubject(NftablesSubject):
    updates = False


class FilterSubject:
    """The filter of listeners; its maps are read back."""

    def __init__(self, directory: Path) -> None:
        if (reason := SourceFilter.available()) is not None:
            pytest.skip(reason)
        self._filter = SourceFilter(1024)
        sieve = SimpleNamespace(filter=self._filter)
        self.follower: BanFollower = Behind(ListenerFilter(sieve))  # type: ignore[arg-type]

    def kept(self) -> dict[Network, float]:
        return {network: until for version in (4, 6) for network, until in self._read(version)}

    def _read(self, version: int) -> Iterator[tuple[Network, float]]:
        """bpf(2), BPF_MAP_GET_NEXT_KEY and BPF_MAP_LOOKUP_ELEM."""
        table, size = self._filter._bans[version], 8 if version == 4 else 20
        call = self._filter._kernel._call
        key, after, value = (ctypes.create_string_buffer(count) for count in (size, size, VALUE.size))
        at = 0
        with suppress(OSError):  # ENOENT behind the last
            while True:
                call(4, struct.pack("=IxxxxQQ", table, at, ctypes.addressof(after)))
                ctypes.memmove(key, after, size)
                at = ctypes.addressof(key)
                call(1, struct.pack("=IxxxxQQQ", table, at, ctypes.addressof(value), 0))
                end, length, _ = VALUE.unpack(value.raw)
                until = math.inf if end == FOR_EVER else end / 1e9
                yield Network(version, int.from_bytes(key.raw[4:], "big"), length), until

    def close(self) -> None:
        self._filter.close()


class CommandSubject:
    """A program that writes down what it was told; what that means is worked out here."""

    def __init__(self, directory: Path) -> None:
        self._heard = b""
        self._far: socket.socket | None = None
        self._keeper = Command(FirewallSettings(command=("/bin/true",)), self._started, lambda: NOW)
        self._keeper.open()
        self.follower: BanFollower = Behind(self._keeper)

    def _started(self, descriptor: int) -> Aside:
        self._far = socket.socket(fileno=os.dup(descriptor))
        self._far.setblocking(False)
        return Aside(0)

    def kept(self) -> dict[Network, float]:
        assert self._far is not None
        self._keeper.flush()
        with suppress(BlockingIOError):
            while part := self._far.recv(1 << 16):
                self._heard += part
        found: dict[Network, float] = {}
        for line in self._heard.splitlines():
            told = json.loads(line)
            if told["do"] == "replace":
                found.clear()
            elif told["do"] == "ban":
                found[Network.parse(told["network"])] = math.inf if told["seconds"] is None else NOW + told["seconds"]
            elif told["do"] in ("lift", "end"):
                found.pop(Network.parse(told["network"]), None)
        return found

    def close(self) -> None:
        self._keeper.close()
        if self._far is not None:
            self._far.close()


SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    "store": StoreSubject,
    "nftables": NftablesSubject,
    "nftables of older kernels": OlderNftablesSubject,
    "source filter": FilterSubject,
    "command": CommandSubject,
}
AT_ACCEPT_ONLY = frozenset(SUBJECTS) - {"store"}
"""Keepers that leave out what is tied to an interface: the guard refuses that at accept."""


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    made = SUBJECTS[request.param](tmp_path)
    yield made
    made.close()


A, B, C, D = (Network.parse(text) for text in ("192.0.2.1", "2001:db8::/64", "198.51.100.0/24", "fe80::1%eth0"))


def ban(network: Network, span: float, at: float = NOW) -> Ban:
    return Ban(network, at, at + span, "irc")


Step = tuple[str, list[Ban], list[Network]]


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        pytest.param([], {}, id="nothing told, nothing kept"),
        pytest.param([("apply", [ban(A, 60), ban(B, 90)], [])], {A: NOW + 60, B: NOW + 90}, id="imposed"),
        pytest.param([("apply", [ban(A, math.inf)], [])], {A: math.inf}, id="for ever"),
        pytest.param([("apply", [ban(D, 60)], [])], {D: NOW + 60}, id="tied to an interface"),
        pytest.param([("apply", [ban(A, 60)], []), ("apply", [], [A])], {}, id="lifted"),
        pytest.param([("apply", [], [A])], {}, id="lifting what is not banned"),
        pytest.param(
            [("apply", [ban(A, 60)], []), ("apply", [ban(A, 90)], [])], {A: NOW + 90}, id="a later end replaces"
        ),
        pytest.param(
            [("apply", [ban(A, 90)], []), ("apply", [ban(A, 60)], [])], {A: NOW + 90}, id="an earlier end does not"
        ),
        pytest.param([("apply", [ban(A, 60)], [])] * 2, {A: NOW + 60}, id="apply repeated"),
        pytest.param([("apply", [ban(A, 60)], []), ("apply", [], [A])] * 2, {}, id="apply and lift repeated"),
        pytest.param(
            [("apply", [ban(A, 60), ban(B, 60)], []), ("replace", [ban(B, 60), ban(C, 60)], [])],
            {B: NOW + 60, C: NOW + 60},
            id="replace: exactly these",
        ),
        pytest.param(
            [("apply", [ban(A, 90)], []), ("replace", [ban(A, 60)], [])], {A: NOW + 60}, id="replace: with their ends"
        ),
        pytest.param([("apply", [ban(A, 60)], []), ("replace", [], [])], {}, id="replace by nothing"),
        pytest.param([("replace", [ban(A, 60)], [])] * 2, {A: NOW + 60}, id="replace repeated"),
    ],
)
def test_follower(
    subject: Subject, steps: list[Step], kept: dict[Network, float], request: pytest.FixtureRequest
) -> None:
    async def told() -> None:
        for call, bans, lifted in steps:
            if call == "apply":
                await subject.follower.apply(bans, lifted)
            else:
                await subject.follower.replace(bans)

    asyncio.run(told())
    if request.node.callspec.params["subject"] in AT_ACCEPT_ONLY:
        kept = {network: until for network, until in kept.items() if not network.scope}
    assert subject.kept() == kept
