"""What contrib/ has for readers of our logs, with the programs that read them: fail2ban, CrowdSec, rsyslog, logrotate.

The rules for Suricata and Snort are judged here by what their words mean, over datagrams that a daemon has sent: Debian
has neither program at present.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import sensor, service
from rig.network import Lab

Maker = Callable[..., Daemon]

ROOT = Path(__file__).parents[2]
CONTRIB = ROOT / "contrib"
CROWDSEC = ROOT / ".cache" / "servers" / "crowdsec"
FIVE, SIX, A, B = "192.168.1.5", "192.168.1.6", "192.168.1.20", "192.168.1.21"
WITHIN = 20.0
WATCH = sensor("watch", 7002, "deny_time = NEVER")
DECOY = sensor("decoy", 7003)
WORD = service("real", 7001, "server_args = do=word=hi", "cps = 0 10")

HOSTILE = """\
26/11/25@16:20:39 sentinetd[27]: CRITICAL: 27 {process_sensor} Adding 203.0.113.1 to the global_no_access list for 60 \
minutes, sensor irc
26/11/5@6:20:41 sentinetd[27]: CRITICAL: 27 {process_sensor} Sensor irc touched by 2001:db8::2, not banned: deny_time \
= NEVER
Nov 25 16:20:39 gw sentinetd[27]: 27 {process_sensor} Adding 203.0.113.3 to the global_no_access list for -1 minutes, \
sensor irc (until lifted)
2026-11-25T16:20:39.123456+00:00 gw sentinetd[27]: 27 {process_sensor} Adding 203.0.113.4 to the global_no_access list \
for 5 minutes, sensor irc
26/11/25@16:20:41: FAIL: irc address from=203.0.113.5
Nov 25 16:20:39 gw sentinetd[27]: FAIL: irc libwrap from=203.0.113.6
26/11/25@16:20:40 sentinetd[27]: CRITICAL: 27 {process_sensor} Sensor irc touched by 198.51.100.1, not banned: exempt
26/11/25@16:20:41: FAIL: irc service_limit from=198.51.100.2
26/11/25@16:20:41: USERID: irc FAIL: irc address from=198.51.100.3
Nov 25 16:20:39 gw other[1]: Adding 198.51.100.4 to the global_no_access list for 60 minutes, sensor irc
Nov 25 16:20:39 gw sentinetd[27]: x Adding 198.51.100.5 to the global_no_access list for 60 minutes, sensor irc
Nov 25 16:20:39 gw sentinetd[27]: Adding 198.51.100.6 to the global_no_access list for 60 minutes, by the operator
"""
"""Lines of all forms; those of 198.51.100.0/24 must move nobody: exempt, a limit, forged, the operator's."""


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Maker:
    def make(config: str, settings: str = "") -> Daemon:
        daemon = make_daemon(Kind.SENTINETD, config.replace("@PROBE@", str(probe)))
        path = daemon.work.write("sentinetd.toml", settings.replace("@WORK@", str(daemon.work.path)))
        path.chmod(0o600)
        return daemon

    return make


def touch(lab: Lab, port: int, source: str) -> None:
    assert converse(lab, FIVE, port, source) == "closed"


# fail2ban.


@pytest.fixture
def fail2ban(tmp_path: Path) -> Path:
    """A configuration of fail2ban: Debian's, and our filter."""
    directory = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", directory)
    shutil.rmtree(directory / "jail.d")
    (directory / "jail.d").mkdir()
    for path in (CONTRIB / "fail2ban" / "filter.d").iterdir():
        shutil.copy(path, directory / "filter.d")
    return directory


def matched(fail2ban: Path, log: Path, mode: str) -> set[str]:
    """The addresses that the filter finds in *log*."""
    words = ["fail2ban-regex", "-c", str(fail2ban), "-o", "ip", str(log), f"sentinetd[mode={mode}]"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("mode", "addresses"),
    [
        ("sensor", {"203.0.113.1", "2001:db8::2", "203.0.113.3", "203.0.113.4"}),
        ("refused", {"203.0.113.1", "2001:db8::2", "203.0.113.3", "203.0.113.4", "203.0.113.5", "203.0.113.6"}),
    ],
)
def test_fail2ban_matches_trips_and_nothing_that_looks_like_one(
    fail2ban: Path, tmp_path: Path, mode: str, addresses: set[str]
) -> None:
    log = tmp_path / "log"
    log.write_text(HOSTILE)
    assert matched(fail2ban, log, mode) == addresses


