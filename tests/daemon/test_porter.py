"""The porter as a process: a channel, real resolver files, a real (tiny, sometimes silent) DNS server."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from rig.deadline import wait_for
from rig.resolver import AAAA, BROKEN, PTR, SILENT, A, Resolver, reverse
from sentinetd.daemon.channel import Channel, channel_pair
from sentinetd.daemon.messages import FROM_PORTER, Answer, Asked, Carry, Complaint
from sentinetd.model.routine import Routine
from sentinetd.model.verdict import Question

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: run as root")

RECORDS = {
    (reverse("192.0.2.1"), PTR): ["good.example.test"],
    ("good.example.test", A): ["192.0.2.9", "192.0.2.1"],
    (reverse("2001:db8::1"), PTR): ["six.example.test"],
    ("six.example.test", AAAA): ["2001:db8::1"],
    (reverse("192.0.2.2"), PTR): ["liar.example.test"],
    ("liar.example.test", A): ["192.0.2.3"],
    (reverse("192.0.2.4"), PTR): ["192.0.2.4"],
    (reverse("192.0.2.5"), PTR): BROKEN,
    (reverse("192.0.2.6"), PTR): ["halfway.example.test"],
    ("halfway.example.test", A): BROKEN,
    (reverse("192.0.2.7"), PTR): SILENT,
    (reverse("192.0.2.8"), PTR): ["sp ace.example.test"],
    ("sp ace.example.test", A): ["192.0.2.8"],
}
HOSTS = "127.0.0.1 localhost\n192.0.2.20 local.example.test local\n"


class Guard:
    """The other end of the porter's channel."""

    def __init__(self, resolver: Resolver, *options: str) -> None:
        ours, theirs = channel_pair()
        words = [sys.executable, "-P", "-m", "sentinetd.daemon.porter", "--channel", str(theirs.fileno()), *options]
        self.process = subprocess.Popen(
            resolver.namespace.command(*words), pass_fds=[theirs.fileno()], stderr=subprocess.PIPE
        )
        theirs.close()
        self.channel = Channel(ours, FROM_PORTER)
        self.heard: list[object] = []

    def ask(self, number: int, source: str, seconds: float = 5.0) -> None:
        assert self.channel.send(0, [Asked(number, Question.NAME, source, seconds)])

    def hear(self, count: int, within: float = 10.0) -> list[object]:
        """The next *count* messages."""
        end = time.monotonic() + within
        while len(self.heard) < count:
            ready, _, _ = select.select([self.channel], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"only {self.heard}"
            packet = self.channel.receive()
            assert packet is not None
            self.heard += packet[1]
        heard, self.heard = self.heard[:count], self.heard[count:]
        return heard

    def name_of(self, source: str, seconds: float = 5.0) -> str | None:
        self.ask(7, source, seconds)
        (answer,) = self.hear(1)
        assert isinstance(answer, Answer)
        assert (answer.number, answer.question) == (7, Question.NAME)
        return answer.value

    def close(self) -> None:
        self.channel.close()
        _, trouble = self.process.communicate(timeout=10)
        assert (self.process.returncode, trouble) == (0, b"")


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver(RECORDS, HOSTS)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def guard(resolver: Resolver) -> Iterator[Guard]:
    made = Guard(resolver)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        pytest.param("192.0.2.20", "local.example.test", id="from the hosts file"),
        pytest.param("::ffff:192.0.2.20", "local.example.test", id="a mapped address is the IPv4 one"),
        pytest.param("192.0.2.1", "good.example.test", id="one of the name's addresses confirms it"),
        pytest.param("2001:db8::1", "six.example.test", id="IPv6"),
        pytest.param("192.0.2.2", "", id="a name that leads elsewhere is none"),
        pytest.param("192.0.2.4", "", id="an address as name is none, though it leads back"),
        pytest.param("192.0.2.8", "", id="a name with a blank is none"),
        pytest.param("192.0.2.99", "", id="no name"),
        pytest.param("192.0.2.5", None, id="the reverse look-up fails for now"),
        pytest.param("192.0.2.6", None, id="the confirmation fails for now"),
    ],
)
def test_name(guard: Guard, source: str, name: str | None) -> None:
    assert guard.name_of(source) == name


