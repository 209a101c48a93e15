"""The engine played with any inputs in any order, sensible or not: it never raises, and nothing gets lost or stuck."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from policy.player import Player, addresses, dgram, events, sensor, service
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import Ban, LongerBan, Origin
from sentinetd.model.connection import Announced
from sentinetd.model.events import ConnectionRefused
from sentinetd.model.order import EndExemption, Exempt, ImposeBans, LiftBans, WantedBan
from sentinetd.model.service import (
    Capture,
    Cps,
    Decoy,
    Flag,
    OnFailure,
    OnSuccess,
    Redirect,
    Service,
    SocketType,
    SourceRate,
    Type,
)
from sentinetd.model.verdict import ADMIT, Question, Reason
from sentinetd.policy.effects import (
    Ask,
    Expire,
    Forget,
    Impose,
    Lift,
    Pause,
    Play,
    Rearm,
    Refuse,
    Release,
    Reply,
    Resume,
    Serve,
    Suspend,
)
from sentinetd.policy.inputs import (
    Answered,
    Arrived,
    Begun,
    CarriersGone,
    Chosen,
    Ended,
    Escalated,
    Exhausted,
    Finished,
    Found,
    Input,
    Launched,
    LaunchersGone,
    LaunchFailed,
    Learned,
    Leaving,
    LoggedIn,
    Moved,
    Ordered,
    Played,
    Recalled,
    Reloaded,
    SetupFailed,
    Surroundings,
    Tick,
    Wanted,
)
from sentinetd.policy.services import Candidate, Server

MAXIMUM = 4
NAMED = addresses("a.example", "198.51.100.0/24")
KINDS: list[Service] = [
    service("plain"),
    service("named", only_from=NAMED),
    service("strict", flags=frozenset({Flag.IDONLY, Flag.NORETRY}), log_on_success=frozenset({OnSuccess.USERID})),
    service("paced", cps=Cps(2, 3), cps_source=SourceRate(1, 5.0)),
    service("few", instances=2, per_source=1, banner="/b", banner_success="/s", banner_fail="/f"),
    service("watched", no_access=addresses("192.0.2.1"), log_on_failure=frozenset({OnFailure.USERID})),
    service("relay", redirect=Redirect("192.0.2.9", 80)),
    service("tcpmux", type=frozenset({Type.INTERNAL}), instances=3),
    service("muxed", type=frozenset({Type.TCPMUXPLUS}), cps=Cps(2, 3), only_from=NAMED),
    service("daytime", type=frozenset({Type.INTERNAL}), only_from=NAMED),
    service("waiting", wait=True, cps=Cps(2, 3)),
    dgram("tftp", only_from=NAMED),
    service("behind", wait=True, cps=Cps(2, 3), instances=1, banner="/b", flags=frozenset({Flag.INTERCEPT})),
    dgram("post", only_from=NAMED, per_source=2, flags=frozenset({Flag.INTERCEPT})),
    dgram("echo", type=frozenset({Type.INTERNAL}), only_from=NAMED),
    dgram("simple", cps=Cps(2, 0)),
    sensor(30.0),
    sensor(5.0, exempt=addresses("192.0.2.1")),
    sensor(float("inf"), socket_type=SocketType.DGRAM, wait=True, deny_dgram=True),
    sensor(0.0, decoy=Decoy.SSH, capture=Capture(10, 5.0)),
    sensor(5.0, tarpit=9.0, proxy_protocol=addresses("198.51.100.7")),
    service("proxied", only_from=NAMED, proxy_protocol=addresses("198.51.100.7"), banner="/b"),
    service("both", wait=True, flags=frozenset({Flag.INTERCEPT}), proxy_protocol=addresses("198.51.100.7")),
]
CHANGES: list[dict[str, Any]] = [
    {"no_access": addresses("192.0.2.1")},
    {"only_from": NAMED},
    {"only_from": addresses("0.0.0.0/0", "::/0"), "no_access": addresses()},
    {"instances": 1},
    {"instances": None, "per_source": None},
    {"cps": Cps(0, 1)},
    {"cps": Cps(1, 2)},
    {"proxy_protocol": addresses("198.51.100.7")},
    {"proxy_protocol": addresses()},
]
SOURCES = ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1", "2001:db8::2", "fe80::1%eth0"]
NETWORKS = [*SOURCES, "192.0.2.0/24", "2001:db8::/64"]
ONE_OF = st.integers(0, 30)  # a place in a list, taken modulo its length
NUMBERS = st.integers(0, 60)
PIDS = st.integers(100, 108)  # few, so that they are used again


class AnyInputs(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.player = Player(*KINDS[:9], *KINDS[-4:], limit=6, maximum=MAXIMUM, max_bans_per_minute=50)
        self.engine = self.player.engine
        self.streams: set[int] = set()  # connections that were accepted
        self.open: set[int] = set()  # those of them of which nobody has said what becomes of them
        self.asked: list[tuple[int, Question]] = []
        self.ordered: list[int] = []
        self.suspended: set[int] = set()
        self.paused: set[int] = set()
        self.bans: dict[Network, float] = {}
        self.begun = len(KINDS[:9]) + 4
        self.playing: list[int] = []
        self.gone: set[int] = set()
        self.stopped: set[int] = set()

    # What is done with effects, and what they must never be.

    def give(self, given: Input) -> None:
        before = dict(self.bans)
        effects = self.player.give(given)
        for effect in effects:
            match effect:
                case Serve(connection):
                    self.ordered.append(connection.number)
                case Play(connection):
                    assert connection.number in self.open
                    self.playing.append(connection.number)
                case Ask(connection, question, _, _):
                    self.asked.append((connection.number, question))
                case Refuse(connection) | Release(connection) | Reply(connection):
                    self.settled(connection.number)
                case Suspend(number):
                    assert number not in self.suspended | self.stopped
                    self.suspended.add(number)
                case Rearm(connection):
                    assert connection.service not in self.stopped
                    self.suspended.remove(connection.service)
                case Pause(number):
                    assert number not in self.paused | self.stopped
                    self.paused.add(number)
                case Resume(number):
                    assert number not in self.stopped
                    self.paused.remove(number)
                case Forget(number):
                    assert number in self.stopped - self.gone
                    self.gone.add(number)
                case Impose(network, until):
                    assert until >= self.bans.get(network, 0.0)
                    self.bans[network] = until
                case Lift(network) | Expire(network):
                    del self.bans[network]
        for event in events(effects, ConnectionRefused):
            if event.reason is Reason.BANNED:
                assert event.source is not None
                assert self.banned(before, event.source)

    def settled(self, number: int) -> None:
        """An accepted stream is refused, released or answered, and that once."""
        if number in self.streams:
            self.open.remove(number)

    def banned(self, bans: dict[Network, float], source: Address) -> bool:
        return any(network.holds(source) and until > self.player.now for network, until in bans.items())

    # Inputs.

    @rule(which=ONE_OF, source=st.sampled_from(SOURCES))
    def arrive(self, which: int, source: str) -> None:
        numbers = [*self.engine.services, 99]
        number = numbers[which % len(numbers)]
        known = self.engine.services.get(number)
        intercepted = known is not None and Flag.INTERCEPT in known.flags
        waiting_stream = known is not None and known.wait and known.socket_type is SocketType.STREAM
        connection = self.player.connection(None if waiting_stream and not intercepted else source, number)
        accepted = known is None or not known.wait or intercepted
        if accepted:
            self.open.add(connection.number)
            self.streams.add(connection.number)
        self.give(Arrived(connection))
        if known is None:
            assert connection.number not in self.open

    @rule(which=ONE_OF)
    def want(self, which: int) -> None:
        numbers = [*self.engine.services, 99]
        self.give(Wanted(self.player.connection(None, numbers[which % len(numbers)])))

    @rule(which=ONE_OF, value=st.sampled_from(["a.example", "b.example", "", ADMIT, None]))
    def answer(self, which: int, value: str | None) -> None:
        if self.asked:
            number, question = self.asked.pop(which % len(self.asked))
            self.give(Answered(number, question, value))

    @rule(which=ONE_OF, source=st.sampled_from([None, *SOURCES]))
    def announce(self, which: int, source: str | None) -> None:
        headers = [one for one in self.asked if one[1] is Question.PROXY]
        if headers:
            number, question = headers[which % len(headers)]
            self.asked.remove((number, question))
            who = Announced(None if source is None else Address.parse(source), 7)
            self.give(Answered(number, question, who))

    @rule(which=ONE_OF, said=st.sampled_from([None, "", "root"]))
    def play_to_the_end(self, which: int, said: str | None) -> None:
        if self.playing:
            self.give(Played(self.playing.pop(which % len(self.playing)), said, False, 1.0))

    @rule(number=NUMBERS, question=st.sampled_from(Question))
    def answer_anything(self, number: int, question: Question) -> None:
        self.give(Answered(number, question, "a.example"))

    @rule(which=ONE_OF, pid=PIDS)
    def launch(self, which: int, pid: int) -> None:
        if self.ordered:
            self.give(Launched(self.ordered.pop(which % len(self.ordered)), pid))

    @rule(which=ONE_OF)
    def begin(self, which: int) -> None:
        if self.ordered:
            self.give(Begun(self.ordered.pop(which % len(self.ordered)), 50))

    @rule(which=ONE_OF, name=st.sampled_from(["muxed", "plain", "nothing"]))
    def choose(self, which: int, name: str) -> None:
        if self.ordered:
            self.give(Chosen(self.ordered[which % len(self.ordered)], name))

    @rule(which=ONE_OF)
    def fail(self, which: int) -> None:
        if self.ordered:
            self.give(LaunchFailed(self.ordered.pop(which % len(self.ordered)), 11))

    @rule(
        given=st.one_of(
            st.builds(Launched, NUMBERS, PIDS),
            st.builds(LaunchFailed, NUMBERS, st.just(11)),
            st.builds(Begun, NUMBERS, PIDS),
            st.builds(Finished, NUMBERS, st.just(1), st.just(2)),
            st.builds(Played, NUMBERS, st.sampled_from([None, "x"])),
            st.builds(Answered, NUMBERS, st.sampled_from(Question), st.just(Announced(None, 0))),
            st.builds(SetupFailed, NUMBERS, st.just("execve"), st.just(""), st.just(2), st.booleans()),
            st.builds(Ended, PIDS, st.integers(-1, 2), st.integers(0, 9)),
            st.builds(Exhausted, st.integers(0, 9)),
            st.builds(LaunchersGone, st.tuples(NUMBERS, NUMBERS)),
            st.just(CarriersGone()),
            st.just(Tick()),
        )
    )
    def anything(self, given: Input) -> None:
        self.give(given)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 5.0, 10.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        """Ticks come when they are asked for, or late."""
        end = self.player.now + seconds
        while (due := self.engine.deadline()) is not None and due <= end:
            self.player.now = max(self.player.now, due)
            self.give(Tick())
        self.player.now = end

    @rule(network=st.sampled_from(NETWORKS), left=st.sampled_from([-1.0, 0.5, 20.0, float("inf")]))
    def learn(self, network: str, left: float) -> None:
        now = self.player.now
        self.give(Learned((Ban(Network.parse(network), now, now + left),)))

    @rule(network=st.sampled_from(NETWORKS), span=st.floats(0.0, 90.0), origin=st.sampled_from(Origin))
    def order_ban(self, network: str, span: float, origin: Origin) -> None:
        self.give(Ordered(1, ImposeBans((WantedBan(Network.parse(network), span),), origin), "joe"))

    @rule(network=st.sampled_from(NETWORKS))
    def order_lift(self, network: str) -> None:
        self.give(Ordered(2, LiftBans((Network.parse(network),)), "joe"))

    @rule(network=st.sampled_from(NETWORKS), span=st.floats(0.0, 90.0), end=st.booleans())
    def order_exemption(self, network: str, span: float, end: bool) -> None:
        named = Network.parse(network)
        self.give(Ordered(3, EndExemption(named) if end else Exempt(named, span), "joe"))

    @rule(source=st.sampled_from(SOURCES), left=st.floats(-1.0, 90.0), kept=st.booleans())
    def recall(self, source: str, left: float, kept: bool) -> None:
        address, wall = Address.parse(source), self.player.moment().wall
        length = BITS[address.version]
        self.give(Recalled(address.version, length, address.scope, kept, ((address.value, wall + left),)))

    @rule(network=st.sampled_from(NETWORKS), left=st.floats(-1.0, 90.0))
    def escalate(self, network: str, left: float) -> None:
        longer = LongerBan(Network.parse(network), self.player.moment().wall + left, "trap", 2)
        self.give(Escalated((longer,)))

    @rule(source=st.sampled_from(SOURCES))
    def find_and_log_in(self, source: str) -> None:
        self.give(Found("a.example", (Address.parse(source),)))
        self.give(LoggedIn(Address.parse(source)))

    @rule(own=st.sets(st.sampled_from(SOURCES), max_size=2))
    def move(self, own: set[str]) -> None:
        self.give(Moved(Surroundings(addresses(*own), addresses("2001:db8::/64"))))

    @rule(which=ONE_OF, change=st.sampled_from(CHANGES))
    def adjust(self, which: int, change: dict[str, Any]) -> None:
        services = self.engine.services
        numbers = [*services, 99]
        number = numbers[which % len(numbers)]
        if number in services:
            self.give(Reloaded(self.player.settings, adjust={number: replace(services[number], **change)}))
        else:
            self.give(Reloaded(self.player.settings, adjust={number: KINDS[0]}))

    @rule(kind=st.sampled_from(KINDS))
    def start(self, kind: Service) -> None:
        self.begun += 1
        self.give(Reloaded(self.player.settings, start={self.begun: kind}))

    @rule(which=ONE_OF)
    def stop(self, which: int) -> None:
        numbers = [*self.engine.services, 99]
        number = numbers[which % len(numbers)]
        self.stopping(number)
        self.give(Reloaded(self.player.settings, stop=frozenset({number})))

    def stopping(self, *numbers: int) -> None:
        self.stopped |= set(numbers)
        self.suspended -= set(numbers)
        self.paused -= set(numbers)

    @rule(load=st.sampled_from([0.0, 9.0]), minute=st.integers(0, 1439), tables=st.booleans())
    def world(self, load: float, minute: int, tables: bool) -> None:
        self.player.load, self.player.minute, self.player.tables = load, minute, tables

    # What holds at any time.

    @invariant()
    def counts_are_what_is_there(self) -> None:
        engine = self.engine
        there: list[Candidate | Server] = [
            *(asked.candidate for asked in engine._waiting._asked.values()),
            *engine._servers.orders.values(),
            *engine._servers.retries.values(),
            *engine._servers.running.values(),
        ]
        assert engine._services.processes == sum(
            1 for one in there if one.running.behind is None or one.connection.source is None
        )
        of_service = Counter(one.running.number for one in there)
        of_source = Counter((one.running.number, one.connection.source) for one in there)
        for number, running in engine._services.table.items():
            assert running.counts.total == of_service[number]
            assert running.counts._of_source == {
                source.text: count for (one, source), count in of_source.items() if one == number and source is not None
            }
            assert set(running.servers) == {n for n, one in engine._servers.running.items() if one.running is running}
        assert set(of_service) <= set(engine._services.table)
        assert len(engine._servers._numbers) == sum(1 for one in engine._servers.running.values() if not one.carried)
        assert sum(engine._waiting._of_source.values()) == len(engine._waiting)

    @invariant()
    def nobody_is_lost(self) -> None:
        """Whoever was accepted and not yet told what becomes of it waits for something that will come."""
        engine = self.engine
        waits = {*engine._waiting._asked, *engine._suspects._kept, *engine._servers.orders, *engine._servers.retries}
        waits |= engine._announcing._awaited.keys()
        assert self.open == {number for number in waits if number in self.streams}

    @invariant()
    def plays_are_counted_by_source(self) -> None:
        plays = self.engine._plays
        assert plays._of_source == Counter(one.whose for one in plays._playing.values())
        assert set(plays._playing) <= set(self.playing)

    @invariant()
    def a_listener_is_watched_once_nobody_has_it(self) -> None:
        for number in self.engine.services:
            state = self.engine.state(number)
            assert (state == "Disabled") is (number in self.paused)
            behind = self.engine._services.table[number].behind
            if behind is not None:
                assert (behind.connection is not None) is (number in self.suspended)
            elif number not in self.paused:
                assert (state == "Suspended") is (number in self.suspended)
            if self.engine.count(number) == 0:
                assert number not in self.suspended

    @invariant()
    def bans_are_what_keepers_were_told_and_not_too_many(self) -> None:
        assert dict(self.engine.bans.ledger.bans()) == self.bans
        assert len(self.engine.bans.ledger) == len(self.bans) <= MAXIMUM

    @invariant()
    def only_services_that_serve_somebody_outlive_their_end(self) -> None:
        table = self.engine._services.table
        assert set(table) == set(range(1, self.begun + 1)) - self.gone
        assert all(running.counts.total for number, running in table.items() if running.stopped)

    def teardown(self) -> None:
        """When all is over, nothing is left."""
        self.stopping(*self.engine.services)
        self.give(Leaving(servers=True))
        for number in list(self.engine._servers.orders):
            self.give(LaunchFailed(number, 11))
        self.give(CarriersGone())
        for server in self.engine.servers():
            self.give(Ended(server.pid, 0, 0))
        assert not self.engine._services.table
        assert not self.open
        assert not len(self.engine._plays)
        assert not len(self.engine._announcing)
        assert self.engine._services.processes == 0
        self.time_passes(100.0)
        assert self.engine.deadline() is None


AnyInputs.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnyInputs = AnyInputs.TestCase
