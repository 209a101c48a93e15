"""The porter as a process: a channel, real resolver files, a real (tiny, sometimes silent) DNS server."""

from __future__ import annotations

import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rig.carrier import read_all, reset, tcp_pair
from rig.deadline import wait_for
from rig.resolver import AAAA, BROKEN, PTR, SILENT, A, Resolver, reverse
from sentinetd.daemon.channel import Channel
from sentinetd.daemon.messages import (
    FROM_PORTER,
    Admit,
    Answer,
    Asked,
    AskedHeader,
    AskedTables,
    AskedUser,
    Attend,
    Carried,
    Carry,
    Choose,
    Chosen,
    Complaint,
    HangUp,
    HeaderSays,
    Join,
    Leave,
    Met,
    Multiplexed,
    Play,
    Played,
    Relay,
    Say,
    Shun,
    TablesSay,
    User,
)
from sentinetd.daemon.newborn import channel_pair, tell
from sentinetd.model.address import Address
from sentinetd.model.connection import Announced
from sentinetd.model.routine import Ending, Routine
from sentinetd.model.values import Decoy
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
    ("target.example.test", A): ["127.0.0.1"],
}
HOSTS = "127.0.0.1 localhost\n192.0.2.20 local.example.test local\n"


class Guard:
    """The other end of the porter's channel."""

    def __init__(self, resolver: Resolver, *options: str, limit: int | None = None) -> None:
        ours, theirs = channel_pair()
        words = [sys.executable, "-P", "-m", "sentinetd.daemon.porter", "--channel", str(theirs.fileno())]
        if limit is not None:
            words = ["prlimit", f"--nofile={limit}", *words]
        self.process = subprocess.Popen(
            resolver.namespace.command(*words), pass_fds=[theirs.fileno()], stderr=subprocess.PIPE
        )
        theirs.close()
        tell(ours, options)
        self.channel = Channel(ours, FROM_PORTER)
        self.heard: list[object] = []

    def order(self, order: object, *descriptors: int) -> None:
        """Give *order* and, as the guard does, keep nothing of what comes with it."""
        assert self.channel.send(0, [order], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

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
    assert guard.name_of("192.0.2.20") == "local.example.test"  # it is up
    begun = time.monotonic()
    assert guard.name_of("192.0.2.7", seconds=0.3) is None
    assert time.monotonic() - begun < 2.0  # the resolver itself tries for four


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
    assert guard.name_of("192.0.2.20") == "local.example.test"  # it is up
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
    assert fields["Seccomp_filters"] == "2", "what nobody of ours needs, and to run programs"
    guard.close()


# Connections carried out.


def test_an_internal_service(guard: Guard) -> None:
    client, accepted = tcp_pair()
    guard.order(Carry(1, Routine.ECHO, 0, 0.0), accepted.detach())
    client.sendall(b"hello")
    assert client.recv(10) == b"hello"
    client.close()
    assert guard.hear(1) == [Carried(1, 5, 5, Ending.CLOSED, "")]


def test_many_orders_in_one_packet(guard: Guard) -> None:
    pairs = [tcp_pair() for _ in range(16)]
    orders = [Carry(number, Routine.ECHO, 0, 0.0) for number in range(16)]
    assert guard.channel.send(0, orders, [accepted.fileno() for _, accepted in pairs])
    for number, (client, accepted) in enumerate(pairs):
        accepted.close()
        client.sendall(b"%d" % number)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"%d" % number
        client.close()
    heard = guard.hear(16)
    assert {carried.number for carried in heard if isinstance(carried, Carried)} == set(range(16))


def test_a_redirect_to_a_name(guard: Guard, resolver: Resolver) -> None:
    target = resolver.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    target.bind(("127.0.0.1", 0))
    target.listen()
    for number in range(2):
        client, accepted = tcp_pair()
        order = Relay(number, "target.example.test", target.getsockname()[1], True, 5.0, 0.0)
        guard.order(order, accepted.detach())
        server, _ = target.accept()
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"question"
        server.sendall(b"answer")
        server.close()
        assert read_all(client) == b"answer"
        client.close()
        assert guard.hear(1) == [Carried(number, 8, 6, Ending.CLOSED, "")]
    assert resolver.asked["target.example.test", A] == 1
    target.close()


def test_a_connection_to_a_private_socket(guard: Guard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client, accepted = tcp_pair()
        way = socket.socket()
        guard.order(Join(1, server.getsockname()[1], 5.0, 0.0), accepted.detach(), way.detach())
        client.sendall(b"question")
        target, _ = server.accept()
        with target:
            assert target.recv(100) == b"question"
            target.sendall(b"answer")
        assert read_all(client) == b"answer"
        client.close()
    assert guard.hear(1) == [Carried(1, 8, 6, Ending.CLOSED, "")]


def test_a_private_socket_that_is_gone(guard: Guard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client, accepted = tcp_pair()
    guard.order(Join(1, port, 5.0, 0.0), accepted.detach(), socket.socket().detach())
    assert guard.hear(1) == [Carried(1, 0, 0, Ending.UNREACHABLE, "Connection refused")]
    assert read_all(client) == b""
    client.close()


def udp() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(10)
    made.bind(("127.0.0.1", 0))
    return made


def test_datagrams_of_an_intercepted_service(guard: Guard) -> None:
    public, server, one, other = udp(), udp(), udp(), udp()
    where = public.getsockname()
    guard.order(Attend(3, server.getsockname()[1], 12345), public.detach())
    met = []
    for client in (one, other):
        client.sendto(b"hello", where)
        (said,) = guard.hear(1)
        assert said == Met(3, said.token, Address.parse("127.0.0.1"), client.getsockname()[1])
        met.append(said)
    guard.order(Shun(3, met[0].token))
    guard.order(Admit(7, 3, met[1].token, 60.0), udp().detach())
    data, peer = server.recvfrom(100)
    server.sendto(data.upper(), peer)
    assert other.recvfrom(100) == (b"HELLO", where)
    guard.order(HangUp(7))
    assert guard.hear(1) == [Carried(7, 5, 5, Ending.STOPPED, "")]
    other.sendto(b"again", where)
    (said,) = guard.hear(1)
    guard.order(Leave(3))
    guard.order(Admit(8, 3, said.token, 60.0), udp().detach())
    assert guard.hear(1) == [Carried(8, 0, 0, Ending.STOPPED, "")]
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(100)
    for made in (server, one, other):
        made.close()


@pytest.mark.parametrize(
    ("user", "answer"),
    [
        pytest.param(0, b"from the child", id="root"),
        pytest.param(65534, b"from the child", id="the server's user"),
        pytest.param(12345, b"from the server", id="another user"),
    ],
)
def test_whose_answers_are_believed(guard: Guard, resolver: Resolver, user: int, answer: bytes) -> None:
    with resolver.namespace.entered():
        public, server, client, way = udp(), udp(), udp(), udp()
        os.seteuid(user)
        try:
            child = udp()
        finally:
            os.seteuid(0)
    where = public.getsockname()
    guard.order(Attend(3, server.getsockname()[1], 65534), public.detach())
    client.sendto(b"hello", where)
    (met,) = guard.hear(1)
    assert isinstance(met, Met)
    guard.order(Admit(7, 3, met.token, 60.0), way.detach())
    peer = server.recvfrom(100)[1]
    child.sendto(b"from the child", peer)
    server.sendto(b"from the server", peer)
    assert client.recv(100) == answer
    for made in (server, client, child):
        made.close()


def test_the_multiplexer(guard: Guard) -> None:
    client, accepted = tcp_pair()
    guard.order(Multiplexed(("finger",)))
    guard.order(Choose(1, 5.0), accepted.dup().detach())
    client.sendall(b"FINGER\r\nrest")
    assert guard.hear(1) == [Chosen(1, "finger")]
    assert accepted.recv(10) == b"rest"
    guard.order(Multiplexed(()))
    guard.order(Choose(2, 5.0), accepted.detach())
    client.sendall(b"finger\r\n")
    assert read_all(client) == b"-Service name not found\r\n"
    client.close()
    assert guard.hear(1) == [Carried(2, 8, 25, Ending.REFUSED, "")]


def test_a_banner(guard: Guard) -> None:
    client, accepted = tcp_pair()
    file = os.memfd_create("banner")
    os.write(file, b"go away\r\n")
    guard.order(Say(1, 5.0, True), accepted.detach(), file)
    assert read_all(client) == b"go away\r\n"
    client.close()
    assert guard.hear(1) == [Carried(1, 0, 9, Ending.CLOSED, "")]


def test_hanging_up(guard: Guard) -> None:
    client, accepted = tcp_pair()
    guard.order(Carry(1, Routine.DISCARD, 0, 0.0), accepted.detach())
    guard.order(HangUp(1))
    assert guard.hear(1) == [Carried(1, 0, 0, Ending.STOPPED, "")]
    assert client.recv(1) == b""
    client.close()


def test_a_number_in_use_is_not_taken_again(guard: Guard) -> None:
    (client, accepted), (other, second) = tcp_pair(), tcp_pair()
    guard.order(Carry(1, Routine.ECHO, 0, 0.0), accepted.detach())
    guard.order(Carry(1, Routine.ECHO, 0, 0.0), second.detach())
    (complaint,) = guard.hear(1)
    assert isinstance(complaint, Complaint)
    assert other.recv(1) == b""
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    client.close()
    other.close()


def test_the_table_is_bounded_by_the_files_that_may_be_open(resolver: Resolver) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # 64 open files less a quarter, two for each connection: 24.
    guard = Guard(resolver, limit=64)
    pairs = [tcp_pair() for _ in range(25)]
    for number, (_, accepted) in enumerate(pairs):
        guard.order(Carry(number, Routine.ECHO, 0, 0.0), accepted.detach())
    assert guard.hear(1) == [Carried(24, 0, 0, Ending.FULL, "")]
    guard.close()
    for client, _ in pairs:
        assert client.recv(1) == b""
        client.close()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


# Sensors that go on.


def play(number: int, **what: Any) -> Play:
    given = {"source": "192.0.2.9", "decoy": None, "greeting": None, "size": 0, "seconds": 5.0, "tarpit": 0.0}
    return Play(number, **{**given, **what})


def test_a_decoy_talks_and_what_was_said_is_told(guard: Guard) -> None:
    client, accepted = tcp_pair()
    guard.order(play(7, decoy=Decoy.FTP, size=100), accepted.detach())
    assert client.recv(100) == b"220 (vsFTPd 3.0.3)\r\n"
    client.sendall(b"USER \xff\\\r\nQUIT\r\n")
    assert read_all(client) == b"331 Please specify the password.\r\n221 Goodbye.\r\n"
    client.close()
    (played,) = guard.hear(1)
    assert isinstance(played, Played)
    assert (played.number, played.said, played.more) == (7, r"USER \xff\\\r\nQUIT\r\n", False)


@pytest.mark.parametrize("decoy", [pytest.param(one, id=one.value) for one in Decoy])
def test_every_decoy_works_where_no_file_can_be_opened(guard: Guard, decoy: Decoy) -> None:
    client, accepted = tcp_pair()
    guard.order(play(7, decoy=decoy, greeting="", size=10), accepted.detach())
    client.sendall(b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0" if decoy is Decoy.RDP else b"GET / HTTP/1.0\r\n\r\nINFO\r\n")
    client.shutdown(socket.SHUT_WR)
    read_all(client)
    client.close()
    assert isinstance(guard.hear(1)[0], Played)


def test_more_than_one_packet_of_what_was_said(guard: Guard) -> None:
    pairs = [tcp_pair() for _ in range(40)]
    for number, (client, accepted) in enumerate(pairs):
        guard.order(play(number, size=4096, tarpit=60.0), accepted.detach())
        client.sendall(bytes(5000))
    for client, _ in pairs:
        client.shutdown(socket.SHUT_WR)
    heard = guard.hear(40, within=20.0)
    assert sorted(one.number for one in heard if isinstance(one, Played)) == list(range(40))
    assert {(one.said, one.more) for one in heard if isinstance(one, Played)} == {(r"\x00" * 4096, True)}
    for client, _ in pairs:
        client.close()


def test_sensors_take_no_more_than_a_quarter_of_the_places(resolver: Resolver) -> None:
    guard = Guard(resolver, limit=64)  # 24 connections in all: 6 of sensors
    pairs = [tcp_pair() for _ in range(20)]
    for number, (_, accepted) in enumerate(pairs):
        guard.order(play(number, tarpit=600.0), accepted.detach())
    assert guard.hear(14) == [Played(number, None, False, 0.0) for number in range(6, 20)]
    client, accepted = tcp_pair()
    guard.order(Carry(100, Routine.ECHO, 0, 0.0), accepted.detach())
    client.sendall(b"still here")
    assert client.recv(100) == b"still here"
    client.close()
    assert guard.hear(1) == [Carried(100, 10, 10, Ending.CLOSED, "")]
    pairs[0][0].close()
    (played,) = guard.hear(1)
    assert isinstance(played, Played)
    assert (played.number, played.said) == (0, "")
    client, accepted = tcp_pair()
    guard.order(play(101, decoy=Decoy.VNC), accepted.detach())
    assert client.recv(100) == b"RFB 003.008\n"
    client.close()
    guard.close()
    for client, _ in pairs:
        client.close()


def test_no_descriptor_is_left_of_plays_and_headers(guard: Guard) -> None:
    """However they end: by the client, by a reset, by the guard, by what is said."""
    descriptors = f"/proc/{guard.process.pid}/fd"
    assert guard.name_of("192.0.2.20") == "local.example.test"  # it has all that it opens for itself
    before = len(os.listdir(descriptors))
    pairs = [tcp_pair() for _ in range(160)]
    for number, (client, accepted) in enumerate(pairs):
        if number % 2:
            guard.order(AskedHeader(number, 0.5), accepted.detach())
        else:
            guard.order(play(number, decoy=list(Decoy)[number % 11], size=9), accepted.detach())
        client.sendall((b"", b"PROXY UNKNOWN\r\n", b"QUIT\r\n", b"x" * 300)[number // 2 % 4])
        if number % 10 < 4:
            reset(client)
        elif number % 10 < 8:
            client.close()
    for number in range(0, 160, 2):
        guard.order(HangUp(number))
    assert len(guard.hear(160, within=20.0)) == 160
    wait_for(lambda: len(os.listdir(descriptors)) == before, "as many as before", 20)
    for client, _ in pairs:
        client.close()


# Questions about a connection.


def test_whom_a_header_announces(guard: Guard) -> None:
    client, accepted = tcp_pair()
    guard.order(AskedHeader(7, 5.0), accepted.dup().detach())
    client.sendall(b"PROXY TCP6 2001:db8::9 ::1 40022 80\r\nrest")
    assert guard.hear(1) == [HeaderSays(7, Announced(Address.parse("2001:db8::9"), 40022), "")]
    assert accepted.recv(100) == b"rest"
    accepted.close()
    assert client.recv(1) == b""
    client.close()


@pytest.mark.parametrize(
    ("said", "seconds", "why"),
    [
        pytest.param(b"GET / HTTP/1.0\r\n", 5.0, "no PROXY header, but something else", id="else"),
        pytest.param(b"PROXY", 0.2, "no PROXY header within 0.2 seconds", id="too slow"),
    ],
)
def test_no_header(guard: Guard, said: bytes, seconds: float, why: str) -> None:
    client, accepted = tcp_pair()
    guard.order(AskedHeader(7, seconds), accepted.detach())
    client.sendall(said)
    assert guard.hear(1) == [HeaderSays(7, None, why)]
    assert read_until_closed(client) == b""
    client.close()


def test_headers_that_do_not_come_hold_no_other_question_up(guard: Guard) -> None:
    pairs = [tcp_pair() for _ in range(200)]
    for number, (_, accepted) in enumerate(pairs):
        guard.order(AskedHeader(number, 60.0), accepted.detach())
    assert guard.name_of("192.0.2.20") == "local.example.test"
    for client, _ in pairs:
        client.close()
    end = "the end of the connection in place of a PROXY header"
    heard = guard.hear(200, within=20.0)
    assert sorted(one.number for one in heard if one == HeaderSays(getattr(one, "number", -1), None, end)) == list(
        range(200)
    )


def read_until_closed(sock: socket.socket) -> bytes:
    """What comes until the other end hangs up, with or without a reset."""
    try:
        return read_all(sock)
    except ConnectionResetError:
        return b""


def test_the_owner_of_a_connection(guard: Guard, resolver: Resolver) -> None:
    question = AskedUser(1, "127.0.0.1", 40000, "127.0.0.1", 21, 5.0)
    guard.order(question)
    assert guard.hear(1) == [User(1, None, "no server")]
    listener = resolver.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 113))
    listener.listen()
    guard.order(question)
    server, _ = listener.accept()
    assert server.recv(100) == b"40000,21\r\n"
    server.sendall(b"40000,21:USERID:UNIX:joe\r\n")
    server.close()
    listener.close()
    assert guard.hear(1) == [User(1, "UNIX:joe", "")]


def test_the_tables(resolver: Resolver) -> None:
    (resolver.namespace.etc / "hosts.allow").write_text("in.ftpd: .example.test\nsshd: 192.0.2.0/24 : spawn /bin/x\n")
    (resolver.namespace.etc / "hosts.deny").write_text("ALL: ALL\n")
    guard = Guard(resolver)
    for number, (daemon, source) in enumerate(
        [("in.ftpd", "192.0.2.20"), ("in.ftpd", "192.0.2.99"), ("in.ftpd", "192.0.2.5"), ("sshd", "192.0.2.99")]
    ):
        guard.order(AskedTables(number, daemon, source, 40000, "127.0.0.1", 21, 5.0))
    heard = guard.hear(4)
    assert sorted(heard, key=lambda said: said.number if isinstance(said, TablesSay) else -1) == [
        TablesSay(0, True, "/etc/hosts.allow:1", False),
        TablesSay(1, False, "/etc/hosts.deny:1", False),
        TablesSay(2, False, "could not find out the client's host name", False),
        TablesSay(3, True, "/etc/hosts.allow:2", True),
    ]
    guard.close()
