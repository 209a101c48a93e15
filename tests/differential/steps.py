"""The acts that scripts are made of. Each makes a step: it is called with the stage, and gives what was seen."""

from __future__ import annotations

import re
import signal
from contextlib import suppress
from typing import Any

from differential.stage import SIX, A, Per, Stage, Step, normal
from rig.client import Dialogue, Post, converse
from rig.deadline import wait_for
from rig.probe import world as read_world


def talk(port: int, data: bytes = b"", host: str = SIX, source: str = A) -> Step:
    """A whole conversation: what came back, or ``refused``, ``closed``, ``silence``."""
    return lambda stage: converse(stage.lab, host, port, source, data)


def meet(port: int, host: str = SIX, source: str = A) -> Step:
    """Whether *port* serves *source*: ``served`` or the word for what happened instead."""

    def step(stage: Stage) -> str:
        seen = converse(stage.lab, host, port, source)
        return seen if seen in ("refused", "closed", "silence") else "served"

    return step


def burst(count: int, port: int, host: str = SIX, source: str = A) -> Step:
    """So many connections as fast as may be: whether all are served."""

    def step(stage: Stage) -> str:
        dialogues: list[Dialogue] = []
        # A listener that closes for cps resets what it had not accepted: to the client that is as good as a refusal.
        with suppress(ConnectionRefusedError, ConnectionResetError):
            for _ in range(count):
                dialogues.append(Dialogue(stage.lab, host, port, source))
        served = 0
        for dialogue in dialogues:
            with dialogue:
                served += bool(dialogue.rest())
        return "all served" if served == count else "not all"

    return step


def attempt() -> Step:
    """Start the daemon: ``started``, or the status with which it ended instead."""

    def step(stage: Stage) -> str | int:
        stage.daemon.launch()
        wait_for(lambda: stage.daemon.find("Started working") or stage.daemon.ended, stage.daemon.story, 20.0)
        return stage.daemon.exit_status() if stage.daemon.ended else "started"

    return step


def often(count: int, step: Step) -> Step:
    """*step* so many times."""
    return lambda stage: [step(stage) for _ in range(count)]


def at_last(step: Step, wanted: Any, within: float = 10.0) -> Step:
    """*step* again and again until it gives *wanted*."""

    def look(stage: Stage) -> Any:
        seen: list[Any] = []
        wait_for(
            lambda: seen.append(step(stage)) or seen[-1] == wanted,  # type: ignore[func-returns-value]
            lambda: f"{wanted!r}, last {seen[-1]!r}: {stage.daemon.story()}",
            within,
            pause=0.1,  # so that the looking itself trips no limit
        )
        return wanted

    return look


def world(port: int, *keys: str, host: str = SIX, source: str = A, within_keys: str = "") -> Step:
    """What the probe at *port* says of *keys*; with *within_keys*, of every key that begins so.

    The client keeps its side open: a socket whose client has said its last before the accept cannot become an IPv4
    socket any more (ipv6(7), IPV6_ADDRFORM), and which is first would be chance.
    """

    def step(stage: Stage) -> Any:
        seen = read_world(stage.plain(converse(stage.lab, host, port, source, finish=False)))
        assert "uid" in seen, f"the probe did not answer: {seen} {stage.daemon.story()}"
        seen.pop("env.PYTHONPATH", None)
        seen.pop("env.PWD", None)  # set by the shell that starts the daemon
        wanted = [*keys, *(key for key in seen if within_keys and key.startswith(within_keys))]
        return {key: seen.get(key, "-") for key in wanted}

    return step


def post(port: int, data: bytes = b"x", host: str = SIX, source: str = A, tries: int = 10) -> Step:
    """Send a datagram and wait for the answer; send again where none comes, as clients do."""

    def step(stage: Stage) -> str:
        with Post(stage.lab, source) as box:
            for _ in range(tries):
                box.send(data, host, port)
                try:
                    return stage.plain(box.receive(0.5).decode("latin-1"))
                except ConnectionRefusedError:
                    return "refused"
                except TimeoutError:
                    continue
            return "silence"

    return step


def volley(port: int, *sources: str, host: str = SIX) -> Step:
    """One datagram from each of *sources* at the same time; how many are answered."""

    def step(stage: Stage) -> int:
        boxes = [Post(stage.lab, source) for source in sources]
        try:
            for box in boxes:
                box.send(b"x", host, port)
            answers = 0
            for box in boxes:
                try:
                    answers += bool(box.receive(1.0))
                except TimeoutError:
                    continue
            return answers
        finally:
            for box in boxes:
                box.close()

    return step


def world_by_post(port: int, *keys: str, source: str = A, host: str = SIX) -> Step:
    """What a probe that answers datagrams says of *keys*."""

    def step(stage: Stage) -> Any:
        seen = read_world(post(port, source=source, host=host)(stage))
        return {key: seen.get(key, "-") for key in keys}

    return step


def drop_post(port: int, fence: str | Per, data: bytes = b"x", host: str = SIX, source: str = A) -> Step:
    """Send a datagram, wait until a log (the daemon's or the service's) has *fence*: whether it was answered."""

    def step(stage: Stage) -> str:
        part = stage.of(fence)
        before = len(_all_lines(stage, part))
        with Post(stage.lab, source) as box:
            box.send(data, host, port)
            try:
                wait_for(lambda: len(_all_lines(stage, part)) > before, part, 3.0)
            except AssertionError:
                return "no sign"
            return "answered" if box.waiting() else "dropped"

    return step


def _all_lines(stage: Stage, part: str) -> list[str]:
    lines = [*stage.daemon.service_log(), *(message.text for message in stage.daemon.messages())]
    return [line for line in lines if part in line]


