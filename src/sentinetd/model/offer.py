"""What the host is told to offer: a version of an RPC program, a service with a name on the local network."""

from __future__ import annotations

from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Registration:
    """What rpcbind keeps one address for: a *version* of a *program* over a transport (*netid*: udp, tcp, udp6, tcp6;
    rpc(5), RFC 1833)."""

    program: int
    version: int
    netid: str


@dataclass(frozen=True, slots=True)
class Advertisement:
    """A service as DNS-SD names it (RFC 6763): *name* for people, *kind* as ``_ftp._tcp``. *address*: the one that it
    is bound to; "": every address of the host, of the versions that *v4* and *v6* say."""

    name: str
    kind: str
    port: int
    address: str
    v4: bool
    v6: bool
