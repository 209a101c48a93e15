"""Logs of lines: the service log and the daemon's log, of sentinetd and of xinetd, as files or through syslog; JSON
lines of sentinetd; fail2ban's log. Each line is looked at by itself, so they may be mixed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import BinaryIO

from sentinetd.cli.simulate.record import Reading, Record
from sentinetd.model.address import Address

LONGEST = 16 * 1024
"""Bytes of a line; what is longer is no line of a log."""
AHEAD = 86_400.0
"""Seconds by which a date without a year may lie in the future before it is taken for last year's."""

_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_STAMPS = (
    re.compile(rf"(?P<year>\d\d)/(?P<month>\d\d?)/(?P<day>\d\d?)@{_CLOCK}(?=:? )"),  # xinetd.log(5)
    re.compile(
        rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)[T ]{_CLOCK}[.,]?\d*(?P<zone>Z|[+-]\d\d:?\d\d)?(?=[ :])"
    ),
    re.compile(rf"(?P<name>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_CLOCK}(?= )"),  # RFC 3164 section 4.1.2
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SERVICE = re.compile(r"(?:^|: )(START|FAIL): (\S+)(?: .*?)??(?: from=(\S+|<no address>))?$")
_OTHER_SERVICE = re.compile(r"(?:^|: )(?:EXIT|DUPLICATE|USERID|NOID|DATA|TRAFFIC): \S")
_BANNED = re.compile(
    r"Adding (\S+) to the global_no_access list for (-?\d{1,9}) minutes(, (?!sensor))?(?:, sensor ([^\s,]+))?"
)
_TOUCHED = re.compile(r"Sensor ([^\s,]+)(?:, port \d+)? touched by ([^\s,]+), not banned")
_JAIL = re.compile(r"fail2ban\.\S+\s+\[\d+\]: \S+\s+\[([^\]]+)\] (Found|Ban|Unban|Restore Ban|Already|Ignore) ?(\S*)")
_OWN = re.compile(r"fail2ban\.\S+\s+\[\d+\]: |\[\d+\]: ")
"""A line of a daemon's own life."""
_KINDS = {"sensor.tripped": False, "connection.refused": False, "server.started": True}
"""Events that are somebody's coming, and whether he was served."""


class TextLog:
    """The records of *lines*; *now* is Unix time, for dates without a year."""

    def __init__(self, lines: BinaryIO, now: float) -> None:
        self._lines = lines
        self._now = now
        self.reading = Reading()

    def records(self) -> Iterator[Record]:
        """All of them. A line that is too long counts as one that cannot be read."""
        reading = self.reading
        for raw in self._pieces():
            reading.lines += 1
            if raw is None:
                reading.wrong(reading.lines, f"it is longer than {LONGEST} bytes")
                continue
            text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if not text.strip():
                reading.idle += 1
                continue
            try:
                found = self._record(text)
            except ValueError as error:
                reading.wrong(reading.lines, str(error))
                continue
            if found is None:
                reading.idle += 1
            else:
                yield found

    def _pieces(self) -> Iterator[bytes | None]:
        """Lines; None for one that is too long, of which no more than `LONGEST` is ever held."""
        while piece := self._lines.readline(LONGEST):
            if len(piece) == LONGEST and not piece.endswith(b"\n"):
                while piece and not piece.endswith(b"\n"):
                    piece = self._lines.readline(LONGEST)
                yield None
            else:
                yield piece

    def _record(self, text: str) -> Record | None:
        """What the line *text* says; None if it is of no concern. ValueError if it is of no known form."""
        if text.startswith("{"):
            return _event(text)
        for form in _STAMPS:
            if stamp := form.match(text):
                return _told(text[stamp.end() :], self._seconds(stamp))
        raise ValueError("it begins with no date of a log")

    def _seconds(self, stamp: re.Match[str]) -> float:
        """Unix time; without a zone it is local."""
        part = stamp.groupdict()
        if part.get("zone"):
            return datetime.fromisoformat(stamp[0].replace(",", ".")).timestamp()
        clock = int(part["minute"]) * 60 + int(part["second"])
        day, hour = int(part["day"]), int(part["hour"])
        if "name" in part:
            if part["name"] not in _MONTHS:
                raise ValueError(f"{part['name']} is no month")
            month, year = _MONTHS.index(part["name"]) + 1, time.localtime(self._now).tm_year
            at = _hour(year, month, day, hour) + clock
            return at if at <= self._now + AHEAD else _hour(year - 1, month, day, hour) + clock
        year = int(part["year"])
        return _hour(year + 2000 if year < 100 else year, int(part["month"]), day, hour) + clock


@lru_cache(maxsize=64)
def _hour(year: int, month: int, day: int, hour: int) -> float:
    """Unix time at which that hour of local time begins. ValueError if there is none."""
    return datetime(year, month, day, hour).timestamp()


def _told(text: str, at: float) -> Record | None:
    if found := _SERVICE.search(text):
        word, name, source = found.groups()
        if source is None or source.startswith("<"):
            return None  # the log was not asked to tell who it was, or nobody could know
        return Record(at, Address.parse(source), name, served=word == "START")
    if found := _BANNED.search(text):
        source, minutes, other, name = found.groups()
        if other:
            return None  # by the operator, or from elsewhere: nobody came
        return Record(at, Address.parse(source.partition("/")[0]), name or "", minutes=None if name else int(minutes))
    if found := _TOUCHED.search(text):
        return Record(at, Address.parse(found[2]), found[1])
    if found := _JAIL.search(text):
        if found[2] != "Found":
            return None
        return Record(at, Address.parse(found[3]), found[1])
    if _OTHER_SERVICE.search(text) or _OWN.search(text):
        return None
    raise ValueError("it is no line of a service log, of the daemon's log, or of fail2ban's")


def _event(text: str) -> Record | None:
    """What an event of sentinetd as JSON says."""
    try:
        told = json.loads(text)
        kind = told["kind"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("it is no event of sentinetd as JSON") from None
    except RecursionError:
        raise ValueError("it is nested too deeply for an event") from None
    served = _KINDS.get(kind) if isinstance(kind, str) else None
    if served is None or not told.get("source"):
        return None
    when, source, service = told.get("time"), told["source"], told.get("service", "")
    if not (isinstance(when, str) and isinstance(source, str) and isinstance(service, str)):
        raise ValueError("time, source and service of an event are text")
    return Record(datetime.fromisoformat(when).timestamp(), Address.parse(source), service, served=served)
