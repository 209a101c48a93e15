"""Real clients against a filtered listener. The kernel counts the SYNs that the filter drops at the listener itself
(SO_MEMINFO), so that a refusal is seen and never merely waited for."""

from __future__ import annotations

import math
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from rig.deadline import wait_for
from rig.network import Namespace, run
from sentinetd.model.address import EVERYONE, NOBODY, AddressSet, Network
from sentinetd.net.filter import FilterFailed, SourceFilter

SO_MEMINFO, DROPS = 55, 8


@dataclass
class Door:
    """A listener with a filter on it."""

    socket: socket.socket

    def drops(self) -> int:
        return int(struct.unpack("=9I", self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[DROPS])

    def knock(self, source: str) -> socket.socket | None:
        """A connection from *source*, or None if its SYN was dropped."""
        before = self.drops()
        version6 = ":" in source
        client = socket.socket(socket.AF_INET6 if version6 else socket.AF_INET)
        client.bind((source, 0))
        client.setblocking(False)
        client.connect_ex(("::1" if version6 else "127.0.0.1", self.socket.getsockname()[1]))
        poll = select.poll()
        poll.register(client, select.POLLOUT)
        wait_for(lambda: bool(poll.poll(0)) or self.drops() > before, f"an outcome for {source}")
        if self.drops() > before:
            client.close()
            return None
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        client.setblocking(True)
        return client

    def serves(self, source: str) -> bool:
        """Whether a client from *source* is accepted and hears the server."""
        client = self.knock(source)
        if client is None:
            return False
        served, _ = self.socket.accept()
        with client, served:
            return talk(client, served)


def talk(client: socket.socket, served: socket.socket) -> bool:
    """Bytes pass in both directions."""
    client.settimeout(10)
    served.settimeout(10)
    client.sendall(b"ask")
    asked = served.recv(10)
    served.sendall(b"answer")
    return (asked, client.recv(10)) == (b"ask", b"answer")


@pytest.fixture
def sources(namespace: Namespace) -> Namespace:
    """Loopback has a few IPv6 addresses; of IPv4 it has 16 million."""
    for address in ("fd00:1::1", "fd00:1::2", "fd00:1:0:1::1", "fd00:2::1"):
        run("ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")
    return SourceFilter(capacity=1024)


@pytest.fixture
def bans(sources: SourceFilter) -> Iterator[SourceFilter]:
    if (reason := SourceFilter.available()) is not None:
        pytest.skip(reason)
    yield sources
    sources.close()


Open = Callable[..., Door]


@pytest.fixture
def door(bans: SourceFilter) -> Iterator[Open]:
    """Opens a listener, dual-stack unless *address* is given."""
    opened: list[socket.socket] = []

    def make(
        only_from: AddressSet = EVERYONE, no_access: AddressSet = NOBODY, exempt: AddressSet = NOBODY, address: str = ""
    ) -> Door:
        listener = socket.socket(socket.AF_INET if address else socket.AF_INET6)
        opened.append(listener)
        if not address:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address or "::", 0))
        bans.attach(listener, only_from, no_access, exempt)
        listener.listen()
        return Door(listener)

    yield make
    for listener in opened:
        listener.close()


def networks(text: str) -> AddressSet:
    return AddressSet(tuple(Network.parse(word) for word in text.split()))


def soon(seconds: float) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) + seconds


@pytest.mark.parametrize(
    ("only_from", "no_access", "source", "served"),
    [
        pytest.param(None, "", "127.0.0.2", True, id="everyone"),
        pytest.param(None, "", "fd00:1::1", True, id="everyone, IPv6"),
        pytest.param("127.0.0.2", "", "127.0.0.2", True, id="admitted"),
        pytest.param("127.0.0.2", "", "127.0.0.3", False, id="not admitted"),
        pytest.param("127.0.0.2", "", "fd00:1::1", False, id="IPv4 admits no IPv6"),
        pytest.param("fd00:1::/64", "", "fd00:1::2", True, id="IPv6 network"),
        pytest.param("fd00:1::/64", "", "fd00:1:0:1::1", False, id="beside the IPv6 network"),
        pytest.param("fd00:1::/64", "", "127.0.0.2", False, id="IPv6 admits no IPv4"),
        pytest.param("", "", "127.0.0.2", False, id="an empty only_from admits nobody"),
        pytest.param(None, "127.0.0.2", "127.0.0.2", False, id="refused"),
        pytest.param(None, "127.0.0.2", "127.0.0.3", True, id="another is refused"),
        pytest.param(None, "127.0.0.2", "fd00:1::1", True, id="IPv4 is refused, not IPv6"),
        pytest.param(None, "0.0.0.0/0", "127.0.0.2", False, id="all of IPv4 is refused"),
        pytest.param(None, "0.0.0.0/0", "fd00:1::1", True, id="and IPv6 is not"),
        pytest.param("127.0.0.0/24", "127.0.0.2", "127.0.0.2", False, id="narrower refusal wins"),
        pytest.param("127.0.0.2", "127.0.0.0/24", "127.0.0.2", True, id="narrower admission wins"),
        pytest.param("127.0.0.2", "127.0.0.0/24", "127.0.0.3", False, id="only for the one"),
        pytest.param("127.0.0.0/24", "127.0.0.0/24", "127.0.0.2", False, id="a tie denies"),
        pytest.param("fd00:1::1", "fd00::/16", "fd00:1::1", True, id="narrower admission wins, IPv6"),
        pytest.param("fd00::/16", "fd00:1::/64 fd00:1::1", "fd00:1::2", False, id="narrower refusal wins, IPv6"),
        pytest.param("fd00::/16", "fd00:1::/64 fd00:1::1", "fd00:2::1", True, id="wider admission beside it"),
    ],
)
def test_lists(door: Open, only_from: str | None, no_access: str, source: str, served: bool) -> None:
    admitted = EVERYONE if only_from is None else networks(only_from)
    assert door(admitted, networks(no_access)).serves(source) is served


