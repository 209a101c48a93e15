"""The internal services' answers, byte for byte as xinetd 2.3.15 gives them."""

from __future__ import annotations

import time

import pytest

from sentinetd.model.routine import Routine
from sentinetd.serve.internal import chargen, daytime, echo, servers, services
from sentinetd.serve.internal.restraint import Pace, would_loop
from sentinetd.serve.internal.servers import Running
from sentinetd.serve.internal.services import Available
from sentinetd.serve.internal.table import AT_ONCE, CARRIED, DATAGRAM
from sentinetd.serve.internal.time import reply as time_reply

FIRST_LINE = b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n"


@pytest.mark.parametrize(
    ("sent", "returned"),
    [
        pytest.param(b"", b"", id="an empty datagram is answered"),
        pytest.param(b"hello\0", b"hello\0", id="any bytes"),
        pytest.param(b"a" * 3000, b"a" * 2048, id="cut off at 2048 bytes"),
    ],
)
def test_echo(sent: bytes, returned: bytes) -> None:
    assert echo.reply(sent) == returned


def test_chargen_pattern() -> None:
    lines = chargen.pattern(0).split(b"\r\n")
    assert lines.pop() == b""
    assert len(lines) == 95
    assert lines[0] + b"\r\n" == FIRST_LINE
    assert {len(line) for line in lines} == {72}
    assert lines[93:] == lines[:2]  # the ring has 93 characters, xinetd counts to 95
    assert b"~" not in chargen.pattern(0)
    assert lines[92][0] == ord("}")
    assert chargen.pattern(94).startswith(lines[94] + b"\r\n" + lines[0])


def test_chargen_datagram() -> None:
    answer, position = chargen.reply(0)
    assert (len(answer), position) == (1024, 14)
    assert answer == chargen.pattern(0)[: 13 * 74 + 60] + b"\r\n"
    assert chargen.reply(90)[1] == 9
    assert chargen.reply(position)[0].startswith(chargen.line(14))


@pytest.mark.parametrize(
    ("zone", "now", "text"),
    [
        pytest.param("UTC", 1_795_423_017, b"23 NOV 2026 08:36:57 UTC\r\n", id="month in upper case"),
        pytest.param("UTC", 1_772_323_200, b"01 MAR 2026 00:00:00 UTC\r\n", id="two digits"),
        pytest.param("EST5", 1_772_323_200, b"28 FEB 2026 19:00:00 EST\r\n", id="local time"),
    ],
)
def test_daytime(monkeypatch: pytest.MonkeyPatch, zone: str, now: float, text: bytes) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert daytime.reply(now) == text
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("now", "answer"),
    [
        pytest.param(0.0, b"\x83\xaa\x7e\x80", id="1970, the figure of RFC 868"),
        pytest.param(2_085_978_495.9, b"\xff\xff\xff\xff", id="the last second of the era"),
        pytest.param(2_085_978_496.0, b"\0\0\0\0", id="the era after"),
    ],
)
def test_time(now: float, answer: bytes) -> None:
    assert time_reply(now) == answer


def test_services() -> None:
    assert services.text([Available("ftp", "tcp", 21), Available("tftp", "udp", 69)]) == "ftp tcp 21\ntftp udp 69\n"


def test_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    running = [Running("slp", 370, 1_795_424_021, "192.168.1.20", 50127, False, False)]
    text = servers.text(running)
    assert text == (
        "slp server\npid = 370\nstart_time = Mon Nov 23 08:53:41 2026\nConnection info:\n\tservice = slp\n"
        "\tdescriptor = -1\n\tflags = 3\n\tremote_address = 192.168.1.20,50127\nlog_remote_user = NO\n"
        "writes_to_log = NO\n\n"
    )
    assert "remote_address" not in servers.text([Running("slp", 370, 0, "", 0, True, True)])
    monkeypatch.undo()
    time.tzset()


def test_tables_name_every_service_once() -> None:
    assert set(AT_ONCE) | set(CARRIED) == set(DATAGRAM) == {"echo", "discard", "chargen", "daytime", "time"}
    assert set(CARRIED.values()) == set(Routine)
    assert DATAGRAM["echo"](b"x", 0.0, 5) == (b"x", 5)
    assert DATAGRAM["discard"](b"x", 0.0, 5) == (None, 5)
    assert DATAGRAM["chargen"](b"x", 0.0, 5) == chargen.reply(5)
    assert DATAGRAM["time"](b"x", 0.0, 5) == (AT_ONCE["time"](0.0), 5)
    assert DATAGRAM["daytime"](b"x", 0.0, 5) == (AT_ONCE["daytime"](0.0), 5)


@pytest.mark.parametrize(
    ("port", "loops"),
    [
        pytest.param(7, True, id="somebody's echo"),
        pytest.param(19, True, id="somebody's chargen"),
        pytest.param(5007, True, id="our own echo"),
        pytest.param(0, True, id="no port"),
        pytest.param(123, False, id="a client below 1024"),
        pytest.param(40000, False, id="a client"),
    ],
)
def test_would_loop(port: int, loops: bool) -> None:
    assert would_loop(port, {5007}) is loops


def test_pace() -> None:
    pace = Pace(answers=2, sources=2)
    assert [pace.allows("a", 10.0), pace.allows("a", 10.5), pace.allows("a", 10.9)] == [True, True, False]
    assert [pace.allows("b", 10.9), pace.allows("c", 10.9)] == [True, False]
    assert [pace.allows("a", 11.0), pace.allows("c", 11.0)] == [True, True]
