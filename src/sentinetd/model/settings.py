"""The daemon's own settings, from sentinetd.toml."""

from __future__ import annotations

from enum import Enum, StrEnum

from sentinetd.model.address import NOBODY, AddressSet, Network
from sentinetd.model.alert import Alert
from sentinetd.model.feed import Feed
from sentinetd.model.noun import dataclass, field
from sentinetd.model.values import Credentials

KEEP_HISTORY = 90 * 86_400.0
"""Seconds for which earlier bans are remembered."""
UNCHANGED = Credentials()
"""As the daemon itself runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """How bans of those who come back grow: each is *factor* times as long as the one before, up to *ceiling* seconds;
    whoever was free for *forget_after* seconds begins anew."""

    factor: float
    ceiling: float
    forget_after: float


@dataclass(frozen=True, slots=True)
class ListedExemption:
    """Of one network or one host name, *until* that Unix time, infinity: as long as it is listed; with a *note*."""

    who: AddressSet
    until: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BanSettings:
    """`[bans]`: how bans are kept.

    *maximum*: bans in force at once; beyond it the one that ends soonest goes. *exempt*: sources never banned,
    beside the host's own if *exempt_own*. *dry_run*: trips are told, nobody is banned.
    *max_bans_per_minute*: more trips are only told; None: no such limit. *prefix_v4*,
    *prefix_v6*: bits of an off-link source that a ban covers. *exemptions*: further ones, each with an end. *jitter*:
    the share of its span by which a ban may be longer, by chance. *sensors*: how many different ones a source must
    touch within *sensors_within* seconds before it is banned. *escalation*: how bans of those who come back grow,
    None: they do not.
    """

    maximum: int = 2_000_000
    exempt: AddressSet = NOBODY
    exempt_own: bool = True
    dry_run: bool = False
    max_bans_per_minute: int | None = None
    prefix_v4: int = 32
    prefix_v6: int = 64
    exemptions: tuple[ListedExemption, ...] = ()
    escalation: Escalation | None = None
    jitter: float = 0.0
    sensors: int = 1
    sensors_within: float = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """`[store]`: *required*: without a readable store the daemon does not start, rather than forget its bans.
    *keep_history*: seconds for which earlier bans are remembered; what is older is gone within the hour."""

    required: bool = False
    keep_history: float = KEEP_HISTORY


class FirewallBackend(StrEnum):
    """What refuses banned sources: our own nftables table, a program, a filter on our listeners; the best there is."""

    AUTO = "auto"
    NFTABLES = "nftables"
    COMMAND = "command"
    BPF = "bpf"


class Refusing(StrEnum):
    """What a banned source hears: nothing, or a TCP reset."""

    DROP = "drop"
    REJECT = "reject"


class Guarded(StrEnum):
    """Which TCP ports are out of reach of banned sources: all of the host, or the daemon's own."""

    ALL = "all"
    OWN = "own"


class AtStop(StrEnum):
    """What becomes of the bans in the kernel when the daemon ends in order."""

    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallSettings:
    """`[firewall]`: banned sources are refused before they reach any server, also one that is not ours.

    *backend*: "nftables", "bpf" (a filter on our own listeners), "command" (a program), or "auto": the first of
    nftables and bpf that can be had. *verdict*: "drop", or "reject" by a TCP reset. *ports*: "all" TCP ports of the
    host, or our "own"; of UDP always our own. *table*: the name of our nftables table. *at_stop*: whether bans "keep"
    in force when the daemon ends in order, or "remove". *forwarded*: connections that the host only passes on are
    refused too. *command*: the full path of a program, and its arguments; *credentials*: the user that it runs as (key
    `user`).
    """

    enabled: bool = False
    backend: FirewallBackend = FirewallBackend.AUTO
    verdict: Refusing = Refusing.DROP
    ports: Guarded = Guarded.ALL
    table: str = "sentinetd"
    at_stop: AtStop = AtStop.REMOVE
    forwarded: bool = False
    command: tuple[str, ...] = ()
    credentials: Credentials = UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class MdnsSettings:
    """`[mdns]`: *enabled*: services are advertised on the local network, but for those with `mdns = no`."""

    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTable:
    """`[control]`: *enabled*: there is a control socket. *admins*: number of the group that may change things, beside
    root. *listen*: the API is also to be had at this loopback ADDRESS:PORT, for whoever has the *token*."""

    enabled: bool = True
    admins: int | None = None
    listen: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsTable:
    """`[metrics]`: *listen*: metrics are also to be had at this loopback ADDRESS:PORT, by everybody on this host."""

    listen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyTable:
    """`[privacy]`: *address_key*: what pseudonyms of addresses are made with (`addresses = "hashed"` of an alert), the
    same on all hosts whose pseudonyms are to be compared; without it, each host makes one by chance and keeps it."""

    address_key: str = field(default="", repr=False)


class FileUse(Enum):
    """What the courier does with a file that the guard opens for it."""

    APPEND = "append"
    READ = "read"
    LISTEN = "listen"
    """A listening socket."""
    DIRECTORY = "directory"
    """Makes files in it, and replaces them."""


@dataclass(frozen=True, slots=True)
class FileWanted:
    """A file that the courier's settings name. The guard, which may, opens *path* and hands the descriptor over; the
    courier's settings hold its place in `Settings.files` instead. *key* of the *number*th *table* names it. A file to
    append to that has *rotate* bytes (0: never) is renamed, and *keep* older ones stay beside it."""

    path: str
    use: FileUse
    table: str
    number: int
    key: str
    rotate: int = 0
    keep: int = 0


@dataclass(frozen=True, slots=True)
class Mistake:
    """What the courier objects to in its settings: *key* (empty: all) of the *number*th table *table*, from 0."""

    table: str
    number: int
    key: str
    text: str
    way_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """The control API: numbers of its listening sockets, None for none. *socket* is the unix one, *loopback* asks for
    the *token*, *metrics* has nothing but metrics. *owner*: the user that the daemon runs as; *readers*, *admins*:
    groups that may read, that may change things."""

    socket: int | None = None
    loopback: int | None = None
    metrics: int | None = None
    token: str = ""
    owner: int = 0
    readers: int | None = None
    admins: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CourierSettings:
    """The courier's part, as it crosses to it: plain values, file numbers as in `Settings.files`.

    *alerts*: who is told beside the logs. *address_key*: what makes pseudonyms of addresses; empty: one made by chance
    and kept beside the store. *unfed*: networks within which no ban is in a feed.
    """

    alerts: tuple[Alert, ...] = ()
    address_key: str = field(default="", repr=False)
    control: ControlSettings = ControlSettings()
    feeds: tuple[Feed, ...] = ()
    unfed: tuple[Network, ...] = ()
    escalation: Escalation | None = None
    keep_history: float = KEEP_HISTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole file; what it leaves out is as here. *files* are what *courier* needs opened."""

    bans: BanSettings = BanSettings()
    store: StoreSettings = StoreSettings()
    firewall: FirewallSettings = FirewallSettings()
    mdns: MdnsSettings = MdnsSettings()
    control: ControlTable = ControlTable()
    metrics: MetricsTable = MetricsTable()
    courier: CourierSettings = CourierSettings()
    files: tuple[FileWanted, ...] = ()
