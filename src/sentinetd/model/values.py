"""The values that attributes of a service have: enumerations and small records, all frozen.

How they are read from words is in `readers`; which attribute has which is in `service`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from sentinetd.model.address import Network
from sentinetd.model.noun import dataclass


class Word(Enum):
    """A value by its name in the configuration. Members are singletons, so they hash as objects do: Enum's own hash is
    Python code, and flags are looked for at every connection."""

    __hash__ = object.__hash__


class SocketType(Enum):
    STREAM = "stream"
    DGRAM = "dgram"
    RAW = "raw"
    SEQPACKET = "seqpacket"


class Flag(Word):
    REUSE = "REUSE"
    INTERCEPT = "INTERCEPT"
    NORETRY = "NORETRY"
    IDONLY = "IDONLY"
    NAMEINARGS = "NAMEINARGS"
    NODELAY = "NODELAY"
    KEEPALIVE = "KEEPALIVE"
    NOLIBWRAP = "NOLIBWRAP"
    SENSOR = "SENSOR"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    LABELED = "LABELED"


class Type(Word):
    RPC = "RPC"
    INTERNAL = "INTERNAL"
    UNLISTED = "UNLISTED"
    TCPMUX = "TCPMUX"
    TCPMUXPLUS = "TCPMUXPLUS"
    SPECIAL = "SPECIAL"


class OnSuccess(Word):
    HOST = "HOST"
    DURATION = "DURATION"
    EXIT = "EXIT"
    PID = "PID"
    USERID = "USERID"
    TRAFFIC = "TRAFFIC"


class OnFailure(Word):
    HOST = "HOST"
    ATTEMPT = "ATTEMPT"
    USERID = "USERID"


class Decoy(Enum):
    """Whose greeting a sensor may imitate."""

    FTP = "ftp"
    SSH = "ssh"
    TELNET = "telnet"
    SMTP = "smtp"
    POP3 = "pop3"
    IMAP = "imap"
    HTTP = "http"
    REDIS = "redis"
    MYSQL = "mysql"
    VNC = "vnc"
    RDP = "rdp"


class Family(Enum):
    """What a listener's socket is: DUAL is an IPv6 wildcard socket that takes IPv4 too."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    DUAL = "dual"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A row of protocols(5). Number -1: named in the configuration, not yet looked up."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Cps:
    """More than *rate* connections a second close the service for *wait* seconds; rate 0: no check."""

    rate: int
    wait: int


@dataclass(frozen=True, slots=True)
class SourceRate:
    """One source may begin *rate* connections in *span* seconds."""

    rate: int
    span: float


@dataclass(frozen=True, slots=True)
class Interval:
    """Minutes of the local day, both ends included; never over midnight."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FileLog:
    """*soft* and *hard* in bytes; 0: no limit. *common*: named in the defaults entry and shared."""

    path: str
    soft: int = 0
    hard: int = 0
    common: bool = False


@dataclass(frozen=True, slots=True)
class SyslogLog:
    """Facility and level by their syslog(3) names."""

    facility: str
    level: str = "info"


@dataclass(frozen=True, slots=True)
class Redirect:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class DenyPrefix:
    """How many bits of an offender's address a sensor bans, by IP version."""

    v4: int
    v6: int


CAPTURE_MOST = 4096
"""Bytes that a sensor keeps of one client at most: in escapes they are one text of a message (`model.wire`)."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A sensor keeps the first *size* bytes that arrive within *seconds*."""

    size: int
    seconds: float


Spread = tuple[int, int]
"""Ports from one to another, both included."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one entry, *ranges* in order and apart; *unused*: every port that nothing listens on."""

    ranges: tuple[Spread, ...] = ()
    unused: bool = False

    @property
    def count(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def __str__(self) -> str:
        """As in the configuration."""
        spans = (f"{low}-{high}" if high != low else str(low) for low, high in self.ranges)
        return "unused" if self.unused else ",".join(spans)

    def numbers(self) -> Iterator[int]:
        """Each port of the ranges."""
        for low, high in self.ranges:
            yield from range(low, high + 1)


@dataclass(frozen=True, slots=True)
class Spot:
    """The ports *low* to *high* of a network's addresses."""

    network: Network
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What an entry of many ports leaves alone: ports at every address, and *spots* of some."""

    ranges: tuple[Spread, ...] = ()
    spots: tuple[Spot, ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a server runs as. None: unchanged. *groups*: the supplementary groups, None: unchanged."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """File and line of a piece of configuration text; line 0: the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file
