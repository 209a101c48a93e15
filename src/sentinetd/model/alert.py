"""Who is told what beside the logs: the `[[alert]]` tables of sentinetd.toml, typed.

They cross to the courier, so every field is a plain value; a file is a number, its place in `Settings.files`. Just one
of an alert's targets is set. Secrets never show in a representation.
"""

from __future__ import annotations

from enum import Enum

from sentinetd.model.events import Level
from sentinetd.model.noun import dataclass, field


class Shown(Enum):
    """How addresses look in what leaves the host."""

    FULL = "full"
    SHORT = "short"
    """Without the part that names one host: /24 of IPv4, /48 of IPv6."""
    HASHED = "hashed"
    """As a pseudonym that stays the same for the same address and key."""


class Transport(Enum):
    """How syslog messages travel."""

    UNIX = "unix"
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class Body(Enum):
    """What a webhook is sent."""

    GENERIC = "generic"
    BARE = "bare"
    """One event in each request, as its format has it: for IDMEF, ECS and others who expect their own."""
    SLACK = "slack"
    TEAMS = "teams"
    TELEGRAM = "telegram"


class Security(Enum):
    """How a mail server is spoken to."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom to trust and who we are: numbers of files in PEM, None: the system's authorities, no certificate of ours.
    *server_name*: the name that the other's certificate has to bear; empty: the one that is connected to."""

    ca: int | None = None
    certificate: int | None = None
    key: int | None = None
    server_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTarget:
    """The file number *file*, begun anew when it has *rotate* bytes; 0: never."""

    file: int
    rotate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogTarget:
    """A syslog server. *host* is a name, an address, or of a UNIX socket its path. *octets*: messages are framed by
    their length (RFC 6587 section 3.4.1), else by a line's end; of datagrams each is one."""

    transport: Transport
    host: str
    port: int = 0
    facility: str = "daemon"
    octets: bool = True
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalTarget:
    """systemd's journal, by its native protocol."""

    socket: str = "/run/systemd/journal/socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTarget:
    """An address that takes POST. *secret* signs (HMAC, SHA-256); *chat* is Telegram's; *headers* are sent along."""

    url: str = field(repr=False)
    body: Body = Body.GENERIC
    secret: str = field(default="", repr=False)
    chat: str = ""
    headers: tuple[str, ...] = field(default=(), repr=False)
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTarget:
    """Mail from *sender* to *recipients* by the server *host*."""

    host: str
    port: int
    security: Security
    sender: str
    recipients: tuple[str, ...]
    subject: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTarget:
    """A program that reads its standard input, a line for each event. It runs as the courier does, without rights."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HpfeedsTarget:
    """A broker of hpfeeds, to which events are published on *channel*. *encrypted*: by TLS."""

    host: str
    port: int
    ident: str
    secret: str = field(repr=False)
    channel: str
    encrypted: bool = True
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Option:
    """What a foreign sink is told: *key* and *value* as the configuration has them."""

    key: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginTarget:
    """A sink that another distribution brings, by the name of its entry point in ``sentinetd.sinks``."""

    plugin: str
    options: tuple[Option, ...] = ()


Target = (
    FileTarget
    | SyslogTarget
    | JournalTarget
    | WebhookTarget
    | MailTarget
    | ProgramTarget
    | HpfeedsTarget
    | PluginTarget
)


TYPES = ("file", "syslog", "journal", "webhook", "mail", "program", "hpfeeds", "plugin")
"""What an alert's `type` may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One sink. *name* is its own among all. *format*: empty for what the target takes by itself.

    It is told of events of *kinds* (patterns; empty: all but those that come for every connection) from *level* on;
    with *services* (patterns), only of those. *queue*: events that wait at most. *timeout*: seconds that one delivery
    may take. *merge*: seconds in which repeats of an event are only counted. *digest*: seconds for which events are
    gathered into one delivery. *spool*: bytes of what waits that are kept on disk, 0: none, a restart loses it.
    """

    name: str
    format: str = ""
    kinds: tuple[str, ...] = ()
    level: Level = Level.DEBUG
    services: tuple[str, ...] = ()
    addresses: Shown = Shown.FULL
    queue: int = 10_000
    timeout: float = 10.0
    merge: float = 0.0
    digest: float = 0.0
    spool: int = 0
    file: FileTarget | None = None
    syslog: SyslogTarget | None = None
    journal: JournalTarget | None = None
    webhook: WebhookTarget | None = None
    mail: MailTarget | None = None
    program: ProgramTarget | None = None
    hpfeeds: HpfeedsTarget | None = None
    plugin: PluginTarget | None = None

    @property
    def type(self) -> str:
        """The name of the target's kind, as the configuration has it."""
        return next((name for name in TYPES if getattr(self, name) is not None), "")

    @property
    def target(self) -> Target:
        """Where it goes. ValueError if there is none."""
        for name in TYPES:
            target: Target | None = getattr(self, name)
            if target is not None:
                return target
        raise ValueError(f"alert {self.name} has no target")
