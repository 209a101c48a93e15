"""Every format, of every kind of event: to the letter, as others read it, and whatever the event holds.

To renew the golden files after a change: ``PYTHONPATH=tests python tests/report/test_dialects.py``, then read the
difference.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cefevent.event import CEFEvent
from cefevent.extensions import extension_dictionary
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from report.readers import READERS, read_idmef2_by_its_library, read_text, said, through_the_journal
from report.samples import EVIL, OBSERVER, SAMPLES, TRIP, any_event
from sentinetd.model import events as ev
from sentinetd.model.events import EVENTS, Event
from sentinetd.model.observer import Observer
from sentinetd.report.formats.cef import cef
from sentinetd.report.formats.idmef import idmef
from sentinetd.report.formats.idmef2 import idmef2
from sentinetd.report.formats.journald import journal_entry
from sentinetd.report.formats.outline import outline
from sentinetd.report.formats.stix import stix
from sentinetd.report.formats.table import FORMATS

GOLDEN = Path(__file__).parent / "golden"
PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def shown(name: str) -> str:
    """All samples in the format *name*."""
    told = ((event.kind, FORMATS[name](event, OBSERVER)) for event in SAMPLES)
    return "".join(f"{kind}: {line}\n" for kind, line in told)


@pytest.mark.parametrize("name", FORMATS)
def test_golden(name: str) -> None:
    assert shown(name) == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_shows_it_as_it_is(name: str) -> None:
    assert f"\n{FORMATS[name](TRIP, OBSERVER)}\n```" in PAGE.read_text()


def test_the_page_shows_the_journal_as_it_is() -> None:
    assert f"\n{journal_entry(TRIP, OBSERVER).decode()}```" in PAGE.read_text()


def test_golden_journal() -> None:
    assert b"\n".join(journal_entry(event, OBSERVER) for event in SAMPLES) == (GOLDEN / "journal.bin").read_bytes()


def test_every_format_has_a_reader() -> None:
    assert READERS.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_others_read_it(name: str, event: Event) -> None:
    line = FORMATS[name](event, OBSERVER)
    if line is not None:
        READERS[name](line, event)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_the_library_of_idmef2_takes_it(event: Event) -> None:
    read_idmef2_by_its_library(idmef2(event, OBSERVER))


@pytest.mark.parametrize("name", FORMATS)
@given(event=any_event())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_line_can_be_forged_and_others_read_it(name: str, event: Event) -> None:
    line = FORMATS[name](event, OBSERVER)
    if line is not None:
        assert re.fullmatch("[\x20-\x7e]*", line)
        READERS[name](line, event)


@given(event=any_event())
def test_a_sentence_is_never_empty(event: Event) -> None:
    assert outline(event, OBSERVER).summary.strip()
    if FORMATS["text"](event, OBSERVER) is not None:
        read_text(str(FORMATS["text"](event, OBSERVER)), event)


@pytest.mark.parametrize("name", FORMATS)
@given(host=EVIL, ident=EVIL)
@settings(max_examples=40, deadline=None)
def test_an_evil_host_name_forges_nothing(name: str, host: str, ident: str) -> None:
    observer = Observer(host=host, ident=ident, pid=1, version="0.1.0")
    for event in SAMPLES:
        line = FORMATS[name](event, observer)
        assert line is None or re.fullmatch("[\x20-\x7e]*", line)


# The journal.


def test_a_real_journal_has_every_field(tmp_path: Path) -> None:
    found = through_the_journal([journal_entry(event, OBSERVER) for event in SAMPLES], tmp_path)
    assert [said(one["SENTINETD_EVENT"]).decode() for one in found] == [event.kind for event in SAMPLES]
    for event, entry in zip(SAMPLES, found, strict=True):
        told = outline(event, OBSERVER)
        assert said(entry["MESSAGE"]).decode() == told.summary
        for key, value in told.members.items():
            if value not in (None, ""):
                assert said(entry[f"SENTINETD_{key.upper()}"]) == str(value).encode("utf-8", "backslashreplace")


@given(st.lists(any_event(), min_size=20, max_size=60))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_real_journal_takes_any_event(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> None:
    found = through_the_journal(
        [journal_entry(event, OBSERVER) for event in events], tmp_path_factory.mktemp("journal")
    )
    assert len(found) == len(events), "one event is one entry"
    for event, entry in zip(events, found, strict=True):
        assert said(entry["SENTINETD_EVENT"]).decode() == event.kind
        for key, value in outline(event, OBSERVER).members.items():
            if value not in (None, ""):
                assert said(entry[f"SENTINETD_{key.upper()}"]) == str(value).encode("utf-8", "backslashreplace")


# What particular formats promise.


def test_cef_writes_keys_of_the_dictionary_as_long_as_it_allows() -> None:
    strict = CEFEvent(strict=True)
    for event in SAMPLES:
        extension = cef(event, OBSERVER).rpartition("|")[2]
        for key, value in re.findall(r"(\w+)=(.*?)(?= \w+=|$)", extension):
            assert key in extension_dictionary
            number = re.fullmatch("-?[0-9]+", value) and "String" not in extension_dictionary[key]["data_type"]
            if value != "0":  # which the library takes for a failure of its own
                assert strict.set_field(key, int(value) if number else value) is not False


def test_idmef_is_alert_or_heartbeat_or_nothing() -> None:
    told = {event.kind: str(idmef(event, OBSERVER)) for event in SAMPLES}
    assert {kind for kind, line in told.items() if "<Alert " in line} == {
        "sensor.tripped", "sensor.captured", "connection.refused", "ban.imposed", "ban.lengthened",
    }  # fmt: skip
    assert {kind for kind, line in told.items() if "<Heartbeat " in line} == {"daemon.heartbeat"}


def test_stix_tells_of_trips_and_bans() -> None:
    told = {event.kind for event in SAMPLES if stix(event, OBSERVER)}
    assert told == {
        "sensor.tripped", "sensor.captured", "ban.imposed", "ban.lengthened", "ban.lifted", "ban.evicted", "ban.ended",
    }  # fmt: skip


def test_kinds_fit_a_message_id() -> None:
    assert all(re.fullmatch(r"[a-z.-]{1,32}", kind.kind) for kind in EVENTS)


def test_a_ban_and_its_end_are_one_object_of_stix() -> None:
    network = ev.Network.parse("192.0.2.9")
    ban, lifted = (
        stix(event, OBSERVER) or ""
        for event in (
            ev.BanImposed(10.0, network, 20.0, "irc", ev.Origin.SENSOR),
            ev.BanLifted(15.0, network),
        )
    )
    number = re.compile(r'"id":"(indicator--[0-9a-f-]+)"')
    assert number.findall(ban) == number.findall(lifted) != []
    assert '"valid_until":"1970-01-01T00:00:20.000Z"' in ban
    assert '"revoked":true' in lifted


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for format_name in FORMATS:
        (GOLDEN / f"{format_name}.txt").write_text(shown(format_name))
    (GOLDEN / "journal.bin").write_bytes(b"\n".join(journal_entry(event, OBSERVER) for event in SAMPLES))
