"""Whom an identification server names (RFC 1413): USERID, IDONLY, -logprocs."""

from __future__ import annotations

from differential.exchanges import asked_at_once, daytime, hear, identified
from differential.stage import A6, A, Case, Per
from differential.steps import log, post, talk, told
from rig.entries import defaults, dgram, sensor, service

HI = "server_args = do=word=hi"
USERID = "log_on_success = HOST USERID"
REFUSED = "log_on_failure = HOST USERID"
START = f"START: p from={A}"
FOUND = "USERID: p UNIX : root"


def named(name: str, *lines: str, says: str = "", asked: int = 1, logs: tuple[str, ...], seen: str = "hi\n") -> Case:
    """A served or refused, with an identification server that tells the truth or *says* something else."""
    return Case(
        id=f"ident: {name}",
        config=service("p", 7001, HI, *lines),
        steps=(identified(talk(7001), lie=says), log(len(logs))),
        expect=([seen, asked], sorted(logs)),
    )


CASES = (
    named("USERID of a client that is served", USERID, logs=(START, FOUND)),
    named("nobody is asked unless it is logged", "log_on_success = HOST", asked=0, logs=(START,)),
    named(
        "a user of an odd name",
        USERID,
        says="@ : USERID : OTHER,US-ASCII :  a: b \r\n",
        logs=(START, "USERID: p OTHER,US-ASCII :  a: b "),
    ),
    named("an error in place of a user", USERID, says="@ : ERROR : HIDDEN-USER\r\n", logs=(START,)),
    named("an answer about other ports", USERID, says="1 , 2 : USERID : UNIX : root\r\n", logs=(START,)),
    named("an answer that is none", USERID, says="root\r\n", logs=(START,)),
    named("an answer without CR", USERID, says="@ : USERID : UNIX : root\n", logs=(START,)),
    named("an answer without end", USERID, says="x" * 5000, logs=(START,)),
    named("userid in small letters", USERID, says="@ : userid : UNIX : root\r\n", logs=(START,)),
    named("IDONLY: a client that is named", USERID, "flags = IDONLY", logs=(START, FOUND)),
    named("IDONLY without USERID asks nobody", "log_on_success = HOST", "flags = IDONLY", asked=0, logs=(START,)),
    named(
        "USERID of a client that is refused",
        "log_on_success =",
        REFUSED,
        "instances = 0",
        seen="closed",
        logs=(f"FAIL: p service_limit from={A}", FOUND),
    ),
    Case(
        id="ident: IDONLY: a client that is not named",
        config=service("p", 7001, HI, USERID, "flags = IDONLY"),
        steps=(identified(talk(7001), lie="@ : ERROR : NO-USER\r\n"), log(2)),
        departure="no start, no exit",
        expect=(
            ["closed", 1],
            Per([f"NOID: p {A} bad response", START], [f"FAIL: p ident from={A}", f"NOID: p {A} bad response"]),
        ),
    ),
    Case(
        id="ident: IDONLY: a host without a server",
        config=service("p", 7001, HI, USERID, "flags = IDONLY"),
        steps=(talk(7001), log(2)),
        departure="no start, no exit",
        expect=(
            "closed",
            Per([f"NOID: p {A} no server", START], [f"FAIL: p ident from={A}", f"NOID: p {A} no server"]),
        ),
    ),
    Case(
        id="ident: IDONLY: a server that hangs up",
        config=service("p", 7001, HI, USERID, "flags = IDONLY"),
        steps=(identified(talk(7001), hangs_up=True), log(2)),
        departure="no start, no exit",
        expect=(
            ["closed", 1],
            Per(
                [f"NOID: p {A} error while receiving response", START],
                [f"FAIL: p ident from={A}", f"NOID: p {A} error while receiving response"],
            ),
        ),
    ),
    Case(
        id="ident: a host without a server is served all the same",
        config=service("p", 7001, HI, USERID),
        steps=(talk(7001), log(1)),
        expect=("hi\n", [START]),
    ),
    Case(
        id="ident: the refused of a host whose server answers nothing useful",
        config=service("p", 7001, HI, "instances = 0", REFUSED),
        steps=(
            identified(talk(7001), lie="nonsense\r\n"),
            told(f"Failed to contact identity server at {A}: bad response"),
            log(1),
        ),
        expect=(["closed", 1], True, [f"FAIL: p service_limit from={A}"]),
    ),
    Case(
        id="ident: of a source that no_access names",
        config=service("p", 7001, HI, f"no_access = {A}", "log_on_success =", REFUSED),
        steps=(identified(talk(7001)), log(Per(1, 2))),
        departure="asked for whoever was refused",
        expect=(
            Per(["closed", 0], ["closed", 1]),
            Per([f"FAIL: p address from={A}"], [f"FAIL: p address from={A}", FOUND]),
        ),
    ),
    Case(
        id="ident: of whoever touches a sensor",
        config=sensor("p", 7001, REFUSED),
        steps=(identified(talk(7001, host="192.168.1.5")), log(2)),
        expect=(["closed", 1], [f"FAIL: p address from={A}", FOUND]),
    ),
    Case(
        id="ident: of defaults",
        config=defaults("log_on_success = HOST USERID")
        + service("p", 7001, HI, without=("log_on_success",))
        + service("q", 7002, HI, "log_on_success -= USERID", without=("log_on_success",)),
        steps=(identified(talk(7001), talk(7002)), log(3)),
        expect=(["hi\n", "hi\n", 1], sorted((START, FOUND, f"START: q from={A}"))),
    ),
    Case(
        id="ident: an internal service that takes no time asks nobody",
        config=service("daytime", 7001, "type = INTERNAL UNLISTED", USERID, without=("server", "user")),
        steps=(identified(daytime(talk(7001))), log(1)),
        expect=(["now", 0], [f"START: daytime from={A}"]),
    ),
    Case(
        id="ident: an internal service that goes on",
        config=service("echo", 7001, "type = INTERNAL UNLISTED", USERID, without=("server", "user")),
        steps=(identified(talk(7001, b"x")), log(2)),
        expect=(["x", 1], [f"START: echo from={A}", "USERID: echo UNIX : root"]),
    ),
    Case(
        id="ident: a redirect",
        config=service("r", 7001, "redirect = 192.168.1.7 7100", USERID, without=("server",))
        + service("t", 7100, "bind = 192.168.1.7", HI, without=("log_type",)),
        steps=(identified(hear(7001)), log(2)),
        expect=(["hi\n", 1], [f"START: r from={A}", "USERID: r UNIX : root"]),
    ),
    Case(
        id="ident: IDONLY at an internal service and a redirect",
        config=service("echo", 7001, "type = INTERNAL UNLISTED", USERID, "flags = IDONLY", without=("server", "user"))
        + service("r", 7002, "redirect = 192.168.1.7 7100", USERID, "flags = IDONLY", without=("server",))
        + service("t", 7100, "bind = 192.168.1.7", HI, without=("log_type",)),
        steps=(talk(7001, b"x"), hear(7002), identified(talk(7001, b"x"), hear(7002))),
        expect=("closed", "closed", ["x", "hi\n", 2]),
    ),
    Case(
        id="ident: IPv6",
        config=service("p", 7001, HI, USERID, "bind = fd00::6"),
        steps=(talk(7001, b"", "fd00::6", A6), log(1)),
        expect=("hi\n", [f"START: p from={A6}"]),
    ),
    Case(
        id="ident: nobody is asked about a datagram",
        config=dgram("p", 7001, "server_args = do=cat", USERID),
        steps=(identified(post(7001, b"one")), log(1)),
        expect=(["one", 0], [START]),
    ),
    Case(
        id="ident: as many refused clients at once as -logprocs has",
        config=service("p", 7001, HI, "instances = 0", REFUSED),
        options=("-logprocs", "1"),
        steps=(asked_at_once(3, 7001),),
        departure="logprocs holds",
        expect=(Per(3, 1),),
    ),
)
