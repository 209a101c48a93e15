"""The few Protocols that the edges satisfy: all that the author of a format, a sink or a keeper of bans has to read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from sentinetd.errors import EdgeError
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.ban import Ban
from sentinetd.model.events import Event, Level
from sentinetd.model.guarded import GuardedPort
from sentinetd.model.noun import dataclass
from sentinetd.model.observer import Observer
from sentinetd.model.settings import CourierSettings, Mistake
from sentinetd.model.trip_run import TripTable


class Format(Protocol):
    """How an event that *observer* saw looks: a pure function to one line of text without its end (or one document, in
    the formats that say so), or None where it is not told."""

    def __call__(self, event: Event, observer: Observer) -> str | None: ...


class Sink(Protocol):
    """Where finished messages go, in the order of `put`."""

    def put(self, at: float, level: Level, text: str) -> None:
        """Take a message (printable, without line end) of Unix time *at*; it is written by the next `flush`."""

    def put_all(self, at: float, level: Level, texts: Sequence[str]) -> None:
        """`put` each of *texts*."""

    def flush(self) -> Sequence[str]:
        """Write what was put, without waiting for longer than a disk does. Gives what went wrong or right again, as
        messages for the daemon's log, each trouble once; it never raises for a failing world."""

    @property
    def waiting(self) -> int:
        """How much of what was flushed its reader has no room for yet; `flush` tries it again. 0: nothing."""

    def fileno(self) -> int | None:
        """The descriptor to watch for writing while something waits; None: there is none, try later."""

    def close(self) -> Sequence[str]:
        """Let go of the file or socket. Gives what is left to tell, such as how many messages were lost."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event as a sink of alerts is given it: *text* is one line (or one document) in the sink's format. Addresses in
    *event* and *text* are as the sink is to see them."""

    event: Event
    level: Level
    text: str


class AlertSink(Protocol):
    """Where alerts go. One task calls it, one call at a time; a call that lasts too long is cancelled."""

    most: int
    """Messages that one delivery may have."""

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Bring *messages*, of which there is at least one, to where they belong. EdgeError if that failed for now: the
        same come again, later. `Rejected` if they will never be taken: they are counted as lost."""

    async def close(self) -> None:
        """Let go of connections and files. Waits for nothing long, never raises for a failing world."""


class Rejected(EdgeError):
    """The other end works, and does not want these messages."""


class Listener(Protocol):
    """Who hears in the courier of everything that happens: sinks of alerts, metrics, feeds, streams of events."""

    @property
    def routine(self) -> frozenset[str]:
        """Of the kinds in `events.ROUTINE` and `events.ON_REQUEST`, those it wants to be told of now. It may miss what
        no service's log wants until the guard has heard of the wish; what it did not wish for may come all the same."""

    def tell(self, *events: Event) -> None:
        """Take *events* in their order, whose bans are committed; in a flood they are many at once. Never waits, never
        raises for a failing world."""

    def tell_trips(self, trips: TripTable) -> None:
        """Take ``trips.events()``, as `tell` would: most of what happens in a flood, and who counts or keeps them need
        not have an object for each."""

    async def close(self) -> None:
        """Let go of everything, after a last bounded attempt to deliver what waits."""


class Instructable(Listener, Protocol):
    """A listener that does what tables of ``sentinetd.toml`` say."""

    async def prepare(self, settings: CourierSettings, files: Mapping[int, int]) -> Sequence[Mistake]:
        """Get ready for *settings*, beside those in force, without the network and without a long wait; what keeps
        them from being put in force. *files* are descriptors of the files that they number, lent for the time of the
        call: dup(2) those to keep. What was prepared before and is not in force is let go of."""

    def enact(self) -> None:
        """From now on do what was prepared last."""

    def replace_file(self, number: int, descriptor: int) -> None:
        """File *number* of the settings in force, maybe another listener's, is *descriptor* now, lent likewise."""


class BanFollower(Protocol):
    """Keeps bans outside memory. Both calls are safe to repeat. Times are Unix time; EdgeError when it cannot."""

    async def replace(self, bans: Collection[Ban]) -> None:
        """From now on exactly *bans* are in force."""

    async def apply(self, imposed: Collection[Ban], lifted: Collection[Network]) -> None:
        """*imposed* are in force (a later end replaces an earlier one), *lifted* no longer."""


class Enforcer(Protocol):
    """Has banned sources refused before they reach a server: in the kernel, or by a program. It lives in the guard,
    which waits for nobody: whatever takes long comes in steps. Times are seconds of CLOCK_BOOTTIME, `math.inf` for
    ever.

    After `open`, `exempt`, `guard` and `replace` it holds the whole truth; an EdgeError means: begin with `open` again.
    """

    name: str

    @property
    def wants_write(self) -> bool:
        """Whether something waits until `fileno` is writable, where `flush` is to be called; until then no further step
        of `replace` is to be made."""

    def fileno(self) -> int:
        """What to wait at until it is readable, and ask `trouble` then; -1 if nothing is."""

    def flush(self) -> None:
        """Send what waits, as much as there is room for."""

    def open(self) -> None:
        """Make ready what keeps the bans. What was refused before is refused until `replace` is done."""

    def trouble(self) -> str:
        """What happened to the bans behind our back since the last call, in words; empty if nothing did."""

    def exempt(self, sources: AddressSet) -> None:
        """*sources* are not refused whatever bans there are, in place of those named before."""

    def guard(self, ports: Collection[GuardedPort]) -> None:
        """*ports* are ours, in place of those named before."""

    def replace(self, bans: Iterable[tuple[Network, float]]) -> Iterator[None]:
        """From the end of the iterator on exactly *bans*, (network, until) each, are in force; the old ones until then.
        Each step takes some milliseconds at most."""

    def apply(self, imposed: Mapping[Network, float], lifted: Collection[Network], ended: Collection[Network]) -> None:
        """*imposed* are in force until their ends, earlier or later than before; *lifted* no longer; *ended* have come
        to their ends. Safe to repeat."""

    def close(self) -> None:
        """Let go. Whether anything stays in force is the settings' to say."""
