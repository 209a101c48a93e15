"""An event of the Open Cybersecurity Schema Framework, one JSON object on one line (schema.ocsf.io).

What happens to connections is Network Activity with the profile security_control, bans are Network Remediation
Activity, all else Application Lifecycle. What the class has no attribute for is in `unmapped`.
"""

from __future__ import annotations

import json
from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.events import Event, Level
from sentinetd.model.observer import Observer
from sentinetd.report.dates import bounded
from sentinetd.report.formats.outline import Outcome, Outline, bare, identifier, outline
from sentinetd.report.formats.text import level as level_of

VERSION = "1.8.0"
"""Of the schema."""

NETWORK_ACTIVITY, REMEDIATION, LIFECYCLE = 4001, 7004, 6002
OPEN, CLOSE, REFUSE, TRAFFIC = 1, 2, 5, 6
START, STOP, OTHER = 3, 4, 99
ISOLATE, RESTORE = 1, 3
"""Activities of the three classes (schema.ocsf.io, activity_id)."""

ACTIVITIES: dict[type[Event], tuple[int, int]] = {
    ev.SensorTripped: (NETWORK_ACTIVITY, REFUSE),
    ev.SensorCaptured: (NETWORK_ACTIVITY, TRAFFIC),
    ev.ConnectionAdmitted: (NETWORK_ACTIVITY, OPEN),
    ev.ConnectionRefused: (NETWORK_ACTIVITY, REFUSE),
    ev.ServerStarted: (NETWORK_ACTIVITY, OPEN),
    ev.ServerEnded: (NETWORK_ACTIVITY, CLOSE),
    ev.TrafficCounted: (NETWORK_ACTIVITY, TRAFFIC),
    ev.UserFound: (NETWORK_ACTIVITY, OTHER),
    ev.UserUnknown: (NETWORK_ACTIVITY, OTHER),
    ev.DatagramUnread: (NETWORK_ACTIVITY, OTHER),
    ev.BanImposed: (REMEDIATION, ISOLATE),
    ev.BanLengthened: (REMEDIATION, ISOLATE),
    ev.BanLifted: (REMEDIATION, RESTORE),
    ev.BanEvicted: (REMEDIATION, RESTORE),
    ev.BanEnded: (REMEDIATION, RESTORE),
    ev.DaemonStarted: (LIFECYCLE, START),
    ev.DaemonStopping: (LIFECYCLE, STOP),
}
"""Class and activity of a kind; others are something else in the life of the application."""

SEVERITIES = {
    Level.DEBUG: 1,
    Level.INFO: 1,
    Level.NOTICE: 2,
    Level.WARNING: 3,
    Level.ERROR: 4,
    Level.CRITICAL: 5,
}
"""1 informational, 2 low, 3 medium, 4 high, 5 critical."""
CONTROLS = {
    Outcome.ADMITTED: (1, 1),  # allowed
    Outcome.REFUSED: (2, 2),  # denied; blocked
    Outcome.BANNED: (2, 2),
    Outcome.OBSERVED: (3, 15),  # observed; detected
}
"""action_id and disposition_id."""
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "ipv6-icmp": 58, "sctp": 132, "udplite": 136, "mptcp": 6}
"""protocol_num (IANA's protocol numbers) of the transports that a service may have."""
INBOUND = 1
IP_ADDRESS = 2
"""type_id of an observable that is an address."""

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def ocsf(event: Event, observer: Observer) -> str:
    """The event. It is ASCII and holds no control character."""
    told = outline(event, observer)
    class_, activity = ACTIVITIES.get(type(event), (LIFECYCLE, OTHER))
    profiles = ["security_control"] if class_ == NETWORK_ACTIVITY else []
    product = {"name": "sentinetd", "vendor_name": "sentinetd", "version": observer.version}
    value: dict[str, Any] = {
        "class_uid": class_,
        "category_uid": class_ // 1000,
        "activity_id": activity,
        "type_uid": class_ * 100 + activity,
        "time": int(bounded(event.at) * 1000),  # milliseconds
        "severity_id": SEVERITIES[level_of(event)],
        "message": told.summary,
        "metadata": {
            "version": VERSION,
            "uid": str(identifier(event, observer)),
            "event_code": event.kind,
            "profiles": profiles,
            "log_name": "sentinetd",
            "product": product,
        },
        "unmapped": {"host": told.host, **told.members},
    }
    if activity == OTHER:
        value["activity_name"] = event.kind
    if class_ == NETWORK_ACTIVITY:
        value |= _network(event, told)
    elif class_ == REMEDIATION:
        value |= _remediation(event, observer, told)
    else:
        value["app"] = product
    return _encode(value)


def _network(event: Event, told: Outline) -> dict[str, Any]:
    server: dict[str, Any] = {"svc_name": told.service, "hostname": told.host}
    if told.local is not None:
        server["ip"] = bare(told.local)
    if told.local_port:
        server["port"] = told.local_port
    value: dict[str, Any] = {"app_name": told.service, "dst_endpoint": server, "connection_info": _connection(told)}
    if told.source is not None:
        value["src_endpoint"] = {"ip": bare(told.source)}
        if told.source_port:
            value["src_endpoint"]["port"] = told.source_port
        value["observables"] = [{"name": "src_endpoint.ip", "type_id": IP_ADDRESS, "value": bare(told.source)}]
    if told.outcome in CONTROLS:
        value["action_id"], value["disposition_id"] = CONTROLS[told.outcome]
    if isinstance(event, ev.SensorTripped | ev.SensorCaptured):
        value["is_alert"] = True
    if isinstance(event, ev.ServerEnded | ev.SensorCaptured):
        value["duration"] = max(0, round(event.duration * 1000))
    bytes_in, bytes_out = told.members.get("bytes_in"), told.members.get("bytes_out")
    if bytes_in is not None and bytes_out is not None:
        value["traffic"] = {"bytes_in": bytes_in, "bytes_out": bytes_out, "bytes": bytes_in + bytes_out}
    return value


def _connection(told: Outline) -> dict[str, Any]:
    info: dict[str, Any] = {"direction_id": INBOUND}
    if told.members.get("connection"):
        info["uid"] = str(told.members["connection"])
    if told.source is not None:
        info["protocol_ver_id"] = told.source.version
    if told.protocol:
        info["protocol_name"] = told.protocol
    if told.protocol in PROTOCOLS:
        info["protocol_num"] = PROTOCOLS[told.protocol]
    return info


def _remediation(event: Event, observer: Observer, told: Outline) -> dict[str, Any]:
    """A ban has no connection of its own; whoever it is against is an observable."""
    network = str(told.network).replace(f"%{told.network.scope}", "") if told.network else ""
    return {
        "command_uid": str(identifier(event, observer)),
        "connection_info": {"direction_id": INBOUND},
        "countermeasures": [{"d3f_technique": {"uid": "D3-ITF", "name": "Inbound Traffic Filtering"}}],
        "observables": [{"name": "network", "type_id": IP_ADDRESS, "value": network}],
    }
