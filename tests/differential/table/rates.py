"""Attributes that xinetd does not know: rates of one source, exemptions, how far a ban reaches."""

from __future__ import annotations

from differential.stage import A6, A, B, Case, Per
from differential.steps import at_last, drop_post, log, meet, often, talk, told
from rig.entries import defaults, sensor, service

FIVE, FIVE6 = "192.168.1.5", "fd00::5"
HI = "server_args = do=word=hi"
OURS = "attributes of ours"


def unknown(attribute: str, entry: str) -> Case:
    """xinetd tells of an attribute that it does not know, and passes it over; sentinetd says nothing of it."""
    return Case(
        id=f"xinetd does not know {attribute}, tells so and goes on",
        config=entry,
        steps=(meet(7001, source=B), told("bad service attribute: " + attribute)),
        departure=OURS,
        expect=("served", Per(True, False)),
    )


CASES = (
    Case(
        id="cps_source: one source is held to it, others are not",
        config=service("p", 7001, HI, "cps_source = 3 60", "cps = 0 0"),
        steps=(often(5, talk(7001)), often(3, talk(7001, source=B))),
        departure=OURS,
        expect=(Per(["hi\n"] * 5, ["hi\n", "hi\n", "hi\n", "closed", "closed"]), ["hi\n"] * 3),
    ),
    Case(
        id="cps_source: logged",
        config=service("p", 7001, HI, "cps_source = 1 60", "log_on_success ="),
        steps=(often(2, talk(7001)), log(Per(0, 1))),
        departure=OURS,
        expect=(Per(["hi\n"] * 2, ["hi\n", "closed"]), Per([], [f"FAIL: p connections per second from={A}"])),
    ),
    Case(
        id="cps_source: the source is served again after a while",
        config=service("p", 7001, HI, "cps_source = 2 1"),
        steps=(often(3, talk(7001)), at_last(talk(7001), "hi\n")),
        departure=OURS,
        expect=(Per(["hi\n"] * 3, ["hi\n", "hi\n", "closed"]), "hi\n"),
    ),
    Case(
        id="cps_source: the service stays open",
        config=service("p", 7001, HI, "cps_source = 2 60", "cps = 4 60"),
        steps=(often(9, talk(7001)), talk(7001, source=B), talk(7001, source=B)),
        departure=OURS,
        expect=(
            Per(["hi\n"] * 4 + ["closed"] + ["refused"] * 4, ["hi\n", "hi\n"] + ["closed"] * 7),
            Per("refused", "hi\n"),
            Per("refused", "hi\n"),
        ),
    ),
    Case(
        id="exempt: whom a sensor never bans",
        config=sensor("decoy", 7002, f"exempt = {A}") + service("p", 7001, HI),
        steps=(
            talk(7002, host=FIVE),
            talk(7002, host=FIVE, source=B),
            talk(7001),
            talk(7001, source=B),
            told(f"touched by {A}"),
        ),
        departure=OURS,
        expect=("closed", "closed", Per("closed", "hi\n"), "closed", Per(False, True)),
    ),
    Case(
        id="deny_prefix: how many bits a ban covers",
        config=sensor("decoy", 7002, "deny_prefix = 24 64") + service("p", 7001, HI),
        steps=(
            talk(7002, host=FIVE),
            talk(7001, source="192.168.2.9"),
            talk(7001, source=B),
        ),
        departure=OURS,
        expect=("closed", "hi\n", Per("hi\n", "closed")),
    ),
    Case(
        id="deny_prefix: an IPv6 host of our own link is banned alone",
        config=sensor("decoy", 7002, "deny_prefix = 32 120", f"bind = {FIVE6}")
        + service("p", 7001, HI, "bind = fd00::6"),
        steps=(
            talk(7002, host=FIVE6, source=A6),
            talk(7001, host="fd00::6", source=A6),
            talk(7001, host="fd00::6", source="fd00::21"),
        ),
        expect=("closed", "closed", "hi\n"),
    ),
    Case(
        id="deny_dgram: a datagram bans",
        config=sensor("decoy", 7002, "socket_type = dgram", "protocol = udp", "wait = yes", "deny_dgram = yes")
        + service("p", 7001, HI),
        steps=(drop_post(7002, "Adding", host=FIVE), talk(7001), talk(7001, source=B)),
        expect=("dropped", "closed", "hi\n"),
    ),
    unknown("cps_source", service("p", 7001, "cps_source = 3 60")),
    unknown("exempt", service("p", 7001) + sensor("decoy", 7002, f"exempt = {A}")),
    unknown("deny_prefix", service("p", 7001) + sensor("decoy", 7002, "deny_prefix = 24 64")),
    unknown("deny_dgram", service("p", 7001) + sensor("decoy", 7002, "deny_dgram = no")),
    Case(
        id="cps_source: not an attribute of defaults",
        config=defaults("cps_source = 1 60") + service("p", 7001, HI),
        steps=(often(3, talk(7001)),),
        expect=(["hi\n"] * 3,),
    ),
)
