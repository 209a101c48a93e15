"""Cells of the table, from values: who takes what comes to an address, and how it is drawn."""

from __future__ import annotations

import pytest
from rich.console import Console

from cli.plan.host import LINK, LO, SIX, A, B, address, entry, ground, listener
from sentinetd.cli.plan.draw import drawn
from sentinetd.cli.plan.ground import Ground, Listener, Port
from sentinetd.cli.plan.remarks import remarks
from sentinetd.cli.plan.table import Cell, State, Table, columns, draw_up, rows
from sentinetd.config.in_force import servable
from sentinetd.model.address import Address
from sentinetd.model.service import Family, Ports, Protocol, Service, SocketType, Type
from sentinetd.net.port_range import Ephemeral
from sentinetd.net.sock_diag import TCP, UDP

UDP_PROTOCOL = Protocol("udp", 17)

def cell(at: Address, port: Port, listeners: tuple[Listener, ...], *services: Service) -> Cell:
    return draw_up(ground(*listeners), services, (at,), (port,)).cells[at, port]


@pytest.mark.parametrize(
    ("at", "where", "v6only", "state"),
    [
        pytest.param(A, "192.0.2.5", False, State.USED, id="its own address"),
        pytest.param(B, "192.0.2.5", False, State.FREE, id="another address"),
        pytest.param(A, "0.0.0.0", False, State.USED, id="every IPv4 address"),
        pytest.param(SIX, "0.0.0.0", False, State.FREE, id="IPv4 alone"),
        pytest.param(SIX, "::", False, State.USED, id="every address, by IPv6"),
        pytest.param(A, "::", False, State.USED, id="every address, by IPv4"),
        pytest.param(A, "::", True, State.FREE, id="IPv6 alone"),
        pytest.param(SIX, "::", True, State.USED, id="every IPv6 address"),
    ],
)
def test_where_a_program_listens(at: Address, where: str, v6only: bool, state: State) -> None:
    assert cell(at, Port(TCP, 80), (listener(where, 80, "nginx", v6only=v6only),)).state is state


def test_who_is_bound_to_the_address_gets_it() -> None:
    found = cell(A, Port(TCP, 80), (listener("0.0.0.0", 80, "nginx"), listener("192.0.2.5", 80, "haproxy")))
    assert found.programs == ("haproxy",)


def test_a_transport_is_not_the_other() -> None:
    found = (listener("0.0.0.0", 53, "unbound", protocol=UDP),)
    assert cell(A, Port(UDP, 53), found).state is State.USED
    assert cell(A, Port(TCP, 53), found).state is State.FREE


@pytest.mark.parametrize(
    ("service", "listeners", "state", "clash", "opened"),
    [
        pytest.param(entry("irc", 194, A), (), State.SENSOR, False, False, id="meant, not open"),
        pytest.param(
            entry("irc", 194, A), (listener("192.0.2.5", 194, "sentinetd"),), State.SENSOR, False, True, id="open"
        ),
        pytest.param(
            entry("irc", 194, A), (listener("192.0.2.5", 194, "ircd"),), State.USED, True, True, id="taken by another"
        ),
        pytest.param(entry("irc", 194, A), (listener("192.0.2.5", 194),), State.SENSOR, False, True, id="unseen"),
        pytest.param(
            entry("tftp", 194, A, sensor=False, wait=True),
            (listener("192.0.2.5", 194, "sentinetd", "in.tftpd"),),
            State.SERVICE, False, True, id="shared with its server",
        ),
        pytest.param(
            entry("irc", 7, A), (listener("0.0.0.0", 194, "sentinetd"),), State.SERVICE, False, True, id="ours, unknown"
        ),
        pytest.param(entry("irc", 194), (), State.SENSOR, False, False, id="everywhere"),
        pytest.param(entry("irc", 194, family=Family.IPV6, v6only=True), (), State.FREE, False, False, id="IPv6 only"),
        pytest.param(entry("irc", 194, B), (), State.FREE, False, False, id="another address"),
        pytest.param(entry("irc", 194, protocol=UDP_PROTOCOL), (), State.FREE, False, False, id="datagrams"),
        pytest.param(entry("irc", 194, type=frozenset({Type.TCPMUX})), (), State.FREE, False, False, id="multiplexed"),
    ],
)  # fmt: skip
def test_an_entry(
    service: Service, listeners: tuple[Listener, ...], state: State, clash: bool, opened: bool
) -> None:
    found = cell(A, Port(TCP, 194), listeners, service)
    assert (found.state, found.clash, found.open) == (state, clash, opened)


