"""What packages ship runs here as it does under xinetd: the same services, no complaint that xinetd has not."""

from __future__ import annotations

import gzip
import re
import select
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from differential import samples
from differential.exchanges import daytime, first, reached, seconds
from differential.stage import SAME, B, Case, Stage, Step, play
from differential.steps import begin, end, meet, post, reload, say, talk, world
from rig.daemon import Daemon, Kind
from rig.network import Lab

Make = Callable[..., Daemon]
EXAMPLES = Path("/usr/share/doc/xinetd/examples")
"""Where Debian's package has the sample and the template of the sources."""
FIVE = "192.168.1.5"
STAY = ("-stayalive",)


def answered(port: int) -> Step:
    return lambda stage: "answered" if post(port)(stage) not in ("refused", "silence") else "not answered"


def also(first_step: Step, then: Step) -> Step:
    """Both; what the second one saw."""

    def step(stage: Stage) -> object:
        first_step(stage)
        return then(stage)

    return step


def without_nul(step: Step) -> Step:
    """*step*, with what xinetd alone says after an answer left out."""
    return lambda stage: step(stage).rstrip("\0")


INTERNAL: Mapping[str, Step] = {
    "echo": talk(7, b"one\r\ntwo"),
    "discard": talk(9, b"one"),
    "daytime": daytime(talk(13)),
    "chargen": first(148, 19),
    "time": seconds(talk(37)),
    "echo by UDP": post(7, b"one"),
    "discard by UDP": post(9, tries=1),
    "daytime by UDP": daytime(post(13)),
    "chargen by UDP": lambda stage: len(post(19)(stage)),
    "time by UDP": seconds(post(37)),
}
NOTHING: Mapping[str, Step] = {
    **{name: talk(port) for name, port in samples.PORTS.items()},
    "echo by UDP": post(7, tries=1),
}
LISTS: Mapping[str, Step] = {
    "somebody is served": also(begin("one", 7, ready=False), say("one")),
    "servers": talk(9099),
    "services": talk(9098),
    "servers, at home": reached(9099, samples.HOME, samples.HOME),
    "services, at home": reached(9098, samples.HOME, samples.HOME),
    "nobody any more": end("one"),
}
"""Debian's xinetd is built without these two: there it says so and leaves them out."""
OF_THE_SAMPLE: Mapping[str, Step] = {
    **{
        name: meet(port)
        for name, port in {"login": 513, "exec": 512, "ftp": 21, "finger": 79, "systat": 11}.items()
    },
    "shell, where nobody is identified": meet(514),
    "netstat, from elsewhere": meet(15),
    "netstat": meet(15, source="192.168.2.9"),
    "telnet": reached(23),  # by the redirect to the one at home
    "telnet, at home": meet(23, samples.HOME, samples.HOME),
    **{name: answered(port) for name, port in {"comsat": 512, "talk": 517, "ntalk": 518}.items()},
    "tftp, disabled": post(69, tries=1),
    "echo": talk(7, b"one"),
    "daytime by UDP": daytime(post(13)),
    "touches": talk(194, host=FIVE),
    "echo, banned": talk(7, b"one"),
}


