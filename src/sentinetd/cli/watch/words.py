"""An event of the stream in a few words, for a person who looks at a screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sentinetd.cli.show import BAD, FAINT, GOOD, NOTED, span
from sentinetd.model.noun import dataclass

Event = Mapping[str, Any]
GRAVE = {"warning": NOTED, "error": BAD, "critical": BAD}


@dataclass(frozen=True, slots=True)
class Line:
    """When, what kind of thing in one word, about whom, and the rest."""

    clock: str
    label: str
    style: str
    subject: str
    text: str


def line(event: Event) -> Line:
    """*event* as a line."""
    label, style, subject, text = SAID.get(str(event.get("kind")), _other)(event)
    return Line(clock(event.get("time")), label, style, subject, text)


def clock(text: Any) -> str:
    """The local time of day of an RFC 3339 time."""
    try:
        at = datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return ""
    return time.strftime("%H:%M:%S", time.localtime(at))


Said = tuple[str, str, str, str]


def _trip(event: Event) -> Said:
    seconds, why_not = event.get("ban_seconds"), event.get("not_banned_because")
    if why_not:
        outcome = f"not banned: {why_not}"
    else:
        outcome = "banned until lifted" if seconds is None else f"banned for {span(seconds)}"
    port = f" port {event['local_port']}" if event.get("local_port") else ""
    return "TRIP", f"bold {BAD}", str(event["source"]), f"touched {event['service']}{port}, {outcome}"


def _captured(event: Event) -> Said:
    more = " ..." if event.get("truncated") else ""
    return "SAID", NOTED, str(event["source"]), f"to {event['service']}: {event['data']}{more}"


def _banned(event: Event) -> Said:
    until = "until lifted" if event.get("until") is None else f"until {clock(event['until'])}"
    by = event.get("sensor") or ", ".join(filter(None, (event.get("origin"), event.get("who"))))
    note = f": {event['note']}" if event.get("note") else ""
    return "BAN", BAD, str(event["network"]), f"{until}, by {by}{note}"


def _lifted(event: Event) -> Said:
    return "LIFT", GOOD, str(event["network"]), f"by {event['who']}" if event.get("who") else ""


def _refused(event: Event) -> Said:
    return "REFUSE", NOTED, str(event.get("source") or "?"), f"by {event['service']}: {event['reason']}"


def _started(event: Event) -> Said:
    return "SERVE", GOOD, str(event.get("source") or "-"), f"by {event['service']}, process {event['pid']}"


def _ended(event: Event) -> Said:
    how = f"signal {event['signal']}" if event.get("signal") else f"status {event['status']}"
    after = span(event.get("duration_seconds") or 0.0)
    return "END", FAINT, str(event.get("source") or "-"), f"{event['service']}, {how} after {after}"


def _notice(event: Event) -> Said:
    return "NOTE", GRAVE.get(str(event.get("level")), ""), "", str(event["text"])


def _exempted(event: Event) -> Said:
    until = "until ended" if event.get("until") is None else f"until {clock(event['until'])}"
    return "EXEMPT", GOOD, str(event["network"]), f"{until}, by {event['who']}"


def _no_more_exempt(event: Event) -> Said:
    return "EXEMPT", NOTED, str(event["network"]), "no longer" + (f", by {event['who']}" if event.get("who") else "")


def _trouble(event: Event) -> Said:
    subject = next((str(event[name]) for name in SUBJECTS if event.get(name)), "")
    return "FAIL", f"bold {BAD}", subject, str(event.get("what") or event.get("why") or "")


def _mended(event: Event) -> Said:
    return "MENDED", GOOD, next((str(event[name]) for name in SUBJECTS if event.get(name)), ""), "works again"


def _told(text: str) -> Callable[[Event], Said]:
    """One that is a sentence with fields in it."""
    return lambda event: ("NOTE", GRAVE.get(str(event.get("level")), FAINT), "", text.format_map(event))


def _lost(event: Event) -> Said:
    return "LOST", f"bold {NOTED}", "", f"{event['count']} events came faster than this terminal takes them"


SAID: Mapping[str, Callable[[Event], Said]] = {
    "sensor.tripped": _trip,
    "sensor.captured": _captured,
    "ban.imposed": _banned,
    "ban.lengthened": _banned,
    "ban.lifted": _lifted,
    "connection.refused": _refused,
    "server.started": _started,
    "server.ended": _ended,
    "daemon.notice": _notice,
    "configuration.mistake": _notice,
    "exemption.added": _exempted,
    "exemption.ended": _no_more_exempt,
    "process.failed": _trouble,
    "process.mended": _mended,
    "follower.failed": _trouble,
    "follower.mended": _mended,
    "listener.failed": _trouble,
    "listener.mended": _mended,
    "service.paused": _trouble,
    "service.resumed": _mended,
    "reload.refused": _told("the new configuration is refused: {why}"),
    "reload.started": _told("the configuration is read again"),
    "reload.done": _told("reconfigured: {new} services new, {old} kept, {dropped} dropped"),
    "daemon.started": _told("sentinetd {version} started; servers are started by {spawner}"),
    "daemon.working": _told("{services} listeners are open"),
    "daemon.stopping": _told("the daemon ends: {why}"),
    "bans.restored": _told("{count} bans of before are in force again"),
    "bans.cleared": _told("{who} ended all {count} bans"),
    "bans.ended": _told("{ended} bans ended, {left} are left"),
    "stream.lost": _lost,
}
"""How the kinds that matter most are told; the others by their fields."""
SUBJECTS = ("source", "network", "service", "process", "follower")
NAMELESS = frozenset({"v", "kind", "time", "level", "host", "service_number", "connection", "origin_host"})


def _other(event: Event) -> Said:
    kind = str(event.get("kind", "?")).replace(".", " ")
    subject = next((str(event[name]) for name in SUBJECTS if event.get(name)), "")
    fields = (f"{name} {value}" for name, value in event.items() if name not in NAMELESS and value not in ("", subject))
    return "NOTE", GRAVE.get(str(event.get("level")), FAINT), subject, f"{kind} {', '.join(fields)}".strip()
