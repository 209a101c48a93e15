"""The addresses that belong to this host's own life: its own, its gateways, its resolvers; and when they change.

Asked of rtnetlink(7) and resolv.conf(5) whenever a caller wants to know. They are what a ban must never hit.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator

from sentinetd.errors import EdgeError
from sentinetd.model.address import BITS, Address, AddressSet, Network
from sentinetd.net.netlink import attributes, dump
from sentinetd.net.source import interface_name, source_of

RESOLV_CONF = "/etc/resolv.conf"
LOOPBACK = (Network(4, 127 << 24, 8), Network(6, 1, 128))

NETLINK_ROUTE = 0
RTM_GETADDR, RTM_GETROUTE = 22, 26
IFADDRMSG = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, interface
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTMSG = struct.Struct("=BBBBBBBBI")  # family, to and from length, tos, table, origin, scope, type, flags
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_MULTIPATH, RTA_VIA = 1, 4, 5, 9, 18
RTNEXTHOP = struct.Struct("=HBBi")  # length, flags, hops, interface
INTERFACE = struct.Struct("=i")
UNICAST, CLONED = 1, 0x200  # RTN_UNICAST, RTM_F_CLONED
HALF = 1  # 0.0.0.0/1 and 128.0.0.0/1 together stand for a default route: how VPNs put theirs before the other one

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_: links, IPv4 addresses and routes, IPv6 addresses and routes


def own() -> list[Network]:
    """Every address of every interface of this network namespace, each as a network of one.

    `NetlinkError` if the kernel does not tell; so for all of these.
    """
    found: dict[Network, None] = {}
    for answer in _dumped(RTM_GETADDR, IFADDRMSG.size, "which addresses this host has"):
        family, _length, _flags, _scope, interface = IFADDRMSG.unpack_from(answer)
        told = dict(attributes(answer, IFADDRMSG.size))
        packed = told.get(IFA_LOCAL) or told.get(IFA_ADDRESS)  # of a point-to-point link, ADDRESS is the far end
        if packed is not None:
            found[_one(_address(family, packed, interface))] = None
    return list(found)


def default_gateways() -> list[Network]:
    """The next hops of the default routes, in every routing table, each as a network of one."""
    found: dict[Network, None] = {}
    for length, _destination, hops in _routes():
        if length <= HALF:
            found.update((_one(gateway), None) for gateway, _interface in hops if gateway is not None)
    return list(found)


def on_link() -> list[Network]:
    """The networks whose hosts are reached without a gateway; loopback is not among them."""
    found: dict[Network, None] = {}
    for length, destination, hops in _routes():
        if length > HALF and hops:
            for gateway, interface in hops:
                if gateway is None and interface_name(interface) != "lo":
                    found[Network(destination.version, destination.value, length, destination.scope)] = None
    return list(found)


def resolvers(path: str = RESOLV_CONF) -> list[Network]:
    """The name servers that *path* tells of, each as a network of one; none if there is no such file.

    Lines that name no address are passed over, as the resolver does (resolv.conf(5)). `EdgeError` if the file is there
    but cannot be read.
    """
    found: dict[Network, None] = {}
    try:
        with open(path, encoding="utf-8", errors="replace", opener=_without_waiting) as lines:
            for line in lines:
                words = line.split()
                if len(words) >= 2 and words[0] == "nameserver":
                    try:
                        found[_one(Address.parse(words[1]))] = None
                    except ValueError:
                        continue
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error
    return list(found)


def _without_waiting(path: str, flags: int) -> int:
    """A descriptor of *path*, also of a FIFO that nobody writes to."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def exempt_own(path: str = RESOLV_CONF) -> AddressSet:
    """What `exempt_own = true` means: loopback, the host's own addresses, its default gateways, its resolvers.

    Networks on link are not among them: a neighbour can be an intruder like any other.
    """
    return AddressSet(tuple(dict.fromkeys([*LOOPBACK, *own(), *default_gateways(), *resolvers(path)])))


