"""only_from and no_access in every form of address, access_times, defaults that merge."""

from __future__ import annotations

from differential.stage import A6, B6, A, B, C, Case, Per
from differential.steps import log, meet, talk, told
from rig.entries import defaults, service

FAR, ZERO = "192.168.2.9", "192.168.2.0"
REFUSED = "closed"


def admits(word: str, yes: tuple[str, ...], no: tuple[str, ...], but: str = "", xinetd: tuple[str, ...] = ()) -> Case:
    """`only_from = WORD` at a dual-stack service admits *yes* and refuses *no*.

    Where xinetd departs (*but*), *xinetd* are the sources it admits.
    """
    sources = (*yes, *no)
    ours = ["served" if source in yes else REFUSED for source in sources]
    theirs = ["served" if source in xinetd else REFUSED for source in sources] if but else ours
    return Case(
        id=f"only_from = {word}",
        config=service("p", 7001, f"only_from = {word}", without=("bind",)),
        steps=tuple(meet(7001, "fd00::6" if ":" in source else "192.168.1.6", source) for source in sources),
        departure=but,
        expect=tuple(one if one == two else Per(one, two) for one, two in zip(theirs, ours, strict=True)),
    )


def lists(name: str, only_from: str, no_access: str, expect: tuple[object, ...], departure: str = "") -> Case:
    """Both lists at once, judged for A, B and C."""
    lines = [
        line for line in (only_from and f"only_from = {only_from}", no_access and f"no_access = {no_access}") if line
    ]
    return Case(
        id=name,
        config=service("p", 7001, *lines),
        steps=tuple(meet(7001, source=source) for source in (A, B, C)),
        departure=departure,
        expect=expect,
    )


