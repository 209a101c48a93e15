"""hosts.allow and hosts.deny, and which name a service goes by there."""

from __future__ import annotations

from differential.exchanges import exists, identified, reached, tables
from differential.stage import A6, A, B, C, Case, Per
from differential.steps import log, meet, post, talk, told
from rig.entries import defaults, dgram, service

FAR = "192.168.2.9"
YES, NO = "served", "closed"


def rule(name: str, *files: str, expect: tuple[str, str, str], config: str = "", departure: str = "") -> Case:
    """What hosts.deny (and, as the second of *files*, hosts.allow) admits of A, B and C at an IPv4 service."""
    deny, allow = (*files, "")[:2]
    return Case(
        id=f"hosts.deny: {name}",
        config=config or service("p", 7001),
        files={"etc/hosts.deny": deny, "etc/hosts.allow": allow},
        steps=tuple(meet(7001, source=source) for source in (A, B, C)),
        departure=departure,
        expect=expect,
    )


def goes_by(name: str, daemon: str, other: str, config: str) -> Case:
    """The service p, which hosts.deny knows as *daemon* and not as *other*."""
    return Case(
        id=f"libwrap: {name}",
        config=config,
        files={"etc/hosts.deny": f"{other}: {A}\n{daemon}: {B}\n"},
        steps=(
            reached(7001),
            reached(7001, source=B),
            told(f"libwrap refused connection to p (libwrap={daemon}) from {B}"),
        ),
        expect=(YES, NO, True),
    )


TIME = service("time", 7001, "type = INTERNAL UNLISTED", "id = p", without=("server",))

