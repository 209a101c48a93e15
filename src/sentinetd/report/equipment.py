"""Loads what alerts need, libraries included, while it can still be read: the courier's user may be kept out of where
the interpreter is. A sink that another distribution brings is not loaded here: its code never runs with rights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

NEEDED: Mapping[str, tuple[str, ...]] = {
    "file": ("sentinetd.report.sinks.alert_file",),
    "syslog": ("sentinetd.report.sinks.alert_syslog",),
    "journal": ("sentinetd.report.sinks.alert_journal",),
    "webhook": ("sentinetd.report.sinks.webhook", "httpx", "httpcore", "anyio._backends._asyncio"),
    "mail": ("sentinetd.report.sinks.mail", "aiosmtplib", "email.policy", "email.contentmanager"),
    "program": ("sentinetd.report.sinks.program",),
    "hpfeeds": ("sentinetd.report.sinks.hpfeeds",),
    "plugin": ("sentinetd.report.sinks.plugin",),
}
"""Modules, by the type of alert; libraries load some of theirs only when they are used."""


def load(types: Iterable[str]) -> None:
    """Load what alerts of *types* need. What is not installed is told when a sink is made of it."""
    import_module("sentinetd.report.alerts")
    import_module("encodings.idna")  # host names go through it
    for kind in types:
        for name in NEEDED.get(kind, ()):
            try:
                import_module(name)
            except ImportError:
                continue