def test_what_strangers_reach_is_shown() -> None:
    assert rows(ground(), ()) == (A, B, SIX)
    assert rows(ground(), (), everything=True) == (A, B, SIX, LINK, LO)
    assert rows(ground(), (entry("irc", 194, address("127.0.0.6")),)) == (A, B, SIX, address("127.0.0.6"))
    assert rows(Ground((LO,), (), Ephemeral(1, 2)), ()) == (LO,)


def test_ports_that_matter() -> None:
    there = ground(
        listener("0.0.0.0", 80, "nginx"),
        listener("127.0.0.1", 631, "cupsd"),
        listener("0.0.0.0", 40000, "chronyd", protocol=UDP),
        listener("0.0.0.0", 53, "unbound", protocol=UDP),
        listener("0.0.0.0", 40001, "java"),
    )
    assert columns(there, (entry("irc", 194, A),), (A, B)) == (
        Port(TCP, 80), Port(TCP, 194), Port(TCP, 40001), Port(UDP, 53)
    )  # fmt: skip


def test_a_sentence_for_whoever_is_in_the_way() -> None:
    there = ground(
        listener("::", 80, "nginx", inode=1), listener("0.0.0.0", 22, "sshd", inode=2),
        listener("127.0.0.1", 631, "cupsd", inode=3), listener("0.0.0.0", 9, inode=4),
        listener("0.0.0.0", 40000, "chronyd", protocol=UDP, inode=5),
    )  # fmt: skip
    table = draw_up(there, (), (A, SIX), (Port(TCP, 80), Port(TCP, 22)))
    assert list(remarks(there, (), table, root=True)) == [
        "A program that cannot be seen listens on every IPv4 address, at 9: no sensor fits beside it there.",
        "nginx listens on every address, at 80: no sensor fits beside it there.",
        "sshd listens on every IPv4 address, at 22: no sensor fits beside it there.",
        "Only on loopback, not shown: cupsd (631).",
        "Not shown: 1 link-local address; --all shows them.",
        "Not shown: 1 datagram port that the kernel chose, of programs that ask.",
        "The programs of 1 socket cannot be seen: of the kernel itself, or of another process namespace.",
    ]


def sketch(table: Table, width: int) -> str:
    console = Console(width=width, color_system=None, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(drawn(table, lambda port: f"name-{port.number}", console))
    return console.export_text()


def many(addresses: int, ports: int) -> Table:
    there = ground(*(listener("192.0.2.7", port, "daemon") for port in range(1, ports + 1)))
    shown = [address(f"192.0.2.{last}") for last in range(1, addresses + 1)]
    return draw_up(there, (), shown, [Port(TCP, port) for port in range(1, ports + 1)])


def test_many_addresses_share_a_row() -> None:
    text = sketch(many(254, 3), 80)
    assert "192.0.2.1 - 192.0.2.6" in text
    assert "192.0.2.8 - 192.0.2.254" in text
    assert len(text.splitlines()) < 12


def test_many_ports_turn_the_table() -> None:
    lines = [line.rstrip() for line in sketch(many(7, 30), 80).splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["port", "192.0.2.1", "-", "192.0.2.6", "192.0.2.7"]
    assert "  17  name-17  ·                      USED daemon" in lines


def test_much_of_both_is_dealt_out() -> None:
    shown = [address(f"2001:db8:ffff:ffff:ffff:ffff:ffff:{last:x}") for last in range(0x1001, 0x1009)]
    there = ground(*(listener(str(one), 10 + number, "daemon") for number, one in enumerate(shown)))
    ports = [Port(TCP, 10 + number) for number in range(8)]
    lines = [line.rstrip() for line in sketch(draw_up(there, (), shown, ports), 80).splitlines()]
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("address") for line in lines) > 1
    assert "".join(lines).count("USED") == 8


def test_a_catch_all_takes_what_is_free() -> None:
    rest = entry("rest", 0, ports=Ports(unused=True))
    there = (listener("192.0.2.5", 80, "nginx"),)
    table = draw_up(ground(*there), (rest,), (A, B), (Port(TCP, 80),))
    free = State.SENSOR if servable(rest) else State.FREE  # an entry that is not started takes nothing
    assert [one.state for one in table.column(Port(TCP, 80))] == [State.USED, free]


def test_datagram_services_have_columns() -> None:
    service = entry("tftp", 69, A, sensor=False, socket_type=SocketType.DGRAM, protocol=UDP_PROTOCOL, wait=True)
    assert columns(ground(), (service,), (A,)) == (Port(UDP, 69),)
