"""Further acts: what is said byte by byte, by clients that are slow, odd or known to an identification server."""

from __future__ import annotations

import re
import select
import shlex
import socket
import struct
import subprocess
import time
from typing import Any

from differential.stage import SIX, A, Stage, Step
from differential.steps import post, talk
from rig.client import PATIENCE, Dialogue, Post, converse, family_of
from rig.daemon import children_of, command_line
from rig.deadline import wait_for
from rig.ident import IdentServer
from rig.rpc import Rpcbind, ask

EPOCH_1900 = 2_208_988_800  # RFC 868


def hear(port: int, data: bytes = b"", host: str = SIX, source: str = A) -> Step:
    """A conversation of a client that keeps its own side open: what came until the other side hung up."""

    def step(stage: Stage) -> str:
        try:
            with Dialogue(stage.lab, host, port, source) as dialogue:
                if data:
                    dialogue.send(data)
                return stage.plain(dialogue.rest().decode("latin-1")) or "closed"
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silence"

    return step


def reached(port: int, host: str = SIX, source: str = A) -> Step:
    """Whether *port* serves a client that keeps its own side open: ``served`` or the word for what happened instead."""

    def step(stage: Stage) -> str:
        seen = hear(port, b"", host, source)(stage)
        return seen if seen in ("refused", "closed", "silence") else "served"

    return step


def pieces(
    port: int, *parts: bytes, host: str = SIX, source: str = A, apart: float = 1.0, finish: bool = False
) -> Step:
    """A client that sends *parts* one by one: the next when something came on the one before, or nothing for *apart*
    seconds, and none if the other side hung up.

    With *finish* it says at the end that it has said everything.
    """

    def step(stage: Stage) -> str:
        with Dialogue(stage.lab, host, port, source) as dialogue:
            for part in parts:
                dialogue.send(part)
                if part is not parts[-1] and _ended(dialogue, apart):
                    break
            if finish:
                dialogue.finish()
            return dialogue.rest().decode("latin-1") or "closed"

    return step


def _ended(dialogue: Dialogue, within: float) -> bool:
    sock = dialogue._socket
    return bool(select.select([sock], [], [], within)[0]) and not sock.recv(1, socket.MSG_PEEK)


def returned(port: int, size: int, host: str = SIX, source: str = A) -> Step:
    """Send *size* bytes while reading: whether exactly those came back before the other side hung up."""

    def step(stage: Stage) -> str:
        with Dialogue(stage.lab, host, port, source) as dialogue:
            sock, left, came = dialogue._socket, memoryview(pattern(size)), bytearray()
            sock.settimeout(PATIENCE)
            while len(came) < size:
                readable, writable, _ = select.select([sock], [sock] if left else [], [], PATIENCE)
                if writable:
                    left = left[sock.send(left[:65536]) :]
                if readable:
                    if not (piece := sock.recv(65536)):
                        break
                    came += piece
                if not (readable or writable):
                    return f"silence after {len(came)} bytes"
            return "all of it" if bytes(came) == pattern(size) else f"{len(came)} bytes"

    return step


