"""A desk that answers from what the test gives it, and an application on it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.applications import Starlette

from sentinetd.control.app import Api, Office
from sentinetd.control.counts import Counts
from sentinetd.control.desk import Counted, Explained, NoAnswer, Outcome, SinkState
from sentinetd.control.history import History
from sentinetd.control.peers import Peer
from sentinetd.control.stream import Stream
from sentinetd.control.troubles import Troubles
from sentinetd.model.address import Network
from sentinetd.model.events import Event
from sentinetd.model.kept import BanPage, BanQuery, KeptBan, KeptExemption, PastBan
from sentinetd.model.order import Order, Refusal
from sentinetd.model.settings import ControlSettings
from sentinetd.model.state import (
    Condition,
    Count,
    DaemonState,
    EnforcerState,
    Explanation,
    Helper,
    Role,
    ServerState,
    ServiceState,
    ServiceTally,
    Spread,
    Standing,
    Tally,
)

AT = 1_790_000_000.0
ROOT = Peer(0, 1, frozenset({0}))
BAN = KeptBan("192.0.2.7", "trap", "sensor", AT - 300, AT - 60, AT + 3000, 3, 1, "", "")


class GivenDesk:
    """Never asks anybody. *silent*: nobody answers. *orders* is what was ordered, and by whom."""

    def __init__(self) -> None:
        self.silent = False
        self.orders: list[tuple[Order, str]] = []
        self.queries: list[BanQuery] = []
        self.refuse: tuple[Refusal, ...] = ()

    def _answering(self) -> None:
        if self.silent:
            raise NoAnswer("the guard said nothing for 5 seconds; see its log")

    async def status(self) -> DaemonState:
        self._answering()
        return DaemonState("1.0", 100, AT - 86_400, "/etc/xinetd.conf", "spawner (C)", (Helper("courier", 102),),
                           (EnforcerState("nftables", True),), 2, 1, 0, 0, 1, 1, 0)  # fmt: skip

    async def services(self) -> Sequence[ServiceState]:
        self._answering()
        return [
            ServiceState(1, "ssh", "ssh", Role.SERVER, Condition.OPEN, "stream", "tcp", "", 22, "", "root", 1, 30, None,
                         50, 10, None, None, 7, 2, 0, "/etc/xinetd.d/ssh", 3),
            ServiceState(2, "trap", "trap", Role.SENSOR, Condition.OPEN, "stream", "tcp", "192.0.2.1", 0, "23 2323",
                         "", 0, None, None, 50, 10, None, 3600.0, 0, 0, 4, "/etc/xinetd.d/trap", 1),
        ]  # fmt: skip

    async def servers(self) -> Sequence[ServerState]:
        self._answering()
        return [ServerState("ssh", 4711, "192.0.2.9", 50_000, AT - 90, False)]

    async def explain(self, address: str) -> Explained:
        self._answering()
        row = Explanation("ssh", 22, False, "address", "no_access", "192.0.2.0/24", "/etc/xinetd.d/ssh", 9, "")
        return Explained(Standing(address, False, "", None), (row,))

    async def tally(self) -> Counted:
        self._answering()
        spread = Spread((0.1, 1.0), (3, 2, 1), 4.5)
        tally = Tally(4, 2, 7, spread, spread, (Count("unwritten", 3),))
        return Counted(
            tally,
            (
                ServiceTally("ssh", Role.SERVER, 1, 7, 0, (Count("address", 1), Count("banned", 1))),
                ServiceTally('od"d\\\nname', Role.SENSOR, 0, 0, 4, ()),
            ),
        )

    async def bans(self, query: BanQuery) -> BanPage:
        self._answering()
        self.queries.append(query)
        return BanPage(1, (BAN,))

    async def exemptions(self, at: float) -> Sequence[KeptExemption]:
        self._answering()
        return [KeptExemption("198.51.100.0/24", AT - 100, None, "uid 0 (root)", "the office")]

    async def past(self, query: BanQuery) -> Sequence[PastBan]:
        self._answering()
        return [PastBan("192.0.2.7", AT - 9000, "lifted", "uid 0 (root)", "trap", "sensor", AT - 9900, None, 1, "", "")]

    async def forget(self, before: float, network: Network | None) -> int:
        self._answering()
        return 3

    async def order(self, order: Order, who: str) -> Outcome:
        self._answering()
        self.orders.append((order, who))
        return Outcome(not self.refuse, "done", 1, self.refuse)

    def sinks(self) -> Sequence[SinkState]:
        return [SinkState("mail", "mail", 2, 10, 1, "refused")]


def office_of(desk: GivenDesk, settings: ControlSettings | None = None, at: float = AT) -> Office:
    def wall() -> float:
        return at

    told: list[Event] = []
    return Office(desk, History(at - 7200), Counts(wall), Troubles(), Stream(str, lambda: None), wall, told.append,
                  settings or ControlSettings())  # fmt: skip


class AsPeer:
    """*app* for whoever is *peer*, None: on loopback."""

    def __init__(self, app: Starlette, peer: Peer | None) -> None:
        self._app = app
        self._peer = peer

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        scope["state"] = {} if self._peer is None else {"peer": self._peer}
        await self._app(scope, receive, send)


def application(desk: GivenDesk, peer: Peer | None = ROOT, settings: ControlSettings | None = None) -> AsPeer:
    return AsPeer(Api(office_of(desk, settings, time.time())).app(), peer)