OF_THE_WILD: Mapping[str, Step] = {
    "agent": meet(6556),
    "agent, from elsewhere": meet(6556, source=B),
    "cluster": world(9200, "uid", "argv.0"),
    "cluster, by IPv6": reached(9200, "fd00::6", "fd00::20"),
    "arena": world(9999, "argv.0", "argv.1", "argv.3", "rlimit.cpu", "nice"),
    "desk": world(5901, "uid", "gid", "argv.4", 'env."DISPLAY'),
    "grid": world(2811, "env.PORTS", "env.LIBRARY", "nice"),
    "relay": world(8080, "uid"),
    "relay, from elsewhere": meet(8080, source="192.168.2.9"),
    "office": meet(8081),
    "office, refused": meet(8081, source=B),
    "office, refused as a network": meet(8081, source="192.168.2.9"),
    "odd": meet(8082),
    "old": meet(8084),
    "gone": meet(8085),
    "tftp": answered(69),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """*available* services, the entries that there are *complaints* about, what clients saw, and a reload's word."""

    available: int
    complaints: frozenset[str]
    outcomes: Mapping[str, object]
    reloaded: str


def watch(
    daemon: Daemon, lab: Lab, probe: Path, files: Mapping[str, str], steps: Mapping[str, Step], reloading: bool
) -> Seen:
    """Start *daemon* on *files*, take the steps, reload what has not changed."""
    outcomes: dict[str, object] = {}
    reloaded: list[str] = []

    def all_steps(stage: Stage) -> None:
        for name, step in steps.items():
            outcomes[name] = step(stage)
            _drain(stage)
        if reloading:
            reloaded.append(reload()(stage))

    rest = {name: text for name, text in files.items() if name != "xinetd.conf"}
    case = Case(
        id="", config=files["xinetd.conf"], steps=(all_steps,), expect=SAME, options=STAY, files=rest, syslog=True
    )
    stage = Stage(daemon, lab, case, probe)
    daemon.config.write_text(stage.fill(case.config))
    play(stage)
    started = re.search(r"Started working: (\d+) available", daemon.find("Started working")[0].text)
    assert started is not None
    return Seen(int(started[1]), _complaints(stage), outcomes, "".join(reloaded))


def _drain(stage: Stage) -> None:
    """Take what was sent to syslog(3), for whose next lines there would be no room otherwise."""
    assert stage.syslog is not None
    while select.select([stage.syslog], [], [], 0)[0]:
        stage.syslog.recv(8192)


def _complaints(stage: Stage) -> frozenset[str]:
    """The entries that messages of level ERROR and above speak of, by line or by name."""
    lines = stage.daemon.config.read_text().splitlines()
    found = set()
    for message in stage.daemon.messages():
        if message.level not in ("ERROR", "CRITICAL", "?") or "{process_sensor}" in message.text:
            continue
        place = re.search(r"\[line=(\d+)\]|xinetd\.conf:(\d+):", message.text)
        name = re.search(r"(rpcbind) cannot|[Ss]ervice ?[=:]? ?(\w+)", message.text)
        if place is not None:
            heads = [line for line in lines[: int(place[1] or place[2])] if line.startswith("service ")]
            found.add(heads[-1].split()[1])
        else:
            found.add((name[1] or name[2]) if name is not None else message.text)
    return frozenset(found)


def both(
    lab: Lab,
    probe: Path,
    make_daemon: Make,
    files: Mapping[str, str],
    steps: Mapping[str, Step],
    *,
    reloading: bool = True,
) -> list[Seen]:
    """What xinetd and sentinetd show, in this order."""
    seen = []
    for kind in Kind:
        daemon = make_daemon(kind, "")
        seen.append(watch(daemon, lab, probe, files, steps, reloading))
        daemon.close()
        lab.host.sweep()
    return seen


SHIPPED = {"openSUSE": samples.suse, "the sources": samples.sources, "Debian": samples.debian}


@pytest.mark.parametrize("shipped", SHIPPED.values(), ids=SHIPPED)
def test_as_shipped_nothing_runs_and_nothing_is_wrong(
    shipped: Callable[[str], dict[str, str]], lab: Lab, probe: Path, make_daemon: Make
) -> None:
    theirs, ours = both(lab, probe, make_daemon, shipped("yes"), NOTHING)
    assert ours == theirs
    assert ours.available == 0
    assert not ours.complaints
    assert set(ours.outcomes.values()) <= {"refused", "silence"}


@pytest.mark.parametrize("shipped", SHIPPED.values(), ids=SHIPPED)
def test_switched_on_everything_answers_alike(
    shipped: Callable[[str], dict[str, str]], lab: Lab, probe: Path, make_daemon: Make
) -> None:
    theirs, ours = both(lab, probe, make_daemon, shipped("no"), INTERNAL)
    assert ours.outcomes == theirs.outcomes
    assert "refused" not in ours.outcomes.values()
    assert not ours.complaints
    assert ours.available == theirs.available + len(theirs.complaints), theirs.complaints
    assert ours.reloaded == f"Reconfigured: new=0 old={ours.available} dropped=0 (services)"


def test_the_lists_of_opensuse_are_for_people_at_home(lab: Lab, probe: Path, make_daemon: Make) -> None:
    _theirs, ours = both(lab, probe, make_daemon, samples.suse("no"), LISTS)
    assert ours.outcomes == {
        "somebody is served": "echoed", "servers": "closed", "services": "closed", "servers, at home": "served",
        "services, at home": "served", "nobody any more": None,
    }  # fmt: skip


def test_the_sensor_and_the_multiplexer_of_the_sources(lab: Lab, probe: Path, make_daemon: Make) -> None:
    ask = without_nul(talk(1, b"nobody\r\n"))
    steps = {"tcpmux": ask, "touch": talk(21), "tcpmux, banned": ask}
    theirs, ours = both(lab, probe, make_daemon, samples.sources("no"), steps)
    assert ours.outcomes == theirs.outcomes
    assert ours.outcomes["tcpmux"] != ours.outcomes["tcpmux, banned"]


def test_the_large_sample_with_its_servers(lab: Lab, probe: Path, make_daemon: Make) -> None:
    text = re.sub(r"@SERVERS@/\S+", "@PROBE@", samples.SAMPLE).replace("@PS@", "/bin/ps")
    theirs, ours = both(lab, probe, make_daemon, {"xinetd.conf": text}, OF_THE_SAMPLE, reloading=False)
    assert ours.outcomes == theirs.outcomes
    assert ours.outcomes["telnet"] == ours.outcomes["netstat"] == "served"
    assert ours.complaints <= {"name", "rpcbind"}, "no UDP port has that name any more; rpcbind does not run"
    assert theirs.complaints == {"name", "rstatd", "rquotad", "rusersd", "sprayd", "walld"}
    assert ours.available == theirs.available + 5, "what can be found when rpcbind runs is there already"


def test_the_large_sample_without_its_servers(lab: Lab, probe: Path, make_daemon: Make) -> None:
    text = samples.SAMPLE.replace("@SERVERS@", "/usr/etc").replace("@PS@", "/usr/ucb/ps")
    theirs, ours = both(lab, probe, make_daemon, {"xinetd.conf": text}, {"echo": talk(7, b"one")})
    assert ours.outcomes == theirs.outcomes
    assert ours.available == theirs.available
    assert theirs.complaints - ours.complaints == {"tftp"}, "it is disabled"
    assert ours.complaints <= theirs.complaints


def test_the_template_before_it_is_filled_in(lab: Lab, probe: Path, make_daemon: Make) -> None:
    theirs, ours = both(lab, probe, make_daemon, {"xinetd.conf": samples.TEMPLATE}, {})
    assert ours == theirs
    assert ours.complaints == {"empty"}


def test_what_is_found_in_the_wild(lab: Lab, probe: Path, make_daemon: Make) -> None:
    files = {"xinetd.conf": samples.WILD, "full": "come back later\n"}
    theirs, ours = both(lab, probe, make_daemon, files, OF_THE_WILD)
    assert ours.outcomes == theirs.outcomes
    assert ours.available == theirs.available
    assert ours.complaints <= theirs.complaints
    assert ours.complaints >= {"agent", "gone"}
    assert ours.reloaded == theirs.reloaded


def test_debians_own_files(lab: Lab, probe: Path, make_daemon: Make) -> None:
    """Those of the package, as it has installed them."""
    for path in ("/etc/xinetd.conf", EXAMPLES / "sample.conf.gz", EXAMPLES / "empty.conf"):
        if not Path(path).exists():
            pytest.skip(f"{path} is not installed")
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if str(path).endswith(".gz") else data).decode()
        theirs, ours = both(lab, probe, make_daemon, {"xinetd.conf": text}, {})
        assert ours.available == theirs.available, path
        assert ours.complaints <= theirs.complaints, path
