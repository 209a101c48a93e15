"""One sink and what waits for it, played against a sink of our own: selected, merged, retried, counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from report.samples import AT, OBSERVER, SIX, TRIP, A
from sentinetd.errors import EdgeError
from sentinetd.model import events as ev
from sentinetd.model.alert import Alert, Shown
from sentinetd.model.events import Event, Level
from sentinetd.model.observer import Observer
from sentinetd.model.verdict import Reason
from sentinetd.ports import Message, Rejected
from sentinetd.report import delivery as module
from sentinetd.report.backlog import Backlog, Memory, Spool
from sentinetd.report.delivery import Delivery, Parts
from sentinetd.report.privacy import veil

WITHIN = 20.0


def short(event: Event, observer: Observer) -> str | None:
    """A format: a notice's text, else the kind; nothing for reloads."""
    if isinstance(event, ev.ReloadStarted):
        return None
    return event.text if isinstance(event, ev.Notice) else event.kind


def notice(text: object) -> ev.Notice:
    return ev.Notice(AT, Level.INFO, str(text))


class Sink:
    """Writes down what comes. *answers*: what the next deliveries end with, None: well; then they all do."""

    def __init__(self, answers: Sequence[BaseException | None] = (), most: int = 100) -> None:
        self.most = most
        self.got: list[str] = []
        self.batches: list[int] = []
        self.answers = list(answers)
        self.tries = 0
        self.closed = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def deliver(self, messages: Sequence[Message]) -> None:
        self.tries += 1
        await self.gate.wait()
        if self.answers and (error := self.answers.pop(0)) is not None:
            raise error
        self.batches.append(len(messages))
        self.got += (message.text for message in messages)

    async def close(self) -> None:
        self.closed += 1


class Bench:
    """A delivery to *sink*, and what it had to say."""

    def __init__(self, sink: Sink, alert: Alert, backlog: Backlog) -> None:
        self.sink = sink
        self.told: list[Event] = []
        self.delivery = Delivery(self.parts(alert), backlog, self.told.append, lambda: OBSERVER)

    def parts(self, alert: Alert, sink: Sink | None = None) -> Parts:
        return Parts(alert, sink or self.sink, short, veil(Shown.FULL, b""))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition():
                await asyncio.sleep(0)

    def told_of(self, kind: type[Event]) -> list[str]:
        """What was told of *kind*, without the time."""
        return [repr(one).partition(", ")[2] for one in self.told if type(one) is kind]

    def lost(self) -> int:
        return sum(one.count for one in self.told if isinstance(one, ev.SinkDropped))


def play(
    story: Callable[[Bench], Awaitable[None]],
    answers: Sequence[BaseException | None] = (),
    alert: Alert | None = None,
    backlog: Backlog | None = None,
    most: int = 100,
) -> Bench:
    """Run *story* with a delivery, and close it."""

    async def run() -> Bench:
        kept = Memory(10_000) if backlog is None else backlog
        bench = Bench(Sink(answers, most), alert or Alert(name="x"), kept)
        try:
            await story(bench)
        finally:
            await bench.delivery.close()
        return bench

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.001, 0.002))
    monkeypatch.setattr(module, "GRACE", 5.0)


def test_all_is_delivered_in_order_and_in_batches() -> None:
    async def story(bench: Bench) -> None:
        for number in range(1000):
            bench.delivery.tell(notice(number))
        await bench.until(lambda: len(bench.sink.got) == 1000)

    bench = play(story)
    assert bench.sink.got == [str(number) for number in range(1000)]
    assert max(bench.sink.batches) == 100
    assert bench.told == []
    assert (bench.delivery.tally.taken, bench.delivery.tally.delivered, bench.sink.closed) == (1000, 1000, 1)


def test_the_end_delivers_what_waits() -> None:
    async def story(bench: Bench) -> None:
        bench.delivery.tell(notice(1))

    assert play(story).sink.got == ["1"]


def test_an_event_without_text_is_passed_over() -> None:
    async def story(bench: Bench) -> None:
        for event in (ev.ReloadStarted(AT), notice(1)):
            bench.delivery.tell(event)
            await bench.until(lambda: not bench.delivery.waiting)

    bench = play(story)
    assert (bench.sink.got, bench.sink.tries) == (["1"], 1)


def test_failure_is_told_once_and_the_same_come_again() -> None:
    async def story(bench: Bench) -> None:
        bench.delivery.tell(notice(1))
        await bench.until(lambda: bench.sink.tries > 1)
        assert bench.delivery.failing
        bench.delivery.tell(notice(2))
        await bench.until(lambda: len(bench.sink.got) == 2)
        assert not bench.delivery.failing

    bench = play(story, [EdgeError("no route"), EdgeError("other"), TimeoutError(), None])
    assert bench.sink.got == ["1", "2"]
    assert bench.told_of(ev.SinkFailed) == ["sink='x', what='no route', retry_in=0.001)"]
    assert len(bench.told_of(ev.SinkMended)) == 1
    assert (bench.lost(), bench.delivery.tally.failed) == (0, 3)


