"""What a line of a log, or a port of a scan, says in the end: somebody came to something at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sentinetd.cli.plan.ground import Port
from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass, field

SHOWN = 10
"""Lines that could not be read of which the number and the reason are kept."""


@dataclass(frozen=True, slots=True)
class Record:
    """*source* came at Unix time *at*. *name* is what the log calls the service: an id, a jail; empty where it says
    none. *port* and *address* are what was reached, where that is known. *served*: a server was started, or so.
    *minutes*: the log tells a ban of so many and not whose sensor it was.
    """

    at: float
    source: Address
    name: str = ""
    port: Port | None = None
    address: Address | None = None
    served: bool = False
    minutes: int | None = None


@dataclass(slots=True)
class Reading:
    """How much of the input was understood. *idle* lines are right and of no concern; *unread* is how many are wrong,
    *examples* the first of them: line and reason."""

    lines: int = 0
    idle: int = 0
    unread: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def wrong(self, line: int, why: str) -> None:
        """Count a line that cannot be read."""
        self.unread += 1
        if len(self.examples) < SHOWN:
            self.examples.append((line, why))


class Reader(Protocol):
    """Something that gives records, and tells afterwards how it went."""

    reading: Reading

    def records(self) -> Iterator[Record]:
        """All of them, in the order of the input."""
