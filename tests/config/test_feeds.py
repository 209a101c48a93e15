"""`[[feed]]` tables: what is read, and what is said of what cannot be."""

from __future__ import annotations

import pytest

from config.machine import Machine
from sentinetd.config.toml import read_settings
from sentinetd.model.address import Network
from sentinetd.model.ban import Origin
from sentinetd.model.feed import Feed, FeedFormat
from sentinetd.model.settings import FileUse, FileWanted, Settings


def read(text: str) -> tuple[Settings, list[str]]:
    result = read_settings("s.toml", Machine({"s.toml": text.encode()}), required=False)
    return result.settings, [str(one) for one in result.diagnostics]




def test_the_least_and_the_most_that_can_be_said() -> None:
    settings, told = read(
        """
        bans.exempt = ["192.0.2.0/24"]
        [[feed]]
        path = "/var/lib/feeds/banned.txt"
        format = "plain"
        [[feed]]
        path = "/srv/www/six.nft"
        format = "NFT"
        every = "10m"
        delay = 0.5
        origins = ["sensor", "fleet", "sensor"]
        family = 6
        limit = 5
        [[feed]]
        path = "/srv/www/report"
        format = "dshield"
        user = 4711
        """
    )
    assert told == []
    plain, six, report = settings.courier.feeds
    assert plain == Feed(
        directory=0, name="banned.txt", format=FeedFormat.PLAIN, every=3600.0, delay=5.0,
        origins=(Origin.SENSOR, Origin.OPERATOR), versions=(4, 6), most=131_072,
    )  # fmt: skip
    assert settings.courier.unfed == (Network.parse("192.0.2.0/24"),)
    assert six == Feed(
        directory=1, name="six.nft", format=FeedFormat.NFT, every=600.0, delay=0.5,
        origins=(Origin.SENSOR, Origin.FLEET), versions=(6,), most=5,
    )  # fmt: skip
    assert (report.format, report.user, report.directory) == (FeedFormat.DSHIELD, 4711, 2)
    assert settings.files == (
        FileWanted("/var/lib/feeds/banned.txt", FileUse.DIRECTORY, "feed", 0, "path"),
        FileWanted("/srv/www/six.nft", FileUse.DIRECTORY, "feed", 1, "path"),
        FileWanted("/srv/www/report", FileUse.DIRECTORY, "feed", 2, "path"),
    )


def test_without_feeds_there_is_nothing() -> None:
    courier = read('bans.exempt = ["192.0.2.0/24"]')[0].courier
    assert (courier.feeds, courier.unfed) == ((), ())


A = '[[feed]]\npath = "/srv/a"\nformat = "plain"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("feed = 3", "s.toml:1: feed is no array of tables; write [[feed]] on a line", id="no table"),
        pytest.param(
            '[feed]\npath = "/srv/a"', "s.toml:1: feed is no array of tables; write [[feed]] on a line of its own",
            id="one table",
        ),
        pytest.param(
            '[[feed]]\nformat = "plain"', "s.toml:1: a feed needs path; write path = ...", id="no path"
        ),
        pytest.param(f"{A}colour = 1", "s.toml:4: feed.colour: unknown key colour; write one of", id="unknown key"),
        pytest.param(
            '[[feed]]\npath = "a"\nformat = "plain"', "s.toml:2: feed.path: a is no absolute path; write /.../a",
            id="no absolute path",
        ),
        pytest.param(
            '[[feed]]\npath = "/srv/"\nformat = "plain"',
            "s.toml:2: feed.path: /srv/ names no file; write /srv/banned.txt", id="a directory",
        ),
        pytest.param(
            '[[feed]]\npath = "/srv/a"\nformat = "plian"',
            "s.toml:3: feed.format: 'plian' is none of plain csv json nft ipset stix abuseipdb dshield; did you mean",
            id="unknown format",
        ),
        pytest.param(f"{A}every = 1", "s.toml:4: feed.every: 1 is no span of 10 to", id="too often"),
        pytest.param(f'{A}origins = ["me"]', "s.toml:4: feed.origins: 'me' is none of sensor operator", id="origin"),
        pytest.param(f"{A}family = 5", "s.toml:4: feed.family: 5 is no IP version; write 4 or 6", id="family"),
        pytest.param(f"{A}limit = 0", "s.toml:4: feed.limit: 0 is not a whole number of 1 to", id="limit"),
        pytest.param(f"{A}{A}", "s.toml:5: feed.path: two feeds are written to /srv/a", id="twice the same file"),
        pytest.param(f"{A}user = 1", "s.toml:4: feed.user: user means nothing to format plain", id="user of a list"),
        pytest.param(
            '[[feed]]\npath = "/srv/a"\nformat = "dshield"', "s.toml:1: DShield needs to know who reports",
            id="no user",
        ),
        pytest.param(
            '[[feed]]\npath = "/srv/a"\nformat = "abuseipdb"\ndelay = 1',
            "s.toml:4: feed.delay: delay means nothing to a report of trips", id="delay of a report",
        ),
        pytest.param(A * 33, "s.toml:97: 33 feeds are too many; write at most 32", id="too many"),
    ],
)  # fmt: skip
def test_mistakes(text: str, told: str) -> None:
    settings, diagnostics = read(text)
    assert len(diagnostics) == 1
    assert told in diagnostics[0]
    assert len(settings.courier.feeds) == len(settings.files)
