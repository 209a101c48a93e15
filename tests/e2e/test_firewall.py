"""Banned sources are kept from servers that are not ours, by the kernel: the whole daemon, a standalone web server
beside it, and hosts of their own for an attacker and for customers."""

from __future__ import annotations

import re
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind, Work
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.http import Browser, answered, page
from rig.network import Lab, run
from rig.programs import Programs
from sentinetd.firewall import tables as tb
from sentinetd.firewall.netfilter import Netfilter, Watch
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban
from sentinetd.store.sqlite import Store

Maker = Callable[..., Daemon]

FIVE, SEVEN = "192.168.1.5", "192.168.1.7"
ATTACKER, CUSTOMER, NEIGHBOUR = "192.168.1.20", "192.168.1.21", "192.168.1.22"
ATTACKER6, CUSTOMER6, SEVEN6, SIX6 = "fd00::20", "fd00::21", "fd00::7", "fd00::6"
WEB, OURS, TRAP = 8080, 7001, 194
SERVICES = (
    service("hi", OURS, "server_args = do=word=hi") + sensor("irc", TRAP) + sensor("irc6", TRAP, "bind = fd00::5")
)
SETTLED = 20.0
TICK = 0.01
"""Seconds by which the kernel may end a timeout early: it counts in ticks."""


@pytest.fixture
def web(lab: Lab) -> Iterator[None]:
    """nginx, which knows nothing of us."""
    work = Work()
    programs = Programs(lab, work)
    try:
        programs.nginx(f"{SEVEN}:{WEB}", f"[{SEVEN6}]:{WEB}")
        yield
    finally:
        programs.close()
        work.close()


@pytest.fixture
def make(make_daemon: Maker, lab: Lab, probe: Path) -> Iterator[Maker]:
    """Makes a daemon with lines of [firewall], and further tables; no table is left in the end."""
    made = []

    def make(*lines: str, more: str = "", config: str = SERVICES, work: Work | None = None) -> Daemon:
        daemon = make_daemon(Kind.SENTINETD, config.replace("@PROBE@", str(probe)), work)
        made.append(daemon)
        settle(daemon, *lines, more=more)
        return daemon

    yield make
    for daemon in made:
        daemon.close()
    nft(lab, "flush", "ruleset")
    for table in re.findall(r"table inet (\S+)", listed(lab)):
        nft(lab, "delete", "table", "inet", table)


@pytest.fixture
def start(make: Maker) -> Maker:
    """Makes and starts a daemon."""

    def started(*lines: str, more: str = "", config: str = SERVICES, work: Work | None = None) -> Daemon:
        daemon = make(*lines, more=more, config=config, work=work)
        daemon.start()
        return daemon

    return started


def settle(daemon: Daemon, *lines: str, more: str = "") -> None:
    text = "\n".join(["[firewall]", "enabled = true", *lines, more, ""])
    daemon.work.write("sentinetd.toml", text).chmod(0o600)


def nft(lab: Lab, *words: str) -> str:
    return run(*lab.host.command("nft", *words)).stdout


def listed(lab: Lab, *words: str) -> str:
    return nft(lab, *words, "list", "ruleset")


def touch(lab: Lab, daemon: Daemon, source: str, host: str = FIVE) -> None:
    """Touch the sensor, and wait until that is told: the kernel has the ban by then."""
    assert converse(lab, host, TRAP, source) == "closed", daemon.story()
    daemon.await_message(f"Adding {source} ", SETTLED)


