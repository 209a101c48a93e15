"""Lists as they are found, and worse: what each line comes to."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentinetd.lists.entry import Entry, Fault, NoEntry, duration, networks
from sentinetd.lists.readers import READERS, guessed

NOW = 1_795_422_817.0
LOCAL = datetime.fromtimestamp(NOW + 600).strftime("%Y-%m-%d %H:%M:%S")

CSV = """network,until,note
192.0.2.1,2026-11-23T09:33:37+00:00,"a, b"
2001:db8::/32,,for ever
198.51.100.0/24,yesterday,x
192.0.2.2,2026-11-23T07:33:37Z,over
"""
RAW = """id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id
1,crowdsec,Ip:192.0.2.1,crowdsecurity/ssh-bf,ban,FR,12876 X,6,3h59m51.5s,false,1
2,cscli,Range:198.51.100.0/24,manual,ban,,,0,-1s,false,2
3,crowdsec,Ip:192.0.2.3,probing,captcha,FR,1,6,3h,false,3
4,crowdsec,Country:FR,geo,ban,FR,1,6,3h,false,4
5,crowdsec,Ip:192.0.2.5,probing,ban,FR,1,6,3h,true,5
"""
ALERTS = """[
 {"id": 1, "scenario": "crowdsecurity/ssh-bf", "decisions": [
   {"value": "192.0.2.1", "scope": "Ip", "type": "ban", "duration": "3h59m51s", "scenario": "ssh-bf"},
   {"value": "198.51.100.0/24", "scope": "Range", "type": "ban", "duration": "24h"},
   {"value": "FR", "scope": "Country", "type": "ban", "duration": "24h"},
   {"value": "192.0.2.9", "scope": "Ip", "type": "captcha", "duration": "24h"}]},
 {"id": 2, "decisions": []}
]
"""
NFT = """table inet filter {
    set banned4 {
        type ipv4_addr
        flags interval,timeout
        timeout 1d
        elements = { 192.0.2.1 timeout 1h expires 59m10s, 198.51.100.0/24,
                 203.0.113.1-203.0.113.2 comment "two, of them" }
    }
    set ports {
        type inet_service
    }
    chain in {
        ip saddr @banned4 tcp dport { 22, 80 } drop
    }
}
add element inet filter banned6 { 2001:db8::/32 timeout 90s }; # { 192.0.2.99 }
"""
NFT_JSON = """{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": "filter"}},
 {"set": {"family": "inet", "name": "banned4", "elem": [
  {"elem": {"val": "192.0.2.1", "timeout": 3600, "expires": 3550, "comment": "one"}},
  {"prefix": {"addr": "198.51.100.0", "len": 24}}, {"range": ["203.0.113.1", "203.0.113.2"]}, "192.0.2.7",
  {"elem": {"val": {"prefix": {"addr": "10.0.0.0", "len": 8}}, "timeout": 60}}]}}]}
