"""A keeper of bans is kept in step: what is handed over when, and what happens when it fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import pytest

from rig.deadline import wait_for
from sentinetd.daemon import following
from sentinetd.daemon.following import AT_ONCE, PAUSES, Following
from sentinetd.daemon.loop import Loop
from sentinetd.errors import EdgeError
from sentinetd.firewall.netfilter import NetfilterError
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.events import Event, FollowerFailed, FollowerMended
from sentinetd.model.guarded import GuardedPort


def net(number: int) -> Network:
    return Network(4, number, 32)


class Keeper:
    """Holds what it is told, in steps of *step* bans; *faults* are raised by the calls to come, one each."""

    name = "keeper"
    wants_write = False

    def __init__(self) -> None:
        self.held: dict[Network, float] = {}
        self.calls: list[str] = []
        self.faults: list[EdgeError] = []
        self.step = 1

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.faults:
            raise self.faults.pop(0)

    def fileno(self) -> int:
        return -1

    def flush(self) -> None:
        pass

    def open(self) -> None:
        self._called("open")

    def trouble(self) -> str:
        return ""

    def exempt(self, sources: AddressSet) -> None:
        self._called("exempt")

    def guard(self, ports: Collection[GuardedPort]) -> None:
        self._called("guard")

    def replace(self, bans: Iterable[tuple[Network, float]]) -> Iterator[None]:
        self._called("replace")
        fresh: dict[Network, float] = {}
        for network, until in bans:
            fresh[network] = until
            if len(fresh) % self.step == 0:
                yield
        self.held = fresh

    def apply(self, imposed: Mapping[Network, float], lifted: Collection[Network], ended: Collection[Network]) -> None:
        self._called(f"apply {len(imposed)} {len(lifted)} {len(ended)}")
        for network in (*lifted, *ended):
            self.held.pop(network, None)
        self.held.update(imposed)

    def close(self) -> None:
        self._called("close")


class Stage:
    """A keeper, who follows, and a truth; `turn` is one turn of the guard's loop."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.keeper = Keeper()
        self.truth: dict[Network, float] = {}
        self.events: list[Event] = []
        self.following = Following(
            self.keeper, self.loop, lambda: iter(list(self.truth.items())), AddressSet, lambda: (), self.events.append
        )

    def turn(self) -> None:
        self.loop.turn(0.05)
        self.following.settle()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        def met() -> bool:
            self.turn()
            return condition()

        wait_for(met, what)

    def impose(self, *numbers: int) -> None:
        for number in numbers:
            self.truth[net(number)] = math.inf
            self.following.impose(net(number), math.inf)

    def lift(self, number: int) -> None:
        del self.truth[net(number)]
        self.following.lift(net(number))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(following, "PAUSES", (0.01, 0.02, 0.03))
    made = Stage()
    yield made
    made.loop.close()


@pytest.fixture
def begun(stage: Stage) -> Stage:
    stage.following.begin()
    stage.following.finish()
    stage.keeper.calls.clear()
    return stage


def test_the_whole_truth_is_there_before_anything_else(stage: Stage) -> None:
    stage.truth = {net(1): 5.0, net(2): math.inf}
    stage.following.begin()
    assert stage.keeper.held == {}
    stage.following.finish()
    assert stage.keeper.held == stage.truth
    assert stage.keeper.calls == ["open", "exempt", "guard", "replace"]
    assert stage.events == []


def test_what_a_turn_changed_goes_over_in_one_piece(begun: Stage) -> None:
    begun.impose(1, 2, 3)
    begun.lift(2)
    begun.following.expire(net(9))
    begun.following.settle()
    begun.following.settle()
    assert begun.keeper.calls == ["apply 2 1 1"]
    assert begun.keeper.held == begun.truth


def test_a_network_that_is_lifted_and_banned_again_is_banned(begun: Stage) -> None:
    begun.impose(1)
    begun.following.settle()
    begun.lift(1)
    begun.impose(1)
    begun.following.settle()
    assert begun.keeper.held == {net(1): math.inf}


