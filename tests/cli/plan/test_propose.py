"""What is proposed for a host, and what never is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cli.plan.host import SIX, A, B, address, entry, ground, listener
from sentinetd.cli.plan.entries import entries, file_text
from sentinetd.cli.plan.ground import Ground, Port
from sentinetd.cli.plan.propose import Kind, Plan, Proposal, Wish, candidates, propose
from sentinetd.cli.plan.table import columns, draw_up
from sentinetd.cli.plan.targets import Source, Target
from sentinetd.model.address import Address
from sentinetd.model.service import Service
from sentinetd.net.sock_diag import TCP, UDP

NMAP = Source("nmap", "nmap-services", "https://nmap.org")
KNOWN = {
    Port(TCP, 23): Target(Port(TCP, 23), "telnet", "bots log in", 2, (NMAP,), ""),
    Port(TCP, 445): Target(Port(TCP, 445), "smb", "worms come in", 9, (NMAP,), "neighbours"),
    Port(TCP, 40000): Target(Port(TCP, 40000), "odd", "somebody looks", 0, (), ""),
    Port(UDP, 161): Target(Port(UDP, 161), "snmp", "all is told", 0, (), ""),
}
TELNET, SMB, ODD, SNMP = KNOWN
ANYTHING = Wish()


def planned(
    there: Ground, services: Sequence[Service] = (), wish: Wish = ANYTHING, shown: tuple[Address, ...] = (A, B)
) -> Plan:
    used = columns(there, services, shown)
    table = draw_up(there, services, shown, candidates(used, wish, KNOWN))
    return propose(table, there, services, wish, KNOWN, lambda port: "" if port.number == 7777 else f"p{port.number}")


def ports(plan: Plan) -> list[int]:
    return [one.port.number for one in plan.proposals]


def of(plan: Plan, port: int) -> Proposal:
    return next(one for one in plan.proposals if one.port.number == port)


def refused(plan: Plan, port: int) -> str:
    return next(one.why for one in plan.refusals if one.port.number == port)


def test_what_nobody_uses_is_a_lure_everywhere() -> None:
    plan = planned(ground())
    assert ports(plan) == [23, 445]
    assert of(plan, 23).kind is Kind.UNUSED
    assert of(plan, 23).addresses == (), "one socket for all of them"
    assert of(plan, 23).cited == "nmap #2"
    assert of(plan, 445).beware == "It may be touched in good faith by neighbours."


def test_what_some_addresses_use_is_a_lure_at_the_others() -> None:
    plan = planned(ground(listener("192.0.2.5", 80, "nginx")))
    proposal = of(plan, 80)
    assert (proposal.kind, proposal.addresses) == (Kind.ELSEWHERE, (B,))
    assert proposal.facts == ("nginx has it at 192.0.2.5.",)


def test_an_entry_is_a_use_before_its_daemon_runs() -> None:
    plan = planned(ground(), [entry("ftp", 21, A, sensor=False)])
    assert of(plan, 21).addresses == (B,)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        pytest.param("0.0.0.0", "nginx listens on all addresses", id="IPv4"),
        pytest.param("::", "nginx listens on all addresses", id="both"),
    ],
)
def test_who_listens_everywhere_leaves_no_room(where: str, why: str) -> None:
    plan = planned(ground(listener(where, 23, "nginx")))
    assert 23 not in ports(plan)
    assert refused(plan, 23) == why


def test_the_other_ip_version_of_a_server_is_left_alone() -> None:
    there = ground(listener("0.0.0.0", 80, "nginx"))
    plan = planned(there, shown=(A, B, SIX))
    assert refused(plan, 80) == "nginx listens on all IPv4 addresses, and its clients may try IPv6 first"
    plan = planned(there, wish=Wish(named=(Port(TCP, 80),)), shown=(A, B, SIX))
    assert of(plan, 80).addresses == (SIX,), "unless it is asked for"


def test_each_address_taken_by_itself_leaves_no_room() -> None:
    plan = planned(ground(listener("192.0.2.5", 23, "a"), listener("192.0.2.6", 23, "b")))
    assert refused(plan, 23) == "a and b listens on each address"


def test_ports_that_the_kernel_hands_out_are_left_alone() -> None:
    plan = planned(ground(), wish=Wish(named=(ODD,)))
    assert not plan.proposals
    assert refused(plan, 40000) == "the kernel hands out 32768 to 60999 to programs that ask for any port"


def test_a_program_on_loopback_is_not_in_the_way_and_not_run_over() -> None:
    """A wildcard socket could not be bound beside it, so each address gets its own."""
    plan = planned(ground(listener("127.0.0.1", 23, "stunnel")))
    assert of(plan, 23).addresses == (A, B)


def test_an_entry_on_loopback_is_not_run_over_either() -> None:
    plan = planned(ground(), [entry("t", 23, address("127.0.0.9"))])
    assert of(plan, 23).addresses == (A, B)


def test_a_sensor_is_not_proposed_twice() -> None:
    plan = planned(ground(), [entry("t", 23)])
    assert refused(plan, 23) == "it has a sensor already"
    plan = planned(ground(), [entry("t", 23, A)])
    assert of(plan, 23).addresses == (B,)
    assert of(plan, 23).facts[0] == "It has sensors at 192.0.2.5 already."


def test_no_more_than_asked_for() -> None:
    plan = planned(ground(listener("192.0.2.5", 80, "nginx")), wish=Wish(most=2))
    assert (ports(plan), plan.left) == ([80, 23], 1)


def test_named_ports_and_no_others() -> None:
    plan = planned(ground(), wish=Wish(named=(SNMP, Port(TCP, 7777))))
    assert ports(plan) == [161, 7777]
    assert of(plan, 7777).name == "port-7777"
    assert "forged" in of(plan, 161).beware


def test_some_addresses_only() -> None:
    plan = planned(ground(), wish=Wish(apart=True), shown=(B,))
    assert of(plan, 23).addresses == (B,)


def test_the_rest_in_one_sensor() -> None:
    plan = planned(ground(), wish=Wish(most=0, rest=True))
    assert [one.kind for one in plan.proposals] == [Kind.REST]


def test_entries_can_be_told_apart() -> None:
    plan = planned(ground(listener("192.0.2.5", 80, "nginx")), wish=Wish(rest=True))
    some = list(entries(plan.proposals, "NEVER", {"p23-sensor"}))
    assert [one.id for one in some] == ["p80-192-0-2-6", "p23-sensor-2", "p445-sensor", "catch-all"]
    text = file_text(some, "made by a test")
    assert text.startswith("# made by a test\n")
    assert text.count("service ") == 4
    assert text.count("\tdeny_time       = NEVER\n") == 4
    assert "\tports           = unused\n" in some[-1].text
    assert "\tbind            = 192.0.2.6\n" in some[0].text
    assert "bind" not in some[1].text
    assert max(map(len, text.splitlines())) <= 100


def test_a_thousand_addresses_are_not_given_a_thousand_sensors() -> None:
    shown = tuple(address(f"10.0.{high}.{low}") for high in range(4) for low in range(1, 251))
    there = Ground(shown, (listener("10.0.0.1", 22, "sshd"),), ground().ephemeral)
    plan = planned(there, shown=shown)
    assert ports(plan) == [23, 445]
    assert refused(plan, 22).startswith("999 addresses need a sensor each; name some with --addresses")
    plan = planned(there, wish=Wish(named=(Port(TCP, 22),)), shown=shown)
    assert len(of(plan, 22).addresses) == 999, "unless it is asked for"
