"""Lists of bans that a whole daemon keeps current, in directories that its courier may write to and others."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind, children_of, command_line
from rig.deadline import wait_for

CONFIG = """\
service trap
{
    type = UNLISTED
    flags = SENSOR
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    port = 7099
    deny_time = 60
}
"""


def courier_user() -> int:
    """Whom the courier runs as."""
    try:
        return pwd.getpwnam("sentinetd").pw_uid
    except KeyError:
        return pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def place(make_daemon: Callable[..., Daemon]) -> tuple[Daemon, Path]:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    feeds = daemon.work.path / "feeds"
    feeds.mkdir(mode=0o755)
    return daemon, feeds


def settle(daemon: Daemon, *tables: str) -> None:
    text = "".join(f"[[feed]]\ndelay = 0\n{table}\n" for table in tables)
    daemon.work.write("sentinetd.toml", text).chmod(0o600)


def entries(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line[0] != "#"] if file.exists() else ["(no file)"]


def test_a_trip_is_in_the_feed_and_a_reload_moves_it(place: tuple[Daemon, Path]) -> None:
    daemon, feeds = place
    os.chown(feeds, courier_user(), -1)
    settle(daemon, f'path = "{feeds}/banned.txt"\nformat = "plain"', f'path = "{feeds}/banned.nft"\nformat = "nft"')
    daemon.start()
    wait_for(lambda: entries(feeds / "banned.txt") == [], daemon.story, 20.0)
    assert converse(daemon.lab, "192.168.1.5", 7099, "192.168.1.20") == "closed"
    wait_for(lambda: entries(feeds / "banned.txt") == ["192.168.1.20"], daemon.story, 20.0)
    wait_for(lambda: "192.168.1.20 timeout" in (feeds / "banned.nft").read_text(), daemon.story, 20.0)
    status = (feeds / "banned.txt").stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o644, courier_user())

    settle(daemon, f'path = "{feeds}/other.json"\nformat = "json"')
    daemon.reload()
    wait_for(lambda: '"192.168.1.20"' in "".join(entries(feeds / "other.json")), daemon.story, 20.0)
    assert sorted(os.listdir(feeds)) == ["banned.nft", "banned.txt", "other.json"]

    (feeds / "other.json").unlink()
    [courier] = [pid for pid in children_of(daemon.pid) if "sentinetd.daemon.courier" in command_line(pid)]
    os.kill(courier, 9)
    wait_for(lambda: '"192.168.1.20"' in "".join(entries(feeds / "other.json")), daemon.story, 20.0)


def test_a_directory_that_the_courier_may_not_write_to_is_a_mistake_with_its_place(place: tuple[Daemon, Path]) -> None:
    daemon, feeds = place
    settle(daemon, f'path = "{feeds}/banned.txt"\nformat = "plain"')
    daemon.launch()
    assert daemon.exit_status(20.0) == 1
    story = daemon.story()
    assert "sentinetd.toml:3: feed.path: no file can be made in the directory of banned.txt: Permission denied" in story
    assert f"give the directory to user {courier_user()}" in story
