"""What a whole daemon tells of what happens at it: each kind as the published schema has it, and in all dialects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from lxml import etree

from report.readers import idmef_type, read_idmef2_by_its_library
from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import sensor, service

HOST, CLIENT, INTRUDER = "192.168.1.5", "192.168.1.20", "192.168.1.21"
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "events.schema.json"
WITHIN = 20.0

CONFIG = "".join([
    service("word", 7001, "bind = 192.168.1.5", "server_args = do=word=hi"),
    service("closed", 7002, "bind = 192.168.1.5", "server_args = do=word=hi", "no_access = 192.168.1.0/24"),
    sensor("decoy", 7003),
    """
service echo
{
    type = INTERNAL UNLISTED
    id = echo
    port = 7004
    socket_type = stream
    protocol = tcp
    wait = no
}
""",
])  # fmt: skip


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon], probe: Path) -> Daemon:
    return make_daemon(Kind.SENTINETD, CONFIG.replace("@PROBE@", str(probe)))


def settle(daemon: Daemon, *formats: str) -> dict[str, Path]:
    """Have everything told in *formats*; the file of each."""
    files = {name: daemon.work.path / f"events.{name}" for name in formats}
    tables = [
        f'[[alert]]\ntype = "file"\nname = "{name}"\npath = "{file}"\nformat = "{name}"\nkinds = ["*"]\n'
        for name, file in files.items()
    ]
    daemon.work.write("sentinetd.toml", "\n".join(tables)).chmod(0o600)
    return files


def told(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_every_kind_that_happens_is_as_the_schema_says(daemon: Daemon) -> None:
    file = settle(daemon, "json")["json"]
    daemon.start()
    assert converse(daemon.lab, HOST, 7001, CLIENT) == "hi\n"
    assert converse(daemon.lab, HOST, 7002, CLIENT) == "closed"
    assert converse(daemon.lab, HOST, 7004, CLIENT, b"12345") == "12345"
    assert converse(daemon.lab, HOST, 7003, INTRUDER) == "closed"
    assert converse(daemon.lab, HOST, 7001, INTRUDER) == "closed"
    daemon.reload()
    wanted = {
        "daemon.started", "daemon.working", "daemon.heartbeat", "connection.admitted", "server.started", "server.ended",
        "connection.refused", "sensor.tripped", "ban.imposed", "reload.started", "reload.done",
    }  # fmt: skip
    wait_for(lambda: wanted <= {one["kind"] for one in told(file)}, lambda: f"{told(file)} {daemon.story()}", WITHIN)
    wait_for(lambda: sum(one["kind"] == "server.ended" for one in told(file)) >= 2, daemon.story, WITHIN)
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for one in told(file):
        validator.validate(one)

    def of(kind: str, id: str) -> dict[str, Any]:
        return next(one for one in told(file) if one["kind"] == kind and one.get("service") == id)

    admitted, started, ended = (of(kind, "word") for kind in ("connection.admitted", "server.started", "server.ended"))
    assert admitted["connection"] == started["connection"] == ended["connection"] != 0
    assert (admitted["source"], admitted["protocol"], admitted["local_port"]) == (CLIENT, "tcp", 7001)
    assert (ended["status"], ended["bytes_in"], ended["bytes_out"]) == (0, None, None)
    echoed = of("server.ended", "echo")
    assert (echoed["bytes_in"], echoed["bytes_out"]) == (5, 5)
    assert of("connection.refused", "closed")["reason"] == "address"
    trip = of("sensor.tripped", "decoy")
    assert (trip["source"], trip["local_address"], trip["local_port"]) == (INTRUDER, HOST, 7003)
    assert of("connection.refused", "word")["reason"] == "banned"


def test_idmef_consumers_take_trip_and_heartbeat(daemon: Daemon) -> None:
    files = settle(daemon, "idmef", "idmef2")
    daemon.start()
    assert converse(daemon.lab, HOST, 7003, INTRUDER) == "closed"
    words = ('decoy="yes"', "<Heartbeat ")
    wait_for(
        lambda: files["idmef"].exists() and all(word in files["idmef"].read_text() for word in words),
        daemon.story, WITHIN,
    )  # fmt: skip
    for line in files["idmef"].read_text().splitlines():
        assert idmef_type().validate(etree.fromstring(line)), idmef_type().error_log
    alert = next(line for line in files["idmef"].read_text().splitlines() if 'decoy="yes"' in line)
    for part in (
        '<Target decoy="yes"><Node><Address category="ipv4-addr"><address>192.168.1.5</address>',
        '<Action category="block-installed">', '<Source spoofed="no">', "<name>decoy</name><port>7003</port>",
    ):  # fmt: skip
        assert part in alert
    wait_for(lambda: "Recon.Network" in files["idmef2"].read_text(), daemon.story, WITHIN)
    for line in files["idmef2"].read_text().splitlines():
        read_idmef2_by_its_library(line)
