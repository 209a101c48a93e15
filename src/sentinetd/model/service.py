"""One service as configured: every attribute of xinetd.conf(5), typed.

Each field below is the one row of its attribute: parsing, merging, the manual page and the state dump follow from it.
To add an attribute, add a field.
"""



from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from sentinetd.model import readers as read
from sentinetd.model.address import EVERYONE, NOBODY, Address, AddressSet
from sentinetd.model.address_words import address_list, address_remarks, network_list
from sentinetd.model.attribute import Kind, Reader, attribute, attributes
from sentinetd.model.merging import ADDRESSES, OPTIONS, STRINGS, VARIABLES
from sentinetd.model.noun import dataclass, field
from sentinetd.model.port_words import left_out, port_list
from sentinetd.model.values import (
    Capture,
    Cps,
    Credentials,
    Decoy,
    DenyPrefix,
    Family,
    FileLog,
    Flag,
    Interval,
    LeftOut,
    OnFailure,
    OnSuccess,
    Place,
    Ports,
    Protocol,
    Redirect,
    SocketType,
    SourceRate,
    SyslogLog,
    Type,
)

__all__ = [
    "Capture",
    "Cps",
    "Credentials",
    "Decoy",
    "DenyPrefix",
    "Family",
    "FileLog",
    "Flag",
    "Interval",
    "LeftOut",
    "OnFailure",
    "OnSuccess",
    "Place",
    "Ports",
    "Protocol",
    "Redirect",
    "Service",
    "SocketType",
    "SourceRate",
    "SyslogLog",
    "Type",
]

LimitReader = Callable[[str, str], Reader]


def _limit(name: str, said: str, unit: str, doc: str, reader: LimitReader = read.size_limit) -> dict[str, Any]:
    """The row of one resource limit."""
    return {"name": name, "read": reader(name, f"{said} is invalid"), "values": f"{unit}|UNLIMITED", "doc": doc}


