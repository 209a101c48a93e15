from __future__ import annotations

import errno
import math
import re
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from firewall.loopback import Server, furnish
from rig.deadline import wait_for
from rig.network import run
from sentinetd.daemon.loop import boottime
from sentinetd.errors import EdgeError
from sentinetd.firewall import tables as tb
from sentinetd.firewall.framing import attributes
from sentinetd.firewall.netfilter import NetfilterError
from sentinetd.firewall.nftables import Nftables
from sentinetd.firewall.own_table import OwnTable
from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.guarded import GuardedPort
from sentinetd.model.settings import AtStop, FirewallSettings, Guarded, Refusing

REFUSED_WITHIN = 3600.0
Made = Callable[..., Nftables]


def net(text: str) -> Network:
    return Network.parse(text)


def listed() -> str:
    return run("nft", "list", "ruleset").stdout


@pytest.fixture
def make(namespace: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """Makes keepers that are open and hold nothing; *updates* False: as a kernel before 6.12."""
    furnish()
    tables: list[OwnTable] = []

    def made(
        settings: FirewallSettings | None = None, maximum: int = 1000, spare: int = 100, updates: bool = True
    ) -> Nftables:
        tables.append(OwnTable("sentinetd"))
        if not updates:
            monkeypatch.setattr(Nftables, "_probed", lambda self: False)
        keeper = Nftables(tables[-1], settings or FirewallSettings(), maximum, boottime, spare)
        keeper.open()
        fill(keeper, ())
        return keeper

    yield made
    for table in tables:
        table.close()


def fill(keeper: Nftables, bans: Iterable[tuple[Network, float]]) -> None:
    for _ in keeper.replace(bans):
        pass


def impose(keeper: Nftables, *networks: str, seconds: float = REFUSED_WITHIN) -> None:
    keeper.apply({net(one): boottime() + seconds for one in networks}, (), ())


def lift(keeper: Nftables, *networks: str) -> None:
    keeper.apply({}, [net(one) for one in networks], ())


@pytest.fixture(params=[True, False], ids=["elements are updated", "elements are made anew"])
def keeper(request: pytest.FixtureRequest, make: Made) -> Nftables:
    return make(updates=request.param)


@pytest.mark.parametrize(
    ("banned", "refused", "served"),
    [
        pytest.param("127.0.0.5", "127.0.0.5", "127.0.0.6", id="an address"),
        pytest.param("127.0.1.0/24", "127.0.1.255", "127.0.2.1", id="a network"),
        pytest.param("127.128.0.0/9", "127.200.3.4", "127.0.0.6", id="a network that ends within a byte"),
        pytest.param("2001:db8::5", "2001:db8::5", "2001:db8::6", id="an IPv6 address"),
        pytest.param("2001:db8::/64", "2001:db8::6", "2001:db8:0:1::5", id="an IPv6 network"),
        pytest.param("0.0.0.0/0", "127.0.0.5", "2001:db8::6", id="all of IPv4"),
    ],
)
def test_refused_and_served(make: Made, banned: str, refused: str, served: str) -> None:
    keeper = make()
    with Server("127.0.0.1") as four, Server("2001:db8::1") as six:
        servers = {False: four, True: six}
        for source in (refused, served):
            assert servers[":" in source].fate(source) == "open"
        impose(keeper, banned)
        assert servers[":" in refused].fate(refused) == "drop"
        assert servers[":" in served].fate(served) == "open"
        lift(keeper, banned)
        assert servers[":" in refused].fate(refused) == "open"


def test_of_a_narrow_and_a_wide_ban_both_hold(keeper: Nftables) -> None:
    with Server() as server:
        impose(keeper, "127.0.0.5", "127.0.0.0/24")
        lift(keeper, "127.0.0.5")
        assert server.fate("127.0.0.5") == "drop"
        impose(keeper, "127.0.0.5")
        lift(keeper, "127.0.0.0/24")
        assert server.fate("127.0.0.5") == "drop"
        assert server.fate("127.0.0.6") == "open"


def test_a_ban_ends_by_itself(keeper: Nftables) -> None:
    with Server() as server:
        impose(keeper, "127.0.0.5", seconds=1.5)
        assert server.fate("127.0.0.5") == "drop"
        wait_for(lambda: server.fate("127.0.0.5") == "open", "the end of the ban")
        impose(keeper, "127.0.0.5")
        assert server.fate("127.0.0.5") == "drop"


def left(network: str) -> float:
    """Seconds that the kernel says are left of a ban; `math.inf` if it has no end, -1.0 if there is none."""
    match = re.search(rf"{re.escape(network)}(?: timeout \S+)?(?: expires (\S+))?[ ,]", listed().replace("\n", " "))
    if match is None:
        return -1.0
    if match[1] is None:
        return math.inf
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)(ms|[dhms])", match[1]))


