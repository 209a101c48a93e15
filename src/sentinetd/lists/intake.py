"""A list taken in: what of it is to be ordered, in parts, with everything counted that is not.

Nothing comes in force by accident: what cannot be read, is too wide, too long or too much is left out and told with its
line. The guard has the last word on the rest (exempt and own addresses); `refused` takes that back to the lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sentinetd.lists.entry import Fault, Item
from sentinetd.lists.readers import Reader
from sentinetd.lists.text import Chunks
from sentinetd.model.address import BITS, Network
from sentinetd.model.noun import dataclass, field
from sentinetd.model.order import LONGEST_NOTE, Refusal, WantedBan

BATCH = 500
"""Bans of one part."""
FAULTS_TOLD = 100
"""Faults that are kept to be told; further ones are only counted."""
REMEMBERED_MOST = 200_000
"""Networks of one list that are remembered, to pass over those that are banned by it already. Beyond it the guard finds
the same, with more work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may come in. *span*: seconds for entries that do not say (None: those are left out), *longest* for any;
    *note* for those without one; *most* networks of one list; *widest_v4*, *widest_v6*: shortest prefixes."""

    span: float | None = 86_400.0
    longest: float = math.inf
    note: str = ""
    most: int = 1_000_000
    widest_v4: int = 8
    widest_v6: int = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """*bans* to be ordered at once, and the *lines* they come from."""

    bans: tuple[WantedBan, ...]
    lines: tuple[int, ...]


@dataclass(slots=True)
class Tally:
    """What became of a list. *entries*: networks that it names; *asked*: those that are to be ordered; *covered*: named
    before, alone or in a wider one, for as long; *over*: their time has come already; *wide*: too wide a network;
    *endless*: no span, and none is set; *faulty*: lines of no use; *beyond*: more than may come; *declined*: by the
    guard."""

    entries: int = 0
    asked: int = 0
    covered: int = 0
    over: int = 0
    wide: int = 0
    endless: int = 0
    faulty: int = 0
    beyond: int = 0
    declined: int = 0
    faults: list[Fault] = field(default_factory=list)

    def told(self) -> str:
        """All of it in a sentence."""
        counts = {
            "named twice": self.covered, "over": self.over, "too wide": self.wide, "without a span": self.endless,
            "of no use": self.faulty, "too many": self.beyond, "declined": self.declined,
        }  # fmt: skip
        left_out = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        done = self.asked - self.declined
        return f"{done} of {self.entries} networks taken" + (f"; {left_out}" if left_out else "")


class Intake:
    """Reads one list by *reader* within *limits*."""

    def __init__(self, reader: Reader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self._widest = {4: limits.widest_v4, 6: limits.widest_v6}
        self._seen: dict[tuple[int, int], dict[int, float]] = {}  # (version, length) -> prefix -> span
        self._seen_count = 0
        self.tally = Tally()

    def batches(self, chunks: Chunks, now: float) -> Iterator[Batch]:
        """What is to be ordered of the list in *chunks*, read at Unix time *now*."""
        bans: list[WantedBan] = []
        lines: list[int] = []
        for item in self._reader(chunks, now):
            wanted = self._wanted(item)
            if wanted is None:
                continue
            bans.append(wanted)
            lines.append(item.line)
            if len(bans) == BATCH:
                yield Batch(tuple(bans), tuple(lines))
                bans, lines = [], []
        if bans:
            yield Batch(tuple(bans), tuple(lines))

    def refused(self, batch: Batch, done: int, refusals: Sequence[Refusal]) -> None:
        """The guard did *done* of *batch*, and declined others, of which it named *refusals*."""
        self.tally.declined += len(batch.bans) - done
        line_of = dict(zip((one.network for one in batch.bans), batch.lines, strict=True))
        for one in refusals:
            self._tell(Fault(line_of.get(one.network, 0), f"{one.network}: {one.why}"))

    def _wanted(self, item: Item) -> WantedBan | None:
        """What *item* asks for; None if it is left out."""
        tally, limits = self.tally, self._limits
        if isinstance(item, Fault):
            tally.faulty += 1
            self._tell(item)
            return None
        tally.entries += 1
        span = limits.span if item.span is None else item.span
        if item.network.length < self._widest[item.network.version]:
            tally.wide += 1
            bits = self._widest[item.network.version]
            self._tell(Fault(item.line, f"{item.network} is wider than /{bits}"))
        elif span is None or math.isnan(span):
            tally.endless += 1
            self._tell(Fault(item.line, f"{item.network}: for how long? The list does not say"))
        elif span <= 0:
            tally.over += 1
        elif self._covered(item.network, span := min(span, limits.longest)):
            tally.covered += 1
        elif tally.asked >= limits.most:
            tally.beyond += 1
            if tally.beyond == 1:
                self._tell(Fault(item.line, f"{item.network} and what follows: more than {limits.most} networks"))
        else:
            tally.asked += 1
            self._remember(item.network, span)
            return WantedBan(item.network, span, (item.note or limits.note)[:LONGEST_NOTE])
        return None

    def _covered(self, network: Network, span: float) -> bool:
        for (version, length), prefixes in self._seen.items():
            if version == network.version and length <= network.length:
                known = prefixes.get(network.value >> BITS[version] - length)
                if known is not None and known >= span:
                    return True
        return False

    def _remember(self, network: Network, span: float) -> None:
        if self._seen_count < REMEMBERED_MOST:
            prefixes = self._seen.setdefault((network.version, network.length), {})
            self._seen_count += 1
            prefixes[network.value >> BITS[network.version] - network.length] = span

    def _tell(self, fault: Fault) -> None:
        if len(self.tally.faults) < FAULTS_TOLD:
            self.tally.faults.append(fault)
