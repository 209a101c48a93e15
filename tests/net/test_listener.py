from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
import struct
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from rig.network import Namespace, run
from sentinetd.errors import EdgeError
from sentinetd.model.address import Address
from sentinetd.model.service import Family, Flag, Protocol, Service, SocketType, Type
from sentinetd.net.listener import (
    SO_TIMESTAMPNS,
    AcceptFailed,
    AddressInUse,
    BindFailed,
    Exhausted,
    Listener,
    open_listener,
)

DEADLINE = 10.0  # seconds: what the kernel has not done by then it never will


def readable(waiting: Listener) -> bool:
    return bool(select.select([waiting], [], [], DEADLINE)[0])


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET6, kind) as probe:
        probe.bind(("::", 0))
        return int(probe.getsockname()[1])


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


UDP = Protocol("udp", 17)


def stream(address: str = "", **given: object) -> Service:
    return _service(SocketType.STREAM, Protocol("tcp", 6), address, given)


def dgram(address: str = "", **given: object) -> Service:
    return _service(SocketType.DGRAM, UDP, address, {"wait": True, **given})


def _service(kind: SocketType, protocol: Protocol, address: str, given: dict[str, object]) -> Service:
    parsed = Address.parse(address) if address else None
    if parsed is not None:
        given.setdefault("family", Family.IPV4 if parsed.version == 4 else Family.IPV6)
    given.setdefault("port", free_port())
    return Service(name="tried", id="tried", socket_type=kind, protocol=protocol, address=parsed, **given)  # type: ignore[arg-type]


def connect(listener: Listener, address: str, source: str = "") -> socket.socket:
    return socket.create_connection((address, listener.port), timeout=5, source_address=(source, 0) if source else None)


def send(listener: Listener, payload: bytes, address: str = "127.0.0.1", source: str = "") -> tuple[str, int]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.sendto(payload, (address, listener.port))
        name = client.getsockname()
        return (source or name[0], name[1])


# What is bound


@pytest.mark.parametrize(
    ("family", "address", "v6only", "to", "source"),
    [
        pytest.param(Family.DUAL, "", False, "127.0.0.1", "127.0.0.1", id="dual takes IPv4 and says so plainly"),
        pytest.param(Family.DUAL, "", False, "::1", "::1", id="dual takes IPv6"),
        pytest.param(Family.DUAL, "", True, "::1", "::1", id="v6only takes IPv6"),
        pytest.param(Family.DUAL, "", True, "127.0.0.1", None, id="v6only takes no IPv4"),
        pytest.param(Family.IPV6, "", False, "127.0.0.1", "127.0.0.1", id="flag IPv6 without v6only takes IPv4"),
        pytest.param(Family.IPV4, "", False, "127.0.0.1", "127.0.0.1", id="flag IPv4"),
        pytest.param(Family.IPV4, "", False, "::1", None, id="flag IPv4 takes no IPv6"),
        pytest.param(Family.IPV4, "127.0.0.9", False, "127.0.0.9", "127.0.0.1", id="bound to an IPv4 address"),
        pytest.param(Family.IPV4, "127.0.0.9", False, "127.0.0.1", None, id="bound means no other address"),
        pytest.param(Family.IPV6, "::1", False, "::1", "::1", id="bound to an IPv6 address"),
        pytest.param(Family.IPV6, "::1", False, "127.0.0.1", None, id="bound to an IPv6 address takes no IPv4"),
    ],
)
def test_family(namespace: Namespace, family: Family, address: str, v6only: bool, to: str, source: str | None) -> None:
    listener = open_listener(stream(address, family=family, v6only=v6only))
    if source is None:
        with pytest.raises(ConnectionRefusedError):
            connect(listener, to)
    else:
        client = connect(listener, to, source)
        assert readable(listener)
        [accepted] = listener.accept()
        assert (accepted.source, accepted.source.text) == (Address.parse(source), source)
        assert accepted.port == client.getsockname()[1]
        server = socket.socket(fileno=accepted.descriptor)
        assert server.family == (socket.AF_INET6 if ":" in to else socket.AF_INET), "what the server sees"
        assert server.getpeername()[:2] == client.getsockname()[:2]
        server.close()
        client.close()
    assert listener.notice == ""
    listener.close()
    assert listener.fileno() == -1


