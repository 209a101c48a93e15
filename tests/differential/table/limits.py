"""cps, instances, per_source, -limit, max_load."""

from __future__ import annotations

from differential.stage import A, B, Case, Per
from differential.steps import at_last, begin, burst, end, log, logged, meet, message, often, told, write
from rig.entries import defaults, service

HOLD = "server_args = do=hold"
CALM, BUSY = "1.00 1.00 1.00 1/100 100\n", "9.00 9.00 9.00 1/100 100\n"

CASES = (
    Case(
        id="cps: the one after so many closes the service",
        config=service("p", 7001, "cps = 3 60"),
        steps=(often(4, meet(7001)), at_last(meet(7001), "refused"), message("Deactivating")),
        expect=(
            ["served", "served", "served", "closed"],
            "refused",
            "ERROR: Deactivating service p due to excessive incoming connections.  Restarting in 60 seconds.",
        ),
    ),
    Case(
        id="cps: logged",
        config=service("p", 7001, "cps = 1 60"),
        steps=(often(2, meet(7001)), log(3)),
        expect=(
            ["served", "closed"],
            [
                "EXIT: p status=0 pid=N",
                f"FAIL: p connections per second from={A}",
                f"START: p pid=N from={A}",
            ],
        ),
    ),
    Case(
        id="cps: it opens again after the wait",
        config=service("p", 7001, "cps = 3 1"),
        steps=(
            often(4, meet(7001)),
            at_last(meet(7001), "refused"),
            at_last(meet(7001), "served"),
            told("Activating service p"),
        ),
        expect=(["served", "served", "served", "closed"], "refused", "served", True),
    ),
    Case(
        id="cps: of defaults",
        config=defaults("cps = 1 60") + service("p", 7001),
        steps=(often(2, meet(7001)),),
        expect=(["served", "closed"],),
    ),
    Case(
        id="cps: 0 checks nothing",
        config=service("p", 7001, "cps = 0 60", "server_args = do=word=hi"),
        steps=(often(70, meet(7001)),),
        expect=(["served"] * 70,),
    ),
    Case(
        id="cps: 50 by default",
        config=service("p", 7001, "server_args = do=word=hi", "log_on_success ="),
        steps=(burst(50, 7001), burst(50, 7001)),
        expect=("all served", "not all"),
    ),
    Case(
        id="cps: another service is not touched",
        config=service("p", 7001, "cps = 1 60") + service("q", 7002),
        steps=(often(2, meet(7001)), meet(7002)),
        expect=(["served", "closed"], "served"),
    ),
    Case(
        id="cps: refused sources count for nothing",
        config=service("p", 7001, "cps = 2 60", f"no_access = {B}"),
        steps=(often(3, meet(7001, source=B)), meet(7001)),
        departure="addresses before limits",
        expect=(["closed", "closed", "closed"], Per("refused", "served")),
    ),
    Case(
        id="instances: the one too many is refused, and served when there is room",
        config=service("p", 7001, "instances = 1", HOLD),
        steps=(begin("one", 7001), meet(7001, source=B), end("one"), logged("EXIT"), meet(7001, source=B), log(5)),
        expect=(
            "closed",
            "served",
            [
                "EXIT: p status=0 pid=N",
                "EXIT: p status=0 pid=N",
                f"FAIL: p service_limit from={B}",
                f"START: p pid=N from={A}",
                f"START: p pid=N from={B}",
            ],
        ),
    ),
    Case(
        id="instances: 0 refuses everybody",
        config=service("p", 7001, "instances = 0"),
        steps=(meet(7001), log(1)),
        expect=("closed", [f"FAIL: p service_limit from={A}"]),
    ),
    Case(
        id="instances: UNLIMITED over that of defaults",
        config=defaults("instances = 1") + service("p", 7001, "instances = UNLIMITED", HOLD) + service("q", 7002, HOLD),
        steps=(begin("one", 7001), begin("two", 7001), begin("three", 7002), meet(7002)),
        expect=("closed",),
    ),
    Case(
        id="per_source: one source is held to it, another is not",
        config=service("p", 7001, "per_source = 1", HOLD),
        steps=(begin("one", 7001), meet(7001), meet(7001, source=B), end("one"), at_last(meet(7001), "served")),
        expect=("closed", "served", "served"),
    ),
    Case(
        id="per_source: logged",
        config=service("p", 7001, "per_source = 1", "server_args = do=hold"),
        steps=(begin("one", 7001), meet(7001), end("one"), log(3)),
        expect=(
            "closed",
            ["EXIT: p status=0 pid=N", f"FAIL: p per_source_limit from={A}", f"START: p pid=N from={A}"],
        ),
    ),
    Case(
        id="per_source: 0 refuses everybody",
        config=service("p", 7001, "per_source = 0"),
        steps=(meet(7001),),
        expect=("closed",),
    ),
    Case(
        id="per_source: of defaults",
        config=defaults("per_source = 1") + service("p", 7001, HOLD),
        steps=(begin("one", 7001), meet(7001), meet(7001, source=B)),
        expect=("closed", "served"),
    ),
    Case(
        id="-limit: all services together",
        config=service("p", 7001, HOLD) + service("q", 7002, HOLD),
        options=("-limit", "2"),
        steps=(
            begin("one", 7001),
            begin("two", 7002),
            meet(7001, source=B),
            end("one"),
            at_last(meet(7001, source=B), "served"),
        ),
        expect=("closed", "served"),
    ),
    Case(
        id="-limit: logged",
        config=service("p", 7001, HOLD),
        options=("-limit", "1"),
        steps=(begin("one", 7001), meet(7001), end("one"), log(3)),
        expect=("closed", ["EXIT: p status=0 pid=N", f"FAIL: p process_limit from={A}", f"START: p pid=N from={A}"]),
    ),
    Case(
        id="max_load: refuses above, serves below",
        config=service("p", 7001, "max_load = 5"),
        files={"loadavg": BUSY},
        steps=(meet(7001), write("loadavg", CALM), at_last(meet(7001), "served")),
        expect=("closed", "served"),
    ),
    Case(
        id="max_load: logged",
        config=service("p", 7001, "max_load = 5.5"),
        files={"loadavg": BUSY},
        steps=(meet(7001), log(1)),
        expect=("closed", [f"FAIL: p load from={A}"]),
    ),
    Case(
        id="max_load: of defaults",
        config=defaults("max_load = 5") + service("p", 7001),
        files={"loadavg": BUSY},
        steps=(meet(7001),),
        expect=("closed",),
    ),
)
