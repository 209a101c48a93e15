"""The guard's end of the seam: nothing that was told is forgotten before it is answered."""

from __future__ import annotations

import os
import tracemalloc
from typing import Any

import pytest

from rig.trips import flood
from sentinetd.daemon import link as module
from sentinetd.daemon.channel import Channel
from sentinetd.daemon.link import RECORDS_AT_ONCE, Link
from sentinetd.daemon.messages import TO_COURIER, FileSink, Greeting, InForce, ServiceGone, ServiceLog, SinkGone
from sentinetd.daemon.newborn import channel_pair
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import BanImposed, ConnectionRefused, DaemonWorking, EventsLost, Level, Notice
from sentinetd.model.trip_run import each_event
from sentinetd.model.verdict import Reason
from sentinetd.model.wire import LONGEST_TEXT

GREETING = Greeting("sentinetd", 1)
RECORDS = 5_000


class Courier:
    """The other end, played."""

    def __init__(self, link: Link) -> None:
        ours, theirs = channel_pair()
        self._channel = Channel(theirs, TO_COURIER)
        self.guards = Channel(ours, ())
        link.attach(self.guards, GREETING)

    def heard(self) -> list[Any]:
        """All messages that came, the greeting left out."""
        messages: list[Any] = []
        while (packet := self._channel.receive()) is not None:
            self.sequence, said, descriptors = packet
            messages += said
            for descriptor in descriptors:
                os.close(descriptor)
        return [message for message in messages if message != GREETING]

    def die(self) -> None:
        self._channel.close()
        self.guards.close()


def event(number: int) -> DaemonWorking:
    return DaemonWorking(1.0, number)


def test_told_in_order_and_forgotten_when_answered() -> None:
    link = Link(lambda: 1.0)
    courier = Courier(link)
    for number in range(300):
        link.tell(event(number))
    link.pump()
    assert courier.heard() == [event(number) for number in range(300)]
    assert link.behind == 300
    link.answered(courier.sequence)
    assert link.behind == 0
    courier.die()


def test_what_was_not_answered_goes_to_the_successor() -> None:
    link = Link(lambda: 1.0)
    first = Courier(link)
    link.tell(event(0))
    link.pump()
    first.heard()
    for number in (1, 2):
        link.tell(event(number))
    link.pump()
    link.answered(first.sequence)
    first.die()
    link.detach()
    link.tell(event(3))
    second = Courier(link)
    link.pump()
    assert second.heard() == [event(1), event(2), event(3)]
    link.answered(second.sequence)
    assert link.behind == 0
    second.die()


def test_a_successor_learns_logs_and_services_first() -> None:
    link = Link(lambda: 1.0)
    log = ServiceLog(7, 1, (), ())
    sink = FileSink(1, "common", 0, 0)
    descriptor = os.open(os.devnull, os.O_WRONLY)
    link.open_sink(sink, descriptor)
    link.service(log)
    link.tell(event(1))
    courier = Courier(link)
    link.pump()
    assert courier.heard() == [sink, log, event(1)]
    courier.die()
    link.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_service_is_remembered_until_its_last_event_is_answered() -> None:
    link = Link(lambda: 1.0)
    log = ServiceLog(7, None, (), ())
    link.service(log)
    link.forget(7)
    first = Courier(link)
    link.pump()
    assert first.heard() == [log, ServiceGone(7)]
    link.answered(first.sequence)
    first.die()
    second = Courier(link)
    link.pump()
    assert second.heard() == []
    second.die()


def test_a_log_closed_before_it_was_sent_is_not_opened() -> None:
    link = Link(lambda: 1.0)
    courier = Courier(link)
    link.tell(event(1))
    link.open_sink(FileSink(1, "x", 0, 0), os.open(os.devnull, os.O_WRONLY))
    link.close_sink(1)
    link.pump()
    assert courier.heard() == [event(1), SinkGone(1), SinkGone(1)]
    courier.die()


def test_long_texts_go_in_several_packets() -> None:
    link = Link(lambda: 1.0)
    courier = Courier(link)
    events = [Notice(1.0, Level.INFO, f"{number}" + "x" * 16_000) for number in range(20)]
    for one in events:
        link.tell(one)
    heard = []
    while link.wants_write:
        link.pump()
        heard += courier.heard()
    assert heard == events
    courier.die()


def test_beyond_the_bound_bans_are_kept_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MOST", 4)
    link = Link(lambda: 2.0)
    ban = BanImposed(1.0, Network.parse("192.0.2.1"), 9.0, "irc", Origin.SENSOR)
    for number in range(6):
        link.tell(event(number))
    link.tell(ban)
    assert link.remaining() == [*[event(number) for number in range(4)], ban]
    courier = Courier(link)
    link.pump()
    courier.heard()
    link.answered(courier.sequence)
    link.tell(event(9))
    assert link.remaining() == [EventsLost(2.0, 2), event(9)]
    courier.die()


def test_a_trip_with_its_ban_is_one_record_and_never_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MOST", 4)
    link = Link(lambda: 2.0)
    trips = flood(9)
    for one in trips:
        link.tell(one)
        link.tell(event(1))
    assert link.behind == 9 + 2
    courier = Courier(link)
    link.pump()
    wanted = [trips[0], event(1), trips[1], event(1), *trips[2:]]
    assert list(each_event(courier.heard())) == list(each_event(wanted))
    courier.die()
    link.tell(trips[0])
    assert link.remaining() == list(each_event([*wanted, trips[0]])), "packed or not"
    link.answered(courier.sequence)
    assert link.behind == 1


def test_a_full_channel_waits() -> None:
    link = Link(lambda: 1.0)
    courier = Courier(link)
    told = [Notice(1.0, Level.INFO, f"{number:0>100}") for number in range(40_000)]
    for one in told:
        link.tell(one)
    link.pump()
    assert link.wants_write
    heard = []
    while link.wants_write:
        heard += courier.heard()
        link.pump()
    heard += courier.heard()
    assert heard == told
    courier.die()


def test_each_packet_is_told_again_as_a_whole_or_not_at_all() -> None:
    link = Link(lambda: 1.0)
    log = ServiceLog(7, None, (), ())
    first = Courier(link)
    link.tell(event(1))
    link.service(log)
    link.tell(event(2))
    link.say(InForce(5))
    link.pump()
    assert first.heard() == [event(1), log, event(2), InForce(5)]
    first.die()
    second = Courier(link)
    link.pump()
    assert second.heard() == [log, event(1), event(2)]
    link.answered(second.sequence)
    assert link.behind == 0, "what no successor is told needs no answer"
    second.die()


def test_what_the_courier_could_not_read_is_told_at_the_end() -> None:
    link = Link(lambda: 1.0)
    link.tell(Notice(1.0, Level.INFO, "x" * (LONGEST_TEXT + 1)))
    Courier(link).die()
    [notice] = link.remaining()
    assert isinstance(notice, Notice)
    assert "cannot be written: str expected" in notice.text


def test_what_waits_takes_little_room() -> None:
    """A courier that hangs makes the guard larger by bytes, not by objects, which would never leave it again."""
    link = Link(lambda: 1.0)
    source = Address.parse("127.3.0.1")
    tracemalloc.start()
    try:
        for number in range(RECORDS):
            refused = ConnectionRefused(1764095632.25, 3, "nowait", source, 40_000, Reason.ADDRESS, number, "tcp", 21)
            link.tell(refused)
        size, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert link.behind == RECORDS
    assert size < 150 * RECORDS, f"{size / RECORDS:.0f} bytes a record"
    assert len(link._fresh) <= RECORDS_AT_ONCE
