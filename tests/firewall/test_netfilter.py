from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from rig.network import run
from sentinetd.firewall import expressions as ex
from sentinetd.firewall import tables as tb
from sentinetd.firewall.netfilter import OF_THE_WHOLE, Message, Netfilter, NetfilterError, Watch
from sentinetd.firewall.tables import Key, KeyType

IPV4 = Key((KeyType.IPV4,))
PR_CAPBSET_DROP, CAP_NET_ADMIN = 24, 12


@pytest.fixture
def kernel(namespace: object) -> Iterator[Netfilter]:
    opened = Netfilter()
    yield opened
    opened.close()


def listed() -> str:
    return run("nft", "list", "ruleset").stdout


def made(name: str = "mine") -> list[Message]:
    return [
        tb.table(name, 0),
        tb.hash_set(name, "some", IPV4, 2, timeouts=True),
        tb.hooked_chain(name, "begin", tb.PREROUTING, -310),
        tb.chain(name, "judge"),
        tb.rule(name, "begin", ex.begins_connection(), ex.verdict(ex.JUMP, "judge")),
        tb.rule(
            name, "judge",
            ex.family(4), ex.payload(ex.NETWORK_HEADER, ex.SOURCE[4]), ex.masked(b"\xff\xff\xff\0"),
            ex.looked_up("some"), ex.local_destination(), ex.counter(), ex.verdict(ex.DROP),
        ),
        *tb.elements(name, "some", [tb.element(bytes([192, 0, 2, 1]))]),
    ]  # fmt: skip


def test_a_transaction_takes_effect_as_nft_lists_it(kernel: Netfilter) -> None:
    kernel.transact(made(), "making")
    told = " ".join(listed().split())
    for older, newer in (("flags syn / syn,ack ", "flags & (syn | ack) == syn "), ("== @", "@")):
        told = told.replace(older, newer)
    assert told == (
        "table inet mine { set some { type ipv4_addr size 2 flags timeout elements = { 192.0.2.1 } } "
        "chain begin { type filter hook prerouting priority raw - 10; policy accept; "
        "tcp flags & (syn | ack) == syn jump judge } "
        "chain judge { ip saddr & 255.255.255.0 @some fib daddr type local counter packets 0 bytes 0 drop } }"
    )


@pytest.mark.parametrize(
    ("messages", "code", "index"),
    [
        pytest.param([tb.no_set("mine", "none")], errno.ENOENT, 0, id="what is not there"),
        pytest.param(
            [*tb.elements("mine", "some", [tb.element(b"\1\1\1\1")]), tb.no_set("mine", "none")], errno.ENOENT, 1,
            id="the second of two",
        ),
        pytest.param(
            [tb.no_set("mine", "none"), *tb.elements("mine", "nor this", [tb.element(b"\1\1\1\1")])], errno.ENOENT, 0,
            id="both: the first is told",
        ),
        pytest.param(
            tb.elements("mine", "some", [tb.element(bytes([1, 1, 1, last])) for last in range(3)]), errno.ENFILE, 0,
            id="a set that is full",
        ),
        pytest.param([tb.rule("mine", "judge", ex.expression("nonsense"))], errno.ENOENT, 0, id="no such expression"),
    ],
)  # fmt: skip
def test_of_a_refused_transaction_nothing_is_in_force(
    kernel: Netfilter, messages: list[Message], code: int, index: int
) -> None:
    kernel.transact(made(), "making")
    before = listed()
    with pytest.raises(NetfilterError, match=r"^trying: .+ \(message \d\)") as caught:
        kernel.transact(messages, "trying")
    assert (caught.value.errno, caught.value.index) == (code, index)
    assert not caught.value.transient
    assert listed() == before
    kernel.transact([tb.no_table("mine")], "the socket can be used as before")
    assert listed() == ""


def test_the_kernels_own_words_are_told(kernel: Netfilter) -> None:
    kernel.transact([tb.table("mine", 0)], "making")
    with pytest.raises(NetfilterError) as caught:
        kernel.transact([tb.table("mine", 0), Message(tb.NEW_TABLE, b"\x03\0\x01\0", 0)], "trying")
    assert caught.value.index == 1
    assert caught.value.detail
    assert str(caught.value).endswith(caught.value.detail)