@pytest.mark.parametrize(
    ("banned", "source", "served"),
    [
        pytest.param("127.0.0.2", "127.0.0.2", False, id="the address"),
        pytest.param("127.0.0.2", "127.0.0.3", True, id="its neighbour"),
        pytest.param("127.0.0.0/24", "127.0.0.3", False, id="a network"),
        pytest.param("127.0.0.0/30", "127.0.0.4", True, id="outside the network"),
        pytest.param("0.0.0.0/0", "127.0.0.2", False, id="everything of IPv4"),
        pytest.param("0.0.0.0/0", "fd00:1::1", True, id="is nothing of IPv6"),
        pytest.param("fd00:1::/64", "fd00:1::2", False, id="an IPv6 network"),
        pytest.param("fd00:1::/64", "fd00:1:0:1::1", True, id="the next one"),
        pytest.param("fd00:1::1", "fd00:1::1", False, id="an IPv6 address"),
        pytest.param("fd00:1::1", "fd00:1::2", True, id="its IPv6 neighbour"),
        pytest.param("::/0", "fd00:1::2", False, id="everything of IPv6"),
        pytest.param("fd00:1::1%lo", "fd00:1::1", True, id="an address of one interface is refused at accept only"),
    ],
)
@pytest.mark.parametrize("until", [math.inf, 1e9], ids=["for ever", "with an end"])
def test_bans(door: Open, bans: SourceFilter, banned: str, until: float, source: str, served: bool) -> None:
    opened = door()
    bans.ban(Network.parse(banned), until)
    assert opened.serves(source) is served
    bans.lift(Network.parse(banned))
    assert opened.serves(source)


def test_a_ban_holds_at_every_listener_and_for_ipv4_on_dual_stack(door: Open, bans: SourceFilter) -> None:
    doors = [door(), door(address="127.0.0.1"), door(no_access=networks("127.0.0.9"))]
    bans.ban(Network.parse("127.0.0.2"), math.inf)
    assert [one.serves("127.0.0.2") for one in doors] == [False, False, False]
    assert [one.serves("127.0.0.3") for one in doors] == [True, True, True]
    later = door()
    assert not later.serves("127.0.0.2")


@pytest.mark.parametrize("source", ["127.0.0.2", "fd00:1::1"])
def test_a_ban_ends_by_itself_in_the_kernel(door: Open, bans: SourceFilter, source: str) -> None:
    opened = door()
    end = soon(0.3)
    bans.ban(Network.parse(source), end)
    before = opened.drops()
    with socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET) as client:
        client.bind((source, 0))
        client.setblocking(False)
        client.connect_ex(("::1" if ":" in source else "127.0.0.1", opened.socket.getsockname()[1]))
        wait_for(lambda: opened.drops() > before, "the first SYN is dropped")
        assert soon(0) < end, "it was dropped in the time of the ban"
        poll = select.poll()
        poll.register(client, select.POLLOUT)
        assert poll.poll(10_000), "a SYN that is sent again gets through"
        assert soon(0) > end
    opened.socket.accept()[0].close()
    assert opened.serves(source)


@pytest.mark.parametrize(
    ("narrow", "wide", "source"),
    [
        ("127.0.0.2", "127.0.0.0/24", "127.0.0.2"),
        ("127.0.0.2", "0.0.0.0/0", "127.0.0.2"),
        ("fd00:1::1", "fd00:1::/64", "fd00:1::1"),
        ("fd00:1::1", "::/0", "fd00:1::1"),
    ],
)
def test_a_narrow_ban_that_ended_does_not_hide_a_wider_one(
    door: Open, bans: SourceFilter, narrow: str, wide: str, source: str
) -> None:
    opened = door()
    bans.ban(Network.parse(narrow), soon(-1))
    assert opened.serves(source)
    bans.ban(Network.parse(wide), math.inf)
    assert not opened.serves(source)
    bans.ban(Network.parse(wide), soon(-1))
    assert opened.serves(source)


