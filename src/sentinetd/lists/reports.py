"""What is sent to those who collect sightings from everywhere: trips, not bans, since each names the very address.

A report is of the trips of some time, one line for each source that made one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from sentinetd.model.address import Address
from sentinetd.model.events import SensorTripped
from sentinetd.model.noun import dataclass
from sentinetd.report.dates import bounded, rfc3339
from sentinetd.report.escape import escape

PORT_SCAN = 14
"""AbuseIPDB's category of whoever tries ports."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """*count* trips of one source at one port; the other values are the last one's. *at* is Unix time."""

    at: float
    source: Address
    source_port: int
    local: Address | None
    local_port: int
    protocol: str
    sensor: str
    count: int = 1

    @classmethod
    def of(cls, trip: SensorTripped, count: int = 1) -> Sighting:
        """What *trip* comes to, the last of *count*."""
        return cls(
            trip.at, trip.source, trip.port, trip.local, trip.local_port, trip.protocol, trip.service, count
        )  # fmt: skip


def abuseipdb(sightings: Iterable[Sighting]) -> Iterator[str]:
    """A bulk report (AbuseIPDB API version 2, bulk-report): an address once, since it may be reported once in 15
    minutes. What was said is never in it: it may be somebody's password."""
    yield "IP,Categories,ReportDate,Comment"
    by_source = {one.source: one for one in sorted(sightings, key=lambda one: one.at)}
    for one in by_source.values():
        if reportable(one.source):
            port = f" at port {one.local_port}" if one.local_port else ""
            comment = f"touched a decoy{port} ({escape(one.protocol) or 'tcp'})".replace('"', "'")
            yield f'{one.source.text},"{PORT_SCAN}",{rfc3339(one.at)},"{comment}"'


def dshield(sightings: Sequence[Sighting], user: int) -> Iterator[str]:
    """Lines of SANS ISC's DShield, for a mail with the subject ``FORMAT DSHIELD USERID user TZ +00:00 sentinetd``:
    time, user, count, source and port, target and port, protocol, flags, with tabs between them. Only IPv4 has a place
    there; a target whose address is not known is told as 0.0.0.0."""
    for one in sightings:
        if one.source.version == 4 and reportable(one.source):
            target = one.local.text if one.local is not None and one.local.version == 4 else "0.0.0.0"
            when = datetime.fromtimestamp(bounded(one.at), UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")
            protocol = escape(one.protocol).upper() or "TCP"
            values = (
                when, user, one.count, one.source.text, one.source_port, target, one.local_port, protocol,
                "S" if protocol == "TCP" else "",
            )  # fmt: skip
            yield "\t".join(map(str, values))


def reportable(source: Address) -> bool:
    """Whether *source* means the same host to everybody: a private address, or one of a network that is for other ends,
    says nothing to others (RFC 6890)."""
    address = ipaddress.ip_address(source.text.partition("%")[0])
    return address.is_global and not address.is_multicast