def test_ends_are_moved(keeper: Nftables) -> None:
    impose(keeper, "192.0.2.1", seconds=100)
    assert 90 < left("192.0.2.1") <= 100
    impose(keeper, "192.0.2.1", seconds=1000)
    assert 990 < left("192.0.2.1") <= 1000
    impose(keeper, "192.0.2.1", seconds=500)
    assert 490 < left("192.0.2.1") <= 500
    impose(keeper, "192.0.2.1", seconds=math.inf)
    assert left("192.0.2.1") == math.inf
    impose(keeper, "192.0.2.1", seconds=700)
    assert 690 < left("192.0.2.1") <= 700
    lift(keeper, "192.0.2.1")
    assert left("192.0.2.1") == -1.0


def test_the_same_span_again_begins_anew(keeper: Nftables) -> None:
    """As each trip does: the span is the sensor's and never changes."""
    impose(keeper, "192.0.2.1", seconds=1000)
    wait_for(lambda: left("192.0.2.1") < 999.5, "some of the time to go by")
    impose(keeper, "192.0.2.1", seconds=1000)
    assert left("192.0.2.1") >= 999.5


def test_what_has_ended_is_not_imposed_again(keeper: Nftables) -> None:
    impose(keeper, "192.0.2.1", seconds=-1.0)
    fill(keeper, [(net("192.0.2.2"), boottime() - 1.0)])
    assert left("192.0.2.1") == left("192.0.2.2") == -1.0