"""
IPSET = """create blocked hash:net family inet hashsize 1024 maxelem 65536 timeout 600
add blocked 192.0.2.1 timeout 599 comment "x y"
add blocked 198.51.100.0/24 timeout 0
add blocked 192.0.2.2
add blocked 192.0.2.3 nomatch
add ports 192.0.2.4,tcp:22
"""
IPSET_LIST = """Name: blocked
Type: hash:ip
Header: family inet hashsize 1024
Members:
192.0.2.1 timeout 42
192.0.2.2
Name: other
192.0.2.3
"""
STATUS = """Status for the jail: sshd
|- Filter
|  |- Currently failed:	1
|  `- File list:	/var/log/auth.log
`- Actions
   |- Currently banned:	2
   `- Banned IP list:	192.0.2.1 2001:db8::1
"""
ROWS = """jail|ip|timeofban|bantime
sshd|192.0.2.1|1795422717|600
sshd|2001:db8::1|1795422717|-1
192.0.2.3|nginx|1795422717|600|1|{}
sshd|192.0.2.4|1795400000|600
"""


def read(name: str, text: str | bytes, pieces: int = 7) -> list[tuple[int, str, float | None, str] | tuple[int, str]]:
    data = text.encode() if isinstance(text, str) else text
    chunks = [data[at : at + pieces] for at in range(0, len(data), pieces)]
    return [
        (item.line, str(item.network), item.span, item.note) if isinstance(item, Entry) else (item.line, item.text)
        for item in READERS[name](chunks, NOW)
    ]


PLAIN = "# head\n192.0.2.1\n\n2001:db8::/32 ; SBL1\n 198.51.100.0/24   some  words\r\n192.0.2.5 # why\n;end\n"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        pytest.param(
            "plain", PLAIN,
            [(2, "192.0.2.1", None, ""), (4, "2001:db8::/32", None, "SBL1"),
             (5, "198.51.100.0/24", None, "some  words"), (6, "192.0.2.5", None, "why")],
            id="plain",
        ),
        pytest.param(
            "plain", "garbage\n192.0.2.9/24\n192.0.2.256\n1.2.3.4/33\n::1%eth0\n\x00\n192.0.2.1,192.0.2.2\n0.0.0.0/0\n",
            [(1, "'garbage' is no address and no network"),
             (2, "'192.0.2.9/24' has host bits set; 192.0.2.0/24 or 192.0.2.9?"),
             (3, "'192.0.2.256' is no address and no network"), (4, "'1.2.3.4/33' is no address and no network"),
             (5, "'::1%eth0' is an address of one interface only"), (6, "'\\x00' is no address and no network"),
             (7, "'192.0.2.1,192.0.2.2' is no address and no network"), (8, "0.0.0.0/0", None, "")],
            id="plain garbage",
        ),
        pytest.param(
            "plain", "192.0.2.1-192.0.2.6\n192.0.2.6-192.0.2.1\n",
            [(1, "192.0.2.1", None, ""), (1, "192.0.2.2/31", None, ""), (1, "192.0.2.4/31", None, ""),
             (1, "192.0.2.6", None, ""), (2, "192.0.2.6-192.0.2.1 is no range")],
            id="plain ranges",
        ),
        pytest.param(
            "csv", CSV,
            [(2, "192.0.2.1", 3600.0, "a, b"), (3, "2001:db8::/32", math.inf, "for ever"),
             (4, "'yesterday' is no date"), (5, "192.0.2.2", -3600.0, "over")],
            id="csv",
        ),
        pytest.param("csv", "192.0.2.1,60,x\n192.0.2.2\n", [(1, "192.0.2.1", 60.0, "x"), (2, "192.0.2.2", None, "")],
                     id="csv without names"),
        pytest.param(
            "crowdsec", RAW,
            [(2, "192.0.2.1", 14391.5, "crowdsecurity/ssh-bf"), (3, "198.51.100.0/24", -1.0, "manual"),
             (4, "it is no ban"), (5, "'Country:FR' is no address and no network"), (6, "it is no ban")],
            id="crowdsec raw",
        ),
        pytest.param(
            "crowdsec", ALERTS,
            [(2, "192.0.2.1", 14391.0, "ssh-bf"), (2, "198.51.100.0/24", 86400.0, "crowdsecurity/ssh-bf"),
             (2, "it is of a 'Country', not of a network"), (2, "it is no ban")],
            id="crowdsec json",
        ),
        pytest.param("crowdsec", "null\n", [], id="crowdsec without decisions"),
        pytest.param(
            "json",
            '["192.0.2.1", {"network": "2001:db8::/32", "until": null, "note": "n"},\n5, {"x": 1}, ["192.0.2.2"]]',
            [(1, "192.0.2.1", None, ""), (1, "2001:db8::/32", math.inf, "n"), (2, "'5' is no address and no network"),
             (2, "an object without a network"), (2, "192.0.2.2", None, "")],
            id="json list",
        ),
        pytest.param(
            "json", '{"network":"192.0.2.1","span":60}\n{"ip":"192.0.2.2","until":"2026-11-23T09:33:37Z"}\n{"ip": ',
            [(1, "192.0.2.1", 60.0, ""), (2, "192.0.2.2", 3600.0, ""),
             (3, "no JSON from here on: Expecting value")],
            id="json lines, the last cut off",
        ),
        pytest.param(
            "json", '[12345678901, 2.125e3, "192.0.2.1", -1]',
            [(1, "'12345678901' is no address and no network"), (1, "'2125.0' is no address and no network"),
             (1, "192.0.2.1", None, ""), (1, "'-1' is no address and no network")],
            id="json numbers",
        ),
        pytest.param("json", '["192.0.2.1",', [(1, "192.0.2.1", None, ""), (1, "the list is not closed: cut off?")],
                     id="json list cut off"),
        pytest.param(
            "nft", NFT,
            [(6, "192.0.2.1", 3550.0, ""), (6, "198.51.100.0/24", None, ""),
             (7, "203.0.113.1", None, "two, of them"), (7, "203.0.113.2", None, "two, of them"),
             (16, "2001:db8::/32", 90.0, "")],
            id="nft",
        ),
        pytest.param(
            "json", NFT_JSON,
            [(1, "192.0.2.1", 3550, "one"), (1, "198.51.100.0/24", None, ""), (1, "203.0.113.1", None, ""),
             (1, "203.0.113.2", None, ""), (1, "192.0.2.7", None, ""), (1, "10.0.0.0/8", 60, "")],
            id="nft -j",
        ),
        pytest.param(
            "ipset", IPSET,
            [(2, "192.0.2.1", 599.0, "x y"), (3, "198.51.100.0/24", math.inf, ""), (4, "192.0.2.2", None, ""),
             (5, "'192.0.2.3' is an exception (nomatch)"), (6, "'192.0.2.4,tcp:22' is no network by itself")],
            id="ipset save",
        ),
        pytest.param("ipset", IPSET_LIST, [(5, "192.0.2.1", 42.0, ""), (6, "192.0.2.2", None, "")], id="ipset list"),
        pytest.param(
            "fail2ban", "[{'sshd': ['192.0.2.1', '2001:db8::1']}, {'nginx': []}, {\"a b\": ['192.0.2.3', 'bad']}]\n",
            [(1, "192.0.2.1", None, "sshd"), (1, "2001:db8::1", None, "sshd"), (1, "192.0.2.3", None, "a b"),
             (1, "'bad' is no address and no network")],
            id="fail2ban banned",
        ),
        pytest.param(
            "fail2ban", "[{'a\"\"b': ['192.0.2.1']}, {\"it's\": ['192.0.2.2']}]\n",
            [(1, "192.0.2.1", None, 'a""b'), (1, "192.0.2.2", None, "it's")],
            id="quotes in quotes",
        ),
        pytest.param("fail2ban", STATUS, [(7, "192.0.2.1", None, ""), (7, "2001:db8::1", None, "")], id="status"),
        pytest.param(
            "fail2ban", f"192.0.2.1 \t{LOCAL} + 600 = later\n192.0.2.2 \t{LOCAL} + -1 = 9999\n192.0.2.3 192.0.2.4\n",
            [(1, "192.0.2.1", 1200.0, ""), (2, "192.0.2.2", math.inf, ""), (3, "192.0.2.3", None, ""),
             (3, "192.0.2.4", None, "")],
            id="fail2ban banip",
        ),
        pytest.param(
            "fail2ban", ROWS,
            [(2, "192.0.2.1", 500.0, "sshd"), (3, "2001:db8::1", math.inf, "sshd"), (4, "192.0.2.3", 500.0, "nginx"),
             (5, "192.0.2.4", -22217.0, "sshd")],
            id="fail2ban database",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
def test_reader(name: str, text: str, found: list[object], pieces: int) -> None:
    assert read(name, text, pieces) == found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param(PLAIN, "plain", id="plain"),
        pytest.param(CSV, "csv", id="csv"),
        pytest.param("192.0.2.1,60,x\n", "csv", id="csv without names"),
        pytest.param(RAW, "csv", id="crowdsec raw"),
        pytest.param(ALERTS, "json", id="crowdsec json"),
        pytest.param('{"network":"192.0.2.1"}', "json", id="json lines"),
        pytest.param(NFT, "nft", id="nft"),
        pytest.param("#!/usr/sbin/nft -f\nadd element inet x y { 1.2.3.4 }", "nft", id="nft script"),
        pytest.param(NFT_JSON, "json", id="nft -j"),
        pytest.param(IPSET, "ipset", id="ipset save"),
        pytest.param(IPSET_LIST, "ipset", id="ipset list"),
        pytest.param("[{'sshd': ['192.0.2.1']}]", "fail2ban", id="fail2ban banned"),
        pytest.param(STATUS, "fail2ban", id="fail2ban status"),
        pytest.param("sshd|192.0.2.1|1795422717|600", "fail2ban", id="fail2ban rows"),
        pytest.param("", "plain", id="nothing"),
        pytest.param("192.0.2.1 a, b\n", "plain", id="a comment with a comma"),
    ],
)
def test_format_is_guessed(text: str, name: str) -> None:
    assert guessed(text.encode()) == name


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("60", 60.0), ("1.5", 1.5), ("1h", 3600.0), ("3h59m51.5s", 14391.5), ("-1s", -1.0), ("1d2h", 93600.0),
     ("250ms", 0.25), ("1w", 604800.0), ("-1", math.inf), ("forever", math.inf)],
)  # fmt: skip
def test_duration(word: str, seconds: float) -> None:
    assert duration(word) == seconds


@pytest.mark.parametrize("word", ["", "x", "1x", "h1", "1h x", "nan", "1e9", "--1", "\u0661"])
def test_no_duration(word: str) -> None:
    with pytest.raises(NoEntry):
        duration(word)


@given(st.sampled_from(["192.0.2.", "2001:db8::"]), st.integers(0, 255), st.integers(0, 255))
def test_a_range_holds_exactly_its_addresses(base: str, one: int, other: int) -> None:
    first, last = sorted((one, other))
    hexed = ":" in base
    spell = (lambda number: f"{base}{number:x}") if hexed else (lambda number: f"{base}{number}")
    bits = 128 if hexed else 32
    found = list(networks(f"{spell(first)}-{spell(last)}"))
    held = [net.value + more for net in found for more in range(1 << bits - net.length)]
    assert [value & 255 for value in held] == list(range(first, last + 1))


EVIL = st.binary(max_size=300) | st.lists(
    st.sampled_from([
        b"192.0.2.1", b"::/0", b"{", b"}", b"[", b"]", b",", b"\n", b" ", b'"', b"'", b"elements", b"=", b"add element",
        b"add x", b"timeout", b"1h", b"|", b"#", b"Members:", b"network,until", b"\xff", b"-", b"/", b":", b"null",
        b"\\u",
        b"Banned IP list:", b'{"ip":', b'"until"', b"99999999999999999999", b"1e400", b"\xef\xbb\xbf",
    ])
).map(b"".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@example("csv", b'"\n' * 3, 3)
@example("json", b"[" * 100_000, 1 << 16)
@given(st.sampled_from(sorted(READERS)), EVIL, st.integers(1, 40))
def test_no_bytes_are_too_bad(name: str, data: bytes, pieces: int) -> None:
    chunks = [data[at : at + pieces] for at in range(0, len(data), pieces)]
    lines = data.count(b"\n") + 1
    for item in READERS[name](chunks, NOW):
        assert isinstance(item, Entry | Fault)
        assert 0 <= item.line <= lines
    assert guessed(data) in READERS


def endless(kind: str, count: int) -> Iterator[bytes]:
    """A list of *count* networks in pieces of some size, none of it held."""
    opening, spell, closing = {
        "plain": (b"", b"10.%d.%d.%d\n", b""),
        "csv": (b"network,note\n", b"10.%d.%d.%d,x\n", b""),
        "json": (b"[", b'{"ip": "10.%d.%d.%d"},\n', b'"10.0.0.0"]'),
        "nft": (b"elements = { ", b"10.%d.%d.%d, ", b"10.0.0.0 }"),
        "ipset": (b"", b"add x 10.%d.%d.%d\n", b""),
        "fail2ban": (b"[{'sshd': [", b"'10.%d.%d.%d', ", b"'10.0.0.0']}]"),
    }[kind]
    yield opening
    for first in range(0, count, 1000):
        yield b"".join(
            spell % (number >> 16 & 255, number >> 8 & 255, number & 255) for number in range(first, first + 1000)
        )
    yield closing


@pytest.mark.parametrize("kind", ["plain", "csv", "json", "nft", "ipset", "fail2ban"])
def test_memory_does_not_grow_with_the_list(kind: str) -> None:
    peaks = []
    for count in (2_000, 20_000):
        tracemalloc.start()
        found = sum(isinstance(item, Entry) for item in READERS[kind](endless(kind, count), NOW))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found in (count, count + 1)
    assert peaks[1] < 1.5 * peaks[0] + 100_000


@pytest.mark.parametrize("kind", ["plain", "csv", "nft", "ipset", "fail2ban"])
def test_a_line_without_end_is_a_fault_and_the_rest_is_read(kind: str) -> None:
    good = {"nft": b"elements = { 192.0.2.1 }", "ipset": b"add x 192.0.2.1"}.get(kind, b"192.0.2.1")
    chunks = [b"x" * 10_000] * 50 + [b"\n" + good + b"\n"]
    items = list(READERS[kind](chunks, NOW))
    assert [item.line for item in items if isinstance(item, Fault)][:1] == [1]
    assert [str(item.network) for item in items if isinstance(item, Entry)] == ["192.0.2.1"]
