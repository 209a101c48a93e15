"""Internal services: echo, discard, chargen, daytime, time, and the two that list what there is."""

from __future__ import annotations

from differential.exchanges import (
    answer_from,
    answers,
    daytime,
    first,
    lines_of,
    more_processes,
    pieces,
    returned,
    seconds,
    size_of,
    unanswered,
)
from differential.stage import A6, A, B, C, Case, Per
from differential.steps import begin, burst, drop_post, end, log, meet, often, post, reload, say, talk, told
from rig.entries import defaults, service

UDP = ("socket_type = dgram", "protocol = udp", "wait = yes")
NO_LIMIT = "cps = 0 0"


def internal(name: str, port: int, *lines: str) -> str:
    """An entry of an internal service."""
    return service(name, port, "type = INTERNAL UNLISTED", *lines, without=("server", "user"))


def internal_dgram(name: str, port: int, *lines: str) -> str:
    """An entry of an internal datagram service."""
    given = {line.split()[0] for line in lines}
    return internal(name, port, *(line for line in UDP if line.split()[0] not in given), *lines)


def ring(start: int) -> str:
    """The line of chargen that begins at *start* (RFC 864; xinetd's ring has 93 characters)."""
    return "".join(chr(33 + (start + place) % 93) for place in range(72))


