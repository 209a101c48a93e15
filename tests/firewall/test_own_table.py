from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator

import pytest

from rig.network import run
from sentinetd.errors import EdgeError
from sentinetd.firewall import tables as tb
from sentinetd.firewall.netfilter import NetfilterError
from sentinetd.firewall.own_table import OwnTable
from sentinetd.firewall.tables import Key, KeyType

pytestmark = pytest.mark.usefixtures("namespace")
SET = tb.hash_set("sentinetd", "kept", Key((KeyType.IPV4,)), 100)


def listed() -> str:
    return " ".join(run("nft", "list", "ruleset").stdout.split())


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every table that a test claims is let go of at its end."""
    claimed: list[OwnTable] = []
    claim = OwnTable.claim

    def noted(self: OwnTable) -> None:
        claimed.append(self)
        claim(self)

    monkeypatch.setattr(OwnTable, "claim", noted)
    yield
    for table in claimed:
        table.close()


def filled(table: OwnTable) -> None:
    table.transact([SET, *tb.elements("sentinetd", "kept", [tb.element(b"\xc0\0\2\1")])], "filling")


def test_nobody_else_changes_an_owned_table() -> None:
    table = OwnTable("sentinetd")
    table.claim()
    if not table.owned:
        pytest.skip("this kernel knows no owners of tables")
    filled(table)
    run("nft", "flush", "ruleset")
    assert "192.0.2.1" in listed()
    for words in (["delete", "table", "inet", "sentinetd"], ["flush", "set", "inet", "sentinetd", "kept"]):
        with pytest.raises(RuntimeError, match="Operation not permitted"):
            run("nft", *words)
    assert not table.disturbed()
    table.remove()
    assert listed() == ""


@pytest.mark.parametrize("flags", [tb.OWNER | tb.PERSIST, 0], ids=["owned", "without flags"])
def test_what_a_daemon_left_is_claimed_with_all_it_holds(flags: int) -> None:
    first = OwnTable("sentinetd", flags)
    first.claim()
    filled(first)
    first.close()  # as the end of the process does it
    second = OwnTable("sentinetd", flags)
    second.claim()
    assert second.owned == first.owned
    assert second.sets() == ["kept"]
    assert "192.0.2.1" in listed()
    second.remove()


def test_a_table_of_a_running_daemon_is_left_alone() -> None:
    first, second = OwnTable("sentinetd"), OwnTable("sentinetd")
    first.claim()
    if not first.owned:
        pytest.skip("this kernel knows no owners of tables")
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(EdgeError, match="belongs to another program that runs"):
            second.claim()
    assert os.listdir("/proc/self/fd") == before
    filled(first)


def test_a_table_without_the_flags_is_made_anew_with_them() -> None:
    old = OwnTable("sentinetd", 0)
    old.claim()
    filled(old)
    old.close()
    new = OwnTable("sentinetd")
    new.claim()
    if not new.owned:
        pytest.skip("this kernel knows no owners of tables")
    assert new.sets() == []


def test_a_kernel_without_the_flags_gets_a_plain_table() -> None:
    table = OwnTable("sentinetd", 0x8000_0000)  # a flag that no kernel knows
    table.claim()
    assert not table.owned
    assert listed() == "table inet sentinetd { }"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["flush", "ruleset"], id="everything flushed"),
        pytest.param(["delete", "table", "inet", "sentinetd"], id="the table deleted"),
        pytest.param(["flush", "set", "inet", "sentinetd", "kept"], id="a set emptied"),
        pytest.param(["delete", "element", "inet", "sentinetd", "kept", "{ 192.0.2.1 }"], id="an element removed"),
        pytest.param(["add", "rule", "inet", "sentinetd", "judge", "accept"], id="a rule added"),
    ],
)
def test_a_change_by_others_is_noticed(words: list[str]) -> None:
    table = OwnTable("sentinetd", 0)
    table.claim()
    filled(table)
    table.transact([tb.chain("sentinetd", "judge")], "making")
    assert not table.disturbed()
    run("nft", *words)
    assert select.select([table], [], [], 20)[0]
    assert table.disturbed()
    assert not table.disturbed()


def test_changes_elsewhere_are_not_ours() -> None:
    table = OwnTable("sentinetd", 0)
    table.claim()
    run("nft", "add", "table", "inet", "other")
    run("nft", "add", "table", "inet", "sentinetd2")
    run("nft", "delete", "table", "inet", "other")
    assert select.select([table], [], [], 20)[0]
    assert not table.disturbed()


def test_nothing_can_be_changed_before_it_is_claimed() -> None:
    with pytest.raises(NetfilterError) as caught:
        filled(OwnTable("sentinetd"))
    assert caught.value.errno == errno.EBADF


def test_removing_what_is_not_there() -> None:
    table = OwnTable("sentinetd", 0)
    table.claim()
    run("nft", "flush", "ruleset")
    table.remove()
    assert table.fileno() == -1
