"""How a configuration is read: grammar, include, enabled and disabled, defaults, mistakes."""

from __future__ import annotations

from differential.stage import SAME, A, B, Case, Per
from differential.steps import attempt, meet, message, reload, talk, told, world
from rig.entries import defaults, service

CASES = (
    Case(
        id="grammar: keywords and values in any case, comments, blank lines, no space after the operator",
        config="\n# comment\n  # another\nSERVICE p\n\n# between\n{\n  Type =UNLISTED\n"
        + "\tSOCKET_TYPE = STREAM\n\tprotocol = tcp\n# in the entry\n\n\tport =7001\n\tWait = NO\n\tuser = root\n"
        + "\tserver = @PROBE@\n\tbind = 192.168.1.6\n\tflags = ipv4\n}\n",
        steps=(meet(7001),),
        expect=("served",),
    ),
    Case(
        id="grammar: name=value without a space drops the entry",
        config=service("p", 7001, "nice=5") + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="grammar: an unknown attribute costs its line",
        config=service("p", 7001, "colour = green"),
        steps=(meet(7001), told("colour")),
        expect=("served", True),
    ),
    Case(
        id="grammar: an attribute given twice keeps its first value",
        config=service("p", 7001, "nice = 3", "nice = 4"),
        steps=(world(7001, "nice"), told("nice")),
        expect=({"nice": "3"}, True),
    ),
    Case(
        id="grammar: += on an attribute that only has = costs its line",
        config=service("p", 7001, "nice += 3"),
        steps=(world(7001, "nice"), told("nice")),
        expect=({"nice": "0"}, True),
    ),
    Case(
        id="grammar: too many values cost the line",
        config=service("p", 7001, "nice = 5 # five"),
        steps=(world(7001, "nice"),),
        expect=({"nice": "0"},),
    ),
    Case(
        id="grammar: the file ends inside an entry",
        config=service("p", 7001) + service("q", 7002).rstrip("}\n") + "\n",
        starts=False,
        steps=(attempt(), meet(7001), meet(7002), told("entry")),
        expect=("started", "served", "refused", True),
    ),
    Case(
        id="grammar: a brace behind the name, and one on the next line",
        config=service("p {", 7001) + service("q # { x", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("served", "served"),
    ),
    Case(
        id="grammar: an entry that is not closed before the next one",
        config=service("p", 7001).rstrip("}\n") + "\n" + service("q", 7002) + service("r", 7003),
        steps=(meet(7001), meet(7002), meet(7003), told("service q")),
        departure="stray line",
        expect=("refused", Per("refused", "served"), "served", Per(False, True)),
    ),
    Case(
        id="grammar: an entry without a name",
        config=service("", 7001) + service("q", 7002),
        steps=(meet(7001), meet(7002), told("service name missing")),
        expect=("refused", "served", True),
    ),
    Case(
        id="grammar: include inside an entry drops it, and is not read",
        config=service("p", 7001, "include @WORK@/more.conf", "nice = 3") + service("q", 7002),
        files={"more.conf": service("r", 7003)},
        steps=(meet(7001), meet(7002), meet(7003), told("Bad operator for attribute: include")),
        expect=("refused", "served", "refused", True),
    ),
    Case(
        id="grammar: includedir as the last line of an entry",
        config=service("p", 7001, "includedir @WORK@/c.d") + service("q", 7002),
        files={"c.d/r": service("r", 7003)},
        steps=(meet(7001), meet(7002), meet(7003)),
        expect=("refused", "served", "refused"),
    ),
    Case(
        id="grammar: attributes behind the closing brace",
        config=service("p", 7001) + "\tnice = 3\n\tumask = 077\n}\n" + service("q", 7002),
        steps=(world(7001, "nice"), meet(7002), told("missing service keyword")),
        expect=({"nice": "0"}, "served", True),
    ),
    Case(
        id="grammar: a block without its header",
        config="{\n\tport = 7001\n}\n" + service("q", 7002),
        steps=(meet(7001), meet(7002), told("missing service keyword")),
        expect=("refused", "served", True),
    ),
    Case(
        id="grammar: a line of defaults without operator",
        config=defaults("umask = 027", "banner") + service("o", 7000) + service("p", 7001),
        steps=(world(7001, "umask"), told("banner")),
        expect=({"umask": "027"}, True),
    ),
    Case(
        id="grammar: a line of defaults that keeps out",
        config=defaults("umask = 027", f"no_access={A}", "max_load = 100") + service("p", 7001),
        starts=False,
        steps=(attempt(), meet(7001), told("no_access")),
        departure="nothing restrictive is lost",
        expect=(Per("started", 1), Per("served", "refused"), True),
    ),
    Case(
        id="grammar: a byte order mark",
        config="\ufeff" + service("p", 7001) + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        departure="byte order mark",
        expect=(Per("refused", "served"), "served"),
    ),
    Case(
        id="grammar: a last line without newline",
        config=service("p", 7001).rstrip("\n"),
        steps=(meet(7001),),
        expect=("served",),
    ),
    Case(
        id="grammar: a stray line",
        config="stray line\n" + service("p", 7001) + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        departure="stray line",
        expect=(Per("refused", "served"), "served"),
    ),
    Case(
        id="grammar: an entry without its opening brace is left out alone",
        config=service("p", 7001).replace("{\n", "", 1) + service("q", 7002),
        steps=(meet(7001), meet(7002), told("Service p: missing '{'")),
        expect=("refused", "served", True),
    ),
    Case(
        id="grammar: carriage returns",
        config=service("p", 7001).replace("\n", "\r\n"),
        steps=(meet(7001),),
        departure="carriage returns",
        expect=(Per("refused", "served"),),
    ),
    Case(
        id="mistake: an unknown user drops that service alone",
        config=service("p", 7001, "user = nobody-at-all") + service("q", 7002),
        steps=(meet(7001), meet(7002), told("nobody-at-all")),
        expect=("refused", "served", True),
    ),
    Case(
        id="mistake: no server",
        config=service("p", 7001, without=("server",)) + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="mistake: a server that is not there",
        config=service("p", 7001, "server = /nonexistent/server") + service("q", 7002),
        steps=(meet(7001), meet(7002), told("/nonexistent/server")),
        expect=("refused", "served", True),
    ),
    Case(
        id="mistake: wait is missing",
        config=service("p", 7001, without=("wait",)) + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="mistake: user is missing",
        config=service("p", 7001, without=("user",)) + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    *(
        Case(
            id=f"mistake: {line}",
            config=service("p", 7001, line) + service("q", 7002),
            steps=(meet(7001), meet(7002)),
            expect=("refused", "served"),
        )
        for line in (
            "socket_type = strange",
            "protocol = nothing",
            "wait = perhaps",
            "group = nobody-at-all",
            "instances = -1",
            "instances = many",
            "per_source = many",
            "cps = many 10",
            "max_load = 0",
            "access_times = 9-5",
            "access_times = 11:00-10:61",
            "type = UNHEARD",
            "flags = UNHEARD",
            "port = 70000",
            "port = ftp",
            "nice = kind",
            "umask = 0999",
            "groups = perhaps",
            "rlimit_as = 5g",
            "rlimit_files = few",
            "rlimit_cpu = 5m",
            "bind = no.such.host.test",
            "env = NOVALUE",
            "log_type = SYSLOG nowhere",
            "log_type = FILE @WORK@/x.log 100 50",
            "log_on_success = PID RECORD",
            "log_on_success = TRAFFIC",
            "log_on_failure = WHY",
            "only_from = 192.168.1.{20",
            "only_from = 192.168.1.1,2",
            "disable = perhaps",
            "v6only = perhaps",
            # A line with a wrong number of values is passed over, and leaves the attribute missing.
            "user = root root",
            "user =",
            "wait = yes no",
            "server = @PROBE@ do=hold",
            "port =",
        )
    ),
    *(
        Case(
            id=f"numbers: {line}",
            config=service("p", 7001, line),
            steps=(world(7001, "umask", "rlimit.as", "rlimit.cpu"),),
            expect=SAME,
        )
        for line in ("umask = +27", "max_load = 1000x", "cps = -1 10", "rlimit_as = -1", "rlimit_cpu = -1")
    ),
    Case(
        id="disable = yes",
        config=service("p", 7001, "disable = yes") + service("q", 7002, "disable = no"),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="disable: without a value",
        config=service("p", 7001, "disable =") + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        departure="empty disable",
        expect=(Per("served", "refused"), "served"),
    ),
    Case(
        id="disable: no, behind a mistake",
        config=defaults("enabled = p q r")
        + service("p", 7001, "instances = many", "disable = no")
        + service("q", 7002, "instances = many")
        + service("r", 7003),
        steps=(meet(7001), meet(7002), meet(7003), told("instances is invalid: many")),
        departure="a mistake stays one",
        expect=(Per("served", "refused"), Per("served", "refused"), "served", True),
    ),
    Case(
        id="mdns: whatever it says",
        config=service("p", 7001, "mdns = perhaps"),
        steps=(meet(7001), told("mdns")),
        expect=("served", True),
    ),
    Case(
        id="disable: no, and a remark",
        config=service("p", 7001, "disable = no # for now"),
        steps=(meet(7001), told("disable expects 1 values and 4 values")),
        expect=("served", True),
    ),
    Case(
        id="lists: a remark behind them is told, and costs nobody the service",
        config=service("p", 7001, f"no_access = {B} # (was bad)") + service("q", 7002, f"only_from = {A} #the office"),
        steps=(meet(7001), meet(7001, source=B), meet(7002), meet(7002, source=B), told("failed to parse #")),
        expect=("served", "closed", "served", "closed", True),
    ),
    Case(
        id="lists: a netmask admits the one host",
        config=service("p", 7001, f"only_from = {A}/255.255.255.0")
        + service("q", 7002, f"only_from = {A}/255.255.255.255")
        + service("r", 7003, f"only_from = {A}/33")
        + service("s", 7004, f"no_access = {A}/255.255.255.255"),
        steps=tuple(meet(port, source=source) for port in (7001, 7002, 7003, 7004) for source in (A, B)),
        expect=("served", "closed") * 3 + ("closed", "served"),
    ),
    Case(
        id="disabled: names ids",
        config=defaults("disabled = p2") + service("p", 7001, "id = p1") + service("p", 7002, "id = p2"),
        steps=(meet(7001), meet(7002)),
        expect=("served", "refused"),
    ),
    Case(
        id="enabled: only those ids",
        config=defaults("enabled = P1") + service("p", 7001, "id = p1") + service("p", 7002, "id = p2"),
        steps=(meet(7001), meet(7002)),
        expect=("served", "refused"),
    ),
    Case(
        id="disabled wins over enabled",
        config=defaults("enabled = p q", "disabled = q") + service("p", 7001) + service("q", 7002) + service("r", 7003),
        steps=(meet(7001), meet(7002), meet(7003)),
        expect=("served", "refused", "refused"),
    ),
    Case(
        id="include: a file, at its place",
        config="include @WORK@/more.conf\n" + service("q", 7002),
        files={"more.conf": service("p", 7001)},
        steps=(meet(7001), meet(7002)),
        expect=("served", "served"),
    ),
    Case(
        id="include: a file that is not there",
        config="include @WORK@/none.conf\n" + service("q", 7002),
        steps=(meet(7002), told("@WORK@/none.conf")),
        expect=("served", True),
    ),
    Case(
        id="include: defaults in an included file",
        config="include @WORK@/more.conf\n" + service("p", 7001),
        files={"more.conf": defaults(f"no_access = {A}")},
        steps=(meet(7001),),
        expect=("closed",),
    ),
    Case(
        id="includedir: names with a dot or a tilde are passed over",
        config="includedir @WORK@/c.d\n",
        files={
            "c.d/one": service("p", 7001),
            "c.d/two.conf": service("q", 7002),
            "c.d/three~": service("r", 7003),
            "c.d/Four": service("s", 7004),
        },
        steps=(meet(7001), meet(7002), meet(7003), meet(7004)),
        expect=("served", "refused", "refused", "served"),
    ),
    Case(
        id="includedir: sorted by byte",
        config="includedir @WORK@/c.d\n",
        files={
            "c.d/b": service("p", 7001, "server_args = do=word=b"),
            "c.d/B": service("p", 7001, "id = B", "server_args = do=word=B"),
        },
        steps=(talk(7001),),
        expect=("B\n",),
    ),
    Case(
        id="includedir: one that is not there",
        config="includedir @WORK@/none.d\n" + service("q", 7002),
        steps=(meet(7002), told("@WORK@/none.d")),
        expect=("served", True),
    ),
    Case(
        id="includedir: one that was never there holds no reload up",
        config="includedir @WORK@/none.d\n" + service("q", 7002),
        steps=(meet(7002), reload("includedir @WORK@/none.d\n" + service("r", 7003)), meet(7002), meet(7003)),
        expect=("served", "Reconfigured: new=1 old=0 dropped=1 (services)", "refused", "served"),
    ),
    Case(
        id="defaults: what is not allowed there costs its line",
        config=defaults("nice = 5") + service("p", 7001),
        steps=(world(7001, "nice"), told("nice")),
        expect=({"nice": "0"}, True),
    ),
    Case(
        id="defaults: a second entry is passed over",
        config=defaults("umask = 077") + defaults("umask = 027") + service("p", 7001),
        steps=(world(7001, "umask"),),
        expect=({"umask": "077"},),
    ),
    Case(
        id="no services: the foreground daemon stays",
        config="",
        steps=(message("Started working"),),
        expect=("NOTICE: Started working: 0 available services",),
    ),
)