CASES = (
    Case(
        id="echo: every byte comes back",
        config=internal("echo", 7001),
        steps=(talk(7001, b"one\r\ntwo\0\xff\x80"),),
        expect=("one\r\ntwo\0\xff\x80",),
    ),
    Case(
        id="echo: nothing said, nothing answered",
        config=internal("echo", 7001),
        steps=(talk(7001),),
        expect=("closed",),
    ),
    Case(
        id="echo: a megabyte",
        config=internal("echo", 7001),
        steps=(returned(7001, 1 << 20),),
        expect=("all of it",),
    ),
    Case(
        id="echo: logged at both ends, with a process id",
        config=internal("echo", 7001),
        steps=(talk(7001, b"x"), log(2)),
        expect=("x", ["EXIT: echo status=0 pid=N", f"START: echo pid=N from={A}"]),
    ),
    Case(
        id="echo: no process for each connection",
        config=internal("echo", 7001, "log_on_success = EXIT"),
        steps=(more_processes(5, 7001),),
        departure="carried without a process",
        expect=(Per(5, 0),),
    ),
    Case(
        id="echo: instances and per_source hold",
        config=internal("echo", 7001, "instances = 2", "per_source = 1"),
        steps=(
            begin("one", 7001, ready=False),
            say("one"),
            talk(7001, b"x"),
            begin("two", 7001, ready=False, source=B),
            say("two"),
            talk(7001, b"x", source=C),
            end("one"),
        ),
        expect=("echoed", "closed", "echoed", "closed"),
    ),
    Case(
        id="echo: lists hold",
        config=internal("echo", 7001, f"no_access = {A}"),
        steps=(talk(7001, b"x"), talk(7001, b"x", source=B)),
        expect=("closed", "x"),
    ),
    Case(
        id="echo: a session outlives a reload",
        config=internal("echo", 7001),
        steps=(begin("one", 7001, ready=False), say("one"), reload(), say("one")),
        expect=("echoed", "Reconfigured: new=0 old=1 dropped=0 (services)", "echoed"),
    ),
    Case(
        id="echo: by a name in other letters",
        config=internal("ECHO", 7001),
        steps=(talk(7001, b"x"),),
        expect=("x",),
    ),
    Case(
        id="echo: at the port that services(5) has",
        config=service("echo", None, "type = INTERNAL", without=("server", "user")),
        steps=(talk(7, b"x"),),
        expect=("x",),
    ),
    Case(
        id="echo: IPv6",
        config=internal("echo", 7001, "bind = fd00::6"),
        steps=(talk(7001, b"x", "fd00::6", A6),),
        expect=("x",),
    ),
    Case(
        id="echo: many idle ones at once",
        config=internal("echo", 7001, NO_LIMIT),
        steps=(
            *(begin(str(number), 7001, ready=False) for number in range(60)),
            lambda stage: {say(str(number))(stage) for number in range(60)},
        ),
        expect=({"echoed"},),
    ),
    Case(
        id="echo: dgram",
        config=internal_dgram("echo", 7001),
        steps=(post(7001, b"one"), post(7001, b"two", source=B), post(7001, b"")),
        expect=("one", "two", ""),
    ),
    Case(
        id="echo: dgram, of a long datagram the first 2048 bytes",
        config=internal_dgram("echo", 7001),
        steps=(size_of(post(7001, b"x" * 2046 + b"yz" + b"x" * 952)),),
        expect=((2048, "yz"),),
    ),
    Case(
        id="echo: dgram, IPv6",
        config=internal_dgram("echo", 7001, "bind = fd00::6"),
        steps=(post(7001, b"one", "fd00::6", A6),),
        expect=("one",),
    ),
    Case(
        id="echo: dgram, logged without a process",
        config=internal_dgram("echo", 7001),
        steps=(post(7001, b"one"), log(1)),
        expect=("one", [f"START: echo pid=0 from={A}"]),
    ),
    Case(
        id="echo: dgram, a refused sender",
        config=internal_dgram("echo", 7001, f"no_access = {B}"),
        steps=(drop_post(7001, "FAIL: echo address", source=B), post(7001, b"mine"), log(2)),
        expect=("dropped", "mine", [f"FAIL: echo address from={B}", f"START: echo pid=0 from={A}"]),
    ),
    Case(
        id="echo: dgram with wait = no",
        config=internal_dgram("echo", 7001, "wait = no"),
        steps=(post(7001, b"one"), post(7001, b"two")),
        expect=("one", "two"),
    ),
    Case(
        id="dgram: the protocol follows from it",
        config=service(
            "echo", None, "type = INTERNAL", "socket_type = dgram", "wait = yes", without=("server", "user", "protocol")
        ),
        steps=(post(7, b"one"),),
        expect=("one",),
    ),
    Case(
        id="echo: dgram from a port whose service would answer the answer",
        config=internal_dgram("echo", 7001, NO_LIMIT) + internal_dgram("daytime", 7002, NO_LIMIT),
        steps=(*(answer_from(7001, port) for port in (7, 13, 17, 19, 37, 7002)), answer_from(7001, 9)),
        departure="no loops of datagrams",
        expect=(*[Per("answered", "left alone")] * 6, "answered"),
    ),
    Case(
        id="echo: dgram, a flood in the name of one source",
        config=internal_dgram("echo", 7001, NO_LIMIT),
        steps=(answers(300, 7001), answers(10, 7001, source=B)),
        departure="answers are paced",
        expect=(Per("all", "not all"), "all"),
    ),
    Case(
        id="discard: stream",
        config=internal("discard", 7001),
        steps=(talk(7001, b"gone" * 1000), log(2)),
        expect=("closed", ["EXIT: discard status=0 pid=N", f"START: discard pid=N from={A}"]),
    ),
    Case(
        id="discard: stream, whatever comes and in how many pieces",
        config=internal("discard", 7001),
        steps=(pieces(7001, b"one", b"two", b"three", apart=0.2, finish=True), talk(7001, b"x" * 200_000)),
        expect=("closed", "closed"),
    ),
    Case(
        id="discard: dgram",
        config=internal_dgram("discard", 7001),
        steps=(unanswered(7001), unanswered(7001, b""), log(2)),
        expect=("silence", "silence", [f"START: discard pid=0 from={A}"] * 2),
    ),
    Case(
        id="chargen: a ring of 93 characters, 95 lines, and again",
        config=internal("chargen", 7001),
        steps=(lines_of(first(98 * 74, 7001)),),
        expect=([*(ring(number) for number in range(95)), ring(0), ring(1), ring(2), ""],),
    ),
    Case(
        id="chargen: dgram, 1024 bytes that go on where the last ones ended",
        config=internal_dgram("chargen", 7001),
        steps=(lines_of(post(7001)), lines_of(post(7001, b"", source=B))),
        expect=(
            [*(ring(number) for number in range(13)), ring(13)[:60], ""],
            [*(ring(number) for number in range(14, 27)), ring(27)[:60], ""],
        ),
    ),
    Case(
        id="chargen: a stream begins where the datagrams have come to",
        config=internal_dgram("chargen", 7001, "id = by-dgram") + internal("chargen", 7001, "id = by-stream"),
        steps=(size_of(post(7001)), first(74, 7001), first(74, 7001)),
        expect=((1024, "\r\n"), f"{ring(14)}\r\n", f"{ring(14)}\r\n"),
    ),
    Case(
        id="daytime: stream",
        config=internal("daytime", 7001),
        steps=(daytime(talk(7001)), log(1)),
        expect=("now", [f"START: daytime pid=0 from={A}"]),
    ),
    Case(
        id="daytime: dgram",
        config=internal_dgram("daytime", 7001),
        steps=(daytime(post(7001)), daytime(post(7001, b"")), log(2)),
        expect=("now", "now", [f"START: daytime pid=0 from={A}"] * 2),
    ),
    Case(
        id="time: stream",
        config=internal("time", 7001),
        steps=(seconds(talk(7001)), log(1)),
        expect=("now", [f"START: time pid=0 from={A}"]),
    ),
    Case(
        id="time: dgram",
        config=internal_dgram("time", 7001),
        steps=(seconds(post(7001)), seconds(post(7001, b"")), log(2)),
        expect=("now", "now", [f"START: time pid=0 from={A}"] * 2),
    ),
    Case(
        id="daytime: instances = 0 refuses, and nothing else counts",
        config=internal("daytime", 7001, "instances = 0") + internal("time", 7002, "instances = 1", "per_source = 1"),
        steps=(meet(7001), often(3, meet(7002))),
        expect=("closed", ["served"] * 3),
    ),
    Case(
        id="daytime: refused, without a process",
        config=internal("daytime", 7001, f"no_access = {A}"),
        steps=(meet(7001), meet(7001, source=B), log(2)),
        expect=("closed", "served", [f"FAIL: daytime address from={A}", f"START: daytime pid=0 from={B}"]),
    ),
    Case(
        id="daytime: cps holds",
        config=internal("daytime", 7001, "cps = 5 60", "log_on_success ="),
        steps=(burst(5, 7001), meet(7001), told("Deactivating service daytime")),
        expect=("all served", "closed", True),
    ),
    Case(
        id="internal: limits, lists and logs of defaults",
        config=defaults(f"no_access = {B}", "log_on_success = HOST", "instances = 0")
        + service("time", 7001, "type = INTERNAL UNLISTED", without=("server", "user", "log_on_success"))
        + service(
            "daytime", 7002, "type = INTERNAL UNLISTED", "instances = 1", without=("server", "user", "log_on_success")
        ),
        steps=(meet(7001), meet(7002), meet(7002, source=B)),
        expect=("closed", "served", "closed"),
    ),
    Case(
        id="internal: a name that there is not",
        config=internal("finger", 7001) + internal("time", 7002),
        steps=(meet(7001), meet(7002), told("No such internal service: finger/stream")),
        expect=("refused", "served", True),
    ),
    Case(
        id="services: one line for each",
        config=internal("services", 7001) + internal_dgram("echo", 7002) + service("p", 7003),
        steps=(talk(7001),),
        departure="lists are served",
        expect=(Per("refused", "services tcp 7001\necho udp 7002\np tcp 7003\n"),),
    ),
    Case(
        id="servers: a block for each",
        config=internal("servers", 7001) + service("p", 7003, "server_args = do=hold"),
        steps=(begin("one", 7003), lambda stage: talk(7001)(stage).split("\n")[0]),
        departure="lists are served",
        expect=(Per("refused", "p server"),),
    ),
)
