"""-inetd_compat: lines of /etc/inetd.conf beside the entries of xinetd.conf."""

from __future__ import annotations

from differential.stage import A, B, Case, Per
from differential.steps import log, meet, post, talk, told, world
from rig.entries import defaults, service


def lines(name: str, text: str, *steps: object, expect: object, config: str = "", **more: object) -> Case:
    """A daemon that reads *text* as its inetd.conf."""
    return Case(
        id=f"inetd.conf: {name}",
        config=config or service("p", 7001),
        files={"etc/inetd.conf": text, **more.pop("files", {})},  # type: ignore[dict-item]
        options=("-inetd_compat",),
        steps=steps,  # type: ignore[arg-type]
        expect=expect,
        **more,  # type: ignore[arg-type]
    )


PROBE = "probe-svc stream tcp nowait root @PROBE@ "

CASES = (
    lines(
        "a line is served, and so are the entries",
        PROBE + "probe do=word=hi\n",
        talk(7400),
        meet(7001),
        expect=("hi\n", "served"),
    ),
    Case(
        id="inetd.conf: without the option it is not read",
        config=service("p", 7001),
        files={"etc/inetd.conf": PROBE + "probe do=word=hi\n"},
        steps=(talk(7400),),
        expect=("refused",),
    ),
    lines(
        "argv[0] and the arguments",
        PROBE + "other-name one  two\n",
        world(7400, within_keys="argv"),
        expect=({"argv.0": "other-name", "argv.1": "one", "argv.2": "two"},),
    ),
    lines(
        "user, its group and its groups",
        PROBE.replace("root", "games") + "probe\n",
        world(7400, "uid", "gid", "groups"),
        expect=({"uid": "5 5", "gid": "60 60", "groups": "60 4242 4243"},),
    ),
    lines(
        "user.group",
        PROBE.replace("root", "games.mail") + "probe\n",
        world(7400, "uid", "gid"),
        expect=({"uid": "5 5", "gid": "8 8"},),
    ),
    lines(
        "limits behind nowait, as FreeBSD has them",
        PROBE.replace("nowait", "nowait/5/10") + "probe do=word=hi\n",
        talk(7400),
        told("nowait/5/10"),
        expect=("hi\n", True),
    ),
    lines("comments and blank lines", f"# a comment\n\n \t\n{PROBE}probe do=word=hi\n", talk(7400), expect=("hi\n",)),
    lines(
        "an alias of services(5)",
        PROBE.replace("probe-svc", "probe-alias") + "probe do=word=hi\n",
        talk(7400),
        expect=("hi\n",),
    ),
    lines("internal services", "time stream tcp nowait root internal\n", meet(37), expect=("served",)),
    lines(
        "a name that there is not",
        "no-such stream tcp nowait root @PROBE@ probe\n",
        meet(7001),
        told("no-such"),
        expect=("served", True),
    ),
    lines(
        "an unknown user",
        PROBE.replace("root", "nobody-at-all") + "probe\n",
        meet(7400),
        meet(7001),
        told("nobody-at-all"),
        expect=("refused", "served", True),
    ),
    lines(
        "hosts.deny is not asked",
        PROBE + "probe do=word=hi\n",
        talk(7400),
        files={"etc/hosts.deny": "ALL: ALL\n"},
        expect=("hi\n",),
    ),
    lines(
        "lists of defaults",
        PROBE + "probe do=word=hi\n",
        talk(7400),
        talk(7400, source=B),
        config=defaults(f"no_access = {A}"),
        departure="defaults reach all",
        expect=(Per("hi\n", "closed"), "hi\n"),
    ),
    lines(
        "limits of defaults",
        PROBE + "probe do=word=hi\n",
        talk(7400),
        config=defaults("instances = 0"),
        expect=("closed",),
    ),
    lines(
        "logged by its name",
        PROBE + "probe do=word=hi\n",
        talk(7400),
        log(1),
        config=defaults("log_type = FILE @WORK@/service.log", "log_on_success = HOST"),
        departure="one spelling",
        expect=("hi\n", Per([f"START: probe-svc from=::ffff:{A}"], [f"START: probe-svc from={A}"])),
    ),
    lines(
        "disabled in defaults",
        PROBE + "probe do=word=hi\n",
        talk(7400),
        config=defaults("disabled = probe-svc"),
        expect=("refused",),
    ),
    lines("a dgram line", "probe-svc dgram udp wait root @PROBE@ probe do=cat\n", post(7400, b"one"), expect=("one",)),
)