def begin(name: str, port: int, host: str = SIX, source: str = A, ready: bool = True) -> Step:
    """Open a connection that later steps know by *name*; with *ready*, wait for a line of the server."""

    def step(stage: Stage) -> None:
        stage.dialogues[name] = dialogue = Dialogue(stage.lab, host, port, source)
        if ready:
            assert dialogue.receive(6) == b"ready\n", stage.daemon.story()

    return step


def say(name: str, data: bytes = b"ping") -> Step:
    """Whether the connection still echoes."""

    def step(stage: Stage) -> str:
        dialogue = stage.dialogues[name]
        try:
            dialogue.send(data)
            return "echoed" if dialogue.receive(len(data)) == data else "closed"
        except (ConnectionResetError, BrokenPipeError):
            return "closed"

    return step


def end(name: str) -> Step:
    """Hang up."""
    return lambda stage: stage.dialogues.pop(name).close()


def hung_up(name: str) -> Step:
    """Wait until the other side hangs up."""

    def step(stage: Stage) -> str:
        try:
            stage.dialogues[name].rest()
            return "hung up"
        except TimeoutError:
            return "still open"

    return step


def log(lines: int | Per, name: str = "service.log") -> Step:
    """Wait for so many lines of the service log, end the daemon, and give all lines there are, in order of text.

    The order is that of the text because two daemons may write what happens at once in either order.
    """

    def step(stage: Stage) -> list[str]:
        wanted = stage.of(lines)
        with suppress(AssertionError):  # the comparison will show what is missing
            wait_for(lambda: len(stage.daemon.service_log(name)) >= wanted, "lines", 3.0)
        stage.daemon.stop()
        return sorted(stage.plain(normal(line)) for line in stage.daemon.service_log(name))

    return step


def message(part: str | Per, level: bool = True) -> Step:
    """The first message of the daemon's log with *part*, without process ids."""

    def step(stage: Stage) -> str:
        found = stage.daemon.await_message(stage.fill(stage.of(part)), 3.0)
        text = stage.plain(re.sub(r"\b\d+ \{", "N {", found.text))
        return f"{found.level}: {text}" if level else text

    return step


def told(*parts: str) -> Step:
    """Whether one message of the daemon's log comes to hold all *parts*."""

    def step(stage: Stage) -> bool:
        first, *others = (stage.fill(part) for part in parts)
        try:
            wait_for(
                lambda: any(all(other in found.text for other in others) for found in stage.daemon.find(first)), "", 3.0
            )
        except AssertionError:
            return False
        return True

    return step


def syslog(part: str, whole: bool = True) -> Step:
    """The first message to syslog(3) that holds *part*: its priority, who sent it and, if *whole*, its text."""

    def step(stage: Stage) -> str:
        assert stage.syslog is not None
        with suppress(TimeoutError):
            while True:
                text = stage.syslog.recv(8192).decode().rstrip("\n\0")
                if part in text:
                    found = re.fullmatch(r"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\w+)\[\d+\]: (.*)", text)
                    if found is None:
                        return f"MALFORMED {text}"
                    name = found[2].replace(stage.kind.value, "@DAEMON@")
                    head = f"<{found[1]}> {name}[N]"
                    return f"{head}: {re.sub(r'pid=[1-9][0-9]*', 'pid=N', found[3])}" if whole else head
        return "silence"

    return step


def logged(part: str) -> Step:
    """Wait for a line of the service log that holds *part*."""

    def step(stage: Stage) -> None:
        wait_for(lambda: any(part in line for line in stage.daemon.service_log()), stage.daemon.story)

    return step


def lost(step: Step) -> Step:
    """*step*, where it does not matter in which way nothing came back."""
    return lambda stage: "lost" if (seen := step(stage)) in ("refused", "silence") else seen


def messages(part: str) -> Step:
    """How many messages of the daemon's log hold *part* by now."""
    return lambda stage: len(stage.daemon.find(part))


def reload(config: str | None = None, until: str | Per = "Reconfigured: ") -> Step:
    """Change the configuration, send HUP, wait for the message."""

    def step(stage: Stage) -> str:
        text = None if config is None else stage.fill(config)
        return stage.plain(stage.daemon.reload(text, stage.of(until)).text)

    return step


def quietly(step: Step) -> Step:
    """*step*, its outcome not compared."""

    def silent(stage: Stage) -> None:
        step(stage)

    return silent


def write(name: str, text: str) -> Step:
    """Put *text* into a file beside the configuration."""

    def step(stage: Stage) -> None:
        stage.daemon.work.write(name, stage.fill(text))

    return step


def stop(number: signal.Signals = signal.SIGTERM) -> Step:
    """End the daemon by a signal: its exit status."""
    return lambda stage: stage.daemon.stop(number)


def send(number: signal.Signals) -> Step:
    """Send the daemon a signal."""

    def step(stage: Stage) -> None:
        stage.daemon.send(number)

    return step


def status() -> Step:
    """Wait for the daemon's end by itself: its exit status."""
    return lambda stage: stage.daemon.exit_status()


def alive() -> Step:
    """Whether the daemon runs."""
    return lambda stage: not stage.daemon.ended


def restart() -> Step:
    """End the daemon and start it again on the same files."""

    def step(stage: Stage) -> None:
        stage.daemon.stop()
        stage.daemon.start(*(stage.fill(option) for option in stage.case.options))

    return step


def read(name: str) -> Step:
    """The text of a file beside the configuration, ``-`` if there is none."""

    def step(stage: Stage) -> str:
        path = stage.daemon.work.path / name
        return stage.plain(path.read_text()) if path.exists() else "-"

    return step
