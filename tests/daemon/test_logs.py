"""Which events the guard tells its courier of at all."""

from __future__ import annotations

import pytest

from sentinetd.daemon.link import Link
from sentinetd.daemon.logs import Logs
from sentinetd.model import events as ev
from sentinetd.model.verdict import Reason

STARTED = ev.ServerStarted(1.0, 7, "x", None, 0, 5)
ENDED = ev.ServerEnded(1.0, 7, "x", None, 5, 0, 0, 1.0)
REFUSED = ev.ConnectionRefused(1.0, 7, "x", None, 0, Reason.ADDRESS)


@pytest.mark.parametrize("event", [STARTED, ENDED, REFUSED], ids=lambda event: event.kind)
def test_routine_events_of_a_service_without_log_are_told_while_somebody_listens(event: ev.Event) -> None:
    logs = Logs(Link(lambda: 1.0))
    assert not logs.wants(event)
    logs.listen([event.kind])
    assert logs.wants(event)
    assert sum(map(logs.wants, (STARTED, ENDED, REFUSED))) == 1
    logs.listen([])
    assert not logs.wants(event)


def test_what_is_not_routine_is_always_told() -> None:
    assert Logs(Link(lambda: 1.0)).wants(ev.ReloadStarted(1.0))
