"""What kinds of interfaces this network namespace has, as rtnetlink(7) tells."""

from __future__ import annotations

import socket

from sentinetd.model.address import Address
from sentinetd.net.netlink import attributes, dump

NETLINK_ROUTE = 0
RTM_GETLINK = 18
IFINFOMSG = 16  # bytes: family, type, index, flags, change
IFLA_LINKINFO, IFLA_INFO_KIND = 18, 1


def has_bridges() -> bool:
    """Whether there is a bridge. `NetlinkError` if the kernel does not tell."""
    for _kind, answer in dump(NETLINK_ROUTE, RTM_GETLINK, bytes(IFINFOMSG), "which interfaces this host has"):
        about = dict(attributes(answer, IFINFOMSG)).get(IFLA_LINKINFO, b"")
        if dict(attributes(about, 0)).get(IFLA_INFO_KIND, b"").rstrip(b"\0") == b"bridge":
            return True
    return False


def replaced(address: Address | None, bound: socket.socket) -> bool:
    """Whether the interface that *address*, a link-local one, names is another one by now than that to which *bound* is
    bound. An interface that is not there is none."""
    scope = "" if address is None else address.scope
    if not scope or scope.isdigit():
        return False
    try:
        return socket.if_nametoindex(scope) != int(bound.getsockname()[3])
    except OSError:
        return False