@pytest.mark.parametrize("source", ["192.0.2.1", "192.0.2.99"])
def test_an_answer_is_remembered(guard: Guard, resolver: Resolver, source: str) -> None:
    first = guard.name_of(source)
    assert guard.name_of(source) == first
    assert resolver.asked[reverse(source), PTR] == 1


def test_a_failure_is_not_remembered(guard: Guard, resolver: Resolver) -> None:
    assert guard.name_of("192.0.2.5") is None
    resolver.records[reverse("192.0.2.5"), PTR] = ["late.example.test"]
    resolver.records["late.example.test", A] = ["192.0.2.5"]
    assert guard.name_of("192.0.2.5") == "late.example.test"


def test_the_deadline_holds_though_the_server_is_silent(guard: Guard) -> None:
    begun = time.monotonic()
    assert guard.name_of("192.0.2.7", seconds=0.3) is None
    assert time.monotonic() - begun < 1.5


def test_askers_share_one_look_up(guard: Guard, resolver: Resolver) -> None:
    for number in range(20):
        guard.ask(number, "192.0.2.7", 0.3)
    assert {answer.number for answer in guard.hear(20) if isinstance(answer, Answer)} == set(range(20))
    assert resolver.asked[reverse("192.0.2.7"), PTR] == 1


def test_a_hanging_resolver_costs_a_bounded_number_of_threads(guard: Guard, resolver: Resolver) -> None:
    for host in range(200):
        resolver.records[reverse(f"198.51.100.{host}"), PTR] = SILENT
        guard.ask(host, f"198.51.100.{host}", 0.5)
    answers = guard.hear(200)
    assert all(isinstance(answer, Answer) and answer.value is None for answer in answers)
    (child,) = resolver.namespace.processes()
    assert len(os.listdir(f"/proc/{child}/task")) <= 33
    # What nobody waits for any more takes no thread: a good question gets one as soon as the first ones give up.
    assert guard.name_of("192.0.2.20", seconds=9.0) == "local.example.test"


def test_more_questions_than_may_wait_are_answered_at_once(guard: Guard, resolver: Resolver) -> None:
    resolver.records[reverse("192.0.2.7"), PTR] = SILENT
    questions = [Asked(number, Question.NAME, "192.0.2.7", 2.0) for number in range(1025)]
    assert guard.channel.send(0, questions[:512])
    assert guard.channel.send(0, questions[512:])
    assert guard.hear(1, within=1.5) == [Answer(1024, Question.NAME, None)]
    assert len(guard.hear(1024)) == 1024


def test_bad_messages_are_complained_of_and_dropped(guard: Guard) -> None:
    guard.ask(3, "no address")
    guard.channel._sock.send(b"garbage")
    with open(os.devnull) as unwanted:
        assert guard.channel.send(0, [Asked(4, Question.NAME, "192.0.2.20", 5.0)], [unwanted.fileno()])
    assert guard.channel.send(0, [Carry(5, Routine.ECHO, 0, 0.0)])
    guard.ask(6, "192.0.2.20")
    heard = guard.hear(5)
    assert [message.what.split()[0] for message in heard if isinstance(message, Complaint)].count("packet") == 2
    assert sum(isinstance(message, Complaint) for message in heard) == 4
    assert Answer(6, Question.NAME, "local.example.test") in heard


def test_it_ends_with_the_channel_even_while_a_look_up_hangs(resolver: Resolver) -> None:
    guard = Guard(resolver)
    guard.ask(1, "192.0.2.7", 30.0)
    wait_for(lambda: resolver.asked[reverse("192.0.2.7"), PTR], "the look-up begun")
    begun = time.monotonic()
    guard.close()
    assert time.monotonic() - begun < 3.0


def test_it_runs_as_the_user_it_is_told(resolver: Resolver) -> None:
    guard = Guard(resolver, "--user", "nobody")
    assert guard.name_of("192.0.2.20") == "local.example.test"
    (child,) = resolver.namespace.processes()
    with open(f"/proc/{child}/status") as status:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    assert fields["Uid"].split() == ["65534"] * 4
    assert fields["Gid"].split() == ["65534"] * 4
    assert fields["Groups"].split() in ([], ["65534"])
    assert int(fields["CapEff"], 16) == 0
    guard.close()
