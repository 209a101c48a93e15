"""Lists of bans: to the letter, as others read them, and whatever a sensor is called.

To renew the golden files after a change: ``PYTHONPATH=tests python tests/lists/test_writers.py``, then read the
difference.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import math
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import stix2
from hypothesis import given, settings
from hypothesis import strategies as st

from report.samples import AT, EVIL, OBSERVER
from sentinetd.lists.collapse import collapsed, within
from sentinetd.lists.head import Head
from sentinetd.lists.reports import Sighting, abuseipdb, dshield, reportable
from sentinetd.lists.table import WRITERS
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.events import SensorTripped
from sentinetd.report.escape import escape

GOLDEN = Path(__file__).parent / "golden"
HEAD = Head(OBSERVER, AT, AT + 3600)


def ban(network: str, left: float = 3600.0, sensor: str = "irc", origin: Origin = Origin.SENSOR) -> Ban:
    return Ban(Network.parse(network), AT - 60, AT + left, sensor, origin)


def in_order(bans: Sequence[Ban]) -> list[Ban]:
    return sorted(bans, key=lambda one: (one.network.version, one.network.value, one.network.length))


BANS = in_order([
    ban("192.0.2.9"), ban("192.0.2.10", math.inf, "", Origin.OPERATOR), ban("198.51.100.0/24", 7200.0, "", Origin.FEED),
    ban("198.51.100.7", 9000.0), ban("2001:db8:1:2::/64", 86400.5, '=cmd|"x",\n'), ban("fe80::1%eth0"),
])  # fmt: skip


def lines(name: str, bans: Sequence[Ban] = BANS) -> list[str]:
    return list(WRITERS[name](bans, HEAD))


def shown(name: str) -> str:
    return "".join(f"{line}\n" for line in lines(name))


@pytest.mark.parametrize("name", WRITERS)
def test_golden(name: str) -> None:
    assert shown(name) == (GOLDEN / f"{name}.txt").read_text()


@st.composite
def any_bans(draw: st.DrawFn) -> list[Ban]:
    addresses = draw(st.lists(st.ip_addresses().map(str).map(Address.parse), max_size=10))
    networks = {Network.of(one, draw(st.integers(1, BITS[one.version]))) for one in addresses}
    found = [
        Ban(network, draw(st.floats(0, AT)), AT + draw(st.floats(1, 1e7) | st.just(math.inf)), draw(EVIL), origin)
        for network in networks
        for origin in [draw(st.sampled_from(Origin))]
    ]
    return in_order(found)


@pytest.mark.parametrize("name", WRITERS)
@given(bans=any_bans())
@settings(max_examples=25, deadline=None)
def test_nothing_is_forged(name: str, bans: list[Ban]) -> None:
    told = lines(name, bans)
    assert all(re.fullmatch("[\x20-\x7e]+", line) for line in told)


@given(any_bans())
@settings(max_examples=40, deadline=None)
def test_plain_is_read_by_the_library_and_covers_the_same(bans: list[Ban]) -> None:
    told = [ipaddress.ip_network(line) for line in lines("plain", bans) if not line.startswith("#")]
    assert lines("plain", bans)[-1] == f"# end of {len(told)} entries"
    banned = [ipaddress.ip_network(str(one.network)) for one in bans]
    for version in (ipaddress.IPv4Network, ipaddress.IPv6Network):
        assert list(ipaddress.collapse_addresses(one for one in told if isinstance(one, version))) == list(
            ipaddress.collapse_addresses(one for one in banned if isinstance(one, version))
        )


@given(any_bans())
@settings(max_examples=40, deadline=None)
def test_a_network_within_another_is_left_out_and_its_end_is_not(bans: list[Ban]) -> None:
    outer = list(collapsed(bans))
    assert not any(within(a.network, b.network) for a in outer for b in outer if a is not b)
    for one in bans:
        [holder] = [big for big in outer if within(one.network, big.network)]
        assert holder.until >= one.until


@given(any_bans())
@settings(max_examples=40, deadline=None)
def test_comma_is_read_by_the_library(bans: list[Ban]) -> None:
    rows = list(csv.DictReader(lines("csv", bans), strict=True))
    assert [row["network"] for row in rows] == [str(one.network) for one in bans]
    for row, one in zip(rows, bans, strict=True):
        assert row["sensor"].removeprefix("'") == escape(one.sensor).removeprefix("'")
        assert not re.match("[=+@-]", row["sensor"])
        assert (row["until"] == "") == math.isinf(one.until)


@given(any_bans())
@settings(max_examples=40, deadline=None)
def test_json_is_read_by_a_strict_reader(bans: list[Ban]) -> None:
    value = json.loads("\n".join(lines("json", bans)))
    json.dumps(value, ensure_ascii=False).encode()
    assert [one["network"] for one in value["bans"]] == [str(one.network) for one in bans]
    assert value["expires"] == "2026-11-23T09:33:37.250000Z"


def test_stix_is_read_by_its_library() -> None:
    found = stix2.parse("\n".join(lines("stix")), allow_custom=False)
    assert [one.type for one in found.objects] == ["identity"] + ["indicator"] * 5
    assert found.objects[1].pattern == "[ipv4-addr:value = '192.0.2.9']"


def taken(tmp_path: Path, script: str, load: str, show: str) -> str:
    """What *show* says after *load* has twice taken *script*, in a network namespace of its own."""
    file = tmp_path / "script"
    file.write_text(script)
    told = subprocess.run(
        ["unshare", "-n", "sh", "-ec", f"{load} <{file}; {load} <{file}; {show}"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_the_kernel_takes_it_by_nft(tmp_path: Path) -> None:
    told = json.loads(taken(tmp_path, shown("nft"), "nft -f -", "nft -j list table inet sentinetd_feed"))
    sets = {one["set"]["name"]: one["set"]["elem"] for one in told["nftables"] if "set" in one}

    def text(value: Any) -> str:
        bare = value["elem"]["val"] if isinstance(value, dict) and "elem" in value else value
        return f"{bare['prefix']['addr']}/{bare['prefix']['len']}" if isinstance(bare, dict) else bare

    assert {name: {text(one) for one in elements} for name, elements in sets.items()} == {
        "banned4": {"192.0.2.9", "192.0.2.10", "198.51.100.0/24"},
        "banned6": {"2001:db8:1:2::/64"},
    }
    timeouts = {text(one): one["elem"].get("timeout") for one in sets["banned4"] if isinstance(one, dict)}
    assert timeouts["198.51.100.0/24"] == 9000
    assert timeouts.get("192.0.2.10") is None


def test_the_kernel_takes_it_by_ipset(tmp_path: Path) -> None:
    told = taken(tmp_path, shown("ipset"), "ipset restore", "ipset save")
    members = set(re.findall(r"add (\S+ \S+)", told))
    assert members == {
        "sentinetd4 192.0.2.9", "sentinetd4 192.0.2.10", "sentinetd4 198.51.100.0/24",
        "sentinetd6 2001:db8:1:2::/64",
    }  # fmt: skip
    assert re.search(r"add sentinetd4 192\.0\.2\.10 timeout 0\b", told)


@pytest.mark.parametrize("name", ["nft", "ipset"])
def test_the_kernel_takes_more_than_fits_one_command(tmp_path: Path, name: str) -> None:
    many = [ban(f"10.{number >> 8}.{number & 255}.1", 100.0) for number in range(2500)]
    script = "".join(f"{line}\n" for line in WRITERS[name](many, HEAD))
    loads = {
        "nft": ("nft -f -", "nft list set inet sentinetd_feed banned4"),
        "ipset": ("ipset restore", "ipset save sentinetd4"),
    }
    assert len(re.findall(r"\b10\.\d+\.\d+\.1 timeout", taken(tmp_path, script, *loads[name]))) == 2500


# Reports of trips.


def trip(source: str, at: float = AT, protocol: str = "tcp", sensor: str = "irc") -> SensorTripped:
    local = Address.parse("198.51.100.6")
    return SensorTripped(at, 7, sensor, Address.parse(source), 40022, 60.0, "", 1, protocol, local, 6667)


SEEN = [
    Sighting.of(trip("8.8.4.4", AT)),
    Sighting.of(trip("1.1.1.1", AT + 1), 3),
    Sighting.of(trip("8.8.4.4", AT + 2, 'ud"p\n')),
    Sighting.of(trip("2606:4700::1111", AT + 3)),
    Sighting.of(trip("192.168.1.20", AT + 4)),
]


def test_abuseipdb() -> None:
    told = list(abuseipdb(SEEN))
    assert told == [
        "IP,Categories,ReportDate,Comment",
        '8.8.4.4,"14",2026-11-23T08:33:39.250000Z,"touched a decoy at port 6667 (ud\'p\\x0a)"',
        '1.1.1.1,"14",2026-11-23T08:33:38.250000Z,"touched a decoy at port 6667 (tcp)"',
        '2606:4700::1111,"14",2026-11-23T08:33:40.250000Z,"touched a decoy at port 6667 (tcp)"',
    ]
    assert [row["IP"] for row in csv.DictReader(told, strict=True)] == ["8.8.4.4", "1.1.1.1", "2606:4700::1111"]


def test_dshield() -> None:
    assert list(dshield(SEEN[:3], 4711)) == [
        "2026-11-23 08:33:37 +00:00\t4711\t1\t8.8.4.4\t40022\t198.51.100.6\t6667\tTCP\tS",
        "2026-11-23 08:33:38 +00:00\t4711\t3\t1.1.1.1\t40022\t198.51.100.6\t6667\tTCP\tS",
        '2026-11-23 08:33:39 +00:00\t4711\t1\t8.8.4.4\t40022\t198.51.100.6\t6667\tUD"P\\X0A\t',
    ]
    assert list(dshield(SEEN[3:], 4711)) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("8.8.8.8", True, id="of everybody"),
        pytest.param("10.1.2.3", False, id="private"),
        pytest.param("100.64.0.1", False, id="shared by a carrier's clients"),
        pytest.param("127.0.0.1", False, id="the host itself"),
        pytest.param("fe80::1%eth0", False, id="of one link"),
        pytest.param("224.0.0.1", False, id="multicast"),
    ],
)
def test_reportable(source: str, said: bool) -> None:
    assert reportable(Address.parse(source)) is said


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for writer in WRITERS:
        (GOLDEN / f"{writer}.txt").write_text(shown(writer))
