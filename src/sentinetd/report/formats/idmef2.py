"""An event as a message of the Intrusion Detection Message Exchange Format, version 2: one JSON object on one line.

The draft is draft-lehmann-idmefv2-08; each draft has a version string of its own, and its schema takes no member that
it does not name. So `Note` holds the canonical form, as text.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.address import Address
from sentinetd.model.events import Event, Level
from sentinetd.model.observer import Observer
from sentinetd.report.dates import rfc3339
from sentinetd.report.escape import unicode_text
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.formats.outline import NAMESPACE, Outcome, Outline, bare, identifier, outline

VERSION = "2.D.V08"

CATEGORIES: dict[type[Event], str] = {
    ev.SensorTripped: "Recon.Network",
    ev.SensorCaptured: "Recon.Network",
    ev.ConnectionRefused: "Access.Unauthorized",
    ev.ConnectionAdmitted: "Access.Authorized",
    ev.UserUnknown: "Access.Unauthorized",
    ev.Heartbeat: "Availability.HeartBeat",
    ev.DaemonStopping: "Availability.Outage",
    ev.ProcessFailed: "Availability.Failure",
    ev.FollowerFailed: "Availability.Failure",
    ev.ListenerFailed: "Availability.Failure",
    ev.ServerFailed: "Availability.Failure",
    ev.ForkFailed: "Availability.Failure",
    ev.EventsLost: "Availability.Overload",
    ev.ResourceExhausted: "Availability.Overload",
    ev.ServicePaused: "Availability.Overload",
    ev.Diagnosed: "Availability.Misconfiguration",
    ev.ReloadRefused: "Availability.Misconfiguration",
}
"""Category of a kind; of others, that there is none for it."""
MALICIOUS: frozenset[type[Event]] = frozenset({ev.SensorTripped, ev.SensorCaptured, ev.BanImposed, ev.BanLengthened})
CAPTURED = "captured"
"""Name of the attachment that holds what a client said."""
PRIORITIES = {
    Level.DEBUG: "Info",
    Level.INFO: "Info",
    Level.NOTICE: "Low",
    Level.WARNING: "Low",
    Level.ERROR: "Medium",
    Level.CRITICAL: "High",
}
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def idmef2(event: Event, observer: Observer) -> str:
    """The message. It is ASCII and holds no control character."""
    told = outline(event, observer)
    category = CATEGORIES.get(type(event), "Other.Uncategorised")
    failed = category.startswith("Availability") and category != "Availability.HeartBeat"
    cause = "Malicious" if type(event) in MALICIOUS else "Error" if failed else "Normal"
    message: dict[str, Any] = {
        "Version": VERSION,
        "ID": str(identifier(event, observer)),
        "CreateTime": rfc3339(event.at),
        "StartTime": rfc3339(event.at),
        "Type": ["Availability" if category.startswith("Availability") else "Cyber"],
        "Category": [category],
        "Cause": cause,
        "Status": ["Event"],
        "Priority": PRIORITIES[told.level],
        "Description": told.summary,
        "Note": json_line(event, observer),
        "AltNames": [event.kind],
        "Analyzer": _analyzer(event, observer, told),
    }
    if told.service:
        message["Sensor"] = [_sensor(observer, told)]
        message["Target"] = [_target(observer, told)]
    if told.source is not None:
        message["Source"] = [_source(observer, told, told.source)]
    elif told.network is not None:
        message["Source"] = [{"ID": _identity(observer, f"network {told.network}"), "Note": str(told.network)}]
        if told.network.scope:
            message["Source"][0]["Note"] = str(told.network).replace(f"%{told.network.scope}", "")
    if isinstance(event, ev.SensorTripped | ev.SensorCaptured):
        message["Confidence"] = 0.9 if told.protocol != "udp" else 0.3  # a datagram's sender can be forged
    if isinstance(event, ev.SensorCaptured):
        said = told.members["data"]
        message["Attachment"] = [{"Name": CAPTURED, "ContentType": "text/plain", "Content": said, "Size": len(said)}]
        message["Source"][0]["Attachment"] = [CAPTURED]
    return _encode(message)


def _analyzer(event: Event, observer: Observer, told: Outline) -> dict[str, Any]:
    method = "Honeypot" if isinstance(event, ev.SensorTripped | ev.SensorCaptured) else "Policy"
    return {
        "ID": _identity(observer, "analyzer"),
        "Name": "sentinetd",
        "Hostname": told.host,
        "Model": f"sentinetd {observer.version}",
        "Category": ["END.HPT"],
        "Data": ["Datagram" if told.protocol == "udp" else "Connection"],
        "Method": [method, "Blackhole"] if told.outcome is Outcome.BANNED else [method],
    }


def _sensor(observer: Observer, told: Outline) -> dict[str, Any]:
    sensor = {"ID": _identity(observer, f"sensor {told.service}"), "Name": told.service}
    return sensor if told.local is None else {**sensor, "IP": bare(told.local)}


def _source(observer: Observer, told: Outline, source: Address) -> dict[str, Any]:
    value: dict[str, Any] = {"ID": _identity(observer, f"source {source}"), "IP": bare(source)}
    if told.source_port:
        value["Port"] = [told.source_port]
    if told.protocol.isascii() and told.protocol.isalnum():  # all that the draft takes for a name
        value["Protocol"] = [f"IPv{source.version}", told.protocol]
    return value


def _target(observer: Observer, told: Outline) -> dict[str, Any]:
    value: dict[str, Any] = {
        "ID": _identity(observer, f"target {told.service}"),
        "Hostname": told.host,
        "Service": told.service,
    }
    if told.local is not None:
        value["IP"] = bare(told.local)
    if told.local_port:
        value["Port"] = [told.local_port]
    return value


def _identity(observer: Observer, what: str) -> str:
    """The same for the same thing of the same host."""
    return str(uuid.uuid5(NAMESPACE, unicode_text(f"{observer.host} {what}")))