def test_a_peer_that_finished_sending_is_accepted_all_the_same() -> None:
    """The kernel does not convert such a socket: it stays IPv6, its source is plain IPv4 nevertheless."""
    listener = open_listener(stream())
    client = connect(listener, "127.0.0.1")
    client.shutdown(socket.SHUT_WR)
    assert readable(listener)
    [accepted] = listener.accept()
    assert accepted.source.text == "127.0.0.1"
    os.close(accepted.descriptor)
    client.close()
    listener.close()


def test_what_nobody_sees_stays_as_it_came() -> None:
    with closing(open_listener(stream())) as listener, connect(listener, "127.0.0.1"):
        assert readable(listener)
        [accepted] = listener.accept(unseen=True)
        assert accepted.source == Address.parse("127.0.0.1")
        with socket.socket(fileno=accepted.descriptor) as left:
            assert left.family == socket.AF_INET6


def test_link_local_sources_come_with_their_interface(link: str) -> None:
    scope = socket.if_nametoindex(link)
    listener = open_listener(stream(f"fe80::7%{link}"))
    assert listener.address == Address.parse(f"fe80::7%{link}")
    client = socket.socket(socket.AF_INET6)
    client.connect(("fe80::7", listener.port, 0, scope))
    assert readable(listener)
    [accepted] = listener.accept()
    assert accepted.source == Address.parse(f"fe80::7%{link}")
    os.close(accepted.descriptor)
    client.close()
    listener.close()


@pytest.mark.parametrize(
    ("service", "blocking"),
    [
        pytest.param(stream(), False, id="stream nowait: the guard accepts"),
        pytest.param(stream(wait=True), True, id="stream wait: the server accepts"),
        pytest.param(stream(wait=True, flags=frozenset({Flag.SENSOR})), False, id="a sensor's wait means nothing"),
        pytest.param(stream(wait=True, type=frozenset({Type.INTERNAL})), False, id="nor does an internal service's"),
        pytest.param(dgram(), True, id="dgram: the server receives"),
    ],
)
def test_modes(service: Service, blocking: bool) -> None:
    listener = open_listener(service)
    assert os.get_blocking(listener.fileno()) is blocking
    assert fcntl.fcntl(listener.fileno(), fcntl.F_GETFD) == fcntl.FD_CLOEXEC
    assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    assert (listener.address, listener.port) == (Address(6, 0, "::"), service.port)
    listener.close()


