"""Alerts of a whole daemon: a trip arrives at real receivers of every kind, and a bad sink is refused at its place."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from report.readers import idmef2_validator, idmef_type
from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import sensor, service
from rig.network import Lab
from rig.receivers import Authority, Broker, Http, Mailbox, Town, hang, listening, port_of
from rig.rsyslog import TCP, TLS, UDP, Rsyslog

Maker = Callable[..., Daemon]

FIVE, SIX, A, B = "192.168.1.5", "192.168.1.6", "192.168.1.20", "192.168.1.21"
DECOY = sensor("decoy", 7002)
WORD = service("real", 7001, "server_args = do=word=hi", "cps = 0 10")
WITHIN = 20.0


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Maker:
    """Makes a sentinetd with settings; the probe's path is filled in, `@WORK@` too."""

    def make(settings: str, config: str = DECOY) -> Daemon:
        daemon = make_daemon(Kind.SENTINETD, config.replace("@PROBE@", str(probe)))
        write_settings(daemon, settings)
        return daemon

    return make


@pytest.fixture
def town() -> Iterator[Town]:
    with Town() as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def write_settings(daemon: Daemon, settings: str) -> None:
    path = daemon.work.write("sentinetd.toml", settings.replace("@WORK@", str(daemon.work.path)))
    path.chmod(0o600)


def trip(lab: Lab, source: str = A) -> float:
    """Touch the sensor; when."""
    assert converse(lab, FIVE, 7002, source) == "closed"
    return time.monotonic()


def alert(kind: str, *lines: str) -> str:
    return "\n".join(("[[alert]]", f'type = "{kind}"', 'kinds = ["sensor.tripped"]', *lines, ""))


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def arrived(name: str, began: float, look: Callable[[], Any]) -> Any:
    """What *look* finds, waited for; says how long it took."""
    found = wait_for(look, f"the trip at {name}", WITHIN)
    print(f"{name}: {(time.monotonic() - began) * 1000:.0f} ms after the client was turned away")
    return found


def test_a_trip_arrives_everywhere_with_the_right_fields(
    make: Maker, lab: Lab, town: Town, authority: Authority, tmp_path: Path
) -> None:
    socks = {name: listening(make=lab.host.socket) for name in ("http", "mail", "hpfeeds")}
    http, broker = Http(), Broker("id", "s3cret")
    town.serve(http, socks["http"])
    town.serve(broker, socks["hpfeeds"])
    box = Mailbox(town, socks["mail"])
    rsyslog = Rsyslog(lab, tmp_path, authority)
    journal, unix = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    try:
        daemon = make("")
        for sock, name in ((journal, "journal"), (unix, "unix")):
            sock.bind(str(daemon.work.path / name))
            (daemon.work.path / name).chmod(0o666)
            sock.settimeout(WITHIN)
        (daemon.work.path / "out").touch()
        (daemon.work.path / "out").chmod(0o666)
        write_settings(
            daemon,
            alert("file", 'path = "@WORK@/alerts.json"')
            + alert("syslog", 'name = "tcp"', f'address = "tcp://127.0.0.1:{TCP}"')
            + alert("syslog", 'name = "tls"', f'address = "tls://127.0.0.1:{TLS}"', f'ca = "{authority.ca}"')
            + alert("syslog", 'name = "udp"', f'address = "udp://127.0.0.1:{UDP}"', 'facility = "authpriv"')
            + alert("syslog", 'name = "unix"', 'address = "unix:@WORK@/unix"', 'format = "text"')
            + alert("journal", 'socket = "@WORK@/journal"')
            + alert("webhook", f'url = "http://127.0.0.1:{port_of(socks["http"])}/x"')
            + alert("mail", f'server = "smtp://127.0.0.1:{port_of(socks["mail"])}"', 'security = "none"',
                    'from = "sentinetd@example.test"', 'to = "root@example.test"', "digest = 0")
            + alert("program", 'command = ["/usr/bin/tee", "-a", "@WORK@/out"]')
            + alert("hpfeeds", f'address = "hpfeeds://127.0.0.1:{port_of(socks["hpfeeds"])}"', 'ident = "id"',
                    'secret = "s3cret"', 'channel = "trips"'),
        )  # fmt: skip
        daemon.start()
        began = trip(lab)
        (event,) = arrived("file", began, lambda: lines_of(daemon.work.path / "alerts.json"))
        (posted,) = arrived("webhook", began, lambda: http.requests and http.events())
        (published,) = arrived("hpfeeds", began, lambda: broker.published)
        (piped,) = arrived("program", began, lambda: lines_of(daemon.work.path / "out"))
        (mail,) = arrived("mail", began, lambda: box.mails)
        seen = arrived("rsyslog", began, lambda: len(found := rsyslog.seen()) == 3 and found)
        entry = arrived("journal", began, lambda: journal.recv(65536))
        legacy = arrived("unix", began, lambda: unix.recv(65536)).decode()
    finally:
        rsyslog.close()
        journal.close()
        unix.close()
    assert (event["kind"], event["service"], event["source"], event["local_port"]) == (
        "sensor.tripped", "decoy", A, 7002
    )  # fmt: skip
    assert (event["local_address"], event["protocol"], event["ban_seconds"]) == (FIVE, "tcp", 3600)
    assert posted == event == piped == json.loads(published[2])
    assert published[:2] == ("id", "trips")
    sentence = f"Adding {A} to the global_no_access list for 60 minutes, sensor decoy"
    assert mail[2].get_payload(decode=True).decode().strip() == sentence
    assert {one["by"]: one["pri"] for one in seen} == {"tcp": "26", "tls": "26", "udp": "82"}
    for one in seen:
        assert (one["msgid"], one["app"], one["msg"].strip()) == ("sensor.tripped", "sentinetd", sentence)
        assert one["pid"] == str(daemon.pid)
        assert f'source="{A}"' in one["data"]
        assert f'local_port="{7002}"' in one["data"]
    fields = dict(line.split(b"=", 1) for line in entry.splitlines())
    assert (fields[b"MESSAGE"].decode(), fields[b"SENTINETD_SOURCE"].decode()) == (sentence, A)
    assert (fields[b"PRIORITY"], fields[b"SENTINETD_EVENT"]) == (b"2", b"sensor.tripped")
    assert re.fullmatch(rf"<26>1 \S+ \S+ sentinetd {daemon.pid} sensor.tripped - {re.escape(sentence)}", legacy)


