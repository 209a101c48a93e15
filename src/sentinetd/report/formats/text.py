"""The daemon's own messages: what each event reads like, in xinetd's words wherever xinetd has the message.

Pure functions. `messages` gives texts without time, program or level; `file_line` and `CRITICAL`'s prefix dress them as
xinetd's message log does (xinetd(8), -filelog). Everything that came from outside is escaped here, once, at the end.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sentinetd.model import events as ev
from sentinetd.model.ban import Origin
from sentinetd.model.events import Event, Level
from sentinetd.model.observer import Observer
from sentinetd.model.trip_run import TripTable
from sentinetd.model.verdict import Reason
from sentinetd.report.escape import escape

LONGEST = 8192
"""Characters of one message; what is longer is cut. Syslog servers take no more (rsyslog's default)."""
SPEAKER_OF_TRIPS = "process_sensor"
"""xinetd's function that tells them."""
LATEST = 253_402_214_400
"""The last day that four digits of a year can tell, as Unix time; later ones are told as this."""


def messages(event: Event) -> tuple[str, ...]:
    """The lines that *event* puts into the daemon's log, printable ASCII; none if only a service's log tells it."""
    tell = TEXTS[type(event)]
    if tell is None:
        return ()
    told = tell(event)
    if isinstance(told, str):
        return (escape(told)[:LONGEST],)
    return tuple([escape(line)[:LONGEST] for line in told]) if told else ()


GRADED = (ev.Notice, ev.Diagnosed, ev.EventsRepeated)
"""Kinds of event that say themselves how grave they are."""


def level(event: Event) -> Level:
    """How grave *event* is: what it says itself, else the level of its kind."""
    if isinstance(event, GRADED):
        return event.grade
    if isinstance(event, ev.ConnectionRefused) and event.reason is Reason.LOAD:
        return Level.ERROR  # xinetd's, for the only refusal that its message log tells
    return event.level


def text_line(event: Event, observer: Observer) -> str | None:
    """*event* as one line for whoever has no daemon's log; None where it is not told."""
    return "; ".join(messages(event)) or None


def critical(event: Event, pid: int, text: str) -> str:
    """*text* of a critical *event*: xinetd puts the process and the function that speaks before it."""
    return f"{pid} {{{SPEAKER_OF_TRIPS if type(event) is ev.SensorTripped else 'main'}}} {text}"


def trip_messages(trips: TripTable, pid: int) -> list[str]:
    """What `critical` makes of the message of each of *trips*, told at once: a flood has many."""
    run = trips.run
    sensor = _sensor(run.service, run.local_port, run.of_many)
    ends = {span: escape(_to_list(span, f"sensor {sensor}")) for span in {row[1] for row in trips.rows}}
    sources = map(escape, trips.sources()) if run.scope else trips.sources()
    speaker = f"{pid} {{{SPEAKER_OF_TRIPS}}} "
    return [
        speaker + f"Adding {source}{ends[row[1]]}"[:LONGEST] for source, row in zip(sources, trips.rows, strict=True)
    ]


def file_line(at: float, ident: str, pid: int, grade: Level, text: str) -> str:
    """A line of the message log: ``YY/M/D@HH:MM:SS PROGRAM[PID]: LEVEL: text``."""
    return f"{stamp(int(at))} {ident}[{pid}]: {grade.value}: {text}"


@lru_cache(maxsize=4)
def stamp(second: int) -> str:
    """Unix time *second* as xinetd writes it: local, two digits of the year, month and day without leading zeros."""
    now = time.localtime(min(max(second, 0), LATEST))
    return f"{now.tm_year % 100:02}/{now.tm_mon}/{now.tm_mday}@{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"


def _strerror(errno: int) -> str:
    """What xinetd's ``%m`` prints."""
    return f"{os.strerror(errno)} (errno = {errno})"


def _minutes(span: float) -> str:
    """Seconds as whole minutes, begun ones counted; -1 for ever."""
    return "-1" if math.isinf(span) else str(math.ceil(span / 60))


def _adding(address: object, span: float, by: str) -> str:
    return f"Adding {address}{_to_list(span, by)}"


def _to_list(span: float, by: str) -> str:
    lasting = " (until lifted)" if math.isinf(span) else ""
    return f" to the global_no_access list for {_minutes(span)} minutes, {by}{lasting}"


def _tripped(event: ev.SensorTripped) -> str:
    sensor = _sensor(event.service, event.local_port, event.of_many)
    if event.ban_span > 0:
        return _adding(event.source.text, event.ban_span, f"sensor {sensor}")
    return f"Sensor {sensor} touched by {event.source.text}, not banned: {event.why_not}"


def _sensor(service: str, port: int, of_many: bool) -> str:
    return f"{service}, port {port}" if of_many else service


def _captured(event: ev.SensorCaptured) -> str:
    said = f"said {event.data}" if event.data else "said nothing"
    cut = " ... (more was not kept)" if event.truncated else ""
    return f"Sensor {event.service} held {event.source.text} for {event.duration:.1f} seconds; it {said}{cut}"


ORIGINS = {
    Origin.SENSOR: "by a sensor",
    Origin.OPERATOR: "by the operator",
    Origin.FLEET: "from the fleet",
    Origin.FEED: "from a feed",
}


def _imposed(event: ev.BanImposed) -> str | tuple[str, ...]:
    """A sensor's ban was told by its trip; told twice it would be counted twice."""
    if event.origin is Origin.SENSOR and not event.who:
        return ()
    if event.origin is Origin.SENSOR:
        return _adding(event.network, event.until - event.at, f"sensor {event.sensor}, {event.who}: {event.note}")
    return _adding(event.network, event.until - event.at, f"{ORIGINS[event.origin]}{_said(event.who, event.note)}")


def _said(who: str, note: str) -> str:
    """Whoever gave an order, and what for."""
    return (f" {who}" if who else "") + (f": {note}" if note else "")


def _declined(event: ev.BansDeclined) -> str:
    others = f" and {event.count - 1} more" if event.count > 1 else ""
    return f"Not banned {ORIGINS[event.origin]}{_said(event.who, '')}: {event.network}{others}: {event.why}"


def _exempted(event: ev.ExemptionAdded) -> str:
    lasting = "until ended" if math.isinf(event.until) else f"for {_minutes(event.until - event.at)} minutes"
    return f"Exempting {event.network} from all bans {lasting}, by the operator{_said(event.who, event.note)}"


def _ended(event: ev.BansEnded) -> tuple[str, ...]:
    lines = ("At least 1 DENY_TIME has expired, global_no_access list updated",)
    return lines if event.left else (*lines, "global_no_access list is empty.")


STEPS: dict[str, str] = {
    "execve": "execv( {what} ) failed: {error}",
    "setuid": "setuid failed: {error}",
    "setgid": "setgid failed: {error}",
    "setgroups": "setgroups( 0, NULL ) failed: {error}",
    "setexeccon": "Changing process context failed for {service}: {what}: {error}",
}
"""xinetd's words for what keeps a server from starting (xinetd's child.c); other steps are told in the last way."""
OTHER_STEP = "service {service}: {step} failed: {error}"


def _server_failed(event: ev.ServerFailed) -> str:
    words = STEPS.get(event.step, OTHER_STEP)
    error = _strerror(event.errno)
    return words.format(what=event.what or event.service, error=error, service=event.service, step=event.step)


def _fork_failed(event: ev.ForkFailed) -> tuple[str, ...]:
    lines = (f"{event.service}: fork failed: {_strerror(event.errno)}",)
    if event.final and event.attempts > 1:
        return (*lines, f"service {event.service}: too many consecutive fork failures")
    return lines


def _stopping(event: ev.DaemonStopping) -> str:
    """A signal is told as xinetd does; a reason comes before, as in its ``no services. Exiting...``."""
    return "Exiting..." if not event.why or event.why.startswith("SIG") else f"{event.why}. Exiting..."


def _again(seconds: float) -> str:
    return "" if math.isinf(seconds) or seconds <= 0 else f"; trying again in {seconds:g} seconds"


def _repeated(event: ev.EventsRepeated) -> str:
    of = f" of {event.service}" if event.service else ""
    by = f" from {event.source.text}" if event.source else ""
    return f"{event.repeated}{of}{by}: {event.count} more within {event.seconds:.0f} seconds"


def _refused(event: ev.ConnectionRefused) -> str | tuple[str, ...]:
    """Refusals belong to the service's log; only an overloaded machine concerns the daemon's."""
    if event.reason is not Reason.LOAD:
        return ()
    return f"refused connect from {event.source or '<no address>'} due to excessive load"


TEXTS: dict[type[Event], Callable[[Any], str | tuple[str, ...]] | None] = {
    ev.DaemonStarted: lambda e: f"sentinetd {e.version} started with {e.spawner}.",
    ev.DaemonWorking: lambda e: f"Started working: {e.services} available service{'' if e.services == 1 else 's'}",
    ev.DaemonStopping: _stopping,
    ev.ProcessFailed: lambda e: f"process {e.process}: {e.what}{_again(e.retry_in)}",
    ev.ProcessMended: lambda e: f"process {e.process}: works again",
    ev.FollowerFailed: lambda e: f"{e.follower}: {e.what}{_again(e.retry_in)}",
    ev.FollowerMended: lambda e: f"{e.follower}: works again, all bans are kept",
    ev.SinkFailed: lambda e: f"alert {e.sink}: {e.what}{_again(e.retry_in)}",
    ev.SinkMended: lambda e: f"alert {e.sink}: works again, {e.waiting} events waiting",
    ev.SinkDropped: lambda e: f"alert {e.sink}: {e.count} events were lost: {e.why}",
    ev.EventsRepeated: _repeated,
    ev.EventsLost: lambda e: f"{e.count} messages were lost; no bans",
    ev.Heartbeat: None,
    ev.ResourceExhausted: lambda e: f"out of {e.what}",
    ev.Notice: lambda e: e.text,
    ev.FileRead: lambda e: f"Reading included configuration file: {e.file}",
    ev.Diagnosed: lambda e: e.text,
    ev.ReloadStarted: lambda e: "Starting reconfiguration",
    ev.ReloadRefused: lambda e: f"reconfiguration failed: {e.why}" if e.why else "reconfiguration failed",
    ev.ReloadDone: lambda e: (
        "Swapping defaults",
        f"Reconfigured: new={e.new} old={e.old} dropped={e.dropped} (services)",
    ),
    ev.ServiceAdjusted: lambda e: f"readjusting service {e.service}",
    ev.ServiceDropped: lambda e: f"service {e.service} deactivated",
    ev.ListenerFailed: lambda e: f"{e.why}. service = {e.service}{_again(e.retry_in)}",
    ev.ListenerMended: lambda e: f"service {e.service}: listening now",
    ev.ServicePaused: lambda e: f"Deactivating service {e.name} due to {e.why}.  Restarting in {e.seconds} seconds.",
    ev.ServiceResumed: lambda e: f"Activating service {e.name}",
    ev.ConnectionAdmitted: None,
    ev.ConnectionRefused: _refused,
    ev.ServerStarted: None,
    ev.ServerEnded: None,
    ev.UserFound: None,
    ev.UserUnknown: None,
    ev.TrafficCounted: None,
    ev.ServerFailed: _server_failed,
    ev.ForkFailed: _fork_failed,
    ev.ServerSignalled: lambda e: f"Sending signal {e.signal} to {e.service} server {e.pid}",
    ev.DatagramUnread: lambda e: (
        f"service {e.service}: its server left the datagram of {e.source or '<no address>'} unread; it was taken off"
    ),
    ev.SensorTripped: _tripped,
    ev.SensorCaptured: _captured,
    ev.BanImposed: _imposed,
    ev.BanLengthened: _imposed,
    ev.BanLifted: lambda e: (
        f"Removing {e.network} from the global_no_access list: lifted{' by ' if e.who else ''}{e.who}"
    ),
    ev.BanEvicted: lambda e: (
        f"Maximum global_no_access count reached. Removing {e.network}, whose time would end soonest"
    ),
    ev.BanEnded: None,
    ev.BansEnded: _ended,
    ev.BansRestored: lambda e: f"{e.count} bans from before the start are in force again",
    ev.BansDeclined: _declined,
    ev.BansCleared: lambda e: f"All {e.count} bans lifted by {e.who}: global_no_access list is empty.",
    ev.ExemptionAdded: _exempted,
    ev.ExemptionEnded: lambda e: (
        f"Exemption of {e.network} ended by {e.who}" if e.who else f"Exemption of {e.network} has come to its end"
    ),
}
"""What each kind of event reads like; None: nothing in the daemon's log."""