@pytest.mark.parametrize("flags", [frozenset(), frozenset({Flag.NODELAY, Flag.KEEPALIVE})], ids=["none", "both"])
def test_flags_reach_the_accepted_socket(flags: frozenset[Flag]) -> None:
    listener = open_listener(stream(flags=flags))
    client = connect(listener, "127.0.0.1")
    assert readable(listener)
    [accepted] = listener.accept()
    assert os.get_blocking(accepted.descriptor)
    assert fcntl.fcntl(accepted.descriptor, fcntl.F_GETFD) == fcntl.FD_CLOEXEC
    server = socket.socket(fileno=accepted.descriptor)
    assert bool(server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is bool(flags)
    assert bool(server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is bool(flags)
    for one in (server, client, listener):
        one.close()


def test_flags_mean_nothing_to_datagrams() -> None:
    open_listener(dgram(flags=frozenset({Flag.NODELAY, Flag.KEEPALIVE}))).close()


def test_backlog() -> None:
    listener = open_listener(stream(), backlog=77)
    info = listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    assert struct.unpack_from("=I", info, 28) == (77,), "of a listener, tcpi_sacked is the backlog"
    listener.close()


def test_rpc_services_get_a_free_port() -> None:
    service = stream(type=frozenset({Type.RPC}), port=1)
    listener = open_listener(service)
    assert listener.port > 1
    connect(listener, "127.0.0.1").close()
    listener.close()


def test_prepare_runs_before_anybody_can_connect() -> None:
    seen: list[OSError] = []

    def prepare(bound: socket.socket) -> None:
        try:
            socket.create_connection(("127.0.0.1", bound.getsockname()[1])).close()
        except ConnectionRefusedError as error:
            seen.append(error)

    open_listener(stream(), prepare=prepare).close()
    assert len(seen) == 1


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize(
    ("held", "address"), [("127.0.0.1", ""), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")], ids=str
)
def test_an_address_in_use_names_who_holds_it(kind: socket.SocketKind, held: str, address: str) -> None:
    program = (
        "import socket, sys\n"
        f"s = socket.socket(socket.AF_INET, {int(kind)}); s.bind(({held!r}, 0))\n"
        f"s.listen() if {int(kind)} == socket.SOCK_STREAM else None\n"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        port = int(other.stdout.readline())
        before = descriptors()
        wanted = (stream if kind == socket.SOCK_STREAM else dgram)(address, port=port)
        with pytest.raises(AddressInUse) as raised:
            open_listener(wanted)
        assert [holder.pid for holder in raised.value.holders] == [other.pid]
        assert f"port {port}/" in str(raised.value)
        assert f"(process {other.pid})" in str(raised.value)
        assert descriptors() == before
        other.stdin.close()


def test_only_those_in_the_way_are_named() -> None:
    with socket.socket() as in_the_way, socket.socket(socket.AF_INET6) as beside:
        in_the_way.bind(("127.0.0.1", 0))
        in_the_way.listen()
        port = in_the_way.getsockname()[1]
        beside.bind(("::1", port))
        beside.listen()
        with pytest.raises(AddressInUse) as raised:
            open_listener(stream(family=Family.IPV4, port=port))
    assert [(holder.pid, holder.address.text) for holder in raised.value.holders] == [(os.getpid(), "127.0.0.1")]


def test_an_address_that_is_not_ours(namespace: Namespace) -> None:
    before = descriptors()
    with pytest.raises(BindFailed, match=r"port 99/tcp at 192\.0\.2\.1: Cannot assign") as raised:
        open_listener(stream("192.0.2.1", port=99))
    assert not isinstance(raised.value, AddressInUse)
    assert descriptors() == before


def test_a_protocol_that_the_kernel_lacks() -> None:
    with pytest.raises(BindFailed, match="nonsense socket: "):
        open_listener(Service(name="n", id="n", protocol=Protocol("nonsense", 251), port=free_port()))


WITHOUT_IPV6 = """
import ctypes, socket, struct, sys
from sentinetd.model.service import Family, Service
from sentinetd.net.listener import BindFailed, open_listener
number = {"x86_64": 41, "aarch64": 198}[__import__("os").uname().machine]  # socket(2)
rows = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, socket.AF_INET6),
        (0x06, 0, 0, 0x00050000 | 97), (0x06, 0, 0, 0x7FFF0000)]  # EAFNOSUPPORT for AF_INET6
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
program = ctypes.create_string_buffer(struct.pack("@HP", len(rows), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
def tried(**given):
    try:
        listener = open_listener(Service(name="n", id="spoken", **given))
        return f"{listener.socket.family.name}|{listener.notice}"
    except BindFailed as error:
        return str(error)
print(tried(), tried(family=Family.IPV6), tried(v6only=True), tried(family=Family.IPV4), sep="\\n")
"""


def test_without_ipv6_the_wildcard_is_ipv4_and_the_operator_is_told() -> None:
    """As under RestrictAddressFamilies= or ipv6.disable=1: the kernel knows no AF_INET6."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_IPV6], capture_output=True, text=True, check=True)
    told = "AF_INET|IPv6 socket creation failed for service spoken, trying IPv4"
    refused = "tcp socket: Address family not supported by protocol"
    assert done.stdout.splitlines() == [told, told, refused, "AF_INET|"]


@pytest.mark.parametrize("group", ["239.1.2.3", "224.0.0.251", "ff02::5%east"])
def test_a_multicast_group_is_joined(link: str, group: str) -> None:
    run("ip", "route", "add", "224.0.0.0/4", "dev", link)
    listener = open_listener(dgram(group))
    name, _, scope = group.partition("%")
    with socket.socket(socket.AF_INET6 if scope else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(
            b"hello", (name, listener.port, 0, socket.if_nametoindex(scope)) if scope else (name, listener.port)
        )
    assert readable(listener)
    told = listener.peek()
    assert told is not None
    assert told.source.text == (f"fe80::7%{link}" if scope else "198.51.100.7")
    listener.close()


# Streams


def test_accept_is_bounded_and_leaves_the_rest() -> None:
    listener = open_listener(stream())
    clients = [connect(listener, "127.0.0.1") for _ in range(5)]
    assert readable(listener)
    first = list(listener.accept(limit=2))
    assert len(first) == 2
    rest = list(listener.accept())
    assert [one.port for one in first + rest] == [client.getsockname()[1] for client in clients]
    assert list(listener.accept()) == []
    for one in first + rest:
        os.close(one.descriptor)
    for client in clients:
        client.close()
    listener.close()


def test_out_of_descriptors_is_a_signal_of_its_own() -> None:
    listener = open_listener(stream())
    clients = [connect(listener, "127.0.0.1") for _ in range(3)]
    assert readable(listener)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, hard))
    had = []
    try:
        with pytest.raises(Exhausted, match="Too many open files"):
            had.extend(listener.accept())
        assert len(had) == 1, "what could still be had is"
        with pytest.raises(Exhausted):
            listener.refuse_one()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    had += listener.accept()
    assert [one.port for one in had] == [client.getsockname()[1] for client in clients]
    for one in had:
        os.close(one.descriptor)
    for open_one in (*clients, listener):
        open_one.close()


def test_a_listener_that_is_broken_says_so() -> None:
    listener = open_listener(stream())
    listener.socket.shutdown(socket.SHUT_RD)
    with pytest.raises(AcceptFailed, match="accept: Invalid argument") as raised:
        list(listener.accept())
    assert isinstance(raised.value, EdgeError)
    with pytest.raises(AcceptFailed):
        listener.refuse_one()
    listener.close()


ABORTING = """
import ctypes, errno, struct, sys
from sentinetd.model.service import Service
from sentinetd.net.listener import open_listener
listener = open_listener(Service(name="n", id="n"))
number = {"x86_64": 288, "aarch64": 242}[__import__("os").uname().machine]  # accept4(2)
rows = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | getattr(errno, sys.argv[1])),
        (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
program = ctypes.create_string_buffer(struct.pack("@HP", len(rows), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
try:
    print(len(list(listener.accept())))
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        *((name, "0") for name in ("ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN")),
        *((name, "Exhausted") for name in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM")),
        ("ENOTSOCK", "AcceptFailed"),
    ],
)
def test_errors_of_accept(name: str, outcome: str) -> None:
    """The kernel itself fails each accept4(2), as a seccomp filter tells it to: the call ends, with the right word."""
    done = subprocess.run(
        [sys.executable, "-c", ABORTING, name], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.strip() == outcome


def test_refuse_one_hangs_up_exactly_one_and_never_waits() -> None:
    listener = open_listener(stream(wait=True))
    assert not listener.refuse_one()
    clients = [connect(listener, "127.0.0.1") for _ in range(2)]
    assert readable(listener)
    assert listener.refuse_one()
    assert clients[0].recv(1) == b""
    assert os.get_blocking(listener.fileno()), "the server's accept must wait"
    served, _ = listener.socket.accept()
    served.sendall(b"served")
    assert clients[1].recv(6) == b"served"
    for one in (served, *clients, listener):
        one.close()


# Datagrams


@pytest.mark.parametrize("to", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("payload", [b"", b"x", b"y" * 9000], ids=["empty", "one byte", "large"])
def test_peek_tells_the_sender_and_leaves_the_datagram(to: str, payload: bytes) -> None:
    listener = open_listener(dgram())
    name, port = send(listener, payload, to, to)
    assert readable(listener)
    told = listener.peek()
    assert told is not None
    assert (told.source.text, told.port) == (name, port)
    assert listener.peek() == told, "the stamp stays over looks"
    assert listener.socket.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS) == 0, "the server sees no stamps"
    assert listener.socket.recv(10000) == payload, "the server finds it"
    assert listener.peek() is None
    listener.close()


def test_the_stamp_tells_datagrams_of_one_sender_apart() -> None:
    listener = open_listener(dgram())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for payload in (b"first", b"second", b"third"):
            client.sendto(payload, ("127.0.0.1", listener.port))
    assert readable(listener)
    seen = []
    while (told := listener.peek()) is not None:
        assert listener.peek() == told
        seen.append(told)
        assert listener.consume()
    assert len(seen) == len({one.stamp for one in seen}) == 3
    assert len({(one.source, one.port) for one in seen}) == 1
    assert all(one.stamp > 10**18 for one in seen)
    assert not listener.consume()
    listener.close()


def test_consume_takes_exactly_the_first() -> None:
    listener = open_listener(dgram())
    send(listener, b"refused")
    send(listener, b"served")
    assert readable(listener)
    assert listener.consume()
    assert listener.socket.recv(100) == b"served"
    listener.close()


def test_drain_tells_every_sender_and_is_bounded() -> None:
    listener = open_listener(dgram(flags=frozenset({Flag.SENSOR})))
    sent = [send(listener, b"", "127.0.0.1", f"127.0.0.{host}") for host in (2, 3)] + [
        send(listener, b"z", "::1", "::1")
    ]
    assert readable(listener)
    told = list(listener.drain(limit=2))
    assert len(told) == 2
    told += listener.drain()
    assert [(one.source.text, one.port, one.stamp) for one in told] == [(name, port, 0) for name, port in sent]
    listener.close()


def closed_port() -> int:
    return free_port(socket.SOCK_DGRAM)


def test_an_error_left_by_a_server_does_not_keep_the_loop_awake() -> None:
    """The server connected the shared socket and its reply met a closed port: ECONNREFUSED is pending."""
    listener = open_listener(dgram("127.0.0.1"))
    listener.socket.connect(("127.0.0.1", closed_port()))
    listener.socket.send(b"reply")
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    assert poll.poll(5000), "the error wakes the loop"
    assert listener.peek() is None
    assert poll.poll(0) == []
    listener.close()


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.IPPROTO_IP), ("::1", socket.IPPROTO_IPV6)])
def test_extended_errors_do_not_keep_the_loop_awake(address: str, family: int) -> None:
    """The server asked for extended errors (IP_RECVERR) on the shared socket and left them unread."""
    listener = open_listener(dgram(address))
    listener.socket.setsockopt(family, 11 if family == socket.IPPROTO_IP else 25, 1)
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    for _ in range(3):
        with suppress(ConnectionRefusedError):  # that of the reply before
            listener.socket.sendto(b"reply", (address, closed_port()))
    assert poll.poll(5000)
    assert listener.peek() is None
    assert poll.poll(0) == []
    listener.close()


def test_a_datagram_behind_an_error_is_seen() -> None:
    listener = open_listener(dgram("127.0.0.1"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        gone = closed_port()
        listener.socket.connect(("127.0.0.1", gone))
        listener.socket.send(b"reply")
        poll = select.poll()
        poll.register(listener.fileno(), select.POLLERR)
        assert poll.poll(5000)
        listener.socket.connect(client.getsockname())
        client.sendto(b"next", ("127.0.0.1", listener.port))
        assert readable(listener)
        told = listener.peek()
        assert told is not None
        assert told.port == client.getsockname()[1]
    listener.close()
