"""The control socket of a whole daemon, asked as operators and their tools ask it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for

CONFIG = """\
service time
{
    type = INTERNAL UNLISTED
    id = clock
    port = 7037
    socket_type = stream
    protocol = tcp
    wait = no
    only_from = 192.168.1.0/24
    no_access = 192.168.1.22
}
service trap
{
    type = UNLISTED
    flags = SENSOR
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    port = 7099
    deny_time = 60
}
"""
HOST = "192.168.1.5"


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    made = make_daemon(Kind.SENTINETD, CONFIG)
    made.start()
    return made


def control_socket(daemon: Daemon) -> Path:
    """Where the daemon listens, seen from here."""
    (found,) = (daemon.work.path / "run" / "sentinetd").glob("*/control.sock")
    return found


def ask(daemon: Daemon, path: str, *words: str, user: int | None = None, groups: Sequence[int] = ()) -> tuple[int, Any]:
    """What curl gets: status and JSON."""
    command = ["curl", "-s", "-m", "20", "-w", "\n%{http_code}", "--unix-socket", str(control_socket(daemon)), *words]
    done = subprocess.run(
        [*command, f"http://localhost{path}"], capture_output=True, text=True, timeout=30, check=False,
        user=user, group=user, extra_groups=None if user is None else groups,
    )  # fmt: skip
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text) if text else None


def test_what_runs_who_is_banned_and_why(daemon: Daemon) -> None:
    status, state = ask(daemon, "/v1/status")
    assert status == 200
    assert (state["daemon"]["pid"], state["daemon"]["services"], state["daemon"]["bans"]) == (daemon.pid, 2, 0)
    assert state["troubles"] == []
    assert converse(daemon.lab, HOST, 7037, "192.168.1.22") == "closed"
    assert len(converse(daemon.lab, HOST, 7037, "192.168.1.20")) == 4
    converse(daemon.lab, HOST, 7099, "192.168.1.21")
    daemon.await_message("Adding 192.168.1.21")
    services = {one["id"]: one for one in ask(daemon, "/v1/services")[1]["services"]}
    clock, trap = services["clock"], services["trap"]
    assert (clock["served"], clock["refused"], clock["role"], clock["condition"]) == (1, 1, "internal", "open")
    assert (trap["trips"], trap["role"], trap["deny_time"], trap["line"]) == (1, "sensor", 3600.0, 12)
    _, bans = ask(daemon, "/v1/bans?network=192.168.1.0/24&sensor=trap")
    assert [(one["network"], one["trips"]) for one in bans["bans"]] == [("192.168.1.21", 1)]
    assert ask(daemon, "/v1/bans?address=192.168.1.20")[1] == {"total": 0, "bans": []}
    decided = {one["service"]: one for one in ask(daemon, "/v1/explain?address=192.168.1.22")[1]["services"]}
    assert (decided["clock"]["admitted"], decided["clock"]["reason"]) == (False, "address")
    assert (decided["clock"]["word"], decided["clock"]["line"]) == ("192.168.1.22", 10)
    banned = ask(daemon, "/v1/explain?address=192.168.1.21")[1]
    assert banned["standing"]["network"] == "192.168.1.21"
    assert banned["ban"]["bans"][0]["sensor"] == "trap"
    assert {one["reason"] for one in banned["services"]} == {"banned", "sensor"}
    assert ask(daemon, "/v1/top?of=sensors")[1]["ranked"] == [{"name": "trap", "trips": 1}]
    today = ask(daemon, "/v1/status")[1]["today"]
    assert (today["trips"], today["bans"]) == (1, 1)


def test_explaining_counts_nothing(daemon: Daemon) -> None:
    for _ in range(60):  # more than cps
        assert ask(daemon, "/v1/explain?address=192.168.1.20")[0] == 200
    (clock, trap) = sorted(ask(daemon, "/v1/services")[1]["services"], key=lambda one: one["id"])
    assert (clock["served"], clock["refused"], trap["trips"]) == (0, 0, 0)
    assert len(converse(daemon.lab, HOST, 7037, "192.168.1.20")) == 4


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/explain?address=nonsense", 400),
        ("/v1/explain", 400),
        ("/v1/bans?limit=0", 400),
        ("/v1/bans?limit=1&limit=2", 400),
        ("/v1/bans?colour=red", 400),
        ("/v1/nothing", 404),
    ],
)
def test_what_is_not_understood(daemon: Daemon, path: str, status: int) -> None:
    answered, told = ask(daemon, path)
    assert answered == status
    assert told["error"]


def test_events_as_they_happen(daemon: Daemon) -> None:
    stream = subprocess.Popen(
        ["curl", "-sN", "-m", "60", "--unix-socket", str(control_socket(daemon)),
         "http://localhost/v1/events?kinds=sensor,ban"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert stream.stdout is not None
        assert stream.stdout.readline() == b": sentinetd\n"
        converse(daemon.lab, HOST, 7099, "192.168.1.21")
        lines = [stream.stdout.readline() for _ in range(9)]
        told = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
        assert [(one["kind"], one.get("network", one.get("source"))) for one in told] == [
            ("ban.imposed", "192.168.1.21"),
            ("sensor.tripped", "192.168.1.21"),
        ]
    finally:
        stream.kill()
        stream.wait()
        stream.stdout.close()


def test_an_idle_socket_costs_no_web_server(daemon: Daemon) -> None:
    """Where the interpreter's files can be read by everybody, starlette comes with the first connection."""
    courier = next(int(one) for one in os.listdir("/proc") if one.isdigit() and _is_courier_of(one, daemon.pid))
    maps = Path(f"/proc/{courier}/maps")
    eager = "msgspec" in maps.read_text()
    assert ask(daemon, "/v1/status")[0] == 200
    wait_for(lambda: "msgspec" in maps.read_text(), "the web server loaded")
    assert not eager or not _readable_by_all(os.__file__)


def _is_courier_of(name: str, parent: int) -> bool:
    try:
        status = Path(f"/proc/{name}/status").read_text()
    except OSError:
        return False
    return f"\nPPid:\t{parent}\n" in status and "sentinetd-couri" in status


def _readable_by_all(path: str) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in Path(path).resolve().parents)
