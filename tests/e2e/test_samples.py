"""The configurations that Debian's packages bring load here as they do in xinetd: nothing is refused that xinetd takes.

`scripts/install-test-needs` gets the packages and unpacks them; the servers they name are mostly not installed.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.daemon import Daemon, Kind

Maker = Callable[..., Daemon]

PACKAGES = Path(__file__).parents[2] / ".cache" / "samples"
SAMPLES = {
    "xinetd": "xinetd/etc/xinetd.conf",
    "xinetd, sample.conf": "xinetd/usr/share/doc/xinetd/examples/sample.conf.gz",
    "xinetd, empty.conf": "xinetd/usr/share/doc/xinetd/examples/empty.conf",
    "vsftpd": "vsftpd/usr/share/doc/vsftpd/examples/INTERNET_SITE/vsftpd.xinetd",
    "amanda": "amanda-common/etc/xinetd.d/amanda",
    "amanda, client": "amanda-common/usr/share/doc/amanda-common/xinetd.amandaclient",
    "amanda, server": "amanda-common/usr/share/doc/amanda-common/xinetd.amandaserver",
    "cfingerd": "cfingerd/usr/share/doc/cfingerd/examples/cfingerd.xinetd",
    "distcc": "distcc/usr/share/doc/distcc/example/xinetd",
    "globus gridftp": "globus-gridftp-server-progs/etc/xinetd.d/gridftp",
}
"""What is tested, and where it lies in its package."""


def as_shipped(text: str) -> str:
    return text


def all_on(text: str) -> str:
    """Every service is wanted."""
    return re.sub(r"(?m)^(\s*disable\s*=\s*)yes\b", r"\1no", text)


def all_on_and_there(text: str) -> str:
    """Every service is wanted, and its user and server exist, so that no mistake hides behind a missing program."""
    text = re.sub(r"(?m)^(\s*server\s*=\s*)/\S+", r"\1/bin/true", all_on(text))
    return re.sub(r"(?m)^(\s*user\s*=\s*)distcc\b", r"\1nobody", text)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file, by its place."""

    file: str
    number: int
    name: str
    id: str


def entry_at(place: str, line: int) -> Entry:
    """The entry of the file *place* that holds the line."""
    lines = Path(place).read_text().splitlines()
    starts = [number for number, text in enumerate(lines) if re.match(r"\s*(service|defaults)\b", text)]
    number = sum(1 for start in starts if start < line)
    assert number, (place, line)
    begin = starts[number - 1]
    body = lines[begin : starts[number] if number < len(starts) else None]
    name = lines[begin].split()[-1]
    ids = [text.split("=", 1)[1].strip() for text in body if re.match(r"\s*id\s*=", text)]
    return Entry(place, number, name, ids[0] if ids else name)


@pytest.mark.parametrize("change", [as_shipped, all_on, all_on_and_there], ids=lambda change: change.__name__)
@pytest.mark.parametrize("sample", SAMPLES)
def test_what_debian_ships_loads(sample: str, change: Callable[[str], str], make_daemon: Maker) -> None:
    source = PACKAGES / SAMPLES[sample]
    assert source.exists(), f"{source} is missing: run scripts/install-test-needs"
    data = source.read_bytes()
    text = change((gzip.decompress(data) if source.suffix == ".gz" else data).decode())
    oracle = make_daemon(Kind.XINETD, text.replace("includedir /etc/xinetd.d", "includedir @WORK@/xinetd.d"))
    for path in sorted((source.parent / "xinetd.d").glob("*")):
        oracle.work.write(f"xinetd.d/{path.name}", change(path.read_text()))
    ours = oracle.run(Kind.SENTINETD.program, "--check", "-f", str(oracle.config))
    summary = re.search(r"^sentinetd: (\d+) services?, (\d+) errors?, \d+ remarks?$", ours.stdout + ours.stderr, re.M)
    assert summary, ours
    oracle.start("-stayalive")
    assert oracle.stop() == 0

    theirs = [message.text for message in oracle.messages() if message.level in ("ERROR", "CRITICAL", "ALERT")]
    placed = re.compile(r"\[file=(.+)\] \[line=(\d+)\]")
    refused = {entry_at(match[1], int(match[2])) for one in theirs if (match := placed.search(one))}
    named = {word for one in theirs if not placed.search(one) for word in re.findall(r"[\w-]+", one)}
    errors = re.findall(r"^error: (/[^:]+):(\d+): (.*)$", ours.stdout + ours.stderr, re.M)
    assert len(errors) == int(summary[2]), ours
    for file, line, what in errors:
        entry = entry_at(file, int(line))
        assert entry in refused or entry.id in named or entry.name in named, (entry, what, oracle.story())

    started = oracle.find("Started working: ")[0].text.split()[2]
    unopened = len(oracle.find("failed to start and is deactivated"))
    unknown = len(oracle.find("No such internal service: ser"))  # servers and services, which Debian's build lacks
    twins = len(re.findall(r"^warning: .*; it is left out", ours.stdout + ours.stderr, re.M))  # we serve one of them
    assert int(summary[1]) == int(started) + unopened + unknown - twins, (ours, oracle.story())
