"""The canonical form: what it looks like, and that a strict reader takes it whatever the event holds."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, ClassVar

import pytest
from hypothesis import given

from report.samples import AT, OBSERVER, SAMPLES, TRIP, any_event
from sentinetd.model import events as ev
from sentinetd.model.events import EVENTS, Event
from sentinetd.model.noun import dataclass
from sentinetd.report.formats.json_line import json_line, json_object


def strictly(line: str) -> Any:
    """*line* as RFC 8259 has it, without what Python's reader takes besides: NaN and lone surrogates."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    value = json.loads(line, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError for half a surrogate pair
    return value


def test_every_kind_is_among_the_samples() -> None:
    assert {type(one) for one in SAMPLES} == set(EVENTS)


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.kind for kind in EVENTS}) == len(EVENTS)


def test_a_trip() -> None:
    assert json_line(TRIP, OBSERVER) == (
        '{"v":1,"kind":"sensor.tripped","time":"2026-11-23T08:33:37.250000Z","level":"critical","host":"gw.example",'
        '"service_number":7,"service":"irc-sensor","source":"192.0.2.9","source_port":40022,"ban_seconds":7200.0,'
        '"not_banned_because":"","connection":31,"protocol":"tcp","local_address":"198.51.100.6","local_port":6667,'
        '"of_many":false}'
    )


def test_a_ban_without_end() -> None:
    ban = ev.BanImposed(AT, ev.Network.parse("2001:db8::/64"), math.inf, "irc", ev.Origin.SENSOR)
    assert json_line(ban, OBSERVER) == (
        '{"v":1,"kind":"ban.imposed","time":"2026-11-23T08:33:37.250000Z","level":"notice","host":"gw.example",'
        '"network":"2001:db8::/64","until":null,"sensor":"irc","origin":"sensor","who":"","note":""}'
    )


def test_the_end_of_a_ban_is_a_date() -> None:
    ban = ev.BanLengthened(AT, ev.Network.parse("192.0.2.1"), AT + 0.5, "irc", ev.Origin.FLEET)
    assert json_object(ban, OBSERVER)["until"] == "2026-11-23T08:33:37.750000Z"


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00.000000Z", id="the first second"),
        pytest.param(-5.0, "1970-01-01T00:00:00.000000Z", id="before it"),
        pytest.param(1795422817.999999, "2026-11-23T08:33:37.999999Z", id="microseconds"),
        pytest.param(1e300, "9999-12-31T00:00:00.000000Z", id="after the last year"),
        pytest.param(math.nan, "1970-01-01T00:00:00.000000Z", id="no number"),
    ],
)
def test_time(at: float, shown: str) -> None:
    assert json_object(ev.ReloadStarted(at), OBSERVER)["time"] == shown


def test_what_is_no_text_is_spelled_out() -> None:
    assert json_object(ev.FileRead(AT, "a\udcff\U0001f600"), OBSERVER)["path"] == "a\\udcff\U0001f600"


@dataclass(frozen=True, slots=True)
class Heard(Event):
    kind: ClassVar[str] = "test.heard"
    said: bytes


def test_bytes_are_told_for_programs_and_for_people() -> None:
    told = json_object(Heard(AT, b"GET \x1b\xff\n"), OBSERVER)
    assert base64.b64decode(told["said"]) == b"GET \x1b\xff\n"
    assert told["said_text"] == "GET \\x1b\\xff\\x0a"


@given(any_event())
def test_a_strict_reader_takes_it_and_it_is_one_line(event: Event) -> None:
    line = json_line(event, OBSERVER)
    assert re.fullmatch("[\x20-\x7e]+", line)
    value = strictly(line)
    assert list(value)[:5] == ["v", "kind", "time", "level", "host"]
    assert (value["v"], value["kind"]) == (ev.VERSION, event.kind)
