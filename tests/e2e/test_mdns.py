"""Services are found by their names on the local network (xinetd.conf(5), mdns; sentinetd.toml, [mdns])."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.daemon import Daemon, Kind, children_of, command_line
from rig.entries import SIX, sensor, service
from rig.mdns import Browser, Seen
from rig.network import Lab

Maker = Callable[..., Daemon]
ON = "[mdns]\nenabled = true\n"
HOST = socket.gethostname().partition(".")[0]


@pytest.fixture
def browse(lab: Lab) -> Iterator[Callable[..., Browser]]:
    started: list[Browser] = []

    def start(*kinds: str) -> Browser:
        started.append(Browser(lab.clients[20], *kinds))
        return started[-1]

    yield start
    for one in started:
        one.close()


def make(make_daemon: Maker, config: str, settings: str | None = ON) -> Daemon:
    daemon = make_daemon(Kind.SENTINETD, config.replace("@PROBE@", "/bin/true"))
    if settings is not None:
        daemon.work.write("sentinetd.toml", settings).chmod(0o600)
    return daemon


def heralds(daemon: Daemon) -> list[int]:
    return [pid for pid in children_of(daemon.pid) if "sentinetd.daemon.herald" in command_line(pid)]


def test_a_service_is_found_moves_and_goes(make_daemon: Maker, browse: Callable[..., Browser]) -> None:
    daemon = make(make_daemon, service("probe-svc", 7450, "id = one"))
    browser = browse("_probe-svc._tcp")
    daemon.start()
    assert browser.next() == Seen("Added", f"one on {HOST}", "_probe-svc._tcp", 7450, (SIX,))
    daemon.reload(daemon.config.read_text().replace("7450", "7451"))
    assert browser.next().change in ("Removed", "Updated")
    found = browser.next()
    while found.port != 7451:  # the old one may be heard of once more before it is gone
        found = browser.next()
    left = heralds(daemon)
    daemon.stop()
    assert not any(Path(f"/proc/{pid}").exists() for pid in left)  # goodbye is said before we are gone
    while browser.next().change != "Removed":
        pass


def test_a_service_at_all_addresses_is_found_at_each(make_daemon: Maker, browse: Callable[..., Browser]) -> None:
    config = service("probe-svc", 7450, "flags = NORETRY", without=("bind",))
    daemon = make(make_daemon, config)
    browser = browse("_probe-svc._tcp")
    daemon.start()
    addresses = tuple(sorted(f"{start}{last}" for start in ("192.168.1.", "fd00::") for last in range(5, 9)))
    assert browser.next() == Seen("Added", f"probe-svc on {HOST}", "_probe-svc._tcp", 7450, addresses)


def test_a_new_address_of_the_host_is_found(make_daemon: Maker, browse: Callable[..., Browser], lab: Lab) -> None:
    daemon = make(make_daemon, service("probe-svc", 7450, "flags = IPv4", without=("bind",)))
    browser = browse("_probe-svc._tcp")
    daemon.start()
    assert "192.168.1.9" not in browser.next().addresses
    lab.host.ip("addr", "add", "192.168.1.9/24", "dev", "br0")
    try:
        while "192.168.1.9" not in browser.next().addresses:
            pass
    finally:
        lab.host.ip("addr", "del", "192.168.1.9/24", "dev", "br0")


def test_what_is_not_to_be_found_is_not(make_daemon: Maker, browse: Callable[..., Browser]) -> None:
    """A sensor would ban whoever looked; loopback is of no use to others. The last one comes after all the others."""
    config = (
        sensor("lure", 7460)
        + service("quiet", 7461, "mdns = no")
        + service("local", 7462, "bind = 127.0.0.1")
        + service("loud", 7463)
    )
    daemon = make(make_daemon, config)
    browser = browse("_lure._tcp", "_quiet._tcp", "_local._tcp", "_loud._tcp", "_last._tcp")
    daemon.start()
    seen = [browser.next()]
    last = service("last", 7464, "server = /bin/true", "log_type = SYSLOG daemon")
    daemon.reload(daemon.config.read_text() + last)
    while seen[-1].kind != "_last._tcp":
        seen.append(browser.next())
    assert {one.kind for one in seen} == {"_loud._tcp", "_last._tcp"}


@pytest.mark.parametrize("settings", [None, "[mdns]\nenabled = false\n"], ids=["without settings", "disabled"])
def test_nothing_is_sent_unless_it_is_asked_for(settings: str | None, make_daemon: Maker) -> None:
    daemon = make(make_daemon, service("probe-svc", 7450, "mdns = yes"), settings)
    daemon.start()
    daemon.reload()
    assert heralds(daemon) == []


def test_it_can_be_asked_for_by_a_reload(make_daemon: Maker, browse: Callable[..., Browser]) -> None:
    daemon = make(make_daemon, service("probe-svc", 7450), None)
    browser = browse("_probe-svc._tcp")
    daemon.start()
    daemon.work.write("sentinetd.toml", ON).chmod(0o600)
    daemon.reload()
    assert browser.next().port == 7450
    daemon.work.write("sentinetd.toml", "[mdns]\nenabled = false\n")
    daemon.reload()
    while browser.next().change != "Removed":
        pass


def test_a_missing_library_is_told_once_and_nothing_else_suffers(make_daemon: Maker, tmp_path: Path) -> None:
    (tmp_path / "zeroconf.py").write_text("raise ImportError('not here')\n")
    daemon = make(make_daemon, service("one", 7470) + service("two", 7471))
    daemon.extra["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    daemon.start()
    said = daemon.await_message("zeroconf is not installed").text
    assert "pip install 'sentinetd[mdns]'" in said
    daemon.reload()
    assert len(daemon.find("zeroconf is not installed")) == 1
    assert len(heralds(daemon)) == 1


def test_a_name_that_cannot_be_advertised_is_told(make_daemon: Maker, browse: Callable[..., Browser]) -> None:
    long = "much-too-long-for-dns-sd"
    daemon = make(make_daemon, service(long, 7480) + service("fine", 7481))
    browser = browse("_fine._tcp")
    daemon.start()
    assert browser.next().name == f"fine on {HOST}"
    assert f"_{long}._tcp" in daemon.await_message("cannot be advertised").text


def test_the_library_has_no_rights(make_daemon: Maker, browse: Callable[..., Browser]) -> None:
    daemon = make(make_daemon, service("probe-svc", 7450))
    browser = browse("_probe-svc._tcp")
    daemon.start()
    browser.next()
    (herald,) = heralds(daemon)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{herald}/status").read_text().splitlines())
    assert "0" not in status["Uid"].split()
    assert int(status["CapEff"], 16) == 0
    assert "zeroconf" in Path(f"/proc/{herald}/maps").read_text()
    assert "zeroconf" not in Path(f"/proc/{daemon.pid}/maps").read_text()
