"""Addresses as a sink is to see them: nothing of the source is left, in no field and in no text."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.samples import AT, HOST, NET, OBSERVER, SAMPLES, SIX, TRIP, A
from sentinetd.model import events as ev
from sentinetd.model.address import Address
from sentinetd.model.alert import Shown
from sentinetd.model.ban import Origin
from sentinetd.model.events import Level
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.privacy import veil

KEY = b"k" * 32
full, short, hashed = (veil(shown, KEY) for shown in Shown)


@pytest.mark.parametrize(
    ("text", "shortened"),
    [
        ("192.0.2.9", "192.0.2.0"),
        ("from 192.0.2.9:22, and 2001:db8:1:2::5.", "from 192.0.2.0:22, and 2001:db8:1::."),
        ("[2001:db8:1:2::5]:22", "[2001:db8:1::]:22"),
        ("at 12:30:05 v1.2.3 1.2.3.4.5 999.1.1.1 a::b::c x.y", "at 12:30:05 v1.2.3 1.2.3.4.5 999.1.1.1 a::b::c x.y"),
        (
            "::ffff:192.0.2.9, a=192.0.2.9;192.0.2.9/32 (fe80::1%eth0)",
            "192.0.2.0, a=192.0.2.0;192.0.2.0/32 (fe80::%eth0)",
        ),
        ("fd00::9/64", "fd00::/64"),
    ],
)
def test_texts(text: str, shortened: str) -> None:
    told = short(ev.Notice(AT, Level.INFO, text))
    assert isinstance(told, ev.Notice)
    assert told.text == shortened


def test_fields() -> None:
    trip = short(TRIP)
    assert isinstance(trip, ev.SensorTripped)
    assert (trip.source.text, trip.service, trip.port) == ("192.0.2.0", TRIP.service, TRIP.port)
    ban = short(ev.BanImposed(AT, HOST, AT + 9, "irc", Origin.SENSOR))
    assert isinstance(ban, ev.BanImposed)
    assert str(ban.network) == "192.0.2.0/24"
    wide = short(ev.BanLifted(AT, NET))
    assert isinstance(wide, ev.BanLifted)
    assert str(wide.network) == "2001:db8:1::/48"


def test_a_pseudonym_is_the_same_for_the_same_address_and_key_only() -> None:
    def of(address: Address, key: bytes = KEY) -> str:
        told = veil(Shown.HASHED, key)(ev.UserFound(AT, 7, "ftp", address, "joe"))
        assert isinstance(told, ev.UserFound)
        return told.source.text

    assert of(A) == of(A) != of(SIX)
    assert of(A) != of(A, b"another")
    assert re.fullmatch(r"100::[0-9a-f:]+", of(A))


@given(st.sampled_from(SAMPLES))
def test_no_event_keeps_an_address_but_in_full(event: ev.Event) -> None:
    assert full(event) is event
    for changed in (short, hashed):
        line = json_line(changed(event), OBSERVER)
        assert json.loads(line)["kind"] == event.kind
        for address in (A, SIX):
            assert not re.search(rf"(?<![\w.:]){re.escape(address.text)}(?![\w:])", line)