def pattern(size: int) -> bytes:
    """So many bytes in which no part repeats soon."""
    return b"".join(struct.pack("!I", number) for number in range(size // 4 + 1))[:size]


def first(count: int, port: int, host: str = SIX, source: str = A) -> Step:
    """The first *count* bytes that the service says."""

    def step(stage: Stage) -> str:
        with Dialogue(stage.lab, host, port, source) as dialogue:
            return dialogue.receive(count).decode("latin-1")

    return step


def lines_of(step: Step) -> Step:
    """The lines that *step* saw."""
    return lambda stage: step(stage).split("\r\n")


def daytime(step: Step) -> Step:
    """*step*, which is to give the present time as text: ``now``, or what it gave instead."""

    def told(stage: Stage) -> str:
        text = step(stage)
        match = re.fullmatch(r"(\d\d) ([A-Z]{3}) (\d{4}) (\d\d:\d\d:\d\d) UTC\r\n", text)
        if match is None:
            return repr(text)
        said = time.strptime(" ".join(match.groups()), "%d %b %Y %H:%M:%S")
        return _near(time.mktime(said) - time.timezone, text)

    return told


def seconds(step: Step) -> Step:
    """*step*, which is to give the present time as RFC 868 has it: ``now``, or what it gave instead."""

    def told(stage: Stage) -> str:
        data = step(stage).encode("latin-1")
        return _near(struct.unpack("!I", data)[0] - EPOCH_1900, repr(data)) if len(data) == 4 else repr(data)

    return told


def _near(said: float, text: str) -> str:
    return "now" if abs(said - time.time()) < 10 else f"another time: {text}"


def answer_from(port: int, own_port: int, data: bytes = b"x", source: str = A, host: str = SIX, tries: int = 5) -> Step:
    """Send datagrams from the port *own_port*: whether one of them is answered (xinetd may lose some)."""

    def step(stage: Stage) -> str:
        with stage.lab.namespace_of(source).socket(family_of(source), socket.SOCK_DGRAM) as odd:
            odd.bind((source, own_port))
            odd.settimeout(0.05)
            for _ in range(tries):
                odd.sendto(data, (host, port))
                try:
                    return "answered" if odd.recvfrom(65536) else "-"
                except TimeoutError:
                    continue
            return "left alone" if post(port, data, host, source)(stage) else "silence"

    return step


def answers(count: int, port: int, data: bytes = b"x", source: str = A, host: str = SIX) -> Step:
    """So many datagrams of one source, each after the answer to the one before: whether all are answered.

    One that is lost (xinetd throws away what comes while it answers) is sent again a few times, in quick succession.
    """

    def step(stage: Stage) -> str:
        with Post(stage.lab, source) as box:
            return "all" if all(_answered(box, data, host, port) for _ in range(count)) else "not all"

    return step


def _answered(box: Post, data: bytes, host: str, port: int, tries: int = 5) -> bool:
    for _ in range(tries):
        box.send(data, host, port)
        try:
            return bool(box.receive(0.04))
        except TimeoutError:
            continue
    return False


def unanswered(port: int, data: bytes = b"x", source: str = A, host: str = SIX) -> Step:
    """Send a datagram to a service that is to keep silent: what came within a second."""

    def step(stage: Stage) -> str:
        with Post(stage.lab, source) as box:
            box.send(data, host, port)
            try:
                return repr(box.receive(1.0))
            except TimeoutError:
                return "silence"

    return step


def size_of(step: Step) -> Step:
    """How many bytes *step* saw, and its last two."""
    return lambda stage: (len(seen := step(stage)), seen[-2:])


def more_processes(count: int, port: int, data: bytes = b"x") -> Step:
    """Hold *count* connections that have been served: how many more processes the daemon has than before them."""

    def step(stage: Stage) -> int:
        with Dialogue(stage.lab, SIX, port, A) as warm:  # whoever is started for the first one is started now
            warm.send(data)
            warm.receive(len(data))
        wait_for(lambda: stage.daemon.service_log() and "EXIT" in stage.daemon.service_log()[-1], stage.daemon.story)
        before = len(children_of(stage.daemon.pid))
        held = [Dialogue(stage.lab, SIX, port, A) for _ in range(count)]
        try:
            for dialogue in held:
                dialogue.send(data)
                dialogue.receive(len(data))
            return len(children_of(stage.daemon.pid)) - before
        finally:
            for dialogue in held:
                dialogue.close()

    return step


def identified(*steps: Step, client: int = 20, hangs_up: bool = False, lie: str = "") -> Step:
    """*steps* while an identification server runs on a client's host: what they saw, and how often it was asked.

    *lie*: what it says instead of the truth, ``@`` standing for the two ports of the question.
    """

    def step(stage: Stage) -> Any:
        kind = Liar if lie else IdentServer
        with kind(stage.lab.clients[client], hangs_up=hangs_up) as server:
            if isinstance(server, Liar):
                server.lie = lie
            seen = [one(stage) for one in steps]
            return [*seen, len(server.asked)]

    return step


class Liar(IdentServer):
    """Says *lie*, whatever it asks."""

    lie = ""

    def _serve(self, client: socket.socket) -> None:
        with client:
            question = client.makefile("rb").readline().decode().strip()
            self.asked.append(question)
            client.sendall(self.lie.replace("@", question).encode("latin-1"))


def asked_at_once(count: int, port: int, host: str = SIX) -> Step:
    """So many refused connections of A, whose identification server thinks: about how many it was asked."""

    def step(stage: Stage) -> int:
        with IdentServer(stage.lab.clients[20]) as server:
            server.answer.clear()
            held = [Dialogue(stage.lab, host, port, A) for _ in range(count)]
            try:
                wait_for(lambda: len(server.asked) + sum(_ended(one, 0) for one in held) >= count, stage.daemon.story)
                return len(server.asked)
            finally:
                for dialogue in held:
                    dialogue.close()

    return step


def tables(allow: str = "", deny: str = "") -> Step:
    """Put these rules into hosts.allow and hosts.deny, as the running daemon sees them."""

    def step(stage: Stage) -> None:
        for name, text in (("hosts.allow", allow), ("hosts.deny", deny)):
            (stage.lab.host.etc / name).write_text(stage.fill(text))

    return step


def exists(name: str, within: float = 1.0) -> Step:
    """Whether a file beside the configuration comes to be."""

    def step(stage: Stage) -> bool:
        try:
            return wait_for((stage.daemon.work.path / name).exists, name, within)
        except AssertionError:
            return False

    return step


def slow_reader(port: int, host: str = SIX, source: str = A) -> Step:
    """Connect and read nothing; meanwhile another client is served: how."""

    def step(stage: Stage) -> str:
        with Dialogue(stage.lab, host, port, source):
            return converse(stage.lab, host, 7002, source)

    return step


def rpc(asked: tuple[int, int, str], versions: int = 1) -> Step:
    """Start rpcbind and the daemon, ask for a program's version, end the daemon.

    What is registered once *versions* are, what the client was told, what is registered at the end.
    """

    def step(stage: Stage) -> list[Any]:
        rpcbind = Rpcbind(stage.daemon)
        try:
            stage.daemon.start()
            program, version, netid = asked
            wait_for(lambda: len(rpcbind.keys()) == versions, stage.daemon.story)
            registered = rpcbind.keys()
            said = ask(stage.daemon, SIX, netid, program, version).stdout.decode()
            stage.daemon.stop()
            return [registered, said, rpcbind.keys()]
        finally:
            rpcbind.end()

    return step


def pinged(name: str, within: float = 5.0) -> Step:
    """Send an ICMP echo request, and whether the file *name* comes to be."""

    def step(stage: Stage) -> bool:
        with (
            stage.lab.namespace_of(A).entered(),
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock,
        ):
            sock.sendto(b"\x08\0\xf7\xff\0\0\0\0", (SIX, 0))
        return bool(exists(name, within)(stage))

    return step


def debugged(port: int) -> Step:
    """Start the daemon with -d on a terminal: whether it speaks there, what the port serves, what its file holds."""

    def step(stage: Stage) -> list[str]:
        daemon, screen = stage.daemon, stage.daemon.work.path / "screen"
        words = shlex.join(daemon.command("-d"))
        daemon.process = subprocess.Popen(
            ["script", "-qfc", words, str(screen)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=daemon.environment(),
        )
        wait_for(lambda: screen.exists() and "Started working" in screen.read_text(), daemon.story)
        served = talk(port)(stage)
        written = daemon.log.exists() and daemon.log.read_text()
        return ["said", served, "something in the file" if written else "nothing in the file"]

    return step


def announced(within: float = 2.0) -> Step:
    """Whether a process of the daemon's comes to be that announces services."""

    def step(stage: Stage) -> bool:
        try:
            return wait_for(
                lambda: any("herald" in command_line(pid) for pid in children_of(stage.daemon.pid)), "a herald", within
            )
        except AssertionError:
            return False

    return step


def at_home(address: str) -> Step:
    """Whether the host takes *address* for one of its own (ip-route(8))."""

    def step(stage: Stage) -> bool:
        words = stage.lab.host.command("ip", "route", "get", address)
        return subprocess.run(words, capture_output=True, check=False).stdout.startswith(b"local ")

    return step


def held(port: int, host: str, seconds: float = 1.0) -> Step:
    """Whether a client of *port* that says nothing is still connected after *seconds*."""

    def step(stage: Stage) -> bool:
        with Dialogue(stage.lab, host, port, A) as dialogue:
            return not _ended(dialogue, seconds)

    return step


def background() -> Step:
    """Start the daemon without -dontfork, with the case's options: whether it goes on or ends."""

    def step(stage: Stage) -> str:
        daemon = stage.daemon
        words = [word for word in daemon.command(*stage.case.options) if word != "-dontfork"]
        subprocess.run(words, env=daemon.environment(), stdin=subprocess.DEVNULL, timeout=20, check=False)
        wait_for(lambda: daemon.find("Started working") or daemon.find("no services"), daemon.story)
        return "started" if daemon.find("Started working") else "ended"

    return step