def test_what_ended_while_the_machine_slept_is_lifted(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = make()
    impose(keeper, "192.0.2.1", "192.0.2.2")
    keeper.apply({}, (), [net("192.0.2.1")])
    assert left("192.0.2.1") > 0  # the kernel ends it; there is nothing to do
    monkeypatch.setattr("sentinetd.firewall.nftables._asleep", lambda: 1e6)
    keeper.apply({}, (), [net("192.0.2.1")])
    assert left("192.0.2.1") == -1.0
    assert left("192.0.2.2") > 0


def test_exempt_inside_a_banned_network(make: Made) -> None:
    keeper = make()
    with Server("127.0.0.1") as four, Server("2001:db8::1") as six:
        impose(keeper, "127.0.0.0/16", "2001:db8::/64", "127.0.0.9")
        keeper.exempt(AddressSet((net("127.0.0.9"), net("127.0.7.0/24"), net("2001:db8::6"), net("fe80::1%lo"))))
        assert [four.fate(one) for one in ("127.0.0.9", "127.0.7.7", "127.0.0.5")] == ["open", "open", "drop"]
        assert [six.fate(one) for one in ("2001:db8::6", "2001:db8::5")] == ["open", "drop"]
        fill(keeper, [(net("127.0.0.0/16"), math.inf)])
        assert [four.fate(one) for one in ("127.0.0.9", "127.0.7.7", "127.0.0.5")] == ["open", "open", "drop"]
        keeper.exempt(AddressSet())
        assert four.fate("127.0.0.9") == "drop"


def own_port(server: Server, at: bool = True, protocol: int = 6) -> GuardedPort:
    address = Address.parse(server.address)
    return GuardedPort(protocol, address.version, address if at else None, server.port)


@pytest.mark.parametrize("at", [True, False], ids=["of one address", "of every address"])
@pytest.mark.parametrize("address", ["127.0.0.1", "2001:db8::1"])
def test_only_our_own_ports(make: Made, address: str, at: bool) -> None:
    keeper = make(FirewallSettings(ports=Guarded.OWN))
    source = "2001:db8::5" if ":" in address else "127.0.0.5"
    with Server(address) as ours, Server(address) as other:
        impose(keeper, source)
        assert ours.fate(source) == "open"
        keeper.guard([own_port(ours, at)])
        assert (ours.fate(source), other.fate(source)) == ("drop", "open")
        keeper.guard([own_port(other, at)])
        assert (ours.fate(source), other.fate(source)) == ("open", "drop")
        keeper.guard([])
        assert other.fate(source) == "open"


def test_a_port_of_one_address_is_not_that_of_another(make: Made) -> None:
    keeper = make(FirewallSettings(ports=Guarded.OWN))
    with Server("127.0.0.1") as ours:
        impose(keeper, "127.0.0.5")
        keeper.guard([replace(own_port(ours), address=Address.parse("127.0.0.2"))])
        assert ours.fate("127.0.0.5") == "open"


@pytest.mark.parametrize("ports", Guarded)
@pytest.mark.parametrize("verdict", Refusing)
def test_datagrams_to_our_ports_only(make: Made, ports: Guarded, verdict: Refusing) -> None:
    keeper = make(FirewallSettings(ports=ports, verdict=verdict))
    with Server() as ours, Server() as other:
        keeper.guard([own_port(ours, protocol=17)])
        assert ours.hears("127.0.0.5")
        impose(keeper, "127.0.0.5")
        assert not ours.hears("127.0.0.5")
        assert other.hears("127.0.0.5")
        assert ours.hears("127.0.0.6")


def test_rejected_by_a_reset(make: Made) -> None:
    keeper = make(FirewallSettings(verdict=Refusing.REJECT))
    with Server("127.0.0.1") as four, Server("2001:db8::1") as six:
        impose(keeper, "127.0.0.5", "2001:db8::/64")
        assert four.fate("127.0.0.5") == six.fate("2001:db8::5") == "reject"
        assert four.fate("127.0.0.6") == "open"


def test_an_open_session_goes_on(keeper: Nftables) -> None:
    with Server() as server, server.connected("127.0.0.5") as client:
        accepted = server.tcp.accept()[0]
        with accepted:
            impose(keeper, "127.0.0.5")
            for _ in range(3):
                client.sendall(b"to")
                assert accepted.recv(2) == b"to"
                accepted.sendall(b"fro")
                assert client.recv(3) == b"fro"
        assert server.fate("127.0.0.5") == "drop"


def test_what_the_host_begins_is_answered(keeper: Nftables) -> None:
    """The banned one is a server that the host's own client, ours, calls; and it is pinged."""
    with Server("127.0.0.5") as theirs:
        impose(keeper, "127.0.0.5")
        assert theirs.fate("127.0.0.1") == "open"
        assert theirs.hears("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
        ping.settimeout(20)
        ping.bind(("127.0.0.5", 0))
        ping.sendto(struct.pack(">BBHHH", 8, 0, 0xF7FD, 1, 1), ("127.0.0.1", 0))
        assert ping.recvfrom(100)[0][20] == 0  # an echo reply, behind the IP header


@pytest.mark.parametrize("forwarded", [False, True])
def test_what_is_only_passed_on(make: Made, forwarded: bool) -> None:
    keeper = make(FirewallSettings(forwarded=forwarded))
    impose(keeper, "192.0.2.1")
    assert ("fib daddr type local" in listed()) is not forwarded


def test_a_full_set_is_told_as_such_and_a_larger_one_mends_it(make: Made) -> None:
    keeper = make(maximum=3, spare=0)
    impose(keeper, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    with pytest.raises(NetfilterError, match="the set is full") as caught:
        impose(keeper, "192.0.2.4")
    assert caught.value.errno == errno.ENFILE
    impose(keeper, "192.0.2.1")
    assert left("192.0.2.4") == -1.0
    keeper.open()
    fill(keeper, [(net(f"192.0.2.{last}"), math.inf) for last in (2, 3, 4)])
    assert left("192.0.2.4") == math.inf
    assert left("192.0.2.1") == -1.0


def test_replacing_leaves_no_gap(make: Made) -> None:
    keeper = make(maximum=5000)
    impose(keeper, "127.0.0.5", "127.0.0.6")
    many = [(net(f"10.1.{high}.{low}"), math.inf) for high in range(10) for low in range(250)]
    with Server() as server:
        steps = keeper.replace([*many, (net("127.0.0.5"), math.inf), (net("127.0.0.7"), math.inf)])
        count = 0
        for _ in steps:
            count += 1
            assert [server.fate(f"127.0.0.{last}") for last in (5, 6, 7)] == ["drop", "drop", "open"]
        assert count == 6
        assert [server.fate(f"127.0.0.{last}") for last in (5, 6, 7)] == ["drop", "open", "drop"]
    assert left("10.1.9.249") == math.inf


def test_a_replacement_that_was_given_up_leaves_nothing_behind(make: Made) -> None:
    keeper = make(maximum=5000)
    steps = keeper.replace([(net(f"10.1.{high}.{low}"), math.inf) for high in range(10) for low in range(250)])
    next(steps)
    assert "10.1.1.1" in listed()
    fill(keeper, [(net("192.0.2.1"), math.inf)])
    assert "10.1.1.1" not in listed()
    assert len(re.findall(r"\bset \S+ {", listed())) == 1


@pytest.mark.parametrize("at_stop", AtStop)
def test_what_stays_when_the_daemon_ends(make: Made, at_stop: AtStop) -> None:
    keeper = make(FirewallSettings(at_stop=at_stop))
    with Server() as server:
        impose(keeper, "127.0.0.5")
        keeper.close()
        assert server.fate("127.0.0.5") == ("drop" if at_stop is AtStop.KEEP else "open")
        assert bool(listed()) is (at_stop is AtStop.KEEP)


def test_after_a_crash_the_bans_hold_until_the_whole_truth_is_there(make: Made, namespace: object) -> None:
    crashed = make()
    impose(crashed, "127.0.0.5", "127.0.0.6")
    crashed._table.close()  # as the end of its process does it
    with Server() as server:
        assert server.fate("127.0.0.5") == "drop"
        table = OwnTable("sentinetd")
        successor = Nftables(table, FirewallSettings(), 1000, boottime)
        successor.open()
        assert server.fate("127.0.0.5") == "drop"
        fill(successor, [(net("127.0.0.6"), math.inf)])
        assert [server.fate(one) for one in ("127.0.0.5", "127.0.0.6")] == ["open", "drop"]
        table.close()


@pytest.mark.parametrize(
    "words", [["flush", "ruleset"], ["flush", "chain", "inet", "sentinetd", "judge"]], ids=" ".join
)
def test_what_others_destroy_is_noticed_and_mended(namespace: object, words: list[str]) -> None:
    table = OwnTable("sentinetd", 0)  # as on a kernel that knows no owners
    keeper = Nftables(table, FirewallSettings(), 1000, boottime)
    keeper.open()
    fill(keeper, [(net("127.0.0.5"), math.inf)])
    with Server() as server:
        assert server.fate("127.0.0.5") == "drop"
        assert keeper.trouble() == ""
        run("nft", *words)
        assert server.fate("127.0.0.5") == "open"
        assert "another program changed" in keeper.trouble()
        keeper.open()
        fill(keeper, [(net("127.0.0.5"), math.inf)])
        assert server.fate("127.0.0.5") == "drop"
        assert keeper.trouble() == ""
    table.remove()


def test_a_kernel_without_an_expression_says_which(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = make(FirewallSettings(verdict=Refusing.REJECT))
    monkeypatch.setattr("sentinetd.firewall.expressions.reset", lambda: tb.nested(1, tb.text(1, "nonesuch")))
    with pytest.raises(EdgeError, match=r"this kernel lacks one of the expressions .*nonesuch"):
        keeper.exempt(AddressSet((net("127.0.0.9"),)))


def test_two_daemons_in_one_namespace(make: Made) -> None:
    keeper = make()
    second = OwnTable("second")
    other = Nftables(second, FirewallSettings(table="second"), 1000, boottime)
    other.open()
    fill(other, [(net("127.0.0.6"), math.inf)])
    impose(keeper, "127.0.0.5")
    with Server() as server:
        assert [server.fate(f"127.0.0.{last}") for last in (5, 6, 7)] == ["drop", "drop", "open"]
    second.remove()


def test_many(make: Made) -> None:
    keeper = make(maximum=50_000)
    fill(keeper, ((Network(4, 0x0A000000 + number, 32), math.inf) for number in range(50_000)))
    (name,) = [one for one in keeper._table.sets() if one.startswith("ban")]
    rows = [dict(attributes(answer.body))[3] for answer in keeper._table.elements(name)]
    assert sum(1 for row in rows for _ in attributes(row)) == 50_000
    with Server() as server:
        assert server.fate("127.0.0.5") == "open"
