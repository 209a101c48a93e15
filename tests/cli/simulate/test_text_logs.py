"""What a line of a log says, and which lines say nothing or cannot be read."""

from __future__ import annotations

import io
import json
import time
from datetime import datetime

import pytest

from sentinetd.cli.simulate.record import Record
from sentinetd.cli.simulate.text_logs import LONGEST, TextLog
from sentinetd.model.address import Address

NOW = datetime(2026, 11, 25, 12, 0).timestamp()
AT = datetime(2026, 11, 20, 10, 5, 7).timestamp()


def read(*lines: str | bytes) -> tuple[list[Record], TextLog]:
    data = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines)
    log = TextLog(io.BufferedReader(io.BytesIO(data)), NOW)  # type: ignore[arg-type]
    return list(log.records()), log


def record(source: str, name: str = "", **more: object) -> Record:
    return Record(AT, Address.parse(source), name, **more)  # type: ignore[arg-type]


ADDING = "CRITICAL: 7 {process_sensor} Adding 192.0.2.9 to the global_no_access list for 120 minutes"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("26/11/20@10:05:07: START: ftp-3 pid=100 from=192.0.2.9",
                     record("192.0.2.9", "ftp-3", served=True), id="START"),
        pytest.param("26/11/20@10:05:07: START: ftp-3 from=192.0.2.9", record("192.0.2.9", "ftp-3", served=True),
                     id="START without pid"),
        pytest.param("26/11/20@10:05:07: FAIL: irc-1 address from=::ffff:192.0.2.9", record("192.0.2.9", "irc-1"),
                     id="FAIL of a mapped address"),
        pytest.param("26/11/20@10:05:07: FAIL: irc-1 per_source_limit from=fe80::1%eth0",
                     record("fe80::1%eth0", "irc-1"), id="FAIL of a link-local address"),
        pytest.param("Nov 20 10:05:07 host xinetd[812]: START: ftp pid=100 from=192.0.2.9",
                     record("192.0.2.9", "ftp", served=True), id="service log by syslog"),
        pytest.param(f"26/11/20@10:05:07 xinetd[7]: {ADDING}", record("192.0.2.9", minutes=120), id="xinetd bans"),
        pytest.param(f"26/11/20@10:05:07 sentinetd[7]: {ADDING}, sensor irc-1", record("192.0.2.9", "irc-1"),
                     id="sentinetd bans"),
        pytest.param(f"26/11/20@10:05:07 sentinetd[7]: {ADDING}, sensor rest, port 4711", record("192.0.2.9", "rest"),
                     id="a sensor of many ports"),
        pytest.param("26/11/20@10:05:07 s[7]: CRITICAL: 7 {process_sensor} Sensor rest, port 4711 touched by "
                     "192.0.2.9, not banned: exempt", record("192.0.2.9", "rest"), id="touched only, many ports"),
        pytest.param("2026-11-20T10:05:07 host sentinetd[7]: " + ADDING.replace("120", "-1"),
                     record("192.0.2.9", minutes=-1), id="for ever, by syslog"),
        pytest.param("26/11/20@10:05:07 s[7]: CRITICAL: 7 {process_sensor} Sensor irc-1 touched by 192.0.2.9, not "
                     "banned: exempt", record("192.0.2.9", "irc-1"), id="touched only"),
        pytest.param("2026-11-20 10:05:07,123 fail2ban.filter         [812]: INFO    [sshd] Found 192.0.2.9 - "
                     "2026-11-20 10:05:06", record("192.0.2.9", "sshd"), id="fail2ban"),
    ],
)  # fmt: skip
def test_somebody_came(line: str, expected: Record) -> None:
    assert read(line)[0] == [expected]


