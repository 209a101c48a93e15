"""Reload, signals, pid file, exit statuses, the command line."""

from __future__ import annotations

import signal

from differential.stage import A, B, Case, Per, Stage, Step
from differential.steps import (
    alive,
    at_last,
    begin,
    hung_up,
    log,
    logged,
    meet,
    message,
    messages,
    quietly,
    reload,
    say,
    send,
    stop,
    syslog,
    talk,
    told,
    world,
    write,
)
from rig.daemon import Daemon
from rig.deadline import wait_for
from rig.entries import defaults, service

P, Q = service("p", 7001), service("q", 7002)
CAT = service("p", 7001, "server = /bin/cat")
HOLD = service("p", 7001, "server_args = do=hold")


def launch(*options: str) -> Step:
    """Start the daemon with *options* and wait for its end: its status."""

    def step(stage: Stage) -> int:
        stage.daemon.launch(*(stage.fill(option) for option in options))
        return stage.daemon.exit_status()

    return step


def spoken(part: str) -> Step:
    """Whether the daemon said *part* on its standard output or error, or in its log."""

    def step(stage: Stage) -> bool:
        said = stage.daemon.errors.read_text() + "".join(one.text for one in stage.daemon.messages())
        return stage.fill(part) in said

    return step


def pid_file(stage: Stage) -> str:
    """What the pid file holds, said in words."""
    daemon: Daemon = stage.daemon
    if not daemon.pidfile.exists():
        return "gone"
    return {f"{daemon.pid}\n": "its pid and a newline"}.get(daemon.pidfile.read_text(), "something else")


def rename_logs(stage: Stage) -> None:
    """Move both logs aside, as log rotation does."""
    for name in ("service.log", "daemon.log"):
        path = stage.daemon.work.path / name
        if path.exists():
            path.rename(path.with_suffix(".1"))


def no_config(stage: Stage) -> None:
    """Remove the configuration."""
    stage.daemon.config.unlink()


def readjusted(stage: Stage) -> str:
    """Send HUP and wait until the new service log has appeared."""
    stage.daemon.send(signal.SIGHUP)
    path = stage.daemon.work.path / "service.log"
    wait_for(path.exists, stage.daemon.story)
    return "opened again"


RELOADED = "Reconfigured: new={} old={} dropped={} (services)"

