"""A flood of events into the seam between guard and courier: one sink hangs, one refuses, the others get everything.

`python tests/soak/flood.py [RATE] [SECONDS]`, as root; `make flood`. Then the same with a real guard: how long a client
waits for its answer, with no alerts and with such sinks, side by side.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rig.client import converse
from rig.daemon import Daemon, Kind, Work
from rig.deadline import wait_for
from rig.entries import service
from rig.network import Lab, temporary
from rig.probe import build
from rig.receivers import Bytes, Town, framed, hang, listening, port_of
from rig.seam import Seam
from sentinetd.model import events as ev
from sentinetd.model.address import Address
from sentinetd.model.alert import Alert, FileTarget, HpfeedsTarget, SyslogTarget, Transport
from sentinetd.model.settings import CourierSettings
from sentinetd.model.verdict import Reason

AT_ONCE = 100
"""Events in one packet."""
ALL = ("connection.refused",)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of *told* events, those at each working sink; the losses that the log tells of each failing one. *seconds* until
    all were answered, *delivered* until all were at the sinks that work."""

    told: int
    seconds: float
    delivered: float
    file: int
    syslog: int
    lost: dict[str, int]


def flood(directory: Path, rate: float, count: int) -> Outcome:
    """Tell a courier *count* events, at most *rate* a second."""
    state, log, everything = directory / "state", directory / "log", directory / "all.json"
    state.mkdir()
    refused = listening()
    nobody = port_of(refused)
    refused.close()
    with Town() as town:
        hanging, taking, taken = listening(), listening(), Bytes()
        town.serve(hang, hanging)
        town.serve(taken, taking)
        hpfeeds = HpfeedsTarget(
            host="127.0.0.1", port=port_of(hanging), ident="i", secret="s", channel="c", encrypted=False
        )
        alerts = (
            Alert(name="file", kinds=ALL, queue=1_000_000, file=FileTarget(file=0)),
            Alert(name="hangs", kinds=ALL, queue=1000, timeout=1.0, hpfeeds=hpfeeds),
            Alert(name="refuses", kinds=ALL, queue=1000, syslog=_tcp(nobody)),
            Alert(name="takes", kinds=ALL, queue=1_000_000, format="json", syslog=_tcp(port_of(taking))),
        )
        seam = Seam(state, log, "file", "hpfeeds", "syslog")
        try:
            seam.instruct(CourierSettings(alerts=alerts), everything)
            began = time.monotonic()
            seconds = _pour(seam, rate, count)
            wait_for(lambda: _lines(everything) >= count, lambda: f"{_lines(everything)} in the file", 120.0, 0.2)
            wait_for(lambda: taken.data.count(b'"connection.refused"') >= count, "all at the server", 120.0, 0.2)
            delivered = time.monotonic() - began
            seam.end()
        finally:
            seam.close()
        there = sum('"connection.refused"' in one for one in framed(bytes(taken.data)))
    lost = {name: sum(map(int, _told(log, name))) for name in ("hangs", "refuses", "file", "takes")}
    return Outcome(count, seconds, delivered, _lines(everything), there, lost)


def _pour(seam: Seam, rate: float, count: int) -> float:
    """Tell *count* events; the seconds until all are answered."""
    began = time.monotonic()
    for number in range(0, count, AT_ONCE):
        seam.tell(*(refusal(number + more) for more in range(min(AT_ONCE, count - number))))
        early = began + (number + AT_ONCE) / rate - time.monotonic()
        if early > 0:
            time.sleep(early)
    wait_for(lambda: not seam.behind, "answers", 60.0)
    return time.monotonic() - began


def _tcp(port: int) -> SyslogTarget:
    return SyslogTarget(transport=Transport.TCP, host="127.0.0.1", port=port)


def refusal(number: int) -> ev.ConnectionRefused:
    source = Address.parse(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    return ev.ConnectionRefused(time.time(), 7, "ssh", source, 40_000, Reason.ADDRESS, number, "tcp", 22)


def _lines(path: Path) -> int:
    return path.read_text().count('"connection.refused"')


def _told(log: Path, name: str) -> list[str]:
    return re.findall(rf"alert {name}: (\d+) events were lost", log.read_text())


# A real guard.


def latencies(lab: Lab, probe: Path, settings: str, count: int) -> list[float]:
    """Seconds from a client's first packet to its answer, *count* times one after the other."""
    work = Work()
    daemon = Daemon(Kind.SENTINETD, lab, work)
    try:
        entry = service("real", 7001, "type = UNLISTED INTERNAL", "server_args = x", "cps = 0 10", without=("server",))
        entry = entry.replace("service real", "service daytime").replace("\tserver_args = x\n", "")
        daemon.config.write_text(entry.replace("@PROBE@", str(probe)).replace("@WORK@", str(work.path)))
        work.write("sentinetd.toml", settings.replace("@WORK@", str(work.path))).chmod(0o600)
        daemon.start()
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            answer = converse(lab, "192.168.1.6", 7001, "192.168.1.20")
            taken.append(time.perf_counter() - began)
            assert answer.endswith("\n"), answer
        return sorted(taken)
    finally:
        daemon.close()
        work.close()


@contextmanager
def lab_and_probe() -> Iterator[tuple[Lab, Path]]:
    lab = Lab()
    try:
        yield lab, build(temporary("probe"))
    finally:
        lab.close()


def with_sinks(lab: Lab, work: Callable[[str], list[float]]) -> list[float]:
    """What *work* gives with settings of which one sink hangs and one refuses."""
    hanging, refused = listening(make=lab.host.socket), listening(make=lab.host.socket)
    nobody = port_of(refused)
    refused.close()
    with Town() as town:
        town.serve(hang, hanging)
        return work(
            f'[[alert]]\ntype = "hpfeeds"\nkinds = ["*"]\naddress = "hpfeeds://127.0.0.1:{port_of(hanging)}"\n'
            'ident = "i"\nsecret = "s"\nchannel = "c"\ntimeout = 1\n'
            f'[[alert]]\ntype = "syslog"\nkinds = ["*"]\naddress = "tcp://127.0.0.1:{nobody}"\n'
            '[[alert]]\ntype = "file"\nkinds = ["*"]\npath = "@WORK@/all.json"\n'
        )


def main() -> int:
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 20_000.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    with tempfile.TemporaryDirectory() as directory:
        outcome = flood(Path(directory), rate, int(rate * seconds))
    print(f"told {outcome.told} events in {outcome.seconds:.1f} s: {outcome.told / outcome.seconds:,.0f} a second")
    print(f"delivered to those that work after {outcome.delivered:.1f} s")
    print(f"at the file {outcome.file}, at the syslog server {outcome.syslog}; told as lost: {outcome.lost}")
    with lab_and_probe() as (lab, probe):
        for _ in range(2):
            without = latencies(lab, probe, "", 2000)
            beside = with_sinks(lab, lambda settings: latencies(lab, probe, settings, 2000))
            for name, taken in (("no alerts", without), ("one hangs, one refuses, one file", beside)):
                half, last = taken[len(taken) // 2] * 1000, taken[len(taken) * 99 // 100] * 1000
                print(f"{name:36} answer after {half:6.2f} ms in the middle, {last:6.2f} ms at p99")
    whole = outcome.file == outcome.syslog == outcome.told and not outcome.lost["file"] and not outcome.lost["takes"]
    return 0 if whole and outcome.lost["hangs"] == outcome.lost["refuses"] == outcome.told else 1


if __name__ == "__main__":
    sys.exit(main())