CASES = (
    *(
        Case(
            id=f"only_from: a word that cannot be read admits nobody, the others hold: {word}",
            config=service("p", 7001, f"only_from = {word} {A}") + service("q", 7002, f"only_from = {word}"),
            steps=(meet(7001), meet(7001, source=B), meet(7002), told(f"failed to parse {word}")),
            expect=("served", "closed", "closed", True),
        )
        for word in ("192.168.1.*", "192.168.1.256", "192.168.1.0/", "a!b")
    ),
    admits(A, (A,), (B, A6)),
    admits(f"{A} {B}", (A, B), (C, FAR)),
    admits("192.168.1.0", (A, B, C), (FAR, A6)),
    admits("192.168.2.0", (FAR, ZERO), (A,)),
    admits("192.168.0.0", (A, FAR), (A6,)),
    admits("192.0.0.0", (A, FAR), (A6,)),
    admits("0.0.0.0", (A, FAR), (A6,)),
    admits("0.0.0.0/0", (A, FAR), (A6,)),
    admits("192.168.1.0/24", (A, B), (FAR,)),
    admits("192.168.1.20/31", (A, B), (C,)),
    admits("192.168.1.20/32", (A,), (B,)),
    admits("192.168.0.0/16", (A, FAR), (A6,)),
    admits("192.168.1.{20,22}", (A, C), (B, FAR)),
    admits("192.168.{1}", (A, B), (FAR,)),
    admits("192.168.{1,2}", (A, FAR), (A6,)),
    admits("192.{168,10}", (A, FAR), (A6,)),
    admits("fd00::20", (A6,), (B6, A)),
    admits("fd00::/64", (A6, B6), (A,)),
    admits("fd00::20/124", (A6, B6), ("fd00::2:23", A)),
    admits("fd00::20/128", (A6,), (B6,), but="v6 full length", xinetd=()),
    admits("::/0", (A6, B6), (A,), but="one spelling", xinetd=(A6, B6, A)),
    admits("::ffff:192.168.1.20", (A,), (B, A6)),
    admits("client20.example.test", (A, A6), (B,), but="names normalised", xinetd=(A6,)),
    admits("testnet", (A, B), (FAR,), but="network names", xinetd=()),
    admits("no.such.name.test 192.168.1.21", (B,), (A,)),
    Case(
        id="only_from: a host name, at an IPv4 listener",
        config=service("p", 7001, "only_from = client20.example.test"),
        steps=(meet(7001), meet(7001, source=B)),
        expect=("served", REFUSED),
    ),
    Case(
        id="only_from: a host name in other letters",
        config=service("p", 7001, "only_from = CLIENT20.Example.test"),
        steps=(meet(7001), meet(7001, source=B)),
        expect=("served", REFUSED),
    ),
    Case(
        id="only_from: a domain",
        config=service("p", 7001, "only_from = .example.test"),
        steps=(meet(7001), meet(7001, source=B), meet(7001, source=C), meet(7001, source=FAR)),
        expect=("served", "served", REFUSED, REFUSED),
    ),
    Case(
        id="no_access: a domain",
        config=service("p", 7001, "no_access = .example.test"),
        steps=(meet(7001), meet(7001, source=B), meet(7001, source=C), meet(7001, source=FAR)),
        expect=(REFUSED, REFUSED, "served", "served"),
    ),
    lists("no_access: an address", "", A, (REFUSED, "served", "served")),
    lists("no_access: a network", "", "192.168.1.20/31", (REFUSED, REFUSED, "served")),
    lists("only_from: empty admits nobody", " ", "", (REFUSED, REFUSED, REFUSED)),
    lists("both lists: apart", A, B, ("served", REFUSED, REFUSED)),
    lists("both lists: a narrower refusal wins", "192.168.1.0/24", A, (REFUSED, "served", "served")),
    lists(
        "both lists: a narrower admission wins",
        A,
        "192.168.1.0/24",
        (Per(REFUSED, "served"), REFUSED, REFUSED),
        "narrowest wins",
    ),
    lists("both lists: a tie denies", A, A, (REFUSED, REFUSED, REFUSED)),
    Case(
        id="no_access: a word that cannot be read",
        config=service("p", 7001, "no_access = 192.168.1.300") + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        departure="dropped words deny",
        expect=(Per("served", "refused"), "served"),
    ),
    Case(
        id="refusal: one line, and what xinetd writes besides",
        config=service("p", 7001, f"no_access = {A}"),
        steps=(talk(7001), log(Per(3, 1))),
        departure="no start, no exit",
        expect=(
            "closed",
            Per(
                ["EXIT: p status=0 pid=N", f"FAIL: p address from={A}", f"START: p pid=N from={A}"],
                [f"FAIL: p address from={A}"],
            ),
        ),
    ),
    Case(
        id="defaults: only_from is taken over",
        config=defaults(f"only_from = {A}") + service("p", 7001),
        steps=(meet(7001), meet(7001, source=B)),
        expect=("served", REFUSED),
    ),
    Case(
        id="defaults: = replaces only_from",
        config=defaults(f"only_from = {A}") + service("p", 7001, f"only_from = {B}"),
        steps=(meet(7001), meet(7001, source=B)),
        expect=(REFUSED, "served"),
    ),
    Case(
        id="defaults: += adds to only_from",
        config=defaults(f"only_from = {A}") + service("p", 7001, f"only_from += {B}"),
        steps=(meet(7001), meet(7001, source=B), meet(7001, source=C)),
        expect=("served", "served", REFUSED),
    ),
    Case(
        id="defaults: -= takes from only_from",
        config=defaults(f"only_from = {A} {B}") + service("p", 7001, f"only_from -= {A}"),
        steps=(meet(7001), meet(7001, source=B)),
        expect=(REFUSED, "served"),
    ),
    Case(
        id="defaults: -= of a part takes nothing",
        config=defaults("only_from = 192.168.1.0") + service("p", 7001, f"only_from -= {A}"),
        steps=(meet(7001), meet(7001, source=B)),
        expect=("served", "served"),
    ),
    Case(
        id="defaults: an empty no_access forgets the inherited one",
        config=defaults(f"no_access = {A}") + service("p", 7001, "no_access =") + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("served", REFUSED),
    ),
    Case(
        id="defaults: += in defaults adds",
        config=defaults(f"only_from = {A}", f"only_from += {B}") + service("p", 7001),
        steps=(meet(7001), meet(7001, source=B), meet(7001, source=C)),
        expect=("served", "served", REFUSED),
    ),
    Case(
        id="defaults: -= without a list admits nobody",
        config=service("p", 7001, f"only_from -= {A}"),
        steps=(meet(7001), meet(7001, source=B)),
        expect=(REFUSED, REFUSED),
    ),
    Case(
        id="defaults: after the service",
        config=service("p", 7001) + defaults(f"no_access = {A}"),
        steps=(meet(7001), meet(7001, source=B)),
        departure="defaults reach all",
        expect=(Per("served", REFUSED), "served"),
    ),
    Case(
        id="access_times: inside",
        config=service("p", 7001, "access_times = 00:00-23:59"),
        steps=(meet(7001),),
        expect=("served",),
    ),
    Case(
        id="access_times: outside",
        config=service("p", 7001, "access_times = @ELSEWHEN@"),
        steps=(meet(7001), log(1)),
        expect=("closed", [f"FAIL: p time from={A}"]),
    ),
    Case(
        id="access_times: one of several",
        config=service("p", 7001, "access_times = @ELSEWHEN@ 0:0-23:59"),
        steps=(meet(7001),),
        expect=("served",),
    ),
    Case(
        id="access_times: until 24:00",
        config=service("p", 7001, "access_times = 00:00-24:00"),
        steps=(meet(7001),),
        departure="midnight",
        expect=(Per("refused", "served"),),
    ),
    Case(
        id="access_times: past midnight",
        config=service("p", 7001, "access_times = @OVERNIGHT@"),
        steps=(meet(7001),),
        departure="midnight",
        expect=(Per("refused", "served"),),
    ),
)
