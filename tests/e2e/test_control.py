"""The control socket of a whole daemon, asked as operators and their tools ask it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def order(daemon: Daemon, method: str, path: str, body: Any = None, **who: Any) -> tuple[int, Any]:
    words = ["-X", method, *(["-d", json.dumps(body)] if body is not None else [])]
    return ask(daemon, path, *words, **who)


def test_bans_by_order_hold_and_end(daemon: Daemon) -> None:
    status, told = order(daemon, "POST", "/v1/bans", {"networks": ["192.168.1.20"], "seconds": 600, "note": "a test"})
    assert (status, told["done"], told["refused"]) == (200, 1, [])
    assert converse(daemon.lab, HOST, 7037, "192.168.1.20") == "closed"
    (kept,) = ask(daemon, "/v1/bans")[1]["bans"]
    assert (kept["network"], kept["origin"], kept["who"], kept["note"]) == (
        "192.168.1.20", "operator", "uid 0 (root)", "a test",
    )  # fmt: skip
    assert "by the operator uid 0 (root): a test" in daemon.await_message("Adding 192.168.1.20").text
    assert order(daemon, "DELETE", "/v1/bans?network=192.168.1.20")[0] == 200
    assert len(converse(daemon.lab, HOST, 7037, "192.168.1.20")) == 4
    status, told = order(daemon, "DELETE", "/v1/bans?network=192.168.1.20")
    assert (status, "not banned" in told["error"]) == (409, True)


def test_who_is_exempt_cannot_be_banned(daemon: Daemon) -> None:
    assert order(daemon, "POST", "/v1/exemptions", {"network": "192.168.1.20", "seconds": None})[0] == 200
    assert [one["network"] for one in ask(daemon, "/v1/exemptions")[1]["exemptions"]] == ["192.168.1.20"]
    status, told = order(daemon, "POST", "/v1/bans", {"networks": ["192.168.1.20"], "seconds": None})
    assert (status, told["error"]) == (409, "192.168.1.20: it is exempt")
    assert order(daemon, "DELETE", "/v1/exemptions?network=192.168.1.20")[0] == 200
    assert order(daemon, "POST", "/v1/bans", {"networks": ["192.168.1.20"], "seconds": None})[0] == 200


def test_reload_by_order(daemon: Daemon) -> None:
    daemon.config.write_text(CONFIG.replace("7099", "7098"))
    assert order(daemon, "POST", "/v1/reload", {})[0] == 200
    assert daemon.find("reload ordered by uid 0 (root)")
    assert 7098 in {one["port"] for one in ask(daemon, "/v1/services")[1]["services"]}
    assert order(daemon, "POST", "/v1/reload", {"source": "192.168.1.20"})[0] == 200
    status, told = order(daemon, "POST", "/v1/bans", {"networks": ["192.168.1.20"], "seconds": None})
    assert (status, told["error"]) == (409, "192.168.1.20: it is exempt")  # whoever reloads is not locked out
    daemon.config.write_text("defaults\n{\n")
    assert order(daemon, "POST", "/v1/reload", {})[0] == 409
    assert [one["what"] for one in ask(daemon, "/v1/status")[1]["troubles"]] == ["configuration"]
    assert ask(daemon, "/readyz")[0] == 503
    assert ask(daemon, "/healthz")[0] == 200


def test_a_harmless_trip_leaves_nothing_and_what_was_is_forgotten(daemon: Daemon) -> None:
    status, told = order(daemon, "POST", "/v1/test-fire", {})
    assert (status, told["ok"]) == (200, True), told
    assert [one["name"] for one in told["steps"]] == ["ban", "in force", "kept", "told", "lifted"]
    daemon.await_message("Sensor test-fire touched by 192.0.2.1, not banned")
    assert ask(daemon, "/v1/bans")[1]["total"] == 0
    assert ask(daemon, "/v1/top")[1]["ranked"] == []
    assert ask(daemon, "/v1/explain?address=192.0.2.1")[1]["past"][0]["what"] == "lifted"
    assert order(daemon, "POST", "/v1/purge", {"network": "192.0.2.0/24"})[1]["done"] == 1
    assert ask(daemon, "/v1/explain?address=192.0.2.1")[1]["past"] == []
    daemon.await_message("uid 0 (root) had 1 former bans of 192.0.2.0/24 forgotten")


READERS, ADMINS = 4242, 4243
"""Groups that the lab's hosts know as `probers` and `watchers`."""


