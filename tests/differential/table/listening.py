"""Where a service listens: ports, addresses, families."""

from __future__ import annotations

from differential.stage import A6, Case, Per
from differential.steps import meet, message, post, talk, world
from rig.entries import service

ANY = ("bind",)
DGRAM = ("socket_type = dgram", "protocol = udp", "wait = yes")

CASES = (
    Case(
        id="without protocols(5)",
        config=service("p", 7001) + service("q", 7002, without=("protocol",)),
        files={"etc/protocols": ""},
        steps=(meet(7001), meet(7002)),
        departure="tcp and udp are known",
        expect=(Per("refused", "served"), Per("refused", "served")),
    ),
    Case(
        id="two datagram services on one port of all addresses: the last one answers",
        config="".join(
            service(name, 7001, *DGRAM, f"id = {name}", f"server_args = do=word={name}", without=ANY)
            for name in ("p", "q")
        )
        + service("r", 7002),
        steps=(post(7001), meet(7002)),
        expect=("q\n", "served"),
    ),
    Case(
        id="bind: an address, and only that",
        config=service("p", 7001),
        steps=(meet(7001), meet(7001, "192.168.1.7"), meet(7001, "fd00::6", A6)),
        expect=("served", "refused", "refused"),
    ),
    Case(
        id="interface: another word for bind",
        config=service("p", 7001, "interface = 192.168.1.7", without=ANY),
        steps=(meet(7001), meet(7001, "192.168.1.7")),
        expect=("refused", "served"),
    ),
    Case(
        id="bind: a host name",
        config=service("p", 7001, "bind = seven.example.test"),
        steps=(meet(7001), meet(7001, "192.168.1.7")),
        expect=("refused", "served"),
    ),
    Case(
        id="bind: of defaults, and the service's own",
        config="defaults\n{\n\tbind = 192.168.1.7\n}\n"
        + service("p", 7001, without=ANY)
        + service("q", 7002, "bind = 192.168.1.8"),
        steps=(meet(7001), meet(7001, "192.168.1.7"), meet(7002, "192.168.1.7"), meet(7002, "192.168.1.8")),
        expect=("refused", "served", "refused", "served"),
    ),
    Case(
        id="one port on two addresses",
        config=service("p", 7001, "server_args = do=word=six")
        + service("p", 7001, "id = p7", "bind = 192.168.1.7", "server_args = do=word=seven"),
        steps=(talk(7001), talk(7001, host="192.168.1.7")),
        expect=("six\n", "seven\n"),
    ),
    Case(
        id="no bind, no flag: every address of both families",
        config=service("p", 7001, without=ANY),
        steps=(meet(7001), meet(7001, "192.168.1.8"), meet(7001, "fd00::5", A6)),
        expect=("served", "served", "served"),
    ),
    Case(
        id="flags = IPv4: that family alone",
        config=service("p", 7001, "flags = IPv4", without=ANY),
        steps=(meet(7001), meet(7001, "fd00::6", A6), world(7001, "family")),
        expect=("served", "refused", {"family": "2"}),
    ),
    Case(
        id="flags = IPv6: IPv6, and IPv4 through it",
        config=service("p", 7001, "flags = IPv6", without=ANY),
        steps=(meet(7001), meet(7001, "fd00::6", A6)),
        expect=("served", "served"),
    ),
    Case(
        id="flags = IPv4 IPv6: as IPv6",
        config=service("p", 7001, "flags = IPv4 IPv6", without=ANY),
        steps=(meet(7001), meet(7001, "fd00::6", A6)),
        expect=("served", "served"),
    ),
    Case(
        id="v6only = yes: no IPv4",
        config=service("p", 7001, "v6only = yes", without=ANY),
        steps=(meet(7001), meet(7001, "fd00::6", A6)),
        expect=("refused", "served"),
    ),
    Case(
        id="v6only = no: both families",
        config=service("p", 7001, "v6only = no", without=ANY),
        steps=(meet(7001), meet(7001, "fd00::6", A6)),
        departure="v6only means it",
        expect=(Per("refused", "served"), "served"),
    ),
    Case(
        id="v6only = no: otherwise than defaults",
        config="defaults\n{\n\tv6only = yes\n}\n" + service("p", 7001, "v6only = no", without=ANY),
        steps=(meet(7001), meet(7001, "fd00::6", A6)),
        departure="v6only means it",
        expect=(Per("refused", "served"), "served"),
    ),
    Case(
        id="v6only = yes of defaults",
        config="defaults\n{\n\tv6only = yes\n}\n" + service("p", 7001, without=ANY),
        steps=(meet(7001), meet(7001, "fd00::6", A6)),
        departure="v6only means it",
        expect=(Per("served", "refused"), "served"),
    ),
    Case(
        id="bind: an IPv4 address with the IPv6 flag",
        config=service("p", 7001, "flags = IPv6") + service("q", 7002),
        steps=(meet(7001), meet(7001, "192.168.1.7"), meet(7002)),
        departure="bind keeps its family",
        expect=(Per("served", "refused"), Per("served", "refused"), "served"),
    ),
    Case(
        id="listed: the port comes from services(5)",
        config=service("probe-svc", None, without=("type",)),
        steps=(meet(7400),),
        expect=("served",),
    ),
    Case(
        id="listed: by an alias",
        config=service("probe-alias", None, without=("type",)),
        steps=(meet(7400),),
        expect=("served",),
    ),
    Case(
        id="listed: without a protocol line, from the socket type",
        config=service("probe-svc", None, without=("type", "protocol")),
        steps=(meet(7400),),
        expect=("served",),
    ),
    Case(
        id="listed: another port than the listed one is refused",
        config=service("probe-svc", 7402, without=("type",)) + service("q", 7002),
        steps=(meet(7402), meet(7400), meet(7002)),
        expect=("refused", "refused", "served"),
    ),
    Case(
        id="listed: a name that services(5) does not know",
        config=service("never-heard", 7001, without=("type",)) + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="UNLISTED: any name with a port",
        config=service("never-heard", 7001),
        steps=(meet(7001),),
        expect=("served",),
    ),
    Case(
        id="UNLISTED: without a port",
        config=service("p", None) + service("q", 7002),
        steps=(meet(7002),),
        expect=("served",),
    ),
    Case(
        id="two entries for one address and port: the first serves",
        config=service("p", 7001, "server_args = do=word=first")
        + service("p", 7001, "id = second", "server_args = do=word=second"),
        steps=(talk(7001), message("Started working")),
        expect=("first\n", "NOTICE: Started working: 1 available service"),
    ),
    Case(
        id="started: how many services",
        config=service("p", 7001) + service("q", 7002),
        steps=(message("Started working"),),
        expect=("NOTICE: Started working: 2 available services",),
    ),
)