CASES = (
    rule("ALL: ALL", "ALL: ALL\n", expect=(NO, NO, NO)),
    rule("an address", f"ALL: {A}\n", expect=(NO, YES, YES)),
    rule("several, and commas", f"ALL: {A}, {C}\n", expect=(NO, YES, NO)),
    rule("a network by its first bytes", "ALL: 192.168.1.\n", expect=(NO, NO, NO)),
    rule("a network and mask", "ALL: 192.168.1.20/255.255.255.254\n", expect=(NO, NO, YES)),
    rule("a network and length", "ALL: 192.168.1.20/31\n", expect=(NO, NO, YES)),
    rule("a host name", "ALL: client20.example.test\n", expect=(NO, YES, YES)),
    rule("a domain", "ALL: .example.test\n", expect=(NO, NO, YES)),
    rule("wildcards in a name", "ALL: *.example.*\n", expect=(NO, NO, YES)),
    rule("wildcards in an address", "ALL: 192.168.1.2?\n", expect=(NO, NO, NO)),
    rule("KNOWN", "ALL: KNOWN\n", expect=(NO, NO, NO)),
    rule("LOCAL", "ALL: LOCAL\n", expect=(YES, YES, YES)),
    rule("EXCEPT", f"ALL: ALL EXCEPT {B}\n", expect=(NO, YES, NO)),
    rule("EXCEPT in EXCEPT", f"ALL: 192.168.1. EXCEPT 192.168.1.20/31 EXCEPT {A}\n", expect=(NO, YES, NO)),
    rule("daemons EXCEPT", "ALL EXCEPT probe: ALL\n", expect=(YES, YES, YES)),
    rule("hosts.allow comes first", "ALL: ALL\n", f"probe: {B}\n", expect=(NO, YES, NO)),
    rule("the first rule that fits", f"ALL: {A}: ALLOW\nALL: ALL\n", expect=(YES, NO, NO)),
    rule("a rule of hosts.allow that denies", "", f"ALL: {A}: DENY\nALL: ALL\n", expect=(NO, YES, YES)),
    rule("comments, blank lines, a line that goes on", f"# ALL: ALL\n\nALL: \\\n {A}\n", expect=(NO, YES, YES)),
    rule("a line without a colon is none", "ALL ALL\n", expect=(YES, YES, YES)),
    rule("a last line without newline", f"ALL: {A}\nALL: ALL", expect=(NO, NO, NO)),
    rule("an option that there is not", f"ALL: {A}: nonsense\n", expect=(NO, YES, YES)),
    rule("severity", f"ALL: {A}: severity local0.info\n", expect=(NO, YES, YES)),
    rule("the server's address", "probe@192.168.1.6: ALL EXCEPT 192.168.1.22\n", expect=(NO, NO, YES)),
    rule("another server's address", "probe@192.168.1.7: ALL\n", expect=(YES, YES, YES)),
    rule("the server's port", f"7001: {A}\n", expect=(NO, YES, YES)),
    rule("the daemon in other letters", f"PROBE: {A}\n", expect=(NO, YES, YES)),
    rule(
        "NOLIBWRAP",
        "ALL: ALL\n",
        config=service("p", 7001, "flags = NOLIBWRAP"),
        expect=(YES, YES, YES),
    ),
    rule(
        "after the service's own lists",
        f"ALL: {B}\n",
        config=service("p", 7001, f"only_from = {A} {B}"),
        expect=(YES, NO, NO),
    ),
    Case(
        id="hosts.deny: IPv6",
        config=service("p", 7001, "bind = fd00::6"),
        files={"etc/hosts.deny": f"ALL: [{A6}]\n"},
        steps=(meet(7001, "fd00::6", A6), meet(7001, "fd00::6", "fd00::21")),
        expect=(NO, YES),
    ),
    Case(
        id="hosts.deny: UNKNOWN, a client without a name",
        config=service("p", 7001),
        files={"etc/hosts.deny": "ALL: UNKNOWN\n"},
        steps=(meet(7001), meet(7001, source=FAR)),
        expect=(YES, NO),
    ),
    Case(
        id="hosts.deny: an IPv4 client of a dual-stack service",
        config=service("p", 7001, without=("bind",)),
        files={"etc/hosts.deny": f"ALL: {A}\n"},
        steps=(meet(7001), meet(7001, source=B)),
        expect=(NO, YES),
    ),
    Case(
        id="hosts.deny: a user, whom the client's host names",
        config=service("p", 7001),
        files={"etc/hosts.deny": "ALL: root@ALL\n"},
        steps=(identified(meet(7001)), meet(7001, source=B)),
        expect=([NO, 1], YES),
    ),
    Case(
        id="hosts.deny: it holds without a reload when it changes",
        config=service("p", 7001),
        steps=(
            tables(),
            meet(7001),
            tables(deny="ALL: ALL\n"),
            meet(7001),
            tables(allow=f"ALL: {A}\n", deny="ALL: ALL\n"),
            meet(7001),
            meet(7001, source=B),
        ),
        expect=(YES, NO, YES, NO),
    ),
    Case(
        id="hosts.deny: logged",
        config=service("p", 7001),
        files={"etc/hosts.deny": "ALL: ALL\n"},
        steps=(talk(7001), log(Per(3, 1))),
        departure="no start, no exit",
        expect=(
            "closed",
            Per(
                ["EXIT: p status=0 pid=N", f"FAIL: p libwrap from={A}", f"START: p pid=N from={A}"],
                [f"FAIL: p libwrap from={A}"],
            ),
        ),
    ),
    Case(
        id="hosts.deny: a waiting dgram service",
        config=dgram("p", 7001, "server_args = do=cat"),
        files={"etc/hosts.deny": f"ALL: {B}\n"},
        steps=(post(7001, b"one"), post(7001, b"two", source=B, tries=2), post(7001, b"three")),
        expect=("one", "silence", "three"),
    ),
    Case(
        id="hosts.deny: a waiting stream service, whose client nobody knows",
        config=service("p", 7001, "wait = yes", "server_args = do=word=hi"),
        files={"etc/hosts.deny": "ALL: ALL\n"},
        steps=(talk(7001),),
        expect=("closed",),
    ),
    Case(
        id="hosts.deny: a waiting stream service, and a rule for somebody else",
        config=service("p", 7001, "wait = yes", "server_args = do=word=hi")
        + service("q", 7002, "wait = yes", "server_args = do=word=hi", "flags = NOLIBWRAP"),
        files={"etc/hosts.deny": f"ALL: {C}\n"},
        steps=(talk(7001), talk(7002)),
        departure="a waiting stream and rules",
        expect=(Per("hi\n", "closed"), "hi\n"),
    ),
    Case(
        id="hosts.deny: a command that is to be run",
        config=service("p", 7001),
        files={"etc/hosts.deny": "ALL: ALL: spawn (/usr/bin/touch @WORK@/d/ran)\n"},
        steps=(meet(7001), exists("d/ran")),
        departure="no shell commands",
        expect=(NO, Per(True, False)),
    ),
    Case(
        id="hosts.allow: a command that is to answer",
        config=service("p", 7001),
        files={"etc/hosts.allow": "ALL: ALL: twist /bin/echo no\n"},
        steps=(talk(7001),),
        departure="no shell commands",
        expect=(Per("no\n", "closed"),),
    ),
    Case(
        id="hosts.deny: told with the rule's place",
        config=service("p", 7001),
        files={"etc/hosts.deny": "# a comment\nALL: ALL\n"},
        steps=(meet(7001), told("libwrap refused connection to p (libwrap=probe)", "/etc/hosts.deny:2")),
        departure="rules have a place",
        expect=(NO, Per(False, True)),
    ),
    goes_by("the server's last path component", "probe", "p", service("p", 7001)),
    goes_by("libwrap = NAME", "other", "probe", service("p", 7001, "libwrap = other")),
    goes_by(
        "with NAMEINARGS the last component of the first argument",
        "renamed",
        "probe",
        service("p", 7001, "flags = NAMEINARGS", "server_args = /x/renamed y"),
    ),
    goes_by("an internal service by its name, not its id", "time", "p", TIME),
    goes_by("libwrap = NAME of an internal service", "other", "time", TIME.replace("}", "\tlibwrap = other\n}")),
    goes_by(
        "a redirect by its name",
        "p",
        "probe",
        service("p", 7001, "redirect = 192.168.1.7 7100", without=("server",))
        + service("t", 7100, "bind = 192.168.1.7", "flags = NOLIBWRAP", without=("log_type",)),
    ),
    Case(
        id="libwrap: not an attribute of defaults",
        config=defaults("libwrap = other") + service("p", 7001),
        files={"etc/hosts.deny": "other: ALL\n"},
        steps=(meet(7001),),
        expect=(YES,),
    ),
)