def test_consumers_of_idmef_get_what_their_schemas_ask_for(make: Maker, lab: Lab, town: Town) -> None:
    old_sock, new_sock = listening(make=lab.host.socket), listening(make=lab.host.socket)
    old, new = Http(), Http()
    town.serve(old, old_sock)
    town.serve(new, new_sock)
    daemon = make(
        alert("webhook", 'name = "1"', f'url = "http://127.0.0.1:{port_of(old_sock)}/"', 'body = "bare"',
              'format = "idmef"')
        + alert("webhook", 'name = "2"', f'url = "http://127.0.0.1:{port_of(new_sock)}/"', 'body = "bare"',
                'format = "idmef2"')
    )  # fmt: skip
    daemon.start()
    trip(lab)
    wait_for(lambda: old.requests and new.requests, "both", WITHIN)
    root = etree.fromstring(old.requests[0][2])
    assert idmef_type().validate(root), idmef_type().error_log
    assert root.findtext(".//{*}Source//{*}address") == A
    assert [one.get("decoy") for one in root.iter("{*}Target")] == ["yes"]
    assert [one.get("category") for one in root.iter("{*}Action")] == ["block-installed"]
    value = json.loads(new.requests[0][2])
    idmef2_validator().validate(value)
    assert ([one["IP"] for one in value["Source"]], value["Target"][0]["Port"]) == ([A], [7002])
    assert (old.requests[0][1]["content-type"], new.requests[0][1]["content-type"]) == ("text/xml", "application/json")


def test_what_waits_and_what_is_lost_is_in_the_metrics(make: Maker, lab: Lab) -> None:
    sock = listening(make=lab.host.socket)
    port = port_of(sock)
    sock.close()
    daemon = make(
        alert("file", 'path = "@WORK@/x"')
        + alert("syslog", 'name = "siem"', f'address = "tcp://127.0.0.1:{port}"', "queue = 1")
    )
    daemon.start()
    for source in (A, B, "192.168.1.22"):
        trip(lab, source)
    (path,) = (daemon.work.path / "run" / "sentinetd").glob("*/control.sock")
    command = ["curl", "-s", "-m", "20", "--unix-socket", str(path), "http://localhost/metrics"]

    def told() -> bool:
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = {
            'sentinetd_sink_delivered_total{sink="file-1",type="file"} 3',
            'sentinetd_sink_waiting{sink="siem",type="syslog"} 1',
            'sentinetd_sink_dropped_total{sink="siem",type="syslog"} 2',
            'sentinetd_sink_failing{sink="siem",type="syslog"} 1',
        }
        return rows <= set(shown.splitlines())

    wait_for(told, lambda: subprocess.run(command, capture_output=True, text=True, check=True).stdout[-2500:], WITHIN)


