"""The bans in force, played against a plain dictionary; and what a ban costs."""

from __future__ import annotations

import math
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinetd.model.address import BITS, Address, Network
from sentinetd.policy.ledger import ENDLESS_IDLE, Ledger, shared_end

NOW = 1_000_000.0
MANY = 2_000_000


def ledger(*bans: tuple[str, float], maximum: int = MANY) -> Ledger:
    made = Ledger(maximum)
    for network, until in bans:
        made.impose(Network.parse(network), until)
    return made


@pytest.mark.parametrize(
    ("banned", "source", "held"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", True, id="host"),
        pytest.param("192.0.2.0", "192.0.2.9", False, id="an address that ends in zero is one host"),
        pytest.param("192.0.2.1", "192.0.2.2", False, id="neighbour"),
        pytest.param("192.0.2.0/24", "192.0.2.255", True, id="network"),
        pytest.param("0.0.0.0/0", "203.0.113.1", True, id="everybody"),
        pytest.param("0.0.0.0/0", "2001:db8::1", False, id="everybody of one family"),
        pytest.param("::192.0.2.1", "192.0.2.1", False, id="the same number in the other family"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", True, id="mapped is IPv4"),
        pytest.param("2001:db8:0:1::/64", "2001:db8:0:1:ffff::1", True, id="the same 64"),
        pytest.param("2001:db8:0:1::/64", "2001:db8:0:2::1", False, id="the next 64"),
        pytest.param("fe80::1%eth0", "fe80::1%eth0", True, id="link-local, same interface"),
        pytest.param("fe80::1%eth0", "fe80::1%eth1", False, id="link-local, other interface"),
        pytest.param("fe80::1", "fe80::1%eth1", True, id="link-local, any interface"),
    ],
)
def test_holds(banned: str, source: str, held: bool) -> None:
    assert ledger((banned, NOW + 1)).holds(Address.parse(source), NOW) is held


@pytest.mark.parametrize(
    ("until", "now", "held"),
    [
        pytest.param(NOW + 0.25, NOW + 0.2499, True, id="just before"),
        pytest.param(NOW + 0.25, NOW + 0.25, False, id="at its end"),
        pytest.param(math.inf, 1e12, True, id="for ever"),
    ],
)
def test_an_end_is_exact_whether_or_not_it_was_looked_at(until: float, now: float, held: bool) -> None:
    assert ledger(("192.0.2.1", until)).holds(Address.parse("192.0.2.1"), now) is held


def test_only_a_later_end_replaces_an_earlier_one() -> None:
    made, network = ledger(("192.0.2.1", NOW + 10)), Network.parse("192.0.2.1")
    assert [made.impose(network, NOW + end) for end in (5, 10, 20)] == [False, False, True]
    assert made.until(network) == NOW + 20
    assert made.impose(network, math.inf)
    assert not made.impose(network, NOW + 30)
    assert len(made) == 1


def test_what_was_lengthened_ends_at_its_new_time_and_once() -> None:
    made, network = ledger(("192.0.2.1", NOW + 10)), Network.parse("192.0.2.1")
    made.impose(network, NOW + 20)
    assert made.expire(NOW + 15) == []
    assert made.deadline() == NOW + 20
    assert made.expire(NOW + 20) == [network]
    assert (len(made), made.deadline(), made.expire(NOW + 99)) == (0, None, [])


def test_what_was_lifted_and_imposed_anew_for_less_ends_at_its_time() -> None:
    made, network = ledger(("192.0.2.1", NOW + 50)), Network.parse("192.0.2.1")
    assert made.lift(network)
    assert not made.lift(network)
    made.impose(network, NOW + 10)
    assert made.expire(NOW + 10) == [network]
    made.impose(network, NOW + 90)
    assert made.expire(NOW + 50) == []
    assert made.expire(NOW + 90) == [network]


def test_a_source_that_touches_again_and_again_takes_one_place() -> None:
    made = Ledger(MANY)
    network = Network.parse("192.0.2.1")
    for number in range(10_000):
        made.impose(network, NOW + number / 100)
    entries = sum(len(keys) for table in made._tables.values() for keys in table.passing.buckets.values())
    assert (len(made), entries) == (1, 1)


@pytest.mark.parametrize(
    ("maximum", "gone"),
    [
        pytest.param(3, ["192.0.2.2"], id="soonest end first"),
        pytest.param(2, ["192.0.2.2", "2001:db8::1"], id="of whatever family"),
        pytest.param(1, ["192.0.2.2", "2001:db8::1", "192.0.2.3"], id="a lengthened one by its new end"),
        pytest.param(0, ["192.0.2.2", "2001:db8::1", "192.0.2.3", "192.0.2.1"], id="endless ones last"),
    ],
)
def test_overflow(maximum: int, gone: list[str]) -> None:
    made = ledger(
        ("192.0.2.1", math.inf), ("192.0.2.2", NOW + 20), ("192.0.2.3", NOW + 10), ("2001:db8::1", NOW + 30),
        ("192.0.2.3", NOW + 40), maximum=maximum,
    )  # fmt: skip
    assert [str(network) for network in made.overflow()] == gone
    assert len(made) == maximum


def test_one_that_became_endless_is_not_taken_for_one_that_ends() -> None:
    made = ledger(("192.0.2.1", NOW + 10), ("192.0.2.1", math.inf), ("192.0.2.2", NOW + 20), maximum=1)
    assert [str(network) for network in made.overflow()] == ["192.0.2.2"]
    assert made.expire(NOW + 99) == []


class Model:
    """The ledger as plain as it can be: a list of bans in the order in which they became what they are."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.bans: dict[Network, tuple[float, bool]] = {}

    def impose(self, network: Network, until: float, kept: bool) -> bool:
        before = self.bans.get(network)
        after = (until, kept) if before is None else (max(until, before[0]), kept or before[1])
        self.bans[network] = after
        return before != after

    def may_go(self) -> set[Network]:
        """Those of which one is to go next: of the earliest second; endless ones, any; an operator's after all."""
        mine = [one for one in self.bans.items() if not one[1][1]] or list(self.bans.items())
        finite = [one for one in mine if not math.isinf(one[1][0])] or mine
        first = min(math.ceil(until) if until != math.inf else math.inf for _, (until, _) in finite)
        return {network for network, (until, _) in finite if until == math.inf or math.ceil(until) == first}

    def holds(self, source: Address, now: float) -> bool:
        return any(network.holds(source) and until > now for network, (until, _) in self.bans.items())


NETWORKS = ["192.0.2.1", "192.0.2.2", "192.0.2.0/24", "2001:db8::/64", "2001:db8::1", "fe80::1%eth0", "0.0.0.0/0"]
SOURCES = [Address.parse(text) for text in ("192.0.2.1", "192.0.2.9", "2001:db8::1", "fe80::1%eth0", "fe80::1%eth1")]
ENDS = st.one_of(st.floats(0.1, 50.0), st.integers(1, 5).map(float), st.just(math.inf))
STEP = st.one_of(
    st.tuples(st.sampled_from(["impose", "keep", "recall"]), st.sampled_from(NETWORKS), ENDS),
    st.tuples(st.just("lift"), st.sampled_from(NETWORKS), st.just(0.0)),
    st.tuples(st.just("clear"), st.just(NETWORKS[0]), st.just(0.0)),
    st.tuples(st.just("pass"), st.just(NETWORKS[0]), st.floats(0.0, 30.0)),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(STEP, max_size=40), st.sampled_from([1, 2, 4, MANY]))
def test_agrees_with_a_plain_model(steps: list[tuple[str, str, float]], maximum: int) -> None:
    made, model, now = Ledger(maximum), Model(maximum), NOW
    for what, text, number in steps:
        network = Network.parse(text)
        if what in ("impose", "keep"):
            until = now + number
            assert made.impose(network, until, kept=what == "keep") is model.impose(network, until, what == "keep")
        elif what == "recall":
            until, prefix = now + number, network.value >> BITS[network.version] - network.length
            new = network not in model.bans
            model.impose(network, until, False)
            rows = [(prefix, until)]
            assert made.recall(network.version, network.length, network.scope, rows, kept=False) == new
        elif what == "lift":
            assert made.lift(network) is (model.bans.pop(network, None) is not None)
        elif what == "clear":
            made.clear()
            model.bans.clear()
        else:
            now = math.ceil(now + number)  # ends are looked at by the second
            ended = made.expire(now)
            assert len(ended) == len(set(ended))
            assert set(ended) == {one for one, (until, _) in model.bans.items() if until <= now}
            for one in ended:
                del model.bans[one]
        for gone in made.overflow():
            assert gone in model.may_go()
            del model.bans[gone]
        assert dict(made.bans()) == {one: until for one, (until, _) in model.bans.items()}
        assert len(made) == len(model.bans) <= maximum
        assert [made.holds(source, now) for source in SOURCES] == [model.holds(source, now) for source in SOURCES]
        finite = [until for until, _ in model.bans.values() if not math.isinf(until)]
        due = made.deadline()
        assert not finite or (due is not None and due <= math.ceil(min(finite)))


def test_endless_bans_that_come_and_go_take_no_more_and_more_room() -> None:
    made, network = Ledger(MANY), Network.parse("192.0.2.1")
    for _ in range(10_000):
        made.impose(network, math.inf)
        made.lift(network)
    made.impose(network, math.inf)
    assert sum(len(table.passing.endless) for table in made._tables.values()) <= ENDLESS_IDLE + 3
    assert list(made.bans()) == [(network, math.inf)]


def filled(count: int) -> tuple[Ledger, list[Address]]:
    """A ledger of *count* hosts all over IPv4, banned within one hour for an hour, and the hosts."""
    dice = random.Random(7)
    made = Ledger(MANY)
    values = dice.sample(range(1 << 32), count)
    for value in values:
        made.impose(Network(4, value, 32), NOW + dice.random() * 3600)
    return made, [Address(4, value, "") for value in values]


def test_a_ban_of_an_ipv4_host_takes_at_most_110_bytes() -> None:
    """Where bans are many, many end at the same time."""
    count = 100_000
    dice = random.Random(7)
    hosts = [str(Network(4, value, 32)) for value in dice.sample(range(1 << 32), count)]
    tracemalloc.start()
    try:
        made = Ledger(MANY)
        for host in hosts:
            made.impose(Network.parse(host), shared_end(NOW + dice.random() * 3600))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(made) == count
    assert size / count <= 110


@given(st.floats(0.25, 1e9))
def test_a_shared_end_is_never_early_and_hardly_late(until: float) -> None:
    assert 0 <= shared_end(until) - until < 0.25
    assert shared_end(shared_end(until)) == shared_end(until)
    assert shared_end(math.inf) == math.inf


class Counting(dict[int, float]):
    """A table that counts how often it is asked."""

    asked = 0

    def get(self, key: int, default: float | None = None) -> float | None:  # type: ignore[override]
        self.asked += 1
        return super().get(key, default)


@pytest.mark.parametrize("count", [10, 10_000])
def test_a_look_up_asks_once_for_each_prefix_length_however_many_bans_there_are(count: int) -> None:
    made, hosts = filled(count)
    made.impose(Network.parse("198.51.100.0/24"), NOW + 1)
    counting = []
    for table in made._tables.values():
        table.ends = Counting(table.ends)  # type: ignore[assignment, arg-type]
        counting.append(table.ends)
    made.holds(Address(4, 1, "0.0.0.1"), NOW)
    assert [table.asked for table in counting] == [1, 1]  # type: ignore[attr-defined]
    assert made.holds(hosts[0], NOW)
