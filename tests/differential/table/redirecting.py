"""redirect: connections carried on to another host and port."""

from __future__ import annotations

from contextlib import suppress

from differential.exchanges import first, hear, returned
from differential.stage import A6, A, B, Case, Per, Stage, Step
from differential.steps import at_last, begin, end, log, meet, quietly, reload, talk, told
from rig.deadline import wait_for
from rig.entries import defaults, service
from rig.probe import world

FIVE, SEVEN = "192.168.1.5", "192.168.1.7"


def carried(*lines: str, to: str = f"{SEVEN} 7100") -> str:
    """A service that carries its connections on."""
    return service("r", 7001, f"redirect = {to}", *lines, without=("server",))


def target(*lines: str) -> str:
    """The service at the other end, which writes no log."""
    given = {line.split()[0] for line in lines}
    usual = [line for line in (f"bind = {SEVEN}",) if line.split()[0] not in given]
    return service("t", 7100, *usual, *lines, without=("log_type",))


def ends(stage: Stage) -> dict[str, str]:
    """What the probe at the other end says of its connection."""
    seen = world(hear(7001)(stage))
    return {key: seen[key] for key in ("here", "there", "env.REMOTE_HOST")}


def named(address: str) -> Step:
    """From now on seven.example.test is *address*."""

    def step(stage: Stage) -> None:
        hosts = stage.lab.host.etc / "hosts"
        others = [line for line in hosts.read_text().splitlines() if "seven" not in line]
        hosts.write_text("\n".join([*others, f"{address} seven.example.test", ""]))

    return step


def before_long(step: Step, wanted: str, within: float = 3.0) -> Step:
    """*step* again and again until it gives *wanted*, or for so many seconds; what it gave last."""

    def look(stage: Stage) -> str:
        with suppress(AssertionError):
            wait_for(lambda: step(stage) == wanted, wanted, within, pause=0.1)
        return str(step(stage))

    return look


HI, CAT, HOLD = "server_args = do=word=hi", "server_args = do=cat", "server_args = do=hold"

CASES = (
    Case(
        id="redirect: an IPv4 target",
        config=carried() + target(HI),
        steps=(hear(7001),),
        expect=("hi\n",),
    ),
    Case(
        id="redirect: an IPv6 target of an IPv4 client",
        config=carried(to="fd00::7 7100") + target(HI, "bind = fd00::7"),
        steps=(hear(7001),),
        expect=("hi\n",),
    ),
    Case(
        id="redirect: an IPv4 target of an IPv6 client",
        config=carried("bind = fd00::6") + target(HI),
        steps=(hear(7001, b"", "fd00::6", A6),),
        expect=("hi\n",),
    ),
    Case(
        id="redirect: a target by its name",
        config=carried(to="seven.example.test 7100") + target(HI),
        steps=(hear(7001),),
        expect=("hi\n",),
    ),
    Case(
        id="redirect: a port by its name",
        config=carried(to=f"{SEVEN} probe-svc") + target(HI, "port = 7400"),
        steps=(hear(7001),),
        expect=("hi\n",),
    ),
    Case(
        id="redirect: both ways, for as long as both like",
        config=carried() + target(HOLD),
        steps=(begin("one", 7001), end("one"), log(2)),
        expect=(["EXIT: r status=0 pid=N", f"START: r pid=N from={A}"],),
    ),
    Case(
        id="redirect: a client that ends its side still gets its answer",
        config=carried() + target(CAT),
        steps=(talk(7001, b"question"),),
        departure="half-close is kept",
        expect=(Per("closed", "question"),),
    ),
    Case(
        id="redirect: a megabyte and back",
        config=carried() + target(CAT),
        steps=(returned(7001, 1 << 20),),
        expect=("all of it",),
    ),
    Case(
        id="redirect: TRAFFIC counts both ways",
        config=carried("log_on_success = TRAFFIC EXIT HOST") + target("server = /bin/cat"),
        steps=(returned(7001, 5000), log(3)),
        expect=("all of it", ["EXIT: r status=0", f"START: r from={A}", "TRAFFIC: r in=5000(bytes) out=5000(bytes)"]),
    ),
    Case(
        id="redirect: TRAFFIC without redirect drops the service",
        config=service("p", 7001, "log_on_success = TRAFFIC") + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="redirect: a target where nobody listens",
        config=carried(),
        steps=(hear(7001), told("can't connect to remote host", "Connection refused")),
        expect=("closed", True),
    ),
    Case(
        id="redirect: a target where nobody listens, logged",
        config=carried(),
        steps=(hear(7001), log(2)),
        expect=("closed", ["EXIT: r status=0 pid=N", f"START: r pid=N from={A}"]),
    ),
    Case(
        id="redirect: the target that hangs up ends it",
        config=carried() + target(HI),
        steps=(hear(7001),),
        expect=("hi\n",),
    ),
    Case(
        id="redirect: what the server at the other end sees",
        config=carried("user = games") + target(),
        steps=(ends,),
        expect=({"here": SEVEN, "there": "192.168.1.5", "env.REMOTE_HOST": "192.168.1.5"},),
    ),
    Case(
        id="redirect: lists hold",
        config=carried(f"no_access = {A}") + target(HI),
        steps=(hear(7001), hear(7001, source=B)),
        expect=("closed", "hi\n"),
    ),
    Case(
        id="redirect: instances hold",
        config=carried("instances = 1") + target(HOLD),
        steps=(begin("one", 7001), hear(7001, source=B), end("one"), at_last(first(6, 7001), "ready\n")),
        expect=("closed", "ready\n"),
    ),
    Case(
        id="redirect: per_source of defaults",
        config=defaults("per_source = 1") + carried() + target(HOLD, "per_source = UNLIMITED"),
        steps=(begin("one", 7001), hear(7001), begin("two", 7001, source=B)),
        expect=("closed",),
    ),
    Case(
        id="redirect: a name that there is not",
        config=carried(to="no.such.name.test 7100") + service("p", 7002),
        steps=(hear(7001), meet(7002)),
        departure="looked up when it is wanted",
        expect=(Per("refused", "closed"), "served"),
    ),
    Case(
        id="redirect: a name that becomes another address",
        config=carried(to="seven.example.test 7100")
        + target(HI)
        + target(f"bind = {FIVE}", "server_args = do=word=ho"),
        steps=(hear(7001), named(FIVE), before_long(hear(7001), "ho\n"), named(SEVEN)),
        departure="looked up when it is wanted",
        expect=("hi\n", Per("hi\n", "ho\n")),
    ),
    Case(
        id="redirect: a port that is none",
        config=carried(to=f"{SEVEN} 70000") + service("p", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="redirect: a target that a reload changes",
        config=carried() + target(HI) + service("other", 7101, "server_args = do=word=new", "bind = 192.168.1.7"),
        steps=(
            hear(7001),
            quietly(
                reload(
                    carried(to=f"{SEVEN} 7101")
                    + target(HI)
                    + service("other", 7101, "server_args = do=word=new", "bind = 192.168.1.7")
                )
            ),
            hear(7001),
        ),
        expect=("hi\n", "new\n"),
    ),
    Case(
        id="redirect: KEEPALIVE and NODELAY are accepted",
        config=carried("flags = KEEPALIVE NODELAY") + target(HI),
        steps=(hear(7001),),
        expect=("hi\n",),
    ),
)
