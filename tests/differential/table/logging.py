"""The service log: which option brings which line and field; limits of its size."""

from __future__ import annotations

from differential.stage import A, Case, Per
from differential.steps import begin, end, log, meet, messages, often, syslog, talk, told
from rig.entries import defaults, service

HI = "server_args = do=word=hi"


def success(options: str, *lines: str) -> Case:
    """What one served connection leaves with *options* of log_on_success."""
    return Case(
        id=f"log_on_success = {options}",
        config=service("p", 7001, HI, f"log_on_success = {options}"),
        steps=(talk(7001), log(len(lines))),
        expect=("hi\n", list(lines)),
    )


def failure(options: str, *lines: str) -> Case:
    """What one refused connection leaves with *options* of log_on_failure."""
    return Case(
        id=f"log_on_failure = {options}",
        config=service("p", 7001, "instances = 0", f"log_on_failure = {options}"),
        steps=(talk(7001), log(len(lines))),
        expect=("closed", list(lines)),
    )


CASES = (
    success(""),
    success("HOST", f"START: p from={A}"),
    success("PID", "START: p pid=N"),
    success("EXIT", "EXIT: p status=0", "START: p"),
    success("DURATION", "EXIT: p duration=N(sec)", "START: p"),
    success("HOST PID", f"START: p pid=N from={A}"),
    success("EXIT DURATION PID HOST", "EXIT: p status=0 pid=N duration=N(sec)", f"START: p pid=N from={A}"),
    failure(""),
    failure("HOST", f"FAIL: p service_limit from={A}"),
    failure("ATTEMPT", "FAIL: p service_limit"),
    failure("ATTEMPT HOST", f"FAIL: p service_limit from={A}"),
    Case(
        id="log_on_success: += and -= change that of defaults",
        config=defaults("log_on_success = HOST PID")
        + service("p", 7001, HI, "log_on_success += EXIT", "log_on_success -= HOST"),
        steps=(talk(7001), log(2)),
        expect=("hi\n", ["EXIT: p status=0 pid=N", "START: p pid=N"]),
    ),
    Case(
        id="log_on_success: of defaults, wherever the entry stands",
        config=service("p", 7001, HI, without=("log_on_success",)) + defaults("log_on_success = HOST"),
        steps=(talk(7001), log(1)),
        expect=("hi\n", [f"START: p from={A}"]),
    ),
    Case(
        id="log_on_failure: of defaults",
        config=defaults("log_on_failure = HOST") + service("p", 7001, "instances = 0", without=("log_on_failure",)),
        steps=(talk(7001), log(1)),
        expect=("closed", [f"FAIL: p service_limit from={A}"]),
    ),
    Case(
        id="log_type: a file of defaults is shared",
        config=defaults("log_type = FILE @WORK@/service.log")
        + service("p", 7001, HI, "log_on_success = HOST", without=("log_type",))
        + service("q", 7002, HI, "log_on_success = HOST", without=("log_type",)),
        steps=(talk(7001), talk(7002), log(2)),
        expect=("hi\n", "hi\n", [f"START: p from={A}", f"START: q from={A}"]),
    ),
    Case(
        id="log_type: none, nothing is written",
        config=service("p", 7001, HI, without=("log_type",)),
        steps=(talk(7001), log(0)),
        expect=("hi\n", []),
    ),
    Case(
        id="log: the id, not the name",
        config=service("p", 7001, HI, "id = other-id", "log_on_success = HOST"),
        steps=(talk(7001), log(1)),
        expect=("hi\n", [f"START: other-id from={A}"]),
    ),
    Case(
        id="log: an existing file grows",
        config=service("p", 7001, HI, "log_on_success = HOST"),
        files={"service.log": "26/1/1@00:00:00: old line\n"},
        steps=(talk(7001), log(2)),
        expect=("hi\n", [f"START: p from={A}", "old line"]),
    ),
    Case(
        id="log: a file that cannot be opened costs the service",
        config=service("p", 7001, "log_type = FILE /nonexistent/dir/log") + service("q", 7002),
        steps=(meet(7001), meet(7002), told("/nonexistent/dir/log")),
        departure="log failure named",
        expect=("refused", "served", Per(False, True)),
    ),
    Case(
        id="log: the hard limit; the line that passes it is the last",
        config=service("p", 7001, HI, "log_type = FILE @WORK@/service.log 100 120", "log_on_success = HOST"),
        steps=(often(6, talk(7001)), told("exceeded hard limit"), log(3)),
        expect=(["hi\n"] * 6, True, [f"START: p from={A}"] * 3),
    ),
    Case(
        id="log: what the hard limit costs is told once",
        config=service("p", 7001, HI, "log_type = FILE @WORK@/service.log 100 120", "log_on_success = HOST"),
        steps=(often(6, talk(7001)), told("exceeded hard limit"), messages("Error in p log")),
        departure="soft limit told",
        expect=(["hi\n"] * 6, True, Per(3, 0)),
    ),
    *(
        Case(
            id=f"log_type = {words}",
            config=service("p", 7001, HI, f"log_type = {words}", "log_on_success = HOST PID EXIT"),
            syslog=True,
            steps=(talk(7001), syslog("START"), syslog("EXIT")),
            expect=(
                "hi\n",
                f"<{priority}> @DAEMON@[N]: START: p pid=N from={A}",
                f"<{priority}> @DAEMON@[N]: EXIT: p status=0 pid=N",
            ),
        )
        for words, priority in (
            ("SYSLOG daemon", 3 * 8 + 6),
            ("SYSLOG local3 notice", 19 * 8 + 5),
            ("SYSLOG AUTHPRIV debug", 10 * 8 + 7),
        )
    ),
    Case(
        id="log_type: SYSLOG of defaults",
        config=defaults("log_type = SYSLOG local0 warning")
        + service("p", 7001, "instances = 0", without=("log_type",)),
        syslog=True,
        steps=(talk(7001), syslog("FAIL")),
        expect=("closed", f"<{16 * 8 + 4}> @DAEMON@[N]: FAIL: p service_limit from={A}"),
    ),
    Case(
        id="log: a connection that lasts is logged at both ends",
        config=service("p", 7001, "server_args = do=hold", "log_on_success = DURATION PID HOST"),
        steps=(begin("one", 7001), end("one"), log(2)),
        expect=(["EXIT: p pid=N duration=N(sec)", f"START: p pid=N from={A}"],),
    ),
)
