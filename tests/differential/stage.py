"""A case and its stage: what a row of the table is made of, and how it is played against one daemon."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rig.client import Dialogue
from rig.daemon import STAMP, Daemon, Kind
from rig.network import Lab

SIX = "192.168.1.6"
A, B, C = "192.168.1.20", "192.168.1.21", "192.168.1.22"
A6, B6 = "fd00::20", "fd00::21"

SAME: Any = object()
"""Expected: whatever it is, both daemons show the same."""


@dataclass(frozen=True, slots=True)
class Per:
    """A value that depends on the daemon."""

    xinetd: Any
    sentinetd: Any


@dataclass(slots=True)
class Stage:
    """One daemon, a lab, and what a script keeps between its steps."""

    daemon: Daemon
    lab: Lab
    case: Case
    probe: Path
    dialogues: dict[str, Dialogue] = field(default_factory=dict)
    syslog: socket.socket | None = None

    @property
    def kind(self) -> Kind:
        return self.daemon.kind

    def of(self, value: Any) -> Any:
        """*value*, or the side of it that is meant for this daemon."""
        return getattr(value, self.kind.value) if isinstance(value, Per) else value

    def fill(self, text: str) -> str:
        """*text* with its placeholders filled in."""
        filled = text.replace("@WORK@", str(self.daemon.work.path)).replace("@PROBE@", str(self.probe))
        return filled.replace("@ELSEWHEN@", elsewhen()).replace("@OVERNIGHT@", overnight())

    def plain(self, text: str) -> str:
        """*text* without what differs from run to run."""
        return text.replace(str(self.daemon.work.path), "@WORK@").replace(str(self.probe), "@PROBE@")


def elsewhen() -> str:
    """An interval of the day that does not hold the present minute, nor the next few."""
    return "01:00-11:00" if time.gmtime().tm_hour >= 12 else "13:00-23:00"


def overnight() -> str:
    """An interval that passes midnight and holds the present minute and the next few."""
    return "10:00-09:00" if time.gmtime().tm_hour >= 12 else "15:00-14:00"


Step = Callable[[Stage], Any]
"""One act of a script; what it returns is compared, None is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row. *expect* holds one value for each step that returns something, or is `SAME`.

    Where the daemons differ on purpose, *departure* names the row of `departures` and a `Per` stands in *expect* at
    each place of difference. With *syslog*, what is sent to syslog(3) can be read. *files* are written beside the
    configuration; those below ``etc/`` are what the daemon sees below /etc.
    """

    id: str
    config: str
    steps: tuple[Step, ...]
    expect: Any
    departure: str = ""
    options: tuple[str, ...] = ()
    syslog: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    starts: bool = True

    @property
    def differs(self) -> bool:
        """Whether a difference is expected."""
        return isinstance(self.expect, (list, tuple)) and any(isinstance(one, Per) for one in self.expect)

    def expected(self, kind: Kind) -> list[Any]:
        """What *kind* is to show."""
        return [getattr(one, kind.value) if isinstance(one, Per) else one for one in self.expect]


def play(stage: Stage) -> list[Any]:
    """Play the case's script; what its steps saw."""
    for name, text in stage.case.files.items():
        stage.daemon.work.write(name, stage.fill(text)).chmod(0o755)
    if stage.case.syslog:
        stage.syslog = stage.daemon.work.listen_to_syslog()
        stage.syslog.settimeout(5)
    if stage.case.starts:
        stage.daemon.start(*(stage.fill(option) for option in stage.case.options))
    try:
        return [seen for step in stage.case.steps if (seen := step(stage)) is not None]
    finally:
        for dialogue in stage.dialogues.values():
            dialogue.close()
        if stage.syslog is not None:
            stage.syslog.close()


_LINE = re.compile(rf"{STAMP}: (.*)")


def normal(line: str) -> str:
    """A line of the service log without time, process id and seconds; a line of another form stands out."""
    match = _LINE.fullmatch(line)
    if match is None:
        return f"MALFORMED {line}"
    text = re.sub(r" pid=[1-9]\d*", " pid=N", match[1])
    return re.sub(r" duration=\d+\(sec\)", " duration=N(sec)", text)
