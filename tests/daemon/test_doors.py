"""What comes together at a listener is accepted, judged and hung up on together."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from sentinetd.daemon.doors import Doors
from sentinetd.daemon.loop import Loop
from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.noun import replace
from sentinetd.model.service import Family, Flag, Service
from sentinetd.model.values import Redirect
from sentinetd.net.listener import Accepted, Exhausted, Listener

PATIENCE = 20.0


class House:
    """One listener on a loopback port, with clients; *judge* is called for each connection."""

    def __init__(self, judge: Callable[[House, Connection], None]) -> None:
        self.loop = Loop()
        self.came: list[int] = []
        self.exhausted: list[int] = []
        self.laden = False
        self._judge = judge
        self.doors = Doors(
            self.loop, self._arrived, self._never, self._never, self.exhausted.append, self._never, lambda: 1.0,
            lambda: self.laden,
        )
        self.service = Service(name="x", id="x", port=0, family=Family.IPV4, address=Address.parse("127.0.0.1"))
        self.doors.open(1, self.service)
        self.clients: list[socket.socket] = []
        self.learn_port()

    def learn_port(self) -> None:
        """The listener is a new one."""
        listener = self.doors.listener(1)
        assert listener is not None
        self.port = listener.port

    def _arrived(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            self.came.append(connection.number)
            self._judge(self, connection)

    def _never(self, *arguments: object) -> None:
        raise AssertionError(arguments)

    def visit(self, count: int) -> None:
        """*count* clients connect."""
        for _ in range(count):
            self.clients.append(socket.create_connection(("127.0.0.1", self.port), PATIENCE))
            self.clients[-1].setblocking(False)

    def turn(self) -> None:
        self.loop.turn(PATIENCE)

    def waiting(self, client: int) -> bool:
        """Whether nobody hung up on *client* yet."""
        try:
            self.clients[client].recv(1)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        return False

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.doors.close_all()
        self.loop.close()


@pytest.fixture
def house() -> Iterator[Callable[[Callable[[House, Connection], None]], House]]:
    made: list[House] = []

    def make(judge: Callable[[House, Connection], None]) -> House:
        made.append(House(judge))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[[Callable[[House, Connection], None]], House]


def refuse(house: House, connection: Connection) -> None:
    house.doors.refuse(connection)


def test_a_burst_grows_and_is_hung_up_on_when_all_of_it_is_judged(house: Make) -> None:
    seen: list[bool] = []

    def judge(here: House, connection: Connection) -> None:
        refuse(here, connection)
        seen.append(here.waiting(connection.number - 1))

    one = house(judge)
    one.visit(7)
    bursts = []
    while sum(bursts) < 7:
        one.turn()
        bursts.append(len(one.came) - sum(bursts))
    assert bursts == [1, 2, 4]
    assert seen == [True] * 7, "no client was hung up on before the others were judged"
    assert not any(one.waiting(client) for client in range(7))


def test_whom_another_process_has_is_let_go_of_with_the_others(house: Make) -> None:
    def judge(here: House, connection: Connection) -> None:
        if connection.number == 2:
            here.doors.lend(connection)
        refuse(here, connection)

    one = house(judge)
    one.visit(3)
    while len(one.came) < 3:
        one.turn()
    assert not any(one.waiting(client) for client in range(3))


def test_what_came_with_the_one_that_closes_the_listener_is_hung_up_on_unjudged(house: Make) -> None:
    def judge(here: House, connection: Connection) -> None:
        refuse(here, connection)
        if connection.number == 4:
            here.doors.pause(1)

    one = house(judge)
    one.visit(7)
    for _ in range(3):
        one.turn()
    assert one.came == [1, 2, 3, 4]
    assert not any(one.waiting(client) for client in range(7))


def exhausted_after_one(listener: Listener, limit: int = 64, *, unseen: bool = False) -> Iterator[Accepted]:
    descriptor, where = listener.socket._accept()  # type: ignore[attr-defined]
    yield Accepted(descriptor, Address.parse(where[0]), where[1])
    raise Exhausted("no descriptors")


@pytest.mark.parametrize("keeps", [pytest.param(False, id="refused"), pytest.param(True, id="kept")])
def test_descriptors_that_a_burst_gives_back_end_the_shortage(
    house: Make, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    one = house(lambda here, connection: None if keeps else refuse(here, connection))
    monkeypatch.setattr(Listener, "accept", exhausted_after_one)
    one.visit(1)
    one.turn()
    assert one.came == [1]
    assert one.exhausted == ([1] if keeps else [])
    assert one.waiting(0) is keeps


SENSOR = frozenset({Flag.SENSOR})


@pytest.mark.parametrize(
    ("attributes", "family"),
    [
        pytest.param({}, socket.AF_INET, id="a server expects IPv4"),
        pytest.param({"flags": SENSOR, "tarpit": 1.0}, socket.AF_INET, id="so does who plays a sensor's part"),
        pytest.param({"flags": SENSOR}, socket.AF_INET6, id="a sensor hangs up"),
    ],
)
def test_only_what_nobody_looks_at_stays_as_it_came(
    house: Make, attributes: dict[str, Any], family: socket.AddressFamily
) -> None:
    seen: list[int] = []

    def judge(here: House, connection: Connection) -> None:
        with socket.socket(fileno=os.dup(here.doors.descriptor(connection))) as accepted:
            seen.append(accepted.family)
        refuse(here, connection)

    one = house(judge)
    one.doors.close(1)
    one.doors.open(1, replace(one.service, family=Family.IPV6, address=None, **attributes))
    one.learn_port()
    one.visit(1)
    one.turn()
    assert seen == [family]


def test_nothing_accepted_is_a_shortage(house: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(listener: Listener, limit: int = 64, *, unseen: bool = False) -> Iterator[Accepted]:
        raise Exhausted("no descriptors")
        yield

    one = house(refuse)
    monkeypatch.setattr(Listener, "accept", none)
    one.visit(1)
    one.turn()
    assert one.exhausted == [1]


def test_whoever_is_refused_later_is_hung_up_on_at_once(house: Make) -> None:
    kept: list[Connection] = []
    one = house(lambda here, connection: kept.append(connection))
    one.visit(1)
    one.turn()
    assert one.waiting(0)
    refuse(one, kept[0])
    assert not one.waiting(0)


def test_nobody_is_accepted_for_a_porter_that_is_behind(house: Make) -> None:
    one = house(refuse)
    one.doors.adjust(1, replace(one.service, redirect=Redirect("127.0.0.1", 9)))
    one.laden = True
    one.visit(3)
    one.turn()
    assert one.came == []
    assert one.doors.watched(1), "they are not forgotten"
    one.loop.turn(0.0)  # and the loop does not spin for them
    assert [number for number, _ in one.doors.waiting] == [1]
    one.laden = False
    one.doors.go_on()
    while len(one.came) < 3:
        one.turn()
    assert one.doors.waiting == []


def test_others_are_accepted_meanwhile(house: Make) -> None:
    one = house(refuse)
    one.laden = True
    one.visit(1)
    one.turn()
    assert one.came == [1]


def test_a_door_that_is_closed_while_somebody_waits_stays_closed(house: Make) -> None:
    one = house(refuse)
    one.doors.adjust(1, replace(one.service, redirect=Redirect("127.0.0.1", 9)))
    one.laden = True
    one.visit(1)
    one.turn()
    one.doors.pause(1)
    one.laden = False
    one.doors.go_on()
    assert not one.waiting(0)
    one.doors.resume(1, lambda: None)
    one.learn_port()
    one.visit(1)
    one.turn()
    assert one.came == [1]
