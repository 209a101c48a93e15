"""Entries with a list of ports: one service, many listeners."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

from rig.client import Post, converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, service
from rig.network import Lab

Maker = Callable[..., Daemon]

A, B, C = "192.168.1.20", "192.168.1.21", "192.168.1.22"
SPREAD = "type = UNLISTED INTERNAL"
SENSOR = ("type = UNLISTED INTERNAL", "flags = SENSOR", "deny_time = 60")


def decoy(*lines: str) -> str:
    """A sensor of many ports."""
    return service("decoy", None, *SENSOR, *lines, without=("server", "user"))


def daytime(*lines: str) -> str:
    """An ordinary service of many ports; of what it says only the existence matters here."""
    return service("daytime", None, SPREAD, *lines, without=("server",))


def test_one_service_at_many_ports(lab: Lab, make_daemon: Maker) -> None:
    """All its ports serve, nothing else does, and they share one count, one log and one pause."""
    daemon = make_daemon(Kind.SENTINETD, daytime("ports = 7300,7302-7304", "cps = 4 30"))
    daemon.start()
    came = [converse(lab, SIX, port, A) for port in (7300, 7302, 7303, 7304)]
    assert all(len(one) > 20 for one in came), came
    assert converse(lab, SIX, 7301, A) == "refused"
    assert sum("START: daytime" in line for line in wait_log(daemon, 4)) == 4
    converse(lab, SIX, 7302, A)  # the fifth within a second: whatever its port, it is one too many
    wait_for(lambda: converse(lab, SIX, 7304, A) == "refused", daemon.story)
    assert {converse(lab, SIX, port, A) for port in (7300, 7302, 7303)} == {"refused"}


def wait_log(daemon: Daemon, lines: int) -> list[str]:
    wait_for(lambda: len(daemon.service_log()) >= lines, daemon.story)
    return daemon.service_log()


def test_a_sensor_at_many_ports(lab: Lab, make_daemon: Maker) -> None:
    """A touch at any of them bans, once, and the log says at which."""
    daemon = make_daemon(Kind.SENTINETD, decoy("ports = irc 7310-7312") + daytime("ports = 7300"))
    daemon.start()
    assert converse(lab, SIX, 7311, B) == "closed"
    told = f"Adding {B} to the global_no_access list for 60 minutes, sensor decoy, port 7311"
    assert daemon.await_message("Adding").text.endswith(told)
    for port in (194, 7310, 7312, 7300):
        assert converse(lab, SIX, port, B) in ("closed", "refused")
    assert converse(lab, SIX, 194, C) == "closed"
    assert daemon.await_message(f"Adding {C}").text.endswith("sensor decoy, port 194")
    assert len(daemon.find("Adding")) == 2
    assert len(converse(lab, SIX, 7300, A)) > 20


def test_datagrams_at_many_ports(lab: Lab, make_daemon: Maker) -> None:
    """A datagram sensor tells at which port it was touched, and bans nobody."""
    kind = ("socket_type = dgram", "protocol = udp", "wait = yes")
    daemon = make_daemon(Kind.SENTINETD, decoy("ports = 7310 7312", *kind))
    daemon.start()
    with Post(lab, B) as post:
        post.send(b"?", SIX, 7312)
    assert f"Sensor decoy, port 7312 touched by {B}, not banned" in daemon.await_message("touched").text


def test_a_port_that_another_program_has(lab: Lab, make_daemon: Maker) -> None:
    """The others are open all the same; this one when it is free, and a reload changes what is listened on."""
    daemon = make_daemon(Kind.SENTINETD, daytime("ports = 7300-7302"))
    with lab.host.socket(socket.AF_INET, socket.SOCK_STREAM) as rival:
        rival.bind((SIX, 7301))
        rival.listen()
        daemon.start()
        assert "port 7301/tcp at 192.168.1.6 is in use by" in daemon.await_message("daytime").text
        assert all(len(converse(lab, SIX, port, A)) > 20 for port in (7300, 7302))
    wait_for(lambda: converse(lab, SIX, 7301, A) not in ("refused", "closed"), daemon.story, 20.0)
    daemon.reload(daemon.config.read_text().replace("7300-7302", "7302-7305"))
    assert converse(lab, SIX, 7300, A) == "refused"
    assert all(len(converse(lab, SIX, port, A)) > 20 for port in (7302, 7305))


def test_what_the_tools_are_told(lab: Lab, make_daemon: Maker) -> None:
    """The ports of an entry with many, as they are configured."""
    daemon = make_daemon(Kind.SENTINETD, daytime("ports = 7300-7302 7304") + decoy("port = 7310"))
    daemon.start()
    (control,) = (daemon.work.path / "run" / "sentinetd").glob("*/control.sock")
    answer = daemon.run("curl", "-sS", "--unix-socket", str(control), "http://localhost/v1/services")
    found = {one["id"]: (one["address"], one["port"], one["ports"]) for one in json.loads(answer.stdout)["services"]}
    assert found == {"daytime": (SIX, 0, "7300-7302,7304"), "decoy": (SIX, 7310, "")}
