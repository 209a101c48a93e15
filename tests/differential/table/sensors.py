"""Sensors: who is banned, from what, for how long, and what is told."""

from __future__ import annotations

from differential.stage import A6, B6, A, B, C, Case, Per
from differential.steps import (
    alive,
    begin,
    drop_post,
    log,
    meet,
    message,
    messages,
    often,
    reload,
    restart,
    say,
    talk,
    told,
)
from rig.entries import defaults, sensor, service

FIVE = "192.168.1.5"
DECOY = sensor("decoy", 7002)
REAL = service("real", 7001)
TRIP = talk(7002, host=FIVE)
BOTH = DECOY + REAL


def adding(source: str, minutes: int, sensor_id: str = "decoy") -> Per:
    """The line of a trip."""
    text = f"Adding {source} to the global_no_access list for {minutes} minutes"
    return Per(f"CRITICAL: N {{process_sensor}} {text}", f"CRITICAL: N {{process_sensor}} {text}, sensor {sensor_id}")


CASES = (
    Case(
        id="sensor: the trip is told with address and minutes",
        config=BOTH,
        steps=(TRIP, message("Adding ")),
        departure="a trip is told",
        expect=("closed", adding(A, 60)),
    ),
    Case(
        id="sensor: the banned source is refused by another service, a second client is not",
        config=BOTH,
        steps=(meet(7001), TRIP, told("Adding"), meet(7001), meet(7001, source=B)),
        expect=("served", "closed", True, "closed", "served"),
    ),
    Case(
        id="sensor: at every service and address",
        config=BOTH + service("seven", 7003, "bind = 192.168.1.7") + sensor("eight", 7004, "bind = 192.168.1.8"),
        steps=(
            TRIP,
            told("Adding"),
            meet(7003, "192.168.1.7"),
            meet(7004, "192.168.1.8"),
            meet(7001),
        ),
        expect=("closed", True, "closed", "closed", "closed"),
    ),
    Case(
        id="sensor: FOREVER",
        config=sensor("decoy", 7002, "deny_time = FOREVER") + REAL,
        steps=(TRIP, message("Adding"), meet(7001)),
        departure="a trip is told",
        expect=("closed", adding(A, -1, "decoy (until lifted)"), "closed"),
    ),
    Case(
        id="sensor: NEVER bans nobody",
        config=sensor("decoy", 7002, "deny_time = NEVER") + REAL,
        steps=(TRIP, meet(7001), messages("Adding")),
        expect=("closed", "served", 0),
    ),
    Case(
        id="sensor: NEVER is told all the same",
        config=sensor("decoy", 7002, "deny_time = NEVER", "log_on_success = HOST PID", "log_on_failure ="),
        steps=(TRIP, told("Sensor decoy touched by 192.168.1.20, not banned")),
        departure="a trip is told",
        expect=("closed", Per(False, True)),
    ),
    Case(
        id="sensor: no deny_time is NEVER",
        config=sensor("decoy", 7002).replace("\tdeny_time = 60\n", "") + REAL,
        steps=(TRIP, meet(7001)),
        expect=("closed", "served"),
    ),
    Case(
        id="sensor: deny_time that is no number drops it",
        config=sensor("decoy", 7002, "deny_time = 5m") + REAL,
        steps=(TRIP, meet(7001)),
        expect=("refused", "served"),
    ),
    Case(
        id="sensor: deny_time on a service that is none does nothing",
        config=service("real", 7001, "deny_time = 60"),
        steps=(meet(7001), meet(7001)),
        expect=("served", "served"),
    ),
    Case(
        id="sensor: one FAIL line",
        config=BOTH,
        steps=(TRIP, log(1)),
        expect=("closed", [f"FAIL: decoy address from={A}"]),
    ),
    Case(
        id="sensor: without log_on_failure no line",
        config=sensor("decoy", 7002, "log_on_failure ="),
        steps=(TRIP, told("Adding"), log(0)),
        expect=("closed", True, []),
    ),
    Case(
        id="sensor: by a name that services(5) knows",
        config=sensor("irc", 194, "type = INTERNAL") + REAL,
        steps=(talk(194, host=FIVE), told("Adding"), meet(7001)),
        expect=("closed", True, "closed"),
    ),
    Case(
        id="sensor: without type = INTERNAL",
        config=sensor("decoy", 7002, "type = UNLISTED") + REAL,
        steps=(TRIP,),
        departure="sensor needs no type",
        expect=(Per("refused", "closed"),),
    ),
    Case(
        id="sensor: its own lists are not read",
        config=sensor("decoy", 7002, f"no_access = {B}", f"only_from = {C}") + REAL,
        steps=(TRIP, told("Adding"), meet(7001)),
        expect=("closed", True, "closed"),
    ),
    Case(
        id="sensor: lists of defaults are not read",
        config=defaults(f"only_from = {B}") + BOTH,
        steps=(TRIP, told("Adding")),
        expect=("closed", True),
    ),
    Case(
        id="sensor: data sent to it",
        config=BOTH,
        steps=(talk(7002, b"USER root\r\n", host=FIVE), told("Adding")),
        expect=("closed", True),
    ),
    Case(
        id="sensor: a flood does not blind it",
        config=sensor("decoy", 7002, "cps = 2 60") + REAL,
        steps=(often(4, TRIP), talk(7002, host=FIVE, source=B), told(f"Adding {B}"), meet(7001, source=B)),
        departure="trip before limits",
        expect=(
            Per(["closed", "closed", "closed", "refused"], ["closed"] * 4),
            Per("refused", "closed"),
            Per(False, True),
            Per("served", "closed"),
        ),
    ),
    Case(
        id="sensor: outside its access_times",
        config=sensor("decoy", 7002, "access_times = @ELSEWHEN@") + REAL,
        steps=(TRIP, meet(7001)),
        departure="trip before limits",
        expect=("closed", Per("served", "closed")),
    ),
    Case(
        id="sensor: with instances = 0",
        config=sensor("decoy", 7002, "instances = 0") + REAL,
        steps=(TRIP, meet(7001)),
        departure="trip before limits",
        expect=("closed", Per("served", "closed")),
    ),
    Case(
        id="sensor: a later end replaces an earlier one",
        config=sensor("decoy", 7002, "deny_time = 10") + sensor("longer", 7003, "deny_time = 600"),
        steps=(TRIP, told("Adding", "10 minutes"), talk(7003, host=FIVE), told("600 minutes")),
        departure="later end replaces",
        expect=("closed", True, "closed", Per(False, True)),
    ),
    Case(
        id="sensor: a source whose address ends in zero",
        config=BOTH,
        steps=(
            talk(7002, host=FIVE, source="192.168.2.0"),
            told("Adding 192.168.2.0"),
            meet(7001, source="192.168.2.9"),
        ),
        departure="exactly the source",
        expect=("closed", True, Per("closed", "served")),
    ),
    Case(
        id="sensor: the host's own address",
        config=BOTH,
        steps=(talk(7002, host=FIVE, source="192.168.1.7"), meet(7001, source="192.168.1.7")),
        departure="own are exempt",
        expect=("closed", Per("closed", "served")),
    ),
    Case(
        id="sensor: loopback",
        config=sensor("decoy", 7002, "bind = 127.0.0.5") + service("real", 7001, "bind = 127.0.0.6"),
        steps=(talk(7002, host="127.0.0.5", source="127.0.0.1"), meet(7001, host="127.0.0.6", source="127.0.0.1")),
        departure="own are exempt",
        expect=("closed", Per("closed", "served")),
    ),
    Case(
        id="sensor: dual stack, an IPv4 client, an IPv4 service",
        config=sensor("decoy", 7002).replace("\tbind = 192.168.1.5\n", "") + REAL,
        steps=(TRIP, told("Adding"), meet(7001)),
        departure="one spelling",
        expect=("closed", True, Per("served", "closed")),
    ),
    Case(
        id="sensor: an IPv4 listener, a dual-stack service",
        config=DECOY + service("real", 7001, without=("bind",)),
        steps=(TRIP, told("Adding"), meet(7001)),
        expect=("closed", True, "closed"),
    ),
    Case(
        id="sensor: IPv6",
        config=sensor("decoy", 7002, "bind = fd00::5") + service("real", 7001, without=("bind",)),
        steps=(
            talk(7002, host="fd00::5", source=A6),
            told(f"Adding {A6} "),
            meet(7001, "fd00::6", A6),
            meet(7001, "fd00::6", B6),
        ),
        expect=("closed", True, "closed", "served"),
    ),
    Case(
        id="sensor: dgram",
        config=sensor("decoy", 7002, "socket_type = dgram", "protocol = udp", "wait = yes") + REAL,
        steps=(drop_post(7002, Per("Adding", "decoy"), host=FIVE), meet(7001), meet(7001, source=B)),
        departure="datagrams only tell",
        expect=("dropped", Per("closed", "served"), "served"),
    ),
    Case(
        id="sensor: a second datagram of a second source",
        config=sensor("decoy", 7002, "socket_type = dgram", "protocol = udp", "wait = yes"),
        steps=(drop_post(7002, A, host=FIVE), drop_post(7002, B, host=FIVE, source=B)),
        expect=("dropped", "dropped"),
    ),
    Case(
        id="sensor: dgram service refuses a banned source",
        config=DECOY
        + service("real", 7001, "socket_type = dgram", "protocol = udp", "wait = yes", "server_args = do=cat"),
        steps=(
            TRIP,
            told("Adding"),
            drop_post(7001, "FAIL: real address"),
        ),
        expect=("closed", True, "dropped"),
    ),
    Case(
        id="sensor: an established connection is left alone",
        config=DECOY + service("real", 7001, "server = /bin/cat"),
        steps=(begin("one", 7001, ready=False), say("one"), TRIP, told("Adding"), say("one"), meet(7001)),
        expect=("echoed", "closed", True, "echoed", "closed"),
    ),
    Case(
        id="sensor: what a refused ban leaves in the log",
        config=BOTH,
        steps=(TRIP, told("Adding"), often(3, meet(7001)), log(Per(10, 2))),
        departure="one line a minute",
        expect=(
            "closed",
            True,
            ["closed"] * 3,
            Per(
                ["EXIT: real status=0 pid=N"] * 3
                + [f"FAIL: decoy address from={A}"]
                + [f"FAIL: real address from={A}"] * 3
                + [f"START: real pid=N from={A}"] * 3,
                [f"FAIL: decoy address from={A}", f"FAIL: real address from={A}"],
            ),
        ),
    ),
    Case(
        id="sensor: a banned source starts nothing",
        config=DECOY + service("real", 7001, "log_on_failure ="),
        steps=(TRIP, told("Adding"), meet(7001), log(Per(3, 1))),
        departure="refused without fork",
        expect=(
            "closed",
            True,
            "closed",
            Per(
                ["EXIT: real status=0 pid=N", f"FAIL: decoy address from={A}", f"START: real pid=N from={A}"],
                [f"FAIL: decoy address from={A}"],
            ),
        ),
    ),
    Case(
        id="sensor: no banner for the banned",
        config=DECOY + service("real", 7001, "banner = @WORK@/banner", "banner_fail = @WORK@/banner"),
        files={"banner": "welcome\n"},
        steps=(TRIP, told("Adding"), talk(7001)),
        departure="one line a minute",
        expect=("closed", True, Per("welcome\nwelcome\n", "closed")),
    ),
    Case(
        id="sensor: HUP keeps bans",
        config=BOTH,
        steps=(TRIP, told("Adding"), reload(), meet(7001), meet(7001, source=B)),
        expect=("closed", True, "Reconfigured: new=0 old=2 dropped=0 (services)", "closed", "served"),
    ),
    Case(
        id="sensor: HUP that removes the sensor keeps its bans",
        config=BOTH,
        steps=(TRIP, told("Adding"), reload(REAL), meet(7001)),
        expect=("closed", True, "Reconfigured: new=0 old=1 dropped=1 (services)", "closed"),
    ),
    Case(
        id="sensor: a restart",
        config=BOTH,
        steps=(TRIP, told("Adding"), restart(), meet(7001), meet(7001, source=B)),
        departure="bans are kept",
        expect=("closed", True, Per("served", "closed"), "served"),
    ),
    Case(
        id="sensor: stream with wait = yes",
        config=sensor("decoy", 7002, "wait = yes", "cps = 2 60") + REAL,
        steps=(TRIP, told(f"Adding {A}"), meet(7001), alive()),
        departure="sensors ignore wait",
        expect=("closed", Per(False, True), Per("served", "closed"), True),
    ),
)