def test_every_length_may_have_ended_but_one(door: Open, bans: SourceFilter) -> None:
    opened = door()
    for length in range(1, 129):
        bans.ban(Network.of(Network.parse("fd00:1::1"), length), soon(-1))  # type: ignore[arg-type]
    assert opened.serves("fd00:1::1")
    bans.ban(Network.parse("::/0"), math.inf)
    assert not opened.serves("fd00:1::1")


def test_lists_are_judged_by_the_whole_address_after_a_ban_that_ended(door: Open, bans: SourceFilter) -> None:
    opened = door(no_access=networks("127.0.0.2"))
    bans.ban(Network.parse("127.0.0.2"), soon(-1))
    assert not opened.serves("127.0.0.2")


def test_lifting_what_is_not_banned_is_no_mistake(door: Open, bans: SourceFilter) -> None:
    opened = door()
    bans.ban(Network.parse("127.0.0.0/24"), math.inf)
    bans.lift(Network.parse("127.0.0.2"))
    assert not opened.serves("127.0.0.2"), "only exactly that network is lifted"


@pytest.mark.parametrize("source", ["127.0.0.2", "fd00:1::1"])
def test_established_connections_survive_a_ban(door: Open, bans: SourceFilter, source: str) -> None:
    opened = door()
    client, queued = opened.knock(source), opened.knock(source)
    assert client is not None
    assert queued is not None
    served, _ = opened.socket.accept()
    bans.ban(Network.parse(source), math.inf)
    assert opened.knock(source) is None
    assert talk(client, served)
    client.shutdown(socket.SHUT_WR)
    assert served.recv(1) == b"", "its end comes through as well"
    from_queue, _ = opened.socket.accept()
    assert talk(queued, from_queue), "so does one that waits to be accepted"
    for one in (client, served, queued, from_queue):
        one.close()


