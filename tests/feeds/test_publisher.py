"""Feeds kept current: in a real directory, from a real store, on a real loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from report.samples import OBSERVER
from rig.trips import table
from rig.trips import trip as touch_of
from sentinetd.feeds.publisher import Publisher, rest
from sentinetd.feeds.writing import Sightings
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.events import BanImposed, BansEnded, Event, FollowerFailed, FollowerMended, SensorTripped
from sentinetd.model.feed import Feed, FeedFormat
from sentinetd.model.settings import CourierSettings
from sentinetd.store.latest import Latest
from sentinetd.store.sqlite import Store

NOW = 1_700_000_000.0
WITHIN = 20.0
T = TypeVar("T")

FEED = Feed(
    directory=3, name="list.txt", format=FeedFormat.PLAIN, every=3600.0, delay=0.0, origins=tuple(Origin),
    versions=(4, 6), most=1000,
)  # fmt: skip


def imposed(network: str, origin: Origin = Origin.SENSOR) -> tuple[Ban, BanImposed]:
    net = Network.parse(network)
    return Ban(net, NOW, NOW + 60, "irc", origin), BanImposed(NOW, net, NOW + 60, "irc", origin)


def trip(source: str, port: int = 23, why_not: str = "") -> SensorTripped:
    local = Address.parse("198.51.100.6")
    return SensorTripped(NOW, 7, "irc", Address.parse(source), 4000, 60.0, why_not, 1, "tcp", local, port)


class Play:
    """A publisher with a directory, a store, and what it told."""

    def __init__(self, place: Path, store: Store) -> None:
        self.place = place
        self.store = store
        self.told: list[Event] = []
        self.hold: asyncio.Event | None = None  # while it is not set, nothing is written
        self.unfed: tuple[Network, ...] = ()
        self.held = False  # something waits to be written
        latest = Latest(os.path.dirname(store.path))
        self.publisher = Publisher(latest, OBSERVER, self._run, lambda: NOW, self.told.append)

    async def _run(self, call: Callable[[], T]) -> T:
        if self.hold is not None:
            self.held = True
            await self.hold.wait()
        return await asyncio.to_thread(call)

    async def publish(self, *feeds: Feed, files: Mapping[int, int] | None = None) -> list[Any]:
        """Have *feeds* kept from now on; what is wrong with them."""
        descriptor = os.open(self.place, os.O_PATH | os.O_DIRECTORY)
        try:
            known = {3: descriptor} if files is None else files
            mistakes = list(await self.publisher.prepare(CourierSettings(feeds=feeds, unfed=self.unfed), known))
        finally:
            os.close(descriptor)
        if not mistakes:
            self.publisher.enact()
        return mistakes

    def entries(self, name: str = "list.txt") -> list[str]:
        """The lines of a feed that are no comments."""
        file = self.place / name
        return [line for line in file.read_text().splitlines() if line[0] != "#"] if file.exists() else ["(no file)"]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition():
                await asyncio.sleep(0.005)

    async def ban(self, network: str, origin: Origin = Origin.SENSOR) -> None:
        ban, event = imposed(network, origin)
        self.store.write([ban])
        self.publisher.tell(event)


def play(tmp_path: Path, story: Callable[[Play], Awaitable[None]]) -> Play:
    """*story* played to its end; every descriptor is closed again."""
    (tmp_path / "state").mkdir()
    (tmp_path / "feeds").mkdir()
    store = Store(str(tmp_path / "state"))
    store.open()
    before = len(os.listdir("/proc/self/fd"))

    async def run() -> Play:
        made = Play(tmp_path / "feeds", store)
        await story(made)
        await made.publisher.close()
        return made

    try:
        return asyncio.run(run())
    finally:
        store.close()
        assert len(os.listdir("/proc/self/fd")) <= before


def test_a_feed_is_written_at_once_and_after_each_change(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        await at.publish(FEED)
        await at.until(lambda: at.entries() == [])
        await at.ban("192.0.2.9")
        await at.until(lambda: at.entries() == ["192.0.2.9"])
        await at.ban("192.0.2.8")
        await at.until(lambda: at.entries() == ["192.0.2.8", "192.0.2.9"])
        at.store.rewrite([imposed("192.0.2.8")[0]])
        at.publisher.tell(BansEnded(NOW, 1, 1))
        await at.until(lambda: at.entries() == ["192.0.2.8"])

    assert play(tmp_path, story).told == []


def test_a_feed_is_written_on_its_timer_too(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        await at.publish(replace(FEED, every=0.05, delay=60.0))
        await at.until(lambda: at.entries() == [])
        at.store.write([imposed("192.0.2.9")[0]])  # and nobody tells
        await at.until(lambda: at.entries() == ["192.0.2.9"])

    play(tmp_path, story)


def test_many_changes_are_written_once_after_the_delay(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        await at.publish(replace(FEED, delay=0.2))
        await at.until(lambda: at.entries() == [])
        first = (at.place / "list.txt").stat().st_ino
        inodes = set()
        for number in range(50):
            await at.ban(f"192.0.2.{number}")
            inodes.add((at.place / "list.txt").stat().st_ino)
        await at.until(lambda: len(at.entries()) == 50)
        assert len(inodes - {first}) <= 2, "it was not written for each of them"

    play(tmp_path, story)


def test_a_feed_leaves_out_what_is_not_asked_for_and_what_is_exempt(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        for network in ("192.0.2.9", "198.51.100.1", "2001:db8::/64"):
            await at.ban(network)
        await at.ban("203.0.113.5", Origin.FEED)
        at.unfed = (Network.parse("198.51.100.0/24"),)
        await at.publish(
            replace(FEED, origins=(Origin.SENSOR,), versions=(4,)),
            replace(FEED, name="six.json", format=FeedFormat.JSON, versions=(6,)),
        )
        await at.until(lambda: at.entries() == ["192.0.2.9"])
        await at.until(lambda: "2001:db8::/64" in "".join(at.entries("six.json")))
        assert "192.0.2.9" not in "".join(at.entries("six.json"))

    play(tmp_path, story)


def test_trips_are_reported_on_the_timer_and_each_once(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        await at.publish(replace(FEED, name="abuse.csv", format=FeedFormat.ABUSEIPDB, every=0.3))
        at.publisher.tell(trip("8.8.8.8"))
        at.publisher.tell(trip("8.8.4.4"))
        at.publisher.tell(trip("8.8.8.8"))
        at.publisher.tell(trip("9.9.9.9", why_not="exempt"))
        assert at.entries("abuse.csv") == ["(no file)"]
        await at.until(lambda: len(at.entries("abuse.csv")) == 3)
        assert [line.partition(",")[0] for line in at.entries("abuse.csv")] == ["IP", "8.8.8.8", "8.8.4.4"]
        await at.until(lambda: len(at.entries("abuse.csv")) == 1)

    play(tmp_path, story)


def test_trips_told_together_are_reported_and_change_the_lists(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        trips = table(touch_of("8.8.8.8"), touch_of("8.8.4.4"))
        at.publisher.tell_trips(trips)  # nobody wants to know yet
        await at.publish(replace(FEED, name="abuse.csv", format=FeedFormat.ABUSEIPDB, every=0.3), FEED)
        await at.until(lambda: at.entries() == [])
        at.store.write([trips])
        at.publisher.tell_trips(trips)
        await at.until(lambda: at.entries() == ["8.8.4.4", "8.8.8.8"])
        await at.until(lambda: len(at.entries("abuse.csv")) == 3)
        assert [line.partition(",")[0] for line in at.entries("abuse.csv")] == ["IP", "8.8.8.8", "8.8.4.4"]

    play(tmp_path, story)


def test_trips_that_could_not_be_reported_still_are_and_outlive_a_reload(tmp_path: Path) -> None:
    feed = replace(FEED, name="dshield.tsv", format=FeedFormat.DSHIELD, every=0.05, user=9)

    async def story(at: Play) -> None:
        (at.place / "dshield.tsv").mkdir()
        await at.publish(feed)
        at.publisher.tell(trip("8.8.8.8"))
        await at.until(lambda: at.told)
        await at.publish(replace(feed, every=0.06))
        (at.place / "dshield.tsv").rmdir()
        await at.until(lambda: "8.8.8.8" in "".join(at.entries("dshield.tsv")))

    play(tmp_path, story)


def test_a_feed_that_fails_is_told_once_and_tried_again(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        (at.place / "list.txt").mkdir()
        await at.publish(FEED, replace(FEED, name="other.txt"))
        await at.until(lambda: at.told)
        await at.until(lambda: at.entries("other.txt") == [])
        (at.place / "list.txt").rmdir()
        await at.until(lambda: len(at.told) == 2)
        assert at.entries() == []

    failed, mended = play(tmp_path, story).told
    assert failed == FollowerFailed(NOW, "feed list.txt", "list.txt cannot be written: Is a directory", 1.0)
    assert mended == FollowerMended(NOW, "feed list.txt")


def test_a_store_that_fails_leaves_the_old_list(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        await at.ban("192.0.2.9")
        await at.publish(FEED)
        await at.until(lambda: at.entries() == ["192.0.2.9"])
        os.rename(at.store.path, at.store.path + ".away")
        at.publisher.tell(BansEnded(NOW, 1, 0))
        await at.until(lambda: at.told)
        assert at.entries() == ["192.0.2.9"]
        os.rename(at.store.path + ".away", at.store.path)
        await at.until(lambda: len(at.told) == 2)

    failed, _ = play(tmp_path, story).told
    assert isinstance(failed, FollowerFailed)
    assert "unable to open database file" in failed.what


def test_a_directory_that_does_not_take_files_is_a_mistake(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        null = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
        mistakes = await at.publish(FEED, replace(FEED, directory=9), files={3: null})
        os.close(null)
        assert [(one.table, one.number, one.key) for one in mistakes] == [("feed", 0, "path"), ("feed", 1, "path")]
        assert "no file can be made in the directory of list.txt" in mistakes[0].text
        assert mistakes[1].text == "its directory is not there"

    assert play(tmp_path, story).told == []


def test_what_is_being_written_is_written_to_its_end(tmp_path: Path) -> None:
    async def story(at: Play) -> None:
        await at.publish(FEED)
        await at.until(lambda: at.entries() == [])
        at.hold = asyncio.Event()
        await at.ban("192.0.2.9")
        await at.until(lambda: at.held)
        closing = asyncio.ensure_future(at.publisher.close())
        await asyncio.sleep(0)
        at.hold.set()
        await closing
        assert at.entries() == ["192.0.2.9"]

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("delay", "took", "pause"),
    [
        pytest.param(5.0, 0.1, 5.0, id="short lists: the delay"),
        pytest.param(5.0, 1.0, 9.0, id="long lists: a tenth of the time is for them"),
        pytest.param(5.0, 1000.0, 9000.0, id="also where they take longer than their period"),
        pytest.param(7200.0, 0.1, 3600.0, id="a delay beyond the period"),
    ],
)
def test_a_feed_rests(delay: float, took: float, pause: float) -> None:
    assert rest(replace(FEED, delay=delay), took) == pause


def test_sightings_have_a_bound() -> None:
    seen = Sightings(most=2)
    for source in ("8.8.8.8", "8.8.4.4", "9.9.9.9", "8.8.8.8"):
        seen.add(trip(source))
    taken = seen.take()
    assert [(one.source.text, one.count) for one in taken.all()] == [("8.8.8.8", 2), ("8.8.4.4", 1)]
    seen.add(trip("8.8.8.8"))
    seen.add(trip("1.1.1.1"))
    seen.give_back(taken)
    assert [(one.source.text, one.count) for one in seen.all()] == [("8.8.8.8", 3), ("1.1.1.1", 1)]
