"""Services that others lead to: RPC by rpcbind, INTERCEPT, mdns; and sockets that are neither stream nor dgram."""

from __future__ import annotations

from differential.exchanges import announced, pinged, rpc
from differential.stage import A, B, Case, Per
from differential.steps import meet, post, talk, told
from rig.entries import dgram, service
from rig.rpc import OTHER

RSTAT = 100_001
READY = "program {} version {} ready and waiting\n"
STUB = """\
#!/usr/bin/python3 -I
# Answers one call of procedure 0 on the connection it is started for (RFC 5531).
import os
call = os.read(0, 4096)
os.write(0, b"\\x80\\0\\0\\x18" + call[4:8] + b"\\0\\0\\0\\x01" + bytes(16))
"""
FILES = {"stub": STUB}


def rpc_service(*lines: str) -> str:
    """An RPC service over TCP whose program has no name in rpc(5)."""
    given = {line.split()[0] for line in lines}
    usual = ("type = RPC UNLISTED", f"rpc_number = {OTHER}", "rpc_version = 1", "server = @WORK@/stub", "flags = IPv4")
    return service("stub", None, *(line for line in usual if line.split()[0] not in given), *lines)


CASES = (
    Case(
        id="RPC: a program of no name, by its number",
        config=rpc_service(),
        files=FILES,
        starts=False,
        steps=(rpc((OTHER, 1, "tcp")),),
        expect=([{(OTHER, 1, "tcp")}, READY.format(OTHER, 1), set()],),
    ),
    Case(
        id="RPC: a range of versions",
        config=rpc_service("rpc_version = 2-4"),
        files=FILES,
        starts=False,
        steps=(rpc((OTHER, 3, "tcp"), versions=3),),
        expect=([{(OTHER, 2, "tcp"), (OTHER, 3, "tcp"), (OTHER, 4, "tcp")}, READY.format(OTHER, 3), set()],),
    ),
    Case(
        id="RPC: a waiting dgram service, by its name in rpc(5)",
        config=dgram(
            "rstatd", None, "type = RPC", "server = /usr/sbin/rpc.rstatd", "rpc_version = 2-3", "flags = IPv4"
        ),
        starts=False,
        steps=(rpc((RSTAT, 2, "udp"), versions=2),),
        expect=([{(RSTAT, 2, "udp"), (RSTAT, 3, "udp")}, READY.format(RSTAT, 2), set()],),
    ),
    Case(
        id="RPC: without versions the entry is refused",
        config=service("stub", None, "type = RPC UNLISTED", f"rpc_number = {OTHER}") + service("p", 7001),
        steps=(meet(7001), told("stub", "rpc_version")),
        expect=("served", True),
    ),
    Case(
        id="INTERCEPT: a waiting stream service",
        config=service("p", 7001, "wait = yes", "flags = INTERCEPT", "server_args = do=word=hi", f"no_access = {B}"),
        steps=(talk(7001), talk(7001, source=B), talk(7001)),
        departure="interception works",
        expect=(Per("closed", "hi\n"), "closed", Per("closed", "hi\n")),
    ),
    Case(
        id="INTERCEPT: a waiting dgram service",
        config=dgram("p", 7001, "flags = INTERCEPT", "server_args = do=cat", f"no_access = {B}"),
        steps=(post(7001, b"one"), post(7001, b"two", source=B, tries=2), post(7001, b"three")),
        departure="interception works",
        expect=(Per("silence", "one"), "silence", Per("silence", "three")),
    ),
    Case(
        id="INTERCEPT: ignored where there is nothing to wait for",
        config=service("p", 7001, "flags = INTERCEPT", "server_args = do=word=hi"),
        steps=(talk(7001), told("Multi-threaded services cannot be intercepted: p")),
        expect=("hi\n", True),
    ),
    *(
        Case(
            id=f"mdns = {word}",
            config=service("p", 7001, f"mdns = {word}", "server_args = do=word=hi"),
            steps=(talk(7001), told("bad service attribute: mdns")),
            departure="attributes of other builds",
            expect=("hi\n", Per(True, False)),
        )
        for word in ("yes", "no")
    ),
    Case(
        id="mdns = no: not announced",
        config=service("probe-svc", 7001, "mdns = no"),
        files={"sentinetd.toml": "[mdns]\nenabled = true\n"},
        steps=(announced(), told("bad service attribute: mdns")),
        departure="attributes of other builds",
        expect=(False, Per(True, False)),
    ),
    Case(
        id="mdns: announced",
        config=service("probe-svc", 7001, "mdns = yes"),
        files={"sentinetd.toml": "[mdns]\nenabled = true\n"},
        steps=(announced(),),
        departure="attributes of other builds",
        expect=(Per(False, True),),
    ),
    Case(
        id="protocol = icmp: a raw socket, and a server for what comes",
        config=service(
            "p",
            7001,
            "socket_type = raw",
            "protocol = icmp",
            "wait = yes",
            "server = @WORK@/reader",
            "flags = IPv4",
        ),
        files={"reader": "#!/bin/sh\nhead -c 1 >/dev/null\n: >@WORK@/d/ran\n"},
        steps=(pinged("d/ran"),),
        departure="raw sockets are served",
        expect=(Per(False, True),),
    ),
    Case(
        id="socket_type = seqpacket: cannot be listened on",
        config=service("p", 7001, "socket_type = seqpacket") + service("q", 7002),
        steps=(meet(7001), meet(7002)),
        expect=("refused", "served"),
    ),
    Case(
        id="type = SPECIAL: nothing special",
        config=service("p", 7001, "type = SPECIAL UNLISTED", "server_args = do=word=hi"),
        steps=(talk(7001), talk(7001, source=A)),
        expect=("hi\n", "hi\n"),
    ),
    Case(
        id="flags = NORETRY: serves as without",
        config=service("p", 7001, "flags = NORETRY", "server_args = do=word=hi"),
        steps=(talk(7001),),
        expect=("hi\n",),
    ),
)