def test_a_flood_goes_over_in_portions(begun: Stage) -> None:
    begun.impose(*range(2 * AT_ONCE + 5))
    begun.following.settle()
    assert begun.keeper.calls == [f"apply {AT_ONCE} 0 0"]
    begun.until(lambda: begun.keeper.held == begun.truth, "the rest")
    assert begun.keeper.calls == [f"apply {AT_ONCE} 0 0", f"apply {AT_ONCE} 0 0", "apply 5 0 0"]


def test_changes_wait_while_a_whole_truth_goes_over(begun: Stage) -> None:
    begun.truth = {net(number): math.inf for number in range(5)}
    begun.following.restate()
    begun.turn()
    begun.impose(7)
    begun.lift(3)
    assert "apply 1 1 0" not in begun.keeper.calls
    begun.until(lambda: begun.keeper.held == begun.truth, "the truth, and what changed meanwhile")
    assert begun.keeper.calls == ["replace", "apply 1 1 0"]


def test_too_many_changes_in_that_time_are_a_new_whole_truth(begun: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST", 10)
    begun.truth = {net(number): math.inf for number in range(5)}
    begun.following.restate()
    begun.turn()
    begun.impose(*range(100, 120))
    begun.until(lambda: begun.keeper.held == begun.truth, "all of it")
    assert begun.keeper.calls == ["replace", "replace"]


def test_another_restatement_in_that_time_follows(begun: Stage) -> None:
    begun.truth = {net(number): math.inf for number in range(5)}
    begun.following.restate()
    begun.turn()
    begun.truth = {net(8): math.inf}
    begun.following.restate()
    begun.until(lambda: begun.keeper.held == begun.truth, "the later truth")


@pytest.mark.parametrize("failing", ["apply", "exempt", "guard", "replace"])
def test_a_failure_is_told_and_mended_with_the_whole_truth(begun: Stage, failing: str) -> None:
    begun.keeper.faults = [EdgeError("no"), EdgeError("not yet"), EdgeError("still not")]
    begun.impose(1, 2)
    if failing == "exempt":
        begun.following.exempt()
    elif failing == "guard":
        begun.following.guard()
    elif failing == "replace":
        begun.following.restate()
    begun.following.settle()
    assert begun.following.down
    begun.impose(3)
    begun.until(lambda: not begun.following.down, "an end of the failures")
    told = [event for event in begun.events if isinstance(event, FollowerFailed)]
    assert [(event.what, event.retry_in) for event in told] == [("no", 0.01), ("not yet", 0.02), ("still not", 0.03)]
    assert isinstance(begun.events[-1], FollowerMended)
    assert len(begun.events) == 4
    assert begun.keeper.held == begun.truth


def test_pauses_go_on_growing_until_it_was_steady(begun: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in (0.01, 0.02, 0.03, 0.03):
        begun.following.failed(EdgeError("again"))
        assert isinstance(begun.events[-1], FollowerFailed)
        assert begun.events[-1].retry_in == pause
        begun.until(lambda: not begun.following.down, "its mending")
    monkeypatch.setattr(following, "STEADY_AFTER", 0.0)
    begun.turn()
    begun.following.failed(EdgeError("later"))
    assert isinstance(begun.events[-1], FollowerFailed)
    assert begun.events[-1].retry_in == 0.01


def test_a_busy_kernel_is_tried_again_before_it_is_told(begun: Stage) -> None:
    begun.keeper.faults = [NetfilterError("banning", 16)]
    begun.impose(1)
    begun.following.settle()
    assert begun.following.down
    begun.until(lambda: not begun.following.down, "the second attempt")
    assert begun.keeper.held == begun.truth
    assert begun.events == []
    begun.keeper.faults = [NetfilterError("banning", 16)] * 3
    begun.impose(2)
    begun.until(lambda: bool(begun.events), "a message")
    begun.until(lambda: begun.keeper.held == begun.truth, "the end of it")


def test_it_rests_and_is_closed(begun: Stage) -> None:
    begun.following.failed(EdgeError("no"))
    begun.following.close()
    begun.turn()
    assert begun.keeper.calls == ["close"]


def test_pauses_grow() -> None:
    assert list(PAUSES) == sorted(PAUSES)
    assert PAUSES[0] < 0.1 < 60.0 <= PAUSES[-1]