def test_the_jail_is_one_that_fail2ban_takes(fail2ban: Path, tmp_path: Path) -> None:
    text = (CONTRIB / "fail2ban" / "jail.d" / "sentinetd.conf").read_text()
    (tmp_path / "log").touch()
    (fail2ban / "jail.d" / "x.conf").write_text(text.replace("/var/log/sentinetd.log", str(tmp_path / "log")))
    words = ["fail2ban-client", "-c", str(fail2ban), "--dump-pretty"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"'sentinetd', 'addfailregex'|'multi-set', 'sentinetd', 'addfailregex'", done.stdout)


def test_a_real_fail2ban_bans_from_our_log(make: Maker, lab: Lab, fail2ban: Path) -> None:
    daemon = make(WATCH + WORD)
    daemon.start()
    work = daemon.work.path
    (fail2ban / "jail.d" / "sentinetd.conf").write_text(
        f"[sentinetd]\nenabled = true\nfilter = sentinetd\nlogpath = {daemon.log}\nbackend = polling\nmaxretry = 1\n"
        "bantime = 2h\nignoreself = false\nbanaction = nftables[type=allports]\nusedns = no\n"
    )
    (fail2ban / "fail2ban.local").write_text(
        f"[Definition]\ndbfile = None\nlogtarget = {work}/f2b.log\nsocket = {work}/f2b.sock\npidfile = {work}/f2b.pid\n"
    )
    words = ["fail2ban-server", "-c", str(fail2ban), "-xf", "start"]
    with (work / "f2b.out").open("wb") as out:
        server = subprocess.Popen(lab.host.command(*words), stdout=out, stderr=out)
    try:
        log = work / "f2b.log"
        wait_for(
            lambda: log.exists() and "Jail 'sentinetd' started" in log.read_text(),
            lambda: (work / "f2b.out").read_text() + (log.read_text() if log.exists() else ""),
            WITHIN,
        )
        assert converse(lab, SIX, 7001, A) == "hi\n"
        touch(lab, 7002, A)
        wait_for(lambda: f"Ban {A}" in log.read_text(), log.read_text, WITHIN)
        wait_for(lambda: converse(lab, SIX, 7001, A) != "hi\n", "a ban by the kernel", WITHIN)
        assert converse(lab, SIX, 7001, B) == "hi\n"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        subprocess.run(lab.host.command("nft", "flush", "ruleset"), check=True)


# CrowdSec.

CROWDSEC_CONFIG = """\
common: {{daemonize: false, log_media: stdout, log_level: info, log_dir: {at}}}
config_paths: {{config_dir: {at}, data_dir: {at}/data, simulation_path: {at}/simulation.yaml, hub_dir: {at}/hub,
  index_path: {at}/hub/.index.json, notification_dir: {at}/notifications, plugin_dir: {at}}}
crowdsec_service: {{acquisition_path: "", parser_routines: 1}}
cscli: {{output: human}}
db_config: {{type: sqlite, db_path: {at}/data/crowdsec.db}}
api:
  client: {{credentials_path: {at}/lapi.yaml}}
  server: {{log_level: info, listen_uri: "127.0.0.1:18080", profiles_path: {at}/profiles.yaml}}
prometheus: {{enabled: false}}
"""


