"""An event as a document of the Elastic Common Schema, one JSON object on one line (elastic.co, ECS reference).

What the schema has a field for is there; under `sentinetd`, as custom fields may be, is all that the event says.
"""

from __future__ import annotations

import json
from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.events import Event
from sentinetd.model.observer import Observer
from sentinetd.report.dates import rfc3339
from sentinetd.report.formats.outline import Outcome, Outline, bare, identifier, outline
from sentinetd.report.sinks.syslog import SEVERITY_OF

VERSION = "9.0.0"
"""Of the schema. The fields that are used are the same since 8.0."""

NETWORK, DETECTION, CONFIGURATION, PROCESS = "network", "intrusion_detection", "configuration", "process"

CATEGORIES: dict[type[Event], tuple[list[str], list[str]]] = {
    ev.SensorTripped: ([NETWORK, DETECTION], ["denied"]),
    ev.SensorCaptured: ([NETWORK, DETECTION], ["info"]),
    ev.ConnectionAdmitted: ([NETWORK], ["connection", "allowed"]),
    ev.ConnectionRefused: ([NETWORK], ["connection", "denied"]),
    ev.TrafficCounted: ([NETWORK], ["connection", "info"]),
    ev.UserFound: ([NETWORK], ["connection", "info"]),
    ev.UserUnknown: ([NETWORK], ["connection", "denied"]),
    ev.DatagramUnread: ([NETWORK], ["connection", "info"]),
    ev.ServerStarted: ([PROCESS, NETWORK], ["start"]),
    ev.ServerEnded: ([PROCESS, NETWORK], ["end"]),
    ev.BanImposed: ([DETECTION], ["info"]),
    ev.BanLengthened: ([DETECTION], ["info"]),
    ev.BanLifted: ([DETECTION], ["info"]),
    ev.BanEvicted: ([DETECTION], ["info"]),
    ev.BanEnded: ([DETECTION], ["info"]),
    ev.BansDeclined: ([DETECTION], ["info"]),
    ev.BansCleared: ([DETECTION], ["info"]),
    ev.ExemptionAdded: ([CONFIGURATION], ["change"]),
    ev.ExemptionEnded: ([CONFIGURATION], ["change"]),
    ev.DaemonStarted: ([PROCESS], ["start"]),
    ev.DaemonStopping: ([PROCESS], ["end"]),
    ev.ReloadDone: ([CONFIGURATION], ["change"]),
    ev.ReloadRefused: ([CONFIGURATION], ["info"]),
    ev.Diagnosed: ([CONFIGURATION], ["info"]),
    ev.ServiceAdjusted: ([CONFIGURATION], ["change"]),
    ev.ServiceDropped: ([CONFIGURATION], ["deletion"]),
}
"""event.category and event.type of a kind; others are of the daemon's process, for information."""
OUTCOMES = {Outcome.ADMITTED: "success", Outcome.REFUSED: "failure"}
"""From the client's point of view: a trip did succeed in touching a decoy, which is neither."""

LONGEST = (1 << 63) - 1
"""Nanoseconds that a duration may have."""

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def ecs(event: Event, observer: Observer) -> str:
    """The document. It is ASCII and holds no control character."""
    told = outline(event, observer)
    document: dict[str, Any] = {
        "@timestamp": rfc3339(event.at),
        "ecs": {"version": VERSION},
        "message": told.summary,
        "log": {"level": told.level.value.lower()},
        "event": _event(event, observer, told),
        "host": {"hostname": told.host},
        "service": {"name": told.ident, "type": "sentinetd"},
        "observer": {
            "hostname": told.host,
            "type": "sensor",
            "vendor": "sentinetd",
            "product": "sentinetd",
            "version": observer.version,
        },
        "sentinetd": {"kind": event.kind, **told.members},
    }
    document |= _ends(told)
    if told.pid:
        document["process"] = {"pid": told.pid}
    if isinstance(event, ev.SensorTripped | ev.SensorCaptured):
        document["rule"] = {"name": told.service}
    who = told.members.get("user") or told.members.get("who")
    if who:
        document["user"] = {"name": who}
        document.setdefault("related", {})["user"] = [who]
    return _encode(document)


def _event(event: Event, observer: Observer, told: Outline) -> dict[str, Any]:
    category, type_ = CATEGORIES.get(type(event), ([PROCESS], ["info"]))
    kind = "alert" if isinstance(event, ev.SensorTripped) else "event"
    about: dict[str, Any] = {
        "id": str(identifier(event, observer)),
        "kind": "metric" if isinstance(event, ev.Heartbeat) else kind,
        "category": category,
        "type": type_,
        "action": event.kind,
        "severity": SEVERITY_OF[told.level],
        "module": "sentinetd",
        "dataset": f"sentinetd.{event.kind.partition('.')[0]}",
        "outcome": OUTCOMES.get(told.outcome, "unknown"),
    }
    if told.reason:
        about["reason"] = told.reason
    if isinstance(event, ev.ServerEnded | ev.SensorCaptured):
        about["duration"] = min(max(0, round(event.duration * 1e9)), LONGEST)
    return about


def _ends(told: Outline) -> dict[str, Any]:
    """The two ends of the connection, and what is known of what is between them."""
    ends: dict[str, Any] = {}
    network: dict[str, Any] = {}
    addresses = [bare(address) for address in (told.source, told.local) if address is not None]
    if told.source is not None:
        ends["source"] = {"address": bare(told.source), "ip": bare(told.source)}
        network |= {"type": f"ipv{told.source.version}", "direction": "inbound"}
        if told.source_port:
            ends["source"]["port"] = told.source_port
    if told.local is not None:
        ends["destination"] = {"address": bare(told.local), "ip": bare(told.local)}
    if told.local_port:
        ends.setdefault("destination", {})["port"] = told.local_port
    if told.protocol:
        network["transport"] = told.protocol
    bytes_in, bytes_out = told.members.get("bytes_in"), told.members.get("bytes_out")
    if bytes_in is not None and bytes_out is not None:
        ends.setdefault("source", {})["bytes"] = bytes_in
        ends.setdefault("destination", {})["bytes"] = bytes_out
        network["bytes"] = bytes_in + bytes_out
    if network:
        ends["network"] = network
    if addresses:
        ends["related"] = {"ip": addresses}
    return ends
