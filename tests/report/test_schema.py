"""The published schema is that of the classes, a foreign validator takes it, and every event is as it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, FormatChecker

from report.readers import closed
from report.samples import OBSERVER, SAMPLES, any_event
from sentinetd.model.events import Event
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.schema import PAGE, SCHEMA, page, schema

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
VALIDATOR = Draft202012Validator(schema(), format_checker=FormatChecker())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


def test_what_is_published_is_of_now() -> None:
    again = "stale: write it anew with `make reference`"
    assert json.loads((REFERENCE / SCHEMA).read_text()) == schema(), again
    assert (REFERENCE / PAGE).read_text() == page(), again


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_every_kind_is_as_it_says(event: Event) -> None:
    value = json.loads(json_line(event, OBSERVER))
    VALIDATOR.validate(value)
    closed(event.kind).validate(value)


@given(any_event())
def test_any_event_is_as_it_says(event: Event) -> None:
    closed(event.kind).validate(json.loads(json_line(event, OBSERVER)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"kind": "sensor.untripped"}, id="an unknown kind"),
        pytest.param({"v": 2}, id="another version"),
        pytest.param({"source": None}, id="a trip of nobody"),
        pytest.param({"source_port": "40022"}, id="text for a number"),
        pytest.param({"level": "alarming"}, id="an unknown level"),
    ],
)
def test_what_is_not_so_is_refused(change: dict[str, Any]) -> None:
    trip = next(event for event in SAMPLES if event.kind == "sensor.tripped")
    assert not VALIDATOR.is_valid({**json.loads(json_line(trip, OBSERVER)), **change})
