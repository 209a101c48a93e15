"""The service log, byte for byte as xinetd writes it (xinetd.log(5), and its log.c where the manual is silent).

START, FAIL and EXIT lines of one service as its log_on_success and log_on_failure ask for. Pure functions.
"""

from __future__ import annotations

from collections.abc import Set

from sentinetd.model.address import Address
from sentinetd.model.events import (
    ConnectionRefused,
    Event,
    SensorTripped,
    ServerEnded,
    ServerStarted,
    TrafficCounted,
    UserFound,
    UserUnknown,
)
from sentinetd.model.observer import Observer
from sentinetd.model.service import OnFailure, OnSuccess
from sentinetd.model.trip_run import TripTable
from sentinetd.model.verdict import Reason
from sentinetd.report.escape import escape
from sentinetd.report.formats.text import stamp

LONGEST = 1024
"""Bytes of a line without its time, as xinetd cuts it."""

REASONS: dict[Reason, str] = {
    Reason.SENSOR: "address",
    Reason.BANNED: "address",
    Reason.ADDRESS: "address",
    Reason.NAME: "address",
    Reason.NAME_UNKNOWN: "address",
    Reason.CPS: "connections per second",
    Reason.LOAD: "load",
    Reason.TIME: "time",
    Reason.INSTANCES: "service_limit",
    Reason.PER_SOURCE: "per_source_limit",
    Reason.PROCESS_LIMIT: "process_limit",
    Reason.CPS_SOURCE: "connections per second",
    Reason.LIBWRAP: "libwrap",
    Reason.IDENT: "ident",
    Reason.PROXY_HEADER: "proxy_header",
    Reason.WAITING_LIMIT: "waiting_limit",
    Reason.FORK: "fork",
    Reason.EXEC: "exec",
    Reason.SHUTDOWN: "shutdown",
}
"""xinetd's word for each reason to refuse; `proxy_header`, `waiting_limit`, `exec` and `shutdown` are ours."""


ALL_SUCCESS, ALL_FAILURE = frozenset(OnSuccess), frozenset(OnFailure)


def service_line(event: Event, success: Set[OnSuccess], failure: Set[OnFailure]) -> str | None:
    """The line that *event* puts into its service's log, without time; None if the options do not ask for it.

    *success* and *failure* are the service's log_on_success and log_on_failure.
    """
    if isinstance(event, SensorTripped):
        line = _failed(event.service, "address", event.source, failure)
    elif isinstance(event, ConnectionRefused):
        line = _failed(event.service, REASONS.get(event.reason, event.reason.value), event.source, failure)
    elif isinstance(event, ServerStarted):
        line = _started(event, success)
    elif isinstance(event, ServerEnded):
        line = _ended(event, success)
    elif isinstance(event, TrafficCounted):
        line = _traffic(event, success)
    elif isinstance(event, UserFound):
        line = f"USERID: {event.service} {event.user}"
    elif isinstance(event, UserUnknown):
        line = f"NOID: {event.service} {event.source.text} {event.why}"
    else:
        return None
    return escape(line)[:LONGEST] if line is not None else None


def trip_lines(trips: TripTable, failure: Set[OnFailure]) -> list[str]:
    """The line that each of *trips* puts into its service's log, as `service_line`; none if nothing is asked for."""
    if not failure:
        return []
    begun = escape(f"FAIL: {trips.run.service} address")
    if OnFailure.HOST not in failure:
        return [begun[:LONGEST]] * len(trips)
    sources = map(escape, trips.sources()) if trips.run.scope else trips.sources()
    return [f"{begun} from={source}"[:LONGEST] for source in sources]


def xinetd_line(event: Event, observer: Observer) -> str | None:
    """The line that *event* puts into the log of a service that leaves nothing out; None for what is no service's."""
    return service_line(event, ALL_SUCCESS, ALL_FAILURE)


def file_line(at: float, text: str) -> str:
    """A line of a service log that is a file: ``YY/M/D@HH:MM:SS: text``."""
    return f"{stamp(int(at))}: {text}"


def _failed(service: str, word: str, source: Address | None, failure: Set[OnFailure]) -> str | None:
    if not failure:
        return None
    return f"FAIL: {service} {word}{_from(source) if OnFailure.HOST in failure else ''}"


def _started(event: ServerStarted, success: Set[OnSuccess]) -> str | None:
    if not success:
        return None
    pid = f" pid={event.pid}" if OnSuccess.PID in success else ""
    return f"START: {event.service}{pid}{_from(event.source) if OnSuccess.HOST in success else ''}"


def _ended(event: ServerEnded, success: Set[OnSuccess]) -> str | None:
    if not (OnSuccess.EXIT in success or OnSuccess.DURATION in success):
        return None
    end = pid = duration = ""
    if OnSuccess.EXIT in success:
        end = f" signal={event.signal}" if event.signal else f" status={event.status}"
    if OnSuccess.PID in success:
        pid = f" pid={event.pid}"
    if OnSuccess.DURATION in success:
        duration = f" duration={int(event.duration)}(sec)"
    return f"EXIT: {event.service}{end}{pid}{duration}"


def _traffic(event: TrafficCounted, success: Set[OnSuccess]) -> str | None:
    if OnSuccess.TRAFFIC not in success:
        return None
    return f"TRAFFIC: {event.service} in={event.bytes_in}(bytes) out={event.bytes_out}(bytes)"


def _from(source: Address | None) -> str:
    """Where the kernel does not tell the source (a waiting stream service), xinetd says so in these words."""
    return f" from={source.text if source else '<no address>'}"