class Watcher:
    """Becomes readable when an address, a link or a route of this network namespace changed."""

    __slots__ = ("_socket",)

    def __init__(self) -> None:
        """Raises `EdgeError` if the kernel does not let us listen."""
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_ROUTE
            )
        except OSError as error:
            raise EdgeError(f"watching addresses: {error.strerror}") from error
        try:
            self._socket.bind((0, GROUPS))
        except OSError as error:
            self._socket.close()
            raise EdgeError(f"watching addresses: {error.strerror}") from error

    def fileno(self) -> int:
        """The descriptor to wait at; -1 once closed."""
        return self._socket.fileno()

    def drain(self, limit: int = 256) -> bool:
        """Take up to *limit* notices off; whether anything changed. What, is asked of the functions above.

        Notices that the kernel had to drop (ENOBUFS) are a change like any other.
        """
        changed = False
        for _ in range(limit):
            try:
                _data, (sender, _groups) = self._socket.recvfrom(1 << 16)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise EdgeError(f"watching addresses: {error.strerror}") from error
                sender = 0
            changed = changed or sender == 0
        return changed

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()


def _dumped(kind: int, size: int, question: str) -> Iterator[bytes]:
    """The answers for both IP versions; *size* is that of the request's own header, all zero but the family."""
    for family in FAMILIES.values():
        for _kind, answer in dump(NETLINK_ROUTE, kind, bytes([family]) + bytes(size - 1), question):
            yield answer


def _routes() -> Iterator[tuple[int, Address, list[tuple[Address | None, int]]]]:
    """The unicast routes: (prefix length, destination, hops), a hop being (gateway or None, interface)."""
    for answer in _dumped(RTM_GETROUTE, RTMSG.size, "which routes this host has"):
        family, length, _from, _tos, _table, _origin, _scope, kind, flags = RTMSG.unpack_from(answer)
        if kind != UNICAST or flags & CLONED or family not in FAMILIES.values():
            continue
        told = dict(attributes(answer, RTMSG.size))
        interface = INTERFACE.unpack(told[RTA_OIF])[0] if RTA_OIF in told else 0
        destination = _address(family, told.get(RTA_DST, bytes(4 if family == socket.AF_INET else 16)), interface)
        yield length, destination, list(_hops(family, told, interface))


def _hops(family: int, told: dict[int, bytes], interface: int) -> Iterator[tuple[Address | None, int]]:
    """The hop of a route with one, or each of a multipath route."""
    if RTA_MULTIPATH in told:
        rows, offset = told[RTA_MULTIPATH], 0
        while offset + RTNEXTHOP.size <= len(rows):
            length, _flags, _weight, towards = RTNEXTHOP.unpack_from(rows, offset)
            if length < RTNEXTHOP.size:
                return
            hop = dict(attributes(rows[offset : offset + length], RTNEXTHOP.size))
            yield _gateway(family, hop, towards), towards
            offset += (length + 3) & ~3
    elif interface:
        yield _gateway(family, told, interface), interface


def _gateway(family: int, told: dict[int, bytes], interface: int) -> Address | None:
    if RTA_GATEWAY in told:
        return _address(family, told[RTA_GATEWAY], interface)
    if RTA_VIA in told:  # an IPv4 route through an IPv6 neighbour (RFC 5549): family first, then the address
        via = told[RTA_VIA]
        return _address(int.from_bytes(via[:2], sys.byteorder), via[2:], interface)
    return None


def _address(family: int, packed: bytes, interface: int) -> Address:
    if family == socket.AF_INET:
        return source_of((socket.inet_ntop(family, packed), 0))
    link_local = packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
    return source_of((socket.inet_ntop(family, packed), 0, 0, interface if link_local else 0))


def _one(address: Address) -> Network:
    return Network.of(address, BITS[address.version])
