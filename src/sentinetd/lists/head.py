"""What a list says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from sentinetd.model.ban import Ban
from sentinetd.model.noun import dataclass
from sentinetd.model.observer import Observer
from sentinetd.report.dates import rfc3339
from sentinetd.report.escape import escape


@dataclass(frozen=True, slots=True)
class Head:
    """A list that *observer* made at Unix time *at*, and that is to be used until *expires*."""

    observer: Observer
    at: float
    expires: float


class Writer(Protocol):
    """The lines, without their ends, that make a list of *bans*. Their times are Unix time, and they come in the order
    of their networks; none of them is over at `head.at`."""

    def __call__(self, bans: Iterable[Ban], head: Head) -> Iterator[str]: ...


def remarks(head: Head, what: str) -> Iterator[str]:
    """Comment lines that open a list."""
    yield f"# {what}, by sentinetd {escape(head.observer.version)} on {escape(head.observer.host)}"
    yield f"# made {rfc3339(head.at)}, to be used until {rfc3339(head.expires)}"


def end(count: int) -> str:
    """The comment line that closes a list: one without it was cut off."""
    return f"# end of {count} entries"
