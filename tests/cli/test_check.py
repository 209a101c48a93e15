"""What `check` says of a configuration: mistakes, departures from xinetd, addresses that are taken."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from sentinetd.cli.check.departures import DEPARTURES
from sentinetd.cli.main import main

ENTRY = """\
service {name}
{{
type = UNLISTED
port = {port}
socket_type = stream
protocol = tcp
wait = no
user = root
{more}
}}
"""
Told = dict[str, list[dict[str, object]]]


def checked(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Told]:
    config = tmp_path / "x.conf"
    config.write_text(text)
    status = main(["check", str(config), "--json"])
    return status, json.loads(capsys.readouterr().out)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("more", "attribute", "part"),
    [
        pytest.param("server = /bin/cat\nonly_from = 192.0.2.7\nno_access = 192.0.2.0/24", "no_access",
                     "the narrower word wins", id="both lists"),
        pytest.param("flags = SENSOR\ndeny_time = FOREVER", "deny_time", "until lifted", id="for ever"),
        pytest.param("flags = SENSOR\ndeny_time = NEVER", "deny_time", "told in the daemon's log", id="never"),
        pytest.param("flags = SENSOR\ndeny_time = 60", "deny_time", "are never banned", id="exemptions"),
        pytest.param("redirect = 192.0.2.1 80", "redirect", "without rights", id="redirect"),
        pytest.param("server = /bin/cat\ncps = 10 10", "cps", "by a bucket", id="cps"),
    ],
)  # fmt: skip
def test_what_differs_from_xinetd_is_told_where_it_is_used(
    more: str, attribute: str, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ENTRY.format(name="probe", port=free_port(), more=more)
    status, told = checked(tmp_path, text, capsys)
    found = [one for one in told["departures"] if one["attribute"] == attribute and part in str(one["text"])]
    assert status == 0, told
    assert len(found) == 1
    line = int(str(found[0]["line"]))
    assert text.splitlines()[line - 1].startswith(attribute)


def test_a_plain_service_differs_in_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, told = checked(tmp_path, ENTRY.format(name="probe", port=free_port(), more="server = /bin/cat"), capsys)
    assert told["departures"] == []


def test_every_departure_says_where_it_hangs() -> None:
    assert all(text and attribute for attribute, _, text in DEPARTURES)


def test_an_address_that_another_program_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        text = ENTRY.format(name="probe", port=port, more="server = /bin/cat")
        status, told = checked(tmp_path, text, capsys)
        (one,) = told["held"]
        assert (status, one["service"], one["line"]) == (1, "probe", 4)
        assert f"tcp port {port} of 127.0.0.1 is held by" in str(one["text"])
        bound = text.replace("user = root", "user = root\nbind = 127.0.0.2")
        assert checked(tmp_path, bound, capsys) == (0, {"services": 1, "mistakes": [], "held": [], "departures": []})


def test_mistakes_and_their_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = ENTRY.format(name="bad", port="no number", more="server = /bin/cat")
    status, told = checked(tmp_path, bad, capsys)
    assert (status, told["services"]) == (1, 0)
    assert told["mistakes"][0]["way_out"]
    assert main(["check", str(tmp_path / "none.conf"), "--json"]) == 2


def test_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "x.conf"
    entries = [ENTRY.format(name=f"s{n}", port=free_port(), more="flags = SENSOR\ndeny_time = FOREVER") for n in (1, 2)]
    config.write_text("".join(entries))
    assert main(["check", str(config)]) == 0
    out = capsys.readouterr().out
    assert out.count("FOREVER means until lifted") == 1, "what is said of many places is said once"
    assert f"{config}:10, {config}:21: deny_time: FOREVER" in out
    assert out.endswith("✓ 2 services can be used, 0 errors\n")