def without_right(work: Callable[[], None]) -> None:
    """Do *work* in a thread that may not administer the network; what it raises is raised here."""
    raised: list[BaseException] = []

    def confined() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        data = (ctypes.c_uint32 * 6)()
        assert libc.capget(header, data) == 0
        data[0] &= ~(1 << CAP_NET_ADMIN)
        assert libc.capset(header, data) == 0
        try:
            work()
        except BaseException as error:  # carried over to the test's own thread
            raised.append(error)

    thread = threading.Thread(target=confined)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def test_without_the_right_the_whole_is_refused(kernel: Netfilter) -> None:
    def try_it() -> None:
        kernel.transact(made(), "making")

    with pytest.raises(NetfilterError) as caught:
        without_right(try_it)
    assert (caught.value.errno, caught.value.index) == (errno.EPERM, OF_THE_WHOLE)
    with pytest.raises(NetfilterError) as caught:
        without_right(lambda: Watch(1).close())
    assert caught.value.errno == errno.EPERM


def test_ten_thousand_elements_in_one_transaction(kernel: Netfilter) -> None:
    keys = [tb.element(number.to_bytes(4, "big")) for number in range(10_000)]
    kernel.transact(
        [tb.table("mine", 0), tb.hash_set("mine", "many", IPV4, 10_000), *tb.elements("mine", "many", keys)], "filling"
    )
    told = kernel.ask(tb.GET_ELEMENTS, tb.named_set("mine", "many"), "reading", dump=True)
    assert sum(len(tb.keys_in(one)) for one in told) == 10_000


def test_answers_that_had_no_room_are_a_passing_trouble(kernel: Netfilter) -> None:
    kernel.transact(made(), "making")
    kernel._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with pytest.raises(NetfilterError) as caught:
        kernel.transact([tb.no_set("mine", f"s{number}") for number in range(5000)], "failing at length")
    assert caught.value.errno == errno.ENOBUFS
    assert caught.value.transient
    kernel.transact(tb.elements("mine", "some", [tb.element(b"\1\1\1\1")]), "adding")
    assert "1.1.1.1" in listed()


def test_a_question_about_what_is_not_there(kernel: Netfilter) -> None:
    with pytest.raises(NetfilterError, match="looking: No such file") as caught:
        kernel.ask(tb.GET_TABLE, tb.named_table("mine"), "looking")
    assert caught.value.errno == errno.ENOENT


def test_an_error_leaves_no_answer_behind_for_the_next_transaction(kernel: Netfilter) -> None:
    kernel.transact(made(), "making")
    for _ in range(3):
        with pytest.raises(NetfilterError):
            kernel.transact([tb.no_set("mine", name) for name in "abcdefgh"], "failing eightfold")
        kernel.transact(tb.elements("mine", "some", [tb.element(b"\1\1\1\1")]), "adding")


def test_sequence_numbers_begin_again(kernel: Netfilter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinetd.firewall.netfilter.LAST_SEQUENCE", 20)
    for _ in range(10):
        kernel.transact(made(), "making")
        kernel.transact([tb.no_table("mine")], "removing")
        kernel.ask(tb.GET_TABLE, b"", "listing", dump=True)


def readable(watch: Watch, within: float) -> bool:
    return bool(select.select([watch], [], [], within)[0])


def test_a_watch_tells_of_others_and_not_of_us(kernel: Netfilter) -> None:
    watch = Watch(kernel.port)
    kernel.transact(made(), "making")
    assert not readable(watch, 0)
    run("nft", "add", "element", "inet", "mine", "some", "{ 192.0.2.7 }")
    assert readable(watch, 20)
    told = watch.drain()
    assert told is not None
    assert tb.NEW_ELEMENTS in [one.kind for one in told]
    assert all(one.port != kernel.port for one in told)
    assert watch.drain() == []
    watch.close()
    assert watch.fileno() == -1


def test_a_watch_that_missed_something_says_so(kernel: Netfilter) -> None:
    other = Netfilter()
    watch = Watch(kernel.port)
    other.transact([tb.table("mine", 0), tb.hash_set("mine", "many", IPV4, 1 << 20)], "making")
    for base in range(0, 200_000, 20_000):
        keys = [tb.element((base + number).to_bytes(4, "big")) for number in range(20_000)]
        other.transact(tb.elements("mine", "many", keys), "filling")
    told: list[object] = [watch.drain() for _ in range(1000)]
    assert None in told
    other.close()
    watch.close()


def test_what_is_opened_is_closed() -> None:
    before = os.listdir("/proc/self/fd")
    kernel = Netfilter()
    watch = Watch(kernel.port)
    watch.close()
    kernel.close()
    assert os.listdir("/proc/self/fd") == before