def test_who_touches_a_sensor_reaches_no_server_any_more(lab: Lab, start: Maker, web: None) -> None:
    daemon = start('verdict = "reject"')
    assert [page(lab, SEVEN, WEB, source) for source in (ATTACKER, CUSTOMER)] == ["nginx\n"] * 2
    with Browser(lab, SEVEN, WEB, ATTACKER) as before, Browser(lab, SEVEN, WEB, CUSTOMER) as customer:
        assert before.get() == customer.get() == "nginx\n"
        touch(lab, daemon, ATTACKER)
        assert page(lab, SEVEN, WEB, ATTACKER) == "refused"
        assert converse(lab, SIX, OURS, ATTACKER) == "refused"
        assert converse(lab, FIVE, TRAP, ATTACKER) == "refused"
        assert before.get() == "nginx\n"  # an open session goes on
        assert customer.get() == page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"
    assert converse(lab, SIX, OURS, CUSTOMER) == "hi\n"
    assert page(lab, SEVEN6, WEB, ATTACKER6) == "nginx\n"
    touch(lab, daemon, ATTACKER6, "fd00::5")
    assert page(lab, SEVEN6, WEB, ATTACKER6) == "refused"
    assert page(lab, SEVEN6, WEB, CUSTOMER6) == "nginx\n"  # on our own link exactly the one address is banned
    assert daemon.stop() == 0
    assert listed(lab) == ""
    assert page(lab, SEVEN, WEB, ATTACKER) == "nginx\n"


def test_dropped_without_an_answer(lab: Lab, start: Maker, web: None) -> None:
    daemon = start()
    assert answered(lab, SEVEN, WEB, ATTACKER)
    touch(lab, daemon, ATTACKER)
    assert not answered(lab, SEVEN, WEB, ATTACKER)
    assert answered(lab, SEVEN, WEB, CUSTOMER)
    assert not daemon.find("nftables"), "nothing failed"


def test_only_our_own_ports(lab: Lab, start: Maker, web: None, probe: Path) -> None:
    daemon = start('verdict = "reject"', 'ports = "own"')
    touch(lab, daemon, ATTACKER)
    assert page(lab, SEVEN, WEB, ATTACKER) == "nginx\n"
    assert converse(lab, SIX, OURS, ATTACKER) == "refused"
    more = service("more", 7002, "server_args = do=word=more")
    daemon.reload(
        daemon.config.read_text() + more.replace("@PROBE@", str(probe)).replace("@WORK@", str(daemon.work.path))
    )
    assert converse(lab, SIX, 7002, CUSTOMER) == "more\n"
    assert converse(lab, SIX, 7002, ATTACKER) == "refused"


def test_an_exempt_source_inside_a_banned_network(lab: Lab, start: Maker, web: None) -> None:
    daemon = start('verdict = "reject"', more=f'[bans]\nexempt = ["{CUSTOMER}"]\nprefix = {{ v4 = 24 }}')
    touch(lab, daemon, ATTACKER)
    assert [page(lab, SEVEN, WEB, one) for one in (ATTACKER, NEIGHBOUR, CUSTOMER)] == ["refused", "refused", "nginx\n"]
    settle(daemon, 'verdict = "reject"', more=f'[bans]\nexempt = ["{NEIGHBOUR}"]\nprefix = {{ v4 = 24 }}')
    daemon.reload()
    assert [page(lab, SEVEN, WEB, one) for one in (ATTACKER, NEIGHBOUR, CUSTOMER)] == ["refused", "nginx\n", "refused"]


def test_a_ban_of_before_is_in_force_at_once_and_ends_on_time(lab: Lab, start: Maker, web: None) -> None:
    first = start('verdict = "reject"')
    assert first.stop() == 0
    store = Store(str(first.work.path / "state"))
    store.open()
    now = time.time()
    until = now + 6.0
    store.write([Ban(Network.parse(ATTACKER), now, until, "irc")])
    store.close()
    second = start('verdict = "reject"', work=first.work)
    assert page(lab, SEVEN, WEB, ATTACKER) == "refused" or time.time() >= until, second.story()
    wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "nginx\n", "the end of the ban")
    assert time.time() >= until - TICK
    second.await_message("1 bans")


def test_kill_and_start_again_leaves_no_gap(lab: Lab, start: Maker, web: None) -> None:
    daemon = start('verdict = "reject"')
    touch(lab, daemon, ATTACKER)
    daemon.await_message("Adding 192.168.1.20")
    daemon.send(signal.SIGKILL)
    daemon.exit_status()
    assert page(lab, SEVEN, WEB, ATTACKER) == "refused"
    again = start('verdict = "reject"', work=daemon.work)
    assert page(lab, SEVEN, WEB, ATTACKER) == "refused"
    assert page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"
    assert len(re.findall(r"\bset ban", listed(lab))) == 1
    assert again.stop() == 0


