"""An event as a message of the Intrusion Detection Message Exchange Format, version 1 (RFC 4765): XML on one line.

Trips, refusals and bans are alerts, heartbeats are heartbeats; nothing else is told.
"""

from __future__ import annotations

from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.events import Event
from sentinetd.model.observer import Observer
from sentinetd.report.dates import bounded, rfc3339
from sentinetd.report.formats.ocsf import PROTOCOLS
from sentinetd.report.formats.outline import Outcome, Outline, bare, identifier, outline
from sentinetd.report.formats.xml import element, quoted

NAMESPACE = "http://iana.org/idmef"
EPOCH_1900 = 2_208_988_800
"""Seconds from 1900-01-01 to 1970-01-01 (RFC 868)."""
DECOYS: frozenset[type[Event]] = frozenset({ev.SensorTripped, ev.SensorCaptured})
"""Kinds whose target is a decoy."""
ALERTS: dict[type[Event], tuple[str, str]] = {
    ev.SensorTripped: ("medium", "recon"),
    ev.SensorCaptured: ("medium", "recon"),
    ev.ConnectionRefused: ("low", "other"),
    ev.BanImposed: ("info", "other"),
    ev.BanLengthened: ("info", "other"),
}
"""Severity and type of the impact, of the kinds that are alerts."""
ACTIONS = {Outcome.BANNED: "block-installed", Outcome.REFUSED: "other"}
"""Category of the action; where nothing was done, somebody was told."""


def idmef(event: Event, observer: Observer) -> str | None:
    """The message, printable ASCII without document type; None for kinds that are no alert and no heartbeat."""
    head = _analyzer(observer) + _time("CreateTime", event.at)
    identity = {"messageid": identifier(event, observer)}
    if isinstance(event, ev.Heartbeat):
        body = element("Heartbeat", head + _additional(outline(event, observer).members), identity)
    elif type(event) in ALERTS:
        body = element("Alert", head + _alert(event, outline(event, observer)), identity)
    else:
        return None
    return element("IDMEF-Message", body, {"version": "1.0", "xmlns": NAMESPACE, "xmlns:idmef": NAMESPACE})


def ntpstamp(at: float) -> str:
    """Unix time *at* as RFC 4765 section 3.2.4 has it: seconds since 1900 modulo 2**32, and the binary fraction."""
    whole, fraction = divmod(bounded(at), 1)
    return f"0x{int(whole) + EPOCH_1900 & 0xFFFFFFFF:08x}.0x{int(fraction * 2**32):08x}"


def _alert(event: Event, told: Outline) -> str:
    severity, kind = ALERTS[type(event)]
    impact = element("Impact", quoted(told.title), {"severity": severity, "completion": "failed", "type": kind})
    certain = element("Confidence", "", {"rating": "high" if told.protocol != "udp" else "low"})
    return (
        _time("DetectTime", event.at)
        + _source(told)
        + _target(event, told)
        + element("Classification", "", {"text": told.title})
        + element("Assessment", impact + _action(told) + certain)
        + _additional(told.members)
    )


def _analyzer(observer: Observer) -> str:
    node = element("Node", element("name", quoted(observer.host)))
    process = element("Process", element("name", quoted(observer.ident)) + element("pid", str(observer.pid)))
    attributes = {
        "analyzerid": observer.host,
        "name": "sentinetd",
        "model": "sentinetd",
        "version": observer.version,
        "class": "Honeypot",
        "ostype": "Linux",
    }
    return element("Analyzer", node + process, attributes)


def _time(name: str, at: float) -> str:
    return element(name, rfc3339(at), {"ntpstamp": ntpstamp(at)})


def _source(told: Outline) -> str:
    if told.source is None and told.network is None:
        return ""
    address = _network(told.network) if told.source is None and told.network else _address(told.source)
    service = element("Service", element("port", str(told.source_port))) if told.source_port else ""
    attributes: dict[str, object] = {"spoofed": "no" if told.protocol == "tcp" else "unknown"}
    scope = told.source.scope if told.source else told.network.scope if told.network else ""
    if scope:
        attributes["interface"] = scope
    return element("Source", element("Node", address) + service, attributes)


def _target(event: Event, told: Outline) -> str:
    """What was asked for. A ban is against no target."""
    if not told.service:
        return ""
    node = element("Node", _address(told.local)) if told.local is not None else ""
    inside = element("name", quoted(told.service))
    if told.local_port:
        inside += element("port", str(told.local_port))
    attributes: dict[str, object] = {}
    if told.source is not None:
        attributes["ip_version"] = told.source.version
    if told.protocol in PROTOCOLS:
        attributes["iana_protocol_number"] = PROTOCOLS[told.protocol]
    if told.protocol:
        attributes["iana_protocol_name"] = told.protocol
    service = element("Service", inside, attributes)
    return element("Target", node + service, {"decoy": "yes" if type(event) in DECOYS else "no"})


def _action(told: Outline) -> str:
    """What was done about it; the words are the daemon's log's."""
    return element("Action", quoted(told.summary), {"category": ACTIONS.get(told.outcome, "notification-sent")})


def _address(address: Address | None) -> str:
    if address is None:
        return ""
    return element("Address", element("address", bare(address)), {"category": f"ipv{address.version}-addr"})


def _network(network: Network) -> str:
    plain = str(Network(network.version, network.value, network.length))
    category = f"ipv{network.version}-{'addr' if network.length == BITS[network.version] else 'net'}"
    return element("Address", element("address", plain), {"category": category})


def _additional(members: dict[str, Any]) -> str:
    """Every member of the canonical form, each in an element of its type."""
    return "".join(_datum(key, value) for key, value in members.items() if value is not None)


def _datum(key: str, value: Any) -> str:
    kind, text = "string", str(value)
    if isinstance(value, bool):
        kind, text = "boolean", "true" if value else "false"
    elif isinstance(value, int):
        kind = "integer"
    elif isinstance(value, float):
        kind = "real"
    return element("AdditionalData", element(kind, quoted(text)), {"type": kind, "meaning": key})
