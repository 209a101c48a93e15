"""Services with wait = yes: the server is given the listener itself."""

from __future__ import annotations

from differential.stage import A6, A, B, C, Case, Per
from differential.steps import drop_post, log, lost, post, talk, volley, world, world_by_post, write
from rig.entries import dgram, service

CASES = (
    Case(
        id="waiting stream: the server gets the listener and accepts for itself",
        config=service("p", 7001, "wait = yes"),
        steps=(world(7001, "fds", "same.socket", "env.REMOTE_HOST"), world(7001, "fds")),
        expect=(
            {"fds": "0 1 2", "same.socket": "1", "env.REMOTE_HOST": "<no address>"},
            {"fds": "0 1 2"},
        ),
    ),
    Case(
        id="waiting stream: logged without an address",
        config=service("p", 7001, "wait = yes", "server_args = do=word=hi"),
        steps=(talk(7001), talk(7001), log(4)),
        expect=("hi\n", "hi\n", ["EXIT: p status=0 pid=N"] * 2 + ["START: p pid=N from=<no address>"] * 2),
    ),
    Case(
        id="waiting stream: no_access of a number",
        config=service("p", 7001, "wait = yes", "server_args = do=word=hi", f"no_access = {B}"),
        steps=(talk(7001), talk(7001, source=B)),
        departure="waiting stream filtered",
        expect=("hi\n", Per("hi\n", "silence")),
    ),
    Case(
        id="waiting dgram: the server takes the datagram and answers it",
        config=dgram("p", 7001, "server_args = do=cat"),
        steps=(post(7001, b"one"), post(7001, b"two"), post(7001, b"three", source=B)),
        expect=("one", "two", "three"),
    ),
    Case(
        id="waiting dgram: logged with the sender",
        config=dgram("p", 7001, "server_args = do=cat"),
        steps=(post(7001, b"one"), log(2)),
        expect=("one", ["EXIT: p status=0 pid=N", f"START: p pid=N from={A}"]),
    ),
    Case(
        id="waiting dgram: descriptors and REMOTE_HOST",
        config=dgram("p", 7001),
        steps=(world_by_post(7001, "fds", "same.socket", "env.REMOTE_HOST", "argv.0", "leads.session", "blocking"),),
        expect=(
            {
                "fds": "0 1 2",
                "same.socket": "1",
                "env.REMOTE_HOST": A,
                "argv.0": "probe",
                "leads.session": "1",
                "blocking": "1",
            },
        ),
    ),
    Case(
        id="waiting dgram: IPv6",
        config=dgram("p", 7001, "bind = fd00::6"),
        steps=(world_by_post(7001, "env.REMOTE_HOST", source=A6, host="fd00::6"),),
        expect=({"env.REMOTE_HOST": A6},),
    ),
    Case(
        id="waiting dgram: a refused sender is not answered, the next one is",
        config=dgram("p", 7001, "server_args = do=cat", f"no_access = {B}"),
        steps=(
            drop_post(7001, "FAIL: p address", source=B),
            post(7001, b"mine"),
            log(Per(5, 3)),
        ),
        departure="no start, no exit",
        expect=(
            "dropped",
            "mine",
            Per(
                ["EXIT: p status=0 pid=N"] * 2
                + [f"FAIL: p address from={B}", f"START: p pid=N from={A}", f"START: p pid=N from={B}"],
                ["EXIT: p status=0 pid=N", f"FAIL: p address from={B}", f"START: p pid=N from={A}"],
            ),
        ),
    ),
    Case(
        id="waiting dgram: refused for load, it hears the next one",
        config=dgram("p", 7001, "server_args = do=cat", "max_load = 5"),
        files={"loadavg": "9.00 9.00 9.00 1/100 100\n"},
        steps=(
            drop_post(7001, "FAIL: p load"),
            drop_post(7001, "FAIL: p load", source=B),
            write("loadavg", "1.00 1.00 1.00 1/100 100\n"),
            post(7001, b"calm"),
        ),
        departure="exactly that datagram",
        expect=("dropped", Per("no sign", "dropped"), Per("silence", "calm")),
    ),
    Case(
        id="waiting dgram: datagrams that wait behind the first are served too",
        config=dgram("p", 7001, "server_args = do=cat"),
        steps=(volley(7001, A, B, C),),
        departure="never drained",
        expect=(Per(1, 3),),
    ),
    Case(
        id="dgram with wait = no",
        config=dgram("p", 7001, "wait = no", "server_args = do=cat"),
        steps=(post(7001, b"one"), lost(post(7001, b"two", tries=1))),
        departure="dgram waits",
        expect=("one", Per("lost", "two")),
    ),
    Case(
        id="waiting dgram: a server that leaves its datagram unread costs that datagram alone",
        config=dgram("p", 7001, "server_args = do=sulk"),
        steps=(drop_post(7001, "EXIT: p", b"one"), drop_post(7001, "EXIT: p", b"two"), log(4)),
        expect=("dropped", "dropped", ["EXIT: p status=0 pid=N"] * 2 + [f"START: p pid=N from={A}"] * 2),
    ),
)