def test_what_is_asked_for_of_every_connection_comes_though_no_log_wants_it(make: Maker, lab: Lab) -> None:
    silent = service("real", 7001, "server_args = do=word=hi", "cps = 0 10", without=("log_type",))
    settings = '[[alert]]\ntype = "file"\npath = "@WORK@/alerts.json"\nkinds = ["connection.*", "server.*"]\n'
    daemon = make(settings, silent + "defaults\n{\n}\n")
    daemon.start()
    assert converse(lab, SIX, 7001, A) == "hi\n"
    kinds = wait_for(
        lambda: len(found := [one["kind"] for one in lines_of(daemon.work.path / "alerts.json")]) >= 3 and found,
        "three events", WITHIN,
    )  # fmt: skip
    assert kinds[:3] == ["connection.admitted", "server.started", "server.ended"]
    write_settings(daemon, "")
    daemon.reload()
    assert converse(lab, SIX, 7001, A) == "hi\n"
    assert len(lines_of(daemon.work.path / "alerts.json")) == 3


TOML = "sentinetd.toml"
BAD = {
    "certificate": (
        'type = "syslog"\naddress = "tls://127.0.0.1"\nca = "@WORK@/xinetd.conf"',
        "sentinetd.toml:4: alert.ca: no certificates can be read there",
    ),
    "key": (
        'type = "syslog"\naddress = "tls://127.0.0.1"\ncertificate = "@WORK@/none"\nkey = "@WORK@/xinetd.conf"',
        "sentinetd.toml:4: alert.certificate: @WORK@/none: No such file or directory",
    ),
    "address": ('type = "syslog"\naddress = "tls:127.0.0.1"', f"{TOML}:3: alert.address: 'tls:127.0.0.1' is no"),
    "format": ('type = "file"\npath = "@WORK@/x"\nformat = "jason"', f"{TOML}:4: alert.format: jason is no format"),
    "directory": ('type = "file"\npath = "/no/such"', f"{TOML}:3: alert.path: /no/such: No such file or directory"),
    "program": ('type = "program"\ncommand = ["/no/such"]', f"{TOML}:3: alert.command: /no/such cannot be executed"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sink_refuses_the_start_and_the_check_at_its_place(make: Maker, case: str) -> None:
    table, told = BAD[case]
    daemon = make(f"[[alert]]\n{table}\n")
    told = told.replace("@WORK@", str(daemon.work.path))
    daemon.launch()
    assert daemon.exit_status(WITHIN) == 1
    assert told in daemon.errors.read_text()
    assert daemon.find(told)
    checked = daemon.run(daemon.kind.program, "--check", "-f", str(daemon.config))
    assert checked.returncode == 1
    assert told in checked.stdout


def test_a_bad_sink_at_a_reload_changes_nothing_and_a_mended_one_everything(make: Maker, lab: Lab) -> None:
    daemon = make(alert("file", 'path = "@WORK@/one.json"'))
    daemon.start()
    write_settings(daemon, alert("syslog", 'address = "tls://127.0.0.1"', 'ca = "@WORK@/xinetd.conf"'))
    refused = daemon.reload(until="reconfiguration failed")
    assert refused.level == "ERROR"
    assert daemon.find(f"{daemon.work.path}/sentinetd.toml:5: alert.ca: no certificates")
    trip(lab, A)
    wait_for(lambda: len(lines_of(daemon.work.path / "one.json")) == 1, "the old sink at work", WITHIN)
    write_settings(daemon, alert("file", 'path = "@WORK@/two.json"'))
    daemon.reload()
    trip(lab, B)
    wait_for(lambda: len(lines_of(daemon.work.path / "two.json")) == 1, "the new sink at work", WITHIN)
    assert len(lines_of(daemon.work.path / "one.json")) == 1


def test_a_sink_that_hangs_and_one_that_refuses_hinder_nobody_and_lose_what_they_say(
    make: Maker, lab: Lab, town: Town
) -> None:
    hanging, refusing = listening(make=lab.host.socket), listening(make=lab.host.socket)
    port = port_of(refusing)
    refusing.close()
    town.serve(hang, hanging)
    daemon = make(
        alert("hpfeeds", f'address = "hpfeeds://127.0.0.1:{port_of(hanging)}"', 'ident = "i"', 'secret = "s"',
              'channel = "c"', "timeout = 1", "queue = 1")
        + alert("syslog", f'address = "tcp://127.0.0.1:{port}"', "queue = 2")
        + '[[alert]]\ntype = "file"\npath = "@WORK@/all.json"\n',
    )  # fmt: skip
    daemon.start()
    for source in (A, B, "192.168.1.22", "192.168.1.23", "192.168.2.9"):
        trip(lab, source)
    everything = daemon.work.path / "all.json"
    wait_for(lambda: sum(one["kind"] == "sensor.tripped" for one in lines_of(everything)) == 5, "all trips", WITHIN)
    daemon.await_message("alert syslog-2: 127.0.0.1:", WITHIN)
    daemon.await_message("alert hpfeeds-1: no answer within 1 seconds; trying again in 0.5 seconds", WITHIN)
    assert daemon.stop() == 0

    def lost(name: str) -> int:
        counts = (re.search(rf"alert {name}: (\d+) events were lost", one.text) for one in daemon.messages())
        return sum(int(count[1]) for count in counts if count)

    names = ("syslog-2", "hpfeeds-1")
    wait_for(lambda: [lost(name) for name in names] == [5, 5], lambda: str([lost(name) for name in names]), WITHIN)


def test_a_spool_survives_kill_and_restart(make: Maker, lab: Lab, town: Town) -> None:
    sock = listening(make=lab.host.socket)
    port = port_of(sock)
    sock.close()
    daemon = make(alert("webhook", f'url = "http://127.0.0.1:{port}/"', 'spool = "1M"'))
    daemon.start()
    trip(lab, A)
    daemon.await_message("alert webhook-1: 127.0.0.1", WITHIN)
    daemon.send(signal.SIGKILL)
    daemon.exit_status()
    again = lab.host.socket(socket.AF_INET, socket.SOCK_STREAM)
    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    again.bind(("127.0.0.1", port))
    again.listen()
    http = Http()
    town.serve(http, again)
    daemon.start()
    wait_for(lambda: http.requests, "the trip of before", WITHIN)
    assert [event["source"] for event in http.events()] == [A]


def test_a_courier_that_is_killed_comes_back_with_its_sinks(make: Maker, lab: Lab) -> None:
    from rig.daemon import children_of, command_line

    daemon = make(alert("file", 'path = "@WORK@/x.json"'))
    daemon.start()
    (courier,) = [pid for pid in children_of(daemon.pid) if "daemon.courier" in command_line(pid)]
    os.kill(courier, signal.SIGKILL)
    daemon.await_message("process courier: works again", WITHIN)
    trip(lab)
    wait_for(lambda: len(lines_of(daemon.work.path / "x.json")) == 1, "the trip", WITHIN)


def test_a_file_rotates_by_itself_and_by_others_and_loses_nothing(make: Maker, lab: Lab) -> None:
    daemon = make(
        '[[alert]]\ntype = "file"\npath = "@WORK@/all.json"\nrotate = 4096\nkeep = 100\n'
        'kinds = ["connection.refused"]\n',
        service("real", 7001, "server_args = do=word=hi", f"no_access = {A}", "cps = 0 10"),
    )
    daemon.start()
    path = daemon.work.path / "all.json"
    path.chmod(0o640)
    count = 0

    def refuse(times: int) -> None:
        nonlocal count
        for _ in range(times):
            converse(lab, SIX, 7001, A)
            count += 1

    def all_lines() -> list[Any]:
        return [line for one in daemon.work.path.glob("all.json*") for line in lines_of(one)]

    def complete() -> bool:
        return len(all_lines()) == count

    refuse(40)
    wait_for(complete, "all lines", WITHIN)
    wait_for(lambda: (daemon.work.path / "all.json.1").exists(), "a rotated file", WITHIN)
    before = len(list(daemon.work.path.glob("all.json*")))
    path.rename(daemon.work.path / "all.json.by-hand")
    daemon.reload()
    refuse(3)
    wait_for(complete, "the rest", WITHIN)
    assert path.stat().st_size
    assert len(list(daemon.work.path.glob("all.json*"))) > before
    assert len({one["connection"] for one in all_lines()}) == count
    assert (daemon.work.path / "all.json.1").stat().st_mode & 0o777 == 0o640


def test_pseudonyms_and_short_addresses_leave_no_trace_of_the_source(make: Maker, lab: Lab) -> None:
    daemon = make(
        alert("file", 'name = "a"', 'path = "@WORK@/hashed"', 'addresses = "hashed"')
        + alert("file", 'name = "b"', 'path = "@WORK@/short"', 'addresses = "short"', 'format = "text"')
    )
    daemon.start()
    trip(lab)
    hashed = wait_for(lambda: lines_of(daemon.work.path / "hashed"), "the pseudonym", WITHIN)
    assert re.fullmatch(r"100::[0-9a-f:]+", hashed[0]["source"])
    assert A not in json.dumps(hashed)
    short = wait_for(lambda: (daemon.work.path / "short").read_text(), "the short one", WITHIN)
    assert short == "Adding 192.168.1.0 to the global_no_access list for 60 minutes, sensor decoy\n"


def test_without_alerts_the_courier_loads_nothing_of_them() -> None:
    script = (
        "import asyncio, sys, sentinetd.daemon.courier\n"
        "print([name for name in sys.modules if name.startswith(('httpx', 'aiosmtplib', 'sentinetd.report.sinks.'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "['sentinetd.report.sinks.file', 'sentinetd.report.sinks.syslog']\n"