def test_what_is_rejected_is_counted_and_the_rest_goes_on() -> None:
    async def story(bench: Bench) -> None:
        for number in range(3):
            bench.delivery.tell(notice(number))
        await bench.until(lambda: len(bench.sink.got) == 2)

    bench = play(story, [None, Rejected("422")], most=1)
    assert bench.sink.got == ["0", "2"]
    assert bench.told_of(ev.SinkDropped) == ["sink='x', count=1, why='422')"]
    assert bench.told_of(ev.SinkFailed) == []


def test_a_sink_that_hangs_is_given_up_after_its_time_and_the_same_come_again() -> None:
    async def story(bench: Bench) -> None:
        bench.sink.gate.clear()
        bench.delivery.tell(notice(1))
        await bench.until(lambda: bench.sink.tries > 2)
        bench.sink.gate.set()
        await bench.until(lambda: bench.sink.got)

    bench = play(story, alert=Alert(name="x", timeout=0.01))
    assert bench.sink.got == ["1"]
    assert bench.told_of(ev.SinkFailed) == ["sink='x', what='no answer within 0.01 seconds', retry_in=0.001)"]


def test_beyond_the_bound_the_oldest_go_and_the_count_is_true() -> None:
    async def story(bench: Bench) -> None:
        bench.sink.gate.clear()
        bench.delivery.tell(notice("first"))
        await bench.until(lambda: bench.sink.tries)
        for number in range(100):
            bench.delivery.tell(notice(number))
        bench.sink.gate.set()
        await bench.until(lambda: not bench.delivery.waiting)

    bench = play(story, backlog=Memory(10))
    assert bench.sink.got == ["first", *(str(number) for number in range(91, 100))]
    assert bench.lost() == 91 == bench.delivery.tally.dropped
    assert bench.delivery.tally.taken == 101 == len(bench.sink.got) + bench.lost()


def test_what_cannot_be_delivered_at_the_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.01)

    async def story(bench: Bench) -> None:
        bench.sink.gate.clear()
        for number in range(5):
            bench.delivery.tell(notice(number))
        await bench.until(lambda: bench.sink.tries)

    bench = play(story)
    assert bench.told_of(ev.SinkDropped) == [
        "sink='x', count=5, why='there was no time to deliver them at the end')"
    ]


def test_a_failing_sink_is_not_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (3600.0,))
    monkeypatch.setattr(module, "GRACE", 3600.0)

    async def story(bench: Bench) -> None:
        bench.delivery.tell(notice(1))
        await bench.until(lambda: bench.delivery.failing)

    bench = play(story, [EdgeError("no route")] * 9)
    assert bench.told_of(ev.SinkDropped) == ["sink='x', count=1, why='no route')"]
    assert bench.sink.tries == 2


def test_repeats_are_told_once_and_counted() -> None:
    refused = ev.ConnectionRefused(AT, 7, "ftp", A, 1, Reason.ADDRESS)
    other = ev.ConnectionRefused(AT, 7, "ftp", SIX, 1, Reason.ADDRESS)

    async def story(bench: Bench) -> None:
        for event in (refused, refused, other, refused, notice(1)):
            bench.delivery.tell(event)
        await bench.until(lambda: "events.repeated" in bench.sink.got)
        bench.delivery.tell(refused)

    bench = play(story, alert=Alert(name="x", kinds=("*",), merge=0.05))
    assert bench.sink.got == [
        "connection.refused", "connection.refused", "1", "events.repeated", "connection.refused"
    ]  # fmt: skip


def test_the_count_of_repeats_is_told_before_the_end() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(3):
            bench.delivery.tell(TRIP)

    assert play(story, alert=Alert(name="x", merge=3600.0)).sink.got == ["sensor.tripped", "events.repeated"]


def test_a_digest_gathers() -> None:
    async def story(bench: Bench) -> None:
        for number in range(3):
            bench.delivery.tell(notice(number))
            await asyncio.sleep(0)
        await bench.until(lambda: bench.sink.got)
        bench.delivery.tell(notice(3))

    assert play(story, alert=Alert(name="x", digest=0.2)).sink.batches == [3, 1]


def test_new_parts_take_over_what_waits_and_keep_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (3600.0,))
    fresh: list[Sink] = []

    async def story(bench: Bench) -> None:
        bench.delivery.tell(notice(1))
        await bench.until(lambda: bench.delivery.failing)
        fresh.append(Sink())
        bench.delivery.replace(bench.parts(Alert(name="x"), fresh[0]))
        bench.delivery.tell(notice(2))
        await bench.until(lambda: len(fresh[0].got) == 2)

    bench = play(story, [EdgeError("no route")])
    assert (fresh[0].got, bench.sink.closed, fresh[0].closed) == (["1", "2"], 1, 1)


