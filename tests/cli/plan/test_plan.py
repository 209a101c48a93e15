"""A plan for a host with real programs: what it says, what it writes, and that a daemon runs with it and trips."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.plan.test_map import CONFIG, GOLDEN, Maker, ctl, golden, host, settled
from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.network import Lab

__all__ = ["host"]

MINE = "192.168.1.5,192.168.1.6,fd00::5"


@pytest.fixture
def included(host: Daemon) -> Path:
    """The directory that the running daemon's configuration includes."""
    directory = host.work.path / "xinetd.d"
    directory.mkdir()
    host.config.write_text(host.config.read_text() + f"includedir {directory}\n")
    return directory


def steady(out: bytes, daemon: Daemon) -> str:
    """What is printed, but for its last sentence, which names this run's directory."""
    text = out.decode().replace(str(daemon.work.path), "/WORK")
    return settled(b"\n" + re.sub(r"\n\d+ entries, not written.*", "\n", text, flags=re.DOTALL).encode())


@pytest.mark.parametrize("width", [80, 200])
def test_what_it_says(lab: Lab, host: Daemon, included: Path, width: int) -> None:
    done = ctl(lab, "plan", "-f", str(host.config), "--most", "6", width=width)
    assert (done.returncode, done.stderr) == (0, b"")
    assert max(len(line.rstrip()) for line in done.stdout.decode().splitlines()) <= width
    golden(GOLDEN / f"plan-{width}.txt", steady(done.stdout, host))
    assert not list(included.iterdir()), "nothing is written unless it is asked for"


def test_what_is_planned_trips(lab: Lab, host: Daemon, included: Path) -> None:
    done = ctl(lab, "plan", "-f", str(host.config), "--write", "--deny-time", "30", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    file = included / "sentinetd-sensors"
    assert told["written"] == str(file)
    assert file.read_text() == told["entries"]
    assert file.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in included.iterdir()) == ["sentinetd-sensors"]

    host.reload()
    proposed = [one for one in told["proposals"] if one["protocol"] == "tcp"]
    opened = sum(len(one["ids"]) for one in proposed)
    assert opened > 20
    assert not [one for one in host.find("bind failed") if "http-8" not in one.text]
    # From two addresses: a sensor for all, by IPv4 and by IPv6, and one of an address.
    for source, at, port, sensor in (
        ("192.168.1.20", "192.168.1.7", 23, "telnet-sensor"),
        ("fd00::21", "fd00::6", 3306, "mysql-sensor"),
        ("192.168.1.22", "192.168.1.8", 22, "ssh-192-168-1-8"),
    ):
        assert converse(lab, at, port, source) == "closed"
        host.await_message(f"Adding {source} to the global_no_access list for 30 minutes, sensor {sensor}")
    assert converse(lab, "192.168.1.7", 13, "192.168.1.20") == "closed", "banned"

    after = {(one["address"], one["port"]): one["state"] for one in told["after"]["cells"]}
    seen = json.loads(ctl(lab, "map", "-f", str(host.config), "--json").stdout)
    now = {(one["address"], one["port"]): one["state"] for one in seen["cells"]}
    assert now == after, "the daemon made what the plan drew"
    assert all(one["open"] for one in seen["cells"] if one["state"] == "sensor")

    again = ctl(lab, "plan", "-f", str(host.config), "--write")
    assert again.returncode == 2
    assert b"sentinetd-sensors exists, and nothing is overwritten" in again.stderr
    assert file.read_text() == told["entries"]
    rest = json.loads(ctl(lab, "plan", "-f", str(host.config), "--write", f"{included}/more", "--json").stdout)
    assert not {one["port"] for one in rest["proposals"]} & {one["port"] for one in proposed}


def test_addresses_and_ports_of_my_choice(lab: Lab, host: Daemon, included: Path) -> None:
    done = ctl(
        lab, "plan", "-f", str(host.config), "--addresses", MINE, "--ports", "2222,telnet,80,22,161/udp", "--write",
        f"{included}/mine", "--json",
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert {(one["port"], *one["addresses"]) for one in told["proposals"]} == {
        (2222, *MINE.split(",")), (23, *MINE.split(",")), (22, "192.168.1.5", "fd00::5"), (161, *MINE.split(",")),
    }  # fmt: skip
    assert told["refusals"][0]["why"] == "nginx listens on all addresses"
    assert (included / "mine").read_text().count("service ") == 11


def test_the_rest_in_one_sensor_trips(lab: Lab, host: Daemon, included: Path) -> None:
    done = ctl(lab, "plan", "-f", str(host.config), "--catch-all", "--most", "0", "--write")
    assert (done.returncode, done.stderr) == (0, b"")
    host.reload()
    assert converse(lab, "192.168.1.6", 12345, "192.168.1.20") == "closed"
    host.await_message("Adding 192.168.1.20 to the global_no_access list for 120 minutes, sensor catch-all, port 12345")
    told = json.loads(ctl(lab, "map", "-f", str(host.config), "--ports", "12345,22", "--json").stdout)
    seen = {(one["address"], one["port"]): (one["state"], one["services"]) for one in told["cells"]}
    assert seen["192.168.1.6", 12345] == ("sensor", ["catch-all"])
    assert seen["192.168.1.6", 22] == ("used", []), "sshd goes first"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--write", "/etc/elsewhere"), "/etc/elsewhere would not be read: ", id="not included"),
        pytest.param(("--write", "@DIR@/a.conf"), "includedir passes over names with a dot", id="a name with a dot"),
        pytest.param(("--deny-time", "soon"), "--deny-time: Error parsing: soon; write whole minutes", id="deny time"),
        pytest.param(("--ports", "0"), "--ports: 0 is no port", id="port 0"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    lab: Lab, host: Daemon, included: Path, words: tuple[str, ...], said: str
) -> None:
    done = ctl(lab, "plan", "-f", str(host.config), *(word.replace("@DIR@", str(included)) for word in words))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().count("\n") == 1
    assert said in done.stderr.decode()
    assert not list(included.iterdir())


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        pytest.param("enabled = irc-6", "telnet-sensor would not run: enabled or disabled in defaults", id="enabled"),
        pytest.param("bind = 192.168.1.7", "telnet-sensor would listen elsewhere: defaults have bind", id="bind"),
        pytest.param("v6only = yes", "telnet-sensor would listen elsewhere: defaults have bind or v6only", id="v6only"),
    ],
)
def test_a_configuration_that_would_change_the_entries(
    lab: Lab, make_daemon: Maker, defaults: str, said: str
) -> None:
    daemon = make_daemon(Kind.SENTINETD, f"defaults\n{{\n\t{defaults}\n}}\n" + CONFIG)
    done = ctl(lab, "plan", "-f", str(daemon.config), "--ports", "telnet")
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr.decode()


def test_no_includedir_no_file(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)
    done = ctl(lab, "plan", "-f", str(daemon.config), "--write")
    assert done.returncode == 2
    assert b"has no includedir line" in done.stderr


def test_who_is_logged_in_is_named(lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(Kind.SENTINETD, CONFIG)

    def said() -> str:
        done = ctl(lab, "plan", "-f", str(daemon.config), width=200, SSH_CONNECTION="198.51.100.7 4711 192.0.2.1 22")
        return done.stdout.decode()

    assert "You are logged in from 198.51.100.7, which is not exempt." in said()
    daemon.work.write("sentinetd.toml", '[bans]\nexempt = ["198.51.100.0/24"]\n').chmod(0o600)
    assert "exempt" not in said()
