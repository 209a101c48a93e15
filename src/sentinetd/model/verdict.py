"""What a check says of a connection, and why."""

from __future__ import annotations

from enum import Enum

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass


class Reason(Enum):
    """Why a verdict fell; the value is what logs, alerts and the tools print.

    Where xinetd has a word for it (xinetd.log(5), FAIL), it is that word; several reasons may share one word in the
    service log (see `report.formats.xinetd`), never here.
    """

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is Python code

    NO_OBJECTION = "no-objection"
    EXEMPT = "exempt"
    SENSOR = "sensor"
    BANNED = "banned"
    ADDRESS = "address"
    NAME = "name"
    NAME_UNKNOWN = "name-unknown"
    CPS = "connections-per-second"
    CPS_SOURCE = "connections-per-second-of-source"
    LOAD = "load"
    TIME = "time"
    INSTANCES = "service-limit"
    PER_SOURCE = "per-source-limit"
    PROCESS_LIMIT = "process-limit"
    LIBWRAP = "libwrap"
    IDENT = "ident"
    PROXY_HEADER = "proxy-header"
    WAITING_LIMIT = "waiting-limit"
    FORK = "fork"
    EXEC = "exec"
    SHUTDOWN = "shutdown"


class Question(Enum):
    """What a check may need to know that only the porter can find out."""

    NAME = "name"
    """The source's host name, confirmed by a forward look-up; the answer is "" where it has none."""
    TABLES = "tables"
    """Whether hosts.allow and hosts.deny admit the source: `ADMIT`, or anything else."""
    USER = "user"
    """Who owns the connection at its other end (RFC 1413), as that host says."""
    PROXY = "proxy"
    """Whom the connection's PROXY header announces; the answer is an `Announced`."""
    REFUSED_USER = "refused-user"
    """The same of a connection that is refused whatever the answer; for its service's log."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """*attribute* and *word* say which line of the configuration decided, where one did; for `explain` and the logs."""

    allow: bool
    reason: Reason
    attribute: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A check cannot judge before *question* about *source* is answered."""

    question: Question
    source: Address


ADMIT = "admit"
"""The answer to `Question.TABLES` that lets a source in."""

NO_SERVER = "no server"
"""Why a client's user is not known, if its host has no ident server: xinetd's words, and seldom worth telling."""

ADMITTED = Verdict(True, Reason.NO_OBJECTION)
