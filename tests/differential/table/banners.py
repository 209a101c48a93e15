"""banner, banner_success and banner_fail: who is shown what."""

from __future__ import annotations

from differential.exchanges import hear, slow_reader
from differential.stage import A6, A, B, Case, Per
from differential.steps import begin, end, post, quietly, talk, told, write
from rig.entries import defaults, dgram, sensor, service

FILES = {"first": "hello\r\n", "yes": "welcome\n", "no": "go away\n"}
ALL = ("banner = @WORK@/first", "banner_success = @WORK@/yes", "banner_fail = @WORK@/no")
HI = "server_args = do=word=hi"
SHOWN = "hello\r\ngo away\n"


def shown(name: str, *lines: str, expect: object, departure: str = "", **more: object) -> Case:
    """What A is shown by a service with all three banners and *lines*."""
    return Case(
        id=f"banner: {name}",
        config=service("p", 7001, HI, *ALL, *lines),
        files={**FILES, **more.pop("files", {})},  # type: ignore[dict-item]
        steps=(talk(7001),),
        departure=departure,
        expect=(expect,),
        **more,  # type: ignore[arg-type]
    )


CASES = (
    shown("served", expect="hello\r\nwelcome\nhi\n"),
    shown("refused by its lists", f"no_access = {A}", expect=SHOWN),
    shown("refused by instances", "instances = 0", expect=SHOWN),
    shown("refused by per_source", "per_source = 0", expect=SHOWN),
    shown("refused by its times", "access_times = @ELSEWHEN@", expect=SHOWN),
    shown("refused by the load", "max_load = 5", expect=SHOWN, files={"loadavg": "9.00 9.00 9.00 1/100 100\n"}),
    shown("refused by hosts.deny", expect=SHOWN, files={"etc/hosts.deny": "ALL: ALL\n"}),
    shown("refused by its name", "only_from = .other.test", expect=SHOWN),
    Case(
        id="banner: refused by cps",
        config=service("p", 7001, HI, *ALL, "cps = 1 60"),
        files=FILES,
        steps=(talk(7001), talk(7001)),
        expect=("hello\r\nwelcome\nhi\n", SHOWN),
    ),
    Case(
        id="banner: refused by -limit",
        config=service("p", 7001, "server_args = do=hold") + service("q", 7002, *ALL),
        files=FILES,
        options=("-limit", "1"),
        steps=(begin("one", 7001), talk(7002), end("one")),
        expect=(SHOWN,),
    ),
    *(
        Case(
            id=f"banner: {attribute} alone",
            config=service("p", 7001, HI, line) + service("q", 7002, HI, line, f"no_access = {A}"),
            files=FILES,
            steps=(talk(7001), talk(7002)),
            expect=expect,
        )
        for attribute, line, expect in (
            ("banner", ALL[0], ("hello\r\nhi\n", "hello\r\n")),
            ("banner_success", ALL[1], ("welcome\nhi\n", "closed")),
            ("banner_fail", ALL[2], ("hi\n", "go away\n")),
        )
    ),
    Case(
        id="banner: of defaults, and a service's own",
        config=defaults(*ALL)
        + service("p", 7001, HI, f"no_access = {B}")
        + service("q", 7002, HI, "banner = @WORK@/yes"),
        files=FILES,
        steps=(talk(7001), talk(7001, source=B), talk(7002)),
        expect=("hello\r\nwelcome\nhi\n", SHOWN, "welcome\nwelcome\nhi\n"),
    ),
    Case(
        id="banner: a banned source",
        config=sensor("decoy", 7002) + service("p", 7001, HI, *ALL),
        files=FILES,
        steps=(quietly(talk(7002, host="192.168.1.5")), talk(7001), talk(7001, source=B)),
        departure="one line a minute",
        expect=(Per(SHOWN, "closed"), "hello\r\nwelcome\nhi\n"),
    ),
    Case(
        id="banner: a sensor",
        config=sensor("decoy", 7002, *ALL),
        files=FILES,
        steps=(talk(7002, host="192.168.1.5"),),
        expect=(SHOWN,),
    ),
    Case(
        id="banner: a file that is not there",
        config=service("p", 7001, HI, "banner = @WORK@/gone"),
        steps=(talk(7001), told("service = p, open of banner @WORK@/gone failed")),
        expect=("hi\n", True),
    ),
    Case(
        id="banner_success and banner_fail: files that are not there",
        config=service("p", 7001, HI, "banner_success = @WORK@/gone", "banner_fail = @WORK@/gone", f"no_access = {B}"),
        steps=(talk(7001), talk(7001, source=B), told("service = p, open of banner @WORK@/gone failed")),
        expect=("hi\n", "closed", True),
    ),
    Case(
        id="banner: bytes go out unchanged",
        config=service("p", 7001, HI, "banner = @WORK@/odd"),
        files={"odd": "\x01\x7f%s%n\\n\t\x1b[2J\n\n"},
        steps=(talk(7001),),
        expect=("\x01\x7f%s%n\\n\t\x1b[2J\n\nhi\n",),
    ),
    Case(
        id="banner: a hundred thousand bytes",
        config=service("p", 7001, HI, "banner = @WORK@/long")
        + service("q", 7002, "instances = 0", "banner_fail = @WORK@/long"),
        files={"long": "0123456789" * 10_000},
        steps=(hear(7001), hear(7002)),
        expect=("0123456789" * 10_000 + "hi\n", "0123456789" * 10_000),
    ),
    Case(
        id="banner: a client that does not read it holds nobody up",
        config=service("p", 7001, HI, "banner = @WORK@/long") + service("q", 7002, HI),
        files={"long": "0123456789" * 2_000_000},
        steps=(slow_reader(7001),),
        departure="banners hold nobody up",
        expect=(Per("silence", "hi\n"),),
    ),
    Case(
        id="banner: read anew for each connection",
        config=service("p", 7001, HI, "banner = @WORK@/first"),
        files=FILES,
        steps=(talk(7001), write("first", "another\n"), talk(7001)),
        expect=("hello\r\nhi\n", "another\nhi\n"),
    ),
    Case(
        id="banner: internal services",
        config=service("echo", 7001, "type = INTERNAL UNLISTED", *ALL, without=("server", "user"))
        + service("discard", 7002, "type = INTERNAL UNLISTED", "instances = 0", *ALL, without=("server", "user"))
        + service("daytime", 7003, "type = INTERNAL UNLISTED", f"no_access = {A}", *ALL, without=("server", "user")),
        files=FILES,
        steps=(talk(7001, b"x"), talk(7002), talk(7003)),
        expect=("hello\r\nwelcome\nx", SHOWN, SHOWN),
    ),
    Case(
        id="banner: redirect",
        config=service("r", 7001, "redirect = 192.168.1.7 7100", *ALL, without=("server",))
        + service("t", 7100, "bind = 192.168.1.7", HI, without=("log_type",)),
        files=FILES,
        steps=(hear(7001),),
        expect=("hello\r\nwelcome\nhi\n",),
    ),
    Case(
        id="banner: IPv6",
        config=service("p", 7001, HI, "bind = fd00::6", *ALL),
        files=FILES,
        steps=(talk(7001, b"", "fd00::6", A6),),
        expect=("hello\r\nwelcome\nhi\n",),
    ),
    Case(
        id="banner: nothing is shown to those who send datagrams",
        config=dgram("p", 7001, "server_args = do=cat", *ALL),
        files=FILES,
        steps=(post(7001, b"one"),),
        expect=("one",),
    ),
    Case(
        id="banner: the multiplexer, and the service behind it",
        config=service("tcpmux", 7001, "type = INTERNAL UNLISTED", "banner = @WORK@/first", without=("server",))
        + service("inner", None, "type = TCPMUX UNLISTED", HI, "banner_success = @WORK@/yes", without=("bind",))
        + service(
            "outer",
            None,
            "type = TCPMUX UNLISTED",
            HI,
            f"no_access = {A}",
            "banner_fail = @WORK@/no",
            without=("bind",),
        ),
        files=FILES,
        steps=(talk(7001, b"inner\r\n"), talk(7001, b"outer\r\n")),
        expect=("hello\r\nwelcome\nhi\n", "hello\r\ngo away\n"),
    ),
)
