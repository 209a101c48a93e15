"""What is understood but has no effect yet is told, and what could not do its work without is not started."""

from __future__ import annotations

import pytest

from config.machine import Machine, entry, loaded
from sentinetd.config.in_force import NOT_YET_IN_FORCE, servable, uses
from sentinetd.config.load import load
from sentinetd.config.table import by_name
from sentinetd.config.validate import BUILT_IN


@pytest.mark.parametrize(
    ("text", "used", "started"),
    [
        pytest.param(
            entry("ftp", "server_args = x; nice = 2; instances = 4; cps = 1 1"), set(), True, id="nothing new"
        ),
        pytest.param(entry("irc", "flags = SENSOR", server=""), set(), True, id="a sensor"),
        pytest.param(entry("ftp", "banner = /x"), {("banner", "")}, True, id="banner"),
        pytest.param(entry("ftp", "mdns = yes"), {("mdns", "")}, True, id="a default that is written"),
        pytest.param(entry("ftp", "log_on_success = USERID"), {("log_on_success", "USERID")}, True, id="USERID"),
        pytest.param(entry("ftp", "flags = IDONLY"), {("flags", "IDONLY")}, True, id="IDONLY alone means nothing"),
        pytest.param(
            entry("ftp", "flags = IDONLY; log_on_success = USERID"),
            {("flags", "IDONLY"), ("log_on_success", "USERID")},
            False,
            id="IDONLY with ident",
        ),
        pytest.param(entry("ftp", "flags = LABELED"), {("flags", "LABELED")}, False, id="LABELED"),
        pytest.param(entry("ftp", "redirect = one.example 80"), {("redirect", "")}, False, id="redirect"),
        pytest.param(entry("echo", "type = INTERNAL", server=""), {("internal", "echo")}, False, id="echo"),
        pytest.param(entry("mux", "type = TCPMUX"), {("type", "TCPMUX")}, False, id="TCPMUX"),
        pytest.param(entry("x", "type = UNLISTED; ports = 1-5"), {("ports", "")}, False, id="ports"),
        pytest.param(entry("ftp", "flags = INTERCEPT", wait="yes"), {("flags", "INTERCEPT")}, True, id="INTERCEPT"),
        pytest.param(
            entry("ftp", "flags = INTERCEPT; only_from = .example", wait="yes"),
            {("flags", "INTERCEPT")},
            False,
            id="INTERCEPT with names",
        ),
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
        elif attribute != "hosts_access":
            row = by_name()[attribute]
            assert not option or row.read([option])


def test_rules_of_tcp_wrappers_are_told_of_once() -> None:
    rules = {"/etc/hosts.deny": b"# none\nALL: ALL\n", "/etc/hosts.allow": b"# only comments\n"}
    files = {"main.conf": (entry("ftp", "") + entry("http", "")).encode(), **rules}
    assert [str(one) for one in load("main.conf", Machine(files)).diagnostics] == [
        "main.conf: the rules of /etc/hosts.deny are not in force in this version; "
        "write them as only_from and no_access"
    ]
    files["main.conf"] = entry("ftp", "flags = NOLIBWRAP").encode()
    assert not load("main.conf", Machine(files)).diagnostics
