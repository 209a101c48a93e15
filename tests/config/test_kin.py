"""What entries that are alike come to is what each comes to by itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from config.machine import Machine, entry
from sentinetd.config import resolve as resolving
from sentinetd.config.load import Loaded, load
from sentinetd.config.moved import Moved
from sentinetd.model.values import Place

DEFAULTS = "defaults\n{\n no_access = 198.51.100.0/24\n}\n"
OWN = {
    "port": [
        "PORT\t={port}", "port == {port}", "port += {port}", "port = {port} 7", "port =", "port = x", "port = 0",
        "port = 113", "port = 70000", "ports = {port}", "# port = {port}", "port = {port};port = 7", "port = +{port}",
    ],
    "server": [
        "server = /bin/other", "server = bin/relative", "server = /nowhere", "server =", "server = /bin/a /bin/b",
        "server = /bin/a;server = /bin/b", "",
    ],
    "server_args": [
        "server_args = b", "server_args =", "server_args += d", "Server_Args = e", "server_args = a=b",
        "server_args =x", "",
    ],
}  # fmt: skip
"""Lines that kin may differ in, well and badly written, for each that a first one has."""
USUAL = {"port": "port = {port}", "server": "server = /bin/cat", "server_args": "server_args = a b"}
COMMON = [
    "", "type = UNLISTED", "type = UNLISTED INTERNAL", "type = RPC UNLISTED", "flags = NAMEINARGS", "flags = SENSOR",
    "flags = LABELED", "only_from = loopback one.example", "no_access += 192.0.2.0/24", "log_on_success = USERID",
    "redirect = 192.0.2.1 80", "nice = 3", "id = {name}-id", "id = x", "disable = yes", "disable = no", "nonsense = 1",
    "bind = both.example", "# a comment", "addresses = 203.0.113.0/24;flags = SENSOR", "type = UNLISTED TCPMUX",
]  # fmt: skip
"""Lines that kin have in common."""
NAMES = ["echo", "ftp", "one", "two", "three"]


def alone(parts: Sequence[str]) -> list[Loaded]:
    """What each of *parts* comes to in the same lines of the same file, with the defaults and nothing else."""
    found, line = [], DEFAULTS.count("\n")
    for part in parts:
        text = DEFAULTS + "\n" * (line - DEFAULTS.count("\n")) + part
        found.append(load("main.conf", Machine({"main.conf": text.encode()})))
        line += part.count("\n")
    return found


def together(parts: Sequence[str]) -> Loaded:
    return load("main.conf", Machine({"main.conf": (DEFAULTS + "".join(parts)).encode()}))


def family(common: str, usual: str) -> list[str]:
    """A first entry, one that is like it, and one for each other way to write *usual*."""
    written = [USUAL[usual], USUAL[usual], *OWN[usual], USUAL[usual]]
    parts = []
    for number, line in enumerate(written):
        own = ";".join(line if name == usual else other for name, other in USUAL.items())
        lines = ";".join(("" if "type" in common else "type = UNLISTED", common, own))
        name = NAMES[number % len(NAMES)]
        parts.append(entry(name, lines.format(port=1000 + number, name=f"{name}{number}"), server=""))
    return parts


@pytest.mark.parametrize("usual", USUAL)
@pytest.mark.parametrize("common", COMMON)
def test_each_comes_to_what_it_comes_to_alone(common: str, usual: str) -> None:
    first, *others = family(common, usual)
    judge(*([first, other] for other in others))


def test_who_is_looked_up_by_name_is_no_kin() -> None:
    judge([entry("ftp", "port = 21"), entry("http", "port = 90")], [entry("ftp", "port = 21"), entry("x", "port = 21")])


def test_sensors_at_addresses_of_their_own() -> None:
    lines = "type = UNLISTED;flags = SENSOR;addresses = 203.0.113.0/24;port = {}"
    judge([entry("one", lines.format(port), server="", user="") for port in (1, 2)])


def judge(*families: list[str]) -> None:
    """Each of a family comes to what it comes to alone."""
    rivals = ("identical to", "not unique")  # of these, no one is in the way of another who is alone
    for parts in families:
        each, all_of_them = alone(parts), together(parts)
        if any(word in one.text for one in all_of_them.diagnostics for word in rivals):
            continue
        services = [service for one in each for service in one.services]
        assert list(all_of_them.services) == services
        assert [one.places for one in all_of_them.services] == [one.places for one in services]
        assert set(all_of_them.diagnostics) == {told for one in each for told in one.diagnostics}
        assert all_of_them.faulty == frozenset().union(*(one.faulty for one in each))


def drafts(monkeypatch: pytest.MonkeyPatch, parts: Sequence[str]) -> int:
    """How many of *parts* are looked at one by one."""
    made: list[str] = []
    draft = resolving._draft
    with monkeypatch.context() as patch:
        patch.setattr(resolving, "_draft", lambda one, *more: made.append(one.id) or draft(one, *more))
        assert len(together(parts).services) == len(parts)
    return len(made)


@pytest.mark.parametrize(
    ("lines", "looked_at"),
    [
        pytest.param("type = UNLISTED;port = {port}", 1, id="other ports"),
        pytest.param("type = UNLISTED;port = {port};server_args = {name} x", 1, id="other arguments"),
        pytest.param("type = UNLISTED;port = {port};# {name}", 3, id="other lines"),
        pytest.param("type = UNLISTED;port = {port};id = {name}", 3, id="an id"),
        pytest.param("type = UNLISTED;port = {port};nice = 1;nice = 1", 3, id="something to be remarked on"),
    ],
)
def test_who_are_kin_are_looked_at_once(monkeypatch: pytest.MonkeyPatch, lines: str, looked_at: int) -> None:
    parts = [entry(f"s{port}", lines.format(port=port, name=f"n{port}")) for port in (1, 2, 3)]
    assert drafts(monkeypatch, parts) == looked_at


def test_kin_that_want_the_same_port_are_told() -> None:
    parts = [entry(name, "type = UNLISTED;port = 1") for name in ("a", "b")]
    result = together(parts)
    assert [one.name for one in result.services] == ["a"]
    assert result.faulty == {"b"}
    assert "is unique but its identical to service: a" in result.diagnostics[0].text


def test_what_moved_twice_is_one_step_away() -> None:
    written = {"": Place("f", 3), "port": Place("f", 4), "nice": Place("f", 1), "umask": Place("g", 4)}
    once = Moved(written, Place("f", 3), 4, Place("f", 10))
    twice = Moved(once, Place("f", 10), 4, Place("f", 8))
    assert twice == {"": Place("f", 8), "port": Place("f", 9), "nice": Place("f", 1), "umask": Place("g", 4)}
    assert twice._places is written
