"""What crosses between our processes: batches, descriptors, bounds, and the end of either side."""

from __future__ import annotations

import json
import os
import socket
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.daemon.channel import DESCRIPTORS, PACKET, Channel, ChannelClosed, decode, encode
from sentinetd.daemon.messages import FROM_COURIER, TO_COURIER, FileSink, Greeting, Restored, Written
from sentinetd.daemon.newborn import channel_pair
from sentinetd.errors import MessageError
from sentinetd.model.ban import BanRun
from sentinetd.model.events import DaemonWorking, Notice

AT = 1795422817.25


class Pair:
    """The guard's end, and the courier's raw and as a channel."""

    def __init__(self) -> None:
        ours, self.raw = channel_pair()
        self.guard = Channel(ours, FROM_COURIER)
        self.courier = Channel(self.raw, TO_COURIER)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.guard.close()
    made.courier.close()


def test_messages_arrive_as_they_were(pair: Pair) -> None:
    sent = [Greeting("sentinetd", 5), DaemonWorking(AT, 3)]
    assert pair.guard.send(8, sent)
    assert pair.courier.receive() == (8, sent, [])
    assert pair.courier.receive() is None


def test_descriptors_come_with_their_packet(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open(path, "wb") as file:
        pair.guard.send(1, [FileSink(0, "daemon", 0, 0)], [file.fileno()])
    received = pair.courier.receive()
    assert received is not None
    (descriptor,) = received[2]
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"here")
    os.close(descriptor)
    assert path.read_bytes() == b"here"


def test_full_channel_says_so_and_loses_nothing(pair: Pair) -> None:
    sent = 0
    while pair.guard.send(sent, [Greeting("x" * 10_000, sent)]):
        sent += 1
    got = 0
    while (received := pair.courier.receive()) is not None:
        assert received[0] == got
        got += 1
    assert got == sent > 5
    assert pair.guard.send(0, [Greeting("x", 0)])


def test_packet_of_the_greatest_length_passes(pair: Pair) -> None:
    length = PACKET - len(encode(0, [Greeting("x" * 10_000, 0)] * 13))
    assert 0 < length < 16_384
    messages = [Greeting("x" * 10_000, 0)] * 12 + [Greeting("x" * (10_000 + length), 0)]
    assert len(encode(0, messages)) == PACKET
    assert pair.guard.send(0, messages)
    assert pair.courier.receive() == (0, messages, [])


def test_longer_packet_is_refused(pair: Pair) -> None:
    with pytest.raises(MessageError, match="is the most"):
        pair.guard.send(0, [Greeting("x" * 10_000, 0)] * 14)
    assert pair.courier.receive() is None


def test_text_of_any_kind_passes(pair: Pair) -> None:
    message = Greeting("a\0\n\x1b\udcff\ud800\U0001f980", 0)
    pair.guard.send(0, [message])
    assert pair.courier.receive() == (0, [message], [])


def test_end_of_the_other_side(pair: Pair) -> None:
    pair.guard.send(1, [Greeting("x", 0)])
    pair.guard.close()
    assert pair.courier.receive() is not None, "what it had sent is there"
    with pytest.raises(ChannelClosed):
        pair.courier.receive()
    with pytest.raises(ChannelClosed):
        pair.courier.send(1, [Written(1)])


def test_end_of_the_other_side_with_our_words_unread(pair: Pair) -> None:
    pair.guard.send(1, [Greeting("x", 0)])
    pair.courier.send(1, [Written(1)])
    pair.guard.close()
    assert pair.courier.receive() == (1, [Greeting("x", 0)], []), "what it had sent is there all the same"
    with pytest.raises(ChannelClosed):
        pair.courier.receive()


GREETING = ["Greeting", ["x", 1]]


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(json.dumps([1]).encode(), id="no list"),
        pytest.param(json.dumps(["1", []]).encode(), id="no number"),
        pytest.param(json.dumps([True, []]).encode(), id="a truth for a number"),
        pytest.param(json.dumps([1, {}]).encode(), id="no list of messages"),
        pytest.param(json.dumps([1, [GREETING, "x"]]).encode(), id="a message that is no list"),
        pytest.param(json.dumps([1, [[1, []]]]).encode(), id="a kind that is no text"),
        pytest.param(json.dumps([1, [["Written", [1]]]]).encode(), id="a kind that may not come here"),
        pytest.param(json.dumps([1, [["Path", [1]]]]).encode(), id="a kind that there is not"),
        pytest.param(json.dumps([1, [["Greeting", ["x"]]]]).encode(), id="a field too few"),
        pytest.param(json.dumps([1, [["Greeting", ["x", 1, 1]]]]).encode(), id="a field too many"),
        pytest.param(json.dumps([1, [["Greeting", [1, 1]]]]).encode(), id="a number for a text"),
        pytest.param(json.dumps([1, [["Greeting", ["x", True]]]]).encode(), id="a truth for a number in a field"),
        pytest.param(json.dumps([1, [["Greeting", ["x", 1 << 63]]]]).encode(), id="more than 63 bits"),
        pytest.param(json.dumps([1, [["Greeting", ["x" * 16_385, 1]]]]).encode(), id="a text too long"),
        pytest.param(b'[1,[["DaemonWorking",[NaN,1]]]]', id="not a number"),
        pytest.param(b'[1,[["DaemonWorking",[Infinity,1]]]]', id="an infinity that is not ours"),
        pytest.param(b'[1,[["DaemonWorking",[-Infinity,1]]]]', id="the other infinity"),
        pytest.param(b'[1,[["DaemonWorking",[1' + b"0" * 400 + b",1]]]]", id="a number beyond all floats"),
        pytest.param(b'[1,[["DaemonWorking",["1",1]]]]', id="a text for a time"),
        pytest.param(b'[1,[["Notice",[1,"LOUD","x"]]]]', id="no such level"),
        pytest.param(b'[1,[["BanLifted",[1,"192.0.2.300"]]]]', id="no address"),
        pytest.param(b'[1,[["BanLifted",[1,"192.0.2.0/33"]]]]', id="no prefix"),
    ],
)
def test_malformed_packet(packet: bytes) -> None:
    with pytest.raises(MessageError):
        decode(packet, {kind.__name__: kind for kind in TO_COURIER})


def test_malformed_packet_leaks_no_descriptor_and_the_next_one_passes(pair: Pair) -> None:
    reading, writing = os.pipe()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [writing]))]
    there = pair.guard.fileno()
    raw = socket.socket(fileno=os.dup(there))
    for packet in (b"{", encode(1, [Written(1)])):
        raw.sendmsg([packet], rights)
        with pytest.raises(MessageError):
            pair.courier.receive()
    raw.close()
    os.close(writing)
    assert os.read(reading, 1) == b"", "nobody holds the other end"
    os.close(reading)
    pair.guard.send(1, [Notice(AT, Notice.level.INFO, "x")])
    assert pair.courier.receive() is not None


def test_more_descriptors_than_there_is_room_for(pair: Pair) -> None:
    reading, writing = os.pipe()
    pair.guard.send(1, [Greeting("x", 1)], [writing] * (DESCRIPTORS + 2))
    with pytest.raises(MessageError, match="cut off"):
        pair.courier.receive()
    os.close(writing)
    assert os.read(reading, 1) == b"", "those that came are closed"
    os.close(reading)


def test_bans_cross(pair: Pair) -> None:
    sent = [Restored(BanRun(6, 128, "eth0", False, f"{'fe80':0<31}1", (float("inf"),)))]
    pair.courier.send(1, sent)
    assert pair.guard.receive() == (1, sent, [])