CASES = (
    Case(
        id="reload: unchanged",
        config=P + Q,
        steps=(reload(), meet(7001), meet(7002)),
        expect=(RELOADED.format(0, 2, 0), "served", "served"),
    ),
    Case(
        id="reload: a service more",
        config=P,
        steps=(meet(7002), reload(P + Q), meet(7001), meet(7002)),
        expect=("refused", RELOADED.format(1, 1, 0), "served", "served"),
    ),
    Case(
        id="reload: a service less",
        config=P + Q,
        steps=(reload(P), meet(7001), meet(7002)),
        expect=(RELOADED.format(0, 1, 1), "served", "refused"),
    ),
    Case(
        id="reload: another port",
        config=P,
        steps=(reload(service("p", 7003)), meet(7001), meet(7003)),
        expect=(RELOADED.format(1, 0, 1), "refused", "served"),
    ),
    Case(
        id="reload: another address",
        config=P,
        steps=(quietly(reload(service("p", 7001, "bind = 192.168.1.7"))), meet(7001), meet(7001, "192.168.1.7")),
        expect=("refused", "served"),
    ),
    Case(
        id="reload: what the service does is readjusted",
        config=P,
        steps=(
            reload(service("p", 7001, "user = games", "nice = 3", "env = NEW=1", "server_args = x")),
            world(7001, "uid", "nice", "env.NEW", "argv.1"),
        ),
        expect=(RELOADED.format(0, 1, 0), {"uid": "5 5", "nice": "3", "env.NEW": "1", "argv.1": "x"}),
    ),
    Case(
        id="reload: access lists are readjusted",
        config=P,
        steps=(meet(7001), reload(service("p", 7001, f"no_access = {A}")), meet(7001), meet(7001, source=B)),
        expect=("served", RELOADED.format(0, 1, 0), "closed", "served"),
    ),
    Case(
        id="reload: SIGUSR2 is the old name",
        config=P,
        steps=(
            write("xinetd.conf", P + Q),
            send(signal.SIGUSR2),
            message("Reconfigured"),
            meet(7002),
        ),
        expect=(f"NOTICE: {RELOADED.format(1, 1, 0)}", "served"),
    ),
    Case(
        id="reload: a service that became faulty",
        config=P + Q,
        steps=(reload(service("p", 7001, "nice = kind") + Q), meet(7001), meet(7002)),
        departure="bad file changes nothing",
        expect=(Per(RELOADED.format(0, 1, 1), RELOADED.format(0, 2, 0)), Per("refused", "served"), "served"),
    ),
    Case(
        id="reload: a running server of an unchanged service goes on",
        config=CAT,
        steps=(begin("one", 7001, ready=False), say("one"), reload(), say("one")),
        expect=("echoed", RELOADED.format(0, 1, 0), "echoed"),
    ),
    Case(
        id="reload: a running server of a dropped service ends",
        config=CAT + Q,
        steps=(begin("one", 7001, ready=False), say("one"), reload(Q), hung_up("one")),
        expect=("echoed", RELOADED.format(0, 1, 1), "hung up"),
    ),
    Case(
        id="reload: a running server whose source may no longer",
        config=CAT,
        steps=(
            begin("one", 7001, ready=False),
            begin("two", 7001, ready=False, source=B),
            say("one"),
            say("two"),
            reload(service("p", 7001, "server = /bin/cat", f"no_access = {A}")),
            hung_up("one"),
            say("two"),
        ),
        departure="reload judges again",
        expect=("echoed", "echoed", RELOADED.format(0, 1, 0), Per("still open", "hung up"), "echoed"),
    ),
    Case(
        id="reload: more servers than instances now allow",
        config=CAT,
        steps=(
            begin("one", 7001, ready=False),
            begin("two", 7001, ready=False),
            say("one"),
            say("two"),
            reload(service("p", 7001, "server = /bin/cat", "instances = 0")),
            hung_up("one"),
            hung_up("two"),
        ),
        departure="reload judges again",
        expect=(
            "echoed",
            "echoed",
            RELOADED.format(0, 1, 0),
            Per("still open", "hung up"),
            Per("still open", "hung up"),
        ),
    ),
    Case(
        id="reload: the hours have changed",
        config=CAT,
        steps=(
            begin("one", 7001, ready=False),
            say("one"),
            reload(service("p", 7001, "server = /bin/cat", "access_times = @ELSEWHEN@")),
            hung_up("one"),
        ),
        departure="reload judges again",
        expect=("echoed", RELOADED.format(0, 1, 0), Per("still open", "hung up")),
    ),
    Case(
        id="reload: a bad defaults entry",
        config=P,
        steps=(
            write("xinetd.conf", defaults("instances = many") + P + Q),
            send(signal.SIGHUP),
            at_last(lambda stage: stage.daemon.ended or "many" in stage.daemon.story(), True),
            lambda stage: stage.daemon.exit_status() if stage.kind.value == "xinetd" else meet(7001)(stage),
            lambda stage: meet(7002)(stage),
        ),
        departure="bad file changes nothing",
        expect=(True, Per(0, "served"), "refused"),
    ),
    Case(
        id="reload: the file is gone",
        config=P,
        steps=(no_config, send(signal.SIGHUP), told("@WORK@/xinetd.conf"), meet(7001), alive()),
        expect=(True, "served", True),
    ),
    Case(
        id="reload: service logs are opened again",
        config=P,
        steps=(meet(7001), logged("EXIT"), rename_logs, readjusted, meet(7001), log(2)),
        expect=("served", "opened again", "served", ["EXIT: p status=0 pid=N", f"START: p pid=N from={A}"]),
    ),
    Case(
        id="reload: the daemon's own log is opened again",
        config=P,
        steps=(
            meet(7001),
            rename_logs,
            readjusted,
            meet(7001),
            stop(),
            lambda stage: stage.daemon.log.exists(),
        ),
        departure="filelog reopened",
        expect=("served", "opened again", "served", 0, Per(False, True)),
    ),
    Case(
        id="TERM: ends with status 0, closes, removes the pid file",
        config=P,
        steps=(pid_file, stop(), pid_file, meet(7001), messages("Exiting...")),
        expect=("its pid and a newline", 0, "gone", "refused", 1),
    ),
    Case(
        id="QUIT: ends with status 0, servers go on",
        config=CAT,
        steps=(begin("one", 7001, ready=False), say("one"), stop(signal.SIGQUIT), say("one"), pid_file),
        expect=("echoed", 0, "echoed", "gone"),
    ),
    Case(
        id="TERM: running servers",
        config=CAT,
        steps=(begin("one", 7001, ready=False), say("one"), stop(), hung_up("one")),
        departure="end ends servers",
        expect=("echoed", 0, Per("still open", "hung up")),
    ),
    Case(
        id="INT: in the foreground",
        config=P,
        steps=(
            send(signal.SIGINT),
            lambda stage: meet(7001)(stage) if stage.kind.value == "xinetd" else stage.daemon.exit_status(),
        ),
        departure="interrupt ends",
        expect=(Per("served", 0),),
    ),
    Case(
        id="signals that mean nothing are passed over",
        config=P,
        steps=(
            send(signal.SIGALRM),
            send(signal.SIGWINCH),
            send(signal.SIGPIPE),
            send(signal.SIGCONT),
            send(signal.SIGTTIN),
            meet(7001),
            alive(),
        ),
        expect=("served", True),
    ),
    Case(
        id="USR1: a dump is written and told",
        config=P,
        steps=(send(signal.SIGUSR1), told("generated state dump in file")),
        expect=(True,),
    ),
    Case(
        id="ABRT: the consistency check passes",
        config=P,
        steps=(send(signal.SIGABRT), message("onsistency check")),
        expect=("INFO: Consistency check passed",),
    ),
    Case(
        id="exit: the configuration cannot be opened",
        config="",
        starts=False,
        steps=(no_config, launch(), spoken("@WORK@/xinetd.conf")),
        expect=(1, True),
    ),
    Case(
        id="exit: a bad defaults entry",
        config=defaults("instances = many") + P,
        starts=False,
        steps=(launch(),),
        departure="bad file changes nothing",
        expect=(Per(0, 1),),
    ),
    Case(
        id="exit: -limit without a value",
        config=P,
        starts=False,
        steps=(launch("-limit"), spoken("-limit")),
        expect=(1, True),
    ),
    Case(
        id="exit: -limit with no number",
        config=P,
        starts=False,
        steps=(launch("-limit", "some"),),
        expect=(1,),
    ),
    Case(
        id="exit: a stray word",
        config=P,
        starts=False,
        steps=(launch("stray"),),
        expect=(1,),
    ),
    Case(
        id="exit: -syslog together with -filelog",
        config=P,
        starts=False,
        steps=(launch("-syslog", "daemon", "-filelog", "@WORK@/other.log"),),
        expect=(1,),
    ),
    Case(
        id="exit: -version",
        config=P,
        starts=False,
        steps=(launch("-version"),),
        expect=(0,),
    ),
    Case(
        id="exit: a log that cannot be opened",
        config=P,
        starts=False,
        steps=(launch("-filelog", "/nonexistent/dir/log"),),
        expect=(1,),
    ),
    Case(
        id="options: old ones that do nothing are accepted",
        config=P,
        options=("-reuse", "-logprocs", "5", "-stayalive", "-shutdownprocs", "3"),
        steps=(meet(7001),),
        expect=("served",),
    ),
    Case(
        id="options: -syslog, the daemon's own messages",
        config=service("p", 7001, "colour = green"),
        syslog=True,
        starts=False,
        steps=(
            lambda stage: stage.daemon.launch("-syslog", "local5"),
            syslog("colour", whole=False),
            syslog("Started working"),
        ),
        expect=(
            f"<{21 * 8 + 4}> @DAEMON@[N]",
            f"<{21 * 8 + 5}> @DAEMON@[N]: Started working: 1 available service",
        ),
    ),
    Case(
        id="options: the last -limit wins",
        config=HOLD,
        options=("-limit", "5", "-limit", "1"),
        steps=(begin("one", 7001), talk(7001)),
        expect=("closed",),
    ),
    Case(
        id="-inetd_compat: lines of inetd.conf are served too",
        config=P,
        options=("-inetd_compat",),
        files={"etc/inetd.conf": "probe-svc stream tcp nowait games @PROBE@ other-name one\n"},
        steps=(meet(7001), world(7400, "uid", "argv.0", "argv.1")),
        expect=("served", {"uid": "5 5", "argv.0": "other-name", "argv.1": "one"}),
    ),
)
