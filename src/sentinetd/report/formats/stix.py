"""An event as a bundle of STIX 2.1 objects, one JSON object on one line (OASIS, STIX Version 2.1).

A ban is an indicator with an end; it is the same object, in a later version, when it is lengthened, and revoked when it
is over. A trip is observed data: who came where, and what it said. Nothing else is told.
"""

from __future__ import annotations

import json
import math
import uuid
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.address import Address, Network
from sentinetd.model.events import Event
from sentinetd.model.observer import Observer
from sentinetd.report.dates import bounded
from sentinetd.report.escape import unicode_text
from sentinetd.report.formats.outline import NAMESPACE, bare, identifier

OBSERVABLES = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""Of the identifiers of observables, which are made of what they hold (STIX 2.1 section 2.9)."""
CREATED = "1970-01-01T00:00:00.000Z"
"""When the object was made that stands for a network at this host: all its versions must say the same, and who makes
one knows nothing of those before it."""
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def stix(event: Event, observer: Observer) -> str | None:
    """The bundle, in ASCII; None for kinds that are neither trip nor ban."""
    who = identity(observer)
    if isinstance(event, ev.SensorTripped | ev.SensorCaptured):
        found = _observed(event, observer)
    elif isinstance(event, ev.BanImposed):
        found = [indicator(event.network, event.at, event.until, observer)]
    elif isinstance(event, ev.BanLifted | ev.BanEvicted | ev.BanEnded):
        found = [revoked(event.network, event.at, observer)]
    else:
        return None
    return _encode(bundle(identifier(event, observer), [who, *found]))


def bundle(number: uuid.UUID, objects: list[dict[str, Any]]) -> dict[str, Any]:
    """*objects* in one bundle of that number."""
    return {"type": "bundle", "id": f"bundle--{number}", "objects": objects}


def identity(observer: Observer) -> dict[str, Any]:
    """The host that tells it."""
    return {
        "type": "identity",
        "spec_version": "2.1",
        "id": f"identity--{_number(observer, 'identity')}",
        "created": CREATED,
        "modified": CREATED,
        "name": unicode_text(observer.host) or "sentinetd",
        "identity_class": "system",
    }


def indicator(network: Network, since: float, until: float, observer: Observer) -> dict[str, Any]:
    """*network* is to be refused from Unix time *since* until *until*, infinity: for good."""
    value = {
        **_indicator(network, since, observer),
        "valid_from": timestamp(since),
        "labels": ["banned"],
    }
    if not math.isinf(until) and bounded(until) - bounded(since) >= 0.001:  # the end must come after the beginning
        value["valid_until"] = timestamp(until)
    return value


def revoked(network: Network, at: float, observer: Observer) -> dict[str, Any]:
    """*network* is not to be refused any more, as of Unix time *at*."""
    return {**_indicator(network, at, observer), "valid_from": timestamp(at), "revoked": True}


def timestamp(at: float) -> str:
    """Unix time *at* in milliseconds, rounded down: all that every reader of STIX keeps."""
    whole = int(bounded(at) * 1000)
    return datetime.fromtimestamp(whole // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{whole % 1000:03}Z"


def _indicator(network: Network, at: float, observer: Observer) -> dict[str, Any]:
    plain = str(Network(network.version, network.value, network.length))  # an interface is of this host only
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{_number(observer, f'ban {network}')}",
        "created_by_ref": f"identity--{_number(observer, 'identity')}",
        "created": CREATED,
        "modified": timestamp(at),
        "name": f"{plain} touched a decoy or was banned",
        "indicator_types": ["malicious-activity"],
        "pattern": f"[ipv{network.version}-addr:value = '{plain}']",
        "pattern_type": "stix",
        "pattern_version": "2.1",
    }


def _observed(event: ev.SensorTripped | ev.SensorCaptured, observer: Observer) -> list[dict[str, Any]]:
    source = _address(event.source)
    ends = [source] if event.local is None else [source, _address(event.local)]
    traffic: dict[str, Any] = {
        "src_ref": source["id"],
        "protocols": [f"ipv{event.source.version}", unicode_text(event.protocol).lower() or "tcp"],
    }
    if event.local is not None:
        traffic["dst_ref"] = ends[-1]["id"]
    traffic |= {key: port for key, port in (("src_port", event.port), ("dst_port", event.local_port)) if port}
    number = _made_of("network-traffic", traffic)
    objects = [*ends, {"type": "network-traffic", "spec_version": "2.1", "id": number, **traffic}]
    if isinstance(event, ev.SensorCaptured) and event.data:
        said = {"payload_bin": b64encode(unicode_text(event.data).encode()).decode("ascii")}
        number = _made_of("artifact", said)
        artifact = {"type": "artifact", "spec_version": "2.1", "id": number, "mime_type": "text/plain", **said}
        objects[-1]["src_payload_ref"] = number
        objects.insert(0, artifact)
    seen = timestamp(event.at)
    observed = {
        "type": "observed-data",
        "spec_version": "2.1",
        "id": f"observed-data--{identifier(event, observer)}",
        "created_by_ref": f"identity--{_number(observer, 'identity')}",
        "created": seen,
        "modified": seen,
        "first_observed": seen,
        "last_observed": seen,
        "number_observed": 1,
        "labels": [f"sensor {unicode_text(event.service)}"],
        "object_refs": [one["id"] for one in objects],
    }
    return [*objects, observed]


def _address(address: Address) -> dict[str, Any]:
    kind, value = f"ipv{address.version}-addr", {"value": bare(address)}
    return {"type": kind, "spec_version": "2.1", "id": _made_of(kind, value), **value}


def _made_of(kind: str, what: dict[str, Any]) -> str:
    """The identifier of an observable, made of what makes it itself."""
    canonical = json.dumps(what, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return f"{kind}--{uuid.uuid5(OBSERVABLES, canonical)}"


def _number(observer: Observer, what: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, unicode_text(f"{observer.host} {what}"))
