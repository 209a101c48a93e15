"""All sinks of alerts there are, by what the configuration calls them. Each is loaded when one of its kind is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sentinetd.model.alert import Alert
from sentinetd.ports import AlertSink
from sentinetd.report.sinks.making import Making


def make_sink(alert: Alert, making: Making) -> AlertSink:
    """The sink of *alert*. Unusable if it cannot work as it is configured."""
    return SINKS[alert.type](alert.target, making)


def _file(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.alert_file import AlertFile

    return AlertFile(target, making)


def _syslog(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.alert_syslog import make

    return make(target, making)


def _journal(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.alert_journal import AlertJournal

    return AlertJournal(target, making)


def _webhook(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.webhook import Webhook

    return Webhook(target, making)


def _mail(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.mail import Mail

    return Mail(target, making)


def _program(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.program import Program

    return Program(target)


def _hpfeeds(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.hpfeeds import Hpfeeds

    return Hpfeeds(target, making)


def _plugin(target: Any, making: Making) -> AlertSink:
    from sentinetd.report.sinks.plugin import load

    return load(target)


SINKS: Mapping[str, Callable[[Any, Making], AlertSink]] = {
    "file": _file,
    "syslog": _syslog,
    "journal": _journal,
    "webhook": _webhook,
    "mail": _mail,
    "program": _program,
    "hpfeeds": _hpfeeds,
    "plugin": _plugin,
}
"""What makes a sink of a target, by the type of alert."""
