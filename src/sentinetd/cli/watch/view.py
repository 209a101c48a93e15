"""What a watcher knows: the latest answers of the daemon, and the last events."""

from __future__ import annotations

from collections import deque
from typing import Any

from sentinetd.cli.watch.words import Line, line
from sentinetd.model.noun import dataclass, field

KEPT = 500
"""Events that are remembered."""


@dataclass(slots=True)
class View:
    """*status*, *series*, *sources* and *sensors* are answers of the API, None until there was one. *away*: why there
    is no daemon to ask, empty while there is. *paused*: the list of events stands still."""

    status: dict[str, Any] | None = None
    series: dict[str, Any] | None = None
    sources: list[dict[str, Any]] = field(default_factory=list)
    sensors: list[dict[str, Any]] = field(default_factory=list)
    away: str = ""
    paused: bool = False
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT))
    held: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT))

    def tell(self, event: dict[str, Any]) -> None:
        """An event came."""
        (self.held if self.paused else self.lines).append(line(event))

    def pause(self) -> None:
        """Let the list stand still, or go on with what came meanwhile."""
        self.paused = not self.paused
        if not self.paused:
            self.lines.extend(self.held)
            self.held.clear()
