"""The loop of `sentinetctl watch`: it listens to the daemon and to the keyboard, and draws what changed."""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from sentinetd.cli.exits import DONE
from sentinetd.cli.reach import daemon, daemon_options
from sentinetd.cli.show import make_console, on_terminal
from sentinetd.cli.watch.view import View
from sentinetd.cli.watch.words import line
from sentinetd.control.client import Client, ControlError, Parameters, Subscription, Unreachable
from sentinetd.model.diagnostic import printable

POLL = 2.0
"""Seconds between two looks at the daemon's numbers."""
AGAIN = 1.0
"""Seconds until a daemon that is away is tried again."""
DRAW = 0.15
"""Seconds between two drawings, so that a slow terminal is not flooded."""
STILL = 1.0
"""Seconds after which the screen is drawn again though nothing changed but the time."""
PATIENCE = 3.0
"""Seconds that an answer may take before the daemon counts as away."""


@click.command()
@click.option("--routine", is_flag=True, help="Show also what happens for each connection.")
@click.option("--kinds", default="", metavar="KIND,...", help="Only events whose kind begins so: sensor,ban.imposed")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@daemon_options
def watch(routine: bool, kinds: str, as_json: bool, socket: str | None, config: str) -> int:
    """What the daemon does, as it does it: full screen on a terminal, a line for each event elsewhere.

    Keys: q ends, p pauses, r shows what happens for each connection. A daemon that goes away is waited for.
    """
    with daemon(socket, config) as client:
        client.get("/v1/status")  # whoever may not, or names a wrong socket, is told at once
        if as_json or not on_terminal():
            return _print(client.path, kinds, routine, as_json)
        return Watcher(client.path, kinds, routine).run()


def _print(path: str, kinds: str, routine: bool, as_json: bool) -> int:
    """A line for each event, until whoever reads has had enough."""
    subscription = Client(path).subscribe("/v1/events", {"kinds": kinds, "routine": routine})
    try:
        while True:
            for event in subscription.read():
                click.echo(json.dumps(event) if as_json else _words(event))
            select.select([subscription], [], [])
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush goes there
        return DONE


def _words(event: Mapping[str, Any]) -> str:
    one = line(event)
    return printable(f"{one.clock} {one.label:<6} {one.subject} {one.text}".replace("  ", " ").rstrip())


class Watcher:
    """A screen of its own."""

    def __init__(self, path: str, kinds: str, routine: bool) -> None:
        self._path = path
        self._kinds = kinds
        self._routine = routine
        self._view = View()
        self._client = Client(path, PATIENCE)
        self._subscription: Subscription | None = None
        self._next_look = 0.0
        self._first = True
        self._changed = True

    def run(self) -> int:
        """Watch until q."""
        from rich.console import ConsoleDimensions
        from rich.live import Live

        from sentinetd.cli.watch.screen import screen

        console = make_console()
        with (
            _keys() as keyboard,
            Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False) as live,
        ):
            drawn, size = 0.0, _size()
            while self._turn(keyboard, drawn + DRAW):
                now = time.monotonic()
                stale = self._changed or _size() != size or now - drawn >= STILL
                if stale and now - drawn >= DRAW:
                    drawn, size, self._changed = now, _size(), False
                    console.size = ConsoleDimensions(*size)
                    live.update(screen(self._view, *size, time.time()), refresh=True)
        self._hang_up()
        return DONE

    def _turn(self, keyboard: int, draw_at: float) -> bool:
        """Wait for the daemon, a key, or the time to draw; False: it is enough."""
        now = time.monotonic()
        if now >= self._next_look:
            self._look()
        wait = max(0.0, min(self._next_look, max(draw_at, now + DRAW)) - time.monotonic())
        sources: list[Any] = [keyboard, *([self._subscription] if self._subscription is not None else [])]
        readable, _, _ = select.select(sources, [], [], wait)
        self._changed = self._changed or bool(readable)
        if keyboard in readable and not self._key(os.read(keyboard, 64)):
            return False
        if self._subscription in readable:
            self._hear()
        return True

    def _key(self, keys: bytes) -> bool:
        if not keys or b"q" in keys or b"\x03" in keys:
            return False
        if b"p" in keys:
            self._view.pause()
        if b"r" in keys:
            self._routine = not self._routine
            self._hang_up()
            self._next_look = 0.0
        return True

    def _look(self) -> None:
        """Ask for the numbers; subscribe again if need be."""
        view = self._view
        self._changed = True
        try:
            view.status = self._client.get("/v1/status")
            view.series = self._client.get("/v1/series", {"span": 3600, "step": 60})
            view.sources = self._client.get("/v1/top", {"of": "sources"})["ranked"]
            view.sensors = self._client.get("/v1/top", {"of": "sensors"})["ranked"]
            if self._subscription is None:
                recent = 200 if self._first else 0
                query: Parameters = {"kinds": self._kinds, "routine": self._routine, "recent": recent}
                self._subscription = Client(self._path, PATIENCE).subscribe("/v1/events", query)
                self._first = False
                self._hear()
            view.away = ""
            self._next_look = time.monotonic() + POLL
        except ControlError as error:
            self._away(str(error))

    def _hear(self) -> None:
        """Take the events that have come."""
        assert self._subscription is not None
        try:
            for event in self._subscription.read():
                self._view.tell(event)
        except Unreachable as error:
            self._away(str(error))

    def _away(self, why: str) -> None:
        self._hang_up()
        self._view.away = f"trying again: {why}"
        self._next_look = time.monotonic() + AGAIN

    def _hang_up(self) -> None:
        self._client.close()
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None


def _size() -> tuple[int, int]:
    """Columns and lines of the terminal as it is now, whatever the environment said when we were started."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return max(size.columns, 1), max(size.lines, 1)


@contextmanager
def _keys() -> Iterator[int]:
    """The keyboard, each key at once and unseen; afterwards as it was."""
    keyboard = sys.stdin.fileno()
    if not os.isatty(keyboard):
        raise click.UsageError("standard input is no terminal; give it one, or use --json")
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
