"""Which sockets of this network namespace listen, and which process holds one: sock_diag(7), then proc(5).

The kernel is asked for sockets in well under a millisecond; processes are walked through only to name a holder.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable

from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.noun import dataclass
from sentinetd.net.netlink import attributes, dump
from sentinetd.net.source import source_of

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
REQUEST = struct.Struct("=BBBxI2s2s16s16sI8s")  # inet_diag_req_v2; ports and addresses in network order
MESSAGE = struct.Struct("=BBBB2s2s16s16sI8sIIIII")  # inet_diag_msg
INET_DIAG_SKV6ONLY = 11

TCP, UDP = 6, 17
LISTEN = 1 << 10  # a state's bit: TCP_LISTEN
UNCONNECTED = 1 << 7  # TCP_CLOSE: what an unconnected UDP socket is in
BOUND = 1 << 13  # TCP_BOUND_INACTIVE: bound without listening (asked for by its bit only; older kernels ignore it)
ANY = 0xFFF & ~(1 << 6)  # TIME_WAIT holds nobody up: we bind with SO_REUSEADDR
LISTENING = {TCP: LISTEN, UDP: UNCONNECTED}
"""The states in which a socket of a protocol takes what strangers send."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that takes connections or datagrams; *protocol* is 6 or 17. *v6only*: it takes no IPv4."""

    protocol: int
    address: Address
    port: int
    v6only: bool
    uid: int
    inode: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A process with a socket at a port. *pid* 0: nobody that can be seen from here (the kernel itself, another pid
    namespace, a process of another user)."""

    pid: int
    program: str
    address: Address

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})" if self.pid else "a process that cannot be seen from here"


def listening() -> list[Listening]:
    """Every TCP and UDP socket of this network namespace that strangers can reach, whoever holds it.

    `NetlinkError` if the kernel does not tell.
    """
    found: list[Listening] = []
    for protocol, states in LISTENING.items():
        found += _sockets(protocol, states, 0)
    return found


def users(protocol: int, address: Address, port: int) -> frozenset[int]:
    """The user ids of all sockets of *protocol* from which something may come by *port* of *address*. `NetlinkError` if
    the kernel does not tell."""
    return frozenset(one.uid for one in _sockets(protocol, ANY, port) if _meets(one, address))


def holders(protocol: int, address: Address | None, port: int) -> list[Holder]:
    """Who stands in the way of binding *port* of *address* for *protocol*, by ascending pid.

    *address* None is the IPv6 wildcard that takes IPv4 too; 0.0.0.0 is that of IPv4 alone.
    Sockets that listen are named first; where there are none, those that are merely connected from that port.
    Empty if nobody does, or for a protocol that sock_diag does not know here. `NetlinkError` if the kernel does not
    tell.
    """
    if protocol not in LISTENING:
        return []
    if address is not None and address.version == 6 and address.value == 0:
        address = None
    for states in (LISTENING[protocol] | BOUND, ANY):
        found = [one for one in _sockets(protocol, states, port) if _meets(one, address)]
        if found:
            return sorted(_named(found), key=lambda holder: (holder.pid, str(holder.address)))
    return []


def _meets(held: Listening, wanted: Address | None) -> bool:
    """Whether two sockets at one port collide: the same address, or a wildcard that takes in the other."""
    if wanted is None:
        return True
    if held.address.value == 0:  # 0.0.0.0 or ::
        return wanted.version == held.address.version or (held.address.version == 6 and not held.v6only)
    if wanted.value == 0:
        return wanted.version == held.address.version
    return Network.of(held.address, BITS[held.address.version]).holds(wanted)


def _sockets(protocol: int, states: int, port: int) -> list[Listening]:
    """The sockets of *protocol* in one of *states* (bits), at *port* (0: at any)."""
    found: list[Listening] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = REQUEST.pack(family, protocol, 0, states, port.to_bytes(2, "big"), b"", b"", b"", 0, b"\xff" * 8)
        for _kind, answer in dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, body, "which sockets are open"):
            found.append(_read(protocol, answer))
    return found


def _read(protocol: int, answer: bytes) -> Listening:
    row = MESSAGE.unpack_from(answer)
    family, local_port, local, interface, uid, inode = row[0], row[4], row[6], row[8], row[13], row[14]
    if family == socket.AF_INET:
        address = source_of((socket.inet_ntop(socket.AF_INET, local[:4]), 0))
    else:
        scope = interface if local[0] == 0xFE and local[1] & 0xC0 == 0x80 else 0
        address = source_of((socket.inet_ntop(socket.AF_INET6, local), 0, 0, scope))
    v6only = any(kind == INET_DIAG_SKV6ONLY and value != b"\0" for kind, value in attributes(answer, MESSAGE.size))
    return Listening(protocol, address, int.from_bytes(local_port, "big"), v6only, uid, inode)


def owners(sockets: Iterable[Listening]) -> dict[int, tuple[Holder, ...]]:
    """Who has each of *sockets* open, by inode and in ascending order of pids; no row for a socket whose holders cannot
    be seen from here. Every process is looked at once; one that ends meanwhile is passed over."""
    links = {f"socket:[{one.inode}]": one for one in sockets}
    found: dict[int, set[Holder]] = {}
    for pid in _entries("/proc"):
        if not pid.isdigit():
            continue
        for descriptor in _entries(f"/proc/{pid}/fd"):
            held = links.get(_link(f"/proc/{pid}/fd/{descriptor}"))
            if held is not None:
                found.setdefault(held.inode, set()).add(Holder(int(pid), _program(pid), held.address))
    return {inode: tuple(sorted(named, key=lambda holder: holder.pid)) for inode, named in found.items()}


def _named(found: list[Listening]) -> set[Holder]:
    """The processes that have one of these sockets open, and nobody for each that none can be seen to have."""
    known = owners(found)
    named = {holder for holders in known.values() for holder in holders}
    named.update(Holder(0, "", one.address) for one in found if one.inode not in known)
    return named


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _program(pid: str) -> str:
    """The name of process *pid* as the kernel keeps it: at most 15 bytes (proc(5), comm); of an interpreter that says
    nothing, the program it runs. Any process may call itself anything."""
    name = _first_line(f"/proc/{pid}/comm") or "?"
    if not name.startswith("python"):
        return name
    words = iter(_first_line(f"/proc/{pid}/cmdline").split("\0")[1:])
    for word in words:
        if word == "-m":
            return next(words, "") or name
        if word == "-c":
            return name
        if word and not word.startswith("-"):
            return word.rpartition("/")[2] or name
    return name


def _first_line(path: str) -> str:
    """What the file of proc(5) begins with; empty if the process is gone, or is not to be seen."""
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.readline(4096).rstrip("\n")
    except OSError:
        return ""
