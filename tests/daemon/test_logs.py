"""Of which services the courier hears: of those that log."""

from __future__ import annotations

import time

import pytest

from policy.player import service
from sentinetd.daemon.channel import Channel
from sentinetd.daemon.link import Link
from sentinetd.daemon.logs import Logs
from sentinetd.daemon.messages import FROM_COURIER, TO_COURIER, Greeting, ServiceGone, ServiceLog, SyslogSink
from sentinetd.daemon.newborn import channel_pair
from sentinetd.model.noun import replace
from sentinetd.model.service import OnFailure, OnSuccess, SyslogLog

SILENT = service()
LOGS = replace(
    SILENT, log_type=SyslogLog("daemon"),
    log_on_success=frozenset({OnSuccess.PID, OnSuccess.HOST}), log_on_failure=frozenset({OnFailure.HOST}),
)  # fmt: skip
TOLD = ServiceLog(7, 1, (OnSuccess.HOST, OnSuccess.PID), (OnFailure.HOST,))
NOWHERE = ServiceLog(7, None, (), ())


@pytest.mark.parametrize(
    ("steps", "heard"),
    [
        pytest.param([SILENT, None], [], id="one that does not log"),
        pytest.param([LOGS, None], [TOLD, ServiceGone(7)], id="one that does"),
        pytest.param([LOGS, SILENT, None], [TOLD, NOWHERE, ServiceGone(7)], id="no more"),
        pytest.param([SILENT, LOGS, SILENT, LOGS], [TOLD, NOWHERE, TOLD], id="now and then"),
        pytest.param([LOGS, None, SILENT, None], [TOLD, ServiceGone(7)], id="another of the same number"),
    ],
)
def test_what_the_courier_hears(steps: list[object], heard: list[object]) -> None:
    ours, theirs = channel_pair()
    courier, link = Channel(theirs, TO_COURIER), Link(time.time)
    logs = Logs(link)
    link.attach(Channel(ours, FROM_COURIER), Greeting("x", 1))
    try:
        for step in steps:
            if step is None:
                logs.leave(7)
            else:
                logs.follow(7, step)  # type: ignore[arg-type]
        link.pump()
        came = []
        while (packet := courier.receive()) is not None:
            came += packet[1]
    finally:
        courier.close()
        ours.close()
    assert [one for one in came if type(one) not in (Greeting, SyslogSink)] == heard