_LISTED = Kind.LIST
_ADDED = Kind.MODIFIABLE
_ADDRESSES = "[ADDRESS]..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service as configured: defaults folded in, every value typed, every name looked up."""

    name: str
    id: str = attribute(
        read.one(str),
        default="",
        values="WORD",
        doc="Names this entry in logs, in enabled and disabled, and across a reload. Default: the service's name.",
    )
    type: frozenset[Type] = attribute(
        read.choices(Type, "Bad service type", at_least_one="type"),
        default=frozenset(),
        kind=_LISTED,
        values="TYPE...",
        doc="RPC: a service of rpc(5). INTERNAL: served by sentinetd itself. UNLISTED: not looked up in services(5) or "
        "rpc(5); give port (or rpc_number). TCPMUX, TCPMUXPLUS: reached through the tcpmux service. SPECIAL: accepted "
        "for old files.",
    )
    flags: frozenset[Flag] = attribute(
        read.choices(Flag, "Bad service flag", at_least_one="flags"),
        default=frozenset(),
        kind=_LISTED,
        values="FLAG...",
        doc="SENSOR: whoever reaches this service is banned from all services for deny_time. NAMEINARGS: the first "
        "word of server_args is argv[0]. NORETRY: a failed fork is not tried again. NODELAY, KEEPALIVE: set "
        "TCP_NODELAY, SO_KEEPALIVE. IPv4, IPv6: the address family of the socket. "
        "NOLIBWRAP: skip hosts.allow and hosts.deny. "
        "INTERCEPT: check every connection and every datagram of a waiting service; its server gets a private socket "
        "and sees loopback peers. IDONLY: only clients whom ident names. "
        "LABELED: a server runs in the SELinux context that policy gives for the daemon's user, role and type, the "
        "range of its client's label, and the program; for a client without a label nothing is run. Refused where "
        "SELinux is not enabled, for INTERNAL and redirect, wait = yes, proxy_protocol and all but stream. "
        "REUSE: accepted for old files.",
    )
    socket_type: SocketType = attribute(
        read.choice(SocketType, "Bad socket type"),
        default=SocketType.STREAM,
        values="stream|dgram|raw|seqpacket",
        doc="Kind of socket. Where absent it follows from protocol: tcp is a stream, udp is dgram.",
    )
    protocol: Protocol = attribute(
        read.protocol,
        default=Protocol("tcp", 6),
        values="NAME",
        doc="A name from protocols(5). Where absent it follows from socket_type: stream is tcp, dgram is udp.",
    )
    wait: bool = attribute(
        read.yes_or_no("Bad value for wait"),
        default=False,
        values="yes|no",
        doc="yes: one server is handed the service's own socket, and nothing else is served until it ends. no: each "
        "connection gets a server. Required; a sensor does without.",
    )
    user: str = attribute(
        read.user_word("user"), default="", values="NAME|UID", doc="Whom the server runs as. Required unless INTERNAL."
    )
    group: str = attribute(
        read.user_word("group"),
        default="",
        values="NAME|GID",
        doc="Group of the server. Default: the user's own group.",
    )
    groups: bool = attribute(
        read.yes_or_no("Bad value for groups"),
        default=False,
        defaults=True,
        values="yes|no",
        doc="Whether the server also gets the groups of which its user is a member.",
    )
    server: str = attribute(
        read.one(str),
        default="",
        remarks=read.relative_remarks,
        values="PATH",
        doc="The program, by its absolute path. Required unless INTERNAL, SENSOR or redirect.",
    )
    server_args: tuple[str, ...] = attribute(
        read.some_words("server_args"),
        default=(),
        kind=_LISTED,
        values="WORD...",
        doc="The server's arguments, beginning with argv[1] (with NAMEINARGS: argv[0]).",
    )
    instances: int | None = attribute(
        read.count_or_unlimited("Number of instances is invalid"),
        default=None,
        defaults=True,
        values="N|UNLIMITED",
        doc="Servers of this service at once.",
    )
    per_source: int | None = attribute(
        read.count_or_unlimited("Number of per source instances is invalid"),
        default=None,
        defaults=True,
        values="N|UNLIMITED",
        doc="Servers of this service at once for one source.",
    )
    cps: Cps = attribute(
        read.cps,
        default=Cps(50, 10),
        counts=(2,),
        defaults=True,
        values="RATE SECONDS",
        doc="More than RATE connections a second close the service for SECONDS. RATE 0: no check.",
    )
    cps_source: SourceRate | None = attribute(
        read.source_rate,
        default=None,
        counts=(2,),
        values="RATE SPAN",
        extension=True,
        doc="One source may begin RATE connections in SPAN seconds; others are not affected.",
    )
    max_load: float | None = attribute(
        read.load,
        default=None,
        defaults=True,
        values="LOAD",
        remarks=read.load_remarks,
        doc="Connections are refused while the load average of one minute is this or more.",
    )
    access_times: tuple[Interval, ...] = attribute(
        read.interval_list,
        default=(),
        kind=_LISTED,
        values="H:M-H:M...",
        doc="When the service is available, in local time, both ends included. An interval may pass midnight and may "
        "end at 24:00.",
    )
    only_from: AddressSet = attribute(
        address_list,
        default=EVERYONE,
        kind=_ADDED,
        defaults=True,
        merge=ADDRESSES,
        remarks=address_remarks,
        values=_ADDRESSES,
        doc="Sources that may connect: addresses (rightmost zeros of an IPv4 address are wildcards), ADDRESS/BITS, "
        "a.b.{c,d}, names of networks(5), host names, .domain. An empty list admits nobody. Where no_access fits as "
        "well, the narrower of both decides, and a tie denies.",
    )
    no_access: AddressSet = attribute(
        address_list,
        default=NOBODY,
        kind=_ADDED,
        defaults=True,
        merge=ADDRESSES,
        remarks=address_remarks,
        values=_ADDRESSES,
        doc="Sources that may not connect, written as for only_from.",
    )
    exempt: AddressSet = attribute(
        address_list,
        default=NOBODY,
        kind=_ADDED,
        merge=ADDRESSES,
        remarks=address_remarks,
        values=_ADDRESSES,
        extension=True,
        doc="Sources that this sensor never bans; their touch is told all the same.",
    )
    log_type: FileLog | SyslogLog | None = attribute(
        read.log_target,
        default=None,
        kind=_LISTED,
        defaults=True,
        values="SYSLOG FACILITY [LEVEL] | FILE NAME [SOFT [HARD]]",
        doc="Where the service log goes. Default: nowhere.",
    )
    log_on_success: frozenset[OnSuccess] = attribute(
        read.choices(OnSuccess, "Bad log_on_success flag"),
        default=frozenset(),
        kind=_ADDED,
        defaults=True,
        merge=OPTIONS,
        values="[HOST|PID|DURATION|EXIT|USERID|TRAFFIC]...",
        doc="What is logged when a server starts and ends.",
    )
    log_on_failure: frozenset[OnFailure] = attribute(
        read.choices(OnFailure, "Bad log_on_failure flag"),
        default=frozenset(),
        kind=_ADDED,
        defaults=True,
        merge=OPTIONS,
        values="[HOST|ATTEMPT|USERID]...",
        doc="What is logged when a connection is refused.",
    )
    rpc_version: tuple[int, int] | None = attribute(
        read.rpc_version, default=None, values="N|LOW-HIGH", doc="Versions of an RPC service."
    )
    rpc_number: int | None = attribute(
        read.number("Error parsing", "write a program number of rpc(5)", 0, (1 << 32) - 1),
        default=None,
        values="N",
        doc="Program number of an RPC service that is UNLISTED.",
    )
    env: tuple[str, ...] = attribute(
        read.environment,
        default=(),
        kind=_ADDED,
        merge=STRINGS,
        values="NAME=VALUE...",
        doc="Variables that are added to the server's environment.",
    )
    passenv: tuple[str, ...] | None = attribute(
        tuple,
        default=None,
        kind=_ADDED,
        defaults=True,
        merge=VARIABLES,
        values="[NAME]...",
        doc="Which variables of sentinetd's own environment the server gets. Default: all; an empty list: none.",
    )
    port: int = attribute(
        read.number("port number is invalid", "write a number of 0 to 65535", 0, 65535),
        default=0,
        values="N",
        doc="Port of the service. Default: looked up in services(5), which must agree unless UNLISTED.",
    )
    ports: Ports | None = attribute(
        port_list,
        default=None,
        kind=_LISTED,
        values="LIST|unused",
        extension=True,
        doc="Many ports in one entry, instead of port: numbers, ranges and names of services(5), as ftp 23 6000-6010. "
        "All of them together have the limits and counts of one service. unused (sensors only): every TCP port that no "
        "program listens on or was seen to listen on in the last hour; what the host itself begins is not looked at.",
    )
    ports_except: LeftOut | None = attribute(
        left_out,
        default=None,
        kind=_LISTED,
        values="PORT|LOW-HIGH|ADDRESS:PORT|[ADDRESS]:PORT...",
        extension=True,
        doc="What ports leaves alone: ports everywhere, and ports of one address or network. Default for unused: 113, "
        "since hosts that this one connects to may ask there who it is (RFC 1413); for a list: nothing.",
    )
    addresses: AddressSet = attribute(
        network_list,
        default=NOBODY,
        kind=_LISTED,
        values="ADDRESS|NETWORK...",
        extension=True,
        doc="Sensors: the addresses that this one watches, instead of bind. Those that the host does not have become "
        "its own for as long as the sensor runs, so list none that another host uses; there, what listens on all "
        "addresses gets nothing. At those that the host has, every program that listens goes first.",
    )
    nice: int = attribute(
        read.number("Error parsing", "write a whole number, as -2 or 10", -(1 << 31), (1 << 31) - 1),
        default=0,
        values="N",
        doc="Added to the server's priority; the kernel keeps the sum within -20 and 19.",
    )
    umask: int | None = attribute(
        read.octal, default=None, defaults=True, values="OCTAL", doc="The server's umask. Default: sentinetd's own."
    )
    rlimits: tuple[tuple[str, float], ...] = attributes(
        (
            _limit("rlimit_files", "Max files limit", "N", "Open files. Default: sentinetd's own hard limit."),
            _limit("rlimit_as", "Address space limit", "BYTES[k|m]", "Address space of the server."),
            _limit("rlimit_cpu", "CPU limit", "SECONDS", "Processor time of the server.", read.plain_limit),
            _limit("rlimit_data", "Data limit", "BYTES[k|m]", "Data segment of the server."),
            _limit(
                "rlimit_rss", "RSS limit", "BYTES[k|m]", "Resident memory of the server; Linux does not enforce it."
            ),
            _limit("rlimit_stack", "Stack limit", "BYTES[k|m]", "Stack of the server."),
        ),
        default=(),
    )
    redirect: Redirect | None = attribute(
        read.redirect,
        default=None,
        counts=(2,),
        values="HOST PORT",
        doc="Connections are carried on to this host and port. Runs without rights, not as user.",
    )
    bind: str = attribute(
        read.one(str),
        default="",
        defaults=True,
        aliases=("interface",),
        values="ADDRESS|HOST",
        doc="Listen on this address of the host only (an address or a host name, not the name of an interface).",
    )
    v6only: bool = attribute(
        read.yes_or_no("Bad value for v6only"),
        default=False,
        defaults=True,
        values="yes|no",
        doc="Whether an IPv6 socket refuses IPv4.",
    )
    banner: str = attribute(
        read.one(str),
        default="",
        defaults=True,
        values="FILE",
        doc="Sent to whoever connects, banned sources excepted.",
    )
    banner_success: str = attribute(
        read.one(str), default="", defaults=True, values="FILE", doc="Sent to whoever is admitted."
    )
    banner_fail: str = attribute(
        read.one(str),
        default="",
        defaults=True,
        values="FILE",
        doc="Sent to whoever is refused, banned sources excepted; not by a sensor with decoy, capture or tarpit.",
    )
    libwrap: str = attribute(
        read.one(str),
        default="",
        values="NAME",
        doc="Daemon name looked up in hosts_access(5). Default: the server's last path component.",
    )
    mdns: bool = attribute(
        read.yes_or_no("Bad value for mdns"),
        default=True,
        values="yes|no",
        doc="Whether the service is advertised by mDNS, where sentinetd.toml enables that. A sensor never is.",
    )
    proxy_protocol: AddressSet = attribute(
        address_list,
        default=NOBODY,
        kind=_ADDED,
        merge=ADDRESSES,
        remarks=address_remarks,
        values="NETWORK...",
        extension=True,
        doc="Peers, load balancers as a rule, whose connections begin with a PROXY header, version 1 or 2, which names "
        "the true source: within 5 seconds, or they are hung up on. Lists, limits, bans, logs and REMOTE_HOST go by "
        "the source that is announced; where none is (LOCAL, UNKNOWN), by the peer. Others are served without: a "
        "header of theirs is not looked at, and the server gets it as it came. A listed peer is never banned. An "
        "announced source that is banned is refused at accept alone: the kernel sees no other address than the "
        "peer's. Who owns a connection that was announced cannot be asked (ident).",
    )
    deny_time: float = attribute(
        read.ban_span,
        default=0.0,
        remarks=read.ban_span_remarks,
        values="MINUTES|FOREVER|NEVER",
        doc="Sensors: how long a touch bans. FOREVER: until lifted, also across restarts. NEVER (default): only told.",
    )
    deny_dgram: bool = attribute(
        read.yes_or_no("Bad value for deny_dgram"),
        default=False,
        values="yes|no",
        extension=True,
        doc="Whether a dgram sensor bans. Its sources can be forged, so that anyone could have anyone banned.",
    )
    end_sessions: bool = attribute(
        read.yes_or_no("Bad value for end_sessions"),
        default=False,
        values="yes|no",
        extension=True,
        doc="Whether the servers that run for a source are ended when it gets banned: TERM, and KILL after 5 seconds. "
        "Those of waiting services serve nobody in particular, and go on.",
    )
    deny_prefix: DenyPrefix | None = attribute(
        read.deny_prefix,
        default=None,
        counts=(2,),
        values="V4LEN V6LEN",
        extension=True,
        doc="Sensors: how many bits of the source a ban covers.",
    )
    capture: Capture | None = attribute(
        read.capture,
        default=None,
        counts=(1, 2),
        values="BYTES [SECONDS]",
        extension=True,
        doc="Sensors: keep the first BYTES (1 to 4096) that the client says within SECONDS (default 5), and tell them "
        "in an event of their own when the client is hung up on. The ban does not wait for that. A source that is "
        "banned already is hung up on at once.",
    )
    decoy: Decoy | None = attribute(
        read.choice(Decoy, "Unknown decoy"),
        default=None,
        values="NAME",
        extension=True,
        doc="Sensors: answer as a believable ftp, ssh, telnet, smtp, pop3, imap, http, redis, mysql, vnc or rdp for a "
        "few exchanges, 30 seconds at most, before hanging up. Nobody is let in. The file of banner, up to 4096 bytes, "
        "takes the place of the greeting. The ban does not wait for that. A source that is banned already is hung up "
        "on at once, and so is whoever comes while 256 others, or 16 of the same source, are being answered, or for "
        "the 61st time in a minute. Each that is answered is told.",
    )
    tarpit: float = attribute(
        read.tarpit,
        default=0.0,
        values="SECONDS",
        extension=True,
        doc="Sensors: keep the client for so long (up to 3600), saying one byte a second of what a decoy or a banner "
        "says. The ban does not wait for that.",
    )

    # Looked up when the configuration was resolved.
    family: Family = Family.DUAL
    address: Address | None = None
    credentials: Credentials = Credentials()
    environment: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)
    """Where each attribute is written, each word of a list ("only_from 192.0.2.0/24"), and under "" the entry."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The server's argument vector: argv[0] is the last part of *server*, or given by NAMEINARGS."""
        if Flag.NAMEINARGS in self.flags:
            return self.server_args
        return (self.server.rpartition("/")[2], *self.server_args)

    @property
    def libwrap_name(self) -> str:
        """The daemon name that hosts_access(5) knows the service by (xinetd.conf(5), libwrap; xinetd passes the name,
        not the id, of services without a program)."""
        if self.libwrap:
            return self.libwrap
        if Type.INTERNAL in self.type or self.redirect is not None:
            return self.name
        return self.argv[0].rpartition("/")[2]

    @property
    def sensor(self) -> bool:
        return Flag.SENSOR in self.flags

    @property
    def caught(self) -> bool:
        """Whether the kernel brings what comes for this sensor's ports to one listener, which is bound to none of
        them."""
        return self.ports is not None and (self.ports.unused or bool(self.addresses))

    @property
    def forever(self) -> bool:
        return math.isinf(self.deny_time)