def test_an_event_as_json() -> None:
    told = {"v": 1, "kind": "sensor.tripped", "time": "2026-11-20T10:05:07Z", "service": "irc-1", "source": "192.0.2.9"}
    (found,), _ = read(json.dumps(told))
    assert found == Record(datetime.fromisoformat("2026-11-20T10:05:07+00:00").timestamp(), found.source, "irc-1")
    (found,), _ = read(json.dumps({**told, "kind": "server.started"}))
    assert found.served
    assert read(json.dumps({**told, "kind": "daemon.started"}), json.dumps({**told, "source": None}))[0] == []


@pytest.mark.parametrize(
    "line",
    [
        "26/11/20@10:05:07: EXIT: ftp-3 status=0 pid=100 duration=1(sec)",
        "26/11/20@10:05:07: START: ftp-3 pid=100",
        "26/11/20@10:05:07: START: ftp-3 pid=100 from=<no address>",
        "26/11/20@10:05:07: USERID: ftp-3 alice",
        f"26/11/20@10:05:07 sentinetd[7]: {ADDING}, by the operator (root)",
        f"26/11/20@10:05:07 sentinetd[7]: {ADDING}, from the fleet",
        "26/11/20@10:05:07 sentinetd[7]: NOTICE: Started working: 7 available services",
        "2026-11-20 10:05:07,123 fail2ban.actions        [812]: NOTICE  [sshd] Ban 192.0.2.9",
        "2026-11-20 10:05:07,123 fail2ban.server         [812]: INFO    Starting Fail2ban v1.0.2",
        "",
    ],
)
def test_nobody_came(line: str) -> None:
    found, log = read(line, "26/11/20@10:05:07: START: ftp-3 from=192.0.2.9")
    assert len(found) == 1
    assert (log.reading.lines, log.reading.idle, log.reading.unread) == (2, 1, 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param("garbage", "it begins with no date of a log", id="no log"),
        pytest.param("26/11/20@10:05:07: HELLO", "it is no line of a service log", id="another log"),
        pytest.param("26/13/20@10:05:07: START: a from=192.0.2.9", "month must be in 1..12", id="month 13"),
        pytest.param("26/11/20@25:05:07: START: a from=192.0.2.9", "hour must be in 0..23", id="hour 25"),
        pytest.param("26/11/20@10:05:07: START: a from=192.0.2.999", "does not appear to be an IPv4", id="no address"),
        pytest.param("{", "it is no event of sentinetd as JSON", id="broken JSON"),
        pytest.param('["kind"]', "it begins with no date of a log", id="no object"),
        pytest.param('{"kind": 1}', "", id="a kind that is a number"),
        pytest.param('{"kind": "sensor.tripped", "source": 5, "time": 1}', "are text", id="numbers for texts"),
        pytest.param('{"kind": "sensor.tripped", "source": "x", "time": "soon"}', "Invalid isoformat", id="no time"),
        pytest.param('{"kind":' * 2000, "event", id="nested"),
        pytest.param(b"x" * (3 * LONGEST), f"longer than {LONGEST} bytes", id="too long"),
        pytest.param(b"\xff\xfe\x00", "it begins with no date of a log", id="bytes"),
    ],
)
def test_what_cannot_be_read_is_counted_with_its_number(line: str | bytes, why: str) -> None:
    found, log = read("26/11/20@10:05:07: START: a from=192.0.2.9", line, "26/11/20@10:05:07: START: b from=192.0.2.9")
    assert [one.name for one in found] == ["a", "b"], "the rest counts"
    assert log.reading.lines == 3
    if why:
        ((number, said),) = log.reading.examples
        assert number == 2
        assert why in said


def test_a_date_without_a_year_is_not_in_the_future() -> None:
    (found,), _ = read("Dec 31 23:00:00 host xinetd[8]: START: ftp from=192.0.2.9")
    assert time.localtime(found.at).tm_year == 2025
    (found,), _ = read("Nov  5 23:00:00 host xinetd[8]: START: ftp from=192.0.2.9")
    assert time.localtime(found.at).tm_year == 2026


def test_examples_are_few() -> None:
    _, log = read(*["garbage"] * 100)
    assert (log.reading.unread, len(log.reading.examples)) == (100, 10)
