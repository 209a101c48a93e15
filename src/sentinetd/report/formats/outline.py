"""What most dialects ask of an event: who came where by what, what became of it, how grave it is, in words."""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.address import Address, Network
from sentinetd.model.events import Event, Level
from sentinetd.model.noun import dataclass, fields
from sentinetd.model.observer import Observer
from sentinetd.report.escape import escape, unicode_text
from sentinetd.report.formats.json_line import json_line, json_object
from sentinetd.report.formats.text import level, messages
from sentinetd.report.formats.xinetd import xinetd_line

NAMESPACE = uuid.UUID("5f0a4a0e-6f0f-5d0f-9d3c-2b1c9a6f7e11")
"""Of the identifiers that are made from what they name (RFC 4122 section 4.3), so that twice the same is the same."""
ENVELOPE = 5
"""Members of the canonical form that every event has: what is behind them is the kind's own."""


class Outcome(Enum):
    """What became of whom the event is about."""

    NONE = "none"
    ADMITTED = "admitted"
    REFUSED = "refused"
    BANNED = "banned"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """*title* is the kind in words, *summary* a line of printable ASCII that is never empty. *members* are those of the
    canonical form that are the kind's own. *host* and *ident* are the observer's. What an event does not say is None,
    0 or empty. All texts are Unicode, and may hold control characters."""

    title: str
    summary: str
    level: Level
    host: str
    ident: str
    outcome: Outcome
    members: dict[str, Any]
    service: str
    source: Address | None
    source_port: int
    local: Address | None
    local_port: int
    protocol: str
    network: Network | None
    pid: int
    reason: str


TITLES: dict[type[Event], str] = {
    ev.SensorTripped: "Decoy service touched",
    ev.SensorCaptured: "What a decoy service was told",
    ev.ConnectionAdmitted: "Connection admitted",
    ev.ConnectionRefused: "Connection refused",
    ev.TrafficCounted: "Connection carried",
    ev.BanImposed: "Source banned",
    ev.BanLengthened: "Ban lengthened",
    ev.BanLifted: "Ban lifted",
    ev.BanEvicted: "Ban evicted",
    ev.BanEnded: "Ban ended",
    ev.Heartbeat: "Daemon lives",
    ev.Notice: "Notice of the daemon",
    ev.Diagnosed: "Mistake in the configuration",
}
"""Kinds in words, where their name says too little."""

OUTCOMES: dict[type[Event], Outcome] = {
    ev.ConnectionAdmitted: Outcome.ADMITTED,
    ev.ServerStarted: Outcome.ADMITTED,
    ev.ConnectionRefused: Outcome.REFUSED,
    ev.SensorTripped: Outcome.OBSERVED,
    ev.SensorCaptured: Outcome.OBSERVED,
    ev.BanImposed: Outcome.BANNED,
    ev.BanLengthened: Outcome.BANNED,
}


def outline(event: Event, observer: Observer) -> Outline:
    """What *event*, which *observer* saw, comes to."""
    has = {field.name: getattr(event, field.name) for field in fields(event)}
    members = dict(list(json_object(event, observer).items())[ENVELOPE:])
    outcome = OUTCOMES.get(type(event), Outcome.NONE)
    if isinstance(event, ev.SensorTripped) and event.ban_span > 0:
        outcome = Outcome.BANNED
    return Outline(
        title=title(event),
        summary=_summary(event, observer, members),
        level=level(event),
        host=unicode_text(observer.host),
        ident=unicode_text(observer.ident),
        outcome=outcome,
        members=members,
        service=members.get("service", ""),
        source=has.get("source"),
        source_port=has.get("port", 0),
        local=has.get("local"),
        local_port=has.get("local_port", 0),
        protocol=members.get("protocol", ""),
        network=has.get("network"),
        pid=has.get("pid", 0),
        reason=members.get("reason") or members.get("not_banned_because") or members.get("why", ""),
    )


def title(event: Event) -> str:
    """The kind of *event* in words: those of the table, else its name's."""
    return TITLES.get(type(event)) or event.kind.replace(".", " ").replace("-", " ").capitalize()


def identifier(event: Event, observer: Observer) -> uuid.UUID:
    """The same for the same event, also when it is told again: made of its canonical form."""
    return uuid.uuid5(NAMESPACE, json_line(event, observer))


def bare(address: Address) -> str:
    """*address* without its interface, which means something on this host only."""
    return address.text.partition("%")[0]


def _summary(event: Event, observer: Observer, members: dict[str, Any]) -> str:
    """As the daemon's log has it, else as a service's log that leaves nothing out has it, else the members."""
    told = "; ".join(messages(event)) or xinetd_line(event, observer)
    if told:
        return told
    words = " ".join(f"{key}={value}" for key, value in members.items() if value not in (None, ""))
    return escape(f"{title(event)}: {words}" if words else title(event))