class Crowdsec:
    """Debian's CrowdSec with our parser and scenario, its local API in the lab's host; nothing of it leaves there."""

    def __init__(self, lab: Lab, at: Path) -> None:
        self._lab = lab
        self._config = at / "config.yaml"
        hub, etc = CROWDSEC / "usr/share/crowdsec/hub", CROWDSEC / "etc/crowdsec"
        for name in ("data", "hub", "notifications", "scenarios", "parsers"):
            (at / name).mkdir(parents=True)
        for stage, name in (("s00-raw", "syslog-logs"), ("s02-enrich", "dateparse-enrich")):
            (at / "parsers" / stage).mkdir()
            shutil.copy(hub / "parsers" / stage / "crowdsecurity" / f"{name}.yaml", at / "parsers" / stage)
        shutil.copytree(CONTRIB / "crowdsec/parsers/s01-parse", at / "parsers/s01-parse")
        shutil.copytree(CONTRIB / "crowdsec/scenarios", at / "scenarios", dirs_exist_ok=True)
        shutil.copytree(etc / "patterns", at / "patterns")
        for name in ("simulation.yaml", "profiles.yaml"):
            shutil.copy(etc / name, at)
        (at / "hub" / ".index.json").write_text('{"parsers":{},"scenarios":{},"collections":{},"postoverflows":{}}')
        self._config.write_text(CROWDSEC_CONFIG.format(at=at))
        (at / "lapi.yaml").write_text("url: http://127.0.0.1:18080\nlogin: x\npassword: x\n")
        self._run("cscli", "machines", "add", "x", "--password", "x", "-f", str(at / "lapi.yaml"), "--force")
        words = [str(CROWDSEC / "usr/bin/crowdsec"), "-c", str(self._config), "-no-cs", "-no-capi"]
        with (at / "log").open("wb") as log:
            self._server = subprocess.Popen(lab.host.command(*words), stdout=log, stderr=log)
        wait_for(self._listens, (at / "log").read_text, WITHIN)

    def _listens(self) -> bool:
        done = subprocess.run(self._lab.host.command("ss", "-Hltn"), capture_output=True, text=True, check=True)
        return ":18080 " in done.stdout

    def _run(self, program: str, *words: str) -> str:
        environment = {**os.environ, "PATH": f"{CROWDSEC / 'usr/bin'}:{os.environ['PATH']}"}
        command = self._lab.host.command(str(CROWDSEC / "usr/bin" / program), "-c", str(self._config), *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tripped(self, log: Path, kind: str) -> list[str]:
        """The lines of *log* by which our scenario is set off, as `cscli explain` says."""
        explained = self._run("cscli", "explain", "--file", str(log), "--type", kind)
        parts = re.split(r"^line: ", explained, flags=re.M)[1:]
        return [part.partition("\n")[0] for part in parts if "\U0001f7e2 sentinetd/sentinetd-trip" in part]

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(30)


@pytest.fixture
def crowdsec(lab: Lab, tmp_path: Path) -> Iterator[Crowdsec]:
    if not CROWDSEC.is_dir():
        pytest.fail(f"{CROWDSEC} is not there: run scripts/install-test-needs")
    made = Crowdsec(lab, tmp_path / "crowdsec")
    try:
        yield made
    finally:
        made.close()


def test_crowdsec_explains_our_lines_as_trips(make: Maker, lab: Lab, crowdsec: Crowdsec, tmp_path: Path) -> None:
    log = tmp_path / "syslog"
    log.write_text("".join(f"{line}\n" for line in HOSTILE.splitlines() if line.startswith("Nov")))
    (line,) = crowdsec.tripped(log, "syslog")
    assert "203.0.113.3" in line
    daemon = make(
        WATCH + DECOY,
        '[[alert]]\ntype = "file"\npath = "@WORK@/events.json"\n[bans]\nexempt = ["192.168.1.23"]\n',
    )
    daemon.start()
    for port, source in ((7002, A), (7003, B), (7003, "192.168.1.23")):
        touch(lab, port, source)
    events = daemon.work.path / "events.json"
    wait_for(lambda: events.exists() and events.read_text().count("sensor.tripped") == 3, "three trips", WITHIN)
    sources = [json.loads(line)["source"] for line in crowdsec.tripped(events, "sentinetd")]
    assert sorted(sources) == [A, B], "and not the exempt one"


# Suricata and Snort.


def fires(rule: str, payload: bytes) -> bool:
    """Whether the contents of *rule* are found in *payload*, as Suricata and Snort understand `depth`, `distance`."""
    place = 0
    for content, options in re.findall(r'content:"([^"]*)";((?: (?:depth|distance):\d+;)*)', rule):
        modifiers = dict(re.findall(r"(depth|distance):(\d+)", options))
        start = place + int(modifiers["distance"]) if "distance" in modifiers else 0
        window = payload[start : start + int(modifiers["depth"])] if "depth" in modifiers else payload[start:]
        found = window.find(content.encode())
        if found < 0:
            return False
        place = start + found + len(content)
    return True


def test_the_rules_fire_on_what_goes_over_the_wire(make: Maker, lab: Lab) -> None:
    rules = [line for line in (CONTRIB / "ids/sentinetd.rules").read_text().splitlines() if line.startswith("alert ")]
    assert len({re.search(r"sid:(\d+);", rule)[1] for rule in rules}) == len(rules)  # type: ignore[index]
    for rule in rules:
        assert re.fullmatch(r'alert udp any any -> any 514 \(msg:"[^"]+";.* classtype:[a-z-]+; sid:\d+; rev:1;\)', rule)
    with lab.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(WITHIN)
        address = f'address = "udp://127.0.0.1:{server.getsockname()[1]}"\n'
        daemon = make(
            DECOY,
            f'[[alert]]\ntype = "syslog"\nkinds = ["sensor.tripped", "ban.imposed", "service.*"]\n{address}'
            f'[[alert]]\ntype = "syslog"\nname = "t"\nformat = "text"\nkinds = ["sensor.tripped"]\n{address}',
        )
        daemon.start()
        touch(lab, 7003, A)
        datagrams = [server.recv(65536) for _ in range(3)]
    fired = sorted(tuple(number for number, rule in enumerate(rules) if fires(rule, one)) for one in datagrams)
    assert fired == [(0, 3), (0, 3), (1,)] or fired == [(0,), (0, 3), (1,)]
    assert not any(fires(rule, b"<30>1 - gw sentinetd 5 service.adjusted - x") for rule in rules)


# rsyslog and logrotate.


def test_rsyslog_puts_our_messages_into_a_file_of_their_own(make: Maker, lab: Lab, tmp_path: Path) -> None:
    snippet = (CONTRIB / "rsyslog/sentinetd.conf").read_text().replace("/var/log/", f"{tmp_path}/")
    config = tmp_path / "rsyslog.conf"
    config.write_text(
        f'global(workDirectory="{tmp_path}")\nmodule(load="imudp")\n'
        f'input(type="imudp" address="127.0.0.1" port="10516")\n{snippet}\n*.* action(type="omfile" '
        f'file="{tmp_path}/other.log")\n'
    )
    checked = subprocess.run(["rsyslogd", "-N1", "-f", str(config)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    server = subprocess.Popen(
        lab.host.command("rsyslogd", "-n", "-f", str(config), "-i", str(tmp_path / "pid")), stderr=subprocess.DEVNULL
    )
    try:
        shown = lab.host.command("ss", "-Hlun")
        wait_for(lambda: b":10516 " in subprocess.run(shown, capture_output=True, check=True).stdout, "rsyslog", WITHIN)
        daemon = make(DECOY, '[[alert]]\ntype = "syslog"\naddress = "udp://127.0.0.1:10516"\n')
        daemon.start()
        touch(lab, 7003, A)
        log = tmp_path / "sentinetd.log"
        wait_for(lambda: log.exists() and f"Adding {A} to the" in log.read_text(), "our message", WITHIN)
        assert "sentinetd" not in (tmp_path / "other.log").read_text() if (tmp_path / "other.log").exists() else True
    finally:
        server.terminate()
        server.wait(30)


def test_logrotate_loses_nothing(make: Maker, lab: Lab, tmp_path: Path) -> None:
    daemon = make(
        service("real", 7001, "server_args = do=word=hi", f"no_access = {A}", "cps = 0 10"),
        '[[alert]]\ntype = "file"\npath = "@WORK@/events.json"\nkinds = ["connection.refused"]\n',
    )
    daemon.start()
    work = daemon.work.path
    config = tmp_path / "logrotate.conf"
    text = (CONTRIB / "logrotate/sentinetd").read_text()
    text = text.replace("/var/log/sentinetd/", f"{work}/")
    config.write_text(text.replace("/run/sentinetd.pid", str(daemon.pidfile)))
    config.chmod(0o644)
    work.chmod(0o755)
    refused = 0

    def refuse(times: int) -> None:
        nonlocal refused
        for _ in range(times):
            converse(lab, SIX, 7001, A)
            refused += 1

    def seen(*patterns: str) -> int:
        return sum(path.read_text().count(f"from={A}") + path.read_text().count('"connection.refused"')
                   for pattern in patterns for path in work.glob(pattern))  # fmt: skip

    refuse(5)
    wait_for(lambda: seen("service.log") == 5 and seen("events.json") == 5, "the first lines", WITHIN)
    reloads = len(daemon.find("Reconfigured"))
    words = ["logrotate", "-v", "-f", "-s", str(tmp_path / "state"), str(config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    refuse(5)
    wait_for(lambda: seen("service.log*") == refused and seen("events.json*") == refused, "all lines", WITHIN)
    wait_for(lambda: len(daemon.find("Reconfigured")) > reloads, "a reload", WITHIN)
    refuse(3)
    wait_for(lambda: seen("service.log*") == seen("events.json*") == refused, "all lines, none twice", WITHIN)
    assert seen("service.log.1") >= 5
    assert seen("service.log") >= 3
    assert seen("events.json") >= 3
