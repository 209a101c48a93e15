"""The multiplexer of RFC 1078, and the services that are reached through it."""

from __future__ import annotations

from differential.exchanges import hear, pieces
from differential.stage import SIX, A, B, Case, Per, Stage, Step
from differential.steps import at_last, begin, end, log, meet, often, reload, talk
from rig.client import Dialogue
from rig.entries import service
from rig.probe import world

HI = "server_args = do=word=hi"
NOT_FOUND = Per("-Service name not found\r\n\0", "-Service name not found\r\n")


def mux(*lines: str) -> str:
    """The multiplexer."""
    return service("tcpmux", 7001, "type = INTERNAL UNLISTED", *lines, without=("server",))


def member(name: str, *lines: str, kind: str = "TCPMUX") -> str:
    """A service that has no port of its own."""
    return service(name, None, f"type = {kind} UNLISTED", *lines, without=("bind",))


def limited(name: str, *lines: str, files: dict[str, str] | None = None) -> Case:
    """A member whose own limits refuse everybody; xinetd serves it."""
    return Case(
        id=f"tcpmux: {name} of the chosen service",
        config=mux() + member("inner", HI, *lines),
        files=files or {},
        steps=(talk(7001, b"inner\r\n"),),
        departure="limits of the chosen service",
        expect=(Per("hi\n", "closed"),),
    )


def world_of(*keys: str) -> Step:
    """What the probe behind the multiplexer says of *keys*."""

    def step(stage: Stage) -> dict[str, str]:
        seen = world(talk(7001, b"inner\r\n")(stage))
        return {key: seen.get(key, "-") for key in keys}

    return step


def held(stage: Stage) -> str:
    """Choose a server that stays, wait for its line, hang up."""
    with Dialogue(stage.lab, SIX, 7001, A) as dialogue:
        dialogue.send(b"inner\r\n")
        return dialogue.receive(6).decode()


