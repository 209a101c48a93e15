"""What is understood but has no effect yet is told, and what could not do its work without is not started."""

from __future__ import annotations

import pytest

from config.machine import entry, loaded
from sentinetd.config.in_force import NOT_YET_IN_FORCE, servable, uses
from sentinetd.config.table import by_name
from sentinetd.config.validate import BUILT_IN


@pytest.mark.parametrize(
    ("text", "used", "started"),
    [
        pytest.param(
            entry("ftp", "server_args = x; nice = 2; instances = 4; cps = 1 1"), set(), True, id="nothing new"
        ),
        pytest.param(entry("irc", "flags = SENSOR", server=""), set(), True, id="a sensor"),
        pytest.param(entry("ftp", "banner = /x"), set(), True, id="in force"),
        pytest.param(
            entry("irc", "flags = SENSOR; capture = 9; decoy = ssh; tarpit = 5", server=""),
            set(),
            True,
            id="what a sensor does beside banning",
        ),
        pytest.param(entry("ftp", "proxy_protocol = 192.0.2.1"), set(), True, id="written"),
        pytest.param(entry("x", "ports = 1-5"), set(), True, id="ports"),
    ],
)
def test_uses(text: str, used: set[tuple[str, str]], started: bool) -> None:
    result = loaded(text)
    (service,) = result.services
    assert set(uses(service)) == used
    assert servable(service) is started
    told = [one for one in result.diagnostics if "not in force in this version" in one.text]
    assert len(told) == len(used)
    assert any("is not started" in one.way_out for one in told) is not started


def test_the_table_names_what_exists() -> None:
    for attribute, option in NOT_YET_IN_FORCE:
        if attribute == "internal":
            assert option in BUILT_IN
        else:
            row = by_name()[attribute]
            assert not option or row.read([option])
