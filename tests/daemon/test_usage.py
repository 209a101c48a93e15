"""Which ports are in use, and for how long they stay so."""

from __future__ import annotations

import pytest

from sentinetd.daemon import usage
from sentinetd.daemon.usage import GRACE, Usage, in_use
from sentinetd.model.address import Address
from sentinetd.model.aim import InUse
from sentinetd.net.sock_diag import Listening


def listens(address: str, port: int = 80, v6only: bool = False, protocol: int = 6) -> Listening:
    return Listening(protocol, Address.parse(address), port, v6only, 0, 1)


@pytest.mark.parametrize(
    ("socket", "expected"),
    [
        pytest.param(listens("192.0.2.5"), [InUse(4, 0xC0000205, 80)], id="an address"),
        pytest.param(listens("0.0.0.0"), [InUse(4, None, 80)], id="all of IPv4"),
        pytest.param(listens("::"), [InUse(6, None, 80), InUse(4, None, 80)], id="all"),
        pytest.param(listens("::", v6only=True), [InUse(6, None, 80)], id="all of IPv6"),
        pytest.param(listens("::1"), [InUse(6, 1, 80)], id="an address of IPv6"),
        pytest.param(listens("0.0.0.0", protocol=17), [], id="datagrams"),
    ],
)
def test_in_use(socket: Listening, expected: list[InUse]) -> None:
    assert list(in_use([socket])) == expected


def test_a_port_stays_in_use_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    found = [listens("0.0.0.0", 80), listens("0.0.0.0", 81)]
    monkeypatch.setattr(usage, "listening", lambda: found)
    known = Usage(lambda: now)
    both = {InUse(4, None, 80), InUse(4, None, 81)}
    assert known.look() == both
    found.pop()
    now += GRACE
    assert known.look() == both
    now += 1
    assert known.look() == {InUse(4, None, 80)}
