"""What waits for the porter goes over in few packets, in its order, each descriptor with its message."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from sentinetd.daemon.carrier import TOGETHER, Carrier
from sentinetd.daemon.channel import DESCRIPTORS, PACKET, Channel
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.messages import TO_PORTER, Carry, HangUp, Multiplexed, Play
from sentinetd.daemon.newborn import channel_pair
from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.service import Service, Type
from sentinetd.model.values import Decoy
from sentinetd.policy.inputs import Begun

ECHO = Service(name="echo", type=frozenset({Type.INTERNAL}))
TRAP = Service(name="trap", decoy=Decoy.SSH)
GREETING = b"\xff" * 4096


class Seam:
    """A carrier and, in the porter's place, the other end of its channel."""

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.loop = Loop()
        unused: Any = None
        self.carrier = Carrier(self.loop, [], self.given.append, self.given.append, unused, named=unused)
        ours, theirs = channel_pair()
        self._ours = Channel(ours, ())
        self._theirs = Channel(theirs, TO_PORTER)
        self.carrier._begun(self._ours)

    def packets(self) -> Iterator[list[tuple[Any, list[str]]]]:
        """What has come in each packet: messages, and what their descriptors lead to."""
        while (packet := self._theirs.receive()) is not None:
            _, messages, descriptors = packet
            assert len(descriptors) <= DESCRIPTORS
            taken: list[tuple[Any, list[str]]] = []
            for message in messages:
                count = 1 if isinstance(message, Carry | Play) else 0
                taken.append((message, [os.readlink(f"/proc/self/fd/{one}") for one in descriptors[:count]]))
                for one in descriptors[:count]:
                    os.close(one)
                del descriptors[:count]
            assert not descriptors
            yield taken

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()
        self.loop.close()


@pytest.fixture
def seam() -> Iterator[Seam]:
    before = len(os.listdir("/proc/self/fd"))
    made = Seam()
    try:
        yield made
    finally:
        made.close()
    assert len(os.listdir("/proc/self/fd")) == before, "descriptors are left"


def connection(number: int) -> Connection:
    return Connection(number, 1, Address.parse("192.0.2.1"), 4711)


def test_orders_go_together_each_with_its_descriptor(seam: Seam) -> None:
    count = 2 * TOGETHER + 1
    opened = [os.memfd_create(f"client-{number}") for number in range(count)]
    for number, descriptor in enumerate(opened):
        seam.carrier.carry(connection(number), ECHO, descriptor, 0)
        os.close(descriptor)
    seam.carrier.hang_up(count)
    seam.carrier.pump()
    packets = list(seam.packets())
    assert [len(packet) for packet in packets] == [TOGETHER, TOGETHER, 3]
    (greeted, none), *carried, (last, _) = [one for packet in packets for one in packet]
    assert (greeted, none, last) == (Multiplexed(()), [], HangUp(count))
    for number, (order, files) in enumerate(carried):
        assert (order.number, files) == (number, [f"/memfd:client-{number} (deleted)"])
    assert [one.number for one in seam.given] == list(range(count))
    assert all(type(one) is Begun for one in seam.given)


def test_what_does_not_fit_into_one_packet_goes_in_several(seam: Seam) -> None:
    long = b"\xff" * (PACKET // 6 // 3)  # each is six on its way, so that only three fit in
    for number in range(TOGETHER):
        seam.carrier.play(connection(number), TRAP, 0, long)
    seam.carrier.pump()
    packets = list(seam.packets())
    assert len(packets) > 2
    played = [one for packet in packets for one, _ in packet if isinstance(one, Play)]
    assert [one.number for one in played] == list(range(TOGETHER))
    assert {one.greeting for one in played} == {long.decode("latin-1")}


def test_what_finds_no_room_waits(seam: Seam) -> None:
    count = 0
    while not seam.carrier._unsent:
        seam.carrier.play(connection(count), TRAP, 0, GREETING)
        seam.carrier.pump()
        count += 1
    assert seam.carrier.wants_room
    first = [one for packet in seam.packets() for one, _ in packet]
    seam.carrier.pump()
    assert not seam.carrier.wants_room
    rest = [one for packet in seam.packets() for one, _ in packet]
    assert [one.number for one in (*first, *rest) if isinstance(one, Play)] == list(range(count))
