"""What services need beside their listeners, and that it is worked out once for each."""

from __future__ import annotations

import pytest

from policy.player import addresses, sensor, service
from sentinetd.daemon import needs as room
from sentinetd.daemon.needs import Need, Needs, accepts_itself, needs_of
from sentinetd.model.address import AddressSet
from sentinetd.model.service import Flag, OnFailure, OnSuccess, Redirect, Service, SocketType

PLAIN = frozenset({Flag.NOLIBWRAP})


@pytest.mark.parametrize(
    ("wanted", "needs"),
    [
        pytest.param(service(flags=PLAIN), set(), id="nothing"),
        pytest.param(service(), {Need.TABLES}, id="hosts.allow"),
        pytest.param(sensor(), set(), id="a sensor"),
        pytest.param(service(flags=PLAIN, max_load=2.0), {Need.LOAD}, id="the load"),
        pytest.param(service(flags=PLAIN, wait=True), {Need.FILTER}, id="a server that accepts"),
        pytest.param(service(flags=PLAIN, wait=True, socket_type=SocketType.DGRAM), set(), id="one that reads"),
        pytest.param(service(flags=PLAIN, redirect=Redirect("192.0.2.1", 1)), {Need.PORTER}, id="to be carried"),
        pytest.param(service(flags=PLAIN, only_from=AddressSet((), ("a.example",))), {Need.PORTER}, id="names"),
        pytest.param(service(flags=PLAIN, banner_fail="/b"), {Need.PORTER}, id="words for the refused"),
        pytest.param(service(flags=PLAIN, proxy_protocol=addresses("192.0.2.1")), {Need.PORTER}, id="headers"),
        pytest.param(
            service(flags=PLAIN, log_on_success=frozenset({OnSuccess.USERID})), {Need.PORTER}, id="who is served"
        ),
        pytest.param(
            service(flags=PLAIN, log_on_failure=frozenset({OnFailure.USERID})), {Need.PORTER}, id="who is refused"
        ),
    ],
)
def test_needs(wanted: Service, needs: set[Need]) -> None:
    assert needs_of(wanted) == needs
    assert accepts_itself(wanted) is (Need.FILTER in needs)


def test_who_stays_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Service] = []
    monkeypatch.setattr(room, "needs_of", lambda one: looked.append(one) or needs_of(one))
    needs, (a, b, c) = Needs(), (service("a"), service("b", flags=PLAIN, max_load=1.0), service("c", flags=PLAIN))
    assert needs.of([a, b]) == {Need.TABLES, Need.LOAD}
    assert needs.of([b, c]) == {Need.LOAD}
    assert needs.of([c]) == set()
    assert needs.of([]) == set()
    assert [id(one) for one in looked] == [id(one) for one in (a, b, c)]