@pytest.mark.parametrize(
    ("groups", "reads", "changes"),
    [
        pytest.param((), 0, 0, id="a stranger cannot even connect"),
        pytest.param((READERS,), 200, 403, id="the group may read"),
        pytest.param((READERS, ADMINS), 200, 200, id="an admin may change things"),
    ],
)
def test_foreign_users(
    make_daemon: Callable[..., Daemon], groups: tuple[int, ...], reads: int, changes: int
) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.lab.write_etc(group=Path("/etc/group").read_text() + f"sentinetd:x:{READERS}:\nadmins:x:{ADMINS}:\n")
    daemon.work.write("sentinetd.toml", '[control]\nadmins = "admins"\n').chmod(0o600)
    daemon.start()
    assert control_socket(daemon).stat().st_mode & 0o777 == 0o660
    assert control_socket(daemon).stat().st_gid == READERS
    assert ask(daemon, "/v1/status", user=4711, groups=groups)[0] == reads
    body = {"networks": ["192.0.2.7"], "seconds": 60}
    assert order(daemon, "POST", "/v1/bans", body, user=4711, groups=groups)[0] == changes
    assert ask(daemon, "/v1/bans")[1]["total"] == (changes == 200)


TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param([f"Authorization: Bearer {TOKEN}"], 200, id="the token"),
        pytest.param([], 401, id="no token"),
        pytest.param([f"Authorization: Bearer {TOKEN[:-1]}0"], 401, id="another token"),
        pytest.param([f"Authorization: Basic {TOKEN}"], 401, id="another scheme"),
        pytest.param([f"Authorization: Bearer {TOKEN}", "Host: evil.example"], 403, id="a rebound name"),
        pytest.param([f"Authorization: Bearer {TOKEN}", "Origin: http://evil.example"], 403, id="another page"),
        pytest.param([f"Authorization: Bearer {TOKEN}", "Origin: http://127.0.0.1:7077"], 200, id="our own page"),
    ],
)
def test_loopback(make_daemon: Callable[..., Daemon], headers: Sequence[str], status: int) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    settings = f'[control]\nlisten = "127.0.0.1:7077"\ntoken = "{TOKEN}"\n'
    daemon.work.write("sentinetd.toml", settings).chmod(0o600)
    daemon.start()
    words = [word for header in headers for word in ("-H", header)]
    done = daemon.run("curl", "-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", *words,
                      "http://127.0.0.1:7077/v1/status")  # fmt: skip
    assert done.stdout == str(status)


