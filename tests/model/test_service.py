"""Every attribute: words that it takes and what they mean, words that it refuses and what is said."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sentinetd.model.address import AddressSet, Network
from sentinetd.model.attribute import Attribute, BadValue, rows_of
from sentinetd.model.service import (
    Capture,
    Cps,
    Decoy,
    DenyPrefix,
    FileLog,
    Flag,
    Interval,
    LeftOut,
    OnFailure,
    OnSuccess,
    Ports,
    Protocol,
    Redirect,
    Service,
    SocketType,
    SourceRate,
    SyslogLog,
    Type,
)
from sentinetd.model.values import Spot

ROWS: dict[str, Attribute] = {row.name: row for row in rows_of(Service)}


def sites(*networks: str, names: tuple[str, ...] = ()) -> AddressSet:
    return AddressSet(tuple(map(Network.parse, networks)), names)


GOOD: list[tuple[str, str, Any]] = [
    ("id", "ftp-1", "ftp-1"),
    ("type", "rpc Unlisted", frozenset({Type.RPC, Type.UNLISTED})),
    ("type", "INTERNAL TCPMUX TCPMUXPLUS SPECIAL", set(Type) - {Type.RPC, Type.UNLISTED}),
    ("flags", "ipv4 SENSOR", frozenset({Flag.IPV4, Flag.SENSOR})),
    ("flags", " ".join(flag.value for flag in Flag), frozenset(Flag)),
    ("socket_type", "STREAM", SocketType.STREAM),
    ("socket_type", "dgram", SocketType.DGRAM),
    ("socket_type", "raw", SocketType.RAW),
    ("socket_type", "seqpacket", SocketType.SEQPACKET),
    ("protocol", "udp", Protocol("udp", -1)),
    ("wait", "YES", True),
    ("user", "nobody", "nobody"),
    ("user", "4294967294", "4294967294"),
    ("group", "mail", "mail"),
    ("groups", "yes", True),
    ("server", "/bin/cat", "/bin/cat"),
    ("server_args", 'a "b c"', ("a", '"b', 'c"')),
    ("instances", "unlimited", None),
    ("instances", "0", 0),
    ("instances", "+007", 7),
    ("per_source", "3", 3),
    ("cps", "25 30", Cps(25, 30)),
    ("cps", "0 0", Cps(0, 0)),
    ("cps", "-1 10", Cps(0, 10)),
    ("cps_source", "10 2.5", SourceRate(10, 2.5)),
    ("max_load", "2.5", 2.5),
    ("max_load", "-1", -1.0),
    ("max_load", "2.5e0x", 2.5),
    ("access_times", "2:00-9:00 10:30-24:00", (Interval(120, 540), Interval(630, 1439))),
    ("access_times", "22:00-6:00", (Interval(1320, 1439), Interval(0, 360))),
    ("access_times", "0:00-23:59", (Interval(0, 1439),)),
    ("only_from", "", AddressSet()),
    ("only_from", "128.138.12.0 192.168.0.0 10.0.0.0", sites("128.138.12.0/24", "192.168.0.0/16", "10.0.0.0/8")),
    ("only_from", "0.0.0.0", sites("0.0.0.0/0")),
    ("only_from", "0.0.0.0/0 ::/0", sites("0.0.0.0/0", "::/0")),
    ("only_from", "10.0.1.0", sites("10.0.1.0/24")),
    ("only_from", "192.168.1", sites("192.168.0.1")),
    ("only_from", "192.168/16", sites("192.0.0.0/16")),
    ("only_from", "192.0.2.9/24", sites("192.0.2.0/24")),
    ("only_from", "192.168.{1,2} 10.0.0.{5}", sites("192.168.1.0/24", "192.168.2.0/24", "10.0.0.5")),
    ("only_from", "192.168.{0} {10,11}", sites("192.168.0.0/24", "10.0.0.0/8", "11.0.0.0/8")),
    ("only_from", "2001:db8::1/128 2001:db8::/32", sites("2001:db8::1", "2001:db8::/32")),
    ("only_from", "::", sites("::/128")),
    ("only_from", "::ffff:192.0.2.1 ::ffff:192.0.2.0/120", sites("192.0.2.1", "192.0.2.0/24")),
    ("only_from", "Host.Example .Example.ORG", sites(names=("host.example", ".example.org"))),
    ("no_access", "192.0.2.1", sites("192.0.2.1")),
    ("exempt", "192.0.2.0/24", sites("192.0.2.0/24")),
    ("proxy_protocol", "10.0.0.0/8", sites("10.0.0.0/8")),
    ("log_type", "syslog LOCAL3", SyslogLog("local3", "info")),
    ("log_type", "SYSLOG authpriv notice", SyslogLog("authpriv", "notice")),
    ("log_type", "FILE /var/log/x", FileLog("/var/log/x")),
    ("log_type", "FILE /x 100", FileLog("/x", 100, 5220)),
    ("log_type", "FILE /x 1m", FileLog("/x", 1 << 20, (1 << 20) + 10485)),
    ("log_type", "FILE /x 100m", FileLog("/x", 100 << 20, (100 << 20) + 20480)),
    ("log_type", "FILE /x 0 5", FileLog("/x")),
    ("log_type", "FILE /x 10K 20k", FileLog("/x", 10240, 20480)),
    ("log_on_success", "", frozenset()),
    ("log_on_success", "host PID DURATION EXIT USERID TRAFFIC", frozenset(OnSuccess)),
    ("log_on_failure", "HOST ATTEMPT USERID", frozenset(OnFailure)),
    ("rpc_version", "3", (3, 3)),
    ("rpc_version", "1-3", (1, 3)),
    ("rpc_number", "100001", 100001),
    ("env", "A=1 B= C=x=y", ("A=1", "B=", "C=x=y")),
    ("passenv", "", ()),
    ("passenv", "PATH HOME", ("PATH", "HOME")),
    ("port", "+0021", 21),
    ("port", "65535", 65535),
    ("ports", "unused", Ports(unused=True)),
    ("ports", "23,110-112 113 3306", Ports(((23, 23), (110, 113), (3306, 3306)))),
    ("ports", "5-9 7-8 1", Ports(((1, 1), (5, 9)))),
    ("ports_except", "25 113-114,115", LeftOut(((25, 25), (113, 115)))),
    (
        "ports_except",
        "192.0.2.5:25 192.0.2.0/24:1-9 [2001:db8::1]:443 [2001:db8::/64]:80 22",
        LeftOut(
            ((22, 22),),
            (
                Spot(Network.parse("192.0.2.5"), 25, 25),
                Spot(Network.parse("192.0.2.0/24"), 1, 9),
                Spot(Network.parse("2001:db8::1"), 443, 443),
                Spot(Network.parse("2001:db8::/64"), 80, 80),
            ),
        ),
    ),
    ("addresses", "192.0.2.7 2001:db8::/64", AddressSet((Network.parse("192.0.2.7"), Network.parse("2001:db8::/64")))),
    ("nice", "-2", -2),
    ("umask", "022", 0o22),
    ("umask", "777", 0o777),
    ("umask", "+27", 0o27),
    ("rlimit_as", "8M", (("rlimit_as", 8388608.0),)),
    ("rlimit_data", "1k", (("rlimit_data", 1024.0),)),
    ("rlimit_rss", "5", (("rlimit_rss", 5.0),)),
    ("rlimit_stack", "-1", (("rlimit_stack", math.inf),)),
    ("log_type", "FILE /x -1", FileLog("/x")),
    ("rlimit_stack", "UNLIMITED", (("rlimit_stack", math.inf),)),
    ("rlimit_files", "0", ()),
    ("rlimit_cpu", "20", (("rlimit_cpu", 20.0),)),
    ("redirect", "host.example 8080", Redirect("host.example", 8080)),
    ("redirect", "2001:db8::1 80", Redirect("2001:db8::1", 80)),
    ("bind", "192.0.2.1", "192.0.2.1"),
    ("v6only", "yes", True),
    ("banner", "/etc/banner", "/etc/banner"),
    ("banner_success", "/etc/banner", "/etc/banner"),
    ("banner_fail", "/etc/banner", "/etc/banner"),
    ("libwrap", "in.ftpd", "in.ftpd"),
    ("mdns", "no", False),
    ("deny_time", "120", 7200.0),
    ("deny_time", "forever", math.inf),
    ("deny_time", "-1", math.inf),
    ("deny_time", "NEVER", 0.0),
    ("deny_time", "0", 0.0),
    ("deny_time", "-5", 0.0),
    ("deny_time", "99999999999", 5999999999940.0),
    ("deny_dgram", "yes", True),
    ("end_sessions", "yes", True),
    ("deny_prefix", "24 56", DenyPrefix(24, 56)),
    ("capture", "512", Capture(512, 5.0)),
    ("capture", "512 1.5", Capture(512, 1.5)),
    ("decoy", "SSH", Decoy.SSH),
    ("tarpit", "30", 30.0),
]

BAD: list[tuple[str, str, str]] = [
    ("type", "", "attribute type expects at least 1 value"),
    ("type", "INTERNL", "Bad service type: INTERNL; did you mean internal?"),
    ("flags", "", "attribute flags expects at least 1 value"),
    ("flags", "DISABLE", "Bad service flag: DISABLE"),
    ("flags", "SENSR", "did you mean sensor?"),
    ("socket_type", "tcp", "Bad socket type: tcp"),
    ("port", "\u0663", "port number is invalid"),
    ("wait", "maybe", "Bad value for wait: maybe; write yes or no"),
    ("user", "4294967295", "Error parsing user as a number: 4294967295"),
    ("user", "99999999999999999999", "Error parsing user as a number"),
    ("group", "4294967296", "Error parsing group as a number"),
    ("groups", "1", "Bad value for groups: 1"),
    ("server_args", "", "attribute server_args expects at least 1 value"),
    ("instances", "-1", "Number of instances is invalid: -1"),
    ("instances", "ten", "Number of instances is invalid: ten"),
    ("instances", "9223372036854775808", "Number of instances is invalid"),
    ("per_source", "1.5", "Number of per source instances is invalid: 1.5"),
    ("cps", "x 10", "cps argument not a number: x"),
    ("cps", "50 y", "cps time argument not a number: y"),
    ("cps_source", "0 1", "cps_source rate is invalid: 0"),
    ("cps_source", "1 nan", "cps_source span is invalid: nan"),
    ("max_load", "high", "error reading max_load argument: high"),
    ("max_load", "0", "error parsing max_load argument: 0"),
    ("max_load", "inf", "error parsing max_load argument: inf"),
    ("access_times", "", "attribute access_times expects at least 1 value"),
    ("access_times", "9:00", "incorrect time interval: 9:00"),
    ("access_times", "9-17", "incorrect time interval: 9-17"),
    ("access_times", "9:60-10:00", "invalid time interval: 9:60-10:00"),
    ("access_times", "24:00-25:00", "invalid time interval"),
    ("access_times", "9:00-24:01", "invalid time interval"),
    ("access_times", "9:00-9:00", "ends where it starts"),
    ("only_from", "192.168.1.x", "failed to parse 192.168.1.x"),
    ("only_from", "300.1.1.1", "failed to parse 300.1.1.1"),
    ("only_from", "1.2.3.4,1.2.3.5", "has a comma in it - remove the comma"),
    ("only_from", "10.0.0.0/255.0.0.0", "write 10.0.0.0/8"),
    ("only_from", "10.0.0.0/255.0.255.0", "write a prefix length"),
    ("only_from", "10.0.0.0/00000099", "00000099 is not a number of bits"),
    ("only_from", "10.{00000300}", "Bad address: 10.{00000300}"),
    ("only_from", "10.0.0.0/33", "33 is not a number of bits"),
    ("only_from", "10.0.0.0/-1", "-1 is not a number of bits"),
    ("only_from", "10.0.0.0/", "nothing is not a number of bits"),
    ("only_from", "host/24", "host is not an address"),
    ("only_from", "2001:db8::/129", "failed to parse 2001:db8::/129"),
    ("only_from", "2001:db8:::", "not an IPv6 address"),
    ("only_from", "192.168.{1,,2}", "Consecutive commas"),
    ("only_from", "192..168.{1}", "Consecutive dots"),
    ("only_from", "192.168.{300}", "Bad address: 192.168.{300}"),
    ("only_from", "192.168.{1}.2", "Bad address"),
    ("only_from", "192.168.{1", "Bad address"),
    ("only_from", "1.2.3.4.{5}", "Bad address"),
    ("only_from", "a!b", "failed to parse a!b"),
    ("log_type", "", "attribute log_type expects at least 1 value"),
    ("log_type", "JOURNAL", "Unknown log type: JOURNAL"),
    ("log_type", "SYSLOG", "wrong number of arguments"),
    ("log_type", "SYSLOG cron", "Unknown syslog facility: cron"),
    ("log_type", "SYSLOG daemon loud", "Unknown syslog level: loud"),
    ("log_type", "FILE", "wrong number of arguments"),
    ("log_type", "FILE /x big", "soft limit is invalid: big"),
    ("log_type", "FILE /x 10 1g", "hard limit is invalid: 1g"),
    ("log_type", "FILE /x 100 10", "hard limit (10) is less than soft limit (100)"),
    ("log_on_success", "HOSTS", "Bad log_on_success flag: HOSTS; did you mean host?"),
    ("log_on_failure", "RECORD", "Bad log_on_failure flag: RECORD"),
    ("rpc_version", "3-1", "bad version range: 3-1"),
    ("rpc_version", "x", "bad version range: x"),
    ("rpc_number", "x", "Error parsing: x"),
    ("env", "PATH", "PATH has no '='"),
    ("env", "=x", "=x has no name"),
    ("port", "http", "port number is invalid: http"),
    ("port", "65536", "port number is invalid: 65536"),
    ("port", "0x15", "port number is invalid: 0x15"),
    ("ports", "5-3", "port number is invalid: 5-3"),
    ("ports", "0", "port number is invalid: 0"),
    ("ports", "1,,2", "port number is invalid"),
    ("ports", "", "attribute ports expects at least 1 value"),
    ("ports", "nosuch", "port number is invalid: nosuch"),
    ("ports", "unused 22", "port number is invalid: unused"),
    ("ports_except", "65536", "port number is invalid: 65536"),
    ("ports_except", "192.0.2.5:", "port number is invalid: 192.0.2.5:"),
    ("ports_except", "192.0.2.256:25", "bad address: 192.0.2.256"),
    ("ports_except", "2001:db8::1:25", "IPv6 address without brackets: 2001:db8::1:25"),
    ("addresses", "host.example", "bad address: host.example"),
    ("addresses", "192.0.2.9/24", "192.0.2.9/24 has host bits set; did you mean 192.0.2.0/24?"),
    ("addresses", "0.0.0.0/0", "0.0.0.0/0 is too wide"),
    ("addresses", "2000::/3", "2000::/3 is too wide"),
    ("addresses", "127.0.0.2", "127.0.0.2 is no network that a host can have"),
    ("addresses", "224.0.0.1", "224.0.0.1 is no network that a host can have"),
    ("addresses", "fe80::1", "fe80::1 is no network that a host can have"),
    ("nice", "low", "Error parsing: low"),
    ("umask", "8", "umask argument is invalid: 8"),
    ("umask", "1000", "umask argument is invalid: 1000"),
    ("rlimit_as", "1g", "Address space limit is invalid: 1g"),
    ("rlimit_rss", "k", "RSS limit is invalid: k"),
    ("rlimit_stack", "x", "Stack limit is invalid: x"),
    ("rlimit_files", "x", "Max files limit is invalid: x"),
    ("rlimit_cpu", "1m", "CPU limit is invalid: 1m"),
    ("redirect", "host 0", "port number invalid: 0"),
    ("redirect", "host nosuch", "port number invalid: nosuch"),
    ("redirect", "host 65536", "port number too large: 65536"),
    ("redirect", "a/b 80", "bad address: a/b"),
    ("v6only", "on", "Bad value for v6only: on"),
    ("mdns", "on", "Bad value for mdns: on"),
    ("deny_time", "5m", "Error parsing: 5m"),
    ("deny_time", "1.5", "Error parsing: 1.5"),
    ("deny_dgram", "1", "Bad value for deny_dgram: 1"),
    ("end_sessions", "maybe", "Bad value for end_sessions: maybe"),
    ("deny_prefix", "0 64", "deny_prefix IPv4 length is invalid: 0"),
    ("deny_prefix", "32 129", "deny_prefix IPv6 length is invalid: 129"),
    ("capture", "0", "capture size is invalid: 0"),
    ("capture", "4097", "capture size is invalid: 4097"),
    ("capture", "10 1000", "capture time is invalid: 1000"),
    ("decoy", "gopher", "Unknown decoy: gopher"),
    ("tarpit", "-1", "tarpit time is invalid: -1"),
]


@pytest.mark.parametrize(("name", "words", "value"), [pytest.param(*row, id=f"{row[0]} = {row[1]}") for row in GOOD])
def test_words_mean(name: str, words: str, value: Any) -> None:
    assert ROWS[name].read(words.split()) == value


@pytest.mark.parametrize(("name", "words", "said"), [pytest.param(*row, id=f"{row[0]} = {row[1]}") for row in BAD])
def test_words_are_refused(name: str, words: str, said: str) -> None:
    with pytest.raises(BadValue) as refused:
        ROWS[name].read(words.split())
    assert said in str(refused.value)
    assert refused.value.way_out


def test_every_attribute_is_tried() -> None:
    assert {name for name, _, _ in GOOD} == ROWS.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("192.0.2.9/24", "192.0.2.9/24 has host bits set; did you mean 192.0.2.0/24?"),
        ("2001:db8::1/32", "2001:db8::1/32 has host bits set; did you mean 2001:db8::/32?"),
        ("192.168.1", "192.168.1 is read as 192.168.0.1, as inet_aton(3) does; write 192.168.0.1 if it is meant"),
        ("010.0.0.1", "010.0.0.1 is read as 8.0.0.1, as inet_aton(3) does; write 8.0.0.1 if it is meant"),
        ("::", ":: means the single address ::, not every address; write ::/0 for all of IPv6"),
        ("192.0.2.0/24 host.example 192.0.2.0 2001:db8:: 10.{1,2}", ""),
    ],
)
def test_address_words_are_remarked_upon(words: str, said: str) -> None:
    remarks = ROWS["only_from"].remarks
    assert remarks
    assert "|".join(f"{one.text}; {one.way_out}" for one in remarks(words.split())) == said


@pytest.mark.parametrize(
    ("service", "argv"),
    [
        pytest.param(Service(name="a", server="/bin/cat"), ("cat",), id="basename"),
        pytest.param(Service(name="a", server="/bin/cat", server_args=("-n", "x")), ("cat", "-n", "x"), id="arguments"),
        pytest.param(
            Service(name="a", server="/bin/cat", server_args=("dog", "x"), flags=frozenset({Flag.NAMEINARGS})),
            ("dog", "x"),
            id="NAMEINARGS",
        ),
    ],
)
def test_argv(service: Service, argv: tuple[str, ...]) -> None:
    assert service.argv == argv


def test_places_take_no_part_in_comparison() -> None:
    from sentinetd.model.service import Place

    assert Service(name="a", places={"port": Place("x", 1)}) == Service(name="a")


def test_manual_text_is_complete() -> None:
    assert not [row.name for row in rows_of(Service) if not row.doc.endswith(".") or not row.values]