def test_kept_at_stop(lab: Lab, start: Maker, web: None) -> None:
    daemon = start('verdict = "reject"', 'at_stop = "keep"')
    touch(lab, daemon, ATTACKER)
    assert daemon.stop() == 0
    assert page(lab, SEVEN, WEB, ATTACKER) == "refused"
    assert page(lab, SEVEN, WEB, CUSTOMER) == "nginx\n"


FOREIGN = """\
table inet filter {
	set known {
		type ipv4_addr
		elements = { 192.0.2.1 }
	}

	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @known counter packets 0 bytes 0 drop
	}
}
"""


def test_only_our_table_is_touched_and_a_flush_by_others_is_survived(lab: Lab, start: Maker, web: None) -> None:
    nft(lab, "flush", "ruleset")
    nft(lab, "add table inet filter; add set inet filter known { type ipv4_addr; };"
        "add element inet filter known { 192.0.2.1 };"
        "add chain inet filter input { type filter hook input priority 0; };"
        "add rule inet filter input ip saddr @known counter drop")  # fmt: skip
    foreign = listed(lab)
    assert foreign.split() == FOREIGN.split()
    daemon = start('verdict = "reject"')
    touch(lab, daemon, ATTACKER)
    assert re.findall(r"^table (\S+ \S+)", listed(lab), re.M) == ["inet filter", "inet sentinetd"]
    assert listed(lab).startswith(foreign)
    nft(lab, "flush", "ruleset")
    wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "refused", daemon.story, SETTLED)
    assert "inet filter" not in listed(lab)
    touch(lab, daemon, NEIGHBOUR)
    assert page(lab, SEVEN, WEB, NEIGHBOUR) == "refused"


def test_a_table_that_belongs_to_another_program_is_told_and_waited_for(lab: Lab, start: Maker, web: None) -> None:
    with lab.host.entered():
        other = Netfilter()
    with closing(other):
        other.transact([tb.table("sentinetd", tb.OWNER)], "taking the name")
        daemon = start('backend = "nftables"', 'verdict = "reject"')
        daemon.await_message("nftables: the table inet sentinetd belongs to another program", SETTLED)
        touch(lab, daemon, ATTACKER)
        assert converse(lab, SIX, OURS, ATTACKER) == "closed"  # at accept all the same
        assert page(lab, SEVEN, WEB, ATTACKER) == "nginx\n"
    daemon.await_message("nftables: works again, all bans are kept", SETTLED)
    assert page(lab, SEVEN, WEB, ATTACKER) == "refused"


def test_reload_changes_the_verdict_the_table_and_whether_at_all(lab: Lab, start: Maker, web: None) -> None:
    daemon = start()
    touch(lab, daemon, ATTACKER)
    assert "reject" not in listed(lab)
    settle(daemon, 'verdict = "reject"')
    daemon.reload()
    wait_for(lambda: "reject" in listed(lab), daemon.story)
    assert page(lab, SEVEN, WEB, ATTACKER) == "refused"
    settle(daemon, 'verdict = "reject"', 'table = "another"')
    daemon.reload()
    wait_for(lambda: re.findall(r"^table inet (\S+)", listed(lab), re.M) == ["another"], daemon.story)
    wait_for(lambda: page(lab, SEVEN, WEB, ATTACKER) == "refused", daemon.story)
    daemon.work.write("sentinetd.toml", "").chmod(0o600)
    daemon.reload()
    wait_for(lambda: listed(lab) == "", daemon.story)
    assert page(lab, SEVEN, WEB, ATTACKER) == "nginx\n"
    assert converse(lab, SIX, OURS, ATTACKER) == "closed"


