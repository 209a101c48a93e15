"""How the daemon is started: options that change how it runs; and operators where they change a list of defaults."""

from __future__ import annotations

from differential.exchanges import background, debugged
from differential.stage import A, B, C, Case, Per
from differential.steps import log, meet, talk, told, world
from rig.entries import defaults, service

HI = "server_args = do=word=hi"

CASES = (
    Case(
        id="-d: stays in the foreground and says everything on the terminal",
        config=service("p", 7001, HI),
        starts=False,
        steps=(debugged(7001),),
        expect=(["said", "hi\n", "nothing in the file"],),
    ),
    Case(
        id="-cc: looks itself over every so many seconds",
        config=service("p", 7001, HI),
        options=("-cc", "1"),
        steps=(talk(7001), told("Consistency check")),
        expect=("hi\n", False),
    ),
    Case(
        id="-stayalive: goes on without services",
        config="",
        options=("-stayalive",),
        starts=False,
        steps=(background(),),
        expect=("started",),
    ),
    Case(
        id="no services: the background daemon ends",
        config="",
        starts=False,
        steps=(background(),),
        expect=("ended",),
    ),
    Case(
        id="operators: no_access += and -=",
        config=defaults(f"no_access = {A}")
        + service("p", 7001, f"no_access += {B}")
        + service("q", 7002, f"no_access -= {A}"),
        steps=(*(meet(7001, source=source) for source in (A, B, C)), meet(7002)),
        expect=("closed", "closed", "served", "served"),
    ),
    Case(
        id="operators: log_on_failure += and -=",
        config=defaults("log_on_failure = HOST")
        + service("p", 7001, "instances = 0", "log_on_failure += ATTEMPT", without=("log_on_failure",))
        + service("q", 7002, "instances = 0", "log_on_failure -= HOST", without=("log_on_failure",))
        + service("r", 7003, "instances = 0", "log_on_failure -= HOST", "log_on_failure += ATTEMPT"),
        steps=(meet(7001), meet(7002), meet(7003), log(2)),
        expect=("closed", "closed", "closed", [f"FAIL: p service_limit from={A}", "FAIL: r service_limit"]),
    ),
    Case(
        id="operators: passenv +=",
        config=defaults("passenv = RIG_ONE") + service("p", 7001, "passenv += RIG_TWO"),
        steps=(world(7001, "env.RIG_ONE", "env.RIG_TWO", "env.TZ"),),
        expect=({"env.RIG_ONE": "1", "env.RIG_TWO": "two", "env.TZ": "-"},),
    ),
    Case(
        id="operators: enabled += and -=",
        config=defaults("enabled = p", "enabled += q r", "enabled -= r")
        + service("p", 7001)
        + service("q", 7002)
        + service("r", 7003),
        steps=(meet(7001), meet(7002), meet(7003)),
        departure="enabled and disabled shrink",
        expect=("served", "served", Per("served", "refused")),
    ),
    Case(
        id="operators: disabled += and -=",
        config=defaults("disabled = p", "disabled += q r", "disabled -= q")
        + service("p", 7001)
        + service("q", 7002)
        + service("r", 7003),
        steps=(meet(7001), meet(7002), meet(7003)),
        departure="enabled and disabled shrink",
        expect=("refused", Per("refused", "served"), "refused"),
    ),
)
