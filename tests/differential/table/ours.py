"""Attributes that xinetd does not know: what sensors say, many ports in one entry, the PROXY protocol."""

from __future__ import annotations

import select

from differential.exchanges import at_home, held
from differential.stage import A, Case, Per, Stage, Step
from differential.steps import begin, talk, told
from differential.table.rates import OURS, unknown
from rig.client import Dialogue
from rig.entries import sensor, service

FIVE = "192.168.1.5"
HOLD = "server_args = do=hold"
HI = "server_args = do=word=hi"
ASK_RDP = bytes.fromhex("03000013 0ee00000000000 0100080003000000")  # MS-RDPBCGR section 4.1.1


def hears(port: int, ask: bytes, wanted: bytes) -> Step:
    """Whether a client that sends *ask*, and keeps its side open, hears *wanted* first."""

    def step(stage: Stage) -> bool:
        with Dialogue(stage.lab, FIVE, port, A) as dialogue:
            try:
                if ask:
                    dialogue.send(ask)
                return dialogue.receive(len(wanted)) == wanted
            except (ConnectionError, AssertionError):
                return False

    return step


def outlives(name: str, port: int) -> Step:
    """Whether the session *name* goes on after its client has touched the sensor at *port*, for a second at least."""

    def step(stage: Stage) -> bool:
        talk(port, host=FIVE)(stage)
        session = stage.dialogues[name]._socket
        return not select.select([session], [], [], 1.0)[0]

    return step


def decoy(name: str, ask: bytes, wanted: bytes) -> Case:
    """The client of a sensor hears what a client of the service hears."""
    return Case(
        id=f"decoy: {name}",
        config=sensor("trap", 7002, f"decoy = {name}", "deny_time = NEVER"),
        steps=(hears(7002, ask, wanted),),
        departure=OURS,
        expect=(Per(False, True),),
    )


CASES = (
    decoy("ftp", b"", b"220 "),
    decoy("ssh", b"", b"SSH-2.0-"),
    decoy("telnet", b"", b"\xff"),
    decoy("smtp", b"", b"220 "),
    decoy("pop3", b"", b"+OK"),
    decoy("imap", b"", b"* OK"),
    decoy("http", b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 200"),
    decoy("redis", b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
    decoy("mysql", b"", b"\x4a\x00\x00\x00\x0a8.0."),
    decoy("vnc", b"", b"RFB 003."),
    decoy("rdp", ASK_RDP, b"\x03\x00"),
    Case(
        id="ports: one service at several",
        config=service("p", 7001, HI, "ports = 7001 7003-7004", without=("port",)).replace("\tport = 7001\n", ""),
        steps=(talk(7001), talk(7004), talk(7002)),
        departure=OURS,
        expect=(Per("refused", "hi\n"), Per("refused", "hi\n"), "refused"),
    ),
    Case(
        id="proxy_protocol: the announced source is judged",
        config=service("p", 7001, HI, f"proxy_protocol = {A}", f"only_from = {A} 198.51.100.7"),
        steps=(
            talk(7001, b"PROXY TCP4 198.51.100.7 192.168.1.6 5000 7001\r\n"),
            talk(7001, b"PROXY TCP4 198.51.100.8 192.168.1.6 5000 7001\r\n"),
        ),
        departure=OURS,
        expect=("hi\n", Per("hi\n", "closed")),
    ),
    Case(
        id="ports_except: a touch of it bans nobody",
        config=sensor("trap", None, "ports = unused", "ports_except = 7003") + service("p", 7001, HI),
        steps=(talk(7003, host=FIVE), talk(7001), talk(7002, host=FIVE), talk(7001)),
        departure=OURS,
        expect=("refused", "hi\n", Per("refused", "closed"), Per("hi\n", "closed")),
    ),
    Case(
        id="addresses: a network that nobody uses",
        config=sensor("trap", None, "ports = 7002", "addresses = 192.168.9.0/24").replace("\tbind = 192.168.1.5\n", "")
        + service("p", 7001, HI),
        steps=(told("bad service attribute: addresses"), at_home("192.168.9.7")),
        departure=OURS,
        expect=(Per(True, False), Per(False, True)),
    ),
    Case(
        id="end_sessions = yes: a ban ends the source's servers",
        config=sensor("trap", 7002) + service("p", 7001, HOLD, "end_sessions = yes"),
        steps=(begin("one", 7001), outlives("one", 7002)),
        departure=OURS,
        expect=(Per(True, False),),
    ),
    unknown("end_sessions", sensor("trap", 7002) + service("p", 7001, "end_sessions = no")),
    Case(
        id="capture: what a client says is told",
        config=sensor("trap", 7002, "capture = 100 1", "deny_time = NEVER"),
        steps=(talk(7002, b"open sesame", host=FIVE), told("it said open sesame")),
        departure=OURS,
        expect=("closed", Per(False, True)),
    ),
    Case(
        id="tarpit: a client is held",
        config=sensor("trap", 7002, "tarpit = 30", "deny_time = NEVER"),
        steps=(held(7002, FIVE),),
        departure=OURS,
        expect=(Per(False, True),),
    ),
    unknown("capture", service("p", 7001) + sensor("trap", 7002, "capture = 100 5")),
    unknown("tarpit", service("p", 7001) + sensor("trap", 7002, "tarpit = 5")),
)