def test_without_a_socket(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.work.write("sentinetd.toml", "[control]\nenabled = false\n").chmod(0o600)
    daemon.start()
    assert not list((daemon.work.path / "run" / "sentinetd").glob("*/control.sock"))


def test_the_socket_outlives_the_courier_and_goes_with_the_daemon(daemon: Daemon) -> None:
    assert ask(daemon, "/v1/status")[0] == 200
    (courier,) = (one["pid"] for one in ask(daemon, "/v1/status")[1]["daemon"]["helpers"] if one["name"] == "courier")
    os.kill(courier, 9)
    wait_for(lambda: ask(daemon, "/v1/status")[0] == 200, daemon.story, 30.0)
    path = control_socket(daemon)
    daemon.stop()
    assert not path.exists()


def test_metrics_by_socket_and_by_port(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.work.write("sentinetd.toml", '[metrics]\nlisten = "127.0.0.1:7117"\n').chmod(0o600)
    daemon.start()
    for _ in range(3):
        converse(daemon.lab, HOST, 7037, "192.168.1.22")
    converse(daemon.lab, HOST, 7037, "192.168.1.20")
    converse(daemon.lab, HOST, 7099, "192.168.1.21")
    daemon.await_message("Adding 192.168.1.21")

    def get(path: str, *words: str) -> tuple[str, str]:
        done = daemon.run("curl", "-s", "-m", "20", "-w", "\n%{http_code}", *words, f"http://127.0.0.1:7117{path}")
        text, _, status = done.stdout.rpartition("\n")
        return status, text

    status, text = get("/metrics")
    assert status == "200"
    for line in (
        'sentinetd_connections_refused_total{service="clock",reason="address"} 3',
        'sentinetd_connections_served_total{service="clock"} 1',
        'sentinetd_trips_total{service="trap"} 1',
        "sentinetd_bans 1",
        'sentinetd_events_total{kind="sensor.tripped"} 1',
    ):
        assert f"\n{line}\n" in text
    assert get("/healthz") == ("200", '{"ok":true,"why":""}')
    assert get("/readyz")[0] == "200"
    assert get("/v1/status")[0] == "404"
    assert get("/metrics", "-H", "Host: evil.example")[0] == "403"
    by_socket = subprocess.run(
        ["curl", "-s", "-m", "20", "--unix-socket", str(control_socket(daemon)), "http://localhost/metrics"],
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout  # fmt: skip
    assert "sentinetd_bans 1\n" in by_socket


def test_a_harmless_trip_reaches_the_sinks(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    events = daemon.work.path / "events.json"
    settings = f'[[alert]]\nname = "good"\ntype = "file"\npath = "{events}"\n'
    settings += '[[alert]]\nname = "bad"\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\n'
    daemon.work.write("sentinetd.toml", settings).chmod(0o600)
    daemon.start()
    status, told = order(daemon, "POST", "/v1/test-fire", {})
    steps = {one["name"]: one for one in told["steps"]}
    assert (status, told["ok"], steps["told"]["ok"], steps["lifted"]["ok"]) == (200, False, False, True), told
    assert "bad has " in steps["told"]["text"]
    assert "good has" not in steps["told"]["text"]
    wait_for(lambda: '"192.0.2.1"' in events.read_text(), "the trip in the file", 20.0)
    sinks = {one["name"]: one for one in ask(daemon, "/v1/status")[1]["sinks"]}
    assert sinks["good"]["delivered"] > 0
    assert 'sentinetd_sink_waiting{sink="bad",type="webhook"}' in _metrics(daemon)


def _metrics(daemon: Daemon) -> str:
    command = ["curl", "-s", "-m", "20", "--unix-socket", str(control_socket(daemon)), "http://localhost/metrics"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def test_the_command_as_a_foreign_user(make_daemon: Callable[..., Daemon]) -> None:
    """With real rights: one line, and the status that says what is wrong."""
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    daemon.lab.write_etc(group=Path("/etc/group").read_text() + f"sentinetd:x:{READERS}:\n")
    daemon.start()
    program = [sys.executable, "-m", "sentinetd.cli.main", "status", "--socket", str(control_socket(daemon))]
    plain = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (plain.returncode, plain.stderr) == (0, "")
    play = (
        "import os, sys, sentinetd.cli.status, sentinetd.model.diagnostic; from sentinetd.cli.main import main\n"
        "os.setgroups([]); os.setgid(4711); os.setuid(4711)\n"  # all is loaded: the interpreter may be root's alone
        f"sys.exit(main(['status', '--socket', '{control_socket(daemon)}']))"
    )
    done = subprocess.run([sys.executable, "-c", play], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"sentinetctl: uid 4711 may not use {control_socket(daemon)}; be root, or a member of the group sentinetd\n"
    )