def test_replace_is_the_whole_truth(door: Open, bans: SourceFilter) -> None:
    opened = door()
    bans.ban(Network.parse("127.0.0.2"), math.inf)
    bans.ban(Network.parse("fd00:1::1"), math.inf)
    many = [(Network(4, (10 << 24) + number, 32), math.inf) for number in range(900)]
    before = set(os.listdir("/proc/self/fd"))
    bans.replace([*many, (Network.parse("127.0.0.3"), math.inf), (Network.parse("127.0.0.4"), soon(-1))])
    assert len(set(os.listdir("/proc/self/fd"))) == len(before)
    served = [opened.serves(source) for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4", "fd00:1::1")]
    assert served == [True, False, True, True]
    bans.ban(Network.parse("127.0.0.5"), math.inf)
    assert not opened.serves("127.0.0.5"), "a later ban goes into the new truth"


def test_a_full_map_says_so_and_replace_makes_room(door: Open, bans: SourceFilter) -> None:
    opened = door()
    before = len(set(os.listdir("/proc/self/fd")))
    too_many = [(Network(4, (10 << 24) + number, 32), math.inf) for number in range(1025)]
    with pytest.raises(FilterFailed, match="replacing the bans: No space left on device"):
        bans.replace([(Network.parse("127.0.0.2"), math.inf), *too_many])
    assert opened.serves("127.0.0.2"), "nothing was changed"
    assert len(set(os.listdir("/proc/self/fd"))) == before
    bans.replace(too_many[:1024])
    with pytest.raises(FilterFailed, match=r"ban of 127\.0\.0\.2: No space left on device"):
        bans.ban(Network.parse("127.0.0.2"), math.inf)
    bans.replace([])
    bans.ban(Network.parse("127.0.0.2"), math.inf)
    assert not opened.serves("127.0.0.2")


def test_exempt_sources_are_not_judged_by_bans_but_by_lists(door: Open, bans: SourceFilter) -> None:
    opened, strict = door(exempt=networks("127.0.0.6")), door(no_access=networks("127.0.0.5"))
    bans.exempt(networks("127.0.0.5 fd00:1::1"))
    bans.replace([(Network.parse("127.0.0.0/8"), math.inf), (Network.parse("::/0"), math.inf)])
    tried = ("127.0.0.4", "127.0.0.5", "127.0.0.6", "fd00:1::1", "fd00:1::2")
    assert [opened.serves(source) for source in tried] == [False, True, True, True, False]
    assert [strict.serves(source) for source in tried] == [False, False, False, True, False]
    bans.exempt(NOBODY)
    assert [opened.serves(source) for source in tried] == [False, False, True, False, False]


def test_attaching_again_takes_the_place_of_the_old_filter(door: Open, bans: SourceFilter) -> None:
    opened = door(no_access=networks("127.0.0.2"))
    assert not opened.serves("127.0.0.2")
    bans.attach(opened.socket, EVERYONE, networks("127.0.0.3"))
    assert opened.serves("127.0.0.2")
    assert not opened.serves("127.0.0.3")


def test_filters_stay_when_the_maps_are_let_go(door: Open, bans: SourceFilter) -> None:
    before = set(os.listdir("/proc/self/fd"))
    opened = door(no_access=networks("127.0.0.3"))
    assert len(set(os.listdir("/proc/self/fd")) - before) == 1, "the listener's own"
    bans.ban(Network.parse("127.0.0.2"), math.inf)
    bans.close()
    assert [opened.serves(f"127.0.0.{host}") for host in (2, 3, 4)] == [False, False, True]


@pytest.mark.parametrize(
    ("only_from", "no_access", "told"),
    [
        pytest.param(AddressSet((), ("host.example",)), NOBODY, "host names (host.example)", id="a name"),
        pytest.param(EVERYONE, AddressSet((), (".example",)), "host names (.example)", id="a domain"),
        pytest.param(networks("fe80::1%lo"), NOBODY, "interfaces (fe80::1%lo)", id="an interface"),
    ],
)
def test_what_the_kernel_cannot_compare(
    bans: SourceFilter, only_from: AddressSet, no_access: AddressSet, told: str
) -> None:
    with socket.socket() as listener, pytest.raises(FilterFailed) as raised:
        bans.attach(listener, only_from, no_access)
    assert str(raised.value) == f"the kernel cannot compare {told}"


def test_without_rights_the_reason_is_told() -> None:
    program = (
        "import os\nfrom sentinetd.net.filter import SourceFilter\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "print(SourceFilter.available())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("BPF is not permitted: it takes root or CAP_BPF")


def test_availability_leaves_nothing_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    SourceFilter.available()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("host", "source", "other"), [("127.0.0.1", "127.0.0.2", "127.0.0.3"), ("::1", "fd00:1::1", "fd00:2::1")]
)
def test_datagrams(bans: SourceFilter, host: str, source: str, other: str) -> None:
    """Every datagram is judged: there are no sessions. One listener serves both IP versions."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", 0))
        bans.attach(listener, EVERYONE, NOBODY)
        opened = Door(listener)

        def hears(sender: str) -> bool:
            before = opened.drops()
            with socket.socket(socket.AF_INET6 if ":" in sender else socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind((sender, 0))
                client.sendto(b"\x10" * 32, (host, listener.getsockname()[1]))  # where TCP has its flags: an ACK
            came = select.poll()
            came.register(listener, select.POLLIN)
            wait_for(lambda: bool(came.poll(0)) or opened.drops() > before, f"a datagram from {sender}")
            return bool(came.poll(0)) and listener.recv(64) == b"\x10" * 32

        assert hears(source)
        bans.ban(Network.parse(source), math.inf)
        assert not hears(source)
        assert hears(other)
        bans.lift(Network.parse(source))
        assert hears(source)


def test_a_replacement_in_steps_holds_when_it_is_done(door: Open, bans: SourceFilter) -> None:
    opened = door()
    bans.ban(Network.parse("127.0.0.2"), math.inf)
    many = [(Network(4, 0x0A000000 + number, 32), math.inf) for number in range(500)]
    steps = bans.replacing([*many, (Network.parse("127.0.0.3"), math.inf), *many])
    next(steps)
    assert [opened.serves(one) for one in ("127.0.0.2", "127.0.0.3")] == [False, True]
    assert list(steps) == [None]
    assert [opened.serves(one) for one in ("127.0.0.2", "127.0.0.3")] == [True, False]


def test_a_replacement_that_is_given_up_changes_nothing(door: Open, bans: SourceFilter) -> None:
    opened = door()
    bans.ban(Network.parse("127.0.0.2"), math.inf)
    before = os.listdir("/proc/self/fd")
    steps = bans.replacing([(Network.parse("127.0.0.3"), math.inf)])
    next(steps)
    steps.close()
    assert os.listdir("/proc/self/fd") == before
    assert [opened.serves(one) for one in ("127.0.0.2", "127.0.0.3")] == [False, True]


def test_detached(door: Open, bans: SourceFilter) -> None:
    opened = door()
    bans.ban(Network.parse("127.0.0.2"), math.inf)
    assert not opened.serves("127.0.0.2")
    bans.detach(opened.socket)
    assert opened.serves("127.0.0.2")
    bans.detach(opened.socket)