@pytest.mark.parametrize(
    ("alert", "wanted"),
    [
        pytest.param(Alert(name="x"), {"trip", "warning", "ban"}, id="all but what comes for every connection"),
        pytest.param(Alert(name="x", kinds=("*",)), {"trip", "warning", "ban", "refused"}, id="all"),
        pytest.param(Alert(name="x", kinds=("sensor.*", "ban.imposed")), {"trip", "ban"}, id="kinds"),
        pytest.param(Alert(name="x", level=Level.WARNING), {"trip", "warning"}, id="level"),
        pytest.param(Alert(name="x", kinds=("*",), services=("irc*",)), {"trip", "ban"}, id="services"),
        pytest.param(Alert(name="x", kinds=("connection.refused",)), {"refused"}, id="routine by name"),
    ],
)
def test_selection(alert: Alert, wanted: set[str]) -> None:
    from report.samples import HOST
    from sentinetd.model.ban import Origin

    told = {
        "trip": TRIP,
        "warning": ev.Notice(AT, Level.WARNING, "x"),
        "ban": ev.BanImposed(AT, HOST, AT + 9, "irc-sensor", Origin.SENSOR),
        "refused": ev.ConnectionRefused(AT, 7, "ftp", A, 1, Reason.ADDRESS),
    }
    selection = module.Selection(alert)
    assert {name for name, event in told.items() if selection.wants(event)} == wanted
    assert ("connection.refused" in selection.by_wish) == ("refused" in wanted or alert.services != ())


def test_spooled_events_survive_a_courier_that_is_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    first = Spool(path, 1 << 20)
    events = [TRIP, notice("é\x00"), ev.ConnectionRefused(AT, 7, "ftp", None, 1, Reason.LOAD)]
    for event in events:
        first.put(event)
    assert list(first.take(2)) == events[:2]
    first.close()  # as the kernel does for a process that is killed: it is told nothing
    again = Spool(path, 1 << 20)
    assert len(again) == 3
    assert list(again.take(2)) == events[:2]
    again.done()
    again.close()
    third = Spool(path, 1 << 20)
    assert list(third.take(9)) == events[2:]
    third.done()
    assert third.close() == 0
    assert (tmp_path / "spool").stat().st_size == 24
    assert len(Spool(path, 1)) == 0


def test_a_spool_is_delivered_by_the_next_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.01)
    path = str(tmp_path / "spool")

    async def fill(bench: Bench) -> None:
        bench.sink.gate.clear()
        for number in range(500):
            bench.delivery.tell(notice(number))
        await bench.until(lambda: bench.sink.tries)

    async def drain(bench: Bench) -> None:
        await bench.until(lambda: len(bench.sink.got) == 500)

    assert play(fill, backlog=Spool(path, 1 << 20)).lost() == 0
    assert play(drain, backlog=Spool(path, 1 << 20)).sink.got == [str(number) for number in range(500)]


def test_a_spool_is_bounded_and_counts_what_does_not_fit(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"), 10_000)
    put = got = 0
    for _ in range(50):
        for _ in range(100):
            spool.put(notice("x" * 50))
            put += 1
        got += len(spool.take(30))
        spool.done()
        assert (tmp_path / "spool").stat().st_size <= 2 * 10_000 + 200
    while taken := len(spool.take(100)):
        got += taken
        spool.done()
    assert put == got + spool.dropped()
    assert got > 100
    spool.close()


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        pytest.param(lambda data: data[:-3], 2, id="torn last line"),
        pytest.param(lambda data: data[:24], 0, id="nothing but a beginning"),
        pytest.param(lambda data: b"x" * 7, 0, id="no beginning"),
        pytest.param(lambda data: b"%-23d\n" % 99_999 + data[24:], 3, id="a place that is not there"),
        pytest.param(lambda data: data.replace(b"daemon.notice", b"daemon.unknown", 1), 3, id="an unknown kind"),
    ],
)
def test_a_damaged_spool_is_read_as_far_as_it_goes(
    tmp_path: Path, damage: Callable[[bytes], bytes], left: int
) -> None:
    path = tmp_path / "spool"
    spool = Spool(str(path), 1 << 20)
    for number in range(3):
        spool.put(notice(number))
    spool.close()
    path.write_bytes(damage(path.read_bytes()))
    again = Spool(str(path), 1 << 20)
    assert len(again) == left
    again.put(notice("more"))
    got = []
    while taken := again.take(1):
        got += taken
        again.done()
    assert got[-1] == notice("more")
    assert len(got) == left + 1 - again.dropped()
    again.close()


def test_two_couriers_do_not_share_a_spool(tmp_path: Path) -> None:
    first = Spool(str(tmp_path / "spool"), 1000)
    with pytest.raises(EdgeError, match="unavailable"):
        Spool(str(tmp_path / "spool"), 1000)
    first.close()
    Spool(str(tmp_path / "spool"), 1000).close()