def test_a_filter_on_our_listeners_where_nothing_else_is_to_be_had(lab: Lab, start: Maker, web: None) -> None:
    daemon = start('backend = "bpf"')
    assert converse(lab, SIX, OURS, ATTACKER) == "hi\n"
    touch(lab, daemon, ATTACKER)
    assert not answered(lab, SIX, OURS, ATTACKER)
    assert answered(lab, SEVEN, WEB, ATTACKER)
    assert converse(lab, SIX, OURS, CUSTOMER) == "hi\n"
    assert listed(lab) == ""
    daemon.work.write("sentinetd.toml", "").chmod(0o600)
    daemon.reload()
    assert converse(lab, SIX, OURS, ATTACKER) == "closed"
    settle(daemon, 'backend = "bpf"')
    daemon.reload()
    wait_for(lambda: not answered(lab, SIX, OURS, ATTACKER), daemon.story, SETTLED)
    assert converse(lab, SIX, OURS, CUSTOMER) == "hi\n"


def without(daemon: Daemon, *capabilities: str) -> None:
    """Let *daemon* be started without these capabilities."""
    plain = daemon.enter

    def confined(*words: str) -> list[str]:
        listing = ",".join(f"-{one}" for one in capabilities)
        return plain("setpriv", "--bounding-set", listing, "--inh-caps", listing, *words)

    daemon.enter = confined  # type: ignore[method-assign]


def test_without_the_right_to_nftables_a_filter_takes_its_place(lab: Lab, make: Maker, web: None) -> None:
    daemon = make()
    without(daemon, "net_admin")
    daemon.start()
    daemon.await_message("banned sources are refused by source filter, since nftables cannot be had: ")
    touch(lab, daemon, ATTACKER)
    assert not answered(lab, SIX, OURS, ATTACKER)
    assert listed(lab) == ""


@pytest.mark.parametrize("backend", ["auto", "nftables", "bpf"])
def test_without_any_right_it_is_told_and_bans_hold_at_accept(lab: Lab, make: Maker, backend: str) -> None:
    daemon = make(f'backend = "{backend}"')
    without(daemon, "net_admin", "bpf", "sys_admin")
    daemon.start()
    failed = daemon.await_message("source filter: " if backend == "bpf" else "nftables: ")
    assert ("it takes CAP_NET_ADMIN" in failed.text) is (backend != "bpf")
    assert ("BPF is not permitted" in failed.text) is (backend != "nftables")
    assert failed.level == "CRITICAL"
    touch(lab, daemon, ATTACKER)
    assert converse(lab, SIX, OURS, ATTACKER) == "closed"
    assert converse(lab, SIX, OURS, CUSTOMER) == "hi\n"


TRIPS = 25


def test_from_trip_to_kernel(lab: Lab, start: Maker, web: None, capsys: pytest.CaptureFixture[str]) -> None:
    """How long it takes is printed, not judged: the machine may be busy."""
    start('verdict = "reject"')
    faces = [f"192.168.2.{number}" for number in range(100, 100 + TRIPS)]
    for face in faces:
        lab.clients[23].ip("addr", "add", face, "dev", "eth0")
    with lab.host.entered():
        watch = Watch(0)
    in_set, refused = [], []
    try:
        for face in faces:
            assert page(lab, SEVEN, WEB, face) == "nginx\n"
            with lab.clients[23].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
                client.settimeout(SETTLED)
                client.bind((face, 0))
                begun = time.monotonic()
                client.connect((FIVE, TRAP))
                wait_for(lambda: tb.NEW_ELEMENTS in [one.kind for one in watch.drain() or ()], face, SETTLED)
                in_set.append(time.monotonic() - begun)
                wait_for(lambda face=face: page(lab, SEVEN, WEB, face) == "refused", face, SETTLED)  # type: ignore[misc]
                refused.append(time.monotonic() - begun)
    finally:
        watch.close()
        for face in faces:
            lab.clients[23].ip("addr", "del", face, "dev", "eth0")
    with capsys.disabled():
        print(
            f"\nfrom trip to kernel set: median {statistics.median(in_set) * 1000:.2f} ms, "
            f"to the first refusal at nginx: median {statistics.median(refused) * 1000:.2f} ms ({TRIPS} trips)"
        )
