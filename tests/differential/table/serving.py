"""What a server is given: descriptors, arguments, environment, credentials, limits, signals."""

from __future__ import annotations

from differential.stage import A6, SAME, A, Case, Per
from differential.steps import log, talk, told, world
from rig.entries import defaults, service

INHERITED = {"env.RIG_ONE": "1", "env.RIG_TWO": "two"}

CASES = (
    Case(
        id="nowait: what the client sends comes to the server, what the server says goes to the client",
        config=service("cat", 7001, "server = /bin/cat"),
        steps=(talk(7001, b"hello\n"), talk(7001, b"x" * 100_000), log(4)),
        expect=(
            "hello\n",
            "x" * 100_000,
            ["EXIT: cat status=0 pid=N"] * 2 + [f"START: cat pid=N from={A}"] * 2,
        ),
    ),
    Case(
        id="descriptors: the connection is 0, 1 and 2, blocking, and nothing else is open",
        config=service("p", 7001),
        steps=(world(7001, "fds", "same.socket", "blocking", "family", "listening", "there", "here"),),
        expect=(
            {
                "fds": "0 1 2",
                "same.socket": "1",
                "blocking": "1",
                "family": "2",
                "listening": "0",
                "there": A,
                "here": "192.168.1.6",
            },
        ),
    ),
    Case(
        id="session: its own, its own group, no terminal, directory /",
        config=service("p", 7001),
        steps=(world(7001, "leads.session", "leads.group", "tty", "cwd"),),
        expect=({"leads.session": "1", "leads.group": "1", "tty": "none", "cwd": "/"},),
    ),
    Case(
        id="signals: none blocked, none ignored",
        config=service("p", 7001),
        steps=(world(7001, "SigBlk", "SigIgn", "SigCgt"),),
        expect=({"SigBlk": "0" * 16, "SigIgn": "0" * 16, "SigCgt": "0" * 16},),
    ),
    Case(
        id="argv: the last part of server",
        config=service("p", 7001),
        steps=(world(7001, within_keys="argv"),),
        expect=({"argv.0": "probe"},),
    ),
    Case(
        id="server_args: follow the name",
        config=service("p", 7001, "server_args = -a two  three"),
        steps=(world(7001, within_keys="argv"),),
        expect=({"argv.0": "probe", "argv.1": "-a", "argv.2": "two", "argv.3": "three"},),
    ),
    Case(
        id="server_args: no quoting, a hash is a word",
        config=service("p", 7001, 'server_args = "a b" # x'),
        steps=(world(7001, within_keys="argv"),),
        expect=({"argv.0": "probe", "argv.1": '"a', "argv.2": 'b"', "argv.3": "#", "argv.4": "x"},),
    ),
    Case(
        id="NAMEINARGS: the first word is the name",
        config=service("p", 7001, "flags = NAMEINARGS", "server_args = renamed two"),
        steps=(world(7001, within_keys="argv"),),
        expect=({"argv.0": "renamed", "argv.1": "two"},),
    ),
    Case(
        id="NAMEINARGS: after server_args",
        config=service("p", 7001, "server_args = renamed two", "flags = NAMEINARGS NOLIBWRAP"),
        steps=(world(7001, within_keys="argv"),),
        departure="argument order",
        expect=(Per({"argv.0": ""}, {"argv.0": "renamed", "argv.1": "two"}),),
    ),
    Case(
        id="user: by name, with its group, without supplementary groups",
        config=service("p", 7001, "user = games"),
        steps=(world(7001, "uid", "gid", "groups"),),
        expect=({"uid": "5 5", "gid": "60 60", "groups": ""},),
    ),
    Case(
        id="user: a number is uid and gid",
        config=service("p", 7001, "user = 4711"),
        steps=(world(7001, "uid", "gid", "groups"),),
        expect=({"uid": "4711 4711", "gid": "4711 4711", "groups": ""},),
    ),
    Case(
        id="user: root stays root",
        config=service("p", 7001),
        steps=(world(7001, "uid", "gid", "groups"),),
        expect=({"uid": "0 0", "gid": "0 0", "groups": ""},),
    ),
    Case(
        id="group: by name",
        config=service("p", 7001, "user = games", "group = mail"),
        steps=(world(7001, "uid", "gid", "groups"),),
        expect=({"uid": "5 5", "gid": "8 8", "groups": ""},),
    ),
    Case(
        id="group: by number",
        config=service("p", 7001, "user = games", "group = 4711"),
        steps=(world(7001, "gid"),),
        expect=({"gid": "4711 4711"},),
    ),
    Case(
        id="groups = yes: those of the user",
        config=service("p", 7001, "user = games", "groups = yes"),
        steps=(world(7001, "uid", "gid", "groups"),),
        expect=({"uid": "5 5", "gid": "60 60", "groups": "60 4242 4243"},),
    ),
    Case(
        id="groups = yes with group: gid from group, the rest from the user",
        config=service("p", 7001, "user = games", "group = mail", "groups = yes"),
        steps=(world(7001, "gid", "groups"),),
        expect=({"gid": "8 8", "groups": "60 4242 4243"},),
    ),
    Case(
        id="groups = no: none but the gid",
        config=defaults("groups = yes") + service("p", 7001, "user = games", "groups = no"),
        steps=(world(7001, "gid", "groups"),),
        expect=({"gid": "60 60", "groups": ""},),
    ),
    Case(
        id="groups = yes of defaults",
        config=defaults("groups = yes") + service("p", 7001, "user = games"),
        steps=(world(7001, "groups"),),
        expect=({"groups": "60 4242 4243"},),
    ),
    Case(
        id="umask: the daemon's with 022",
        config=service("p", 7001),
        steps=(world(7001, "umask"),),
        expect=({"umask": "022"},),
    ),
    Case(
        id="umask: as given",
        config=service("p", 7001, "umask = 077"),
        steps=(world(7001, "umask"),),
        expect=({"umask": "077"},),
    ),
    Case(
        id="umask: of defaults",
        config=defaults("umask = 027") + service("p", 7001),
        steps=(world(7001, "umask"),),
        expect=({"umask": "027"},),
    ),
    Case(
        id="nice: kinder",
        config=service("p", 7001, "nice = 7", "user = nobody"),
        steps=(world(7001, "nice"),),
        expect=({"nice": "7"},),
    ),
    Case(
        id="nice: less kind, as root",
        config=service("p", 7001, "nice = -3"),
        steps=(world(7001, "nice"),),
        expect=({"nice": "-3"},),
    ),
    Case(
        id="nice: less kind, as another user",
        config=service("p", 7001, "nice = -3", "user = nobody"),
        steps=(world(7001, "nice"),),
        departure="limits before user",
        expect=(Per({"nice": "0"}, {"nice": "-3"}),),
    ),
    *(
        Case(
            id=f"{attribute} = {value}",
            config=service("p", 7001, f"{attribute} = {value}", "user = nobody"),
            steps=(world(7001, f"rlimit.{key}"),),
            expect=({f"rlimit.{key}": f"{limit} {limit}"},),
        )
        for attribute, key, value, limit in (
            ("rlimit_as", "as", "64M", 64 << 20),
            ("rlimit_as", "as", "70000000", 70_000_000),
            ("rlimit_cpu", "cpu", "30", 30),
            ("rlimit_data", "data", "512k", 512 << 10),
            ("rlimit_data", "data", "32m", 32 << 20),
            ("rlimit_files", "files", "77", 77),
            ("rlimit_rss", "rss", "10000K", 10000 << 10),
            ("rlimit_rss", "rss", "UNLIMITED", "infinity"),
            ("rlimit_stack", "stack", "1M", 1 << 20),
        )
    ),
    Case(
        id="limits: unchanged where not given, and where given as 0",
        config=service("p", 7001, "rlimit_as = 0"),
        steps=(world(7001, *(f"rlimit.{key}" for key in ("as", "cpu", "data", "files", "rss", "stack", "core"))),),
        expect=SAME,
    ),
    Case(
        id="environment: the daemon's own, and REMOTE_HOST",
        config=service("p", 7001),
        steps=(world(7001, within_keys="env."),),
        expect=(
            {
                **INHERITED,
                "env.PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "env.LC_ALL": "C.UTF-8",
                "env.TZ": "UTC",
                "env.REMOTE_HOST": A,
            },
        ),
    ),
    Case(
        id="env: adds and replaces, = inside the value",
        config=service("p", 7001, "env = NEW=1 RIG_ONE=other", "env += ALSO=a=b EMPTY=", "passenv = RIG_ONE RIG_TWO"),
        steps=(world(7001, within_keys="env."),),
        expect=(
            {
                "env.RIG_ONE": "other",
                "env.RIG_TWO": "two",
                "env.NEW": "1",
                "env.ALSO": "a=b",
                "env.EMPTY": "",
                "env.REMOTE_HOST": A,
            },
        ),
    ),
    Case(
        id="env: = forgets the lines before",
        config=service("p", 7001, "env = ONE=1", "env = TWO=2", "passenv ="),
        steps=(world(7001, within_keys="env."),),
        expect=({"env.TWO": "2", "env.REMOTE_HOST": A},),
    ),
    Case(
        id="passenv: only what is named",
        config=service("p", 7001, "passenv = RIG_TWO"),
        steps=(world(7001, within_keys="env."),),
        expect=({"env.RIG_TWO": "two", "env.REMOTE_HOST": A},),
    ),
    Case(
        id="passenv: empty passes nothing",
        config=service("p", 7001, "passenv ="),
        steps=(world(7001, within_keys="env."),),
        expect=({"env.REMOTE_HOST": A},),
    ),
    Case(
        id="passenv: of defaults",
        config=defaults("passenv = RIG_ONE") + service("p", 7001),
        steps=(world(7001, within_keys="env."),),
        expect=({"env.RIG_ONE": "1", "env.REMOTE_HOST": A},),
    ),
    Case(
        id="passenv: += and -= change that of defaults",
        config=defaults("passenv = RIG_ONE") + service("p", 7001, "passenv += RIG_TWO", "passenv -= RIG_ONE"),
        steps=(world(7001, within_keys="env."),),
        expect=({"env.RIG_TWO": "two", "env.REMOTE_HOST": A},),
    ),
    Case(
        id="REMOTE_HOST: IPv6",
        config=service("p", 7001, "bind = fd00::6"),
        steps=(world(7001, "env.REMOTE_HOST", "there", host="fd00::6", source=A6),),
        expect=({"env.REMOTE_HOST": A6, "there": A6},),
    ),
    Case(
        id="REMOTE_HOST: an IPv4 client of a dual-stack listener",
        config=service("p", 7001, without=("bind",)),
        steps=(world(7001, "env.REMOTE_HOST"), log(2)),
        departure="one spelling",
        expect=(
            Per({"env.REMOTE_HOST": f"::ffff:{A}"}, {"env.REMOTE_HOST": A}),
            Per(
                ["EXIT: p status=0 pid=N", f"START: p pid=N from=::ffff:{A}"],
                ["EXIT: p status=0 pid=N", f"START: p pid=N from={A}"],
            ),
        ),
    ),
    Case(
        id="dual stack: the socket that a server of an IPv4 client sees",
        config=service("p", 7001, without=("bind",)),
        steps=(world(7001, "family", "there", "here"),),
        expect=SAME,
    ),
    Case(
        id="NODELAY and KEEPALIVE: set on the connection",
        config=service("p", 7001, "flags = NODELAY KEEPALIVE"),
        steps=(world(7001, "nodelay", "keepalive"),),
        expect=({"nodelay": "1", "keepalive": "1"},),
    ),
    Case(
        id="NODELAY and KEEPALIVE: not set unless asked for",
        config=service("p", 7001, "flags = REUSE"),
        steps=(world(7001, "nodelay", "keepalive"),),
        expect=({"nodelay": "0", "keepalive": "0"},),
    ),
    Case(
        id="exit: the status of the server",
        config=service("p", 7001, "server_args = do=exit=3"),
        steps=(talk(7001), log(2)),
        expect=("closed", ["EXIT: p status=3 pid=N", f"START: p pid=N from={A}"]),
    ),
    Case(
        id="exit: the signal that ended the server",
        config=service("p", 7001, "server_args = do=kill=9"),
        steps=(talk(7001), log(2)),
        expect=("closed", ["EXIT: p signal=9 pid=N", f"START: p pid=N from={A}"]),
    ),
    Case(
        id="exec failure: the client sees only the end",
        config=service("p", 7001, "server = @WORK@/gone"),
        files={"gone": "#!/nonexistent/interpreter\n"},
        steps=(talk(7001), log(Per(2, 3))),
        departure="exec failure told",
        expect=(
            "closed",
            Per(
                ["EXIT: p status=0 pid=N", f"START: p pid=N from={A}"],
                ["EXIT: p status=127 pid=N", f"FAIL: p exec from={A}", f"START: p pid=N from={A}"],
            ),
        ),
    ),
    Case(
        id="exec failure: the operator is told errno",
        config=service("p", 7001, "server = @WORK@/gone"),
        files={"gone": "#!/nonexistent/interpreter\n"},
        steps=(talk(7001), told("@WORK@/gone", "No such file or directory", "errno = 2")),
        expect=("closed", True),
    ),
)
