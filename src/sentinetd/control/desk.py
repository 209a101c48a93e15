"""What the control API asks of the rest: the guard's state, its obedience, the store. The wiring provides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.kept import BanPage, BanQuery, KeptExemption, PastBan
from sentinetd.model.noun import dataclass
from sentinetd.model.order import Order, Refusal
from sentinetd.model.state import (
    DaemonState,
    Explanation,
    ServerState,
    ServiceState,
    ServiceTally,
    Standing,
    Tally,
)


class NoAnswer(EdgeError):
    """The guard or the store did not answer in time, or cannot."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What holds for an address, at each service."""

    standing: Standing
    services: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """What the guard has counted, in all and by service."""

    tally: Tally
    services: tuple[ServiceTally, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order: whether anything was done, a sentence, how many networks, and which were refused."""

    ok: bool
    text: str
    done: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class SinkState:
    """One sink of alerts. *failing*: what is wrong, empty for nothing."""

    name: str
    type: str
    waiting: int
    delivered: int
    dropped: int
    failing: str


class Desk(Protocol):
    """Every call raises `NoAnswer` when there is none."""

    async def status(self) -> DaemonState: ...

    async def services(self) -> Sequence[ServiceState]: ...

    async def servers(self) -> Sequence[ServerState]: ...

    async def explain(self, address: str) -> Explained: ...

    async def tally(self) -> Counted: ...

    async def bans(self, query: BanQuery) -> BanPage: ...

    async def exemptions(self, at: float) -> Sequence[KeptExemption]: ...

    async def past(self, query: BanQuery) -> Sequence[PastBan]: ...

    async def forget(self, before: float, network: Network | None) -> int:
        """Forget the bans that ended before Unix time *before*, of *network* alone if that is given; how many rows."""

    @property
    def sinks(self) -> Callable[[], Sequence[SinkState]]:
        """How the sinks of alerts do."""

    async def order(self, order: Order, who: str) -> Outcome: ...