CASES = (
    Case(
        id="tcpmux: TCPMUX, the service begins at once",
        config=mux() + member("inner", HI),
        steps=(talk(7001, b"inner\r\n"),),
        expect=("hi\n",),
    ),
    Case(
        id="tcpmux: TCPMUXPLUS, the service is announced",
        config=mux() + member("inner", HI, kind="TCPMUXPLUS"),
        steps=(talk(7001, b"inner\r\n"),),
        departure="no NUL after an answer",
        expect=(Per("+Go\r\n\0hi\n", "+Go\r\nhi\n"),),
    ),
    Case(
        id="tcpmux: one of several, in other letters",
        config=mux() + member("one", HI) + member("Two", "server_args = do=word=second"),
        steps=(talk(7001, b"tWO\r\n"), talk(7001, b"ONE\r\n")),
        expect=("second\n", "hi\n"),
    ),
    Case(
        id="tcpmux: a name that there is not",
        config=mux() + member("inner", HI),
        steps=(talk(7001, b"outer\r\n"),),
        departure="no NUL after an answer",
        expect=(NOT_FOUND,),
    ),
    Case(
        id="tcpmux: the beginning of a name",
        config=mux() + member("inner", HI),
        steps=(talk(7001, b"inn\r\n"),),
        departure="no NUL after an answer",
        expect=(NOT_FOUND,),
    ),
    Case(
        id="tcpmux: a service that is not multiplexed",
        config=mux() + member("inner", HI) + service("p", 7002, HI),
        steps=(talk(7001, b"p\r\n"), talk(7001, b"tcpmux\r\n")),
        departure="no NUL after an answer",
        expect=(NOT_FOUND, NOT_FOUND),
    ),
    Case(
        id="tcpmux: help",
        config=mux() + member("inner", HI) + member("also", HI, kind="TCPMUXPLUS"),
        steps=(talk(7001, b"help\r\n"), talk(7001, b"HELP\r\n")),
        departure="the multiplexer helps",
        expect=(Per(NOT_FOUND.xinetd, "also\r\ninner\r\n"),) * 2,
    ),
    Case(
        id="tcpmux: a name in pieces",
        config=mux() + member("inner", HI),
        steps=(pieces(7001, b"inn", b"er\r\n"),),
        departure="a name as it comes",
        expect=(Per("closed", "hi\n"),),
    ),
    Case(
        id="tcpmux: a line that ends without CR",
        config=mux() + member("inner", HI),
        steps=(talk(7001, b"inner\n"),),
        departure="a name as it comes",
        expect=(Per("closed", "hi\n"),),
    ),
    Case(
        id="tcpmux: what follows the name is the service's",
        config=mux() + member("inner", "server_args = do=cat"),
        steps=(talk(7001, b"inner\r\nmore"),),
        departure="a name as it comes",
        expect=(Per("closed", "more"),),
    ),
    Case(
        id="tcpmux: what is sent later is the service's",
        config=mux() + member("inner", "server_args = do=hold"),
        steps=(held,),
        expect=("ready\n",),
    ),
    Case(
        id="tcpmux: nothing said",
        config=mux() + member("inner", HI),
        steps=(talk(7001), talk(7001, b"in")),
        expect=("closed", "closed"),
    ),
    Case(
        id="tcpmux: a line without end",
        config=mux() + member("inner", HI),
        steps=(hear(7001, b"x" * 5000),),
        expect=("closed",),
    ),
    Case(
        id="tcpmux: bytes that are no name",
        config=mux() + member("inner", HI),
        steps=(talk(7001, b"\xff\0\x01in\r\n"),),
        departure="a name is printable",
        expect=(Per(NOT_FOUND.xinetd, "closed"),),
    ),
    Case(
        id="tcpmux: credentials and arguments of the chosen service",
        config=mux() + member("inner", "user = games", "nice = 3", "env = NEW=1", "server_args = x"),
        steps=(world_of("uid", "gid", "nice", "env.NEW", "argv.0", "argv.1", "fds"),),
        expect=(
            {
                "uid": "5 5",
                "gid": "60 60",
                "nice": "3",
                "env.NEW": "1",
                "argv.0": "probe",
                "argv.1": "x",
                "fds": "0 1 2",
            },
        ),
    ),
    Case(
        id="tcpmux: limits of open files and address space of the chosen service",
        config=mux() + member("inner", "rlimit_files = 77", "rlimit_as = 64M", "umask = 077"),
        steps=(world_of("rlimit.files", "rlimit.as", "umask"),),
        expect=({"rlimit.files": "77 77", "rlimit.as": "67108864 67108864", "umask": "077"},),
    ),
    Case(
        id="tcpmux: lists of the chosen service",
        config=mux() + member("inner", HI, f"no_access = {A}"),
        steps=(talk(7001, b"inner\r\n"), talk(7001, b"inner\r\n", source=B)),
        expect=("closed", "hi\n"),
    ),
    Case(
        id="tcpmux: its own lists",
        config=mux(f"no_access = {A}") + member("inner", HI),
        steps=(talk(7001, b"inner\r\n"), talk(7001, b"inner\r\n", source=B)),
        expect=("closed", "hi\n"),
    ),
    limited("instances", "instances = 0"),
    limited("per_source", "per_source = 0"),
    limited("access_times", "access_times = @ELSEWHEN@"),
    limited("max_load", "max_load = 5", files={"loadavg": "9.00 9.00 9.00 1/100 100\n"}),
    Case(
        id="tcpmux: cps of the chosen service",
        config=mux() + member("inner", HI, "cps = 2 60") + member("other", HI),
        steps=(often(4, talk(7001, b"inner\r\n")), talk(7001, b"other\r\n")),
        departure="limits of the chosen service",
        expect=(Per(["hi\n"] * 4, ["hi\n", "hi\n", "closed", "closed"]), "hi\n"),
    ),
    Case(
        id="tcpmux: instances of its own",
        config=mux("instances = 1") + member("inner", HI),
        steps=(
            begin("one", 7001, ready=False),
            talk(7001, b"inner\r\n", source=B),
            end("one"),
            at_last(talk(7001, b"inner\r\n"), "hi\n"),
        ),
        expect=("closed", "hi\n"),
    ),
    Case(
        id="tcpmux: who is logged",
        config=mux() + member("inner", HI),
        steps=(talk(7001, b"inner\r\n"), log(2)),
        departure="the chosen service is logged",
        expect=(
            "hi\n",
            Per(
                ["EXIT: tcpmux status=0 pid=N", f"START: tcpmux pid=N from={A}"],
                ["EXIT: inner status=0 pid=N", f"START: inner pid=N from={A}"],
            ),
        ),
    ),
    Case(
        id="tcpmux: who is logged as refused",
        config=mux() + member("inner", HI, f"no_access = {A}"),
        steps=(talk(7001, b"inner\r\n"), log(Per(2, 1))),
        departure="the chosen service is logged",
        expect=(
            "closed",
            Per(
                ["EXIT: tcpmux status=0 pid=N", f"START: tcpmux pid=N from={A}"],
                [f"FAIL: inner address from={A}"],
            ),
        ),
    ),
    Case(
        id="tcpmux: an internal service behind it",
        config=mux() + service("echo", None, "type = INTERNAL TCPMUXPLUS UNLISTED", without=("server", "user", "bind")),
        steps=(talk(7001, b"echo\r\n"), pieces(7001, b"echo\r\n", b"x", finish=True)),
        departure="announced in every case",
        expect=(Per("closed", "+Go\r\n"), Per("x", "+Go\r\nx")),
    ),
    Case(
        id="tcpmux: a member that is not UNLISTED",
        config=mux() + service("probe-svc", None, "type = TCPMUX", HI, without=("bind",)) + member("inner", HI),
        steps=(meet(7400), talk(7001, b"probe-svc\r\n"), talk(7001, b"inner\r\n")),
        departure="members may be listed",
        expect=("refused", Per(NOT_FOUND.xinetd, "hi\n"), "hi\n"),
    ),
    Case(
        id="tcpmux: a member needs no port, and one it names is not opened",
        config=mux() + member("inner", HI, "port = 7002"),
        steps=(meet(7002), talk(7001, b"inner\r\n")),
        expect=("refused", "hi\n"),
    ),
    Case(
        id="tcpmux: a member that a reload adds, and one that it takes",
        config=mux() + member("inner", HI),
        steps=(
            reload(mux() + member("other", HI), until="Reconfigured: "),
            talk(7001, b"other\r\n"),
            talk(7001, b"inner\r\n"),
        ),
        departure="no NUL after an answer",
        expect=("Reconfigured: new=1 old=1 dropped=1 (services)", "hi\n", NOT_FOUND),
    ),
    Case(
        id="tcpmux: under another user",
        config=mux("user = nobody") + member("inner", "user = games"),
        steps=(world_of("uid"),),
        departure="credentials are set once",
        expect=(Per({"uid": "-"}, {"uid": "5 5"}),),
    ),
    Case(
        id="tcpmux: at the port that services(5) has",
        config=service("tcpmux", None, "type = INTERNAL", without=("server",)) + member("inner", HI),
        steps=(talk(1, b"inner\r\n"),),
        expect=("hi\n",),
    ),
)
