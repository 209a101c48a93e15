"""What the tests of this room share."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sentinetd.report.formats import text
from sentinetd.report.sinks import syslog


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    time.tzset()
    text.stamp.cache_clear()
    syslog.stamp.cache_clear()
