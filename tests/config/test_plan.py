"""What a reload starts, keeps, adjusts and stops."""

from __future__ import annotations

import pytest

from sentinetd.config.plan import Plan, plan
from sentinetd.model.address import Address
from sentinetd.model.service import Cps, Family, Flag, Place, Protocol, Service, SocketType, Type

FTP = Service(name="ftp", id="ftp", port=21, server="/bin/cat")
WEB = Service(name="http", id="web", port=80, server="/bin/cat")


def planned(running: dict[int, Service], wanted: list[Service], *faulty: str) -> Plan:
    return plan(running, wanted, frozenset(faulty), 100)


def test_nothing_changed() -> None:
    assert planned({1: FTP, 2: WEB}, [WEB, FTP]) == Plan({}, {1: FTP, 2: WEB}, {}, frozenset(), frozenset())


def test_from_nothing_to_something_and_back() -> None:
    assert planned({}, [FTP, WEB]) == Plan({100: FTP, 101: WEB}, {}, {}, frozenset(), frozenset())
    assert planned({1: FTP}, []) == Plan({}, {}, {}, frozenset({1}), frozenset())


def changed(**facts: object) -> Service:
    from dataclasses import replace

    return replace(FTP, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(changed(server="/bin/dog"), id="server"),
        pytest.param(changed(cps=Cps(1, 1)), id="cps"),
        pytest.param(changed(flags=frozenset({Flag.NODELAY, Flag.KEEPALIVE})), id="socket options"),
        pytest.param(changed(flags=frozenset({Flag.SENSOR})), id="SENSOR"),
        pytest.param(changed(id="FTP"), id="case of the id"),
        pytest.param(changed(type=frozenset({Type.SPECIAL})), id="SPECIAL"),
    ],
)
def test_the_listener_goes_on(new: Service) -> None:
    assert planned({1: FTP}, [new]) == Plan({}, {}, {1: new}, frozenset(), frozenset())


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(changed(id="other"), id="id"),
        pytest.param(changed(port=2121), id="port"),
        pytest.param(changed(protocol=Protocol("sctp", 132)), id="protocol"),
        pytest.param(changed(socket_type=SocketType.SEQPACKET), id="socket_type"),
        pytest.param(changed(wait=True), id="wait"),
        pytest.param(changed(flags=frozenset({Flag.INTERCEPT})), id="INTERCEPT"),
        pytest.param(changed(family=Family.IPV4), id="family"),
        pytest.param(changed(address=Address.parse("192.0.2.1")), id="address"),
        pytest.param(changed(v6only=True), id="v6only"),
        pytest.param(changed(type=frozenset({Type.INTERNAL})), id="INTERNAL"),
        pytest.param(changed(type=frozenset({Type.UNLISTED})), id="UNLISTED"),
        pytest.param(changed(type=frozenset({Type.RPC}), rpc_number=5), id="RPC"),
    ],
)
def test_a_new_listener(new: Service) -> None:
    assert planned({1: FTP}, [new]) == Plan({100: new}, {}, {}, frozenset({1}), frozenset())


def test_places_alone_are_no_change() -> None:
    assert planned({1: FTP}, [changed(places={"port": Place("x", 9)})]).keep


def test_a_faulty_entry_keeps_its_running_version() -> None:
    assert planned({1: FTP, 2: WEB}, [WEB], "ftp") == Plan({}, {2: WEB}, {}, frozenset(), frozenset({1}))


def test_services_of_one_id_are_told_apart() -> None:
    other = changed(port=2121)
    assert planned({1: FTP, 2: other}, [other, changed(nice=1)]) == Plan(
        {}, {2: other}, {1: changed(nice=1)}, frozenset(), frozenset()
    )


def test_twins_keep_what_is_identical() -> None:
    """Two of the same id and socket cannot both run, but a plan must not mix them up if they do."""
    assert planned({1: changed(nice=1), 2: FTP}, [FTP]).keep == {2: FTP}
